/* SPDX-License-Identifier: BSD-2-Clause */
/* core/plan/plan.c: the window and the stolen conventional memory, on the maps of real machines and on unreal ones. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/plan.h>

struct fixture {
	struct machine machine;
	struct config config;
	struct plan plan;
	const char *why;
};

static void add(struct fixture *f, uint64_t base, uint64_t end, uint32_t type)
{
	struct memory_map *map = &f->machine.memory;

	map->range[map->count++] = (struct memory_range){.base = base, .length = end - base, .type = type};
}

/* What SeaBIOS reports on QEMU's pc: conventional memory, ROM, RAM up to its tables, more RAM above 4 GiB. */
static void seabios(struct fixture *f, uint64_t low_top, uint64_t high_top)
{
	memset(f, 0, sizeof(*f));
	f->config.reserved_size = MIB(2);
	f->machine.bios_base_memory_kib = 639;
	add(f, 0, 0x9fc00, MEMORY_USABLE);
	add(f, 0x9fc00, 0xa0000, MEMORY_RESERVED);
	add(f, 0xf0000, 0x100000, MEMORY_RESERVED);
	add(f, 0x100000, low_top - 0x20000, MEMORY_USABLE);
	add(f, low_top - 0x20000, low_top, MEMORY_RESERVED);
	add(f, 0xfffc0000, GIB(4), MEMORY_RESERVED);
	if (high_top)
		add(f, GIB(4), high_top, MEMORY_USABLE);
}

static int make(struct fixture *f)
{
	f->why = NULL;
	return plan_make(&f->plan, &f->machine, &f->config, &f->why);
}

static uint32_t type_at(const struct memory_map *map, uint64_t address)
{
	for (uint32_t i = 0; i < map->count; i++) {
		if (address >= map->range[i].base && address - map->range[i].base < map->range[i].length)
			return map->range[i].type;
	}
	return 0;
}

static uint64_t usable(const struct memory_map *map)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < map->count; i++) {
		if (map->range[i].type == MEMORY_USABLE)
			total += map->range[i].length;
	}
	return total;
}

/* Exactly the window and the low piece have gone. */
static void expect_taken(const struct fixture *f)
{
	const struct plan *plan = &f->plan;
	uint64_t low = (uint64_t)plan->low_segment << 4;
	struct memory_map clean;

	assert_int_equal(memory_map_normalise(&f->machine.memory, &clean), 0);
	assert_int_equal(plan->window % MIB(2), 0);
	assert_int_equal(plan->window_size % MIB(2), 0);
	assert_true(plan->window >= MIB(16) && plan->window + plan->window_size <= GIB(4));
	assert_int_equal(type_at(&plan->guest_memory, plan->window), MEMORY_RESERVED);
	assert_int_equal(type_at(&plan->guest_memory, plan->window + plan->window_size - 1), MEMORY_RESERVED);
	assert_int_equal(type_at(&plan->guest_memory, low), MEMORY_RESERVED);
	assert_int_equal(type_at(&plan->guest_memory, low + KIB(PLAN_LOW_SIZE_KIB) - 1), MEMORY_RESERVED);
	assert_int_equal(type_at(&plan->guest_memory, low - 1), MEMORY_USABLE);
	assert_int_equal(usable(&clean) - usable(&plan->guest_memory), plan->window_size + KIB(PLAN_LOW_SIZE_KIB));
	for (uint32_t i = 1; i < plan->guest_memory.count; i++)
		assert_true(plan->guest_memory.range[i - 1].base + plan->guest_memory.range[i - 1].length <=
			    plan->guest_memory.range[i].base);
	assert_ptr_equal(plan->machine, &f->machine);
	assert_ptr_equal(plan->config, &f->config);
}

