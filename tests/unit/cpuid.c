/* SPDX-License-Identifier: BSD-2-Clause */
/* core/cpuid.c: what is hidden, what follows the guest's CR4, and that all else goes through untouched. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <x86/cpuid.h>
#include <x86/cr.h>

#include "tests/unit/spine.h"

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

/* What the guest gets where the machine answers with these. */
static struct cpuid_regs filtered(uint32_t leaf, uint32_t subleaf, struct cpuid_regs machine)
{
	fake_cpuid_set(&spine.fake.platform, leaf, subleaf, machine);
	/* the upper halves of the inputs mean nothing */
	vcpu->gpr[GPR_RAX] = 0xaaaaaaaa00000000 | leaf;
	vcpu->gpr[GPR_RCX] = 0xcccccccc00000000 | subleaf;
	vcpu->gpr[GPR_RBX] = vcpu->gpr[GPR_RDX] = ~0ull;
	vcpu->rip = SPINE_CODE;
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	assert_null(spine_injected(&spine));
	assert_int_equal(vcpu->gpr[GPR_RAX] >> 32 | vcpu->gpr[GPR_RBX] >> 32 | vcpu->gpr[GPR_RCX] >> 32 |
				 vcpu->gpr[GPR_RDX] >> 32,
			 0);
	return (struct cpuid_regs){(uint32_t)vcpu->gpr[GPR_RAX], (uint32_t)vcpu->gpr[GPR_RBX],
				   (uint32_t)vcpu->gpr[GPR_RCX], (uint32_t)vcpu->gpr[GPR_RDX]};
}

/* The bits that the guest does not get of an answer that is all ones. */
static void check_cleared(uint32_t leaf, uint32_t subleaf, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	struct cpuid_regs regs = filtered(leaf, subleaf, (struct cpuid_regs){~0u, ~0u, ~0u, ~0u});

	assert_int_equal(regs.eax, ~a);
	assert_int_equal(regs.ebx, ~b);
	assert_int_equal(regs.ecx, ~c);
	assert_int_equal(regs.edx, ~d);
	/* and nothing is made up */
	if (leaf == CPUID_FEATURES && spine.fake.vm.hide_cpus)
		return;
	regs = filtered(leaf, subleaf, (struct cpuid_regs){0});
	assert_int_equal(regs.eax | regs.ebx | regs.ecx | regs.edx, 0);
}

/* With everything else there, the bit is added to it. */
static void check_cleared_and_set(uint32_t leaf, uint32_t bit)
{
	struct cpuid_regs regs = filtered(leaf, 0, (struct cpuid_regs){.ecx = 0x84000001});

	assert_int_equal(regs.ecx, 0x84000001 | bit);
}

static void test_virtualisation_hidden(void **state)
{
	(void)state;
	/* VMX, SMX, OSXSAVE; DTES64, DS-CPL, DS */
	check_cleared(CPUID_FEATURES, 0, 0, 0, 1u << 5 | 1u << 6 | 1u << 27 | 1u << 2 | 1u << 4, 1u << 21);
	/* SVM, SKINIT */
	check_cleared(CPUID_EXT_FEATURES, 0, 0, 0, 1u << 2 | 1u << 12, 0);
	check_cleared(CPUID_SVM, 0, ~0u, ~0u, ~0u, ~0u);
}

/* Architectural PEBS: that its subleaves are there, and these. */
static void test_event_records_hidden(void **state)
{
	(void)state;
	check_cleared(0x23, 0, 3u << 4, 0, 0, 0);
	check_cleared(0x23, 4, ~0u, ~0u, ~0u, ~0u);
	check_cleared(0x23, 5, ~0u, ~0u, ~0u, ~0u);
	check_cleared(0x23, 1, 0, 0, 0, 0);
	check_cleared(0x23, 6, 0, 0, 0, 0);
	check_cleared(0x80000023, 0, 0, 0, 0, 0);
}

