/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frontends/uart/pci.c: a UART that is a PCI function is found, and its configuration space is not there for the guest.
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

#include "tests/fakes/fake_platform.h"
#include "tests/fakes/fake_uart.h"

#define FUNCTION 0x8000b300u /* 0:16.3 */
#define OTHER	 0x8000b200u
#define PORT	 0xc000
#define MMIO	 0xfe030000u

extern const struct frontend_ops *const __start_frontends[];

/* Two functions, 256 bytes of configuration space each. */
struct bench {
	struct fake_platform fake;
	struct fake_uart uart;
	struct frontend *frontend;
	uint32_t address; /* port CF8h */
	uint8_t ours[256], other[256];
};

static uint8_t *space(struct bench *bench)
{
	if ((bench->address & 0x80ffff00) == FUNCTION)
		return bench->ours;
	return (bench->address & 0x80ffff00) == OTHER ? bench->other : NULL;
}

static uint64_t address_read(void *context, uint64_t port, unsigned size)
{
	const struct bench *bench = context;

	assert_int_equal(port, 0xcf8);
	assert_int_equal(size, 4);
	return bench->address;
}

static void address_write(void *context, uint64_t port, unsigned size, uint64_t value)
{
	struct bench *bench = context;

	assert_int_equal(port, 0xcf8);
	assert_int_equal(size, 4);
	bench->address = (uint32_t)value;
}

static uint64_t data_read(void *context, uint64_t port, unsigned size)
{
	struct bench *bench = context;
	uint64_t value = ~0ull;

	if (space(bench))
		memcpy(&value, space(bench) + (bench->address & 0xfc) + (port & 3), size);
	return value;
}

static void data_write(void *context, uint64_t port, unsigned size, uint64_t value)
{
	struct bench *bench = context;

	if (space(bench))
		memcpy(space(bench) + (bench->address & 0xfc) + (port & 3), &value, size);
}

static void set32(uint8_t *bytes, unsigned reg, uint32_t value)
{
	memcpy(bytes + reg, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *bytes, unsigned reg)
{
	uint32_t value;

	memcpy(&value, bytes + reg, sizeof(value));
	return value;
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	fake_platform_init(&bench->fake, PAGE_SIZE);
	fake_uart_init(&bench->uart, &bench->fake, PORT, MMIO);
	fake_port_add(&bench->fake, 0xcf8, 4, address_read, address_write, bench);
	fake_port_add(&bench->fake, 0xcfc, 4, data_read, data_write, bench);
	bench->address = 0x12345678;
	set32(bench->ours, 0x00, 0x1c3d8086);
	set32(bench->ours, 0x04, 0xb0b00000);
	set32(bench->ours, 0x08, 0x07000204);
	set32(bench->ours, 0x0c, 0x00800000); /* one of several functions */
	set32(bench->ours, 0x10, PORT | 1);
	set32(bench->other, 0x00, 0x1c3c8086);
	bench->frontend = calloc(1, __start_frontends[0]->size);
	*bench->frontend = (struct frontend){
		.ops = __start_frontends[0],
		.platform = &bench->fake.platform,
		.config = {.compatible = "ns16550a",
			   .pci = FUNCTION,
			   .clock_hz = 1843200,
			   .speed = 115200,
			   .reg_width = 1},
	};
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	fake_platform_free(&bench->fake);
	free(bench->frontend);
	free(bench);
	return 0;
}

static void test_ports(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;

	assert_int_equal(frontend->ops->probe(frontend), 0);
	/* as it was: bits of the status register are not cleared, decoding is off again */
	assert_int_equal(get32(bench->ours, 0x04) & 0xffff, 0);
	assert_int_equal(bench->address, 0x12345678);
	assert_int_equal(frontend->ops->open(frontend), 0);
	assert_int_equal(get32(bench->ours, 0x04), 0x1);
	assert_int_equal(bench->address, 0x12345678);
	assert_int_equal(frontend->config.is_port, 1);
	assert_int_equal(frontend->config.address, PORT);
	assert_int_equal(frontend->config.length, 8);
	assert_int_equal(frontend->ops->write(frontend, "abc", 3), 3);
	assert_memory_equal(bench->uart.tx, "abc", 3);
}

static void test_memory(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;

	set32(bench->ours, 0x10, MMIO | 0x4);
	frontend->config.reg_shift = bench->uart.mmio_shift = 2;
	frontend->config.reg_width = bench->uart.mmio_width = 4;
	assert_int_equal(frontend->ops->open(frontend), 0);
	assert_int_equal(get32(bench->ours, 0x04), 0x2);
	assert_int_equal(frontend->config.is_port, 0);
	assert_int_equal(frontend->config.address, MMIO);
	assert_int_equal(frontend->config.length, 32);
	/* out of reach */
	set32(bench->ours, 0x14, 1);
	assert_int_equal(frontend->ops->probe(frontend), -ENODEV);
}

static void test_not_a_uart(void **state)
{
	static const struct {
		unsigned reg;
		uint32_t value;
	} wrong[] = {
		{0x00, ~0u}, {0x08, 0x02000000}, {0x08, 0x07010000},	      {0x0c, 0x00010000},
		{0x10, 0},   {0x10, 1},		 {0x10, 0xffff0001 | 0xfffc},
	};
	struct bench *bench = *state;
	uint8_t before[256];

	memcpy(before, bench->ours, sizeof(before));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		memcpy(bench->ours, before, sizeof(before));
		set32(bench->ours, wrong[i].reg, wrong[i].value);
		assert_int_equal(bench->frontend->ops->probe(bench->frontend), -ENODEV);
		assert_int_equal(bench->frontend->ops->open(bench->frontend), -ENODEV);
		assert_int_equal(get32(bench->ours, 0x04), 0xb0b00000);
	}
	assert_int_equal(bench->address, 0x12345678);
}

