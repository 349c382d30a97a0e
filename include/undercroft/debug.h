/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run control: stopping the guest between two instructions, looking at it, going on. Whoever talks to a debugger uses
 * this; nothing here knows a protocol. Everything armed belongs to one owner and goes with debug_release().
 */
#ifndef UNDERCROFT_DEBUG_H
#define UNDERCROFT_DEBUG_H

#include <undercroft/types.h>
#include <undercroft/exit.h>
#include <undercroft/mem.h>

struct debug;
struct nested_view;
struct vcpu;

/* Why the guest stands. */
enum stop_kind {
	STOP_NONE,
	STOP_START,	 /* before its first instruction */
	STOP_REQUEST,	 /* somebody asked */
	STOP_STEP,	 /* a step is done */
	STOP_BREAK,	 /* BREAK_SOFT, before the instruction */
	STOP_BREAK_HARD, /* BREAK_HARD, before the instruction */
	STOP_WATCH,	 /* WATCH_x, behind the instruction */
	STOP_CONDITION,	 /* the condition of a breakpoint could not be evaluated; text says why */
	STOP_REFUSED,	 /* the CPU did not enter the guest with the state it has; text says why */
};

struct stop {
	uint8_t kind;	  /* enum stop_kind */
	uint8_t access;	  /* STOP_WATCH: the ACCESS_x bit of what was asked for */
	gva_t address;	  /* linear; of the breakpoint or of the watched bytes */
	const char *text; /* for people; stays; may be NULL */
};

/* Who serves a stopped guest. Lies in the structure of whoever implements it; struct vm points to it. */
struct control {
	/* The guest is stopped: serves the client until debug_is_stopped() is false. */
	void (*stopped)(struct vcpu *vcpu);
	/* The guest runs: looks whether the client wants something. Never waits. */
	void (*poll)(struct vcpu *vcpu);
	/* Is somebody there who could change the guest's state? */
	bool (*is_attended)(struct vcpu *vcpu);
	/* What a breakpoint's commands print. May be cut short. */
	void (*print)(struct vcpu *vcpu, const char *text, size_t length);
	/*
	 * Registers by the number that the client's expressions name them with: first the general ones, in the order
	 * that gpr_order says (NULL if gpr_count is 0), then those that reg() knows. False: there is none, or it has
	 * no number.
	 */
	const uint8_t *gpr_order;
	unsigned gpr_count;
	bool (*reg)(struct vcpu *vcpu, unsigned number, uint64_t *value);
};

/* How many breakpoints of all kinds there can be, and in how many pages. */
#define DEBUG_BREAK_MAX 64
#define DEBUG_PAGE_MAX	16

/* Gives a vCPU run control; *debug is its state, zeroed here, and stays. Without it nothing can stop the guest. */
void debug_init(struct vcpu *vcpu, struct debug *debug);

bool debug_is_stopped(const struct vcpu *vcpu);

/* Why the guest stands, or stood last. */
const struct stop *debug_stop(const struct vcpu *vcpu);

/*
 * The guest stops before its next instruction: at once if it has exited, else behind its next exit. An event on its way
 * to the guest is delivered after it goes on. The first request counts until it is served.
 */
void debug_stop_request(struct vcpu *vcpu, const struct stop *stop);

/*
 * The CPU refused the guest's state, and why: the guest stops where it was, so that it can be changed. False: nobody is
 * there to do that.
 */
bool debug_refused(struct vcpu *vcpu, const char *why);

/* The stopped guest goes on; a breakpoint at its instruction pointer is stepped over first. */
void debug_resume(struct vcpu *vcpu);

/*
 * The stopped guest executes one instruction, and goes on doing so while RIP is in [start, end) (equal: one instruction
 * alone), then stops (STOP_STEP). A breakpoint at the first instruction does not count. Interrupts wait meanwhile; an
 * exception or an NMI is one step, to the first instruction of its handler. HLT ends at once, and what MOV SS and POP
 * SS hold off comes with them: as with the CPU's own trap flag.
 */
void debug_step(struct vcpu *vcpu, uint64_t start, uint64_t end);

/* Everything armed goes, a stopped guest runs on. */
void debug_release(struct vcpu *vcpu);

enum break_kind {
	BREAK_SOFT,   /* before an instruction, any number of them: Z0 */
	BREAK_HARD,   /* before an instruction, by a debug register: Z1 */
	WATCH_WRITE,  /* behind a write: Z2 */
	WATCH_READ,   /* behind a read: Z3 */
	WATCH_ACCESS, /* behind either: Z4 */
};

/* GDB agent expressions: GDB manual, "The GDB Agent Expression Mechanism" (appendix F). */
struct break_code {
	const uint8_t *bytes;
	size_t length;
};

