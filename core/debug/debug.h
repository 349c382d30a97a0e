/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run control's state, and what its files share.
 */
#ifndef CORE_DEBUG_DEBUG_H
#define CORE_DEBUG_DEBUG_H

#include <undercroft/debug.h>
#include <undercroft/insn.h>
#include <undercroft/nested.h>
#include <undercroft/owner.h>

#include "core/debug/agent.h"

/* How the guest goes on. */
enum go {
	GO_FREE,
	GO_OVER, /* one instruction with nothing planted, then freely */
	GO_STEP, /* instructions in [range_start, range_end), at least one, then it stops */
};

/* What is under way of one instruction. */
enum phase {
	PHASE_NONE,
	PHASE_SINGLE, /* it runs with our TF */
	PHASE_ARRIVE, /* an event is delivered; the first fetch behind it exits */
};

/* A page of the guest in which something is planted. */
struct planted_page {
	unsigned count; /* of what is planted; 0: not in use */
	gpa_t page;
	const uint8_t *original; /* where it lies */
	paddr_t copy;		 /* with INT3s; what is executed */
	bool open;		 /* BACKEND_CAP_EXEC_ONLY: the copy is in the base, to be executed alone */
};

struct breakpoint {
	bool used;
	uint8_t kind; /* enum break_kind */
	bool bound;
	bool planted; /* at gpa */
	bool watched; /* all of it is, by pieces */
	bool lost;    /* had a place, and was told to have none */
	uint8_t slot; /* DR6.B0 to B3: of its debug register; 0: it has none */
	uint64_t cr3;
	gva_t address;
	uint64_t length;
	gpa_t gpa;
	/* In debug->code. */
	unsigned code_at, code_size, condition_count, command_count;
	uint64_t content; /* of what is watched, before the access under way: a hash */
	/* The instruction there, by over.c; in_place: it can be executed where it is, in the copy. */
	struct insn insn;
	bool in_place;
	uint32_t code_mode; /* in which it is that: SEG_ATTR_L and SEG_ATTR_DB, as they count */
	uint64_t seen[2];   /* the page's bytes from there on */
	uint8_t *int3;	    /* in the copy */
	const uint8_t *original;
};

/* The part of a watch that lies in one page. */
struct watch_piece {
	uint16_t length; /* 0: not in use */
	uint16_t index;	 /* of the page, from the one with the first byte */
	uint8_t owner;	 /* in breaks */
	gpa_t gpa;
};

#define WATCH_PIECE_MAX 64

/* Debug registers for addresses. */
#define DEBUG_SLOT_COUNT 4

/* What an instruction, or the delivery of an event, does to what is watched. */
struct watch_access {
	bool active;
	bool delivery, error, v8086; /* of an event: the frame that it pushes */
	uint8_t cpl;
	uint64_t hits; /* one bit for each of breaks */
};

/* Of all expressions together: how many operations, and one more for each. */
#define DEBUG_CODE_MAX 2048

struct debug {
	bool stopped;
	uint8_t go;	     /* enum go */
	uint8_t phase;	     /* enum phase */
	bool cpu_event;	     /* the CPU itself delivers something at the next entry */
	uint64_t arrive_rip; /* where it was when that was seen */
	uint64_t range_start, range_end;
	struct stop request; /* kind STOP_NONE: none */
	struct stop stop;    /* the present one, or the last */

	bool registers; /* INTERCEPT_DR and that of #DB are armed */
	/* DR6.B0 to B3 of the guest's breakpoints and ours, as the CPU has them; of ours; of those before instructions
	 */
	uint8_t enabled, ours, passes;
	struct breakpoint *slots[DEBUG_SLOT_COUNT]; /* ours, by the number of their register */
	bool int3;				    /* that of #BP is */
	bool follows;				    /* INTERCEPT_PAGING is armed, or only off for one instruction */
	bool lets_pass;
	bool waits; /* a breakpoint waits for its page: page faults exit */
	struct breakpoint breaks[DEBUG_BREAK_MAX];
	unsigned breaks_end; /* none behind that was ever used */
	struct agent_op code[DEBUG_CODE_MAX];
	unsigned code_used;
	struct agent_source source; /* of the expressions' values */
	const char *code_error;	    /* why the last one could not be evaluated; NULL once that is reported */
	struct planted_page pages[DEBUG_PAGE_MAX];
	unsigned pages_used;
	struct watch_piece pieces[WATCH_PIECE_MAX];
	unsigned pieces_used;
	struct watch_access access;
	struct nested_view
		code_view; /* without BACKEND_CAP_EXEC_ONLY: one planted page can be executed, nothing else */
	bool in_code;	   /* that was activated last by us */
};

extern const struct owner debug_owner;

/* step.c: one instruction. Returns true if it is done already, false if the guest has to be entered for it. */
bool debug_step_prepare(struct vcpu *vcpu);