static void test_hidden_from_the_guest(void **state)
{
	struct bench *bench = *state;
	struct frontend *frontend = bench->frontend;
	struct region region[4];

	assert_int_equal(frontend->ops->open(frontend), 0);
	assert_int_equal(frontend->ops->regions(frontend, NULL, 0), 3);
	assert_int_equal(frontend->ops->regions(frontend, region, 4), 2);
	assert_int_equal(region[0].start, PORT);
	assert_int_equal(region[0].length, 8);
	assert_int_equal(region[1].space, REGION_PORT);
	assert_int_equal(region[1].start, 0xcfc);
	assert_int_equal(region[1].length, 4);
	/* sizing a base address register, as a guest does */
	bench->address = FUNCTION | 0x10;
	region[1].write(NULL, &region[1], 0, 4, ~0u);
	assert_int_equal(get32(bench->ours, 0x10), PORT | 1);
	assert_int_equal(region[1].read(NULL, &region[1], 0, 4) & ~0u, ~0u);
	assert_int_equal(region[1].read(NULL, &region[1], 2, 2) & 0xffff, 0xffff);
	/* registers beyond 255, by the bits some chipsets have for them */
	bench->address = FUNCTION | 0x03000000 | 0x10;
	region[1].write(NULL, &region[1], 1, 1, 0);
	assert_int_equal(get32(bench->ours, 0x10), PORT | 1);
	/* the others are as they are */
	bench->address = OTHER;
	assert_int_equal(region[1].read(NULL, &region[1], 0, 4), 0x1c3c8086);
	assert_int_equal(region[1].read(NULL, &region[1], 2, 2), 0x1c3c);
	assert_int_equal(region[1].read(NULL, &region[1], 1, 1), 0x80);
	bench->address = OTHER | 0x10;
	region[1].write(NULL, &region[1], 2, 1, 0x77);
	assert_int_equal(bench->other[0x12], 0x77);

	frontend->config.config_page = 0xb00b3000;
	assert_int_equal(frontend->ops->regions(frontend, region, 4), 3);
	assert_int_equal(region[2].space, REGION_MMIO);
	assert_int_equal(region[2].start, 0xb00b3000);
	assert_int_equal(region[2].length, 4096);
	assert_true(region[2].trap_reads);
	assert_null(region[2].read);
	assert_null(region[2].write);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_uart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hidden_from_the_guest, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
