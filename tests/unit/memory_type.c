/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/memory_type.c and core/nested.c: nested views that carry memory types, and a guest that changes them under the
 * running VM.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <undercroft/errno.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "core/memory_type.h"
#include "tests/unit/spine.h"

#define E     MTRR_DEF_ENABLE
#define FE    MTRR_DEF_FIXED_ENABLE
#define VALID MTRR_MASK_VALID
#define BITS  36

#define MASK(size) ((~((size)-1) & ((1ull << BITS) - 1)) | VALID)

static struct spine spine;
static struct fake_platform *const platform = &spine.fake.platform;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static struct vm *const vm = &spine.fake.vm;

/* A PC with 2 GiB: default UC, memory WB, its last MiB cut out as UC, an aperture WC. */
static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	vm->physical_limit = 1ull << BITS;
	fake_cpuid_set(platform, CPUID_EXT_MAX, 0, (struct cpuid_regs){.eax = CPUID_SIZES});
	fake_cpuid_set(platform, CPUID_SIZES, 0, (struct cpuid_regs){.eax = BITS});
	fake_cpuid_set(platform, CPUID_FEATURES, 0, (struct cpuid_regs){.edx = CPUID_1_EDX_MTRR});
	fake_msr_set(platform, MSR_MTRR_CAP, MTRR_CAP_FIXED | 4);
	fake_msr_set(platform, MSR_MTRR_DEF_TYPE, E | FE | MTRR_UC);
	fake_msr_set(platform, MSR_MTRR_FIX_64K, 0x0606060606060606);
	fake_msr_set(platform, MSR_MTRR_FIX_16K_80, 0x0606060606060606);
	fake_msr_set(platform, MSR_MTRR_FIX_16K_A0, 0);
	for (unsigned i = 0; i < 8; i++)
		fake_msr_set(platform, MSR_MTRR_FIX_4K_C0 + i, 0x0505050505050505);
	fake_msr_set(platform, MSR_MTRR_PHYS_BASE0, 0 | MTRR_WB);
	fake_msr_set(platform, MSR_MTRR_PHYS_MASK0, MASK(GIB(2)));
	fake_msr_set(platform, MSR_MTRR_PHYS_BASE0 + 2, (GIB(2) - MIB(1)) | MTRR_UC);
	fake_msr_set(platform, MSR_MTRR_PHYS_MASK0 + 2, MASK(MIB(1)));
	fake_msr_set(platform, MSR_MTRR_PHYS_BASE0 + 4, 0xd0000000 | MTRR_WC);
	fake_msr_set(platform, MSR_MTRR_PHYS_MASK0 + 4, MASK(MIB(256)));
	fake_msr_set(platform, MSR_MTRR_PHYS_BASE0 + 6, 0);
	fake_msr_set(platform, MSR_MTRR_PHYS_MASK0 + 6, 0);
	fake_msr_set(platform, MSR_PAT, 0x0007040600070406);

	memory_types_init(vm);
	assert_int_equal(nested_view_init(vm, &vm->base, "base"), 0);
	assert_int_equal(nested_build_identity(vm, &vm->base, GIB(2)), 0);
	vcpu->backend->nested_activate(vcpu, &vm->base);
	assert_int_equal(memory_types_watch(vcpu), 0);
	vcpu->work = 0;
	return 0;
}

/* WRMSR by the guest. False: it raised #GP. */
static bool wrmsr(uint32_t index, uint64_t value)
{
	struct exit_detail detail = {.msr = {.index = index, .write = true}};

	vcpu->rip = SPINE_CODE;
	vcpu->gpr[GPR_RCX] = index;
	vcpu->gpr[GPR_RAX] = (uint32_t)value;
	vcpu->gpr[GPR_RDX] = value >> 32;
	spine_exit(&spine, EXIT_MSR, 2, &detail, NULL);
	assert_null(vcpu->fatal);
	return spine_injected(&spine) == NULL;
}

static struct nested_entry lookup(gpa_t gpa, unsigned *level)
{
	struct nested_entry entry;

	assert_int_equal(nested_lookup(vm, &vm->base, gpa, &entry, level), 0);
	return entry;
}

static void expect_at(gpa_t gpa, enum mtrr_type type, unsigned wanted_level)
{
	unsigned level;

	assert_int_equal(lookup(gpa, &level).type, type);
	assert_int_equal(level, wanted_level);
}

