/* SPDX-License-Identifier: BSD-2-Clause */
/* plugins/smap: the answers for a memory map, and what setup plants. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/plugin.h>

#include "plugins/smap/smap.h"

/* The linker set, of which the test wants the one member. */
extern const struct plugin_setup *const __start_plugin_setups[];

static void add(struct memory_map *map, uint64_t base, uint64_t end, uint32_t type)
{
	map->range[map->count++] = (struct memory_range){.base = base, .length = end - base, .type = type};
}

static void test_sizes(void **state)
{
	struct memory_map map = {0};
	struct smap_header header = {0};

	(void)state;
	smap_answer_sizes(&map, &header);
	assert_int_equal(header.kib_below_16m | header.units_64kib_from_16m | header.kib_capped, 0);
	assert_int_equal(header.kib, 0);

	/* 512 MiB with 128 KiB of firmware tables at the end */
	add(&map, 0, 0x9ec00, MEMORY_USABLE);
	add(&map, 0xf0000, 0x100000, MEMORY_RESERVED);
	add(&map, 0x100000, 0x1ffe0000, MEMORY_USABLE);
	add(&map, 0x1ffe0000, 0x20000000, MEMORY_RESERVED);
	smap_answer_sizes(&map, &header);
	assert_int_equal(header.kib_below_16m, 0x3c00);
	assert_int_equal(header.units_64kib_from_16m, (0x1ffe0000 - 0x1000000) >> 16);
	assert_int_equal(header.kib_capped, 63 * 1024);
	assert_int_equal(header.kib, (0x1ffe0000 - 0x100000) >> 10);
}

static void test_sizes_small(void **state)
{
	struct memory_map map = {0};
	struct smap_header header;

	(void)state;
	add(&map, 0, 0xa0000, MEMORY_USABLE);
	add(&map, 0x100000, 0x300400, MEMORY_USABLE);
	smap_answer_sizes(&map, &header);
	assert_int_equal(header.kib_below_16m, 2049);
	assert_int_equal(header.units_64kib_from_16m, 0);
	assert_int_equal(header.kib_capped, 2049);
	assert_int_equal(header.kib, 2049);
}

static void test_sizes_with_isa_hole(void **state)
{
	struct memory_map map = {0};
	struct smap_header header;

	(void)state;
	add(&map, 0x100000, MIB(15), MEMORY_USABLE);
	add(&map, MIB(15), MIB(16), MEMORY_RESERVED);
	add(&map, MIB(16), MIB(64), MEMORY_USABLE);
	smap_answer_sizes(&map, &header);
	assert_int_equal(header.kib_below_16m, 14 * 1024);
	assert_int_equal(header.units_64kib_from_16m, 48 * 16);
	assert_int_equal(header.kib_capped, 14 * 1024);
	assert_int_equal(header.kib, 14 * 1024);
}

static void test_sizes_large(void **state)
{
	struct memory_map map = {0};
	struct smap_header header;

	(void)state;
	/* neighbours of one type count as one; what lies above 4 GiB does not count */
	add(&map, 0, MIB(32), MEMORY_USABLE);
	add(&map, MIB(32), GIB(6), MEMORY_USABLE);
	smap_answer_sizes(&map, &header);
	assert_int_equal(header.kib_below_16m, 0x3c00);
	assert_int_equal(header.units_64kib_from_16m, 0xff00);
	assert_int_equal(header.kib_capped, 0xfc00);
	assert_int_equal(header.kib, (GIB(4) - MIB(1)) >> 10);
}

static void test_sizes_with_hidden_window(void **state)
{
	struct memory_map map = {0};
	struct smap_header header;

	(void)state;
	add(&map, MIB(1), MIB(252), MEMORY_USABLE);
	add(&map, MIB(252), MIB(256), MEMORY_RESERVED);
	add(&map, MIB(256), GIB(3), MEMORY_USABLE);
	smap_answer_sizes(&map, &header);
	assert_int_equal(header.units_64kib_from_16m, (252 - 16) * 16);
	assert_int_equal(header.kib, 251 * 1024);
}

struct fixture {
	struct machine machine;
	struct config config;
	struct plan plan;
	const char *why;
};

static void fixture_init(struct fixture *f, uint32_t ranges)
{
	memset(f, 0, sizeof(*f));
	f->plan.machine = &f->machine;
	f->plan.config = &f->config;
	f->plan.low_segment = 0x9ec0;
	for (uint32_t i = 0; i < ranges; i++)
		add(&f->plan.guest_memory, GIB(4) + i * MIB(2), GIB(4) + i * MIB(2) + MIB(1), 1 + i % 5);
}

