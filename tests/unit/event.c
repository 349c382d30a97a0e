/* SPDX-License-Identifier: BSD-2-Clause */
/* core/event.c: how exceptions merge, and what event_commit() hands to the backend in which order. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <undercroft/errno.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>
#include <x86/dr.h>
#include <x86/msr.h>

#include "tests/fakes/fake_backend.h"

static struct fake_vm fake;
static unsigned shutdowns;
static enum verdict shutdown_verdict;

static enum verdict shutdown_slot(struct vcpu *vcpu)
{
	assert_int_equal(vcpu->exit.kind, EXIT_SHUTDOWN);
	shutdowns++;
	return shutdown_verdict;
}

static int setup(void **state)
{
	(void)state;
	fake_vm_init(&fake, MIB(1), 0, 0);
	fake.vcpu.reg[REG_CR0] = CR0_PE;
	fake.vcpu.vcpu.slot[EXIT_SHUTDOWN] = shutdown_slot;
	shutdowns = 0;
	shutdown_verdict = VERDICT_RESUME;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_free(&fake);
	return 0;
}

static struct vcpu *const vcpu = &fake.vcpu.vcpu;

/* The next entry: another event may be injected. Returns the event that the last commit handed over, or NULL. */
static const struct event *commit(void)
{
	fake.vcpu.inject_pending = false;
	fake.vcpu.injected_count = 0;
	event_commit(vcpu);
	return fake.vcpu.injected_count ? &fake.vcpu.injected[0] : NULL;
}

static void deliver(enum event_type type, uint8_t vector)
{
	vcpu->events.delivery = (struct event){.type = (uint8_t)type, .vector = vector, .length = 2};
	vcpu->work |= WORK_DELIVERY;
}

static void check_event(const struct event *event, enum event_type type, uint8_t vector)
{
	assert_non_null(event);
	assert_int_equal(event->type, type);
	assert_int_equal(event->vector, vector);
}

static void test_one_exception(void **state)
{
	const struct event *event;

	(void)state;
	event_queue_gp(vcpu);
	assert_int_equal(vcpu->work, WORK_EVENT);
	event = commit();
	check_event(event, EVENT_EXCEPTION, 13);
	assert_true(event->has_error);
	assert_int_equal(event->error, 0);
	assert_int_equal(vcpu->work, 0);
	assert_null(commit());

	event_queue_ud(vcpu);
	event = commit();
	check_event(event, EVENT_EXCEPTION, 6);
	assert_false(event->has_error);

	event_queue_exception(vcpu, 14, true, 0x1f, 0xdeadbeef000);
	event = commit();
	check_event(event, EVENT_EXCEPTION, 14);
	assert_int_equal(event->error, 0x1f);
	assert_true(event->address == 0xdeadbeef000);
	assert_int_equal(vcpu->work, 0);
}

static void test_commit_keeps_other_work(void **state)
{
	(void)state;
	vcpu->work = WORK_VIEW | WORK_LEAVE;
	event_queue_ud(vcpu);
	assert_non_null(commit());
	assert_int_equal(vcpu->work, WORK_VIEW | WORK_LEAVE);
}

static void test_real_mode_pushes_no_error(void **state)
{
	(void)state;
	fake.vcpu.reg[REG_CR0] = 0;
	event_queue_gp(vcpu);
	assert_false(commit()->has_error);
}

enum outcome { SECOND, DOUBLE, SHUTDOWN };

/* As the manuals print it, vector by vector. */
static bool contributory(unsigned vector)
{
	return vector == 0 || (vector >= 10 && vector <= 13) || vector == 21;
}

static enum outcome expected_merge(unsigned first, unsigned second)
{
	if (second == 8)
		return SECOND;
	if (first == 8)
		return SHUTDOWN;
	if (contributory(first) && contributory(second))
		return DOUBLE;
	if (first == 14 && (contributory(second) || second == 14))
		return DOUBLE;
	return SECOND;
}

static void check_merge(unsigned second, enum outcome outcome)
{
	const struct event *event;

	assert_int_equal(vcpu->work, WORK_EVENT);
	event = commit();
	assert_int_equal(vcpu->work, 0);
	switch (outcome) {
	case SHUTDOWN:
		assert_null(event);
		assert_int_equal(shutdowns, 1);
		break;
	case DOUBLE:
		check_event(event, EVENT_EXCEPTION, 8);
		assert_true(event->has_error);
		assert_int_equal(event->error, 0);
		assert_true(fake.vcpu.reg[REG_CR2] == (second == 14 ? 0x5000 : 0));
		break;
	case SECOND:
		check_event(event, EVENT_EXCEPTION, (uint8_t)second);
		assert_int_equal(event->error, 7);
		assert_true(event->address == 0x5000);
		break;
	}
	/* Nothing of it is left. */
	assert_null(commit());
}

