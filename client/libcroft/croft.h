/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcroft: the client's side of Undercroft's control link, for C and C++. It also speaks to every other stub of GDB's
 * remote serial protocol (RSP), as far as that one goes: CROFT_ERROR_UNSUPPORTED says where it ends.
 *
 *	struct croft_error error;
 *	struct croft_vm *vm;
 *	uint64_t rip;
 *
 *	if (croft_vm_open("serial:/dev/ttyUSB0,115200", 0, 0, &vm, &error))
 *		die(error.text);
 *	if (croft_cpu_read(croft_vm_cpu(vm), "rip", &rip, &error))
 *		...
 *	croft_vm_close(vm, NULL);
 *
 * Errors. A function that can fail returns CROFT_OK (0) or another enum croft_status. Its last argument takes the same
 * with a text for people, and may be NULL. What a function hands out is valid after CROFT_OK only, unless it says more.
 *
 * Time. Each question has to be answered within the timeout of croft_vm_open(); as long as an answer keeps coming in
 * it may take ten times that. Nothing but croft_vm_wait(), if asked to, waits for ever.
 *
 * Threads. A VM and what belongs to it is used by one thread at a time; croft_vm_interrupt() alone may be called from
 * anywhere, signal handlers included. There are no globals. Callbacks run inside of the call that met their reason;
 * they may use everything but what runs, steps, waits for, stops or closes the VM: CROFT_ERROR_NESTED.
 *
 * Life. An attached VM is to be talked to at least once a second, or Undercroft takes its debugger for lost and lets
 * the guest go: who does something else meanwhile calls croft_vm_pump(). The other way round silence says nothing while
 * the guest runs, as code that never leaves it keeps Undercroft silent; struct croft_counters shows it.
 */
#ifndef CROFT_H
#define CROFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CROFT_API __attribute__((visibility("default")))
#else
#define CROFT_API
#endif

/* --- errors ------------------------------------------------------------------------------------------------------ */

enum croft_status {
	CROFT_OK,
	CROFT_ERROR_ARGUMENT,	 /* the caller's mistake: no such register, a name twice, a value too large */
	CROFT_ERROR_MEMORY,	 /* no memory left on this computer */
	CROFT_ERROR_SYSTEM,	 /* this computer's system refused: a port that is not there, a connection */
	CROFT_ERROR_BUSY,	 /* another program has the port */
	CROFT_ERROR_TIMEOUT,	 /* no answer in time */
	CROFT_ERROR_LOST,	 /* the other end hung up, or is not heard any more: only croft_vm_close() is left */
	CROFT_ERROR_PROTOCOL,	 /* what came is no RSP, or no answer to this question */
	CROFT_ERROR_UNSUPPORTED, /* the other end does not know this */
	CROFT_ERROR_REFUSED,	 /* the other end knows it and says no */
	CROFT_ERROR_UNMAPPED,	 /* no memory at this address */
	CROFT_ERROR_DENIED,	 /* hidden, device or read-only memory */
	CROFT_ERROR_FULL,	 /* no room for one more */
	CROFT_ERROR_NOT_FOUND,	 /* looked for and not there */
	CROFT_ERROR_RUNNING,	 /* only possible while the VM is stopped */
	CROFT_ERROR_INTERRUPTED, /* by croft_vm_interrupt() */
	CROFT_ERROR_NESTED	 /* not from within a callback */
};

#define CROFT_TEXT_MAX 252

struct croft_error {
	enum croft_status status;
	char text[CROFT_TEXT_MAX]; /* one line, terminated, without a newline; empty after CROFT_OK */
};

/* "timeout", "refused", ...: one word for each status, for programs that print in a form for others. */
CROFT_API const char *croft_status_name(enum croft_status status);

/* The library's version: "0.1.0". */
CROFT_API const char *croft_version(void);

/* Gives back what a function of this library says is to be given back so. NULL is allowed. */
CROFT_API void croft_free(void *memory);

/* --- the VM ------------------------------------------------------------------------------------------------------ */

struct croft_vm;
struct croft_cpu;
struct croft_breakpoint;
struct croft_event;

#define CROFT_OPEN_PLAIN  0x1u /* plain RSP, even with Undercroft */
#define CROFT_OPEN_FRAMED 0x2u /* frames, or CROFT_ERROR_UNSUPPORTED */

