/* SPDX-License-Identifier: BSD-2-Clause */
/* core/owner.c: the backend hears of the first and the last owner only; whoever goes leaves nothing behind. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <undercroft/errno.h>
#include <undercroft/owner.h>
#include <undercroft/region.h>

#include "tests/fakes/fake_backend.h"

static struct fake_vm fake;
static struct vcpu *const vcpu = &fake.vcpu.vcpu;
static const struct owner core = {"core"}, gdb = {"gdb"}, smap = {"smap"};

static int setup(void **state)
{
	(void)state;
	fake_vm_init(&fake, MIB(1), PAGE_SIZE, 64);
	assert_int_equal(nested_view_init(&fake.vm, &fake.vm.base, "base"), 0);
	assert_int_equal(nested_build_identity(&fake.vm, &fake.vm.base, 0), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_free(&fake);
	return 0;
}

static void test_backend_sees_first_and_last(void **state)
{
	(void)state;
	assert_int_equal(intercept_count(vcpu, INTERCEPT_PORT, 0x3f8), 0);
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_PORT, 0x3f8), 0);
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x3f8));
	assert_int_equal(fake.vcpu.intercept_calls, 1);
	assert_int_equal(intercept_arm(vcpu, &gdb, INTERCEPT_PORT, 0x3f8), 0);
	assert_int_equal(intercept_arm(vcpu, &smap, INTERCEPT_PORT, 0x3f8), 0);
	assert_int_equal(fake.vcpu.intercept_calls, 1);
	assert_int_equal(intercept_count(vcpu, INTERCEPT_PORT, 0x3f8), 3);

	assert_int_equal(intercept_disarm(vcpu, &core, INTERCEPT_PORT, 0x3f8), 0);
	assert_int_equal(intercept_disarm(vcpu, &smap, INTERCEPT_PORT, 0x3f8), 0);
	assert_int_equal(fake.vcpu.intercept_calls, 1);
	assert_int_equal(intercept_disarm(vcpu, &gdb, INTERCEPT_PORT, 0x3f8), 0);
	assert_int_equal(fake.vcpu.intercept_calls, 2);
	assert_false(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x3f8));
	assert_int_equal(intercept_count(vcpu, INTERCEPT_PORT, 0x3f8), 0);
}

static void test_kinds_and_arguments_are_apart(void **state)
{
	(void)state;
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_MSR_READ, 0x10), 0);
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_MSR_WRITE, 0x10), 0);
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_MSR_READ, 0x11), 0);
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_NMI, 0), 0);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 4);
	assert_int_equal(intercept_disarm(vcpu, &core, INTERCEPT_MSR_READ, 0x10), 0);
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_MSR_WRITE, 0x10));
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_MSR_READ, 0x11));
	assert_false(fake_intercept_on(&fake.vcpu, INTERCEPT_MSR_READ, 0x10));
}

static void test_errors(void **state)
{
	(void)state;
	assert_int_equal(intercept_arm(vcpu, NULL, INTERCEPT_NMI, 0), -EINVAL);
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_NMI, 0), 0);
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_NMI, 0), -EEXIST);
	assert_int_equal(intercept_count(vcpu, INTERCEPT_NMI, 0), 1);
	assert_int_equal(intercept_disarm(vcpu, &gdb, INTERCEPT_NMI, 0), -ENOENT);
	assert_int_equal(intercept_disarm(vcpu, NULL, INTERCEPT_MSR_READ, 0), -ENOENT);
	assert_int_equal(intercept_disarm(vcpu, &core, INTERCEPT_INTR, 0), -ENOENT);
	assert_int_equal(intercept_disarm(vcpu, &core, INTERCEPT_NMI, 0), 0);
	assert_int_equal(intercept_disarm(vcpu, &core, INTERCEPT_NMI, 0), -ENOENT);
	assert_int_equal(fake.vcpu.intercept_calls, 2);
}

static void test_table_full(void **state)
{
	(void)state;
	for (unsigned i = 0; i < INTERCEPT_ARM_MAX; i++)
		assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_PORT, i), 0);
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_PORT, INTERCEPT_ARM_MAX), -ENOSPC);
	assert_int_equal(intercept_arm(vcpu, &gdb, INTERCEPT_PORT, 0), -ENOSPC);
	/* Full or not, what is armed is said to be armed. */
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_PORT, 0), -EEXIST);
	assert_int_equal(fake.vcpu.intercept_calls, INTERCEPT_ARM_MAX);
	assert_int_equal(intercept_disarm(vcpu, &core, INTERCEPT_PORT, 7), 0);
	assert_int_equal(intercept_arm(vcpu, &gdb, INTERCEPT_PORT, 0), 0);
	assert_int_equal(intercept_count(vcpu, INTERCEPT_PORT, 0), 2);
}

static void test_backend_refuses(void **state)
{
	(void)state;
	fake.vcpu.intercept_result = -ENOTSUP;
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_EXCEPTION, 14), -ENOTSUP);
	assert_int_equal(intercept_count(vcpu, INTERCEPT_EXCEPTION, 14), 0);
	assert_int_equal(intercept_disarm(vcpu, &core, INTERCEPT_EXCEPTION, 14), -ENOENT);
	fake.vcpu.intercept_result = 0;
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_EXCEPTION, 14), 0);
	/* A second owner does not ask the backend. */
	fake.vcpu.intercept_result = -ENOTSUP;
	assert_int_equal(intercept_arm(vcpu, &gdb, INTERCEPT_EXCEPTION, 14), 0);
}

static void test_release(void **state)
{
	struct region ports = {.name = "ports", .owner = &gdb, .space = REGION_PORT, .start = 0x2f8, .length = 8};
	struct region memory = {.name = "memory", .owner = &gdb, .space = REGION_MMIO, .start = MIB(16), .length = 8};
	struct region other = {.name = "other", .owner = &core, .space = REGION_PORT, .start = 0x300, .length = 2};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	assert_int_equal(region_add(vcpu, &ports, NULL), 0);
	assert_int_equal(region_add(vcpu, &memory, NULL), 0);
	assert_int_equal(region_add(vcpu, &other, NULL), 0);
	assert_int_equal(intercept_arm(vcpu, &gdb, INTERCEPT_NMI, 0), 0);
	assert_int_equal(intercept_arm(vcpu, &gdb, INTERCEPT_PORT, 0x300), 0);
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_PORT, 0x2f9), 0);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 8 + 2 + 1);

	owner_release(vcpu, NULL);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 8 + 2 + 1);
	owner_release(vcpu, &gdb);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 1 + 2);
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x2f9));
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x300));
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x301));
	assert_ptr_equal(fake.vm.regions.head, &other);
	assert_null(other.next);
	assert_int_equal(nested_lookup(&fake.vm, &fake.vm.base, MIB(16), &entry, &level), 0);
	assert_int_equal(entry.access, ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC);

	owner_release(vcpu, &gdb);
	owner_release(vcpu, &core);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 0);
	assert_null(fake.vm.regions.head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
		TEST(test_backend_sees_first_and_last),
		TEST(test_kinds_and_arguments_are_apart),
		TEST(test_errors),
		TEST(test_table_full),
		TEST(test_backend_refuses),
		TEST(test_release),
	};

	return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}