static void test_merge_every_pair(void **state)
{
	for (unsigned first = 0; first < 32; first++) {
		for (unsigned second = 0; second < 32; second++) {
			/* The first one under way ... */
			setup(state);
			deliver(EVENT_EXCEPTION, (uint8_t)first);
			event_queue_exception(vcpu, (uint8_t)second, true, 7, 0x5000);
			assert_int_equal(vcpu->events.delivery.type, EVENT_NONE);
			check_merge(second, expected_merge(first, second));
			teardown(state);

			/* ... or raised by us a moment ago. */
			setup(state);
			event_queue_exception(vcpu, (uint8_t)first, true, 1, 0x1000);
			event_queue_exception(vcpu, (uint8_t)second, true, 7, 0x5000);
			check_merge(second, expected_merge(first, second));
			teardown(state);
		}
	}
	setup(state);
}

static void test_merge_with_interrupts(void **state)
{
	static const enum event_type types[] = {EVENT_INTR, EVENT_NMI, EVENT_SOFT_INTR, EVENT_SOFT_EXCEPT};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		for (unsigned vector = 0; vector < 32; vector++) {
			/* INT 8 is no double fault, INT 13 and an interrupt on vector 14 contribute to none. */
			deliver(types[i], (uint8_t)vector);
			event_queue_exception(vcpu, 14, true, 2, 0x1000);
			check_event(commit(), EVENT_EXCEPTION, 14);
			assert_null(commit());
		}
	}
	assert_int_equal(shutdowns, 0);
}

static void test_three_faults(void **state)
{
	(void)state;
	event_queue_gp(vcpu);
	event_queue_gp(vcpu);
	event_queue_gp(vcpu);
	event_queue_nmi(vcpu);
	assert_null(commit());
	assert_int_equal(shutdowns, 1);
	assert_int_equal(vcpu->work, 0);
	assert_null(commit());
	assert_int_equal(shutdowns, 1);
	assert_int_equal(fake.vcpu.fatal, 0);

	/* A handler that cannot go on. */
	shutdown_verdict = VERDICT_FATAL;
	deliver(EVENT_EXCEPTION, 8);
	event_queue_ud(vcpu);
	assert_null(commit());
	assert_int_equal(shutdowns, 2);
	assert_int_equal(fake.vcpu.fatal, 1);
	assert_int_equal(vcpu->work, WORK_LEAVE);
}

static void test_delivery_again(void **state)
{
	static const struct {
		enum event_type type;
		uint8_t vector;
	} cases[] = {{EVENT_INTR, 0x20},
		     {EVENT_NMI, 2},
		     {EVENT_EXCEPTION, 13},
		     {EVENT_SOFT_INTR, 0x80},
		     {EVENT_SOFT_EXCEPT, 3}};
	const struct event *event;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		deliver(cases[i].type, cases[i].vector);
		event = commit();
		check_event(event, cases[i].type, cases[i].vector);
		assert_int_equal(event->length, 2);
		assert_int_equal(vcpu->work, 0);
		assert_null(commit());
	}
	/* What was delivered had loaded CR2; the guest must find it there. */
	fake.vcpu.reg[REG_CR2] = 0x1234;
	vcpu->events.delivery = (struct event){.type = EVENT_EXCEPTION, .vector = 14, .has_error = true, .error = 6};
	vcpu->work |= WORK_DELIVERY;
	event = commit();
	check_event(event, EVENT_EXCEPTION, 14);
	assert_true(event->address == 0x1234);
	assert_int_equal(event->error, 6);
}

