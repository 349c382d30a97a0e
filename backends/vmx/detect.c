/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The setup tier's half: can this CPU run a VMX guest as we need it? Changes nothing.
 */
#include <undercroft/backend.h>
#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <x86/cpuid.h>
#include <x86/msr.h>

#include "backends/vmx/controls.h"

static int vmx_supported(struct platform *platform, const char **why, const char **cure)
{
	struct vmx_controls controls;
	struct cpuid_regs regs;
	uint64_t feature_control, wanted;

	platform->ops->cpuid(platform, CPUID_VENDOR, 0, &regs);
	if (!cpuid_vendor_is(&regs, CPUID_VENDOR_INTEL))
		return -ENOTSUP;

	platform->ops->cpuid(platform, CPUID_FEATURES, 0, &regs);
	if (!(regs.ecx & CPUID_1_ECX_VMX)) {
		*why = "The CPU is from Intel but shows no VMX (VT-x).";
		*cure = "If its data sheet lists VT-x, turn on \"Intel Virtualization Technology\" in the BIOS setup. "
			"A "
			"hypervisor that is running already may hide it, too.";
		return -ENODEV;
	}
	*cure = "Turn on \"Intel Virtualization Technology\" (VT-x, VMX) in the BIOS setup and switch the machine off "
		"and on.";
	if (platform->ops->msr_read(platform, MSR_FEATURE_CONTROL, &feature_control)) {
		*why = "The CPU's IA32_FEATURE_CONTROL register cannot be read.";
		return -ENODEV;
	}
	if (vmx_feature_control(feature_control, &wanted)) {
		*why = "VMX (VT-x) is locked off by the firmware (IA32_FEATURE_CONTROL).";
		return -ENODEV;
	}
	*cure = "This needs another CPU: an Intel Core of 2010 or later has all of it.";
	return vmx_controls_choose(platform, &controls, why);
}

static const struct backend_probe vmx_probe = {
	.name = "vmx",
	.supported = vmx_supported,
};

BACKEND_PROBE_REGISTER(vmx_probe);
