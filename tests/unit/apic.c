/* SPDX-License-Identifier: BSD-2-Clause */
/* core/apic.c: no command of the guest starts another CPU, and all others arrive. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include <x86/cpuid.h>
#include <x86/msr.h>

#include "core/apic.h"
#include "tests/unit/spine.h"

#define APIC	 0xfee00000ull
#define ICR_LOW	 0x300u
#define ICR_HIGH 0x310u

static struct spine spine;
static struct fake_platform *const platform = &spine.fake.platform;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	fake_memory_add(platform, APIC, MIB(1));
	fake_msr_set(platform, MSR_APIC_BASE, APIC | APIC_BASE_ENABLE | APIC_BASE_BSP);
	fake_cpuid_set(platform, CPUID_FEATURES, 0, (struct cpuid_regs){.ecx = CPUID_1_ECX_X2APIC});
	spine.fake.vm.hide_cpus = true;
	return 0;
}

static uint8_t page_access(gpa_t page)
{
	struct nested_entry entry;
	unsigned level;

	return nested_lookup(&spine.fake.vm, &spine.fake.vm.base, page, &entry, &level) ? 0 : entry.access;
}

static void apic_write(unsigned offset, unsigned size, uint64_t value)
{
	vcpu->apic.write(vcpu, &vcpu->apic, offset, size, value);
}

static bool wrmsr(uint32_t index, uint64_t value)
{
	struct exit_detail detail = {.msr = {.index = index, .write = true}};

	vcpu->gpr[GPR_RAX] = (uint32_t)value;
	vcpu->gpr[GPR_RDX] = value >> 32;
	spine_exit(&spine, EXIT_MSR, 2, &detail, NULL);
	return spine_injected(&spine) == NULL;
}

static void test_arms(void **state)
{
	(void)state;
	assert_int_equal(apic_hide_cpus(vcpu), 0);
	assert_int_equal(page_access(APIC), ACCESS_READ | ACCESS_EXEC);
	assert_int_equal(page_access(APIC + PAGE_SIZE), ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC);
	assert_true(fake_intercept_on(fake, INTERCEPT_MSR_WRITE, MSR_APIC_BASE));
	assert_true(fake_intercept_on(fake, INTERCEPT_MSR_WRITE, MSR_X2APIC_ICR));
	assert_int_equal(fake_intercepts_on(fake), 2);
}

static void test_arms_without_x2apic(void **state)
{
	(void)state;
	fake_cpuid_set(platform, CPUID_FEATURES, 0, (struct cpuid_regs){.ecx = ~CPUID_1_ECX_X2APIC});
	assert_int_equal(apic_hide_cpus(vcpu), 0);
	assert_int_equal(fake_intercepts_on(fake), 1);
}

static void test_fails_whole(void **state)
{
	(void)state;
	fake->intercept_result = -ENOTSUP;
	assert_int_equal(apic_hide_cpus(vcpu), -ENOTSUP);
	assert_null(spine.fake.vm.regions.head);
	assert_int_equal(page_access(APIC), ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC);
	platform->msr_count = 0;
	assert_int_equal(apic_hide_cpus(vcpu), -EFAULT);
}

/* Every delivery mode, as values of the ICR that systems write. */
static void test_commands(void **state)
{
	(void)state;
	assert_int_equal(apic_hide_cpus(vcpu), 0);
	for (uint32_t mode = 0; mode < 8; mode++) {
		for (uint32_t other = 0; other < 2; other++) {
			uint32_t icr = mode << 8 | (other ? 0xfffff8ffu : 0x99);
			unsigned before = fake_access_count(platform, FAKE_MMIO_WRITE, APIC + ICR_LOW);
			bool passes = mode != 5 && mode != 6;

			apic_write(ICR_LOW, 4, icr);
			assert_int_equal(fake_access_count(platform, FAKE_MMIO_WRITE, APIC + ICR_LOW) - before, passes);
			assert_int_equal(apic_icr_starts_cpu(vcpu, icr), !passes);
		}
	}
	assert_true(spine_logged(&spine, "INIT (ICR 00000599) ignored"));
	assert_true(spine_logged(&spine, "startup IPI (ICR 00000699) ignored"));
}

static void test_other_registers(void **state)
{
	(void)state;
	assert_int_equal(apic_hide_cpus(vcpu), 0);
	apic_write(ICR_HIGH, 4, 0x600);
	apic_write(0xb0, 4, 0);
	apic_write(0x320, 4, 0x500);
	assert_int_equal(fake_access_count(platform, FAKE_MMIO_WRITE, APIC + ICR_HIGH), 1);
	assert_int_equal(fake_access_count(platform, FAKE_MMIO_WRITE, APIC + 0xb0), 1);
	assert_int_equal(fake_access_count(platform, FAKE_MMIO_WRITE, APIC + 0x320), 1);
	assert_int_equal(vcpu->apic.read(vcpu, &vcpu->apic, 0x320, 4), 0x500);
}

/* No part of a command gets by. */
static void test_odd_widths(void **state)
{
	(void)state;
	assert_int_equal(apic_hide_cpus(vcpu), 0);
	apic_write(ICR_LOW, 1, 0);
	apic_write(ICR_LOW + 1, 1, 6);
	apic_write(ICR_LOW, 2, 0x699);
	apic_write(ICR_LOW, 8, 0x699);
	apic_write(ICR_LOW - 8, 8, ~0ull);
	apic_write(ICR_LOW + 2, 2, 0);
	apic_write(ICR_LOW + 4, 4, 0x699);
	assert_int_equal(platform->access_count - 1, 0); /* the MSR alone */
}

