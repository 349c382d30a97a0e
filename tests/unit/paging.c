/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot/metal/paging.c: the vmm's page tables, walked as the CPU would.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "boot/metal/paging.h"

#define PRESENT 0x01u
#define WRITE	0x02u
#define LARGE	0x80u
#define ADDRESS 0x000ffffffffff000ull
#define ROOM	(64 * PAGE_SIZE)

/* A PC with 6 GiB: the VGA's hole, a ROM, the last MiB below 2 GiB cut out, an aperture in the middle of 2 MiB. */
static const struct memory_types pc = {
	.count = 8,
	.range =
		{
			{0, 0xa0000, MTRR_WB, false},
			{0xa0000, 0xc0000, MTRR_UC, false},
			{0xc0000, 0x100000, MTRR_WP, false},
			{0x100000, GIB(2) - MIB(1), MTRR_WB, false},
			{GIB(2) - MIB(1), 0xd0000000, MTRR_UC, false},
			{0xd0000000, 0xd0300000, MTRR_WC, false},
			{0xd0300000, GIB(4), MTRR_UC, false},
			{GIB(4), GIB(6), MTRR_WB, false},
		},
};

static const struct memory_types one = {.count = 1, .range = {{0, GIB(64), MTRR_WB, false}}};

static uint8_t *room;

static int setup(void **state)
{
	(void)state;
	room = aligned_alloc(PAGE_SIZE, ROOM);
	assert_non_null(room);
	memset(room, 0, ROOM);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(room);
	return 0;
}

/* The size of the page that an address is mapped by, 1:1 and writable; 0 if by none. */
static uint64_t page_size(paddr_t root, paddr_t address)
{
	uint64_t table = root;

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t entry = ((const uint64_t *)table)[address >> shift & 511], size = 1ull << shift;

		if (!(entry & PRESENT))
			return 0;
		assert_true(entry & WRITE);
		if (shift == PAGE_SHIFT || entry & LARGE) {
			assert_true(shift <= 30);
			assert_true((entry & ADDRESS) == (address & ~(size - 1)));
			return size;
		}
		table = entry & ADDRESS;
		assert_true(table >= (uintptr_t)room && table < (uintptr_t)room + ROOM);
	}
}

/* Every page has one type and could not be larger. */
static void expect_pages(paddr_t root, const struct memory_types *types, paddr_t top, uint64_t largest)
{
	enum mtrr_type type;
	uint64_t size;

	for (paddr_t at = 0; at < top; at += size) {
		size = page_size(root, at);
		assert_true(size != 0 && at % size == 0);
		assert_true(memory_types_uniform(types, at, size, &type));
		if (size < largest)
			assert_false(memory_types_uniform(types, ALIGN_DOWN(at, size * 512), size * 512, &type));
	}
	assert_int_equal(page_size(root, top), 0);
}

static paddr_t build(uint64_t pages, paddr_t top, bool pages_1g, const struct memory_types *types, unsigned *taken)
{
	paddr_t start = (uintptr_t)room, next = start, root;

	memset(room, 0, ROOM);
	root = paging_build_identity(&next, pages * PAGE_SIZE, top, pages_1g, types);
	*taken = (unsigned)((next - start) / PAGE_SIZE);
	return root;
}

static void test_one_type(void **state)
{
	unsigned taken;
	paddr_t root;

	(void)state;
	root = build(ROOM / PAGE_SIZE, GIB(5) + 1, true, &one, &taken);
	assert_int_equal(taken, 2);
	expect_pages(root, &one, GIB(6), GIB(1));
	root = build(ROOM / PAGE_SIZE, GIB(5) + 1, false, &one, &taken);
	assert_int_equal(taken, 2 + 6);
	expect_pages(root, &one, GIB(6), MIB(2));
}

/* No page lies over two types: the first MiB, an end of memory, an aperture's. */
static void test_borders(void **state)
{
	unsigned taken;
	paddr_t root;

	(void)state;
	root = build(ROOM / PAGE_SIZE, GIB(6), true, &pc, &taken);
	/* root, 1 GiB entries; three GiB in pages of 2 MiB, three times 2 MiB in pages of 4 KiB */
	assert_int_equal(taken, 2 + 3 + 3);
	expect_pages(root, &pc, GIB(6), GIB(1));
	assert_int_equal(page_size(root, 0xa0000), PAGE_SIZE);
	assert_int_equal(page_size(root, MIB(2)), MIB(2));
	assert_int_equal(page_size(root, GIB(2) - 1), PAGE_SIZE);
	assert_int_equal(page_size(root, GIB(2)), GIB(1));
	assert_int_equal(page_size(root, 0xd0200000), PAGE_SIZE);
	assert_int_equal(page_size(root, GIB(5)), GIB(1));
	root = build(ROOM / PAGE_SIZE, GIB(6), false, &pc, &taken);
	assert_int_equal(taken, 2 + 6 + 3);
	expect_pages(root, &pc, GIB(6), MIB(2));
}

/* Nothing behind the room is touched, and what is refused took nothing. */
static void test_room(void **state)
{
	unsigned taken;

	(void)state;
	for (uint64_t pages = 0; pages < 8; pages++) {
		assert_true(build(pages, GIB(6), true, &pc, &taken) == 0);
		assert_int_equal(taken, 0);
		for (size_t i = pages * PAGE_SIZE; i < ROOM; i++)
			assert_int_equal(room[i], 0);
	}
	assert_true(build(8, GIB(6), true, &pc, &taken) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_type, setup, teardown),
		cmocka_unit_test_setup_teardown(test_borders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room, setup, teardown),
	};

	return cmocka_run_group_tests_name("paging", tests, NULL, NULL);
}
