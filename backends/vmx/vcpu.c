/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turning VMX on and a vCPU's control structure. SDM vol. 3, "Introduction to Virtual Machine Extensions" (23),
 * "Virtual Machine Control Structures" (24) and "VMX Support and Preparing a VM" (31).
 */
#include <platform/registers.h>
#include <platform/vmcs.h>
#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "backends/vmx/insn.h"
#include "backends/vmx/vmx.h"

/* The bits that VMX operation needs in CR0 and CR4. SDM vol. 3, "Restrictions on VMX Operation" (23.8) */
static int control_registers_prepare(struct platform *platform)
{
	uint64_t cr0, cr4;
	struct cpuid_regs regs;

	if (platform->ops->msr_read(platform, MSR_VMX_CR0_FIXED0, &cr0) ||
	    platform->ops->msr_read(platform, MSR_VMX_CR4_FIXED0, &cr4))
		return -EIO;
	/* what the guest writes with XSETBV is written by us */
	platform->ops->cpuid(platform, CPUID_FEATURES, 0, &regs);
	if (regs.ecx & CPUID_1_ECX_XSAVE)
		cr4 |= CR4_OSXSAVE;
	/* off, a machine check in our code would shut the CPU down; on, it is the guest's to have it off */
	if (regs.edx & CPUID_1_EDX_MCE)
		cr4 |= CR4_MCE;
	cpu_cr_set(0, cpu_cr_get(0) | cr0);
	cpu_cr_set(4, cpu_cr_get(4) | cr4 | CR4_VMXE);
	return 0;
}

static int feature_control_prepare(struct platform *platform)
{
	uint64_t value, wanted;

	if (platform->ops->msr_read(platform, MSR_FEATURE_CONTROL, &value) || vmx_feature_control(value, &wanted))
		return -EIO;
	if (wanted != value && platform->ops->msr_write(platform, MSR_FEATURE_CONTROL, wanted))
		return -EIO;
	return 0;
}

/* What an exit loads. SDM vol. 3, "Host-State Area" (24.5) */
static int host_state_write(struct platform *platform)
{
	struct vmx_host_tables tables;
	uint64_t efer, pat;

	if (platform->ops->msr_read(platform, MSR_EFER, &efer) || platform->ops->msr_read(platform, MSR_PAT, &pat))
		return -EIO;
	vmx_insn_host_tables(&tables);
	vmcs_write(VMCS_HOST_ES_SELECTOR, tables.es);
	vmcs_write(VMCS_HOST_CS_SELECTOR, tables.cs);
	vmcs_write(VMCS_HOST_SS_SELECTOR, tables.ss);
	vmcs_write(VMCS_HOST_DS_SELECTOR, tables.ds);
	vmcs_write(VMCS_HOST_FS_SELECTOR, tables.fs);
	vmcs_write(VMCS_HOST_GS_SELECTOR, tables.gs);
	vmcs_write(VMCS_HOST_TR_SELECTOR, tables.tr);
	vmcs_write(VMCS_HOST_FS_BASE, 0);
	vmcs_write(VMCS_HOST_GS_BASE, 0);
	vmcs_write(VMCS_HOST_TR_BASE, tables.tr_base);
	vmcs_write(VMCS_HOST_GDTR_BASE, tables.gdt_base);
	vmcs_write(VMCS_HOST_IDTR_BASE, tables.idt_base);
	vmcs_write(VMCS_HOST_CR0, cpu_cr_get(0));
	vmcs_write(VMCS_HOST_CR3, cpu_cr_get(3));
	vmcs_write(VMCS_HOST_CR4, cpu_cr_get(4));
	vmcs_write(VMCS_HOST_EFER, efer);
	vmcs_write(VMCS_HOST_PAT, pat);
	vmcs_write(VMCS_HOST_SYSENTER_CS, 0);
	vmcs_write(VMCS_HOST_SYSENTER_ESP, 0);
	vmcs_write(VMCS_HOST_SYSENTER_EIP, 0);
	vmcs_write(VMCS_HOST_RIP, (uintptr_t)vmx_exit_entry);
	return 0;
}

