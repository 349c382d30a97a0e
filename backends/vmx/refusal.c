/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why the CPU did not go on, in words: the field that an entry failed for, the entry of the extended page tables that
 * makes no sense. Must not change anything.
 */
#include <platform/vmcs.h>
#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <x86/cr.h>
#include <x86/flags.h>
#include <x86/msr.h>

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
	[3] = "NMI injection while STI blocks",
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

#define LIMIT_WRONG ": its limit does not fit its granularity"

/* SDM vol. 3, "Checks on Guest Segment Registers" (26.3.1.2) */
static const char *segment_check(void)
{
	static const char *const limits[] = {"ES" LIMIT_WRONG, "CS" LIMIT_WRONG, "SS" LIMIT_WRONG,   "DS" LIMIT_WRONG,
					     "FS" LIMIT_WRONG, "GS" LIMIT_WRONG, "LDTR" LIMIT_WRONG, "TR" LIMIT_WRONG};
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
			return limits[at / 2];
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

/* A control field that asks for what the CPU does not allow. SDM vol. 3, "VM-Execution Controls" (A.3) */
static const char *capability_check(struct platform *platform)
{
	static const struct {
		uint32_t msr, field;
		const char *name;
	} fields[] = {
		{MSR_VMX_TRUE_PIN, VMCS_PIN_CONTROLS, "an invalid control field: pin-based controls"},
		{MSR_VMX_TRUE_PROC, VMCS_PROCESSOR_CONTROLS, "an invalid control field: processor-based controls"},
		{MSR_VMX_SECONDARY, VMCS_SECONDARY_CONTROLS, "an invalid control field: secondary controls"},
		{MSR_VMX_TRUE_EXIT, VMCS_EXIT_CONTROLS, "an invalid control field: VM-exit controls"},
		{MSR_VMX_TRUE_ENTRY, VMCS_ENTRY_CONTROLS, "an invalid control field: VM-entry controls"},
	};
	uint64_t capability;

	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		uint32_t value = (uint32_t)vmcs_read(fields[i].field);

		if (platform->ops->msr_read(platform, fields[i].msr, &capability))
			continue;
		if ((uint32_t)capability & ~value || value & ~(uint32_t)(capability >> 32))
			return fields[i].name;
	}
	if ((vmcs_read(VMCS_EPT_POINTER) & ~PAGE_MASK) != (VMX_EPTP_WALK_4 | VMX_EPTP_WB))
		return "an invalid control field: EPT pointer";
	return instruction_errors[VMX_ERROR_CONTROL];
}

/* VMLAUNCH or VMRESUME did not begin. */
static const char *instruction_refusal(struct platform *platform)
{
	uint64_t error = vmcs_read(VMCS_INSTRUCTION_ERROR);

	if (error == VMX_ERROR_CONTROL)
		return capability_check(platform);
	return error < ARRAY_SIZE(instruction_errors) && instruction_errors[error] ? instruction_errors[error]
										   : "an error without a name";
}

/* The CPU looked at the guest's state and left again. */
static const char *state_refusal(void)
{
	uint64_t qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);
	const char *what = qualification < ARRAY_SIZE(qualifications) ? qualifications[qualification] : NULL;

	if (!what)
		what = control_check();
	if (!what)
		what = segment_check();
	if (!what)
		what = state_check();
	return what ? what : "none of the fields that are checked here";
}

void vmx_refusal(struct vmx_vcpu *vmx, uint64_t reason)
{
	if (reason == VMX_EXIT_EPT_MISCONFIG)
		format_string(vmx->refusal, sizeof(vmx->refusal),
			      "an invalid entry in the EPT for guest-physical %llx: report it with this log",
			      (unsigned long long)vmcs_read(VMCS_GUEST_PHYSICAL_ADDRESS));
	else
		format_string(vmx->refusal, sizeof(vmx->refusal), "the CPU refused to enter the guest: %s",
			      reason & VMX_EXIT_REASON_FAILED ? state_refusal()
							      : instruction_refusal(vmx->vcpu.vm->platform));
	vmx->vcpu.refusal = vmx->refusal;
}

/* What is wrong with a raw entry, or what it says. SDM vol. 3, "EPT Misconfigurations" (28.2.3.1) */
static const char *ept_entry_check(uint64_t raw, unsigned level, uint64_t physical_limit)
{
	unsigned type = (unsigned)((raw & VMX_EPTE_TYPE) >> VMX_EPTE_TYPE_SHIFT);
	bool leaf = level == 1 || raw & VMX_EPTE_LARGE;

	if (!(raw & VMX_EPTE_ACCESS))
		return "absent";
	if ((raw & VMX_EPTE_WRITE) && !(raw & VMX_EPTE_READ))
		return "WRONG: it can be written, but not read";
	if ((raw & VMX_EPTE_ADDRESS) >= physical_limit)
		return "WRONG: the address is more than the CPU has";
	if (level == 4 && raw & VMX_EPTE_LARGE)
		return "WRONG: a page at this level";
	if (!leaf)
		return raw & VMX_EPTE_TYPE ? "WRONG: reserved bits are set" : "a table";
	if (level > 1 && raw & VMX_EPTE_ADDRESS & (NESTED_LEVEL_SIZE(level) - 1))
		return "WRONG: reserved bits are set";
	if (type == 2 || type == 3 || type == 7)
		return "WRONG: the memory type is reserved";
	return "a page";
}

void vmx_ept_log(struct vcpu *vcpu, gpa_t gpa)
{
	struct platform *platform = vcpu->vm->platform;
	paddr_t table = vmcs_read(VMCS_EPT_POINTER) & VMX_EPTE_ADDRESS;

	for (unsigned level = 4; level >= 1; level--) {
		const uint64_t *entries = platform->ops->phys_map(platform, table, PAGE_SIZE);
		uint64_t raw;

		if (!entries) {
			log_printf(vcpu->vm->log, "vmcs: EPT level %u: no table at %llx\n", level,
				   (unsigned long long)table);
			return;
		}
		raw = entries[gpa >> (PAGE_SHIFT + 9 * (level - 1)) & 511];
		log_printf(vcpu->vm->log, "vmcs: EPT level %u of %llx: entry %llx: %s%s%s, type %u, %s\n", level,
			   (unsigned long long)gpa, (unsigned long long)raw, raw & VMX_EPTE_READ ? "r" : "-",
			   raw & VMX_EPTE_WRITE ? "w" : "-", raw & VMX_EPTE_EXEC ? "x" : "-",
			   (unsigned)((raw & VMX_EPTE_TYPE) >> VMX_EPTE_TYPE_SHIFT),
			   ept_entry_check(raw, level, vcpu->vm->physical_limit));
		if (!(raw & VMX_EPTE_ACCESS) || raw & VMX_EPTE_LARGE)
			return;
		table = raw & VMX_EPTE_ADDRESS;
	}
}
