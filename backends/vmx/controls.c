/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capability registers against what we need of the CPU. SDM vol. 3, "VMX Capability Reporting Facility" (appendix A).
 * Changes nothing.
 */
#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <x86/msr.h>

#include "backends/vmx/controls.h"
#include "backends/vmx/vmcs.h"

int vmx_feature_control(uint64_t value, uint64_t *wanted)
{
	if (!(value & FEATURE_CONTROL_LOCK)) {
		*wanted = value | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_OUTSIDE_SMX;
		return 0;
	}
	if (!(value & FEATURE_CONTROL_OUTSIDE_SMX))
		return -EACCES;
	*wanted = value;
	return 0;
}

uint32_t vmx_control_adjust(uint64_t capability, uint32_t required, uint32_t optional, uint32_t *value)
{
	uint32_t must = (uint32_t)capability, may = (uint32_t)(capability >> 32);

	*value = must | (required & may) | (optional & may);
	return required & ~may;
}

/*
 * The pass-through controls are optional: an instruction whose control is off is #UD in the guest, so each that the CPU
 * has is on, and the others are taken out of the guest's CPUID (vmx_cpuid_hidden). Those in "now and then" are turned
 * on for a while only. SDM vol. 3, "Secondary Processor-Based VM-Execution Controls" (24.6.2), table 24-7
 */
static const struct {
	uint32_t msr, required, now_and_then, optional;
} fields[VMX_CONTROL_COUNT] = {
	[VMX_CONTROL_PIN] = {.msr = MSR_VMX_TRUE_PIN,
			     .required = VMCS_PIN_NMI_EXITING | VMCS_PIN_VIRTUAL_NMIS,
			     .now_and_then = VMCS_PIN_INTR_EXITING},
	[VMX_CONTROL_PROCESSOR] = {.msr = MSR_VMX_TRUE_PROC,
				   .required = VMCS_PROCESSOR_IO_BITMAPS | VMCS_PROCESSOR_MSR_BITMAPS |
					       VMCS_PROCESSOR_SECONDARY,
				   .now_and_then = VMCS_PROCESSOR_NMI_WINDOW},
	[VMX_CONTROL_SECONDARY] = {.msr = MSR_VMX_SECONDARY,
				   .required =
					   VMCS_SECONDARY_EPT | VMCS_SECONDARY_UNRESTRICTED_GUEST | VMCS_SECONDARY_VPID,
				   .optional = VMCS_SECONDARY_RDTSCP | VMCS_SECONDARY_INVPCID | VMCS_SECONDARY_XSAVES |
					       VMCS_SECONDARY_WAITPKG | VMCS_SECONDARY_PCONFIG},
	[VMX_CONTROL_EXIT] = {.msr = MSR_VMX_TRUE_EXIT,
			      .required = VMCS_EXIT_HOST_LONG_MODE | VMCS_EXIT_SAVE_PAT | VMCS_EXIT_LOAD_PAT |
					  VMCS_EXIT_SAVE_EFER | VMCS_EXIT_LOAD_EFER | VMCS_EXIT_SAVE_DEBUG},
	[VMX_CONTROL_ENTRY] = {.msr = MSR_VMX_TRUE_ENTRY,
			       .required = VMCS_ENTRY_LOAD_PAT | VMCS_ENTRY_LOAD_EFER | VMCS_ENTRY_LOAD_DEBUG},
};

/* Each required bit in words. */
static const struct {
	enum vmx_control field;
	uint32_t bit;
	const char *why;
} refusals[] = {
	{VMX_CONTROL_SECONDARY, VMCS_SECONDARY_EPT, "The CPU has VMX (VT-x) without extended page tables (EPT)."},
	{VMX_CONTROL_SECONDARY, VMCS_SECONDARY_UNRESTRICTED_GUEST,
	 "The CPU has VMX (VT-x) without \"unrestricted guest\", so a guest cannot start in real mode."},
	{VMX_CONTROL_SECONDARY, VMCS_SECONDARY_VPID, "The CPU has VMX (VT-x) without virtual-processor identifiers."},
	{VMX_CONTROL_PROCESSOR, VMCS_PROCESSOR_SECONDARY, "The CPU has VMX (VT-x) without secondary controls."},
	{VMX_CONTROL_PROCESSOR, VMCS_PROCESSOR_IO_BITMAPS, "The CPU has VMX (VT-x) without I/O bitmaps."},
	{VMX_CONTROL_PROCESSOR, VMCS_PROCESSOR_MSR_BITMAPS, "The CPU has VMX (VT-x) without MSR bitmaps."},
	{VMX_CONTROL_PIN, ~0u, "The CPU has VMX (VT-x) without NMI exiting or virtual NMIs."},
	{VMX_CONTROL_PROCESSOR, VMCS_PROCESSOR_NMI_WINDOW, "The CPU has VMX (VT-x) without NMI-window exiting."},
	{VMX_CONTROL_EXIT, ~0u, "The CPU's VM exits lack a setting that we need: a 64-bit host, PAT, EFER or DR7."},
	{VMX_CONTROL_ENTRY, ~0u, "The CPU's VM entries lack a setting that we need: PAT, EFER or DR7."},
};

