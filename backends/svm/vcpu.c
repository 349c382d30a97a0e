/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turning SVM on and a vCPU's control structures. APM vol. 2, "Enabling SVM" (15.4), "VMRUN Instruction" (15.5).
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "backends/svm/insn.h"
#include "backends/svm/svm.h"

int svm_cpu_enable(struct vcpu *vcpu)
{
	struct platform *platform = vcpu->vm->platform;
	struct cpuid_regs extended;
	uint64_t efer, wanted = EFER_SVME;

	/*
	 * Nested tables are walked in the host's paging mode: without the host's NXE the NX bit in them is a reserved
	 * one. APM vol. 2, "Nested Paging" (15.25)
	 */
	platform->ops->cpuid(platform, CPUID_EXT_FEATURES, 0, &extended);
	if (extended.edx & CPUID_EXT_EDX_NX)
		wanted |= EFER_NXE;
	/*
	 * The nested tables name entry 0 of the host's PAT, and so do our own: write-back, whatever the firmware left
	 * there. The guest has a PAT of its own. APM vol. 2, "Combining Nested and Host Memory Types" (15.25.8)
	 */
	if (platform->ops->msr_read(platform, MSR_EFER, &efer) ||
	    platform->ops->msr_write(platform, MSR_EFER, efer | wanted) ||
	    platform->ops->msr_write(platform, MSR_PAT, PAT_RESET) ||
	    platform->ops->msr_write(platform, MSR_VM_HSAVE_PA, svm_vcpu(vcpu)->host_save))
		return -EIO;
	/*
	 * From here on GIF is 0 whenever our code runs: interrupts, NMIs, SMIs and INITs wait for the next VMRUN, so
	 * the host needs no handlers for them. APM vol. 2, "Global Interrupt Flag, STGI and CLGI Instructions" (15.17)
	 */
	svm_insn_clgi();
	return 0;
}

/* Pages that lie behind each other, which the pool gives as long as nothing was freed. */
static void *pages_alloc(struct vm *vm, unsigned count, paddr_t *address)
{
	paddr_t first = page_pool_alloc(vm);

	for (unsigned i = 1; first && i < count; i++) {
		if (page_pool_alloc(vm) != first + i * PAGE_SIZE)
			return NULL;
	}
	*address = first;
	return first ? vm->platform->ops->phys_map(vm->platform, first, count * PAGE_SIZE) : NULL;
}

int svm_vcpu_init(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vm *vm = vcpu->vm;
	struct vmcb *vmcb;
	paddr_t iopm, msrpm;

	svm->iopm = pages_alloc(vm, SVM_IOPM_PAGES, &iopm);
	svm->msrpm = pages_alloc(vm, SVM_MSRPM_PAGES, &msrpm);
	svm->host_save = page_pool_alloc(vm);
	if (!svm->iopm || !svm->msrpm || !svm->host_save)
		return -ENOMEM;

	svm->has_nrip = (vm->caps & BACKEND_CAP_NRIP) != 0;
	svm->cpuid_linear = UINT64_MAX; /* no instruction of two bytes is there */
	vmcb = &svm->vmcb;
	/* what the guest does not have, and what it must not do; nothing else exits unless somebody arms it */
	vmcb->intercept_1 = VMCB_INTERCEPT1_CPUID | VMCB_INTERCEPT1_IOIO | VMCB_INTERCEPT1_MSR |
			    VMCB_INTERCEPT1_SHUTDOWN | VMCB_INTERCEPT1_INIT | VMCB_INTERCEPT1_INVD |
			    VMCB_INTERCEPT1_INVLPGA;
	vmcb->intercept_2 = VMCB_INTERCEPT2_VMRUN | VMCB_INTERCEPT2_VMMCALL | VMCB_INTERCEPT2_VMLOAD |
			    VMCB_INTERCEPT2_VMSAVE | VMCB_INTERCEPT2_STGI | VMCB_INTERCEPT2_CLGI |
			    VMCB_INTERCEPT2_SKINIT;
	vmcb->iopm_base = iopm;
	vmcb->msrpm_base = msrpm;
	vmcb->asid = SVM_ASID;
	vmcb->tlb_control = VMCB_TLB_FLUSH_ALL;
	vmcb->nested_enable = VMCB_NESTED_ENABLE_NP;
	vmcb->nested_cr3 = vm->base.root;
	vmcb->efer = EFER_SVME;
	return 0;
}