/* Every page leads home and has the type that the registers give it now. */
static void expect_types_everywhere(void)
{
	struct memory_types types;
	struct mtrr_set set;
	struct nested_entry entry;
	enum mtrr_type type;
	unsigned level;
	int count;

	mtrr_set_read(&platform->platform, &set);
	count = memory_types_resolve(&set, types.range, MEMORY_TYPE_RANGE_MAX);
	assert_true(count > 0);
	types.count = (unsigned)count;
	for (gpa_t gpa = 0; gpa < GIB(4); gpa += gpa < MIB(2) || gpa >= GIB(2) - MIB(2) ? PAGE_SIZE : KIB(256)) {
		if (gpa >= GIB(2) + MIB(2) && gpa % MIB(2) != 0)
			continue;
		if (nested_lookup(vm, &vm->base, gpa, &entry, &level) != 0) {
			assert_true(vm_hides(vm, gpa, 1));
			continue;
		}
		assert_true(entry.address + (gpa & (NESTED_LEVEL_SIZE(level) - 1)) == gpa);
		if (!memory_types_uniform(&types, gpa, PAGE_SIZE, &type) || entry.type != type)
			fail_msg("%llx has type %u", (unsigned long long)gpa, entry.type);
	}
}

static void test_identity_has_types(void **state)
{
	(void)state;
	expect_types_everywhere();
	/* as large as the types and the hidden memory allow */
	expect_at(0x9f000, MTRR_WB, 1);
	expect_at(0xa0000, MTRR_UC, 1);
	expect_at(0xfffff, MTRR_WP, 1);
	expect_at(MIB(1), MTRR_WB, 1);
	expect_at(MIB(2), MTRR_WB, 2);
	expect_at(GIB(1), MTRR_WB, 2);
	expect_at(GIB(2) - MIB(1), MTRR_UC, 1);
	expect_at(GIB(2) - MIB(1) - 1, MTRR_WB, 1);
	expect_at(GIB(2), MTRR_UC, 3);
	expect_at(0xd0000000, MTRR_WC, 2);
	expect_at(0xe0000000, MTRR_UC, 2);
}

/* What is mapped later: on demand, elsewhere, for a step. */
static void test_later_maps_have_types(void **state)
{
	struct nested_view overlay = {0};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	assert_int_equal(nested_fill(vm, &vm->base, GIB(5)), 0);
	expect_at(GIB(5), MTRR_UC, 3);
	/* the type is the memory's that a page leads to: what else reads and writes that memory uses the same */
	assert_int_equal(nested_map(vm, &vm->base, 0xe0000000, MIB(2), MIB(4), ACCESS_READ, 3), 0);
	expect_at(0xe0000000, MTRR_WB, 2);
	assert_int_equal(nested_map(vm, &vm->base, 0xe0000000, MIB(2), 0, ACCESS_READ, 3), 0);
	expect_at(0xe0000000, MTRR_WB, 1);
	expect_at(0xe00a0000, MTRR_UC, 1);
	/* another access splits and keeps it */
	assert_int_equal(nested_map(vm, &vm->base, 0xd0001000, PAGE_SIZE, 0xd0001000, ACCESS_READ, 1), 0);
	expect_at(0xd0001000, MTRR_WC, 1);
	expect_at(0xd0002000, MTRR_WC, 1);
	nested_merge(vm, &vm->base, 0xe0000000, MIB(2), 3);
	expect_at(0xe0000000, MTRR_WB, 1);
	assert_int_equal(nested_overlay(vm, &overlay, &vm->base, 0xd0000000, MIB(3), ACCESS_READ, OVERLAY_EXEC_BASE),
			 0);
	assert_int_equal(nested_lookup(vm, &overlay, 0xd0000000, &entry, &level), 0);
	assert_int_equal(entry.type, MTRR_WB);
	assert_int_equal(nested_lookup(vm, &overlay, 0xd0001000, &entry, &level), 0);
	assert_int_equal(entry.type, MTRR_WC);
}

/* Equal entries in all but their type are not one page. */
static void test_merge_looks_at_types(void **state)
{
	struct memory_types saved;

	(void)state;
	assert_int_equal(nested_map(vm, &vm->base, MIB(32), MIB(2), MIB(32), ACCESS_READ, 1), 0);
	saved = vm->types;
	vm->types.count = 0;
	assert_int_equal(nested_map(vm, &vm->base, MIB(33), PAGE_SIZE, MIB(33), ACCESS_READ, 1), 0);
	vm->types = saved;
	nested_merge(vm, &vm->base, MIB(32), MIB(2), 3);
	expect_at(MIB(33), MTRR_UC, 1);
	expect_at(MIB(32), MTRR_WB, 1);
	assert_int_equal(nested_retype(vm, &vm->base), 0);
	nested_merge(vm, &vm->base, MIB(32), MIB(2), 3);
	expect_at(MIB(33), MTRR_WB, 2);
}

