/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that are #UD in a guest unless a control lets it have them: where this CPU does not allow the control,
 * its CPUID must not announce them. SDM vol. 3, "Secondary Processor-Based VM-Execution Controls" (24.6.2), table 24-7
 *
 * Those without a control here are of later revisions of the SDM: RDMSRLIST, WRMSRLIST and PBNDKB have a tertiary
 * control ("Definitions of Tertiary Processor-Based VM-Execution Controls"), of which we set none; URDMSR, UWRMSR and
 * the MSR instructions with an immediate exit where the MSR bitmaps say so (reasons 80, 81, 84, 85), and are #UD then.
 */
#include <x86/cpuid.h>

#include "backends/vmx/vmx.h"

static const struct {
	uint32_t control; /* 0: hidden on any CPU */
	struct cpuid_hidden hidden;
} announced[] = {
	{VMCS_SECONDARY_RDTSCP, {CPUID_EXT_FEATURES, CPUID_ANY_SUBLEAF, GPR_RDX, CPUID_EXT_EDX_RDTSCP}},
	{VMCS_SECONDARY_RDTSCP, {CPUID_STRUCTURED, 0, GPR_RCX, CPUID_7_ECX_RDPID}},
	{VMCS_SECONDARY_INVPCID, {CPUID_STRUCTURED, 0, GPR_RBX, CPUID_7_EBX_INVPCID}},
	{VMCS_SECONDARY_XSAVES, {CPUID_XSAVE, 1, GPR_RAX, CPUID_D1_EAX_XSAVES}},
	{VMCS_SECONDARY_WAITPKG, {CPUID_STRUCTURED, 0, GPR_RCX, CPUID_7_ECX_WAITPKG}},
	{VMCS_SECONDARY_PCONFIG, {CPUID_STRUCTURED, 0, GPR_RDX, CPUID_7_EDX_PCONFIG}},
	{0, {CPUID_STRUCTURED, 1, GPR_RAX, CPUID_71_EAX_MSRLIST}},
	{0, {CPUID_STRUCTURED, 1, GPR_RBX, CPUID_71_EBX_PBNDKB}},
	{0, {CPUID_STRUCTURED, 1, GPR_RCX, CPUID_71_ECX_MSR_IMM}},
	{0, {CPUID_STRUCTURED, 1, GPR_RDX, CPUID_71_EDX_USER_MSR}},
};

_Static_assert(ARRAY_SIZE(announced) <= VM_CPUID_MAX, "the VM has room for all of them");

unsigned vmx_cpuid_hidden(struct platform *platform, struct cpuid_hidden *out, unsigned max)
{
	struct vmx_controls controls;
	const char *why;
	unsigned count = 0;

	if (vmx_controls_choose(platform, &controls, &why))
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(announced) && count < max; i++) {
		if (!(controls.value[VMX_CONTROL_SECONDARY] & announced[i].control))
			out[count++] = announced[i].hidden;
	}
	return count;
}