struct break_request {
	enum break_kind kind;
	gva_t address;	 /* linear */
	uint64_t length; /* watches: bytes, at least 1; else ignored */
	bool bound;	 /* counts only while CR3 names the tables that cr3 does */
	uint64_t cr3;
	/* Stops only if one of the conditions is not zero, or there is none. */
	const struct break_code *condition;
	unsigned condition_count;
	/* Run at a hit whose condition holds; with commands the guest does not stop. */
	const struct break_code *command;
	unsigned command_count;
};

/*
 * Arms a breakpoint; one whose page is not mapped waits until it is. The same once more (kind, address, length,
 * binding) replaces conditions and commands. Returns 0, -EINVAL (length, address), -ENOSPC (table full), -E2BIG
 * (expressions), -ENOMEM, or -EACCES (hidden or device memory, which can be watched
 * by debug registers alone).
 */
int debug_break_add(struct vcpu *vcpu, const struct break_request *request);

/* By kind, address, length and binding. Returns 0 or -ENOENT. */
int debug_break_remove(struct vcpu *vcpu, const struct break_request *request);

/*
 * A register as the guest has it, which in the CPU's debug registers need not be so. What may be set is not checked.
 */
uint64_t debug_register_get(struct vcpu *vcpu, enum reg reg);
void debug_register_set(struct vcpu *vcpu, enum reg reg, uint64_t value);

/* Which addresses are meant. */
enum debug_space_kind {
	SPACE_CURRENT,	/* linear, by the guest's tables as they are */
	SPACE_PHYSICAL, /* guest-physical */
	SPACE_CR3,	/* linear, by the tables of another CR3 in the guest's present paging mode */
};

struct debug_space {
	enum debug_space_kind kind;
	uint64_t cr3; /* SPACE_CR3 */
};

/*
 * Where an address leads, whatever the CPL; A and D bits stay as they are. Outside of long mode linear addresses are
 * taken modulo 4 GiB. Returns 0, or -EFAULT: not mapped.
 */
int debug_translate(struct vcpu *vcpu, const struct debug_space *space, uint64_t address, struct mem_mapping *out);

#define DEBUG_MEM_DEVICE 0x1u /* device memory may be touched; reading it can have effects */

/*
 * Copies what the guest has there: its own bytes where a breakpoint is planted, firmware tables as they are shown.
 * *done is how many bytes were copied. Returns 0, or why it went no further: -EFAULT (not mapped, or nothing is there),
 * -EACCES (hidden memory, device memory without DEBUG_MEM_DEVICE, writes to ROM).
 */
int debug_mem_read(struct vcpu *vcpu, const struct debug_space *space, uint64_t address, void *buffer, size_t length,
		   unsigned flags, size_t *done);
int debug_mem_write(struct vcpu *vcpu, const struct debug_space *space, uint64_t address, const void *buffer,
		    size_t length, unsigned flags, size_t *done);

/* The rest is core's own. */

/*
 * A nested fault that is run control's: on a page that has a breakpoint planted, or behind leaving one. The exit's
 * detail is loaded. Returns false if it is not; else *verdict is how the exit ends.
 */
bool debug_nested(struct vcpu *vcpu, enum verdict *verdict);

/* RIP as a linear address. */
gva_t debug_pc(struct vcpu *vcpu);

/* The view that is right while nothing is stepped. */
const struct nested_view *debug_view(const struct vcpu *vcpu);

/* A stepped instruction has or may have written to this page. */
void debug_page_written(struct vcpu *vcpu, gpa_t page);

/*
 * #DB exited while the guest's debug registers are kept for it, and DR6 says why. What is run control's is taken out of
 * it. Returns whether anything is left, which the guest's DR6 and DR7 then show; if a step is under way, those are left
 * to its end.
 */
bool debug_exception_settle(struct vcpu *vcpu);

/* A step of an access is over: what it did to watched memory. completed as for step_end(). */
void debug_access_done(struct vcpu *vcpu, bool completed);

/* The guest's instruction accessed memory that we accessed for it. */
void debug_access_emulated(struct vcpu *vcpu, gva_t linear, unsigned size, bool write);

/* INT3 exited. Returns false if it is the guest's own. */
bool debug_break_hit(struct vcpu *vcpu);

/*
 * An instruction exited that may change where addresses lead. Returns false if nobody asked for that; else the CPU
 * carries it out at the next entry, alone.
 */
bool debug_paging(struct vcpu *vcpu);

/* A page fault on its way to the guest: by now, more may be mapped than before. */
void debug_page_fault(struct vcpu *vcpu);

/* CR3 was loaded on the guest's behalf. */
void debug_space_changed(struct vcpu *vcpu);

/* A step was given up because the CPU delivers an interrupt or an NMI at the next entry. */
void debug_event_pending(struct vcpu *vcpu);

/* Behind the work word, with WORK_STOP: serves what is due. */
void debug_work(struct vcpu *vcpu);

#endif
