/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other CPUs stay in wait-for-SIPI where the firmware put them: a guest that started one would run it outside of the
 * VM. The APIC page is write-protected, and interrupt commands with INIT or startup delivery are swallowed. APM vol. 2,
 * "Interrupt Command Register" (16.5); "x2APIC Register Address Space" (16.11)
 */
#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <x86/cpuid.h>
#include <x86/msr.h>

#include "core/apic.h"

#define APIC_REGISTER_STEP    16u
#define APIC_ICR_LOW	      0x300u
#define APIC_ICR_MODE_SHIFT   8
#define APIC_ICR_MODE_INIT    5u
#define APIC_ICR_MODE_STARTUP 6u

#define APIC_BASE_ADDRESS 0x000ffffffffff000ull

static const struct owner apic_owner = {.name = "hidden CPUs"};

bool apic_icr_starts_cpu(struct vcpu *vcpu, uint32_t icr)
{
	unsigned mode = icr >> APIC_ICR_MODE_SHIFT & 7;

	if (mode != APIC_ICR_MODE_INIT && mode != APIC_ICR_MODE_STARTUP)
		return false;
	log_printf(vcpu->vm->log, "undercroft: the guest's %s (ICR %08x) ignored: it has one CPU\n",
		   mode == APIC_ICR_MODE_INIT ? "INIT" : "startup IPI", icr);
	return true;
}

static void apic_write(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;

	/*
	 * Registers are 32 bits wide at 16-byte steps, and what other accesses do is undefined: they do nothing here,
	 * so that no part of a command gets past the check.
	 */
	if (size != 4 || offset % APIC_REGISTER_STEP)
		return;
	if (offset == APIC_ICR_LOW && apic_icr_starts_cpu(vcpu, (uint32_t)value))
		return;
	platform->ops->mmio_write(platform, region->start + offset, size, value);
}

static uint64_t apic_read(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size)
{
	return vcpu->vm->platform->ops->mmio_read(vcpu->vm->platform, region->start + offset, size);
}

static struct region *apic_region(struct vcpu *vcpu)
{
	return &vcpu->apic;
}

static void refusal_log(struct vcpu *vcpu, gpa_t page)
{
	log_printf(vcpu->vm->log, "undercroft: the guest may not move its APIC to %llx\n", (unsigned long long)page);
}

/* First what watches it: a device of ours may be there already. Back to where it was there is room. */
static bool apic_move(struct vcpu *vcpu, gpa_t page, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;
	struct region *region = apic_region(vcpu);
	gpa_t before = region->start;

	if (page != before && region_move(vcpu, region, page)) {
		refusal_log(vcpu, page);
		return false;
	}
	if (platform->ops->msr_write(platform, MSR_APIC_BASE, value) == 0)
		return true;
	if (page != before)
		(void)region_move(vcpu, region, before);
	return false;
}

bool apic_base_write(struct vcpu *vcpu, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;
	gpa_t page = value & APIC_BASE_ADDRESS;

	/* the APIC would come between us and our own memory; and where it is watched, we have to reach it */
	if (vm_hides(vcpu->vm, page, PAGE_SIZE) ||
	    (vcpu->vm->hide_cpus && !platform->ops->phys_map(platform, page, PAGE_SIZE))) {
		refusal_log(vcpu, page);
		return false;
	}
	if (vcpu->vm->hide_cpus)
		return apic_move(vcpu, page, value);
	return platform->ops->msr_write(platform, MSR_APIC_BASE, value) == 0;
}

int apic_hide_cpus(struct vcpu *vcpu)
{
	struct platform *platform = vcpu->vm->platform;
	const struct region *conflict;
	struct cpuid_regs features;
	uint64_t base;
	int error;

	error = platform->ops->msr_read(platform, MSR_APIC_BASE, &base);
	if (error)
		return error;
	*apic_region(vcpu) = (struct region){
		.name = "local APIC",
		.owner = &apic_owner,
		.space = REGION_MMIO,
		.start = base & APIC_BASE_ADDRESS,
		.length = PAGE_SIZE,
		.read = apic_read,
		.write = apic_write,
	};
	error = region_add(vcpu, apic_region(vcpu), &conflict);
	if (error)
		return error;
	error = intercept_arm(vcpu, &apic_owner, INTERCEPT_MSR_WRITE, MSR_APIC_BASE);
	platform->ops->cpuid(platform, CPUID_FEATURES, 0, &features);
	if (!error && features.ecx & CPUID_1_ECX_X2APIC)
		error = intercept_arm(vcpu, &apic_owner, INTERCEPT_MSR_WRITE, MSR_X2APIC_ICR);
	if (error)
		owner_release(vcpu, &apic_owner);
	return error;
}
