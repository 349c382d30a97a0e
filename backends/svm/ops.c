/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SVM backend's table.
 */
#include <undercroft/platform.h>
#include <x86/cpuid.h>

#include "backends/svm/svm.h"

static uint32_t svm_caps(struct platform *platform)
{
	struct cpuid_regs svm, extended;
	/* no nested page is larger than its memory is of one type: the CPU may take the type of any part for the whole
	 */
	uint32_t caps = 0;

	platform->ops->cpuid(platform, CPUID_SVM, 0, &svm);
	platform->ops->cpuid(platform, CPUID_EXT_FEATURES, 0, &extended);
	if (svm.edx & CPUID_SVM_EDX_NRIPS)
		caps |= BACKEND_CAP_NRIP;
	if (svm.edx & CPUID_SVM_EDX_DECODE_ASSIST)
		caps |= BACKEND_CAP_ASSISTS;
	if (extended.edx & CPUID_EXT_EDX_PAGE1GB)
		caps |= BACKEND_CAP_PAGES_1G;
	return caps;
}

static const struct backend_ops svm_ops = {
	.name = "svm",
	.vcpu_size = sizeof(struct svm_vcpu),
	.caps = svm_caps,
	.cpu_enable = svm_cpu_enable,
	.vcpu_init = svm_vcpu_init,
	.run = svm_run,
	.decode_detail = svm_decode_detail,
	.reg_get = svm_reg_get,
	.reg_set = svm_reg_set,
	.seg_get = svm_seg_get,
	.seg_set = svm_seg_set,
	.debugctl_get = svm_debugctl_get,
	.debugctl_set = svm_debugctl_set,
	.intercept = svm_intercept,
	.inject = svm_inject,
	.nested_encode = svm_nested_encode,
	.nested_decode = svm_nested_decode,
	.nested_activate = svm_nested_activate,
	.tlb_flush = svm_tlb_flush,
	.step = svm_step,
	.timer = svm_timer,
	.interrupt_pass = svm_interrupt_pass,
	.admit = svm_admit,
	.dump = svm_dump,
};

BACKEND_REGISTER(svm_ops);