/* What a CPU with VMX shows in 64-bit mode only; it is asked there. */
static void test_syscall_of_the_mode(void **state)
{
	static const struct {
		uint16_t attributes;
		uint64_t efer;
		uint32_t hidden;
	} modes[] = {
		{SEG_ATTR_L, EFER_LMA, 0},
		{SEG_ATTR_DB, EFER_LMA, 1u << 11},
		{SEG_ATTR_L, 0, 1u << 11}, /* legacy code may have L set */
		{SEG_ATTR_DB, 0, 1u << 11},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		fake->seg[SEG_CS].attributes = modes[i].attributes;
		fake->reg[REG_EFER] = modes[i].efer;
		spine.fake.vm.caps &= ~BACKEND_CAP_SYSCALL_64;
		check_cleared(CPUID_EXT_FEATURES, 0, 0, 0, 1u << 2 | 1u << 12, 0);
		spine.fake.vm.caps |= BACKEND_CAP_SYSCALL_64;
		check_cleared(CPUID_EXT_FEATURES, 0, 0, 0, 1u << 2 | 1u << 12, modes[i].hidden);
	}
}

static void test_osxsave_is_the_guests(void **state)
{
	struct cpuid_regs none = {0, 0, 0, 0}, xsave = {.ecx = 1u << 26};

	(void)state;
	fake->reg[REG_CR4] = CR4_OSXSAVE;
	assert_int_equal(filtered(CPUID_FEATURES, 0, xsave).ecx, 1u << 26 | 1u << 27);
	assert_int_equal(filtered(CPUID_STRUCTURED, 0, xsave).ecx, xsave.ecx);
	/* CR4 cannot have it on where XSAVE does not exist */
	assert_int_equal(filtered(CPUID_FEATURES, 0, none).ecx, 0);
	fake->reg[REG_CR4] = ~(uint64_t)CR4_OSXSAVE;
	assert_int_equal(filtered(CPUID_FEATURES, 0, xsave).ecx, xsave.ecx);
}

static void test_ospke_is_the_guests(void **state)
{
	struct cpuid_regs none = {0, 0, 0, 0};

	(void)state;
	/* and processor trace */
	check_cleared(CPUID_STRUCTURED, 0, 0, 1u << 25, 1u << 4, 0);
	check_cleared(0x14, 0, ~0u, ~0u, ~0u, ~0u);
	check_cleared(0x14, 1, ~0u, ~0u, ~0u, ~0u);
	fake->reg[REG_CR4] = CR4_PKE;
	assert_int_equal(filtered(CPUID_STRUCTURED, 0, none).ecx, 1u << 4);
	assert_int_equal(filtered(CPUID_FEATURES, 0, none).ecx, 0);
	check_cleared_and_set(CPUID_STRUCTURED, 1u << 4);
	fake->reg[REG_CR4] = CR4_OSXSAVE;
	check_cleared_and_set(CPUID_FEATURES, 1u << 27);
	fake->reg[REG_CR4] = CR4_PKE;
	/* the bit means something else in other subleaves */
	assert_int_equal(filtered(CPUID_STRUCTURED, 1, none).ecx, 0);
	fake->reg[REG_CR4] = 0;
	check_cleared(CPUID_STRUCTURED, 1, 0, 0, 0, 0);
}

/* On a machine with one CPU, its topology is what it is. */
static void test_topology_of_one_cpu(void **state)
{
	static const uint32_t leaves[] = {CPUID_CACHE, CPUID_TOPOLOGY,	CPUID_TOPOLOGY_V2,
					  CPUID_SIZES, CPUID_CACHE_AMD, CPUID_NODE_AMD};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++)
		check_cleared(leaves[i], 0, 0, 0, 0, 0);
}

/* What the backend names, and beside it what is hidden anyway. */
static void test_instructions_hidden(void **state)
{
	static const struct cpuid_hidden hidden[] = {
		{CPUID_EXT_FEATURES, CPUID_ANY_SUBLEAF, GPR_RDX, 1u << 27},
		{CPUID_STRUCTURED, 0, GPR_RBX, 1u << 10},
		{CPUID_STRUCTURED, 0, GPR_RCX, 1u << 5 | 1u << 22},
		{CPUID_XSAVE, 1, GPR_RAX, 1u << 3},
	};

	(void)state;
	check_cleared(CPUID_XSAVE, 1, 0, 0, 0, 0);
	memcpy(spine.fake.vm.cpuid_hidden, hidden, sizeof(hidden));
	spine.fake.vm.cpuid_hidden_count = ARRAY_SIZE(hidden);
	check_cleared(CPUID_EXT_FEATURES, 0, 0, 0, 1u << 2 | 1u << 12, 1u << 27);
	check_cleared(CPUID_EXT_FEATURES, 77, 0, 0, 1u << 2 | 1u << 12, 1u << 27);
	check_cleared(CPUID_STRUCTURED, 0, 0, 1u << 10 | 1u << 25, 1u << 4 | 1u << 5 | 1u << 22, 0);
	check_cleared(CPUID_STRUCTURED, 1, 0, 0, 0, 0);
	check_cleared(CPUID_XSAVE, 0, 0, 0, 0, 0);
	check_cleared(CPUID_XSAVE, 1, 1u << 3, 0, 0, 0);
}

