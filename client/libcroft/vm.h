/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the library's files share: the VM, questions and answers, registers.
 */
#ifndef LIBCROFT_VM_H
#define LIBCROFT_VM_H

#include "client/libcroft/croft.h"
#include "client/libcroft/error.h"
#include "client/libcroft/packet.h"
#include "client/libcroft/wire.h"

#define CPU_MAX		  256u
#define THREAD_MAX	  32u /* of a thread's name, with its terminator */
#define REGISTER_MAX	  1024u
#define REGISTER_NAME_MAX 32u
#define BREAK_NAME_MAX	  64u

/* Questions that are on their way at once, where the other end keeps them apart. */
#define QUESTIONS_MAX 8u

/* What a question has, besides data. */
#define QUESTION_MAX 256u

struct register_fact {
	char name[REGISTER_NAME_MAX];
	uint16_t number;
	uint8_t bytes, group;
};

struct register_value {
	bool known, absent; /* absent: the other end says that it has none at the moment */
	unsigned changed;   /* to be written, in the order of these; 0: not */
	uint8_t bytes[CROFT_REGISTER_BYTES_MAX];
};

struct croft_cpu {
	struct croft_vm *vm;
	unsigned number;
	char thread[THREAD_MAX]; /* as RSP names it; empty: there is one only */
	struct register_value *value;
};

struct croft_breakpoint {
	struct croft_vm *vm;
	struct croft_breakpoint *next;
	struct croft_break what;
	uint64_t hits;
	bool lifted; /* while it is stepped over */
	char name[BREAK_NAME_MAX];
	uint8_t condition[]; /* and its text */
};

struct croft_event {
	struct croft_vm *vm;
	struct croft_event *next;
	croft_stop_fn *handler;
	void *data;
	bool removed; /* while the list is walked */
};

struct croft_vm {
	char *target;
	unsigned timeout_ms;
	struct wire wire;

	/* questions: session.c */
	struct packet_reader answer;
	bool is_undercroft, acks_off, wants_plain;
	bool acknowledged; /* the question under way */
	bool asked;	   /* since an answer was waited for */
	unsigned stale;	   /* answers that were given up and may still come */
	size_t packet_max; /* characters that the other end takes, and we ask for */
	uint8_t *question; /* the last one, as it went out, to be repeated */
	size_t question_length;
	bool lacks_p;

	/* running: run.c */
	bool running;
	bool has_vcont, has_step_range;
	bool has_conditions; /* of breakpoints */
	bool stop_is_kept;   /* it has stopped, and nobody has been told yet */
	char *kept;	     /* the stop reply, if it was not looked at yet, either; NULL: it was */
	size_t kept_length;
	unsigned nested; /* callbacks that we are in */
	char go[80];	 /* what let it go, to be said again */
	struct croft_stop stop;

	/* registers: cpu.c, registers.c */
	struct register_fact *fact;
	unsigned fact_count;
	struct croft_cpu *cpu; /* an array */
	unsigned cpu_count;
	struct croft_cpu *current;  /* the one that stopped, or was selected */
	struct croft_cpu *selected; /* whose registers the other end answers with */
	unsigned changes;
	bool pc_is_linear; /* the stop reply told that this is 64-bit code */

	/* memory.c */
	bool space_known;
	bool is_physical;	  /* QEMU's stub: its other mode */
	struct croft_space space; /* what the other end takes addresses for */

	struct croft_proxy *proxy; /* another debugger, or NULL */
	struct croft_breakpoint *breakpoints;
	struct croft_event *events;
	unsigned names; /* given to breakpoints */
	croft_text_fn *text;
	void *text_data;
};

/* --- session.c: questions and answers ---------------------------------------------------------------------------- */

/* Is it stopped, and are we not lost? Else the error. */
enum croft_status vm_check_stopped(struct croft_vm *vm, struct croft_error *error);

/* May run control be used, or are we in a callback? */
enum croft_status vm_check_nested(struct croft_vm *vm, struct croft_error *error);

/* Sends one question. After this, session_answer() for each, in their order. At most session_depth() at once. */
enum croft_status session_send(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error);
enum croft_status session_answer(struct croft_vm *vm, struct croft_error *error);
unsigned session_depth(const struct croft_vm *vm);

/* Both. The answer is in vm->answer, until the next one. Errors: TIMEOUT, LOST, PROTOCOL, INTERRUPTED, MEMORY. */
enum croft_status session_ask(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error);

/* The same, formatted, up to QUESTION_MAX - 1 characters. */
__attribute__((format(printf, 3, 4))) enum croft_status session_askf(struct croft_vm *vm, struct croft_error *error,
								     const char *format, ...);

/* An answer behind any number of O packets, whose text goes to a handler. */
enum croft_status session_answer_output(struct croft_vm *vm, croft_text_fn *handler, void *data,
					struct croft_error *error);

/* Sends what lets the VM go on: no answer follows at once. */
enum croft_status session_go(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error);

/* The next packet of a VM that runs, without its O packets. Errors: TIMEOUT, INTERRUPTED, LOST ... */
enum croft_status session_stop(struct croft_vm *vm, uint64_t until_us, struct croft_error *error);

