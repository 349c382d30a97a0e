/* SPDX-License-Identifier: BSD-2-Clause */
/* core/plan/memory_map.c: firmware maps made clean, and marked; against a byte-by-byte model where maps are random. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/plan.h>

#define MAP(...)                                           \
	map_of((const struct memory_range[]){__VA_ARGS__}, \
	       sizeof((const struct memory_range[]){__VA_ARGS__}) / sizeof(struct memory_range))

static struct memory_map map_of(const struct memory_range *ranges, size_t count)
{
	struct memory_map map = {.count = (uint32_t)count};

	memcpy(map.range, ranges, count * sizeof(*ranges));
	return map;
}

static void expect_map(const struct memory_map *map, struct memory_map expected)
{
	assert_int_equal(map->count, expected.count);
	assert_memory_equal(map->range, expected.range, expected.count * sizeof(map->range[0]));
}

static void expect_normalised(struct memory_map in, struct memory_map expected)
{
	struct memory_map out;

	memset(&out, 0xa5, sizeof(out));
	assert_int_equal(memory_map_normalise(&in, &out), 0);
	expect_map(&out, expected);
}

static void test_normalise_empty(void **state)
{
	struct memory_map in = {0}, out = {.count = 5};

	(void)state;
	assert_int_equal(memory_map_normalise(&in, &out), 0);
	assert_int_equal(out.count, 0);
}

static void test_normalise_sorts_and_joins(void **state)
{
	(void)state;
	expect_normalised(MAP({0x3000, 0x1000, 1, 0}, {0x1000, 0x1000, 1, 0}, {0x2000, 0x1000, 1, 0}),
			  MAP({0x1000, 0x3000, 1, 0}));
	expect_normalised(MAP({0x3000, 0x1000, 2, 0}, {0x1000, 0x1000, 1, 0}),
			  MAP({0x1000, 0x1000, 1, 0}, {0x3000, 0x1000, 2, 0}));
	expect_normalised(MAP({0x1000, 0x1000, 1, 0}, {0x2000, 0x1000, 2, 0}),
			  MAP({0x1000, 0x1000, 1, 0}, {0x2000, 0x1000, 2, 0}));
}

static void test_normalise_drops_nonsense(void **state)
{
	(void)state;
	expect_normalised(MAP({0x1000, 0, 1, 0}, {UINT64_MAX - 0xfff, 0x1000, 1, 0}, {UINT64_MAX, UINT64_MAX, 2, 0},
			      {0x8000, UINT64_MAX, 2, 0}, {0x2000, 0x1000, 1, 0}),
			  MAP({0x2000, 0x1000, 1, 0}));
	/* the last byte a range can have */
	expect_normalised(MAP({0, UINT64_MAX, 1, 0}), MAP({0, UINT64_MAX, 1, 0}));
}

static void test_normalise_overlaps(void **state)
{
	(void)state;
	/* a hole of another kind in the middle; the same the other way round changes nothing */
	expect_normalised(MAP({0, 0x10000, 1, 0}, {0x4000, 0x1000, 2, 0}),
			  MAP({0, 0x4000, 1, 0}, {0x4000, 0x1000, 2, 0}, {0x5000, 0xb000, 1, 0}));
	expect_normalised(MAP({0x4000, 0x1000, 2, 0}, {0, 0x10000, 1, 0}),
			  MAP({0, 0x4000, 1, 0}, {0x4000, 0x1000, 2, 0}, {0x5000, 0xb000, 1, 0}));
	expect_normalised(MAP({0x4000, 0x1000, 1, 0}, {0, 0x10000, 2, 0}), MAP({0, 0x10000, 2, 0}));
	/* partly, with the same kind, exactly */
	expect_normalised(MAP({0, 0x5000, 1, 0}, {0x4000, 0x4000, 3, 0}),
			  MAP({0, 0x4000, 1, 0}, {0x4000, 0x4000, 3, 0}));
	expect_normalised(MAP({0, 0x5000, 1, 0}, {0x4000, 0x4000, 1, 0}), MAP({0, 0x8000, 1, 0}));
	expect_normalised(MAP({0, 0x5000, 1, 0}, {0, 0x5000, 4, 0}), MAP({0, 0x5000, 4, 0}));
}

