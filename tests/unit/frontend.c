/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frontends as log sinks, on a mailbox, and how a frontend is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <undercroft/errno.h>
#include <undercroft/frontend.h>

#include "tests/fakes/fake_frontend.h"

#define TEXT "more than one packet takes"

struct bench {
	struct fake_platform platform;
	struct fake_frontend mailbox;
	struct frontend_sink sink;
};

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	fake_platform_init(&bench->platform, PAGE_SIZE);
	fake_frontend_init(&bench->mailbox, &bench->platform);
	frontend_sink_init(&bench->sink, &bench->mailbox.frontend);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	fake_platform_free(&bench->platform);
	free(bench);
	return 0;
}

/* Says the text; returns how long that took. */
static uint64_t say(struct bench *bench)
{
	uint64_t start = bench->platform.clock_us;

	bench->mailbox.out_count = 0;
	bench->sink.sink.write(&bench->sink.sink, TEXT, strlen(TEXT));
	return bench->platform.clock_us - start;
}

static void assert_said(const struct bench *bench)
{
	assert_int_equal(bench->mailbox.out_count, strlen(TEXT));
	assert_memory_equal(bench->mailbox.out, TEXT, strlen(TEXT));
}

static void test_sink_writes_all(void **state)
{
	struct bench *bench = *state;

	assert_true(say(bench) >= 3 * bench->mailbox.busy_us);
	assert_said(bench);
}

static void test_sink_gives_up(void **state)
{
	struct bench *bench = *state;
	uint64_t limit = bench->mailbox.frontend.stall_us;

	bench->mailbox.stuck = true;
	assert_in_range(say(bench), limit, limit + 10);
	/* from now on it costs next to nothing */
	assert_true(say(bench) < 10);
	assert_int_equal(bench->mailbox.out_count, 0);
	/* until it moves again */
	bench->mailbox.stuck = false;
	say(bench);
	assert_said(bench);
}

static void test_sink_of_lost_device(void **state)
{
	struct bench *bench = *state;

	bench->mailbox.gone = true;
	assert_true(say(bench) < 10);
	assert_int_equal(bench->mailbox.out_count, 0);
}

static void test_sink_recovers(void **state)
{
	struct bench *bench = *state;

	bench->mailbox.was_reset = true;
	say(bench);
	assert_said(bench);
	assert_int_equal(bench->mailbox.recovered, 1);
}

static void test_sink_is_patient(void **state)
{
	struct bench *bench = *state;

	/* whatever was given up before: a listener that comes late hears the last words */
	bench->mailbox.stuck = true;
	say(bench);
	bench->mailbox.stuck = false;
	bench->mailbox.idle_at_us = bench->platform.clock_us + 10000;
	bench->sink.patience_us = 20000;
	assert_in_range(say(bench), 9990, 10200);
	assert_said(bench);
	assert_int_equal(bench->sink.patience_us, 20000);

	/* nobody listens: waited for once */
	bench->mailbox.stuck = true;
	assert_in_range(say(bench), 20000, 20010);
	assert_true(say(bench) < 10);
}

static const struct frontend_ops slow_ops = {.name = "slow", .compatible = "test,slow", .size = 64};
static const struct frontend_ops other_ops = {.name = "other", .compatible = "test,other", .size = 8};

static void test_find(void **state)
{
	const struct frontend_ops *const set[] = {&other_ops, &slow_ops};

	(void)state;
	assert_ptr_equal(frontend_find(set, 2, "test,slow", 64), &slow_ops);
	assert_null(frontend_find(set, 2, "test,slow", 64 - 1));
	assert_null(frontend_find(set, 2, "test,none", 4096));
	assert_null(frontend_find(set, 0, "test,other", 4096));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sink_writes_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sink_gives_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sink_of_lost_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sink_recovers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sink_is_patient, setup, teardown),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
