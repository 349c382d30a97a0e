/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/uart/uart.c against a model of a 16550 with a line that takes its time. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/frontend.h>
#include <undercroft/owner.h>
#include <undercroft/region.h>

#include "tests/fakes/fake_platform.h"
#include "tests/fakes/fake_uart.h"

#define PORT 0x2f8
#define MMIO 0xfe030000ull

/* The linker set, of which the test wants the one member. */
extern const struct frontend_ops *const __start_frontends[];

struct bench {
	struct fake_platform fake;
	struct fake_uart model;
	struct frontend *uart;
};

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	fake_platform_init(&bench->fake, PAGE_SIZE);
	fake_uart_init(&bench->model, &bench->fake, PORT, MMIO);
	bench->uart = calloc(1, __start_frontends[0]->size);
	*bench->uart = (struct frontend){
		.ops = __start_frontends[0],
		.platform = &bench->fake.platform,
		.config = {.compatible = "ns16550a",
			   .address = PORT,
			   .length = 8,
			   .clock_hz = 1843200,
			   .speed = 115200,
			   .is_port = 1,
			   .reg_width = 1},
	};
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	fake_platform_free(&bench->fake);
	free(bench->uart);
	free(bench);
	return 0;
}

static void test_names(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(bench->uart->ops->name, "uart");
	assert_string_equal(bench->uart->ops->compatible, "ns16550a");
}

static void test_probe_leaves_it(void **state)
{
	struct bench *bench = *state;
	struct fake_uart before = bench->model;

	assert_int_equal(bench->uart->ops->probe(bench->uart), 0);
	assert_memory_equal(&bench->model, &before, sizeof(before));
}

static void test_probe_lets_bytes_leave(void **state)
{
	struct bench *bench = *state;

	bench->model.idle_at_us = bench->fake.clock_us + 500;
	assert_int_equal(bench->uart->ops->probe(bench->uart), 0);
	assert_false(bench->model.sent_in_loop);
}

static void test_absent(void **state)
{
	struct bench *bench = *state;
	uint64_t start;

	bench->model.no_device = true;
	start = bench->fake.clock_us;
	assert_int_equal(bench->uart->ops->probe(bench->uart), -ENODEV);
	assert_int_equal(bench->uart->ops->open(bench->uart), -ENODEV);
	assert_true(bench->fake.clock_us - start < 50);
	bench->model.no_device = false;
	bench->model.has_scratch = false;
	assert_int_equal(bench->uart->ops->probe(bench->uart), -ENODEV);
	/* nothing decodes the port at all */
	bench->uart->config.address = 0x3e8;
	assert_int_equal(bench->uart->ops->probe(bench->uart), -ENODEV);
}

static void test_open_programs_it(void **state)
{
	static const struct {
		uint32_t clock, speed;
		unsigned divisor;
	} cases[] = {
		{1843200, 115200, 1},  {1843200, 57600, 2},  {1843200, 38400, 3},    {1843200, 9600, 12},
		{1843200, 110, 1047},  {1843200, 50, 2304},  {14745600, 115200, 8},  {24000000, 115200, 13},
		{48000000, 9600, 313}, {1843200, 120000, 1}, {33333333, 115200, 18},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bench->uart->config.clock_hz = cases[i].clock;
		bench->uart->config.speed = cases[i].speed;
		assert_int_equal(bench->uart->ops->open(bench->uart), 0);
		assert_int_equal(bench->model.dll | bench->model.dlm << 8, cases[i].divisor);
		assert_int_equal(bench->model.lcr, 0x03);
		assert_int_equal(bench->model.ier, 0);
		assert_int_equal(bench->model.mcr, 0x03);
		assert_int_equal(bench->model.fcr & 1, 1);
		assert_true(bench->model.fifo_was_reset);
		assert_int_equal(bench->model.scr, 0x77);
	}
}

