/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How it is that we get to look at the link while the guest runs. Must not know what is looked for.
 */
#ifndef CORE_CONTROL_WATCH_H
#define CORE_CONTROL_WATCH_H

#include <undercroft/types.h>

struct vcpu;

/* Between two looks, in microseconds: for a client to come, for what one that is there wants, to send it more. */
#define WATCH_LISTENING_US 100000u
#define WATCH_ATTACHED_US  5000u
#define WATCH_BUSY_US	   1000u

enum watch_state {
	WATCH_OFF,	 /* nothing is armed: costs nothing */
	WATCH_LISTENING, /* a client may come */
	WATCH_ATTACHED,	 /* one is there */
	WATCH_BUSY,	 /* and gets something in the background */
};

struct watch {
	enum watch_state state;
	uint64_t looked_us;
	uint32_t exits; /* since the last look, where they are counted */
};

/*
 * Arms what this CPU has for it. With a timer of the backend's (BACKEND_CAP_TIMER) that alone. Without one: external
 * interrupts, HLT and MWAIT; while listening the CPU may halt, if interrupts can wake it, or, if CONFIG_WATCH_EXITS
 * says so, nothing is armed.
 */
void watch_set(struct vcpu *vcpu, struct watch *watch, enum watch_state state);

/* For the control's poll: is it time to look? Sees to it that the next time comes. */
bool watch_is_due(struct vcpu *vcpu, struct watch *watch);

#endif
