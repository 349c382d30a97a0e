/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The setup tier's half: can this CPU run an SVM guest as we need it? Changes nothing.
 */
#include <undercroft/backend.h>
#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <x86/cpuid.h>
#include <x86/msr.h>

static int svm_supported(struct platform *platform, const char **why, const char **cure)
{
	struct cpuid_regs regs;
	uint64_t vm_cr;

	platform->ops->cpuid(platform, CPUID_VENDOR, 0, &regs);
	if (!cpuid_vendor_is(&regs, CPUID_VENDOR_AMD) && !cpuid_vendor_is(&regs, CPUID_VENDOR_HYGON))
		return -ENOTSUP;
	*cure = "This needs another CPU.";

	platform->ops->cpuid(platform, CPUID_EXT_MAX, 0, &regs);
	if (regs.eax < CPUID_SVM) {
		*why = "The CPU is from AMD but has no SVM (AMD-V).";
		return -ENODEV;
	}
	platform->ops->cpuid(platform, CPUID_EXT_FEATURES, 0, &regs);
	if (!(regs.ecx & CPUID_EXT_ECX_SVM)) {
		*why = "The CPU is from AMD but shows no SVM (AMD-V).";
		*cure = "If its data sheet lists AMD-V, turn on \"SVM Mode\" in the BIOS setup. A hypervisor that is "
			"running already "
			"may hide it, too.";
		return -ENODEV;
	}
	platform->ops->cpuid(platform, CPUID_SVM, 0, &regs);
	if (!(regs.edx & CPUID_SVM_EDX_NP)) {
		*why = "The CPU has SVM (AMD-V) without nested paging.";
		return -ENODEV;
	}
	/* APM vol. 2, "Enabling SVM" (15.4) */
	if (platform->ops->msr_read(platform, MSR_VM_CR, &vm_cr)) {
		*why = "The CPU's VM_CR register cannot be read.";
		return -ENODEV;
	}
	if (vm_cr & VM_CR_SVMDIS) {
		*why = "SVM (AMD-V) is switched off by the firmware (VM_CR.SVMDIS).";
		*cure = "Turn on \"SVM Mode\" (or \"Virtualization\") in the BIOS setup.";
		return -ENODEV;
	}
	return 0;
}

static const struct backend_probe svm_probe = {
	.name = "svm",
	.needs_clock = true,
	.supported = svm_supported,
};

BACKEND_PROBE_REGISTER(svm_probe);