#define CROFT_TIMEOUT_MS 5000u /* what a timeout of 0 means */

/*
 * Attaches: the VM stops. Without a flag, Undercroft is asked for frames; every other stub gets plain RSP.
 *
 * target:
 *	tcp:HOST:PORT			IPv6 addresses in brackets
 *	unix:PATH			a Unix socket
 *	serial:PATH[,BAUD]		a serial port at any speed it can do, 8N1; default 115200
 *	pty:PATH			a pseudo-terminal
 *	fd:NUMBER			an open file descriptor, which then belongs to the VM; *vm NULL: it is closed
 *	HOST:PORT, an absolute path	one of these, by what it is
 * timeout_ms: see "Time" above; 0 means CROFT_TIMEOUT_MS.
 * Errors: ARGUMENT (no such form), SYSTEM, BUSY, TIMEOUT (the other end is silent), PROTOCOL (it says something, but
 * no RSP: another speed?), LOST, MEMORY. *vm is NULL then.
 */
CROFT_API enum croft_status croft_vm_open(const char *target, unsigned flags, unsigned timeout_ms, struct croft_vm **vm,
					  struct croft_error *error);

/*
 * Detaches: changed registers are written, breakpoints go, the guest runs on. vm and all that belongs to it is gone
 * afterwards, whatever is returned; NULL is allowed. An error says that the guest may not have heard it.
 */
CROFT_API enum croft_status croft_vm_close(struct croft_vm *vm, struct croft_error *error);

/* The target as it was given. */
CROFT_API const char *croft_vm_target(const struct croft_vm *vm);

/* Is it Undercroft? Are there frames, so that log text flows and many questions fit into one round trip? */
CROFT_API bool croft_vm_is_undercroft(const struct croft_vm *vm);
CROFT_API bool croft_vm_is_framed(const struct croft_vm *vm);

/*
 * Ends the wait of the call that is under way, or of the next one that waits, with CROFT_ERROR_INTERRUPTED. The VM is
 * as it was: stopped or running. May be called from signal handlers and other threads, while the VM exists.
 */
CROFT_API void croft_vm_interrupt(struct croft_vm *vm);

/* To be watched for POLLIN by programs with a loop of their own, which then call croft_vm_pump(). */
CROFT_API int croft_vm_fd(const struct croft_vm *vm);

/*
 * Does what is due on the wire: sends signs of life, takes in what has come, hands text on. Waits up to timeout_ms
 * (0: not at all) for something to come. A stop that comes is kept for croft_vm_wait().
 * Errors: LOST, INTERRUPTED.
 */
CROFT_API enum croft_status croft_vm_pump(struct croft_vm *vm, unsigned timeout_ms, struct croft_error *error);

enum croft_stream {
	CROFT_STREAM_LOG,   /* Undercroft's log, as it is written; with frames only */
	CROFT_STREAM_OUTPUT /* what monitor commands and breakpoints' commands print */
};

/* text is not terminated, and may end anywhere in a line. */
typedef void croft_text_fn(void *data, enum croft_stream stream, const char *text, size_t length);

/* Who gets text; NULL: nobody, it is dropped. One at a time. */
CROFT_API void croft_vm_set_text_handler(struct croft_vm *vm, croft_text_fn *handler, void *data);

/* What went over the wire since croft_vm_open(). */
struct croft_counters {
	uint64_t bytes_sent, bytes_received;
	uint64_t packets_sent, packets_received; /* of RSP, without repetitions */
	uint64_t waits;				 /* how often an answer was waited for: round trips */
	uint64_t frames_bad, frames_repeated;	 /* 0 without frames */
	uint64_t packets_repeated;		 /* 0 with frames */
};

CROFT_API void croft_vm_counters(const struct croft_vm *vm, struct croft_counters *counters);

/* --- run control ------------------------------------------------------------------------------------------------- */

