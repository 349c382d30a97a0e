/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only VMX knows about a vCPU, for the log: the last exit, the controls, and, when the CPU refused to enter the
 * guest, which field it refused.
 */
#include <platform/vmcs.h>
#include <undercroft/log.h>
#include <x86/cr.h>
#include <x86/flags.h>

#include "backends/vmx/vmx.h"

#define SELECTOR_TI 0x4u

/* SDM vol. 3, "VM-Instruction Error Numbers" (30.4) */
static const char *const instruction_errors[] = {
	[1] = "VMCALL executed in VMX root operation",
	[2] = "VMCLEAR with an invalid address",
	[3] = "VMCLEAR with the VMXON pointer",
	[4] = "VMLAUNCH with a VMCS that is not clear",
	[5] = "VMRESUME with a VMCS that is not launched",
	[6] = "VMRESUME after VMXOFF",
	[7] = "an invalid control field",
	[8] = "an invalid host-state field",
	[9] = "VMPTRLD with an invalid address",
	[10] = "VMPTRLD with the VMXON pointer",
	[11] = "VMPTRLD with another revision",
	[12] = "VMREAD or VMWRITE of a field that does not exist",
	[13] = "VMWRITE to a read-only field",
	[15] = "VMXON in VMX root operation",
	[26] = "events blocked by MOV SS",
	[28] = "an invalid operand of INVEPT or INVVPID",
};

/* The exit qualification of a failed entry. SDM vol. 3, "VM-Entry Failures During or After Loading Guest State" (26.8)
 */
static const char *const qualifications[] = {
	[2] = "loading the PDPTEs",
	[3] = "NMI injection while MOV SS blocks",
	[4] = "the VMCS link pointer",
};

/* SDM vol. 3, "Checks on Guest Control Registers, Debug Registers, and MSRs" (26.3.1.1) */
static const char *control_check(void)
{
	uint64_t cr0 = vmcs_read(VMCS_GUEST_CR0), cr4 = vmcs_read(VMCS_GUEST_CR4), efer = vmcs_read(VMCS_GUEST_EFER);
	bool long_mode = vmcs_read(VMCS_ENTRY_CONTROLS) & VMCS_ENTRY_LONG_MODE;

	if (!(cr0 & CR0_NE) || cr0 >> 32)
		return "CR0: NE is clear, or a high bit is set";
	if ((cr0 & CR0_PG) && !(cr0 & CR0_PE))
		return "CR0: PG without PE";
	if (!(cr4 & CR4_VMXE))
		return "CR4: VMXE is clear";
	if (long_mode && !((cr0 & CR0_PG) && (cr4 & CR4_PAE)))
		return "the entry control \"IA-32e mode guest\": CR0.PG or CR4.PAE is clear";
	if (!long_mode && (cr4 & CR4_PCIDE))
		return "CR4: PCIDE outside of long mode";
	if (vmcs_read(VMCS_GUEST_DR7) >> 32)
		return "DR7: a high bit is set";
	if (((efer & EFER_LMA) != 0) != long_mode)
		return "EFER: LMA differs from the entry control \"IA-32e mode guest\"";
	if ((cr0 & CR0_PG) && ((efer & EFER_LMA) != 0) != ((efer & EFER_LME) != 0))
		return "EFER: LMA differs from LME";
	return NULL;
}

/* SDM vol. 3, "Checks on Guest Segment Registers" (26.3.1.2) */
static const char *segment_check(void)
{
	uint64_t tr = vmcs_read(VMCS_GUEST_ES_ACCESS + 14), ldtr = vmcs_read(VMCS_GUEST_ES_ACCESS + 12);
	uint64_t cs = vmcs_read(VMCS_GUEST_CS_ACCESS), ss = vmcs_read(VMCS_GUEST_SS_ACCESS);

	if (vmcs_read(VMCS_GUEST_ES_SELECTOR + 14) & SELECTOR_TI)
		return "TR: a selector in the LDT";
	if (tr & VMCS_ACCESS_UNUSABLE || !(tr & VMCS_ACCESS_PRESENT) || ((tr & 0x1f) != 0xb && (tr & 0x1f) != 0x3))
		return "TR: access rights";
	if (!(ldtr & VMCS_ACCESS_UNUSABLE) && (ldtr & 0x9f) != 0x82)
		return "LDTR: access rights";
	if (cs & VMCS_ACCESS_UNUSABLE || (cs & 0x91) != 0x91)
		return "CS: access rights";
	if (!(ss & VMCS_ACCESS_UNUSABLE) && (ss & 0x93) != 0x93)
		return "SS: access rights";
	for (unsigned at = 0; at <= 14; at += 2) {
		uint64_t access = vmcs_read(VMCS_GUEST_ES_ACCESS + at), limit = vmcs_read(VMCS_GUEST_ES_LIMIT + at);

		if (access & VMCS_ACCESS_UNUSABLE)
			continue;
		if (access & 0x8000 ? (limit & 0xfff) != 0xfff : limit >> 20 != 0)
			return "a segment: its limit does not fit its granularity";
	}
	return NULL;
}