/* What a kernel does: off, change, on. */
static void test_guest_changes_types(void **state)
{
	unsigned activations, available;

	(void)state;
	assert_true(fake_intercept_on(fake, INTERCEPT_MSR_WRITE, MSR_MTRR_DEF_TYPE));
	assert_true(wrmsr(MSR_MTRR_DEF_TYPE, 0));
	expect_types_everywhere();
	expect_at(MIB(2), MTRR_UC, 2);
	assert_ptr_equal(fake->active_view, &vm->base);
	assert_true(fake->active_generation == vm->base.generation);
	activations = fake->activations;
	/* nothing changes while they are off */
	assert_true(wrmsr(MSR_MTRR_PHYS_BASE0 + 6, 0xe0000000 | MTRR_WC));
	assert_true(wrmsr(MSR_MTRR_PHYS_MASK0 + 6, MASK(MIB(1))));
	assert_true(wrmsr(MSR_MTRR_FIX_16K_A0, 0x0101010101010101));
	assert_int_equal(fake->activations, activations);
	assert_true(fake_msr_get(platform, MSR_MTRR_PHYS_BASE0 + 6) == (0xe0000000 | MTRR_WC));
	assert_true(wrmsr(MSR_MTRR_DEF_TYPE, E | FE | MTRR_UC));
	assert_int_equal(fake->activations, activations + 1);
	expect_types_everywhere();
	expect_at(0xa0000, MTRR_WC, 1);
	expect_at(0xe0000000, MTRR_WC, 1);
	expect_at(0xe0100000, MTRR_UC, 1);
	expect_at(0xe0200000, MTRR_UC, 2);
	/* off and on again takes no more memory */
	available = vm->pool.available;
	for (unsigned i = 0; i < 100; i++) {
		assert_true(wrmsr(MSR_MTRR_DEF_TYPE, 0));
		assert_true(wrmsr(MSR_MTRR_DEF_TYPE, E | FE | MTRR_UC));
	}
	assert_int_equal(vm->pool.available, available);
	expect_types_everywhere();
}

/* A guest that moves a range about splits nothing for good. */
static void test_range_moves(void **state)
{
	unsigned least = vm->pool.available;

	(void)state;
	assert_true(wrmsr(MSR_MTRR_PHYS_MASK0 + 6, MASK(PAGE_SIZE)));
	for (unsigned i = 0; i < 600; i++) {
		assert_true(wrmsr(MSR_MTRR_PHYS_BASE0 + 6, (0x80000000 + i * MIB(2)) | MTRR_WC));
		expect_at(0x80000000 + i * MIB(2), MTRR_WC, 1);
		assert_true(vm->pool.available + 8 > least);
	}
	expect_types_everywhere();
	assert_false(spine_logged(&spine, "no memory to follow"));
}

/* Each write that changes something happens with empty caches, and is the only kind that costs that. */
static void test_caches_around_writes(void **state)
{
	unsigned writes = platform->memory_type_writes, emptied = platform->cache_flushes;

	(void)state;
	fake->reg[REG_CR0] = CR0_PE | CR0_CD;
	assert_true(wrmsr(MSR_MTRR_PHYS_BASE0, 0 | MTRR_WB));
	assert_int_equal(platform->memory_type_writes, writes);
	assert_true(wrmsr(MSR_MTRR_PHYS_BASE0, 0 | MTRR_WT));
	assert_int_equal(platform->memory_type_writes, writes + 1);
	assert_int_equal(platform->cache_flushes, emptied + 2);
	fake_msr_set(platform, MSR_TSC, 0);
	assert_true(wrmsr(MSR_TSC, 5));
	assert_int_equal(platform->memory_type_writes, writes + 1);
	/* the guest's own CR0 is its own */
	assert_int_equal(fake->reg[REG_CR0], CR0_PE | CR0_CD);
	assert_int_equal(fake_intercepts_on(fake), 11 + 8 + 1);
}

static void test_bad_writes(void **state)
{
	(void)state;
	fake_msr_set_read_only(platform, MSR_MTRR_PHYS_BASE0, 0 | MTRR_WB);
	assert_false(wrmsr(MSR_MTRR_PHYS_BASE0, 2));
	assert_false(wrmsr(MSR_MTRR_PHYS_BASE0 + 8, 2)); /* there are four */
	expect_types_everywhere();
}

