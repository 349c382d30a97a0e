/* SPDX-License-Identifier: BSD-2-Clause */
/* core/nested.c and core/identity.c: every split and merge, overlays, exhaustion, and a flat model as the judge. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/exit.h>
#include <undercroft/nested.h>
#include <undercroft/region.h>

#include "tests/fakes/fake_backend.h"

#define POOL  PAGE_SIZE
#define PAGES 1023u
#define R     ACCESS_READ
#define RX    (ACCESS_READ | ACCESS_EXEC)
#define RW    (ACCESS_READ | ACCESS_WRITE)
#define RWX   (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)

static struct fake_vm fake;
static struct vm *const vm = &fake.vm;
static struct nested_view *const base = &fake.vm.base;

static int setup(void **state)
{
	(void)state;
	fake_vm_init(&fake, MIB(4), POOL, PAGES);
	assert_int_equal(nested_view_init(vm, base, "base"), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_free(&fake);
	return 0;
}

/* Where one page goes; access 0: nowhere. */
struct translation {
	paddr_t address;
	uint8_t access;
	unsigned level;
};

static struct translation translate(const struct nested_view *view, gpa_t gpa)
{
	struct translation t = {0};
	struct nested_entry entry;

	if (nested_lookup(vm, view, gpa, &entry, &t.level) == 0) {
		t.address = entry.address + (gpa & (NESTED_LEVEL_SIZE(t.level) - 1));
		t.access = entry.access;
	}
	return t;
}

static void expect(const struct nested_view *view, gpa_t gpa, paddr_t address, uint8_t access, unsigned level)
{
	struct translation t = translate(view, gpa);

	assert_int_equal(t.access, access);
	assert_int_equal(t.address, address);
	assert_int_equal(t.level, level);
}

static void expect_absent(const struct nested_view *view, gpa_t gpa, unsigned level)
{
	expect(view, gpa, 0, 0, level);
}

static unsigned count_tables(paddr_t table, unsigned level)
{
	const uint64_t *slots = fake_memory_at(&fake.platform, table, PAGE_SIZE);
	unsigned count = 1;

	for (unsigned i = 0; level > 1 && i < 512; i++) {
		struct nested_entry entry;

		fake_backend.nested_decode(slots[i], level, &entry);
		if (entry.present && !entry.leaf)
			count += count_tables(entry.address, level - 1);
	}
	return count;
}

/* No page of the pool is lost, none is used twice. */
static void expect_no_leak(unsigned pages)
{
	assert_int_equal(count_tables(base->root, NESTED_LEVELS) + vm->pool.available, pages);
}

static void test_map_largest_pages(void **state)
{
	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(2), 0, RWX, 3), 0);
	expect(base, 0, 0, RWX, 3);
	expect(base, GIB(2) - 1, GIB(2) - 1, RWX, 3);
	expect_absent(base, GIB(2), 3);
	expect_no_leak(PAGES);
	assert_int_equal(vm->pool.available, PAGES - 2);

	/* From an odd page to an odd page: small, large, huge, large, small. */
	assert_int_equal(nested_unmap(vm, base, 0, GIB(2)), 0);
	assert_int_equal(nested_map(vm, base, GIB(4) - MIB(2) - PAGE_SIZE, GIB(1) + MIB(4) + 2 * PAGE_SIZE,
				    GIB(4) - MIB(2) - PAGE_SIZE, RW, 3),
			 0);
	expect_absent(base, GIB(4) - MIB(2) - 2 * PAGE_SIZE, 1);
	expect(base, GIB(4) - MIB(2) - PAGE_SIZE, GIB(4) - MIB(2) - PAGE_SIZE, RW, 1);
	expect(base, GIB(4) - MIB(2), GIB(4) - MIB(2), RW, 2);
	expect(base, GIB(4), GIB(4), RW, 3);
	expect(base, GIB(5), GIB(5), RW, 2);
	expect(base, GIB(5) + MIB(2), GIB(5) + MIB(2), RW, 1);
	expect_absent(base, GIB(5) + MIB(2) + PAGE_SIZE, 1);
	expect_no_leak(PAGES);
}

static void test_map_level_follows_target(void **state)
{
	(void)state;
	/* The guest address is aligned, the target is not. */
	assert_int_equal(nested_map(vm, base, GIB(1), GIB(1), MIB(2), RWX, 3), 0);
	expect(base, GIB(1) + 5, MIB(2) + 5, RWX, 2);
	assert_int_equal(nested_map(vm, base, GIB(3), MIB(2), PAGE_SIZE, RWX, 3), 0);
	expect(base, GIB(3) + PAGE_SIZE, 2 * PAGE_SIZE, RWX, 1);
	expect_no_leak(PAGES);
}

