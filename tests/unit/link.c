/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/control/link.c over a mailbox: the plain channel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <undercroft/errno.h>

#include "core/control/link.h"
#include "tests/fakes/fake_frontend.h"

struct bench {
	struct fake_platform platform;
	struct fake_frontend mailbox;
	struct link link;
};

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	fake_platform_init(&bench->platform, PAGE_SIZE);
	fake_frontend_init(&bench->mailbox, &bench->platform);
	link_init(&bench->link, &bench->mailbox.frontend);
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

static void pattern(uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void test_bytes_pass_unchanged(void **state)
{
	struct bench *bench = *state;
	uint8_t all[5000], got[5000];
	size_t count = 0;

	pattern(all, sizeof(all));
	fake_frontend_say(&bench->mailbox, all, sizeof(all));
	for (size_t piece = 1; count < sizeof(got); piece = piece * 3 % 1001) {
		size_t room = sizeof(got) - count < piece ? sizeof(got) - count : piece;

		if (piece % 2)
			link_poll(&bench->link);
		count += link_read(&bench->link, LINK_RSP, got + count, room);
	}
	assert_memory_equal(got, all, sizeof(all));
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, 1), 0);

	assert_int_equal(link_write(&bench->link, LINK_RSP, all, sizeof(all)), sizeof(all));
	assert_int_equal(link_flush(&bench->link), 0);
	assert_int_equal(bench->mailbox.out_count, sizeof(all));
	assert_memory_equal(bench->mailbox.out, all, sizeof(all));
}

/* A device with little memory of its own must not lose what arrives while we send. */
static void answer(struct fake_frontend *fake)
{
	assert_true(fake->in_count - fake->in_read <= FAKE_PACKET);
	fake_frontend_say(fake, "12345678", 8);
}

static void test_takes_in_while_it_sends(void **state)
{
	struct bench *bench = *state;
	uint8_t all[400] = {0}, got[400];

	bench->mailbox.on_write = answer;
	assert_int_equal(link_write(&bench->link, LINK_RSP, all, sizeof(all)), sizeof(all));
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), sizeof(got));
	for (size_t i = 0; i < sizeof(got); i++)
		assert_int_equal(got[i], '1' + i % 8);
}

static void test_full_ring_leaves_bytes_in_the_device(void **state)
{
	struct bench *bench = *state;
	uint8_t all[LINK_IN_SIZE + 100], got[sizeof(all)];

	pattern(all, sizeof(all));
	fake_frontend_say(&bench->mailbox, all, sizeof(all));
	link_poll(&bench->link);
	link_poll(&bench->link);
	assert_int_equal(bench->mailbox.in_read, LINK_IN_SIZE);
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, all, sizeof(all));
}

static void test_stuck_device_is_waited_for_once(void **state)
{
	struct bench *bench = *state;
	uint64_t start = bench->platform.clock_us, stall = bench->mailbox.frontend.stall_us;

	bench->mailbox.stuck = true;
	assert_int_equal(link_write(&bench->link, LINK_RSP, "abc", 3), 0);
	assert_in_range(bench->platform.clock_us - start, stall, stall + 20);
	start = bench->platform.clock_us;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(link_write(&bench->link, LINK_RSP, "abc", 3), 0);
	assert_true(bench->platform.clock_us - start < 1000);
	bench->mailbox.stuck = false;
	assert_int_equal(link_write(&bench->link, LINK_RSP, "0123456789", 10), 10);
	assert_memory_equal(bench->mailbox.out, "0123456789", 10);
}

static void test_reset_device_is_recovered(void **state)
{
	struct bench *bench = *state;
	uint8_t byte;

	fake_frontend_say(&bench->mailbox, "a", 1);
	assert_int_equal(link_read(&bench->link, LINK_RSP, &byte, 1), 1);
	bench->mailbox.was_reset = true;
	fake_frontend_say(&bench->mailbox, "b", 1);
	bench->platform.clock_us += LINK_CHECK_US;
	link_poll(&bench->link);
	assert_int_equal(bench->mailbox.recovered, 1);
	assert_int_equal(link_read(&bench->link, LINK_RSP, &byte, 1), 1);
	assert_int_equal(byte, 'b');

	bench->mailbox.was_reset = true;
	bench->platform.clock_us += LINK_CHECK_US;
	assert_int_equal(link_write(&bench->link, LINK_RSP, "c", 1), 1);
	assert_int_equal(bench->mailbox.recovered, 2);

	bench->mailbox.gone = true;
	bench->platform.clock_us += LINK_CHECK_US;
	link_poll(&bench->link);
	assert_int_equal(link_read(&bench->link, LINK_RSP, &byte, 1), 0);
	bench->platform.clock_us += LINK_CHECK_US;
	assert_int_equal(link_write(&bench->link, LINK_RSP, "c", 1), 0);
}

static void test_log_text_between_clients(void **state)
{
	struct bench *bench = *state;
	struct log log = {0};

	assert_int_equal(log_sink_add(&log, &bench->link.log), 0);
	log_printf(&log, "one\n");
	link_attach(&bench->link);
	log_printf(&log, "two\n");
	assert_int_equal(link_write(&bench->link, LINK_LOG, "three", 5), 5);
	assert_int_equal(link_write(&bench->link, LINK_RSP, "$OK#9a", 6), 6);
	link_reset(&bench->link);
	log_printf(&log, "four\n");
	assert_int_equal(bench->mailbox.out_count, 15);
	assert_memory_equal(bench->mailbox.out, "one\n$OK#9afour\n", 15);
}

static void test_plain_has_one_channel(void **state)
{
	struct bench *bench = *state;
	uint8_t byte;

	fake_frontend_say(&bench->mailbox, "a", 1);
	assert_int_equal(link_read(&bench->link, LINK_LOG, &byte, 1), 0);
	assert_int_equal(link_read(&bench->link, LINK_BULK, &byte, 1), 0);
	assert_int_equal(link_write(&bench->link, LINK_BULK, "x", 1), 0);
	assert_int_equal(bench->mailbox.out_count, 0);
	assert_false(link_is_reliable(&bench->link));
	link_poll(&bench->link);
	link_reset(&bench->link);
	assert_int_equal(link_read(&bench->link, LINK_RSP, &byte, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes_pass_unchanged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_takes_in_while_it_sends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_ring_leaves_bytes_in_the_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck_device_is_waited_for_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_device_is_recovered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_text_between_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain_has_one_channel, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
