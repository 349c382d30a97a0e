/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only SVM knows about a vCPU, for the log.
 */
#include <undercroft/log.h>

#include "backends/svm/svm.h"

void svm_dump(struct vcpu *vcpu)
{
	const struct vmcb *vmcb = &svm_vcpu(vcpu)->vmcb;

	log_printf(vcpu->vm->log, "vmcb: exitcode %llx exitinfo1 %llx exitinfo2 %llx exitintinfo %llx eventinj %llx\n",
		   (unsigned long long)vmcb->exitcode, (unsigned long long)vmcb->exitinfo1,
		   (unsigned long long)vmcb->exitinfo2, (unsigned long long)vmcb->exitintinfo,
		   (unsigned long long)vmcb->eventinj);
	log_printf(vcpu->vm->log,
		   "vmcb: intercepts exc %x 1 %x 2 %x asid %x ncr3 %llx shadow %llx nrip %llx v_intr %llx\n",
		   vmcb->intercept_exceptions, vmcb->intercept_1, vmcb->intercept_2, vmcb->asid,
		   (unsigned long long)vmcb->nested_cr3, (unsigned long long)vmcb->interrupt_shadow,
		   (unsigned long long)vmcb->nrip, (unsigned long long)vmcb->v_intr);
}