static void test_nmi_waits_its_turn(void **state)
{
	(void)state;
	event_queue_nmi(vcpu);
	event_queue_nmi(vcpu);
	assert_int_equal(vcpu->work, WORK_EVENT);
	check_event(commit(), EVENT_NMI, 2);
	assert_int_equal(vcpu->work, 0);
	assert_null(commit());

	event_queue_nmi(vcpu);
	event_queue_ud(vcpu);
	check_event(commit(), EVENT_EXCEPTION, 6);
	assert_int_equal(vcpu->work, WORK_EVENT);
	deliver(EVENT_INTR, 0x30);
	check_event(commit(), EVENT_INTR, 0x30);
	assert_int_equal(vcpu->work, WORK_EVENT);

	fake.vcpu.reg[REG_INTERRUPT_SHADOW] = 1;
	assert_null(commit());
	assert_int_equal(vcpu->work, WORK_EVENT);
	fake.vcpu.reg[REG_INTERRUPT_SHADOW] = 0;
	check_event(commit(), EVENT_NMI, 2);
	assert_int_equal(vcpu->work, 0);
}

/* A backend whose NMIs are ours to deliver: blocking is followed by a window, not by trying at each exit. */
static void test_nmi_window(void **state)
{
	const struct fake_vcpu *cpu = &fake.vcpu;

	(void)state;
	fake.vm.caps |= BACKEND_CAP_NMI_EXITS;
	event_queue_nmi(vcpu);
	fake.vcpu.reg[REG_NMI_BLOCKED] = 1;
	assert_null(commit());
	assert_int_equal(vcpu->work, 0);
	assert_true(fake_intercept_on(cpu, INTERCEPT_NMI_WINDOW, 0));
	/* an exception goes first and leaves the window open; behind a blocked NMI, a second one is lost in the first
	 */
	event_queue_nmi(vcpu);
	event_queue_ud(vcpu);
	check_event(commit(), EVENT_EXCEPTION, 6);
	assert_true(fake_intercept_on(cpu, INTERCEPT_NMI_WINDOW, 0));
	/* IRET, then the window: one NMI */
	fake.vcpu.reg[REG_NMI_BLOCKED] = 0;
	fake.vcpu.reg[REG_INTERRUPT_SHADOW] = 1;
	vcpu->work |= WORK_EVENT;
	assert_null(commit());
	fake.vcpu.reg[REG_INTERRUPT_SHADOW] = 0;
	vcpu->work |= WORK_EVENT;
	check_event(commit(), EVENT_NMI, 2);
	assert_false(fake_intercept_on(cpu, INTERCEPT_NMI_WINDOW, 0));
	assert_int_equal(vcpu->work, 0);
	assert_null(commit());

	/* a shutdown forgets the NMI and its window */
	event_queue_nmi(vcpu);
	fake.vcpu.reg[REG_NMI_BLOCKED] = 1;
	assert_null(commit());
	vcpu->events.shutdown = true;
	assert_null(commit());
	assert_int_equal(shutdowns, 1);
	assert_false(vcpu->events.window);
	assert_false(fake_intercept_on(cpu, INTERCEPT_NMI_WINDOW, 0));

	/* no window to be had: at each exit */
	fake.vcpu.intercept_result = -ENOTSUP;
	vcpu->work = 0;
	event_queue_nmi(vcpu);
	assert_null(commit());
	assert_int_equal(vcpu->work, WORK_EVENT);
}

/* Its delivery was interrupted after it had begun to block NMIs: it is delivered again all the same. */
static void test_nmi_delivered_again(void **state)
{
	(void)state;
	fake.vm.caps |= BACKEND_CAP_NMI_EXITS;
	fake.vcpu.reg[REG_NMI_BLOCKED] = 1;
	deliver(EVENT_NMI, 2);
	check_event(commit(), EVENT_NMI, 2);
	assert_int_equal(fake.vcpu.reg[REG_NMI_BLOCKED], 0);
	/* the next one waits for that one's IRET */
	fake.vcpu.reg[REG_NMI_BLOCKED] = 1;
	event_queue_nmi(vcpu);
	assert_null(commit());
	assert_true(vcpu->events.window);
	deliver(EVENT_INTR, 0x20);
	check_event(commit(), EVENT_INTR, 0x20);
	assert_int_equal(fake.vcpu.reg[REG_NMI_BLOCKED], 1);
}

/* Two before the guest takes the first: one is delivered, one waits for its IRET; a third is lost. */
static void test_two_nmis(void **state)
{
	(void)state;
	fake.vm.caps |= BACKEND_CAP_NMI_EXITS;
	event_queue_nmi(vcpu);
	event_queue_nmi(vcpu);
	event_queue_nmi(vcpu);
	check_event(commit(), EVENT_NMI, 2);
	assert_true(vcpu->events.window);
	fake.vcpu.reg[REG_NMI_BLOCKED] = 1;
	assert_null(commit());
	/* while that one waits, no third */
	event_queue_nmi(vcpu);
	fake.vcpu.reg[REG_NMI_BLOCKED] = 0;
	check_event(commit(), EVENT_NMI, 2);
	assert_false(vcpu->events.window);
	assert_null(commit());
}