static void test_map_respects_max_level(void **state)
{
	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(1), 0, RWX, 2), 0);
	expect(base, 0, 0, RWX, 2);
	assert_int_equal(nested_map(vm, base, 0, MIB(2), 0, RWX, 1), 0);
	expect(base, 0, 0, RWX, 1);
	expect(base, MIB(2), MIB(2), RWX, 2);
	/* Back to large pages: the tables return to the pool. */
	assert_int_equal(nested_map(vm, base, 0, GIB(1), 0, RWX, 3), 0);
	expect(base, 0, 0, RWX, 3);
	assert_int_equal(vm->pool.available, PAGES - 2);

	vm->caps &= ~BACKEND_CAP_PAGES_1G;
	assert_int_equal(nested_map(vm, base, GIB(1), GIB(1), GIB(1), RWX, 3), 0);
	expect(base, GIB(1), GIB(1), RWX, 2);
	/* What is there as one leaf is split when smaller ones are asked for. */
	assert_int_equal(nested_map(vm, base, GIB(1), PAGE_SIZE, GIB(1), RWX, 1), 0);
	expect(base, GIB(1), GIB(1), RWX, 1);
	expect(base, GIB(1) + PAGE_SIZE, GIB(1) + PAGE_SIZE, RWX, 1);
	expect_no_leak(PAGES);
}

static void test_same_again_changes_nothing(void **state)
{
	uint64_t generation;

	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(1), 0, RWX, 3), 0);
	generation = base->generation;
	assert_int_equal(nested_map(vm, base, PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, RWX, 3), 0);
	assert_int_equal(nested_map(vm, base, 0, GIB(1), 0, RWX, 3), 0);
	assert_int_equal(nested_unmap(vm, base, GIB(1), PAGE_SIZE), 0);
	assert_int_equal(base->generation, generation);
	expect(base, 0, 0, RWX, 3);
	assert_int_equal(vm->pool.available, PAGES - 2);
}

static void test_split_each_level(void **state)
{
	const gpa_t page = GIB(1) + MIB(6) + 3 * PAGE_SIZE;
	uint64_t generation;

	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(4), 0, RWX, 3), 0);

	generation = base->generation;
	assert_int_equal(nested_unmap(vm, base, GIB(2), MIB(2)), 0);
	assert_true(base->generation > generation);
	expect_absent(base, GIB(2), 2);
	expect(base, GIB(2) + MIB(2), GIB(2) + MIB(2), RWX, 2);
	expect(base, GIB(3) - 1, GIB(3) - 1, RWX, 2);
	expect(base, GIB(3), GIB(3), RWX, 3);

	assert_int_equal(nested_map(vm, base, page, PAGE_SIZE, page, RX, 3), 0);
	expect(base, page, page, RX, 1);
	expect(base, page - 1, page - 1, RWX, 1);
	expect(base, page + PAGE_SIZE, page + PAGE_SIZE, RWX, 1);
	expect(base, GIB(1) + MIB(4), GIB(1) + MIB(4), RWX, 2);
	expect(base, GIB(1) + MIB(8), GIB(1) + MIB(8), RWX, 2);
	expect(base, GIB(2) - 1, GIB(2) - 1, RWX, 2);
	expect_no_leak(PAGES);

	assert_int_equal(nested_unmap(vm, base, 0, GIB(512)), 0);
	expect_absent(base, page, 4);
	assert_int_equal(vm->pool.available, PAGES - 1);
}

static void test_merge_each_level(void **state)
{
	uint64_t generation;

	(void)state;
	assert_int_equal(nested_map(vm, base, GIB(1), GIB(1), GIB(1), RWX, 1), 0);
	assert_int_equal(vm->pool.available, PAGES - 1 - 1 - 1 - 512);

	/* Only tables that lie within the range, only up to the level. */
	generation = base->generation;
	nested_merge(vm, base, GIB(1), MIB(2) - PAGE_SIZE, 3);
	nested_merge(vm, base, GIB(1), GIB(1), 1);
	assert_int_equal(base->generation, generation);
	nested_merge(vm, base, GIB(1), MIB(2), 3);
	assert_true(base->generation > generation);
	expect(base, GIB(1), GIB(1), RWX, 2);
	expect(base, GIB(1) + MIB(2), GIB(1) + MIB(2), RWX, 1);
	nested_merge(vm, base, GIB(1), GIB(1), 2);
	expect(base, GIB(2) - 1, GIB(2) - 1, RWX, 2);
	vm->caps &= ~BACKEND_CAP_PAGES_1G;
	nested_merge(vm, base, 0, GIB(512), 3);
	expect(base, GIB(2) - 1, GIB(2) - 1, RWX, 2);
	vm->caps |= BACKEND_CAP_PAGES_1G;
	nested_merge(vm, base, 0, ~0ull, 3);
	expect(base, GIB(2) - 1, GIB(2) - 1, RWX, 3);
	expect_absent(base, GIB(2), 3);
	assert_int_equal(vm->pool.available, PAGES - 2);
}

static void test_merge_refuses_what_differs(void **state)
{
	(void)state;
	/* A hole, another access, another target, a target that is not aligned. */
	assert_int_equal(nested_map(vm, base, 0, MIB(8), 0, RWX, 1), 0);
	assert_int_equal(nested_unmap(vm, base, MIB(2) - PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(nested_map(vm, base, MIB(2), PAGE_SIZE, MIB(2), RX, 1), 0);
	assert_int_equal(nested_map(vm, base, MIB(4) + PAGE_SIZE, PAGE_SIZE, 0, RWX, 1), 0);
	assert_int_equal(nested_map(vm, base, MIB(6), MIB(2), PAGE_SIZE, RWX, 1), 0);
	nested_merge(vm, base, 0, MIB(8), 3);
	expect_absent(base, MIB(2) - PAGE_SIZE, 1);
	expect(base, MIB(2), MIB(2), RX, 1);
	expect(base, MIB(4) + PAGE_SIZE, 0, RWX, 1);
	expect(base, MIB(6), PAGE_SIZE, RWX, 1);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE, MIB(4), RWX, 1), 0);
	nested_merge(vm, base, 0, MIB(2), 3);
	expect(base, 0, MIB(4), RWX, 1);
	expect_no_leak(PAGES);
}