/* SDM vol. 3, "Checks on Guest RIP, RFLAGS, and SSP" (26.3.1.4), "Checks on Guest Non-Register State" (26.3.1.5) */
static const char *state_check(void)
{
	uint64_t rflags = vmcs_read(VMCS_GUEST_RFLAGS), blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
	uint64_t info = vmcs_read(VMCS_ENTRY_INTR_INFO);
	unsigned type = (unsigned)((info & VMCS_EVENT_TYPE) >> VMCS_EVENT_TYPE_SHIFT);

	if (!(rflags & X86_FLAGS_FIXED))
		return "RFLAGS: bit 1 is clear";
	if ((rflags & X86_FLAGS_VM) && !(vmcs_read(VMCS_GUEST_CR0) & CR0_PE))
		return "RFLAGS: VM in real mode";
	if (info & VMCS_EVENT_VALID && type == VMCS_EVENT_TYPE_INTR && !(rflags & X86_FLAGS_IF))
		return "RFLAGS: IF is clear, and an interrupt is injected";
	if ((blocking & VMCS_BLOCKING_SHADOW) == VMCS_BLOCKING_SHADOW)
		return "interruptibility: both STI and MOV SS block";
	if ((blocking & VMCS_BLOCKING_STI) && !(rflags & X86_FLAGS_IF))
		return "interruptibility: STI blocks, and RFLAGS.IF is clear";
	if (vmcs_read(VMCS_GUEST_ACTIVITY) > 3)
		return "activity";
	if ((blocking & VMCS_BLOCKING_SHADOW) && (rflags & X86_FLAGS_TF) &&
	    !(vmcs_read(VMCS_GUEST_PENDING_DEBUG) & VMCS_PENDING_BS))
		return "pending debug exceptions: BS is clear with TF set and a shadow";
	if (vmcs_read(VMCS_LINK_POINTER) != ~0ull)
		return "the VMCS link pointer";
	return NULL;
}

static void entry_failure_log(struct log *log, uint64_t reason)
{
	uint64_t error = vmcs_read(VMCS_INSTRUCTION_ERROR), qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);
	const char *what = NULL;

	if (!(reason & VMX_EXIT_REASON_FAILED)) {
		what = error < ARRAY_SIZE(instruction_errors) ? instruction_errors[error] : NULL;
		log_printf(log, "vmcs: VM entry failed, error %llu: %s\n", (unsigned long long)error,
			   what ? what : "not known");
		return;
	}
	if (qualification < ARRAY_SIZE(qualifications))
		what = qualifications[qualification];
	if (!what)
		what = control_check();
	if (!what)
		what = segment_check();
	if (!what)
		what = state_check();
	log_printf(log, "vmcs: VM entry failed, the guest's state is invalid: %s\n",
		   what ? what : "none of the fields that are checked here");
}

void vmx_dump(struct vcpu *vcpu)
{
	uint64_t reason = vmcs_read(VMCS_EXIT_REASON);
	struct log *log = vcpu->vm->log;

	if (!vmx_vcpu(vcpu)->current)
		return;
	if (vcpu->exit.kind == EXIT_INVALID)
		entry_failure_log(log, reason);
	else if (reason == VMX_EXIT_EPT_MISCONFIG)
		log_printf(log, "vmcs: the CPU found an invalid entry in the extended page tables\n");
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