enum croft_stop_kind {
	CROFT_STOP_NONE,    /* it runs */
	CROFT_STOP_ATTACH,  /* it stood already, or stopped because of us */
	CROFT_STOP_REQUEST, /* croft_vm_stop() */
	CROFT_STOP_STEP,
	CROFT_STOP_BREAK,	/* a breakpoint in memory, of ours or the guest's */
	CROFT_STOP_BREAK_HARD,	/* a breakpoint of the CPU's */
	CROFT_STOP_WATCH_WRITE, /* see address */
	CROFT_STOP_WATCH_READ,
	CROFT_STOP_WATCH_ACCESS,
	CROFT_STOP_OTHER, /* see signal */
	CROFT_STOP_GONE	  /* the machine is gone: it was switched off, or the emulator ended */
};

struct croft_stop {
	enum croft_stop_kind kind;
	int signal;			     /* as GDB counts them: 2 interrupt, 5 trap */
	uint64_t address;		     /* breakpoints: linear pc; watches: what was accessed; else 0 */
	struct croft_breakpoint *breakpoint; /* the one that stopped it, or NULL */
};

/* "request", "step", "break", ... */
CROFT_API const char *croft_stop_name(enum croft_stop_kind kind);

/*
 * A stop has come. Returns true if the VM is to stay stopped, false: it is to go on as it did.
 */
typedef bool croft_stop_fn(void *data, struct croft_vm *vm, const struct croft_stop *stop);

/* Is it running? Then everything that looks at the guest fails with CROFT_ERROR_RUNNING. */
CROFT_API bool croft_vm_is_running(const struct croft_vm *vm);

/* The last stop; kind CROFT_STOP_NONE while it runs. */
CROFT_API const struct croft_stop *croft_vm_last_stop(const struct croft_vm *vm);

/*
 * Lets the VM go on, after writing changed registers. Returns at once. If it runs already nothing happens.
 * Errors: REFUSED (a register's value; the VM stays stopped and the register has its old value again), LOST, TIMEOUT.
 */
CROFT_API enum croft_status croft_vm_run(struct croft_vm *vm, struct croft_error *error);

/* Executes one instruction. Else as croft_vm_run(); then croft_vm_wait(). */
CROFT_API enum croft_status croft_vm_step(struct croft_vm *vm, struct croft_error *error);

/*
 * Executes until RIP is not in start <= RIP < end any more, or something else stops it. Else as croft_vm_step().
 * Errors also: UNSUPPORTED.
 */
CROFT_API enum croft_status croft_vm_step_range(struct croft_vm *vm, uint64_t start, uint64_t end,
						struct croft_error *error);

/*
 * Waits for a stop that somebody wants: a breakpoint's handler and all events are asked, and if there is somebody to be
 * asked and all say false the VM goes on (runs, or steps again) and is waited for anew. Returns at once if it stands.
 * timeout_ms: in all; negative: for ever. *stop may be NULL; it is valid until the VM goes on or is closed.
 * Errors: TIMEOUT (it still runs), INTERRUPTED (it still runs), LOST, PROTOCOL.
 */
CROFT_API enum croft_status croft_vm_wait(struct croft_vm *vm, int timeout_ms, const struct croft_stop **stop,
					  struct croft_error *error);

/*
 * Stops the VM. Handlers and events are not asked. If it stands already nothing happens.
 * Errors: TIMEOUT (the guest is not interruptible at the moment: the request stays, croft_vm_wait() may see it), LOST.
 */
CROFT_API enum croft_status croft_vm_stop(struct croft_vm *vm, const struct croft_stop **stop,
					  struct croft_error *error);

/* Adds somebody who is asked at each stop. *event may be NULL. Errors: MEMORY. */
CROFT_API enum croft_status croft_event_add(struct croft_vm *vm, croft_stop_fn *handler, void *data,
					    struct croft_event **event, struct croft_error *error);
CROFT_API void croft_event_remove(struct croft_event *event);

/* --- the CPU ----------------------------------------------------------------------------------------------------- */

/*
 * Registers are read when they are asked for, and once only until the VM goes on. What is written is kept, and reaches
 * the CPU before the VM goes on or anything else is asked about memory, or at croft_cpu_flush().
 */

/* The CPU that stopped. It belongs to the VM. */
CROFT_API struct croft_cpu *croft_vm_cpu(struct croft_vm *vm);

/* Another one, by number from 0. Errors: NOT_FOUND. */
CROFT_API enum croft_status croft_vm_select_cpu(struct croft_vm *vm, unsigned number, struct croft_cpu **cpu,
						struct croft_error *error);
