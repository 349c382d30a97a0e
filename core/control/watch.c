/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exits that let us look at the link.
 */
#include "core/control/watch.h"

#include <undercroft/platform.h>
#include <undercroft/vcpu.h>

#include "core/exit.h"

static const struct owner watch_owner = {.name = "control"};

/* Of the exits that happen anyway, one in so many looks: a look costs a few port accesses. */
#define WATCH_EXITS 64u

#if defined(CONFIG_WATCH_CR3_WRITES)
#define POLICY WATCH_AT_CR3_WRITES
#elif defined(CONFIG_WATCH_EXITS)
#define POLICY WATCH_AT_EXITS
#else
#define POLICY WATCH_AT_INTERRUPTS
#endif

static bool has_timer(const struct vcpu *vcpu)
{
	return (vcpu->vm->caps & BACKEND_CAP_TIMER) != 0;
}

/* False: it is lost. */
static bool timer_set(struct vcpu *vcpu, enum watch_state state)
{
	static const uint32_t period_us[] = {
		[WATCH_OFF] = 0,
		[WATCH_LISTENING] = WATCH_LISTENING_US,
		[WATCH_ATTACHED] = WATCH_ATTACHED_US,
		[WATCH_BUSY] = WATCH_BUSY_US,
	};

	return alarm_arm(vcpu, state != WATCH_OFF) && vcpu->backend->timer(vcpu, period_us[state]) == 0;
}

static void interrupts_arm(struct vcpu *vcpu, bool sleeps)
{
	vcpu->idle.sleeps = sleeps;
	(void)intercept_arm(vcpu, &watch_owner, INTERCEPT_INTR, 0);
	(void)intercept_arm(vcpu, &watch_owner, INTERCEPT_IDLE, 0);
}

static void listen(struct vcpu *vcpu, enum watch_policy policy)
{
	switch (policy) {
	case WATCH_AT_INTERRUPTS:
		interrupts_arm(vcpu, true);
		break;
	case WATCH_AT_CR3_WRITES:
		(void)intercept_arm(vcpu, &watch_owner, INTERCEPT_CR3, 0);
		break;
	case WATCH_AT_EXITS:
		vcpu->work |= WORK_POLL;
		break;
	}
}

void watch_init(struct watch *watch)
{
	*watch = (struct watch){.policy = POLICY, .state = WATCH_OFF};
}

void watch_set(struct vcpu *vcpu, struct watch *watch, enum watch_state state)
{
	watch->state = state;
	watch->exits = 0;
	if (has_timer(vcpu)) {
		if (timer_set(vcpu, state))
			return;
		alarm_lose(vcpu);
	}
	owner_release(vcpu, &watch_owner);
	vcpu->work &= ~WORK_POLL;
	if (state >= WATCH_ATTACHED)
		interrupts_arm(vcpu, false);
	else if (state == WATCH_LISTENING)
		listen(vcpu, watch->policy);
}

bool watch_is_due(struct vcpu *vcpu, struct watch *watch)
{
	struct platform *platform = vcpu->vm->platform;
	uint64_t now_us;

	if (has_timer(vcpu)) {
		watch_set(vcpu, watch, watch->state);
		return watch->state != WATCH_OFF;
	}
	if (watch->state != WATCH_LISTENING)
		return watch->state >= WATCH_ATTACHED;
	if (vcpu->work & WORK_POLL && ++watch->exits % WATCH_EXITS)
		return false;
	now_us = platform->ops->now_us(platform);
	if (now_us - watch->looked_us < WATCH_LISTENING_US)
		return false;
	watch->looked_us = now_us;
	return true;
}
