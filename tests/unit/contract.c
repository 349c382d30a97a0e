/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What include/undercroft/frontend.h promises, of a serial port and of a mailbox alike: a stream of bytes with a FIFO
 * and a speed, and packets of which one is on its way at a time.
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
#include <undercroft/region.h>

#include "core/control/link.h"
#include "tests/fakes/fake_frontend.h"
#include "tests/fakes/fake_platform.h"
#include "tests/fakes/fake_uart.h"

#define NEVER_WAITS_US 200 /* accesses to registers, a microsecond each */

extern const struct frontend_ops *const __start_frontends[];

/* A device and its far end. */
struct bench {
	struct fake_platform platform;
	struct fake_uart uart;
	struct fake_frontend mailbox;
	struct frontend *frontend;
	bool is_uart;
};

static int setup(void **state, bool is_uart)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	fake_platform_init(&bench->platform, PAGE_SIZE);
	bench->is_uart = is_uart;
	if (is_uart) {
		fake_uart_init(&bench->uart, &bench->platform, 0x3e8, 0xfe030000);
		bench->frontend = calloc(1, __start_frontends[0]->size);
		*bench->frontend = (struct frontend){
			.ops = __start_frontends[0],
			.platform = &bench->platform.platform,
			.config = {.compatible = "ns16550a",
				   .address = 0x3e8,
				   .length = 8,
				   .clock_hz = 1843200,
				   .speed = 115200,
				   .is_port = 1,
				   .reg_width = 1},
		};
	} else {
		fake_frontend_init(&bench->mailbox, &bench->platform);
		bench->frontend = &bench->mailbox.frontend;
	}
	*state = bench;
	return 0;
}

static int setup_uart(void **state)
{
	return setup(state, true);
}

static int setup_mailbox(void **state)
{
	return setup(state, false);
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	fake_platform_free(&bench->platform);
	if (bench->is_uart)
		free(bench->frontend);
	free(bench);
	return 0;
}

static void set_gone(struct bench *bench, bool gone)
{
	bench->uart.no_device = gone;
	bench->mailbox.gone = gone;
}

static void set_stuck(struct bench *bench)
{
	bench->uart.stuck = true;
	bench->mailbox.stuck = true;
}

/* The guest's firmware set the device up for itself. */
static void reset(struct bench *bench)
{
	bench->uart.fcr = 0;
	bench->uart.ier = 0x0f;
	bench->uart.dll = 12;
	bench->uart.mcr = 0x10;
	bench->mailbox.was_reset = true;
}

static void arrive(struct bench *bench, const void *bytes, size_t length)
{
	if (bench->is_uart)
		fake_uart_say(&bench->uart, bytes, length);
	else
		fake_frontend_say(&bench->mailbox, bytes, length);
}

static size_t left(const struct bench *bench, const uint8_t **bytes)
{
	*bytes = bench->is_uart ? bench->uart.tx : bench->mailbox.out;
	return bench->is_uart ? bench->uart.tx_count : bench->mailbox.out_count;
}

static void assert_left(const struct bench *bench, const void *expected, size_t length)
{
	const uint8_t *bytes;

	assert_int_equal(left(bench, &bytes), length);
	assert_memory_equal(bytes, expected, length);
}

static void test_probe_and_open(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;

	assert_non_null(frontend->ops->name);
	assert_non_null(frontend->ops->compatible);
	assert_in_range(frontend->ops->size, sizeof(struct frontend), 1 << 20);
	assert_int_equal(frontend->ops->probe(frontend), 0);
	assert_left(bench, "", 0);
	assert_int_equal(frontend->ops->open(frontend), 0);
	assert_left(bench, "", 0);
	assert_true(frontend->stall_us > 0);
	set_gone(bench, true);
	assert_int_equal(frontend->ops->probe(frontend), -ENODEV);
	assert_int_equal(frontend->ops->open(frontend), -ENODEV);
	assert_int_equal(frontend->ops->recover(frontend), -ENODEV);
}

static void test_write_never_waits(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;
	uint8_t bytes[500];
	uint64_t start, moved_us;
	size_t sent = 0;

	assert_int_equal(frontend->ops->open(frontend), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 5);
	moved_us = bench->platform.clock_us;
	while (sent < sizeof(bytes)) {
		size_t taken;

		start = bench->platform.clock_us;
		taken = frontend->ops->write(frontend, bytes + sent, sizeof(bytes) - sent);
		assert_true(bench->platform.clock_us - start < NEVER_WAITS_US);
		sent += taken;
		/* a device that works takes more within the time it says */
		assert_true(frontend_retry(frontend, taken, frontend->stall_us, &moved_us));
	}
	assert_int_equal(frontend->ops->write(frontend, bytes, 0), 0);
	assert_int_equal(frontend->ops->flush(frontend), 0);
	assert_left(bench, bytes, sizeof(bytes));
	/* after a flush it takes something at once */
	assert_true(frontend->ops->write(frontend, bytes, 1) == 1);
}

static void test_stuck(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;
	uint64_t start;

	assert_int_equal(frontend->ops->open(frontend), 0);
	set_stuck(bench);
	start = bench->platform.clock_us;
	assert_int_equal(frontend->ops->write(frontend, "abc", 3), 0);
	assert_true(bench->platform.clock_us - start < NEVER_WAITS_US);
	assert_int_equal(frontend->ops->flush(frontend), -ETIMEDOUT);
	assert_true(bench->platform.clock_us - start < 2 * frontend->stall_us + NEVER_WAITS_US);
}