/* The same for an instruction that the CPU is known to step as others. */
void debug_step_simple(struct vcpu *vcpu);

/* What became of it: -EAGAIN it is under way, 0 it has to be prepared (again), 1 it is done. */
int debug_step_settle(struct vcpu *vcpu);

/*
 * over.c: lets the instruction under a planted breakpoint pass, and the guest go on. code_mode: SEG_ATTR_L and
 * SEG_ATTR_DB, as they count.
 */
void debug_step_over(struct vcpu *vcpu, struct breakpoint *here, uint32_t code_mode);

/* break.c */

/* The first breakpoint that is planted at the instruction pointer, or NULL. */
struct breakpoint *debug_break_here(struct vcpu *vcpu);

/* A stepped range has come to an instruction: stops if it has a breakpoint of any kind that wants it. */
void debug_break_arrived(struct vcpu *vcpu);

/* A breakpoint is hit: asks for the stop unless its expressions are against it. Returns whether it did. */
bool debug_break_report(struct vcpu *vcpu, const struct breakpoint *b);

/* Does a breakpoint that is bound count now? */
bool debug_break_counts(struct vcpu *vcpu, const struct breakpoint *b);

/* The instruction that debug_paging() let pass is done, or not: what it changed counts now. */
void debug_paging_done(struct vcpu *vcpu);

/* Plants and takes out by where the addresses lead now. */
void debug_breaks_resolve(struct vcpu *vcpu);

/* A breakpoint that was in a debug register, or found none: elsewhere. Returns 0 or why not. */
int debug_break_resolve(struct vcpu *vcpu, struct breakpoint *b);

/* Takes a breakpoint out of where it is, debug registers apart. */
void debug_break_withdraw(struct vcpu *vcpu, struct breakpoint *b);

/* Takes everything out. */
void debug_breaks_release(struct vcpu *vcpu);

/*
 * registers.c: breakpoints in the CPU's debug registers, next to the guest's own.
 */

/* Gives out the registers that the guest leaves. What does not get one any more has no slot, and is nowhere. */
void debug_registers_update(struct vcpu *vcpu);

/* The instruction at RIP is to run whatever instruction breakpoint of ours is there. */
void debug_registers_pass(struct vcpu *vcpu);

/*
 * watch.c: memory that is watched by the rights to its page, and what instructions do to it.
 */

/* Places, and moves, the pieces of a watch. Returns 0, also if some wait, or -EACCES, -ENOSPC, -ENOMEM. */
int debug_watch_resolve(struct vcpu *vcpu, struct breakpoint *b);

void debug_watch_withdraw(struct vcpu *vcpu, struct breakpoint *b);

/* Which ACCESS_x of data have to exit in a page. */
uint8_t debug_watch_trapped(const struct debug *debug, gpa_t page);

/* The instruction at RIP, or the delivery under way, exited at a watched page, or is about to be shown one. */
void debug_watch_begin(struct vcpu *vcpu, bool exited);

/* condition.c: expressions. */

void debug_code_init(struct vcpu *vcpu);

/* Replaces a breakpoint's expressions. Returns 0 or -E2BIG, with the old ones in place. */
int debug_code_set(struct vcpu *vcpu, struct breakpoint *b, const struct break_request *request);

void debug_code_remove(struct debug *debug, struct breakpoint *b);

/*
 * Conditions, then commands. Returns whether the guest is to stop. It is if one could not be evaluated; then
 * debug->code_error says why.
 */
bool debug_code_run(struct vcpu *vcpu, const struct breakpoint *b);

/* plant.c: INT3s in copies of pages, which the guest executes and does not read. */

/* Plants one at a guest-physical address. Returns 0, -EACCES (no memory that code runs from), -ENOSPC or -ENOMEM. */
int debug_plant(struct vcpu *vcpu, struct breakpoint *b, gpa_t gpa);

/* Takes a planted one out. */
void debug_unplant(struct vcpu *vcpu, struct breakpoint *b);

/* Gives a page the rights that what is planted and watched in it leaves. Returns 0 or -ENOMEM. */
int debug_page_map(struct vcpu *vcpu, gpa_t page);

/* Is all of a page memory that the guest has where it lies? Where, or NULL. */
const void *debug_page_original(struct vcpu *vcpu, gpa_t page);

/* The page with something planted, or NULL. */
struct planted_page *debug_planted_page(struct vcpu *vcpu, gpa_t page);

/* What is planted or lies in planted pages has changed. */
void debug_plants_refresh(struct vcpu *vcpu);

/*
 * Shows the page of the instruction at RIP as the guest has it, for that one instruction. here: debug_break_here()'s.
 * Returns 0 or -ENOMEM.
 */
int debug_plant_step_over(struct vcpu *vcpu, const struct breakpoint *here);

#endif