CROFT_API enum croft_status croft_vm_cpu_count(struct croft_vm *vm, unsigned *count, struct croft_error *error);

#define CROFT_GROUP_GENERAL 0x01u /* rax .. r15, rip, eflags, cs .. gs: one packet */
#define CROFT_GROUP_FLOAT   0x02u /* st0 .. st7 and the FPU's control registers */
#define CROFT_GROUP_VECTOR  0x04u /* xmm0 .. xmm15, mxcsr */
#define CROFT_GROUP_SEGMENT 0x08u /* ldtr, tr; base, limit, attributes of all segments */
#define CROFT_GROUP_SYSTEM  0x10u /* cr0 .. pat, and everything not named elsewhere */
#define CROFT_GROUP_DERIVED 0x20u /* linear_pc linear_sp cpu_mode: read-only */
#define CROFT_GROUP_LOW	    0x40u /* rax_low .. rip_low: the low halves; writing leaves the upper ones */

#define CROFT_REGISTER_BYTES_MAX 64u

struct croft_register {
	const char *name; /* as in GDB; valid as long as the VM is */
	unsigned bytes;
	unsigned group;	 /* one of CROFT_GROUP_x */
	unsigned number; /* in RSP */
};

/* The registers that there are, by index from 0, in the order of their numbers. False: no more. */
CROFT_API bool croft_vm_register(const struct croft_vm *vm, unsigned index, struct croft_register *reg);

/*
 * A register of up to 8 bytes, by name; "pc", "sp" and "flags" are other names of rip, rsp and eflags.
 * Errors: ARGUMENT (no such register; larger than 8 bytes), RUNNING, UNSUPPORTED (no value at the moment), LOST ...
 */
CROFT_API enum croft_status croft_cpu_read(struct croft_cpu *cpu, const char *name, uint64_t *value,
					   struct croft_error *error);

/*
 * Changes one. That it cannot have this value is said by croft_cpu_flush() or croft_vm_run().
 * Errors: ARGUMENT (no such register; too large a value), RUNNING.
 */
CROFT_API enum croft_status croft_cpu_write(struct croft_cpu *cpu, const char *name, uint64_t value,
					    struct croft_error *error);

/* The same with a register's bytes, in the CPU's order. size: of the buffer, to be at least (write: exactly) its. */
CROFT_API enum croft_status croft_cpu_read_bytes(struct croft_cpu *cpu, const char *name, void *buffer, size_t size,
						 struct croft_error *error);
CROFT_API enum croft_status croft_cpu_write_bytes(struct croft_cpu *cpu, const char *name, const void *bytes,
						  size_t size, struct croft_error *error);

/* Reads all registers of these groups that are not known yet: with frames, in one round trip. groups: of CROFT_GROUP_x
 */
CROFT_API enum croft_status croft_cpu_load(struct croft_cpu *cpu, unsigned groups, struct croft_error *error);

/*
 * Writes changed registers now. Errors: REFUSED, with the register's name in the text: it has its old value again, as
 * those that were to be written behind it.
 */
CROFT_API enum croft_status croft_cpu_flush(struct croft_cpu *cpu, struct croft_error *error);

struct croft_segment {
	uint16_t selector;
	uint16_t attributes; /* type, S, DPL, P in bits 0 to 7, AVL, L, D/B, G in bits 8 to 11 */
	uint32_t limit;	     /* in bytes */
	uint64_t base;
};

/* "es", "cs", "ss", "ds", "fs", "gs", "ldtr" or "tr", as the CPU has it cached. Errors: UNSUPPORTED, RUNNING ... */
CROFT_API enum croft_status croft_cpu_segment(struct croft_cpu *cpu, const char *name, struct croft_segment *segment,
					      struct croft_error *error);

enum croft_mode {
	CROFT_MODE_REAL,
	CROFT_MODE_V8086,
	CROFT_MODE_PROTECTED16,
	CROFT_MODE_PROTECTED32,
	CROFT_MODE_COMPATIBILITY16,
	CROFT_MODE_COMPATIBILITY32,
	CROFT_MODE_LONG64,
	CROFT_MODE_INVALID
};