static void test_topology_hidden(void **state)
{
	struct cpuid_regs regs;

	(void)state;
	spine.fake.vm.hide_cpus = true;
	/* one logical CPU of one: the count is 1, the APIC id stays */
	regs = filtered(CPUID_FEATURES, 0, (struct cpuid_regs){0x12345678, 0x05100a0b, 0, ~0u});
	assert_int_equal(regs.eax, 0x12345678);
	assert_int_equal(regs.ebx, 0x05010a0b);
	assert_int_equal(regs.edx, ~(1u << 28 | 1u << 21));
	/* Intel */
	check_cleared(CPUID_CACHE, 0, 0xffffc000, 0, 0, 0);
	for (uint32_t leaf = CPUID_TOPOLOGY; leaf <= CPUID_TOPOLOGY_V2; leaf += CPUID_TOPOLOGY_V2 - CPUID_TOPOLOGY) {
		regs = filtered(leaf, 0, (struct cpuid_regs){1, 2, 0x100, 7});
		assert_int_equal(regs.eax, 0);
		assert_int_equal(regs.ebx, 1);
		assert_int_equal(regs.ecx, 0x100);
		assert_int_equal(regs.edx, 7);
		regs = filtered(leaf, 1, (struct cpuid_regs){4, 16, 0x201, 7});
		assert_int_equal(regs.eax, 0);
		assert_int_equal(regs.ebx, 1);
		/* the end of the list stays one */
		regs = filtered(leaf, 2, (struct cpuid_regs){0, 0, 2, 7});
		assert_int_equal(regs.ebx, 0);
		assert_int_equal(regs.ecx, 2);
	}
	/* AMD: CmpLegacy beside what is hidden anyway, NC and ApicIdSize, sharing threads, threads per core and nodes
	 */
	check_cleared(CPUID_EXT_FEATURES, 0, 0, 0, 1u << 1 | 1u << 2 | 1u << 12, 0);
	check_cleared(CPUID_SIZES, 0, 0, 0, 0xf0ff, 0);
	check_cleared(CPUID_CACHE_AMD, 0, 0x03ffc000, 0, 0, 0);
	check_cleared(CPUID_NODE_AMD, 0, 0, 0xff00, 0x0700, 0);
	regs = filtered(CPUID_TOPOLOGY_AMD, 0, (struct cpuid_regs){1, 2, 0x100, 7});
	assert_int_equal(regs.eax & 0x1f, 0);
	assert_int_equal(regs.ebx & 0xffff, 1);
}

static void check_through(uint32_t leaf)
{
	struct cpuid_regs machine = {0x11111111 ^ leaf, 0x22222222, 0x44444444, 0x88888888}, regs;

	regs = filtered(leaf, 3, machine);
	assert_memory_equal(&regs, &machine, sizeof(regs));
}

static void test_everything_else_goes_through(void **state)
{
	static const uint32_t leaves[] = {0x00000000, 0x00000002, 0x00000006, 0x0000000a, 0x0000000d, 0x00000015,
					  0x40000000, 0x40000001, 0x40000007, 0x80000000, 0x80000002, 0x80000007,
					  0x80000021, 0x80860001, 0xc0000001, 0x00000041, 0x80000041, 0x40000041,
					  0x0000004a, 0x8000004a, 0x20000001};

	(void)state;
	for (unsigned hide = 0; hide < 2; hide++) {
		spine.fake.vm.hide_cpus = hide;
		spine.fake.platform.cpuid_count = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++)
			check_through(leaves[i]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, spine_setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_virtualisation_hidden),
		TEST(test_syscall_of_the_mode),
		TEST(test_event_records_hidden),
		TEST(test_osxsave_is_the_guests),
		TEST(test_ospke_is_the_guests),
		TEST(test_topology_of_one_cpu),
		TEST(test_topology_hidden),
		TEST(test_instructions_hidden),
		TEST(test_everything_else_goes_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