static void test_real_maps(void **state)
{
	static const struct {
		uint64_t low_top, high_top, window;
	} maps[] = {
		{MIB(256), 0, MIB(252)},
		{MIB(512), 0, MIB(508)},
		{GIB(3), GIB(7), GIB(3) - MIB(4)},     /* 6 GiB on pc */
		{GIB(2), GIB(8) - 0, GIB(2) - MIB(4)}, /* 6 GiB on q35 */
		{MIB(32), 0, MIB(28)},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		seabios(&f, maps[i].low_top, maps[i].high_top);
		assert_int_equal(make(&f), 0);
		assert_int_equal(f.plan.window, maps[i].window);
		assert_int_equal(f.plan.window_size, MIB(2));
		assert_int_equal(f.plan.low_segment, (639 - PLAN_LOW_SIZE_KIB) * 64);
		expect_taken(&f);
	}
}

static void test_sizes(void **state)
{
	struct fixture f;

	(void)state;
	seabios(&f, MIB(512), 0);
	f.config.reserved_size = MIB(2) + 1;
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.window_size, MIB(4));
	assert_int_equal(f.plan.window, MIB(506));
	expect_taken(&f);

	/* too big for the end of RAM: goes below what option ROMs use */
	f.config.reserved_size = MIB(16);
	assert_int_equal(make(&f), 0);
	assert_true(f.plan.window + f.plan.window_size <= MIB(512) - 0x20000 - MIB(32));
	assert_int_equal(f.plan.window, MIB(462));
	f.config.reserved_size = CONFIG_RESERVED_MAX;
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.window, MIB(414));
	expect_taken(&f);

	/* no other room than that: takes it */
	seabios(&f, MIB(48), 0);
	f.config.reserved_size = MIB(24);
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.window, MIB(22));
	expect_taken(&f);

	f.config.reserved_size = 0;
	assert_int_equal(make(&f), -EINVAL);
	assert_non_null(strstr(f.why, "64 MiB"));
	f.config.reserved_size = CONFIG_RESERVED_MAX + 1;
	assert_int_equal(make(&f), -EINVAL);
	f.config.reserved_size = UINT64_MAX;
	assert_int_equal(make(&f), -EINVAL);
}

static void test_no_room(void **state)
{
	struct fixture f;

	(void)state;
	seabios(&f, MIB(16), 0);
	assert_int_equal(make(&f), -ENOMEM);
	assert_string_equal(f.why, "needs 2 MiB of usable memory in one piece between 16 MiB and 4 GiB, the firmware "
				   "reports at most 0 MiB there");
	/* RAM above 4 GiB alone does not help */
	seabios(&f, MIB(16), GIB(8));
	assert_int_equal(make(&f), -ENOMEM);
	seabios(&f, MIB(30), 0);
	f.config.reserved_size = MIB(64);
	assert_int_equal(make(&f), -ENOMEM);
	assert_string_equal(f.why, "needs 64 MiB of usable memory in one piece between 16 MiB and 4 GiB, the firmware "
				   "reports at most 12 MiB there");
	memset(&f.machine, 0, sizeof(f.machine));
	assert_int_equal(make(&f), -ENOMEM);
}

static void test_holes(void **state)
{
	struct fixture f;

	(void)state;
	/* one range across 4 GiB */
	seabios(&f, MIB(512), 0);
	f.machine.memory.count = 1;
	add(&f, MIB(1), GIB(16), MEMORY_USABLE);
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.window, GIB(4) - MIB(2));
	expect_taken(&f);

	/* unsorted, with a reserved hole that leaves no aligned 2 MiB at the end */
	seabios(&f, MIB(512), 0);
	f.machine.memory.count = 0;
	add(&f, MIB(509) - 4096, MIB(509), MEMORY_ACPI_NVS);
	add(&f, MIB(1), MIB(511), MEMORY_USABLE);
	add(&f, 0, 0x9fc00, MEMORY_USABLE);
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.window, MIB(506));
	expect_taken(&f);

	/* the highest room is not memory, the next not all of it aligned */
	seabios(&f, MIB(512), 0);
	f.machine.memory.count = 1;
	add(&f, GIB(1), GIB(2), MEMORY_RESERVED);
	add(&f, MIB(513), MIB(517), MEMORY_USABLE);
	add(&f, MIB(16), MIB(32), MEMORY_USABLE);
	f.config.reserved_size = MIB(4);
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.window, MIB(28));
	expect_taken(&f);

	/* the only room ends within the first 32 MiB and starts below 16 */
	seabios(&f, MIB(512), 0);
	f.machine.memory.count = 1;
	add(&f, MIB(1), MIB(18), MEMORY_USABLE);
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.window, MIB(16));
	expect_taken(&f);
}