/*
 * What the CPU executes. Of a stub that does not tell CS' attributes, long mode is taken for 64-bit code and protected
 * mode for 32-bit code. Errors: UNSUPPORTED (it does not tell CR0), RUNNING ...
 */
CROFT_API enum croft_status croft_cpu_mode(struct croft_cpu *cpu, enum croft_mode *mode, struct croft_error *error);

/* "real", "v8086", "prot16", "prot32", "compat16", "compat32", "long64", "invalid" */
CROFT_API const char *croft_mode_name(enum croft_mode mode);

/* Where the next instruction is, as a linear address. */
CROFT_API enum croft_status croft_cpu_linear_pc(struct croft_cpu *cpu, uint64_t *address, struct croft_error *error);

/* A model-specific register. Errors: REFUSED (#GP), UNSUPPORTED, RUNNING ... */
CROFT_API enum croft_status croft_cpu_msr_read(struct croft_cpu *cpu, uint32_t index, uint64_t *value,
					       struct croft_error *error);
CROFT_API enum croft_status croft_cpu_msr_write(struct croft_cpu *cpu, uint32_t index, uint64_t value,
						struct croft_error *error);

/* A port of 1, 2 or 4 bytes, as the guest sees it; reading may have effects. Errors as for MSRs. */
CROFT_API enum croft_status croft_cpu_port_read(struct croft_cpu *cpu, uint16_t port, unsigned size, uint32_t *value,
						struct croft_error *error);
CROFT_API enum croft_status croft_cpu_port_write(struct croft_cpu *cpu, uint16_t port, unsigned size, uint32_t value,
						 struct croft_error *error);

/* --- memory ------------------------------------------------------------------------------------------------------ */

enum croft_space_kind {
	CROFT_SPACE_CURRENT,  /* linear, by the CPU's page tables as they are */
	CROFT_SPACE_PHYSICAL, /* guest-physical */
	CROFT_SPACE_CR3	      /* linear, by other page tables, in the CPU's paging mode */
};

/* Whose addresses are meant. Linear addresses are looked up whatever the privilege level. */
struct croft_space {
	enum croft_space_kind kind;
	bool device;  /* device memory is meant, too: reading it can have effects */
	uint64_t cr3; /* CROFT_SPACE_CR3 */
};

static inline struct croft_space croft_space_make(enum croft_space_kind kind, uint64_t cr3)
{
	struct croft_space space;

	space.kind = kind;
	space.device = false;
	space.cr3 = cr3;
	return space;
}

static inline struct croft_space croft_current(void)
{
	return croft_space_make(CROFT_SPACE_CURRENT, 0);
}

static inline struct croft_space croft_physical(void)
{
	return croft_space_make(CROFT_SPACE_PHYSICAL, 0);
}

static inline struct croft_space croft_cr3(uint64_t cr3)
{
	return croft_space_make(CROFT_SPACE_CR3, cr3);
}

/*
 * Reads memory. *done (may be NULL): how many bytes from the beginning were read, also after an error; it is length
 * after CROFT_OK.
 * Errors: UNMAPPED, DENIED, UNSUPPORTED (the space), ARGUMENT (beyond the end of all addresses), RUNNING, LOST ...
 */
CROFT_API enum croft_status croft_memory_read(struct croft_vm *vm, struct croft_space space, uint64_t address,
					      void *buffer, size_t length, size_t *done, struct croft_error *error);

/* Writes memory, by chunks: what lies before an error is written. *done and errors as for reading. */
CROFT_API enum croft_status croft_memory_write(struct croft_vm *vm, struct croft_space space, uint64_t address,
					       const void *data, size_t length, size_t *done,
					       struct croft_error *error);

struct croft_mapping {
	uint64_t physical;  /* where the address leads */
	uint64_t page_size; /* in bytes: 4 KiB, 2 MiB, 4 MiB, 1 GiB; without paging 4 KiB */
	bool writable, executable, user;
};

/* Where a linear address leads. Errors: UNMAPPED, UNSUPPORTED, RUNNING ... */
CROFT_API enum croft_status croft_memory_translate(struct croft_vm *vm, struct croft_space space, uint64_t address,
						   struct croft_mapping *mapping, struct croft_error *error);

/*
 * Looks for the first place at or above start where size bytes of pattern lie whole within length bytes. What is not
 * mapped is passed over. Errors: NOT_FOUND, ARGUMENT (size 0 or above 1024), INTERRUPTED, RUNNING, LOST ...
 */