static void test_x2apic(void **state)
{
	(void)state;
	fake_msr_set(platform, MSR_X2APIC_ICR, 0);
	assert_int_equal(apic_hide_cpus(vcpu), 0);
	assert_true(wrmsr(MSR_X2APIC_ICR, 0x1000004500));
	assert_true(wrmsr(MSR_X2APIC_ICR, 0x1000000699));
	assert_true(fake_msr_get(platform, MSR_X2APIC_ICR) == 0);
	assert_true(spine_logged(&spine, "INIT (ICR 00004500)"));
	assert_true(wrmsr(MSR_X2APIC_ICR, 0x60000000000fd));
	assert_true(fake_msr_get(platform, MSR_X2APIC_ICR) == 0x60000000000fd);
}

static void test_moves(void **state)
{
	const uint64_t moved = (APIC + 0x3000) | APIC_BASE_ENABLE | APIC_BASE_BSP;

	(void)state;
	assert_int_equal(apic_hide_cpus(vcpu), 0);
	assert_true(wrmsr(MSR_APIC_BASE, moved));
	assert_true(fake_msr_get(platform, MSR_APIC_BASE) == moved);
	assert_int_equal(page_access(APIC), ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC);
	assert_int_equal(page_access(APIC + 0x3000), ACCESS_READ | ACCESS_EXEC);
	apic_write(0xb0, 4, 0);
	assert_int_equal(fake_access_count(platform, FAKE_MMIO_WRITE, APIC + 0x30b0), 1);
	/* the same place */
	assert_true(wrmsr(MSR_APIC_BASE, moved | APIC_BASE_X2APIC));
	assert_int_equal(page_access(APIC + 0x3000), ACCESS_READ | ACCESS_EXEC);
	assert_null(vcpu->fatal);
}

static void test_moves_are_refused(void **state)
{
	const uint64_t before = APIC | APIC_BASE_ENABLE | APIC_BASE_BSP;

	(void)state;
	assert_int_equal(apic_hide_cpus(vcpu), 0);
	assert_false(wrmsr(MSR_APIC_BASE, SPINE_HIDDEN | APIC_BASE_ENABLE));
	assert_false(wrmsr(MSR_APIC_BASE, (SPINE_HIDDEN + MIB(1) - PAGE_SIZE) | APIC_BASE_ENABLE));
	/* where we could not reach it */
	assert_false(wrmsr(MSR_APIC_BASE, GIB(64) | APIC_BASE_ENABLE));
	assert_true(fake_msr_get(platform, MSR_APIC_BASE) == before);
	/* what the CPU refuses */
	fake_msr_set_read_only(platform, MSR_APIC_BASE, before);
	assert_false(wrmsr(MSR_APIC_BASE, APIC + 0x3000));
	assert_int_equal(page_access(APIC), ACCESS_READ | ACCESS_EXEC);
	assert_int_equal(vcpu->apic.start, APIC);
	assert_null(vcpu->fatal);
}

/* A device of ours is there. */
static void test_moves_onto_a_device(void **state)
{
	static const struct owner owner = {.name = "test"};
	struct region device = {.name = "device",
				.owner = &owner,
				.space = REGION_MMIO,
				.start = APIC + 0x5010,
				.length = 16,
				.trap_reads = true};
	const uint64_t before = APIC | APIC_BASE_ENABLE | APIC_BASE_BSP;

	(void)state;
	assert_int_equal(apic_hide_cpus(vcpu), 0);
	assert_int_equal(region_add(vcpu, &device, NULL), 0);
	assert_false(wrmsr(MSR_APIC_BASE, (APIC + 0x5000) | APIC_BASE_ENABLE));
	assert_null(vcpu->fatal);
	assert_true(fake_msr_get(platform, MSR_APIC_BASE) == before);
	assert_int_equal(vcpu->apic.start, APIC);
	assert_int_equal(page_access(APIC), ACCESS_READ | ACCESS_EXEC);
	assert_int_equal(page_access(APIC + 0x5000), 0);
	assert_true(spine_logged(&spine, "may not move its APIC to fee05000"));
}

/* Nothing is watched on a machine with one CPU; hidden memory stays out of reach there, too. */
static void test_one_cpu(void **state)
{
	(void)state;
	spine.fake.vm.hide_cpus = false;
	assert_true(wrmsr(MSR_APIC_BASE, GIB(64) | APIC_BASE_ENABLE));
	assert_false(wrmsr(MSR_APIC_BASE, SPINE_HIDDEN | APIC_BASE_ENABLE));
	assert_null(vcpu->fatal);
	assert_null(spine.fake.vm.regions.head);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_arms),
		TEST(test_arms_without_x2apic),
		TEST(test_fails_whole),
		TEST(test_commands),
		TEST(test_other_registers),
		TEST(test_odd_widths),
		TEST(test_x2apic),
		TEST(test_moves),
		TEST(test_moves_are_refused),
		TEST(test_moves_onto_a_device),
		TEST(test_one_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