static unsigned kicks;

static void count_kick(struct vcpu *v)
{
	assert_ptr_equal(v, vcpu);
	kicks++;
}

/* What the host's handlers count leaves everything as it is until it is collected. */
static void test_arrivals(void **state)
{
	struct backend_ops kicked = fake_backend;

	(void)state;
	fake.vm.caps |= BACKEND_CAP_NMI_EXITS;
	kicks = 0;
	event_nmi_arrived(vcpu); /* no kick: the CPU holds them back in time */
	kicked.kick = count_kick;
	vcpu->backend = &kicked;
	event_nmi_arrived(vcpu);
	assert_int_equal(kicks, 1);
	assert_int_equal(vcpu->work, 0);
	assert_int_equal(vcpu->events.nmi, 0);
	assert_true(event_arrivals_collect(vcpu));
	/* the window is core's now, so that it is closed when nothing waits */
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_NMI_WINDOW, 0));
	check_event(commit(), EVENT_NMI, 2);
	check_event(commit(), EVENT_NMI, 2);
	assert_false(fake_intercept_on(&fake.vcpu, INTERCEPT_NMI_WINDOW, 0));
	assert_false(event_arrivals_collect(vcpu));
	assert_null(commit());
}

static void test_machine_check(void **state)
{
	(void)state;
	fake.vm.caps |= BACKEND_CAP_NMI_EXITS;
	/* our code cannot go on, or nobody knows */
	assert_false(event_machine_check_arrived(vcpu));
	fake_msr_set(&fake.platform, MSR_MCG_STATUS, 6);
	assert_false(event_machine_check_arrived(vcpu));
	assert_false(event_arrivals_collect(vcpu));

	fake_msr_set(&fake.platform, MSR_MCG_STATUS, 5);
	fake.vcpu.reg[REG_CR4] = CR4_MCE;
	assert_true(event_machine_check_arrived(vcpu));
	assert_int_equal(vcpu->work, 0);
	event_nmi_arrived(vcpu);
	assert_true(event_arrivals_collect(vcpu));
	/* behind a delivery that has begun, before an NMI; it does not ask whether NMIs are blocked */
	deliver(EVENT_INTR, 0x30);
	check_event(commit(), EVENT_INTR, 0x30);
	assert_true(vcpu->events.window);
	fake.vcpu.reg[REG_NMI_BLOCKED] = 1;
	check_event(commit(), EVENT_EXCEPTION, 18);
	assert_false(fake.vcpu.injected[0].has_error);
	assert_null(commit());
	fake.vcpu.reg[REG_NMI_BLOCKED] = 0;
	check_event(commit(), EVENT_NMI, 2);
	/* the machine's registers are the guest's to read and to clear */
	assert_int_equal(fake_msr_get(&fake.platform, MSR_MCG_STATUS), 5);
	assert_int_equal(shutdowns, 0);

	/* as on the bare machine */
	fake.vcpu.reg[REG_CR4] = 0;
	assert_true(event_machine_check_arrived(vcpu));
	assert_true(event_arrivals_collect(vcpu));
	assert_null(commit());
	assert_int_equal(shutdowns, 1);
}

static void test_debug_trap(void **state)
{
	const struct event *event;

	(void)state;
	fake.vcpu.reg[REG_DR6] = 0xffff0ff1;
	fake.vcpu.reg[REG_DR7] = 0x2400;
	event_queue_debug_trap(vcpu, DR6_BS | 8);
	/* the breakpoints of an earlier trap do not show in this one */
	assert_true(fake.vcpu.reg[REG_DR6] == 0xffff4ff8);
	assert_true(fake.vcpu.reg[REG_DR7] == 0x0400);
	event = commit();
	check_event(event, EVENT_EXCEPTION, 1);
	assert_false(event->has_error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_exception, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit_keeps_other_work, setup, teardown),
		cmocka_unit_test_setup_teardown(test_real_mode_pushes_no_error, setup, teardown),
		cmocka_unit_test_teardown(test_merge_every_pair, teardown),
		cmocka_unit_test_setup_teardown(test_merge_with_interrupts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_three_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delivery_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nmi_waits_its_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nmi_window, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nmi_delivered_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_nmis, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arrivals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_machine_check, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debug_trap, setup, teardown),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
