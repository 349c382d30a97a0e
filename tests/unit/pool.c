/* SPDX-License-Identifier: BSD-2-Clause */
/* core/pool.c: pages come zeroed, each once, come back, and end. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/nested.h>

#include "tests/fakes/fake_backend.h"

#define POOL  MIB(1)
#define PAGES 8u

static struct fake_vm fake;

static int setup(void **state)
{
	(void)state;
	fake_vm_init(&fake, MIB(2), 0, 0);
	page_pool_init(&fake.vm.pool, POOL, POOL + PAGES * PAGE_SIZE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_free(&fake);
	return 0;
}

static void test_init_rounds_inwards(void **state)
{
	struct page_pool pool;

	(void)state;
	page_pool_init(&pool, 0x1001, 0x4fff);
	assert_int_equal(pool.next, 0x2000);
	assert_int_equal(pool.end, 0x4000);
	assert_int_equal(pool.available, 2);
	page_pool_init(&pool, 0x1001, 0x1fff);
	assert_int_equal(pool.available, 0);
	page_pool_init(&pool, 0, 0x3000);
	assert_int_equal(pool.next, 0x1000);
	assert_int_equal(pool.available, 2);
	page_pool_init(&pool, 0x5000, 0x3000);
	assert_int_equal(pool.available, 0);
}

static void test_alloc_until_empty(void **state)
{
	static const uint8_t zero[PAGE_SIZE];

	(void)state;
	memset(fake_memory_at(&fake.platform, POOL, PAGES * PAGE_SIZE), 0xa5, PAGES * PAGE_SIZE);
	for (unsigned i = 0; i < PAGES; i++) {
		paddr_t page = page_pool_alloc(&fake.vm);

		assert_int_equal(page, POOL + i * PAGE_SIZE);
		assert_memory_equal(fake_memory_at(&fake.platform, page, PAGE_SIZE), zero, PAGE_SIZE);
		assert_int_equal(fake.vm.pool.available, PAGES - 1 - i);
	}
	assert_int_equal(page_pool_alloc(&fake.vm), 0);
	assert_int_equal(page_pool_alloc(&fake.vm), 0);
	assert_int_equal(fake.vm.pool.available, 0);
}

static void test_free_and_again(void **state)
{
	static const uint8_t zero[PAGE_SIZE];
	paddr_t page[PAGES];
	uint64_t seen = 0;

	(void)state;
	for (unsigned i = 0; i < PAGES; i++)
		page[i] = page_pool_alloc(&fake.vm);
	for (unsigned i = 0; i < PAGES; i += 2) {
		memset(fake_memory_at(&fake.platform, page[i], PAGE_SIZE), 0x5a, PAGE_SIZE);
		page_pool_free(&fake.vm, page[i]);
	}
	assert_int_equal(fake.vm.pool.available, PAGES / 2);
	for (unsigned i = 0; i < PAGES / 2; i++) {
		paddr_t again = page_pool_alloc(&fake.vm);

		assert_memory_equal(fake_memory_at(&fake.platform, again, PAGE_SIZE), zero, PAGE_SIZE);
		seen |= 1ull << ((again - POOL) / PAGE_SIZE);
	}
	assert_int_equal(seen, 0x55);
	assert_int_equal(page_pool_alloc(&fake.vm), 0);
	page_pool_free(&fake.vm, 0);
	assert_int_equal(fake.vm.pool.available, 0);
}

static void test_unmapped_memory_is_none(void **state)
{
	(void)state;
	page_pool_init(&fake.vm.pool, MIB(2) - PAGE_SIZE, MIB(2) + PAGE_SIZE);
	assert_int_equal(page_pool_alloc(&fake.vm), MIB(2) - PAGE_SIZE);
	assert_int_equal(page_pool_alloc(&fake.vm), 0);
	page_pool_free(&fake.vm, MIB(2));
	assert_int_equal(fake.vm.pool.available, 1);
	assert_int_equal(fake.vm.pool.free, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_init_rounds_inwards, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alloc_until_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_and_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unmapped_memory_is_none, setup, teardown),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
