/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID on metal: the instruction itself. It is the commonest exit, and a call through the platform's table costs it a
 * tenth of its way. Hosted builds find tests/fakes/include/platform/cpuid.h instead.
 */
#ifndef PLATFORM_CPUID_H
#define PLATFORM_CPUID_H

#include <undercroft/platform.h>
#include <undercroft/regs.h>

/* CPUID of the leaf and subleaf in a vCPU's general registers, into them; the upper halves become zero. */
static inline void platform_cpuid(struct platform *platform, uint64_t gpr[GPR_COUNT])
{
	(void)platform;
	__asm__ volatile("cpuid"
			 : "=a"(gpr[GPR_RAX]), "=b"(gpr[GPR_RBX]), "=c"(gpr[GPR_RCX]), "=d"(gpr[GPR_RDX])
			 : "a"(gpr[GPR_RAX]), "c"(gpr[GPR_RCX]));
}

#endif
