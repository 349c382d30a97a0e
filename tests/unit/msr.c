/* SPDX-License-Identifier: BSD-2-Clause */
/* core/msr.c: EFER's rules, registers the guest does not have, and a #GP of the host that becomes the guest's. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "tests/unit/spine.h"

#define EFER_LMSLE     (1ull << 13)
#define EFER_FFXSR     (1ull << 14)
#define EFER_TCE       (1ull << 15)
#define EFER_AUTO_IBRS (1ull << 21)

static struct spine spine;
static struct fake_platform *const platform = &spine.fake.platform;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	fake->reg[REG_CR0] = CR0_PE;
	return 0;
}

/* RDMSR or WRMSR. False: it raised #GP(0), and nothing moved. */
static bool access(uint32_t index, bool write)
{
	struct exit_detail detail = {.msr = {.index = index, .write = write}};
	uint64_t rax = vcpu->gpr[GPR_RAX], rdx = vcpu->gpr[GPR_RDX];
	const struct event *event;

	vcpu->rip = SPINE_CODE;
	vcpu->gpr[GPR_RCX] = index;
	spine_exit(&spine, EXIT_MSR, 2, &detail, NULL);
	assert_null(vcpu->fatal);
	event = spine_injected(&spine);
	if (!event) {
		assert_int_equal(vcpu->rip, SPINE_CODE + 2);
		return true;
	}
	assert_int_equal(event->vector, 13);
	assert_true(event->has_error);
	assert_int_equal(event->error, 0);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_true(vcpu->gpr[GPR_RAX] == rax);
	assert_true(vcpu->gpr[GPR_RDX] == rdx);
	return false;
}

static bool rdmsr(uint32_t index, uint64_t *value)
{
	vcpu->gpr[GPR_RAX] = vcpu->gpr[GPR_RDX] = 0xeeeeeeeeeeeeeeee;
	if (!access(index, false))
		return false;
	assert_int_equal(vcpu->gpr[GPR_RAX] >> 32, 0);
	assert_int_equal(vcpu->gpr[GPR_RDX] >> 32, 0);
	*value = vcpu->gpr[GPR_RDX] << 32 | vcpu->gpr[GPR_RAX];
	return true;
}

static bool wrmsr(uint32_t index, uint64_t value)
{
	/* the upper halves mean nothing */
	vcpu->gpr[GPR_RAX] = 0xaaaaaaaa00000000 | (uint32_t)value;
	vcpu->gpr[GPR_RDX] = 0xdddddddd00000000 | value >> 32;
	return access(index, true);
}

static void test_through(void **state)
{
	uint64_t value = 0;

	(void)state;
	fake_msr_set(platform, 0x1234, 0x1122334455667788);
	assert_true(rdmsr(0x1234, &value));
	assert_true(value == 0x1122334455667788);
	assert_true(wrmsr(0x1234, 0xfedcba9876543210));
	assert_true(fake_msr_get(platform, 0x1234) == 0xfedcba9876543210);
}

/* The host's #GP is caught and is the guest's. */
static void test_unknown(void **state)
{
	uint64_t value;

	(void)state;
	assert_false(rdmsr(0x1234, &value));
	assert_false(wrmsr(0x1234, 0));
	assert_int_equal(fake_access_count(platform, FAKE_MSR_READ, 0x1234), 1);
	assert_int_equal(fake_access_count(platform, FAKE_MSR_WRITE, 0x1234), 1);
	fake_msr_set_read_only(platform, 0x1234, 5);
	assert_true(rdmsr(0x1234, &value));
	assert_false(wrmsr(0x1234, 6));
}