static void test_read(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;
	uint8_t got[16];
	size_t count = 0;
	uint64_t start;

	assert_int_equal(frontend->ops->open(frontend), 0);
	start = bench->platform.clock_us;
	assert_int_equal(frontend->ops->read(frontend, got, sizeof(got)), 0);
	arrive(bench, "0123456789ab", 12);
	assert_int_equal(frontend->ops->read(frontend, got, 0), 0);
	count = frontend->ops->read(frontend, got, 3);
	assert_in_range(count, 1, 3);
	while (count < 12) {
		size_t more = frontend->ops->read(frontend, got + count, sizeof(got) - count);

		assert_in_range(more, 1, sizeof(got) - count);
		count += more;
	}
	assert_memory_equal(got, "0123456789ab", 12);
	assert_int_equal(frontend->ops->read(frontend, got, sizeof(got)), 0);
	assert_true(bench->platform.clock_us - start < NEVER_WAITS_US);
	set_gone(bench, true);
	assert_int_equal(frontend->ops->read(frontend, got, sizeof(got)), 0);
}

static void test_recover(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;

	assert_int_equal(frontend->ops->open(frontend), 0);
	/* nothing is lost if nothing was wrong */
	arrive(bench, "kept", 4);
	assert_int_equal(frontend->ops->recover(frontend), 0);
	reset(bench);
	assert_int_equal(frontend->ops->recover(frontend), 0);
	assert_int_equal(frontend->ops->write(frontend, "x", 1), 1);
	assert_int_equal(frontend->ops->flush(frontend), 0);
	assert_left(bench, "x", 1);
}

static void test_recover_keeps(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;
	uint8_t got[8];

	assert_int_equal(frontend->ops->open(frontend), 0);
	arrive(bench, "kept", 4);
	assert_int_equal(frontend->ops->recover(frontend), 0);
	assert_int_equal(frontend->ops->read(frontend, got, sizeof(got)), 4);
	assert_memory_equal(got, "kept", 4);
}

static void test_handoff(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend, *other = calloc(1, frontend->ops->size);
	uint8_t exported[FRONTEND_STATE_MAX];
	size_t size;

	assert_int_equal(frontend->ops->open(frontend), 0);
	size = frontend->ops->export(frontend, exported, sizeof(exported));
	assert_in_range(size, 1, FRONTEND_STATE_MAX);
	assert_int_equal(frontend->ops->export(frontend, exported, size - 1), 0);
	*other = *frontend;
	other->stall_us = 0;
	fake_access_clear(&bench->platform);
	assert_int_equal(other->ops->adopt(other, exported, size), 0);
	assert_int_equal(bench->platform.access_count, 0);
	assert_int_equal(other->stall_us, frontend->stall_us);
	assert_int_equal(other->ops->adopt(other, exported, size - 1), -EINVAL);
	assert_int_equal(other->ops->adopt(other, exported, size + 1), -EINVAL);
	free(other);
}

static void test_regions(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;
	struct region regions[8];
	struct region_list list = {0};
	unsigned count = frontend->ops->regions(frontend, NULL, 0);

	assert_in_range(count, 1, ARRAY_SIZE(regions));
	assert_int_equal(frontend->ops->regions(frontend, regions, count), count);
	for (unsigned i = 0; i < count; i++) {
		assert_non_null(regions[i].name);
		assert_int_equal(region_list_add(&list, &regions[i], NULL), 0);
	}
	assert_non_null(region_list_find(&list, regions[0].space, frontend->config.address));
}

/* And what stands on it does not notice the difference. */
static void test_link(void **state)
{
	struct bench *bench = *state;
	struct link *link = calloc(1, sizeof(*link));
	char got[16];

	assert_int_equal(bench->frontend->ops->open(bench->frontend), 0);
	link_init(link, bench->frontend);
	arrive(bench, "$g#67", 5);
	link_poll(link);
	assert_int_equal(link_read(link, LINK_RSP, got, sizeof(got)), 5);
	assert_memory_equal(got, "$g#67", 5);
	assert_int_equal(link_write(link, LINK_RSP, "$0123456789abcdef0123456789abcdef#00", 36), 36);
	assert_int_equal(link_flush(link), 0);
	assert_left(bench, "$0123456789abcdef0123456789abcdef#00", 36);
	free(link);
}

#define CONTRACT(setup)                                                                   \
	cmocka_unit_test_setup_teardown(test_probe_and_open, setup, teardown),            \
		cmocka_unit_test_setup_teardown(test_write_never_waits, setup, teardown), \
		cmocka_unit_test_setup_teardown(test_stuck, setup, teardown),             \
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),              \
		cmocka_unit_test_setup_teardown(test_recover, setup, teardown),           \
		cmocka_unit_test_setup_teardown(test_recover_keeps, setup, teardown),     \
		cmocka_unit_test_setup_teardown(test_handoff, setup, teardown),           \
		cmocka_unit_test_setup_teardown(test_regions, setup, teardown),           \
		cmocka_unit_test_setup_teardown(test_link, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {CONTRACT(setup_uart), CONTRACT(setup_mailbox)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