static void test_errors(void **state)
{
	struct nested_view overlay = {0};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	vm->physical_limit = GIB(64);
	assert_int_equal(nested_map(vm, base, 1, PAGE_SIZE, 0, RWX, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE + 1, 0, RWX, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE, 0x800, RWX, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE, 0, RWX, 0), -EINVAL);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE, 0, RWX, 4), -EINVAL);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE, 0, 0, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE, 0, ACCESS_WRITE, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE, 0, 0x9, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, GIB(64), PAGE_SIZE, 0, RWX, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, GIB(64) - PAGE_SIZE, 2 * PAGE_SIZE, 0, RWX, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE, GIB(64), RWX, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, PAGE_SIZE, PAGE_MASK, 0, RWX, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, PAGE_MASK, 2 * PAGE_SIZE, 0, RWX, 3), -EINVAL);
	assert_int_equal(nested_unmap(vm, base, PAGE_MASK, 2 * PAGE_SIZE), -EINVAL);
	assert_int_equal(nested_unmap(vm, base, 0x10, PAGE_SIZE), -EINVAL);
	assert_int_equal(nested_unmap(vm, base, 0, 0x10), -EINVAL);
	assert_int_equal(nested_unmap(vm, base, GIB(64), PAGE_SIZE), -EINVAL);
	assert_int_equal(nested_map(vm, base, 0, PAGE_SIZE, 0, ACCESS_EXEC, 3), -EINVAL);
	assert_int_equal(base->generation, 0);
	assert_int_equal(nested_map(vm, base, GIB(64) - PAGE_SIZE, PAGE_SIZE, GIB(64) - PAGE_SIZE, RWX, 3), 0);
	assert_int_equal(nested_map(vm, base, 0, 0, 0, RWX, 3), 0);

	/* Wider addresses than four levels reach. */
	vm->physical_limit = 1ull << 52;
	assert_int_equal(nested_map(vm, base, 1ull << 48, PAGE_SIZE, 0, RWX, 3), -EINVAL);
	assert_int_equal(nested_map(vm, base, (1ull << 48) - PAGE_SIZE, PAGE_SIZE, 0, RWX, 3), 0);
	assert_int_equal(nested_lookup(vm, base, 1ull << 48, &entry, &level), -ENOENT);

	assert_int_equal(nested_overlay(vm, &overlay, base, 1, 0, RWX, OVERLAY_EXEC_BASE), -EINVAL);
	assert_int_equal(nested_overlay(vm, &overlay, base, 0, 1, RWX, OVERLAY_EXEC_BASE), -EINVAL);
	assert_int_equal(nested_overlay(vm, &overlay, base, 0, 0, ACCESS_EXEC, OVERLAY_EXEC_BASE), -EINVAL);
	assert_int_equal(nested_overlay(vm, &overlay, base, 1ull << 48, 0, R, OVERLAY_EXEC_BASE), -EINVAL);
	assert_int_equal(overlay.overlay_levels, 0);
	assert_int_equal(nested_overlay(vm, &overlay, base, 0, 0, R, OVERLAY_EXEC_BASE), 0);
	assert_int_equal(nested_overlay(vm, &overlay, &overlay, 0, 0, R, OVERLAY_EXEC_BASE), -EINVAL);
	assert_int_equal(nested_map(vm, &overlay, 0, PAGE_SIZE, 0, RWX, 3), -EINVAL);
	assert_int_equal(nested_unmap(vm, &overlay, 0, PAGE_SIZE), -EINVAL);
	nested_merge(vm, &overlay, 0, GIB(1), 3);
	expect(&overlay, 0, 0, R, 1);
}

static void test_init_without_memory(void **state)
{
	struct nested_view view;

	(void)state;
	vm->pool.available = 0;
	assert_int_equal(nested_view_init(vm, &view, "none"), -ENOMEM);
}

/* What a change does to one 4 MiB + 3 pages stretch that crosses a 1 GiB boundary, and where it could end early. */
#define STRETCH_START (GIB(1) - MIB(2) - PAGE_SIZE)
#define STRETCH_SIZE  (MIB(4) + 3 * PAGE_SIZE)

static int stretch_change(unsigned which)
{
	switch (which) {
	case 0:
		return nested_map(vm, base, STRETCH_START, STRETCH_SIZE, GIB(7), RX, 3);
	case 1:
		return nested_map(vm, base, STRETCH_START, STRETCH_SIZE, STRETCH_START, R, 3);
	default:
		return nested_unmap(vm, base, STRETCH_START, STRETCH_SIZE);
	}
}

static struct translation stretch_after(unsigned which, gpa_t gpa)
{
	switch (which) {
	case 0:
		return (struct translation){.address = GIB(7) + (gpa - STRETCH_START), .access = RX};
	case 1:
		return (struct translation){.address = gpa, .access = R};
	default:
		return (struct translation){0};
	}
}