static void test_low(void **state)
{
	struct fixture f;

	(void)state;
	/* a bigger EBDA by the BIOS data area, then by the map; neither on a KiB */
	seabios(&f, MIB(512), 0);
	f.machine.bios_base_memory_kib = 600;
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.low_segment, 596 * 64);
	expect_taken(&f);
	f.machine.bios_base_memory_kib = 640;
	f.machine.memory.range[0].length = 0x9f801;
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.low_segment, (0x9f800 - KIB(PLAN_LOW_SIZE_KIB)) >> 4);
	assert_int_equal(type_at(&f.plan.guest_memory, 0x9f800), MEMORY_USABLE);
	/* a hole in it: the part above the hole counts if the low piece fits there */
	seabios(&f, MIB(512), 0);
	add(&f, 0x9e000, 0x9f000, MEMORY_RESERVED);
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.low_segment, (0x9e000 - KIB(PLAN_LOW_SIZE_KIB)) >> 4);
	expect_taken(&f);
	/* more than there can be */
	seabios(&f, MIB(512), 0);
	f.machine.memory.range[0].length = MIB(1);
	f.machine.memory.range[1].length = f.machine.memory.range[2].length = 0;
	f.machine.bios_base_memory_kib = UINT16_MAX;
	assert_int_equal(make(&f), 0);
	assert_int_equal(f.plan.low_segment, (640 - PLAN_LOW_SIZE_KIB) * 64);

	f.machine.bios_base_memory_kib = 0;
	assert_int_equal(make(&f), -ENOMEM);
	assert_string_equal(f.why, "needs 256 KiB of conventional memory, the firmware reports 0 KiB in the BIOS data "
				   "area and 0 KiB in the memory map");
	f.machine.bios_base_memory_kib = 255;
	assert_int_equal(make(&f), -ENOMEM);
	f.machine.bios_base_memory_kib = 256;
	assert_int_equal(make(&f), 0);
	f.machine.memory.range[0].type = MEMORY_RESERVED;
	assert_int_equal(make(&f), -ENOMEM);
}

static void test_fragmented(void **state)
{
	struct fixture f;
	struct memory_map *map = &f.machine.memory;

	(void)state;
	/* more ranges than an int 15h table of 24 holds are no problem */
	seabios(&f, MIB(512), 0);
	for (uint32_t i = 0; i < 60; i++)
		add(&f, MIB(32) + i * MIB(2), MIB(32) + i * MIB(2) + 4096, MEMORY_RESERVED);
	assert_int_equal(make(&f), 0);
	expect_taken(&f);
	assert_true(f.plan.guest_memory.count > 24);

	/* full already: the window does not fit into the map */
	memset(map, 0, sizeof(*map));
	add(&f, 0, 0x9fc00, MEMORY_USABLE);
	add(&f, MIB(16), MIB(512), MEMORY_USABLE);
	while (map->count < MACHINE_MEMORY_MAX)
		add(&f, GIB(8) + map->count * MIB(2), GIB(8) + map->count * MIB(2) + 4096, MEMORY_USABLE);
	assert_int_equal(make(&f), -EINVAL);
	assert_non_null(strstr(f.why, "128 ranges"));
	map->count = MACHINE_MEMORY_MAX + 1;
	assert_int_equal(make(&f), -EINVAL);
}