static void test_normalise_restrictiveness(void **state)
{
	static const uint32_t order[] = {
		MEMORY_USABLE, MEMORY_RESERVED, MEMORY_ACPI_RECLAIM, MEMORY_ACPI_NVS, MEMORY_UNUSABLE, 12, 0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(order); j++) {
			uint32_t winner = order[i > j ? i : j];

			expect_normalised(MAP({0x1000, 0x1000, order[i], 0}, {0x1000, 0x1000, order[j], 0}),
					  MAP({0x1000, 0x1000, winner, 0}));
		}
	}
}

static void test_normalise_full(void **state)
{
	struct memory_map in = {.count = MACHINE_MEMORY_MAX}, out;

	(void)state;
	/* as many as fit, none joined, backwards */
	for (uint32_t i = 0; i < MACHINE_MEMORY_MAX; i++)
		in.range[i] =
			(struct memory_range){.base = GIB(8) - i * 0x2000ull, .length = 0x1000, .type = MEMORY_USABLE};
	assert_int_equal(memory_map_normalise(&in, &out), 0);
	assert_int_equal(out.count, MACHINE_MEMORY_MAX);
	for (uint32_t i = 1; i < out.count; i++)
		assert_true(out.range[i - 1].base < out.range[i].base);
	/* one of them cut in two by another */
	in.range[1].base = in.range[0].base - 0x3000;
	in.range[1].length = 0x10000;
	in.range[0].type = MEMORY_RESERVED;
	assert_int_equal(memory_map_normalise(&in, &out), 0);
	for (uint32_t i = 1; i < MACHINE_MEMORY_MAX; i++)
		in.range[i] = (struct memory_range){.base = 0x10000ull * i, .length = 0x1000, .type = MEMORY_RESERVED};
	in.range[0] = (struct memory_range){.base = 0, .length = GIB(1), .type = MEMORY_USABLE};
	assert_int_equal(memory_map_normalise(&in, &out), -E2BIG);
	assert_true(out.count <= MACHINE_MEMORY_MAX);
	in.count = MACHINE_MEMORY_MAX + 1;
	assert_int_equal(memory_map_normalise(&in, &out), -E2BIG);
	in.count = UINT32_MAX;
	assert_int_equal(memory_map_normalise(&in, &out), -E2BIG);
}

static void test_mark(void **state)
{
	struct memory_map map = MAP({0, 0x8000, 1, 0});

	(void)state;
	assert_int_equal(memory_map_mark(&map, 0x2000, 0x1000, 2), 0);
	expect_map(&map, MAP({0, 0x2000, 1, 0}, {0x2000, 0x1000, 2, 0}, {0x3000, 0x5000, 1, 0}));
	/* joins with the neighbour of its own kind */
	assert_int_equal(memory_map_mark(&map, 0x3000, 0x1000, 2), 0);
	expect_map(&map, MAP({0, 0x2000, 1, 0}, {0x2000, 0x2000, 2, 0}, {0x4000, 0x4000, 1, 0}));
	/* at either end of a range; behind everything, over a hole */
	assert_int_equal(memory_map_mark(&map, 0, 0x1000, 4), 0);
	assert_int_equal(memory_map_mark(&map, 0x7000, 0x1000, 4), 0);
	assert_int_equal(memory_map_mark(&map, 0x9000, 0x1000, 5), 0);
	expect_map(&map, MAP({0, 0x1000, 4, 0}, {0x1000, 0x1000, 1, 0}, {0x2000, 0x2000, 2, 0}, {0x4000, 0x3000, 1, 0},
			     {0x7000, 0x1000, 4, 0}, {0x9000, 0x1000, 5, 0}));
	/* over several and the hole between; back to one; before everything */
	assert_int_equal(memory_map_mark(&map, 0x800, 0x9000, 2), 0);
	expect_map(&map, MAP({0, 0x800, 4, 0}, {0x800, 0x9000, 2, 0}, {0x9800, 0x800, 5, 0}));
	assert_int_equal(memory_map_mark(&map, 0, 0xa000, 1), 0);
	expect_map(&map, MAP({0, 0xa000, 1, 0}));
	map = MAP({0x5000, 0x1000, 1, 0});
	assert_int_equal(memory_map_mark(&map, 0, 0x1000, 2), 0);
	expect_map(&map, MAP({0, 0x1000, 2, 0}, {0x5000, 0x1000, 1, 0}));
}