/* What we cannot live with if the CPU insists on it: an exit for each change of an address space. */
#define PROCESSOR_REFUSED (VMCS_PROCESSOR_CR3_LOAD_EXITING | VMCS_PROCESSOR_CR3_STORE_EXITING)

static const struct {
	uint64_t bits;
	const char *why;
} ept_needs[] = {
	{VMX_EPT_CAP_WALK_4, "The CPU's extended page tables (EPT) have no four levels."},
	{VMX_EPT_CAP_WB, "The CPU's extended page tables (EPT) cannot be cached."},
	{VMX_EPT_CAP_2M, "The CPU's extended page tables (EPT) have no 2 MiB pages."},
	{VMX_EPT_CAP_INVEPT | VMX_EPT_CAP_INVEPT_ALL, "The CPU has EPT without the INVEPT instruction."},
	{VMX_EPT_CAP_INVVPID | VMX_EPT_CAP_INVVPID_ALL, "The CPU has VPIDs without the INVVPID instruction."},
};

static const char *refusal(enum vmx_control field, uint32_t missing)
{
	for (unsigned i = 0; i < ARRAY_SIZE(refusals); i++) {
		if (refusals[i].field == field && refusals[i].bit & missing)
			return refusals[i].why;
	}
	return "The CPU lacks a VMX (VT-x) control that we need.";
}

static int capability_read(struct platform *platform, uint32_t msr, uint64_t *value, const char **why)
{
	if (!platform->ops->msr_read(platform, msr, value))
		return 0;
	*why = "A register in which the CPU describes its VMX (VT-x) cannot be read.";
	return -ENODEV;
}

static bool allowed(struct platform *platform, uint32_t msr, uint32_t bit)
{
	uint64_t capability;

	return !platform->ops->msr_read(platform, msr, &capability) && capability >> 32 & bit;
}

int vmx_controls_choose(struct platform *platform, struct vmx_controls *out, const char **why)
{
	uint64_t capability;
	uint32_t missing;

	if (capability_read(platform, MSR_VMX_BASIC, &capability, why))
		return -ENODEV;
	if (!(capability & VMX_BASIC_TRUE_CONTROLS)) {
		*why = "The CPU's VMX (VT-x) is from before the \"true\" controls.";
		return -ENODEV;
	}
	for (enum vmx_control i = 0; i < VMX_CONTROL_COUNT; i++) {
		if (capability_read(platform, fields[i].msr, &capability, why))
			return -ENODEV;
		missing = vmx_control_adjust(capability, fields[i].required, fields[i].optional, &out->value[i]);
		missing |= fields[i].now_and_then & ~(uint32_t)(capability >> 32);
		if (missing) {
			*why = refusal(i, missing);
			return -ENODEV;
		}
	}
	if (out->value[VMX_CONTROL_PROCESSOR] & PROCESSOR_REFUSED) {
		*why = "The CPU's VMX (VT-x) exits at each change of CR3.";
		return -ENODEV;
	}
	out->timer = allowed(platform, MSR_VMX_TRUE_PIN, VMCS_PIN_TIMER) &&
		     allowed(platform, MSR_VMX_TRUE_EXIT, VMCS_EXIT_SAVE_TIMER);
	if (capability_read(platform, MSR_VMX_EPT_VPID_CAP, &capability, why))
		return -ENODEV;
	for (unsigned i = 0; i < ARRAY_SIZE(ept_needs); i++) {
		if ((capability & ept_needs[i].bits) != ept_needs[i].bits) {
			*why = ept_needs[i].why;
			return -ENODEV;
		}
	}
	return 0;
}
