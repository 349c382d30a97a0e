/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID in hosted builds: what the fake platform's table says. The tiers find boot/metal/include/platform/cpuid.h
 * instead.
 */
#ifndef PLATFORM_CPUID_H
#define PLATFORM_CPUID_H

#include <undercroft/platform.h>
#include <undercroft/regs.h>

static inline void platform_cpuid(struct platform *platform, uint64_t gpr[GPR_COUNT])
{
	struct cpuid_regs regs;

	platform->ops->cpuid(platform, (uint32_t)gpr[GPR_RAX], (uint32_t)gpr[GPR_RCX], &regs);
	gpr[GPR_RAX] = regs.eax;
	gpr[GPR_RBX] = regs.ebx;
	gpr[GPR_RCX] = regs.ecx;
	gpr[GPR_RDX] = regs.edx;
}

#endif