/* Sends a byte outside of packets. */
enum croft_status session_byte(struct croft_vm *vm, uint8_t byte, struct croft_error *error);

/*
 * What the answer is: CROFT_OK if it says OK; UNSUPPORTED if it is empty; else REFUSED or what its number means. what
 * is the beginning of the text: "MSR 10".
 */
enum croft_status answer_ok(struct croft_vm *vm, const char *what, struct croft_error *error);

/* The same for an answer that has a content: CROFT_OK unless it is empty or an error. */
enum croft_status answer_content(struct croft_vm *vm, const char *what, struct croft_error *error);

/* Is it this, as a whole? Does it begin so? */
bool answer_is(const struct croft_vm *vm, const char *text);
bool answer_begins(const struct croft_vm *vm, const char *text);

/* --- registers.c: which there are --------------------------------------------------------------------------------- */

/* Undercroft's, which are frozen. */
enum croft_status registers_frozen(struct croft_vm *vm, struct croft_error *error);

/* Another stub's: by its description, or those every stub for this CPU has. */
enum croft_status registers_described(struct croft_vm *vm, bool has_description, struct croft_error *error);

/* The index of a register, by name or by number; -1: there is none. */
int register_find(const struct croft_vm *vm, const char *name);
int register_by_number(const struct croft_vm *vm, unsigned number);

/* Reads a description's registers into an array of REGISTER_MAX; *count are there. Exported for the fuzzer. */
void registers_parse(const char *xml, size_t length, struct register_fact *fact, unsigned *count, unsigned *next);

/* --- cpu.c: their values ------------------------------------------------------------------------------------------ */

enum croft_status cpu_make(struct croft_vm *vm, unsigned count, struct croft_error *error);
void cpu_free(struct croft_vm *vm);

/* Nothing is known any more; what was to be written is lost. */
void cpu_forget(struct croft_vm *vm);
void cpu_forget_one(struct croft_cpu *cpu);

/* Stopped, everything written, and the other end answers for this CPU. */
enum croft_status cpu_before_asking(struct croft_cpu *cpu, struct croft_error *error);

/* One that a stop reply brought, in digits. */
void cpu_expedite(struct croft_cpu *cpu, unsigned number, const char *digits, size_t length);

/* Writes what was changed, of all CPUs. */
enum croft_status cpu_flush_all(struct croft_vm *vm, struct croft_error *error);

/* --- run.c -------------------------------------------------------------------------------------------------------- */

/* Has the stop reply that is kept be the answer again. */
void run_restore_kept(struct croft_vm *vm);

/* Lets the VM go on by a packet of somebody else's. Errors: ARGUMENT (too long). Else as croft_vm_run(). */
enum croft_status run_go(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error);
/* The packet itself, and what is no longer known once it is sent. */
enum croft_status run_say_go(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error);

/* Takes the answer as a stop reply. The VM stands then. Errors: PROTOCOL. */
enum croft_status run_take_stop(struct croft_vm *vm, struct croft_error *error);

/* --- raw.c -------------------------------------------------------------------------------------------------------- */

/* A packet of somebody else's; the answer is in vm->answer, output before it goes to handler, if it is not NULL. */
enum croft_status raw_ask(struct croft_vm *vm, const void *content, size_t length, croft_text_fn *handler, void *data,
			  struct croft_error *error);

/* --- memory.c ----------------------------------------------------------------------------------------------------- */

/* Has addresses in the next packets meant so. Errors: UNSUPPORTED ... */
enum croft_status memory_use_space(struct croft_vm *vm, struct croft_space space, struct croft_error *error);

/* --- breakpoint.c ------------------------------------------------------------------------------------------------- */

/* The one that a stop at this place is about, or NULL. */
struct croft_breakpoint *breakpoint_at(struct croft_vm *vm, enum croft_stop_kind kind, uint64_t address);

/* Would the other end take both for one? Is there one in the list for which it does? */
bool breakpoint_is_same(const struct croft_break *a, const struct croft_break *b);
bool breakpoint_has_same(const struct croft_vm *vm, const struct croft_break *what);

/* Plants or takes up one that is in the list. */
enum croft_status breakpoint_plant(struct croft_breakpoint *breakpoint, bool plant, struct croft_error *error);

/* All go from the list; planted ones first where the other end does not do it itself. */
void breakpoint_free_all(struct croft_vm *vm, bool remove);

/* --- xml.c -------------------------------------------------------------------------------------------------------- */

/* One element of XML's: its name and what stands behind it, up to its end. */
struct xml_element {
	const char *name, *attributes;
	size_t name_length, attributes_length;
};

/* The next element that begins at or behind *at; comments are passed over. */
bool xml_next(const char **at, const char *end, struct xml_element *element);
bool xml_is(const struct xml_element *element, const char *name);

/* An attribute's value; false: it has none, or it does not fit. */
bool xml_text(const struct xml_element *element, const char *name, char *value, size_t size);
bool xml_number(const struct xml_element *element, const char *name, uint64_t *value);

#endif