CROFT_API enum croft_status croft_memory_search(struct croft_vm *vm, struct croft_space space, uint64_t start,
						uint64_t length, const void *pattern, size_t size, uint64_t *found,
						struct croft_error *error);

struct croft_range {
	uint64_t start, length; /* guest-physical */
	bool is_ram;		/* false: ROM */
};

/*
 * The guest's physical memory. *ranges: an array of *count, to be given back with croft_free().
 * Errors: UNSUPPORTED, RUNNING, LOST ...
 */
CROFT_API enum croft_status croft_memory_map(struct croft_vm *vm, struct croft_range **ranges, size_t *count,
					     struct croft_error *error);

/* --- breakpoints ------------------------------------------------------------------------------------------------- */

/* Numbered as in RSP. */
enum croft_break_kind {
	CROFT_BREAK_SOFT,  /* in memory; any number as far as there is room */
	CROFT_BREAK_HARD,  /* a debug register of the CPU */
	CROFT_WATCH_WRITE, /* length bytes are written */
	CROFT_WATCH_READ,  /* ... read */
	CROFT_WATCH_ACCESS /* ... either */
};

struct croft_break {
	enum croft_break_kind kind;
	uint64_t address;	  /* linear */
	uint64_t length;	  /* watches: 1 to whatever there is room for; 0 is 1; else not used */
	struct croft_space space; /* current: in all page tables; cr3: while these are in use */
	const char *name;	  /* of one word, each only once; NULL: "b1", "b2" ... */
	/* GDB's agent expressions, "Debugging with GDB", appendix F: evaluated by the hypervisor, 0 is false; NULL:
	 * none */
	const uint8_t *condition;
	size_t condition_length;
	const char *condition_text; /* how people wrote it, for croft_breakpoint_describe(); NULL: nothing */
	/* asked by croft_vm_wait() when it hits; NULL: nobody */
	croft_stop_fn *handler;
	void *data;
};

/*
 * Adds one; what the structure points to is copied. *breakpoint may be NULL.
 * Errors: ARGUMENT (the name), FULL, REFUSED, UNSUPPORTED (its kind, or conditions), UNMAPPED, RUNNING, LOST ...
 */
CROFT_API enum croft_status croft_breakpoint_add(struct croft_vm *vm, const struct croft_break *what,
						 struct croft_breakpoint **breakpoint, struct croft_error *error);

/* Removes one, which is gone afterwards, whatever is returned. Errors: RUNNING (it stays then), REFUSED, LOST ... */
CROFT_API enum croft_status croft_breakpoint_remove(struct croft_breakpoint *breakpoint, struct croft_error *error);

/* The first one (previous NULL), or the next; NULL: no more. In the order in which they were added. */
CROFT_API struct croft_breakpoint *croft_breakpoint_next(struct croft_vm *vm, struct croft_breakpoint *previous);
CROFT_API struct croft_breakpoint *croft_breakpoint_find(struct croft_vm *vm, const char *name);

/* As it was added, with its name; valid as long as it is there. */
CROFT_API const struct croft_break *croft_breakpoint_what(const struct croft_breakpoint *breakpoint);

/* How often it has stopped the VM. */
CROFT_API uint64_t croft_breakpoint_hits(const struct croft_breakpoint *breakpoint);

/*
 * One line for people: "esp0 0xc1331f14 Write (4)". Terminated, cut if size is too small. Returns how long it is in
 * all, without the terminator.
 */
CROFT_API size_t croft_breakpoint_describe(const struct croft_breakpoint *breakpoint, char *buffer, size_t size);

/* --- what else the hypervisor tells ------------------------------------------------------------------------------ */

/*
 * A command line for the hypervisor's monitor ("help" lists them). What it prints goes to handler, and if that is NULL
 * to the VM's text handler. Errors: UNSUPPORTED, REFUSED, RUNNING, LOST ...
 */
CROFT_API enum croft_status croft_vm_monitor(struct croft_vm *vm, const char *line, croft_text_fn *handler, void *data,
					     struct croft_error *error);