static void test_extension_registers(void **state)
{
	static const uint32_t index[] = {MSR_VM_CR,   MSR_VM_HSAVE_PA, MSR_SVM_KEY, MSR_RTIT_CTL,
					 MSR_DS_AREA, 0x3f1,	       0x3f4,	    0x3f5};
	uint64_t value;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(index); i++) {
		fake_msr_set(platform, index[i], 0x55);
		assert_false(rdmsr(index[i], &value));
		assert_false(wrmsr(index[i], 0));
		assert_int_equal(fake_msr_get(platform, index[i]), 0x55);
	}
}

static void test_ignored_and_logged(void **state)
{
	static const struct {
		uint32_t index;
		const char *said;
	} cases[] = {
		{MSR_SYSCFG, "WRMSR c0010010"},		  {MSR_MMIO_CFG_BASE, "WRMSR c0010058"},
		{MSR_SMM_BASE, "WRMSR c0010111"},	  {MSR_SMM_ADDR, "WRMSR c0010112"},
		{MSR_SMM_MASK, "WRMSR c0010113"},	  {MSR_UCODE_WRITE, "WRMSR 79"},
		{MSR_AMD_PATCH_LOADER, "WRMSR c0010020"}, {MSR_IORR_BASE0, "WRMSR c0010016"},
		{MSR_IORR_MASK0, "WRMSR c0010017"},	  {MSR_IORR_BASE1, "WRMSR c0010018"},
		{MSR_IORR_MASK1, "WRMSR c0010019"},	  {MSR_TOP_MEM, "WRMSR c001001a"},
		{MSR_TOP_MEM2, "WRMSR c001001d"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_msr_set(platform, cases[i].index, 7);
		assert_false(spine_logged(&spine, cases[i].said));
		assert_true(wrmsr(cases[i].index, 0x1000));
		assert_int_equal(fake_msr_get(platform, cases[i].index), 7);
		assert_int_equal(fake_access_count(platform, FAKE_MSR_WRITE, cases[i].index), 0);
		assert_true(spine_logged(&spine, cases[i].said));
	}
}

static void test_memory_layout(void **state)
{
	const uint64_t syscfg = SYSCFG_TOM2_ENABLE | SYSCFG_TOM2_WB | 1u << 20;

	(void)state;
	/* a CPU without them */
	assert_false(wrmsr(MSR_TOP_MEM, 0x1000));
	assert_false(wrmsr(MSR_SMM_MASK, 0x1000));
	assert_false(wrmsr(MSR_SYSCFG, 0));
	assert_false(spine_logged(&spine, "ignored"));
	/* what does not change is nothing to say */
	fake_msr_set(platform, MSR_SMM_MASK, 3);
	assert_true(wrmsr(MSR_SMM_MASK, 3));
	assert_false(spine_logged(&spine, "ignored"));
	/* what a kernel does around fixed ranges; every other bit is ours, too */
	fake_msr_set(platform, MSR_SYSCFG, syscfg);
	for (unsigned bit = 0; bit < 64; bit++) {
		bool fixed = bit == 18 || bit == 19;

		assert_true(wrmsr(MSR_SYSCFG, syscfg ^ 1ull << bit));
		assert_true(fake_msr_get(platform, MSR_SYSCFG) == (syscfg ^ (fixed ? 1ull << bit : 0)));
		fake_msr_set(platform, MSR_SYSCFG, syscfg);
	}
}

static void test_efer_is_the_vcpus(void **state)
{
	uint64_t value;

	(void)state;
	fake->reg[REG_EFER] = EFER_SCE | EFER_LME;
	assert_true(rdmsr(MSR_EFER, &value));
	assert_int_equal(value, EFER_SCE | EFER_LME);
	assert_true(wrmsr(MSR_EFER, EFER_SCE));
	assert_int_equal(fake->reg[REG_EFER], EFER_SCE);
	assert_int_equal(fake_access_count(platform, FAKE_MSR_READ, MSR_EFER), 0);
	assert_int_equal(fake_access_count(platform, FAKE_MSR_WRITE, MSR_EFER), 0);
}

/* Each bit of EFER, with nothing and with everything that CPUID can show. */
static void test_efer_bits(void **state)
{
	const uint64_t always = EFER_SCE | EFER_LME | EFER_LMA;
	const uint64_t shown = always | EFER_NXE | EFER_FFXSR | EFER_TCE | EFER_AUTO_IBRS;

	(void)state;
	for (unsigned with = 0; with < 2; with++) {
		if (with) {
			fake_cpuid_set(platform, CPUID_EXT_MAX, 0, (struct cpuid_regs){.eax = 0x80000021});
			fake_cpuid_set(platform, CPUID_EXT_FEATURES, 0,
				       (struct cpuid_regs){.ecx = 1u << 17 | CPUID_EXT_ECX_SVM,
							   .edx = CPUID_EXT_EDX_NX | 1u << 25});
			fake_cpuid_set(platform, 0x80000021, 0, (struct cpuid_regs){.eax = 1u << 8});
		}
		for (unsigned bit = 0; bit < 64; bit++) {
			bool allowed = (with ? shown : always) >> bit & 1;

			fake->reg[REG_EFER] = 0;
			assert_int_equal(wrmsr(MSR_EFER, 1ull << bit), allowed);
			/* LMA is the CPU's own */
			assert_true(fake->reg[REG_EFER] == (allowed ? 1ull << bit & ~(uint64_t)EFER_LMA : 0));
		}
	}
	assert_false(wrmsr(MSR_EFER, EFER_SVME));
	assert_false(wrmsr(MSR_EFER, EFER_LMSLE));
	/* a leaf beyond the last one says nothing */
	fake_cpuid_set(platform, CPUID_EXT_MAX, 0, (struct cpuid_regs){.eax = 0x80000020});
	assert_false(wrmsr(MSR_EFER, EFER_AUTO_IBRS));
	/* each feature has a bit of its own */
	fake_cpuid_set(platform, CPUID_EXT_FEATURES, 0, (struct cpuid_regs){.edx = CPUID_EXT_EDX_NX});
	assert_true(wrmsr(MSR_EFER, EFER_NXE));
	assert_false(wrmsr(MSR_EFER, EFER_FFXSR));
	assert_false(wrmsr(MSR_EFER, EFER_TCE));
}

static void test_efer_under_paging(void **state)
{
	(void)state;
	fake->reg[REG_CR0] = CR0_PE | CR0_PG;
	fake->reg[REG_EFER] = EFER_LME | EFER_LMA;
	assert_false(wrmsr(MSR_EFER, 0));
	assert_int_equal(fake->reg[REG_EFER], EFER_LME | EFER_LMA);
	/* the same LME; LMA stays whatever is written */
	assert_true(wrmsr(MSR_EFER, EFER_LME | EFER_SCE));
	assert_int_equal(fake->reg[REG_EFER], EFER_LME | EFER_LMA | EFER_SCE);
	fake->reg[REG_EFER] = 0;
	assert_false(wrmsr(MSR_EFER, EFER_LME));
	assert_true(wrmsr(MSR_EFER, EFER_SCE | EFER_LMA));
	assert_int_equal(fake->reg[REG_EFER], EFER_SCE);
	fake->reg[REG_CR0] = CR0_PE;
	assert_true(wrmsr(MSR_EFER, EFER_LME));
}

static void test_real_mode_gp_has_no_error_code(void **state)
{
	struct exit_detail detail = {.msr = {.index = 0x1234}};

	(void)state;
	fake->reg[REG_CR0] = 0;
	spine_exit(&spine, EXIT_MSR, 2, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_false(spine_injected(&spine)->has_error);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_through),
		TEST(test_unknown),
		TEST(test_extension_registers),
		TEST(test_ignored_and_logged),
		TEST(test_memory_layout),
		TEST(test_efer_is_the_vcpus),
		TEST(test_efer_bits),
		TEST(test_efer_under_paging),
		TEST(test_real_mode_gp_has_no_error_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