static void test_exhaustion_at_every_allocation(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 3; which++) {
		unsigned failures = 0;

		for (unsigned pages = 2;; pages++) {
			uint64_t generation;
			int ret;

			fake_vm_free(&fake);
			fake_vm_init(&fake, MIB(4), POOL, pages);
			assert_int_equal(nested_view_init(vm, base, "base"), 0);
			assert_int_equal(nested_map(vm, base, 0, GIB(2), 0, RWX, 3), 0);
			generation = base->generation;
			ret = stretch_change(which);
			/* A split alone is a change that overlays have to follow. */
			assert_int_equal(base->generation > generation, pages > 2);
			expect_no_leak(pages);
			for (gpa_t gpa = STRETCH_START - MIB(1); gpa < STRETCH_START + STRETCH_SIZE + MIB(1);
			     gpa += PAGE_SIZE) {
				bool inside = gpa >= STRETCH_START && gpa < STRETCH_START + STRETCH_SIZE;
				struct translation t = translate(base, gpa), after = stretch_after(which, gpa);
				bool is_old = t.access == RWX && t.address == gpa;
				bool is_new = t.access == after.access && t.address == after.address;

				if (inside)
					assert_true(is_new || (ret != 0 && is_old));
				else
					assert_true(is_old);
			}
			if (ret == 0)
				break;
			assert_int_equal(ret, -ENOMEM);
			failures++;

			/* With memory again, the rest follows. */
			vm->pool.end += 16 * PAGE_SIZE;
			vm->pool.available += 16;
			assert_int_equal(stretch_change(which), 0);
			for (gpa_t gpa = STRETCH_START; gpa < STRETCH_START + STRETCH_SIZE; gpa += PAGE_SIZE) {
				struct translation t = translate(base, gpa), after = stretch_after(which, gpa);

				assert_int_equal(t.access, after.access);
				assert_int_equal(t.address, after.address);
			}
			expect_no_leak(pages + 16);
		}
		assert_true(failures >= 4);
	}
}

static void test_overlay_shares_the_rest(void **state)
{
	const gpa_t page = GIB(1) + MIB(4) + 7 * PAGE_SIZE;
	struct nested_view overlay = {0};

	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(4), 0, RWX, 3), 0);
	assert_int_equal(nested_map(vm, base, GIB(3), PAGE_SIZE, GIB(3), RX, 3), 0);
	assert_int_equal(nested_unmap(vm, base, page, PAGE_SIZE), 0);
	assert_int_equal(nested_overlay(vm, &overlay, base, page, POOL, RW, OVERLAY_EXEC_BASE), 0);
	assert_int_equal(overlay.overlay_levels, 4);
	expect(&overlay, page, POOL, RW, 1);
	expect(&overlay, page - 1, page - 1, RWX, 1);
	expect(&overlay, page + PAGE_SIZE, page + PAGE_SIZE, RWX, 1);
	expect(&overlay, GIB(1), GIB(1), RWX, 2);
	expect(&overlay, 0, 0, RWX, 3);
	expect(&overlay, GIB(3), GIB(3), RX, 1);
	expect_absent(&overlay, GIB(4), 3);
	expect_absent(&overlay, GIB(512), 4);
	/* The base never notices. */
	expect_absent(base, page, 1);
	expect(base, page - 1, page - 1, RWX, 1);
	assert_int_equal(count_tables(base->root, NESTED_LEVELS) + 4 + vm->pool.available, PAGES);
}

static void test_overlay_over_large_and_absent(void **state)
{
	struct nested_view overlay = {0};
	uint64_t generation;

	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(1), 0, RWX, 3), 0);
	assert_int_equal(nested_map(vm, base, GIB(1), GIB(1), GIB(5), RX, 2), 0);
	generation = base->generation;
	/* In a 1 GiB leaf. */
	assert_int_equal(nested_overlay(vm, &overlay, base, MIB(512) + PAGE_SIZE, POOL, R, OVERLAY_EXEC_BASE), 0);
	expect(&overlay, MIB(512), MIB(512), RWX, 1);
	expect(&overlay, MIB(512) + PAGE_SIZE, POOL, R, 1);
	expect(&overlay, MIB(514), MIB(514), RWX, 2);
	expect(&overlay, GIB(1) + 5, GIB(5) + 5, RX, 2);
	/* In a 2 MiB leaf of another gigabyte. */
	assert_int_equal(nested_overlay(vm, &overlay, base, GIB(1) + MIB(6) + PAGE_SIZE, POOL, R, OVERLAY_EXEC_BASE),
			 0);
	expect(&overlay, GIB(1) + MIB(6) + PAGE_SIZE, POOL, R, 1);
	expect(&overlay, GIB(1) + MIB(6), GIB(5) + MIB(6), RX, 1);
	expect(&overlay, GIB(1) + MIB(8), GIB(5) + MIB(8), RX, 2);
	expect(&overlay, MIB(512) + PAGE_SIZE, MIB(512) + PAGE_SIZE, RWX, 3);
	/* Where there is nothing, in another root entry. */
	assert_int_equal(nested_overlay(vm, &overlay, base, GIB(600) + PAGE_SIZE, POOL, R, OVERLAY_EXEC_BASE), 0);
	expect(&overlay, GIB(600) + PAGE_SIZE, POOL, R, 1);
	expect_absent(&overlay, GIB(600), 1);
	expect_absent(&overlay, GIB(600) + MIB(2), 2);
	expect_absent(&overlay, GIB(601), 3);
	expect_absent(&overlay, GIB(1024), 4);
	expect(&overlay, GIB(1) + MIB(6) + PAGE_SIZE, GIB(5) + MIB(6) + PAGE_SIZE, RX, 2);
	assert_int_equal(base->generation, generation);
}