/*
 * An object, whole: "croft.stats", "croft.log", "croft.memory-map", "threads", "features" (annex "target.xml") ...
 * *content: its bytes and a zero that does not count, to be given back with croft_free().
 * Errors: UNSUPPORTED (no such object), REFUSED (no such annex), PROTOCOL (larger than 64 MiB), RUNNING, LOST ...
 */
CROFT_API enum croft_status croft_vm_object(struct croft_vm *vm, const char *object, const char *annex, char **content,
					    size_t *length, struct croft_error *error);

/* --- packets as they are ------------------------------------------------------------------------------------------ */

/*
 * For those who say what this library does not. Content is what stands between $ and #, without escapes and run
 * lengths. What the library knows of registers is forgotten by each of them, and packets that let the VM go on make it
 * run. Breakpoints that are set and removed so are not in the library's list.
 */

/* Sends one, waits for the answer. *reply: terminated, to be given back with croft_free(). Errors: RUNNING, LOST ... */
CROFT_API enum croft_status croft_packet_ask(struct croft_vm *vm, const void *content, size_t length, char **reply,
					     size_t *reply_length, struct croft_error *error);

/* Sends one that lets the VM go on (c, s, vCont ...); the answer is the stop: croft_packet_receive(). */
CROFT_API enum croft_status croft_packet_go(struct croft_vm *vm, const void *content, size_t length,
					    struct croft_error *error);

/*
 * The stop reply, as it came, after croft_packet_go(); handlers and events are not asked. timeout_ms: negative: for
 * ever. *reply as above. Errors: TIMEOUT, INTERRUPTED, LOST ...
 */
CROFT_API enum croft_status croft_packet_receive(struct croft_vm *vm, int timeout_ms, char **reply,
						 size_t *reply_length, struct croft_error *error);

/* --- another debugger --------------------------------------------------------------------------------------------- */

/*
 * GDB, LLDB or whoever speaks RSP, on this VM, while the program goes on using it. Somebody carries its bytes to and
 * fro: croft_proxy_take(), croft_proxy_output(). What it says reaches the other end as it is, with these exceptions:
 *
 * - Acknowledgements, their absence, damaged packets and interrupts are between the debugger and the proxy.
 * - Memory that it reads is read once, until the VM goes on or anything is changed, or the program asks the other end
 *   anything. Undercroft only, and not while device memory is meant; what is around it is read with it.
 * - Its address space, CPU and breakpoints are its own. At a place where the program has a breakpoint, too, that one
 *   counts.
 * - D, k and vKill take up its breakpoints and let the VM run; the program stays attached.
 * - Its first packet stops the VM. When the program has let the VM run, its questions get E0b; c waits for the stop.
 *
 * A stop is seen by both; it comes when the program waits, as by croft_vm_wait(). Output of the VM is the debugger's
 * while it waits for a stop.
 */
struct croft_proxy;

/* For one debugger. It belongs to the VM. Errors: BUSY (there is one already), MEMORY. */
CROFT_API enum croft_status croft_proxy_open(struct croft_vm *vm, struct croft_proxy **proxy,
					     struct croft_error *error);

/*
 * It has gone. Its breakpoints are taken up, for which a VM that runs is stopped for a moment; else the VM stays as it
 * is. NULL is allowed. An error says that breakpoints may have stayed: TIMEOUT, LOST ...
 */
CROFT_API enum croft_status croft_proxy_close(struct croft_proxy *proxy, struct croft_error *error);

/*
 * Bytes from the debugger. An error says which question could not be asked, the last of them; the debugger has got an
 * answer, if it is not croft_proxy_is_over(). PROTOCOL: it is no debugger. LOST.
 */
CROFT_API enum croft_status croft_proxy_take(struct croft_proxy *proxy, const void *data, size_t length,
					     struct croft_error *error);

/*
 * What it is to be sent; NULL or *length 0: nothing. To be asked for whenever something was taken, or the VM was waited
 * for. croft_proxy_sent(): so much of it is on its way.
 */
CROFT_API const void *croft_proxy_output(struct croft_proxy *proxy, size_t *length);
CROFT_API void croft_proxy_sent(struct croft_proxy *proxy, size_t length);

/* It has detached, or does not read what it is sent: after the output there is no more to come. */
CROFT_API bool croft_proxy_is_over(const struct croft_proxy *proxy);

