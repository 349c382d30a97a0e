/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words by which the CPU that runs the guest asks another one, which runs none, to be sent an NMI when a time is
 * over: a timer for a virtualisation extension that has none. Must not know how either of the two gets there.
 */
#ifndef UNDERCROFT_ALARM_H
#define UNDERCROFT_ALARM_H

#include <undercroft/types.h>

enum alarm_state {
	ALARM_ABSENT,
	ALARM_RUNS,
	ALARM_FAILED, /* an exception in its code: it has sent one last NMI, and stopped */
};

struct alarm {
	uint64_t request; /* microseconds from now in bits 63:32, 0: none; a number that changes each time below */
	uint32_t due;	  /* the time is over and an NMI was sent; whoever takes that writes 0 */
	uint32_t state;	  /* enum alarm_state */
	uint32_t held;	  /* none is to be sent now: it would fall into one of the guest's that its CPU blocks */
};

static inline bool alarm_runs(const struct alarm *alarm)
{
	return __atomic_load_n(&alarm->state, __ATOMIC_ACQUIRE) == ALARM_RUNS;
}

/* Replaces what was asked for before. microseconds: 0: no more; what is more than 32 bits ends early. */
static inline void alarm_ask(struct alarm *alarm, uint64_t microseconds)
{
	uint64_t us = microseconds > UINT32_MAX ? UINT32_MAX : microseconds;

	__atomic_store_n(&alarm->request, us << 32 | (uint32_t)(alarm->request + 1), __ATOMIC_RELEASE);
}

static inline void alarm_hold(struct alarm *alarm, bool on)
{
	__atomic_store_n(&alarm->held, on, __ATOMIC_SEQ_CST);
}

/* Has an NMI been sent that nobody has taken? alarm may be NULL. */
static inline bool alarm_is_due(const struct alarm *alarm)
{
	return alarm && __atomic_load_n(&alarm->due, __ATOMIC_ACQUIRE);
}

/* For who takes an NMI: was it the alarm's? alarm may be NULL. */
static inline bool alarm_take(struct alarm *alarm)
{
	return alarm_is_due(alarm) && __atomic_exchange_n(&alarm->due, 0, __ATOMIC_ACQ_REL);
}

#endif