static void test_overlay_re_aims_at_any_distance(void **state)
{
	static const gpa_t distance[] = {PAGE_SIZE, MIB(2), GIB(1), GIB(512), GIB(513) + MIB(2) + PAGE_SIZE};
	struct nested_view overlay = {0};

	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(2), 0, RWX, 3), 0);
	assert_int_equal(nested_map(vm, base, GIB(512), GIB(4), GIB(512), RWX, 3), 0);
	for (unsigned no_exec = 0; no_exec < 2; no_exec++) {
		uint8_t rest = no_exec ? RW : RWX;

		for (size_t i = 0; i < ARRAY_SIZE(distance); i++) {
			gpa_t from = 0x5000, to = from + distance[i];
			struct translation t;

			for (unsigned back = 0; back < 2; back++) {
				assert_int_equal(nested_overlay(vm, &overlay, base, from, POOL, R,
								no_exec ? OVERLAY_EXEC_NOTHING : OVERLAY_EXEC_BASE),
						 0);
				t = translate(&overlay, from);
				assert_int_equal(t.address, POOL);
				assert_int_equal(t.access, R);
				t = translate(&overlay, to);
				assert_int_equal(t.address, to);
				assert_int_equal(t.access, rest);
				t = translate(&overlay, from + PAGE_SIZE * 9);
				assert_int_equal(t.address, from + PAGE_SIZE * 9);
				assert_int_equal(t.access, rest);
				from = to;
				to = 0x5000;
			}
		}
	}
	assert_int_equal(count_tables(base->root, NESTED_LEVELS) + 4 + vm->pool.available, PAGES);
}

static void test_overlay_no_exec(void **state)
{
	struct nested_view overlay = {0};

	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(4), 0, RWX, 3), 0);
	assert_int_equal(nested_map(vm, base, GIB(512), GIB(1), GIB(512), RWX, 3), 0);
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x7000, POOL, RWX, OVERLAY_EXEC_NOTHING), 0);
	expect(&overlay, 0x7000, POOL, RW, 1);
	expect(&overlay, 0x6000, 0x6000, RW, 1);
	expect(&overlay, GIB(3), GIB(3), RW, 3);
	expect(&overlay, GIB(512), GIB(512), RW, 3);
	expect(base, 0x7000, 0x7000, RWX, 3);
	expect(base, GIB(512), GIB(512), RWX, 3);
	/* On and off without another change. */
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x7000, POOL, RWX, OVERLAY_EXEC_BASE), 0);
	expect(&overlay, 0x7000, POOL, RWX, 1);
	expect(&overlay, GIB(512), GIB(512), RWX, 3);
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x7000, POOL, RWX, OVERLAY_EXEC_NOTHING), 0);
	expect(&overlay, GIB(512), GIB(512), RW, 3);
}

static void test_overlay_follows_its_base(void **state)
{
	struct nested_view overlay = {0}, other;

	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(1), 0, RWX, 1), 0);
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x3000, POOL, R, OVERLAY_EXEC_BASE), 0);
	/* The table the overlay copied, and one that goes away. */
	assert_int_equal(nested_map(vm, base, 0x4000, PAGE_SIZE, 0x4000, R, 3), 0);
	assert_int_equal(nested_map(vm, base, MIB(2), GIB(1) - MIB(2), GIB(2) + MIB(2), RX, 3), 0);
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x3000, POOL, R, OVERLAY_EXEC_BASE), 0);
	expect(&overlay, 0x3000, POOL, R, 1);
	expect(&overlay, 0x4000, 0x4000, R, 1);
	expect(&overlay, MIB(2), GIB(2) + MIB(2), RX, 2);
	/* Another base altogether. */
	assert_int_equal(nested_view_init(vm, &other, "other"), 0);
	assert_int_equal(nested_map(vm, &other, 0, GIB(1), GIB(8), RW, 3), 0);
	assert_int_equal(nested_overlay(vm, &overlay, &other, 0x3000, POOL, R, OVERLAY_EXEC_BASE), 0);
	expect(&overlay, 0x4000, GIB(8) + 0x4000, RW, 1);
}

/* Counts encodings, which are what re-aiming costs. */
static unsigned encodings;

static uint64_t counting_encode(const struct nested_entry *entry, unsigned level)
{
	encodings++;
	return fake_backend.nested_encode(entry, level);
}