/* Does it wait for the VM to stop? */
CROFT_API bool croft_proxy_is_waiting(const struct croft_proxy *proxy);

struct croft_proxy_counters {
	uint64_t packets;	     /* that it sent */
	uint64_t reads, reads_known; /* of memory; answered without asking */
};

CROFT_API void croft_proxy_counters(const struct croft_proxy *proxy, struct croft_proxy_counters *counters);

/* --- large contents ----------------------------------------------------------------------------------------------- */

/*
 * The channel for large contents, with frames only. Reads what has come, waiting up to timeout_ms for the first of it;
 * writes all of it. Errors: UNSUPPORTED (no frames), TIMEOUT, INTERRUPTED, LOST.
 */
CROFT_API enum croft_status croft_bulk_read(struct croft_vm *vm, void *buffer, size_t size, unsigned timeout_ms,
					    size_t *done, struct croft_error *error);
CROFT_API enum croft_status croft_bulk_write(struct croft_vm *vm, const void *data, size_t length,
					     struct croft_error *error);

/* --- dumps ------------------------------------------------------------------------------------------------------- */

enum croft_dump_format {
	CROFT_DUMP_ELF,	 /* a core: PRSTATUS, QEMU's CPU state, VMCOREINFO as the guest has it, a segment for each range
			  */
	CROFT_DUMP_LIME, /* LiME: a header before each range */
	CROFT_DUMP_RAW	 /* each byte at its address; what is there is told by a file of the same name and ".json" */
};

enum croft_dump_phase {
	CROFT_DUMP_HASHES,   /* what there is */
	CROFT_DUMP_CONTENTS, /* what is not known yet comes */
	CROFT_DUMP_WRITES    /* the file is written; the wire is not needed any more */
};

struct croft_dump_progress {
	enum croft_dump_phase phase;
	unsigned pass;			  /* from 1; more than one while the guest runs, or devices write */
	uint64_t pages_done, pages_total; /* of this phase */
	uint64_t bytes_received;	  /* on the channel for large contents, since the dump began */
	uint64_t bytes_left;		  /* an estimate of what is still to come in this pass */
};

/* Returns false to give up: CROFT_ERROR_INTERRUPTED. */
typedef bool croft_dump_progress_fn(void *data, const struct croft_dump_progress *progress);

struct croft_dump {
	enum croft_dump_format format;
	const char *path; /* written under another name first: it is there when it is whole */
	/*
	 * A file that keeps pages for the next dump, and the one that is cut off: what it has does not travel again. It
	 * is made if it is not there, readable by its owner alone, and there is a second one with ".map" behind its
	 * name. NULL: none. Pages are told apart by a hash with the cache's own random key.
	 */
	const char *cache;
	bool live;	 /* the guest runs meanwhile; it has to be stopped at the beginning, and runs at the end */
	unsigned passes; /* live: how often changed pages are sent again, at most; 0: CROFT_DUMP_PASSES */
	croft_dump_progress_fn *progress; /* NULL: nobody wants to know */
	void *data;
};

#define CROFT_DUMP_PASSES 4u

struct croft_dump_result {
	uint64_t pages;	       /* of guest-physical memory */
	uint64_t zero, absent; /* all zero; nothing can be read although the map says so: written as zeros */
	uint64_t cached;       /* were known when the dump began */
	uint64_t sent;	       /* contents that came */
	uint64_t inconsistent; /* changed behind the others: they are not of one moment */
	uint64_t bytes_sent, bytes_received; /* on the channel for large contents */
	bool has_vmcoreinfo;		     /* the guest has one: CROFT_DUMP_ELF */
};

/*
 * Writes the guest's memory to a file. The VM has to be stopped. *result may be NULL, and is filled in after errors,
 * too. Errors: UNSUPPORTED (no frames, or the other end is no Undercroft that does this), SYSTEM (a file), BUSY (the
 * cache is in use), INTERRUPTED, RUNNING, LOST, TIMEOUT, PROTOCOL, MEMORY. After all of them the cache is good to go on
 * with.
 */
CROFT_API enum croft_status croft_dump(struct croft_vm *vm, const struct croft_dump *dump,
				       struct croft_dump_result *result, struct croft_error *error);

#ifdef __cplusplus
}
#endif

#endif
