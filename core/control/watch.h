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

/* Where the backend has no timer: what makes us look while the link listens. The build chooses (Kconfig, "Control"). */
enum watch_policy {
	WATCH_AT_INTERRUPTS, /* external interrupts, HLT and MWAIT; the CPU halts, if interrupts can wake it */
	WATCH_AT_CR3_WRITES, /* MOV to CR3 */
	WATCH_AT_EXITS,	     /* nothing is armed: exits that happen anyway */
};

struct watch {
	enum watch_policy policy;
	enum watch_state state;
	uint64_t looked_us;
	uint32_t exits; /* since the last look, where they are counted */
};

/* Off, with the policy that the build has chosen. */
void watch_init(struct watch *watch);

/*
 * Arms what this CPU has for it. With a timer of the backend's (BACKEND_CAP_TIMER) that alone. Without one: what the
 * policy says while listening; while somebody is attached external interrupts, HLT and MWAIT, and the CPU does not
 * halt.
 */
void watch_set(struct vcpu *vcpu, struct watch *watch, enum watch_state state);

/* For the control's poll: is it time to look? Sees to it that the next time comes. */
bool watch_is_due(struct vcpu *vcpu, struct watch *watch);

#endif
