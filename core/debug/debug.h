/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run control's state, and what its files share.
 */
#ifndef CORE_DEBUG_DEBUG_H
#define CORE_DEBUG_DEBUG_H

#include <undercroft/debug.h>

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

struct debug {
	bool stopped;
	uint8_t go;	     /* enum go */
	uint8_t phase;	     /* enum phase */
	bool cpu_event;	     /* the CPU itself delivers something at the next entry */
	uint64_t arrive_rip; /* where it was when that was seen */
	uint64_t range_start, range_end;
	struct stop request; /* kind STOP_NONE: none */
	struct stop stop;    /* the present one, or the last */
};

/* step.c: one instruction. Returns true if it is done already, false if the guest has to be entered for it. */
bool debug_step_prepare(struct vcpu *vcpu);

/* What became of it: -EAGAIN it is under way, 0 it has to be prepared (again), 1 it is done. */
int debug_step_settle(struct vcpu *vcpu);

#endif