/* What exits, and what an entry and an exit do. Nothing exits unless somebody arms it, or the CPU insists. */
static void controls_write(const struct vmx_vcpu *vmx)
{
	vmcs_write(VMCS_PIN_CONTROLS, vmx->controls.value[VMX_CONTROL_PIN]);
	vmcs_write(VMCS_PROCESSOR_CONTROLS, vmx->controls.value[VMX_CONTROL_PROCESSOR]);
	vmcs_write(VMCS_SECONDARY_CONTROLS, vmx->controls.value[VMX_CONTROL_SECONDARY]);
	vmcs_write(VMCS_EXIT_CONTROLS, vmx->controls.value[VMX_CONTROL_EXIT]);
	vmcs_write(VMCS_ENTRY_CONTROLS, vmx->controls.value[VMX_CONTROL_ENTRY]);
	vmcs_write(VMCS_EXCEPTION_BITMAP, vmx->saved_exceptions);
	vmcs_write(VMCS_PF_ERROR_MASK, 0);
	vmcs_write(VMCS_PF_ERROR_MATCH, 0);
	vmcs_write(VMCS_CR3_TARGET_COUNT, 0);
	vmcs_write(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0);
	vmcs_write(VMCS_IO_BITMAP_A, vmx->iopm_address);
	vmcs_write(VMCS_IO_BITMAP_B, vmx->iopm_address + PAGE_SIZE);
	vmcs_write(VMCS_MSR_BITMAP, vmx->msrpm_address);
	vmcs_write(VMCS_TSC_OFFSET, 0);
	vmcs_write(VMCS_VPID, VMX_VPID);
	if (vmx->controls.value[VMX_CONTROL_SECONDARY] & VMCS_SECONDARY_PCONFIG)
		vmcs_write(VMCS_PCONFIG_EXITING_BITMAP, 0);
	if (vmx->controls.value[VMX_CONTROL_SECONDARY] & VMCS_SECONDARY_XSAVES)
		vmcs_write(VMCS_XSS_EXITING_BITMAP, 0);
	/* with "unrestricted guest", PE and PG are the guest's; NE and VMXE must stay set and are ours */
	vmcs_write(VMCS_CR0_MASK, CR0_NE);
	vmcs_write(VMCS_CR4_MASK, CR4_VMXE);
}

/* Guest state that no register of core's list stands for. SDM vol. 3, "Guest Non-Register State" (24.4.2) */
static void guest_state_write(void)
{
	vmcs_write(VMCS_LINK_POINTER, ~0ull);
	vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
	vmcs_write(VMCS_GUEST_ACTIVITY, 0);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	for (unsigned i = 0; i < 4; i++)
		vmcs_write(VMCS_GUEST_PDPTE0 + 2 * i, 0);
}

int vmx_cpu_enable(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	struct platform *platform = vcpu->vm->platform;
	const char *why;

	if (vmx_controls_choose(platform, &vmx->controls, &why) || feature_control_prepare(platform) ||
	    control_registers_prepare(platform) || vmx_insn_vmxon(vmx->vmxon) || vmx_insn_vmclear(vmx->vmcs) ||
	    vmx_insn_vmptrld(vmx->vmcs) || host_state_write(platform))
		return -EIO;
	controls_write(vmx);
	guest_state_write();
	vmx->current = true;
	vmx_window_update(vmx); /* nothing asked the CPU for those that arrived until now */
	return 0;
}

/* A page from the pool, with the VMCS revision at its start if it is one of the CPU's own structures. */
static void *page_alloc(struct vm *vm, paddr_t *address, uint32_t revision)
{
	uint32_t *page;

	*address = page_pool_alloc(vm);
	page = *address ? vm->platform->ops->phys_map(vm->platform, *address, PAGE_SIZE) : NULL;
	if (page)
		*page = revision;
	return page;
}

int vmx_vcpu_init(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	struct vm *vm = vcpu->vm;
	uint64_t basic;
	uint32_t revision;
	paddr_t second;

	if (vm->platform->ops->msr_read(vm->platform, MSR_VMX_BASIC, &basic))
		return -EIO;
	revision = (uint32_t)(basic & VMX_BASIC_REVISION);
	vmx->iopm = page_alloc(vm, &vmx->iopm_address, 0);
	/* the two I/O bitmaps lie behind each other, which the pool gives as long as nothing was freed */
	if (!vmx->iopm || !page_alloc(vm, &second, 0) || second != vmx->iopm_address + PAGE_SIZE)
		return -ENOMEM;
	vmx->msrpm = page_alloc(vm, &vmx->msrpm_address, 0);
	if (!vmx->msrpm || !page_alloc(vm, &vmx->vmxon, revision) || !page_alloc(vm, &vmx->vmcs, revision))
		return -ENOMEM;
	return 0;
}
