/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID: every leaf as the machine has it, less what docs/ARCHITECTURE.md, "What the guest can see", lists; what a
 * CPUID leaves alone; in every mode.
 */
#include "guest.h"

#define CR4_OSXSAVE	 0x00040000u
#define CR4_PKE		 0x00400000u
#define CPUID_1_DTES64	 0x00000004u
#define CPUID_1_DS_CPL	 0x00000010u
#define CPUID_1_VMX	 0x00000020u
#define CPUID_1_SMX	 0x00000040u
#define CPUID_1_XSAVE	 0x04000000u
#define CPUID_1_OSXSAVE	 0x08000000u
#define CPUID_1_DS	 0x00200000u /* in EDX */
#define CPUID_7_PKU	 0x00000008u
#define CPUID_7_OSPKE	 0x00000010u
#define CPUID_EXT_SVM	 0x00000004u
#define CPUID_EXT_SKINIT 0x00001000u
#define FLAGS_STATUS	 0x000008d5u
#define SUBLEAF_MAX	 64

/* conform_cpuid_code.S */
extern const uint8_t cpuid64[], cpuid16[], cpuid16_end[];

struct cpuid64_result {
	uint64_t rax, rbx, rcx, rdx;
};

/* The leaves that look at ECX, and how many subleaves count. */
static uint32_t subleaves(uint32_t leaf)
{
	switch (leaf) {
	case 0x7:
	case 0x14:
	case 0x17:
	case 0x18:
		return cpuid(leaf, 0).eax < SUBLEAF_MAX ? cpuid(leaf, 0).eax + 1 : SUBLEAF_MAX;
	case 0x4:
	case 0xb:
	case 0xf:
	case 0x10:
	case 0x1f:
	case 0x8000001d:
		return 5;
	case 0xd:
		return SUBLEAF_MAX;
	default:
		return 1;
	}
}

static void leaf_print(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid out = cpuid(leaf, subleaf);

	if (leaf == 1) {
		out.ecx &= ~(CPUID_1_VMX | CPUID_1_SMX | CPUID_1_DTES64 | CPUID_1_DS_CPL);
		out.edx &= ~CPUID_1_DS;
	}
	if (leaf == 0x80000001)
		out.ecx &= ~(CPUID_EXT_SVM | CPUID_EXT_SKINIT);
	if (leaf == 0x8000000a || leaf == 0x8000001f)
		return;
	if (subleaf && !(out.eax | out.ebx | out.ecx | out.edx))
		return;
	print("machine: cpuid %x.%x: %x %x %x %x\n", leaf, subleaf, out.eax, out.ebx, out.ecx, out.edx);
}

static void range_print(uint32_t first)
{
	uint32_t last = cpuid(first, 0).eax;

	if (last - first > 0xff)
		last = first;
	for (uint32_t leaf = first; leaf <= last; leaf++) {
		for (uint32_t subleaf = 0; subleaf < subleaves(leaf); subleaf++)
			leaf_print(leaf, subleaf);
	}
	/* a CPU answers what is beyond the last leaf in its own way */
	leaf_print(last + 1, 0);
	leaf_print(last + 0x100, 0);
}

static void leaves(void)
{
	static const uint32_t stray[] = {0x7fffffff, 0x80ffffff, 0xffffffff, 0x20000000, 0xc0000000};

	mark("leaves");
	range_print(0);
	range_print(0x40000000);
	range_print(0x80000000);
	for (unsigned i = 0; i < sizeof(stray) / sizeof(stray[0]); i++)
		leaf_print(stray[i], 0);
	/* leaves that do not look at ECX */
	check(!memcmp(&(struct cpuid[]){cpuid(0, 0)}, &(struct cpuid[]){cpuid(0, 0xffffffff)}, sizeof(struct cpuid)),
	      "leaf 0 does not depend on ECX");
	check(!memcmp(&(struct cpuid[]){cpuid(1, 0)}, &(struct cpuid[]){cpuid(1, 7)}, sizeof(struct cpuid)),
	      "leaf 1 does not depend on ECX");
}

/* Bits that say what CR4 has on. */
static void follows_cr4(void)
{
	uint32_t cr4 = cr4_get();

	mark("cr4");
	check(cpuid(1, 0).ecx & CPUID_1_XSAVE, "XSAVE is there");
	check(!(cpuid(1, 0).ecx & CPUID_1_OSXSAVE), "OSXSAVE reads 0 while CR4.OSXSAVE is 0");
	cr4_set(cr4 | CR4_OSXSAVE);
	check(cpuid(1, 0).ecx & CPUID_1_OSXSAVE, "OSXSAVE reads 1 while CR4.OSXSAVE is 1");
	cr4_set(cr4);
	check(!(cpuid(1, 0).ecx & CPUID_1_OSXSAVE), "OSXSAVE reads 0 again");
	check(!(cpuid(7, 0).ecx & CPUID_7_OSPKE), "OSPKE reads 0 while CR4.PKE is 0");
}

static void leaves_alone(void)
{
	uint32_t before, after;

	mark("state");
	__asm__ volatile("pushl %2\n\tpopfl\n\tmovl $0, %%eax\n\tcpuid\n\tpushfl\n\tpopl %0\n\tpushl $2\n\tpopfl"
			 : "=&S"(after)
			 : "0"(0), "i"(FLAGS_STATUS | 2)
			 : "eax", "ebx", "ecx", "edx", "cc");
	check_equal(after & FLAGS_STATUS, FLAGS_STATUS, "CPUID leaves the flags alone, all set");
	__asm__ volatile("pushl $2\n\tpopfl\n\tmovl $0, %%eax\n\tcpuid\n\tpushfl\n\tpopl %0"
			 : "=&S"(after)
			 :
			 : "eax", "ebx", "ecx", "edx", "cc");
	check_equal(after & FLAGS_STATUS, 0, "CPUID leaves the flags alone, all clear");
	__asm__ volatile(
		"movl %%esp, %%esi\n\tmovl $0x12345678, %%edi\n\txorl %%eax, %%eax\n\tcpuid\n\tsubl %%esp, %%esi"
		: "=&S"(before), "=&D"(after)
		:
		: "eax", "ebx", "ecx", "edx", "cc");
	check(!before && after == 0x12345678, "CPUID leaves ESP and EDI alone");
}

static void modes(void)
{
	struct cpuid64_result wide;
	struct cpuid here = cpuid(0, 0), *real = (void *)(REAL_CODE + 0x100);

	mark("modes");
	wide.rax = 0x80000001;
	check(long_call(cpuid64, &wide) == TRAP_NONE, "64-bit mode, leaf 80000001");
	print("machine: cpuid 80000001.0 in 64-bit mode: %q %q %q %q\n", wide.rax, wide.rbx,
	      wide.rcx & ~(uint64_t)(CPUID_EXT_SVM | CPUID_EXT_SKINIT), wide.rdx);
	wide.rax = 0;
	check(long_call(cpuid64, &wide) == TRAP_NONE, "64-bit mode, leaf 0");
	check(wide.rax == here.eax && wide.rbx == here.ebx && wide.rcx == here.ecx && wide.rdx == here.edx,
	      "the upper halves are zero, the lower ones as in 32-bit mode");
	check(real_call(cpuid16, cpuid16_end, 0) == TRAP_NONE, "real mode");
	check(!memcmp(real, &here, sizeof(here)), "the same as in 32-bit mode");
}

void guest_main(void)
{
	leaves();
	follows_cr4();
	leaves_alone();
	modes();
}
