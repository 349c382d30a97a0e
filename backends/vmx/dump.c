/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only VMX knows about a vCPU, for the log: the last exit, the controls, and why the CPU did not go on, if it did
 * not.
 */
#include <platform/vmcs.h>
#include <undercroft/log.h>

#include "backends/vmx/vmx.h"

void vmx_dump(struct vcpu *vcpu)
{
	uint64_t reason = vmcs_read(VMCS_EXIT_REASON);
	struct log *log = vcpu->vm->log;

	if (!vmx_vcpu(vcpu)->current)
		return;
	if (vmx_vcpu(vcpu)->refusal[0])
		log_printf(log, "vmcs: %s\n", vmx_vcpu(vcpu)->refusal);
	if (reason == VMX_EXIT_EPT_MISCONFIG)
		vmx_ept_log(vcpu, vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS));
	log_printf(log, "vmcs: exit reason %llx qualification %llx gpa %llx linear %llx length %llx info %llx\n",
		   (unsigned long long)reason, (unsigned long long)vmcs_read(VMCS_EXIT_QUALIFICATION),
		   (unsigned long long)vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS),
		   (unsigned long long)vmcs_read(VMCS_GUEST_LINEAR_ADDRESS),
		   (unsigned long long)vmcs_read(VMCS_EXIT_INSTRUCTION_LENGTH),
		   (unsigned long long)vmcs_read(VMCS_EXIT_INSTRUCTION_INFO));
	log_printf(log, "vmcs: exit event %llx error %llx delivering %llx error %llx entry event %llx\n",
		   (unsigned long long)vmcs_read(VMCS_EXIT_INTR_INFO),
		   (unsigned long long)vmcs_read(VMCS_EXIT_INTR_ERROR),
		   (unsigned long long)vmcs_read(VMCS_IDT_VECTORING_INFO),
		   (unsigned long long)vmcs_read(VMCS_IDT_VECTORING_ERROR),
		   (unsigned long long)vmcs_read(VMCS_ENTRY_INTR_INFO));
	log_printf(log, "vmcs: controls pin %llx processor %llx,%llx exit %llx entry %llx exceptions %llx\n",
		   (unsigned long long)vmcs_read(VMCS_PIN_CONTROLS),
		   (unsigned long long)vmcs_read(VMCS_PROCESSOR_CONTROLS),
		   (unsigned long long)vmcs_read(VMCS_SECONDARY_CONTROLS),
		   (unsigned long long)vmcs_read(VMCS_EXIT_CONTROLS),
		   (unsigned long long)vmcs_read(VMCS_ENTRY_CONTROLS),
		   (unsigned long long)vmcs_read(VMCS_EXCEPTION_BITMAP));
	log_printf(log, "vmcs: ept %llx interruptibility %llx activity %llx pending debug %llx cr0 %llx cr4 %llx\n",
		   (unsigned long long)vmcs_read(VMCS_EPT_POINTER),
		   (unsigned long long)vmcs_read(VMCS_GUEST_INTERRUPTIBILITY),
		   (unsigned long long)vmcs_read(VMCS_GUEST_ACTIVITY),
		   (unsigned long long)vmcs_read(VMCS_GUEST_PENDING_DEBUG),
		   (unsigned long long)vmcs_read(VMCS_GUEST_CR0), (unsigned long long)vmcs_read(VMCS_GUEST_CR4));
}