static void check_planted(const struct fixture *f, uint16_t offset)
{
	const uint8_t *image = f->plan.low_image + offset;
	struct smap_header header;

	memcpy(&header, image, sizeof(header));
	assert_int_equal(offset % 16, 0);
	assert_int_equal(header.enter_segment, f->plan.low_segment + offset / 16);
	assert_int_equal(header.count, f->plan.guest_memory.count);
	assert_int_equal(header.ranges, smap_stub_end - smap_stub);
	assert_memory_equal(image + sizeof(header), smap_stub + sizeof(header), header.ranges - sizeof(header));
	for (uint32_t i = 0; i < header.count; i++) {
		const struct memory_range *range = &f->plan.guest_memory.range[i];
		struct smap_range told;

		memcpy(&told, image + header.ranges + i * sizeof(told), sizeof(told));
		assert_int_equal(told.base, range->base);
		assert_int_equal(told.length, range->length);
		assert_int_equal(told.type, range->type);
	}
	assert_int_equal(f->plan.low_used, offset + header.ranges + header.count * sizeof(struct smap_range));
}

static void test_prepare(void **state)
{
	static const uint32_t counts[] = {1, 7, 24, 25, 100, MACHINE_MEMORY_MAX};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		fixture_init(&f, counts[i]);
		assert_int_equal(plan_low_alloc(&f.plan, 5, 1), 0);
		assert_int_equal(__start_plugin_setups[0]->prepare(&f.plan, NULL, &f.why), 0);
		assert_int_equal(f.plan.vector_count, 1);
		assert_int_equal(f.plan.vector[0].vector, 0x15);
		assert_int_equal(f.plan.vector[0].offset, 16);
		assert_int_equal(f.plan.vector[0].old_vector, 16 + offsetof(struct smap_header, old_vector));
		check_planted(&f, 16);
	}
}

static void test_prepare_no_room(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, MACHINE_MEMORY_MAX);
	assert_true(plan_low_alloc(&f.plan, 2048, 1) >= 0);
	assert_int_equal(__start_plugin_setups[0]->prepare(&f.plan, NULL, &f.why), -ENOSPC);
	assert_non_null(strstr(f.why, "smap"));
	assert_int_equal(f.plan.vector_count, 0);
}

static void test_prepare_vector_taken(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 3);
	assert_int_equal(plan_low_alloc(&f.plan, 16, 1), 0);
	assert_int_equal(plan_vector_hook(&f.plan, 0x15, 0, 4), 0);
	assert_int_equal(__start_plugin_setups[0]->prepare(&f.plan, NULL, &f.why), -EEXIST);
	assert_non_null(strstr(f.why, "15h"));
}

static void test_prepare_guest_call(void **state)
{
	static const struct {
		uint32_t vendor;
		uint8_t last;
	} cases[] = {{CPU_VENDOR_AMD, 0xd9}, {CPU_VENDOR_INTEL, 0xc1}, {CPU_VENDOR_OTHER, 0xd9}};
	struct smap_header header;
	struct fixture f;

	(void)state;
	memcpy(&header, smap_stub, sizeof(header));
	if (!header.guest_call) {
		fixture_init(&f, 3);
		assert_int_equal(__start_plugin_setups[0]->prepare(&f.plan, NULL, &f.why), 0);
		assert_int_equal(f.plan.guest_call_count, 0);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint8_t call[3] = {0x0f, 0x01, cases[i].last};
		uint8_t planted[3];

		fixture_init(&f, 3);
		f.machine.vendor = cases[i].vendor;
		assert_int_equal(__start_plugin_setups[0]->prepare(&f.plan, NULL, &f.why), 0);
		assert_int_equal(f.plan.guest_call_count, 1);
		assert_string_equal(f.plan.guest_call_plugin[0], "smap");
		assert_int_equal(f.plan.guest_call[0], f.plan.low_segment * 16u + header.guest_call);
		memcpy(planted, f.plan.low_image + header.guest_call, sizeof(planted));
		assert_memory_equal(planted, call, sizeof(call));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sizes_small),
		cmocka_unit_test(test_sizes_with_isa_hole),
		cmocka_unit_test(test_sizes_large),
		cmocka_unit_test(test_sizes_with_hidden_window),
		cmocka_unit_test(test_prepare),
		cmocka_unit_test(test_prepare_no_room),
		cmocka_unit_test(test_prepare_vector_taken),
		cmocka_unit_test(test_prepare_guest_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
