/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RDMSR and WRMSR on what is not the guest's business: the virtualisation extension's own registers, what has the CPU
 * write records to memory, EFER, microcode, memory types, and the interrupt controller where other CPUs are hidden.
 * Everything else that exits is carried out with the host's #GP caught and handed to the guest.
 */
#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "core/apic.h"
#include "core/exit.h"
#include "core/memory_type.h"

/* EFER's other bits, each with the CPUID bit that says it exists. APM vol. 2, "Extended Feature Enable Register"
 * (3.1.7) */
#define EFER_FFXSR     (1ull << 14)
#define EFER_TCE       (1ull << 15)
#define EFER_AUTO_IBRS (1ull << 21)

static uint64_t efer_allowed(struct platform *platform)
{
	struct cpuid_regs features, max;
	uint64_t allowed = EFER_SCE | EFER_LME | EFER_LMA;

	platform->ops->cpuid(platform, CPUID_EXT_MAX, 0, &max);
	platform->ops->cpuid(platform, CPUID_EXT_FEATURES, 0, &features);
	if (features.edx & CPUID_EXT_EDX_NX)
		allowed |= EFER_NXE;
	if (features.edx & 1u << 25)
		allowed |= EFER_FFXSR;
	if (features.ecx & 1u << 17)
		allowed |= EFER_TCE;
	if (max.eax >= 0x80000021) {
		platform->ops->cpuid(platform, 0x80000021, 0, &features);
		if (features.eax & 1u << 8)
			allowed |= EFER_AUTO_IBRS;
	}
	return allowed;
}

/* Returns false if the CPU would have raised #GP. */
static bool efer_write(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vcpu->backend->reg_get(vcpu, REG_EFER);

	if (value & ~efer_allowed(vcpu->vm->platform))
		return false;
	if ((value ^ old) & EFER_LME && vcpu->backend->reg_get(vcpu, REG_CR0) & CR0_PG)
		return false;
	/* LMA is the CPU's own */
	vcpu->backend->reg_set(vcpu, REG_EFER, (value & ~(uint64_t)EFER_LMA) | (old & EFER_LMA));
	return true;
}

/* SDM vol. 3, "IA32_PAT MSR" (11.12.2): eight types, of which 2, 3 and those above 7 are reserved. False: #GP. */
static bool pat_write(struct vcpu *vcpu, uint64_t value)
{
	for (unsigned i = 0; i < 64; i += 8) {
		unsigned type = (unsigned)(value >> i) & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	vcpu->backend->reg_set(vcpu, REG_PAT, value);
	return true;
}

/*
 * Registers that could turn the memory under us into something else: I/O, PCI configuration, SMM's. What the CPU does
 * not have is #GP.
 */
static bool layout_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;
	uint64_t old;

	if (platform->ops->msr_read(platform, index, &old))
		return false;
	if (index == MSR_SYSCFG && !((value ^ old) & ~(uint64_t)SYSCFG_FIXED))
		return platform->ops->msr_write(platform, index, value) == 0;
	if (value != old)
		log_printf(vcpu->vm->log, "undercroft: the guest's change of the memory layout ignored (WRMSR %x)\n",
			   index);
	return true;
}

/* Of what the guest's CPU has not. */
static bool is_absent(uint32_t index)
{
	switch (index) {
	case MSR_RTIT_CTL:
	case MSR_DS_AREA:
	case MSR_PEBS_ENABLE:
	case MSR_PEBS_BASE:
	case MSR_PEBS_INDEX:
	case MSR_VM_CR:
	case MSR_VM_HSAVE_PA:
	case MSR_SVM_KEY:
		return true;
	default:
		return index >= MSR_VMX_BASIC && index <= MSR_VMX_LAST;
	}
}

bool msr_guest_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	struct platform *platform = vcpu->vm->platform;

	switch (index) {
	case MSR_EFER:
		*value = vcpu->backend->reg_get(vcpu, REG_EFER);
		return true;
	case MSR_FEATURE_CONTROL:
		/* as on a machine whose firmware has locked the extension off */
		if (platform->ops->msr_read(platform, index, value))
			return false;
		*value &= ~(uint64_t)(FEATURE_CONTROL_OUTSIDE_SMX | FEATURE_CONTROL_INSIDE_SMX);
		return true;
	case MSR_PAT:
		*value = vcpu->backend->reg_get(vcpu, REG_PAT);
		return true;
	default:
		if (is_absent(index))
			return false;
		return platform->ops->msr_read(platform, index, value) == 0;
	}
}

bool msr_guest_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;

	switch (index) {
	case MSR_EFER:
		return efer_write(vcpu, value);
	case MSR_PAT:
		return pat_write(vcpu, value);
	case MSR_FEATURE_CONTROL:
		return false;
	case MSR_UCODE_WRITE:
	case MSR_AMD_PATCH_LOADER:
		/* an update under a running hypervisor can change what it relies on */
		log_printf(vcpu->vm->log, "undercroft: microcode update by the guest ignored (WRMSR %x)\n", index);
		return true;
	case MSR_SYSCFG:
	case MSR_IORR_BASE0:
	case MSR_IORR_MASK0:
	case MSR_IORR_BASE1:
	case MSR_IORR_MASK1:
	case MSR_TOP_MEM:
	case MSR_TOP_MEM2:
	case MSR_MMIO_CFG_BASE:
	case MSR_SMM_BASE:
	case MSR_SMM_ADDR:
	case MSR_SMM_MASK:
		return layout_write(vcpu, index, value);
	case MSR_APIC_BASE:
		return apic_base_write(vcpu, value);
	case MSR_X2APIC_ICR:
		if (apic_icr_starts_cpu(vcpu, (uint32_t)value))
			return true;
		break;
	default:
		if (is_absent(index))
			return false;
		if (memory_type_has_register(index))
			return memory_type_write(vcpu, index, value);
		break;
	}
	return platform->ops->msr_write(platform, index, value) == 0;
}

enum verdict exit_msr(struct vcpu *vcpu)
{
	uint64_t value = (uint32_t)vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX] << 32;
	uint32_t index;
	bool write;

	vcpu->backend->decode_detail(vcpu);
	index = vcpu->detail.msr.index;
	write = vcpu->detail.msr.write;
	if (!(write ? msr_guest_write(vcpu, index, value) : msr_guest_read(vcpu, index, &value))) {
		event_queue_gp(vcpu);
		return VERDICT_RESUME;
	}
	if (!write) {
		vcpu->gpr[GPR_RAX] = (uint32_t)value;
		vcpu->gpr[GPR_RDX] = value >> 32;
	}
	return VERDICT_SKIP_INSN;
}
