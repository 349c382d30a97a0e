/* SPDX-License-Identifier: BSD-2-Clause */
/* boot/metal/clock.c: when another CPU sends its NMIs. Its local APIC is memory here. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "boot/metal/clock.h"

#define IDLE_US	 10000u
#define SHORT_US 1000u
#define AGAIN_US 100000u

#define NMI_COMMAND 0x4400u

static uint32_t apic[1024];
static struct clock clock;

static int setup(void **state)
{
	(void)state;
	clock = (struct clock){.apic = (uintptr_t)apic, .apic_id = 5, .ticks_per_ms = 1000};
	apic[0x300 / 4] = apic[0x310 / 4] = 0;
	return 0;
}

/* Has it sent the NMI since it was asked last? */
static bool sent(void)
{
	bool command = apic[0x300 / 4] == NMI_COMMAND;

	if (command)
		assert_int_equal(apic[0x310 / 4], 5u << 24);
	apic[0x300 / 4] = 0;
	return command;
}

static void test_nothing_asked(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(clock_step(&clock, IDLE_US), IDLE_US);
	assert_false(sent());
	assert_false(alarm_is_due(&clock.alarm));
}

/* Not before the time is over, and no later than the step in which the request was seen allows. */
static void test_time(void **state)
{
	static const uint32_t asked[] = {1, 999, 1000, 5000, 10000, 100000, 100001, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(asked); i++) {
		uint64_t passed = 0;
		uint32_t us;

		alarm_ask(&clock.alarm, asked[i]);
		us = clock_step(&clock, IDLE_US);
		while (!sent()) {
			assert_in_range(us, 1, IDLE_US);
			assert_false(alarm_is_due(&clock.alarm));
			passed += us;
			us = clock_step(&clock, us);
		}
		assert_int_equal(passed, asked[i]);
		assert_int_equal(us, SHORT_US);
		assert_true(alarm_take(&clock.alarm));
		assert_false(alarm_take(&clock.alarm));
		/* once, and the next request is about to come */
		for (unsigned j = 0; j < 1000; j++)
			assert_int_equal(clock_step(&clock, SHORT_US), SHORT_US);
		assert_false(sent());
	}
}

static void test_replaced(void **state)
{
	(void)state;
	alarm_ask(&clock.alarm, 100000);
	assert_int_equal(clock_step(&clock, 0), IDLE_US);
	assert_int_equal(clock_step(&clock, IDLE_US), IDLE_US);
	/* the same time anew counts from the beginning */
	alarm_ask(&clock.alarm, 100000);
	assert_int_equal(clock_step(&clock, IDLE_US), IDLE_US);
	assert_int_equal(clock.left_us, 100000);
	alarm_ask(&clock.alarm, 1000);
	assert_int_equal(clock_step(&clock, IDLE_US), 1000);
	alarm_ask(&clock.alarm, 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(clock_step(&clock, 1000), IDLE_US);
	assert_false(sent());
	alarm_ask(&clock.alarm, UINT64_MAX);
	(void)clock_step(&clock, IDLE_US);
	assert_int_equal(clock.left_us, UINT32_MAX);
}

/* While the guest has its own NMI none is sent; afterwards at once. */
static void test_held(void **state)
{
	(void)state;
	alarm_ask(&clock.alarm, 5000);
	alarm_hold(&clock.alarm, true);
	assert_int_equal(clock_step(&clock, 0), 5000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(clock_step(&clock, i ? SHORT_US : 5000), SHORT_US);
	assert_false(sent());
	assert_false(alarm_is_due(&clock.alarm));
	alarm_hold(&clock.alarm, false);
	assert_int_equal(clock_step(&clock, SHORT_US), SHORT_US);
	assert_true(sent());
	/* nor again */
	alarm_hold(&clock.alarm, true);
	for (unsigned us = 0; us < 3 * AGAIN_US; us += SHORT_US)
		(void)clock_step(&clock, SHORT_US);
	assert_false(sent());
	alarm_hold(&clock.alarm, false);
	(void)clock_step(&clock, SHORT_US);
	assert_true(sent());
}

/* An NMI that nobody takes is sent again, and no more often than that. */
static void test_unheard(void **state)
{
	unsigned times = 0;

	(void)state;
	alarm_ask(&clock.alarm, 1000);
	(void)clock_step(&clock, 0);
	assert_int_equal(clock_step(&clock, 1000), SHORT_US);
	assert_true(sent());
	for (unsigned us = 0; us < 10 * AGAIN_US; us += SHORT_US) {
		assert_int_equal(clock_step(&clock, SHORT_US), SHORT_US);
		times += sent();
	}
	assert_int_equal(times, 10);
	/* what is asked meanwhile counts from then on */
	alarm_ask(&clock.alarm, 3000);
	assert_int_equal(clock_step(&clock, SHORT_US), SHORT_US);
	assert_true(alarm_take(&clock.alarm));
	assert_int_equal(clock_step(&clock, SHORT_US), 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_asked, setup), cmocka_unit_test_setup(test_time, setup),
		cmocka_unit_test_setup(test_replaced, setup),	   cmocka_unit_test_setup(test_held, setup),
		cmocka_unit_test_setup(test_unheard, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