static void test_overlay_same_page_is_cheap(void **state)
{
	struct backend_ops counting = fake_backend;
	struct nested_view overlay = {0};
	uint64_t generation;

	(void)state;
	counting.nested_encode = counting_encode;
	assert_int_equal(nested_map(vm, base, 0, GIB(1), 0, RWX, 1), 0);
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x3000, POOL, R, OVERLAY_EXEC_NOTHING), 0);
	vm->backend = &counting;
	generation = overlay.generation;
	encodings = 0;
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x3000, POOL, R, OVERLAY_EXEC_NOTHING), 0);
	assert_int_equal(encodings, 0);
	assert_int_equal(overlay.generation, generation);
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x3000, POOL + PAGE_SIZE, RW, OVERLAY_EXEC_NOTHING), 0);
	assert_int_equal(encodings, 1);
	assert_int_equal(overlay.generation, generation + 1);
	expect(&overlay, 0x3000, POOL + PAGE_SIZE, RW, 1);
	/* A neighbour: one table is copied, none is encoded again. */
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x4000, POOL, R, OVERLAY_EXEC_NOTHING), 0);
	assert_int_equal(encodings, 2);
	expect(&overlay, 0x3000, 0x3000, RW, 1);
	vm->backend = &fake_backend;
}

static void test_overlay_exhaustion(void **state)
{
	struct nested_view overlay = {0};

	(void)state;
	assert_int_equal(nested_map(vm, base, 0, GIB(1), 0, RWX, 3), 0);
	for (unsigned pages = 0; pages < 4; pages++) {
		vm->pool.available = pages;
		assert_int_equal(nested_overlay(vm, &overlay, base, 0x3000, POOL, R, OVERLAY_EXEC_BASE), -ENOMEM);
		assert_int_equal(vm->pool.available, pages);
		assert_int_equal(overlay.overlay_levels, 0);
	}
	vm->pool.available = 4;
	assert_int_equal(nested_overlay(vm, &overlay, base, 0x3000, POOL, R, OVERLAY_EXEC_BASE), 0);
	assert_int_equal(vm->pool.available, 0);
	/* Made once: re-aiming takes nothing. */
	assert_int_equal(nested_overlay(vm, &overlay, base, GIB(700), POOL, R, OVERLAY_EXEC_NOTHING), 0);
	expect(&overlay, GIB(700), POOL, R, 1);
	expect(&overlay, 0x3000, 0x3000, RW, 3);
}

/* --- a flat model as the judge ------------------------------------------------------------------------------------ */

#define MODEL_START (GIB(1) - MIB(3))
#define MODEL_PAGES 1536u /* 6 MiB: three in the first gigabyte, three in the second */
#define MODEL_OPS   4000u

struct model {
	struct translation page[MODEL_PAGES];
	uint64_t random;
};

static uint32_t model_random(struct model *model, uint32_t below)
{
	/* Knuth's MMIX generator: the low bits are poor. */
	model->random = model->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((model->random >> 33) % below);
}

static void model_check(const struct model *model)
{
	for (unsigned i = 0; i < MODEL_PAGES; i++) {
		struct translation t = translate(base, MODEL_START + i * PAGE_SIZE);

		assert_int_equal(t.access, model->page[i].access);
		assert_int_equal(t.address, model->page[i].address);
	}
	assert_int_equal(translate(base, MODEL_START - 1).address, MODEL_START - 1);
	assert_int_equal(translate(base, MODEL_START + MODEL_PAGES * PAGE_SIZE).address,
			 MODEL_START + MODEL_PAGES * PAGE_SIZE);
}

static void model_run(unsigned pages, uint64_t seed, unsigned *failures)
{
	static const uint8_t accesses[] = {R, RX, RW, RWX};
	struct model *model = calloc(1, sizeof(*model));

	assert_non_null(model);
	model->random = seed;
	fake_vm_free(&fake);
	fake_vm_init(&fake, MIB(4), POOL, pages);
	assert_int_equal(nested_view_init(vm, base, "base"), 0);
	assert_int_equal(nested_map(vm, base, 0, GIB(4), 0, RWX, 3), 0);
	for (unsigned i = 0; i < MODEL_PAGES; i++)
		model->page[i] = (struct translation){.address = MODEL_START + i * PAGE_SIZE, .access = RWX};

	for (unsigned op = 0; op < MODEL_OPS; op++) {
		/* Mostly a few pages; at times whole large pages. */
		bool large = model_random(model, 4) == 0;
		unsigned first = large ? 256 + 512 * model_random(model, 2) : model_random(model, MODEL_PAGES);
		unsigned room = MODEL_PAGES - first;
		unsigned count = large ? 512 * (1 + model_random(model, room / 512))
				       : 1 + model_random(model, model_random(model, 8) == 0 ? room
								 : 4 < room		     ? 4
											     : 1);
		uint8_t access = accesses[model_random(model, ARRAY_SIZE(accesses))];
		unsigned kind = model_random(model, 6), level = 1 + model_random(model, 3);
		gpa_t gpa = MODEL_START + first * PAGE_SIZE;
		uint64_t size = count * PAGE_SIZE;
		paddr_t target = model_random(model, 2) ? gpa : model_random(model, 1u << 20) * PAGE_SIZE;
		int ret = 0;

		if (kind < 4)
			ret = nested_map(vm, base, gpa, size, target, access, level);
		else if (kind < 5)
			ret = nested_unmap(vm, base, gpa, size);
		else
			nested_merge(vm, base, gpa, size, level);

		for (unsigned i = first; kind < 5 && i < first + count; i++) {
			struct translation *old = &model->page[i], new = {0};
			struct translation t = translate(base, MODEL_START + i * PAGE_SIZE);

			if (kind < 4)
				new = (struct translation){.address = target + (i - first) * PAGE_SIZE,
							   .access = access};
			if (ret != 0 && t.access == old->access && t.address == old->address)
				continue;
			assert_int_equal(t.access, new.access);
			assert_int_equal(t.address, new.address);
			*old = new;
		}
		if (ret != 0) {
			assert_int_equal(ret, -ENOMEM);
			++*failures;
		}
		expect_no_leak(pages);
		if (op % 64 == 0)
			model_check(model);
	}
	model_check(model);

	/* All of it made whole again ends where it began. */
	assert_int_equal(nested_map(vm, base, 0, GIB(4), 0, RWX, 3), 0);
	assert_int_equal(vm->pool.available, pages - 2);
	free(model);
}

