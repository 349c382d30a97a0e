/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMX backend's table.
 */
#include <undercroft/platform.h>
#include <x86/msr.h>

#include "backends/vmx/vmx.h"

static uint32_t vmx_caps(struct platform *platform)
{
	struct vmx_controls controls;
	const char *why;
	uint64_t ept = 0;
	uint32_t caps = BACKEND_CAP_NRIP | BACKEND_CAP_SYSCALL_64 | BACKEND_CAP_NMI_EXITS | BACKEND_CAP_EFER;

	(void)platform->ops->msr_read(platform, MSR_VMX_EPT_VPID_CAP, &ept);
	if (ept & VMX_EPT_CAP_1G)
		caps |= BACKEND_CAP_PAGES_1G;
	if (ept & VMX_EPT_CAP_EXEC_ONLY)
		caps |= BACKEND_CAP_EXEC_ONLY;
	if (!vmx_controls_choose(platform, &controls, &why) && controls.timer)
		caps |= BACKEND_CAP_TIMER;
	return caps;
}

static const struct backend_ops vmx_ops = {
	.name = "vmx",
	.vcpu_size = sizeof(struct vmx_vcpu),
	.caps = vmx_caps,
	.cpuid_hidden = vmx_cpuid_hidden,
	.cpu_enable = vmx_cpu_enable,
	.vcpu_init = vmx_vcpu_init,
	.run = vmx_run,
	.decode_detail = vmx_decode_detail,
	.reg_get = vmx_reg_get,
	.reg_set = vmx_reg_set,
	.seg_get = vmx_seg_get,
	.seg_set = vmx_seg_set,
	.debugctl_get = vmx_debugctl_get,
	.debugctl_set = vmx_debugctl_set,
	.intercept = vmx_intercept,
	.inject = vmx_inject,
	.nested_encode = vmx_nested_encode,
	.nested_decode = vmx_nested_decode,
	.nested_activate = vmx_nested_activate,
	.tlb_flush = vmx_tlb_flush,
	.step = vmx_step,
	.kick = vmx_kick,
	.timer = vmx_timer,
	.dump = vmx_dump,
};

BACKEND_REGISTER(vmx_ops);