/* A guest that asks for types on each page: slow, never wrong, never out of memory. */
static void test_too_many_types(void **state)
{
	(void)state;
	assert_true(wrmsr(MSR_MTRR_PHYS_MASK0 + 6, 0x1000 | VALID));
	assert_true(spine_logged(&spine, "too many ranges"));
	assert_int_equal(vm->types.count, 0);
	expect_at(MIB(4), MTRR_UC, 2);
	assert_true(wrmsr(MSR_MTRR_PHYS_MASK0 + 6, 0));
	expect_types_everywhere();
}

static void test_no_memory_to_follow(void **state)
{
	(void)state;
	while (page_pool_alloc(vm) != 0)
		continue;
	assert_true(wrmsr(MSR_MTRR_PHYS_BASE0 + 6, 0xe0100000 | MTRR_WC));
	assert_true(wrmsr(MSR_MTRR_PHYS_MASK0 + 6, MASK(MIB(1))));
	assert_true(spine_logged(&spine, "no memory to follow"));
	expect_at(MIB(4), MTRR_UC, 2);
	expect_at(0xe0000000, MTRR_UC, 3);
	assert_true(wrmsr(MSR_MTRR_PHYS_MASK0 + 6, 0));
	expect_types_everywhere();
}

static void test_pat(void **state)
{
	struct exit_detail detail = {.msr = {.index = MSR_PAT}};

	(void)state;
	assert_true(wrmsr(MSR_PAT, 0x0007010600070406));
	assert_true(fake->reg[REG_PAT] == 0x0007010600070406);
	/* the host's is another */
	assert_true(fake_msr_get(platform, MSR_PAT) == 0x0007040600070406);
	for (unsigned i = 0; i < 64; i += 8) {
		assert_false(wrmsr(MSR_PAT, 2ull << i));
		assert_false(wrmsr(MSR_PAT, 3ull << i));
		assert_false(wrmsr(MSR_PAT, 8ull << i));
		assert_false(wrmsr(MSR_PAT, 0x86ull << i));
	}
	vcpu->rip = SPINE_CODE;
	spine_exit(&spine, EXIT_MSR, 2, &detail, NULL);
	assert_true(vcpu->gpr[GPR_RDX] == 0x00070106 && vcpu->gpr[GPR_RAX] == 0x00070406);
}

static void test_warnings(void **state)
{
	(void)state;
	assert_false(spine_logged(&spine, "undercroft:"));
	fake_msr_set(platform, MSR_MTRR_PHYS_BASE0 + 6, MIB(8) | MTRR_WC);
	fake_msr_set(platform, MSR_MTRR_PHYS_MASK0 + 6, MASK(MIB(8)));
	memory_types_init(vm);
	assert_true(spine_logged(&spine, "two things about 800000..1000000"));
	assert_true(spine_logged(&spine, "hidden memory at c00000 is not write back"));
}

/* No MTRRs, no fixed ones, no room for arms. */
static void test_watch(void **state)
{
	static const struct owner other = {.name = "other"};

	(void)state;
	assert_int_equal(fake_intercepts_on(fake), 11 + 8 + 1);
	assert_false(fake_intercept_on(fake, INTERCEPT_MSR_WRITE, MSR_MTRR_PHYS_BASE0 + 8));
	assert_int_equal(memory_types_watch(vcpu), -EEXIST);
	assert_int_equal(fake_intercepts_on(fake), 0);
	fake_msr_set(platform, MSR_MTRR_CAP, 2);
	assert_int_equal(memory_types_watch(vcpu), 0);
	assert_int_equal(fake_intercepts_on(fake), 4 + 1);
	spine_free(&spine);
	spine_init(&spine);
	assert_int_equal(memory_types_watch(vcpu), 0);
	assert_int_equal(fake_intercepts_on(fake), 0);
	fake_cpuid_set(platform, CPUID_FEATURES, 0, (struct cpuid_regs){.edx = CPUID_1_EDX_MTRR});
	fake_msr_set(platform, MSR_MTRR_CAP, 8);
	for (unsigned i = 0; i < INTERCEPT_ARM_MAX - 3; i++)
		assert_int_equal(intercept_arm(vcpu, &other, INTERCEPT_PORT, i), 0);
	assert_int_equal(memory_types_watch(vcpu), -ENOSPC);
	assert_int_equal(fake_intercepts_on(fake), INTERCEPT_ARM_MAX - 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_identity_has_types),
		TEST(test_later_maps_have_types),
		TEST(test_merge_looks_at_types),
		TEST(test_guest_changes_types),
		TEST(test_range_moves),
		TEST(test_caches_around_writes),
		TEST(test_bad_writes),
		TEST(test_too_many_types),
		TEST(test_no_memory_to_follow),
		TEST(test_pat),
		TEST(test_warnings),
		TEST(test_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