static void test_model(void **state)
{
	unsigned failures = 0;

	(void)state;
	model_run(PAGES, 1, &failures);
	assert_int_equal(failures, 0);
	/* The whole stretch needs 2 + 2 + 4 tables: with seven some changes fail, and some after half of their work. */
	model_run(7, 2, &failures);
	assert_true(failures > 100);
}

/* --- the identity map ------------------------------------------------------------------------------------------------
 */

static void hide(gpa_t start, uint64_t length)
{
	vm->hidden[vm->hidden_count++] = (struct hidden_range){start, length};
}

static void test_identity_sizes(void **state)
{
	static const struct {
		gpa_t ram_top, mapped_to;
	} cases[] = {
		{MIB(256), GIB(4)},	   {GIB(4), GIB(4)},	   {GIB(4) + 1, GIB(5)},
		{GIB(6) + MIB(1), GIB(7)}, {GIB(1030), GIB(1030)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(nested_unmap(vm, base, 0, vm->physical_limit), 0);
		assert_int_equal(nested_build_identity(vm, base, cases[i].ram_top), 0);
		expect(base, 0, 0, RWX, 3);
		expect(base, cases[i].mapped_to - 1, cases[i].mapped_to - 1, RWX, 3);
		assert_int_equal(translate(base, cases[i].mapped_to).access, 0);
	}
	assert_int_equal(nested_unmap(vm, base, 0, vm->physical_limit), 0);
	vm->physical_limit = GIB(2);
	assert_int_equal(nested_build_identity(vm, base, MIB(64)), 0);
	expect(base, GIB(2) - 1, GIB(2) - 1, RWX, 3);
	expect_absent(base, GIB(2), 4);
}

static void test_identity_hides(void **state)
{
	static const struct {
		gpa_t first, end; /* pages nobody sees */
		gpa_t start;
		uint64_t length;
	} cases[] = {
		{MIB(508), MIB(512), MIB(508), MIB(4)},
		{GIB(1) + 0x1000, GIB(1) + 0x4000, GIB(1) + 0x1000, 0x3000},
		{MIB(640) - 0x1000, MIB(640) + 0x1000, MIB(640) - 0x1000, 0x2000}, /* across a 2 MiB boundary */
		{GIB(3) - 0x1000, GIB(3) + 0x1000, GIB(3) - 0x1000, 0x2000},	   /* across a 1 GiB boundary */
		{0x9f000, 0xa0000, 0x9f400, 0x400},				   /* within a page */
		{MIB(700) + 0x1000, MIB(700) + 0x3000, MIB(700) + 0x1ffe, 4},	   /* across pages */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		hide(cases[i].start, cases[i].length);
	hide(GIB(300), MIB(2)); /* above the map */
	assert_int_equal(nested_build_identity(vm, base, GIB(4)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (gpa_t gpa = cases[i].first; gpa < cases[i].end; gpa += PAGE_SIZE)
			assert_int_equal(translate(base, gpa).access, 0);
		assert_int_equal(translate(base, cases[i].first - 1).address, cases[i].first - 1);
		assert_int_equal(translate(base, cases[i].end).address, cases[i].end);
	}
	/* 4 MiB at a 2 MiB boundary need no table of small pages. */
	expect_absent(base, MIB(508), 2);
	expect_no_leak(PAGES);
}

static void test_identity_exhaustion(void **state)
{
	(void)state;
	hide(MIB(640) - 0x1000, 0x2000);
	for (unsigned pages = 1;; pages++) {
		int ret;

		fake.vm.pool = (struct page_pool){.next = POOL, .end = POOL + pages * PAGE_SIZE, .available = pages};
		assert_int_equal(nested_view_init(vm, base, "base"), 0);
		ret = nested_build_identity(vm, base, GIB(4));
		expect_no_leak(pages);
		if (ret == 0) {
			assert_int_equal(pages, 5);
			break;
		}
		assert_int_equal(ret, -ENOMEM);
	}
}

static void test_fill_on_demand(void **state)
{
	(void)state;
	assert_int_equal(nested_build_identity(vm, base, GIB(6)), 0);
	assert_int_equal(nested_fill(vm, base, GIB(6) - 1), -EEXIST);
	assert_int_equal(nested_fill(vm, base, GIB(6) + MIB(100) + 5), 0);
	expect(base, GIB(6), GIB(6), RWX, 3);
	expect(base, GIB(7) - 1, GIB(7) - 1, RWX, 3);
	expect_absent(base, GIB(7), 3);
	/* Beyond the first root entry, and at the very end. */
	assert_int_equal(nested_fill(vm, base, GIB(513) + 7), 0);
	expect(base, GIB(513), GIB(513), RWX, 3);
	expect_absent(base, GIB(512), 3);
	assert_int_equal(nested_fill(vm, base, (1ull << 48) - 1), 0);
	expect(base, (1ull << 48) - 1, (1ull << 48) - 1, RWX, 3);
	assert_int_equal(nested_fill(vm, base, 1ull << 48), -EINVAL);
	vm->physical_limit = 1ull << 52;
	assert_int_equal(nested_fill(vm, base, 1ull << 48), -EINVAL);
	vm->physical_limit = GIB(700);
	assert_int_equal(nested_fill(vm, base, GIB(700)), -EINVAL);
	expect_no_leak(PAGES);

	vm->caps &= ~BACKEND_CAP_PAGES_1G;
	assert_int_equal(nested_fill(vm, base, GIB(600) + MIB(3)), 0);
	expect(base, GIB(600) + MIB(2), GIB(600) + MIB(2), RWX, 2);
	expect_absent(base, GIB(600), 2);
	expect_absent(base, GIB(600) + MIB(4), 2);
}

static void test_fill_around_what_is_there(void **state)
{
	struct region region = {.space = REGION_MMIO, .start = GIB(20) + 0x800, .length = 4, .trap_reads = true};

	(void)state;
	assert_int_equal(nested_build_identity(vm, base, GIB(4)), 0);
	hide(GIB(10) + MIB(2) + 0x1000, 0x1000);
	assert_int_equal(nested_fill(vm, base, GIB(10)), 0);
	expect(base, GIB(10), GIB(10), RWX, 2);
	assert_int_equal(nested_fill(vm, base, GIB(10) + MIB(2)), 0);
	expect(base, GIB(10) + MIB(2), GIB(10) + MIB(2), RWX, 1);
	assert_int_equal(nested_fill(vm, base, GIB(10) + MIB(2) + 0x1000), -EACCES);
	assert_int_equal(nested_fill(vm, base, GIB(10) + MIB(2) + 0x2fff), 0);
	expect_absent(base, GIB(10) + MIB(2) + 0x1000, 1);

	/* A page somebody mapped elsewhere stays as it is. */
	assert_int_equal(nested_map(vm, base, GIB(12) + MIB(4), PAGE_SIZE, 0, R, 1), 0);
	assert_int_equal(nested_fill(vm, base, GIB(12)), 0);
	assert_int_equal(nested_fill(vm, base, GIB(12) + MIB(4) + PAGE_SIZE), 0);
	expect(base, GIB(12), GIB(12), RWX, 2);
	expect(base, GIB(12) + MIB(4), 0, R, 1);
	expect(base, GIB(12) + MIB(4) + PAGE_SIZE, GIB(12) + MIB(4) + PAGE_SIZE, RWX, 1);

	assert_int_equal(region_list_add(&vm->regions, &region, NULL), 0);
	assert_int_equal(nested_fill(vm, base, GIB(20)), -EACCES);
	assert_int_equal(nested_fill(vm, base, GIB(20) + 0x1000), 0);
	expect_absent(base, GIB(20), 1);
	expect(base, GIB(20) + 0x1000, GIB(20) + 0x1000, RWX, 1);

	/* A width that ends within a gigabyte. */
	vm->physical_limit = GIB(30) + MIB(3);
	assert_int_equal(nested_fill(vm, base, GIB(30)), 0);
	expect(base, GIB(30), GIB(30), RWX, 2);
	assert_int_equal(nested_fill(vm, base, GIB(30) + MIB(2)), 0);
	expect(base, GIB(30) + MIB(2), GIB(30) + MIB(2), RWX, 1);
	expect_no_leak(PAGES);
}

static void test_fill_without_memory(void **state)
{
	(void)state;
	assert_int_equal(nested_build_identity(vm, base, GIB(4)), 0);
	vm->pool.available = 0;
	/* Into a table that is there it needs none. */
	assert_int_equal(nested_fill(vm, base, GIB(5)), 0);
	assert_int_equal(nested_fill(vm, base, GIB(512)), -ENOMEM);
	expect_absent(base, GIB(512), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
		TEST(test_map_largest_pages),
		TEST(test_map_level_follows_target),
		TEST(test_map_respects_max_level),
		TEST(test_same_again_changes_nothing),
		TEST(test_split_each_level),
		TEST(test_merge_each_level),
		TEST(test_merge_refuses_what_differs),
		TEST(test_errors),
		TEST(test_init_without_memory),
		TEST(test_exhaustion_at_every_allocation),
		TEST(test_overlay_shares_the_rest),
		TEST(test_overlay_over_large_and_absent),
		TEST(test_overlay_re_aims_at_any_distance),
		TEST(test_overlay_no_exec),
		TEST(test_overlay_follows_its_base),
		TEST(test_overlay_same_page_is_cheap),
		TEST(test_overlay_exhaustion),
		TEST(test_model),
		TEST(test_identity_sizes),
		TEST(test_identity_hides),
		TEST(test_identity_exhaustion),
		TEST(test_fill_on_demand),
		TEST(test_fill_around_what_is_there),
		TEST(test_fill_without_memory),
	};

	return cmocka_run_group_tests_name("nested", tests, NULL, NULL);
}