static void test_low_alloc(void **state)
{
	struct fixture f;

	(void)state;
	seabios(&f, MIB(512), 0);
	assert_int_equal(make(&f), 0);
	assert_int_equal(plan_low_alloc(&f.plan, 3, 1), 0);
	assert_int_equal(plan_low_alloc(&f.plan, 3, 16), 16);
	assert_int_equal(plan_low_alloc(&f.plan, 0, 1), 19);
	assert_int_equal(plan_low_alloc(&f.plan, SIZE_MAX, 1), -ENOSPC);
	assert_int_equal(plan_low_alloc(&f.plan, KIB(PLAN_LOW_SIZE_KIB), 1), -ENOSPC);
	assert_int_equal(plan_low_alloc(&f.plan, 1, KIB(64)), -ENOSPC);
	assert_int_equal(plan_low_alloc(&f.plan, KIB(PLAN_LOW_SIZE_KIB) - 32, 32), 32);
	assert_int_equal(plan_low_alloc(&f.plan, 1, 1), -ENOSPC);
	assert_int_equal(plan_low_alloc(&f.plan, 0, 1), KIB(PLAN_LOW_SIZE_KIB));
}

static void test_vector_hook(void **state)
{
	struct fixture f;

	(void)state;
	seabios(&f, MIB(512), 0);
	assert_int_equal(make(&f), 0);
	assert_int_equal(plan_vector_hook(&f.plan, 0x15, 0, 0), -EINVAL);
	assert_int_equal(plan_low_alloc(&f.plan, 64, 16), 0);
	assert_int_equal(plan_vector_hook(&f.plan, 0x15, 16, 60), 0);
	assert_int_equal(f.plan.vector[0].vector, 0x15);
	assert_int_equal(f.plan.vector[0].offset, 16);
	assert_int_equal(f.plan.vector[0].old_vector, 60);
	assert_int_equal(plan_vector_hook(&f.plan, 0x15, 32, 0), -EEXIST);
	assert_int_equal(plan_vector_hook(&f.plan, 0x13, 64, 0), -EINVAL);
	assert_int_equal(plan_vector_hook(&f.plan, 0x13, 16, 61), -EINVAL);
	for (uint8_t i = 1; i < ARRAY_SIZE(f.plan.vector); i++)
		assert_int_equal(plan_vector_hook(&f.plan, i, 16, 0), 0);
	assert_int_equal(plan_vector_hook(&f.plan, 0x80, 16, 0), -ENOSPC);
	assert_int_equal(f.plan.vector_count, ARRAY_SIZE(f.plan.vector));
}

static void test_guest_call(void **state)
{
	struct fixture f;

	(void)state;
	seabios(&f, MIB(512), 0);
	assert_int_equal(make(&f), 0);
	assert_int_equal(plan_guest_call(&f.plan, 0, "smap"), -EINVAL);
	assert_int_equal(plan_low_alloc(&f.plan, 64, 16), 0);
	assert_int_equal(plan_guest_call(&f.plan, 5, "a name that no plugin should have."), -EINVAL);
	for (uint16_t i = 0; i < VM_GUEST_CALL_MAX; i++)
		assert_int_equal(plan_guest_call(&f.plan, i, "smap"), 0);
	assert_int_equal(f.plan.guest_call[1], 0x9ec01);
	assert_string_equal(f.plan.guest_call_plugin[1], "smap");
	assert_int_equal(plan_guest_call(&f.plan, 5, "smap"), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_maps), cmocka_unit_test(test_sizes),	      cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_holes),	  cmocka_unit_test(test_low),	      cmocka_unit_test(test_fragmented),
		cmocka_unit_test(test_low_alloc), cmocka_unit_test(test_vector_hook), cmocka_unit_test(test_guest_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
