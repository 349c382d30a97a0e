/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the registers that memory types come from. Must not know what they mean.
 */
#include <undercroft/memory_type.h>

#include <undercroft/platform.h>
#include <x86/cpuid.h>
#include <x86/msr.h>

#define PHYSICAL_BITS_DEFAULT 36 /* SDM vol. 3, "Variable Range MTRRs" (11.11.2.3): without CPUID 8000_0008h */
#define PHYSICAL_BITS_MAX     52

static const uint32_t fixed_registers[MTRR_FIXED_COUNT] = {
	MSR_MTRR_FIX_64K,	MSR_MTRR_FIX_16K_80,	MSR_MTRR_FIX_16K_A0,	MSR_MTRR_FIX_4K_C0,
	MSR_MTRR_FIX_4K_C0 + 1, MSR_MTRR_FIX_4K_C0 + 2, MSR_MTRR_FIX_4K_C0 + 3, MSR_MTRR_FIX_4K_C0 + 4,
	MSR_MTRR_FIX_4K_C0 + 5, MSR_MTRR_FIX_4K_C0 + 6, MSR_MTRR_FIX_4K_C0 + 7,
};

/* Leaves *value zero if there is no such register. */
static void read(struct platform *platform, uint32_t index, uint64_t *value)
{
	(void)platform->ops->msr_read(platform, index, value);
}

static void physical_bits_read(struct platform *platform, struct mtrr_set *set)
{
	struct cpuid_regs regs;

	set->physical_bits = PHYSICAL_BITS_DEFAULT;
	platform->ops->cpuid(platform, CPUID_EXT_MAX, 0, &regs);
	if (regs.eax < CPUID_SIZES)
		return;
	platform->ops->cpuid(platform, CPUID_SIZES, 0, &regs);
	regs.eax &= 0xff;
	if (regs.eax >= 32)
		set->physical_bits = (uint8_t)(regs.eax < PHYSICAL_BITS_MAX ? regs.eax : PHYSICAL_BITS_MAX);
}

/* APM vol. 2, "Top of Memory" (7.9.4) */
static void top_mem2_read(struct platform *platform, struct mtrr_set *set)
{
	const uint64_t in_use = SYSCFG_TOM2_ENABLE | SYSCFG_TOM2_WB;
	struct cpuid_regs vendor;
	uint64_t syscfg, top;

	platform->ops->cpuid(platform, CPUID_VENDOR, 0, &vendor);
	if (!cpuid_vendor_is(&vendor, CPUID_VENDOR_AMD) && !cpuid_vendor_is(&vendor, CPUID_VENDOR_HYGON))
		return;
	read(platform, MSR_SYSCFG, &syscfg);
	if ((syscfg & in_use) != in_use)
		return;
	read(platform, MSR_TOP_MEM2, &top);
	set->top_mem2 = top & TOP_MEM2_ADDRESS;
}

void mtrr_set_read(struct platform *platform, struct mtrr_set *set)
{
	struct cpuid_regs features;

	*set = (struct mtrr_set){0};
	physical_bits_read(platform, set);
	platform->ops->cpuid(platform, CPUID_FEATURES, 0, &features);
	if (!(features.edx & CPUID_1_EDX_MTRR))
		return;
	read(platform, MSR_MTRR_CAP, &set->capability);
	read(platform, MSR_MTRR_DEF_TYPE, &set->default_type);
	for (unsigned i = 0; i < MTRR_FIXED_COUNT && (set->capability & MTRR_CAP_FIXED) != 0; i++)
		read(platform, fixed_registers[i], &set->fixed[i]);
	for (unsigned i = 0; i < (set->capability & MTRR_CAP_COUNT) && i < MTRR_VARIABLE_MAX; i++) {
		read(platform, MSR_MTRR_PHYS_BASE0 + 2 * i, &set->base[i]);
		read(platform, MSR_MTRR_PHYS_MASK0 + 2 * i, &set->mask[i]);
	}
	top_mem2_read(platform, set);
}