static void test_mark_refuses(void **state)
{
	struct memory_map map = MAP({0, 0x8000, 1, 0}), before = map;

	(void)state;
	assert_int_equal(memory_map_mark(&map, 0x1000, 0, 2), 0);
	assert_int_equal(memory_map_mark(&map, UINT64_MAX - 10, 20, 2), -EINVAL);
	assert_memory_equal(&map, &before, sizeof(map));

	map = (struct memory_map){.count = MACHINE_MEMORY_MAX};
	for (uint32_t i = 0; i < MACHINE_MEMORY_MAX; i++)
		map.range[i] = (struct memory_range){.base = 0x2000ull * i, .length = 0x1000, .type = MEMORY_USABLE};
	before = map;
	assert_int_equal(memory_map_mark(&map, 0x100, 0x100, 2), -E2BIG);
	assert_memory_equal(&map, &before, sizeof(map));
	assert_int_equal(memory_map_mark(&map, GIB(1), 0x100, 2), -E2BIG);
	assert_memory_equal(&map, &before, sizeof(map));
	/* what takes the place of another still fits */
	assert_int_equal(memory_map_mark(&map, 0, 0x1000, 2), 0);
	assert_int_equal(map.count, MACHINE_MEMORY_MAX);
}

/* --- against a model that has one type for each of a few positions ---------------------------------------------- */

#define MODEL_SIZE 64u

static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 16;
}

static void expect_model(const struct memory_map *map, const uint32_t *model)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < map->count; i++) {
		const struct memory_range *range = &map->range[i];

		assert_true(range->length > 0 && range->base >= at && range->base + range->length <= MODEL_SIZE);
		if (i && map->range[i - 1].base + map->range[i - 1].length == range->base)
			assert_int_not_equal(map->range[i - 1].type, range->type);
		for (; at < range->base; at++)
			assert_int_equal(model[at], UINT32_MAX);
		for (; at < range->base + range->length; at++)
			assert_int_equal(model[at], range->type);
	}
	for (; at < MODEL_SIZE; at++)
		assert_int_equal(model[at], UINT32_MAX);
}

static void test_random(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned turn = 0; turn < 2000; turn++) {
		struct memory_map in = {.count = random_next(&seed) % 20}, map;
		uint32_t model[MODEL_SIZE];

		memset(model, 0xff, sizeof(model));
		for (uint32_t i = 0; i < in.count; i++) {
			struct memory_range *range = &in.range[i];

			range->base = random_next(&seed) % MODEL_SIZE;
			range->length = random_next(&seed) % (MODEL_SIZE - (uint32_t)range->base + 1);
			range->type = 1 + random_next(&seed) % 5;
			for (uint64_t at = range->base; at < range->base + range->length; at++) {
				if (model[at] == UINT32_MAX || model[at] < range->type)
					model[at] = range->type;
			}
		}
		assert_int_equal(memory_map_normalise(&in, &map), 0);
		expect_model(&map, model);
		for (unsigned mark = 0; mark < 4; mark++) {
			uint32_t base = random_next(&seed) % MODEL_SIZE;
			uint32_t length = random_next(&seed) % (MODEL_SIZE - base + 1);
			uint32_t type = 1 + random_next(&seed) % 5;

			for (uint32_t at = base; at < base + length; at++)
				model[at] = type;
			assert_int_equal(memory_map_mark(&map, base, length, type), 0);
			expect_model(&map, model);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalise_empty),
		cmocka_unit_test(test_normalise_sorts_and_joins),
		cmocka_unit_test(test_normalise_drops_nonsense),
		cmocka_unit_test(test_normalise_overlaps),
		cmocka_unit_test(test_normalise_restrictiveness),
		cmocka_unit_test(test_normalise_full),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_mark_refuses),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