static void test_open_impossible_speed(void **state)
{
	static const struct {
		uint32_t clock, speed;
	} cases[] = {{1843200, 0}, {1843200, 1}, {0, 115200}, {1843200, 4000000}, {1843200, UINT32_MAX}};
	struct bench *bench = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bench->uart->config.clock_hz = cases[i].clock;
		bench->uart->config.speed = cases[i].speed;
		assert_int_equal(bench->uart->ops->open(bench->uart), -ENODEV);
	}
}

static void fill(uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
}

/* Sends as a log sink does: waits for the line, but not for one that is stuck. Bytes sent. */
static size_t send(struct bench *bench, const uint8_t *bytes, size_t length)
{
	struct frontend *uart = bench->uart;
	uint64_t moved_us = bench->fake.clock_us;
	size_t sent = 0, taken;

	do {
		taken = uart->ops->write(uart, bytes + sent, length - sent);
		sent += taken;
	} while (sent < length && frontend_retry(uart, taken, uart->stall_us, &moved_us));
	return sent;
}

static void check_write(struct bench *bench)
{
	uint8_t bytes[100];

	fill(bytes, sizeof(bytes));
	assert_int_equal(bench->uart->ops->open(bench->uart), 0);
	assert_int_equal(send(bench, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(send(bench, bytes, 1), 1);
	assert_int_equal(send(bench, bytes, 0), 0);
	assert_int_equal(bench->model.tx_count, sizeof(bytes) + 1);
	assert_memory_equal(bench->model.tx, bytes, sizeof(bytes));
	assert_int_equal(bench->model.overruns, 0);
	assert_int_equal(bench->uart->ops->flush(bench->uart), 0);
	assert_true(bench->fake.clock_us >= bench->model.idle_at_us);
}

static void test_write(void **state)
{
	check_write(*state);
}

static void test_write_slowly(void **state)
{
	struct bench *bench = *state;

	bench->uart->config.speed = 300;
	check_write(bench);
}

static void test_write_without_fifo(void **state)
{
	struct bench *bench = *state;

	bench->model.has_fifo = false;
	check_write(bench);
}

static void test_write_by_memory(void **state)
{
	struct bench *bench = *state;

	bench->uart->config.is_port = 0;
	bench->uart->config.address = MMIO;
	check_write(bench);
}

/* As on chips where registers are words. */
static void test_write_by_words(void **state)
{
	struct bench *bench = *state;
	struct region region;

	bench->uart->config.is_port = 0;
	bench->uart->config.address = MMIO;
	bench->uart->config.reg_shift = bench->model.mmio_shift = 2;
	bench->uart->config.reg_width = bench->model.mmio_width = 4;
	check_write(bench);
	assert_int_equal(bench->uart->ops->regions(bench->uart, &region, 1), 1);
	assert_int_equal(region.length, 32);
}

static void test_write_by_64_bytes(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[100] = {0};

	bench->model.has_64 = true;
	check_write(bench);
	assert_int_equal(bench->uart->ops->write(bench->uart, bytes, sizeof(bytes)), 64);
	assert_int_equal(bench->model.overruns, 0);
	/* and in time: this takes longer than 16 bytes do */
	assert_int_equal(bench->uart->ops->flush(bench->uart), 0);
	assert_int_equal(bench->uart->ops->recover(bench->uart), 0);
}

/* What came too fast is lost; what follows is not, and somebody knows. */
static void test_overrun(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[40], got[40];

	fill(bytes, sizeof(bytes));
	assert_int_equal(bench->uart->ops->open(bench->uart), 0);
	fake_uart_say(&bench->model, bytes, 20);
	assert_int_equal(bench->uart->overruns, 0);
	assert_int_equal(bench->uart->ops->read(bench->uart, got, sizeof(got)), 16);
	assert_memory_equal(got, bytes, 16);
	assert_int_equal(bench->uart->overruns, 1);
	fake_uart_say(&bench->model, bytes + 20, 10);
	assert_int_equal(bench->uart->ops->read(bench->uart, got, sizeof(got)), 10);
	assert_memory_equal(got, bytes + 20, 10);
	assert_int_equal(bench->uart->overruns, 1);
	/* also when it is the sender that looks */
	fake_uart_say(&bench->model, bytes, 17);
	assert_int_equal(bench->uart->ops->write(bench->uart, bytes, 1), 1);
	assert_int_equal(bench->uart->overruns, 2);
	assert_int_equal(bench->uart->ops->read(bench->uart, got, sizeof(got)), 16);
	assert_int_equal(bench->uart->overruns, 2);
	/* a device that is gone has none */
	bench->model.no_device = true;
	assert_int_equal(bench->uart->ops->read(bench->uart, got, sizeof(got)), 0);
	assert_int_equal(bench->uart->overruns, 2);
}

static void test_no_listener_does_not_stall(void **state)
{
	struct bench *bench = *state;

	bench->model.lines = 0; /* CTS, DSR and DCD low */
	check_write(bench);
}

static void test_stuck_transmitter(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[40];
	uint64_t start;

	fill(bytes, sizeof(bytes));
	bench->model.stuck = true;
	start = bench->fake.clock_us;
	assert_int_equal(bench->uart->ops->open(bench->uart), -ETIMEDOUT);
	assert_true(bench->fake.clock_us - start < 20000);

	bench->model.stuck = false;
	assert_int_equal(bench->uart->ops->open(bench->uart), 0);
	bench->model.stuck = true;
	start = bench->fake.clock_us;
	assert_int_equal(send(bench, bytes, sizeof(bytes)), 0);
	assert_true(bench->fake.clock_us - start < 10000);
	/* from now on it costs next to nothing */
	start = bench->fake.clock_us;
	for (int i = 0; i < 100; i++)
		assert_int_equal(send(bench, bytes, sizeof(bytes)), 0);
	assert_int_equal(bench->uart->ops->flush(bench->uart), -ETIMEDOUT);
	assert_true(bench->fake.clock_us - start < 1000);
	/* until it moves again */
	bench->model.stuck = false;
	assert_int_equal(send(bench, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(bench->model.tx_count, sizeof(bytes));
}

static void test_flush_is_bounded(void **state)
{
	struct bench *bench = *state;
	uint64_t start;

	assert_int_equal(bench->uart->ops->open(bench->uart), 0);
	bench->model.stuck = true;
	start = bench->fake.clock_us;
	assert_int_equal(bench->uart->ops->flush(bench->uart), -ETIMEDOUT);
	assert_true(bench->fake.clock_us - start < 10000);
}

static void test_short_write(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[40];

	fill(bytes, sizeof(bytes));
	assert_int_equal(bench->uart->ops->open(bench->uart), 0);
	/* never waits: the FIFO takes what it can */
	assert_int_equal(bench->uart->ops->write(bench->uart, bytes, sizeof(bytes)), 16);
	assert_int_equal(bench->uart->ops->write(bench->uart, bytes, sizeof(bytes)), 0);
	assert_int_equal(bench->uart->ops->flush(bench->uart), 0);
	bench->model.tx_count = 0;
	/* the guest's firmware slowed the line down behind our back: what the FIFO cannot take is refused */
	bench->model.dlm = 0xff;
	assert_int_equal(send(bench, bytes, sizeof(bytes)), 16);
	assert_memory_equal(bench->model.tx, bytes, 16);
	assert_int_equal(bench->model.overruns, 0);
}

static void test_read(void **state)
{
	struct bench *bench = *state;
	uint8_t buffer[8];

	assert_int_equal(bench->uart->ops->open(bench->uart), 0);
	assert_int_equal(bench->uart->ops->read(bench->uart, buffer, sizeof(buffer)), 0);
	memcpy(bench->model.rx, "0123456789", 10);
	bench->model.rx_count = 10;
	assert_int_equal(bench->uart->ops->read(bench->uart, buffer, sizeof(buffer)), 8);
	assert_memory_equal(buffer, "01234567", 8);
	assert_int_equal(bench->uart->ops->read(bench->uart, buffer, sizeof(buffer)), 2);
	assert_memory_equal(buffer, "89", 2);
	bench->model.no_device = true;
	assert_int_equal(bench->uart->ops->read(bench->uart, buffer, sizeof(buffer)), 0);
}

static void check_recovered(struct bench *bench)
{
	assert_int_equal(bench->uart->ops->recover(bench->uart), 0);
	assert_int_equal(bench->model.dll | bench->model.dlm << 8, 1);
	assert_int_equal(bench->model.lcr, 0x03);
	assert_int_equal(bench->model.ier, 0);
	assert_int_equal(bench->model.mcr, 0x03);
	assert_int_equal(bench->model.fcr & 1, 1);
}

static void test_recover(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(bench->uart->ops->open(bench->uart), 0);

	bench->model.fifo_was_reset = false;
	check_recovered(bench);
	assert_false(bench->model.fifo_was_reset); /* nothing was wrong: nothing is lost */

	bench->model.dll = 0x0c; /* the speed alone */
	check_recovered(bench);
	assert_true(bench->model.fifo_was_reset);
	bench->model.lcr = 0x9b; /* DLAB left set */
	check_recovered(bench);
	bench->model.ier = 0x0f;
	check_recovered(bench);
	bench->model.fcr = 0;
	check_recovered(bench);
	bench->model.mcr = 0x1b; /* loopback */
	check_recovered(bench);

	bench->model.no_device = true;
	assert_int_equal(bench->uart->ops->recover(bench->uart), -ENODEV);
}

static void test_regions(void **state)
{
	struct bench *bench = *state;
	struct region region;

	assert_int_equal(bench->uart->ops->regions(bench->uart, NULL, 0), 1);
	assert_int_equal(bench->uart->ops->regions(bench->uart, &region, 1), 1);
	assert_string_equal(region.name, "uart@2f8");
	assert_string_equal(region.owner->name, "uart");
	assert_int_equal(region.space, REGION_PORT);
	assert_int_equal(region.start, PORT);
	assert_int_equal(region.length, 8);
	assert_null(region.read);
	assert_null(region.write);

	bench->uart->config.is_port = 0;
	bench->uart->config.address = 0xfedcba9876543210ull;
	assert_int_equal(bench->uart->ops->regions(bench->uart, &region, 1), 1);
	assert_string_equal(region.name, "uart@fedcba9876543210");
	assert_int_equal(region.space, REGION_MMIO);
	assert_true(region.trap_reads);
}

static void test_handoff(void **state)
{
	struct bench *bench = *state;
	uint8_t exported[FRONTEND_STATE_MAX];
	struct frontend *other = calloc(1, bench->uart->ops->size);
	size_t size;

	assert_int_equal(bench->uart->ops->open(bench->uart), 0);
	assert_int_equal(bench->uart->ops->export(bench->uart, exported, 1), 0);
	size = bench->uart->ops->export(bench->uart, exported, sizeof(exported));
	assert_in_range(size, 1, FRONTEND_STATE_MAX);

	*other = *bench->uart;
	fake_access_clear(&bench->fake);
	assert_int_equal(other->ops->adopt(other, exported, size), 0);
	assert_int_equal(bench->fake.access_count, 0);
	assert_int_equal(other->stall_us, bench->uart->stall_us);
	assert_int_equal(other->ops->write(other, "0123456789abcdefXYZ", 19), 16);
	assert_int_equal(bench->model.overruns, 0);
	assert_int_equal(other->ops->recover(other), 0);

	assert_int_equal(other->ops->adopt(other, exported, size - 1), -EINVAL);
	memset(exported, 0, sizeof(exported));
	assert_int_equal(other->ops->adopt(other, exported, size), -EINVAL);
	memset(exported, 0xff, sizeof(exported));
	assert_int_equal(other->ops->adopt(other, exported, size), -EINVAL);
	free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_by_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_by_64_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overrun, setup, teardown),
		cmocka_unit_test_setup_teardown(test_probe_leaves_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_probe_lets_bytes_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_programs_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_impossible_speed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_slowly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_without_fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_by_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_listener_does_not_stall, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck_transmitter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recover, setup, teardown),
		cmocka_unit_test_setup_teardown(test_regions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handoff, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
