/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intercepts, stepping and the timer. APM vol. 2, "Intercept Operation" (15.7), "MSR Intercepts" (15.11), "I/O
 * Intercepts" (15.10).
 */
#include <undercroft/alarm.h>
#include <undercroft/errno.h>
#include <undercroft/quirk.h>
#include <x86/flags.h>

#include "backends/svm/svm.h"

#define VECTOR_BP 3

static void bit_set(uint8_t *map, uint32_t bit, bool on)
{
	if (on)
		map[bit / 8] |= (uint8_t)(1u << bit % 8);
	else
		map[bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

static void mask_set(uint32_t *intercepts, uint32_t mask, bool on)
{
	*intercepts = on ? *intercepts | mask : *intercepts & ~mask;
}

/* What exits at the end of the window below; instead of the virtual interrupt, the IRET of the one that passed. */
static void window_exit_set(struct vcpu *vcpu, bool on)
{
	struct vmcb *vmcb = &svm_vcpu(vcpu)->vmcb;

	if (vcpu->vm->quirks & QUIRK_FORGETS_V_IRQ)
		mask_set(&vmcb->intercept_1, VMCB_INTERCEPT1_IRET, on);
	else
		vmcb->v_intr = on ? vmcb->v_intr | VMCB_V_IRQ : vmcb->v_intr & ~VMCB_V_IRQ;
}

/*
 * A virtual interrupt that is never delivered: it exits when it could be, which is when the guest can take interrupts
 * and has taken those that wait. APM vol. 2, "Injecting Virtual (INTR) Interrupts" (15.21.4)
 */
static void interrupt_window(struct vcpu *vcpu, bool on)
{
	struct vmcb *vmcb = &svm_vcpu(vcpu)->vmcb;

	mask_set(&vmcb->intercept_1, VMCB_INTERCEPT1_VINTR, on);
	vmcb->v_intr &= ~(VMCB_V_INTR_PRIO | VMCB_V_IGN_TPR);
	if (on)
		vmcb->v_intr |= VMCB_V_INTR_PRIO | VMCB_V_IGN_TPR;
	window_exit_set(vcpu, on);
}

void svm_interrupt_pass(struct vcpu *vcpu)
{
	struct vmcb *vmcb = &svm_vcpu(vcpu)->vmcb;
	bool waits = vmcb->exitcode == VMEXIT_INTR;

	interrupt_window(vcpu, waits);
	mask_set(&vmcb->intercept_1, VMCB_INTERCEPT1_INTR, !waits);
}

/* Two bits an MSR, read first; three ranges of 8192 MSRs, 2 KiB each. */
static int msrpm_set(struct svm_vcpu *svm, uint32_t index, bool write, bool on)
{
	uint32_t bit;

	if (index < 0x2000)
		bit = index;
	else if (index >= 0xc0000000 && index < 0xc0002000)
		bit = 0x2000 + (index - 0xc0000000);
	else if (index >= 0xc0010000 && index < 0xc0012000)
		bit = 0x4000 + (index - 0xc0010000);
	else
		return -EINVAL; /* always exits */
	bit_set(svm->msrpm, bit * 2 + write, on);
	return 0;
}

/* A bit for an instruction that the CPU does not have does nothing. */
static void paging_update(struct svm_vcpu *svm)
{
	struct vmcb *vmcb = &svm->vmcb;

	mask_set(&vmcb->intercept_1, VMCB_INTERCEPT1_CR0_SEL | VMCB_INTERCEPT1_INVLPG, svm->paging);
	mask_set(&vmcb->intercept_3, VMCB_INTERCEPT3_INVPCID, svm->paging);
	vmcb->intercept_cr_write = svm->paging ? VMCB_INTERCEPT_CR_PAGING : svm->cr3 ? VMCB_INTERCEPT_CR3 : 0;
}

/* SVM has none: another CPU sends an NMI. */
int svm_timer(struct vcpu *vcpu, uint64_t microseconds)
{
	if (!vcpu->vm->alarm || !alarm_runs(vcpu->vm->alarm))
		return -ENOTSUP;
	alarm_ask(vcpu->vm->alarm, microseconds);
	return 0;
}

int svm_intercept(struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument, bool on)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	switch (kind) {
	case INTERCEPT_MSR_READ:
	case INTERCEPT_MSR_WRITE:
		return msrpm_set(svm, argument, kind == INTERCEPT_MSR_WRITE, on);
	case INTERCEPT_PORT:
		if (argument > 0xffff)
			return -EINVAL;
		bit_set(svm->iopm, argument, on);
		return 0;
	case INTERCEPT_EXCEPTION:
		if (argument > 31)
			return -EINVAL;
		bit_set((uint8_t *)&svm->saved_exceptions, argument, on);
		if (argument == VECTOR_BP && vcpu->vm->quirks & QUIRK_INT3_IS_INT_N)
			mask_set(&svm->vmcb.intercept_1, VMCB_INTERCEPT1_INTN, on);
		/* while a step has all of them, it gives back what is asked for then */
		if (!vcpu->single.active)
			svm->vmcb.intercept_exceptions = svm->saved_exceptions;
		return 0;
	case INTERCEPT_NMI:
		svm->saved_nmi = on;
		/* a step has it anyway */
		if (!(svm->vmcb.v_intr & VMCB_V_INTR_MASKING))
			mask_set(&svm->vmcb.intercept_1, VMCB_INTERCEPT1_NMI, on);
		return 0;
	case INTERCEPT_INTR:
		interrupt_window(vcpu, false);
		mask_set(&svm->vmcb.intercept_1, VMCB_INTERCEPT1_INTR, on);
		return 0;
	case INTERCEPT_IDLE:
		mask_set(&svm->vmcb.intercept_1, VMCB_INTERCEPT1_HLT, on);
		mask_set(&svm->vmcb.intercept_2, VMCB_INTERCEPT2_MWAIT, on);
		return 0;
	case INTERCEPT_PAGING:
		svm->paging = on;
		paging_update(svm);
		return 0;
	case INTERCEPT_CR3:
		svm->cr3 = on;
		paging_update(svm);
		return 0;
	case INTERCEPT_DR:
		svm->vmcb.intercept_dr_read = svm->vmcb.intercept_dr_write = on ? 0xffff : 0;
		return 0;
	case INTERCEPT_NMI_WINDOW:
		/* the guest's NMI handler ends: before its IRET, with which the CPU lets the next one come */
		mask_set(&svm->vmcb.intercept_1, VMCB_INTERCEPT1_IRET, on);
		return 0;
	default:
		return -ENOTSUP;
	}
}

/* QUIRK_V_INTR_MASKING: a shadow that the instruction, where it was carried out, has left behind. */
static void step_hold(struct svm_vcpu *svm, bool on)
{
	if (on) {
		svm->saved_shadow = svm->vmcb.interrupt_shadow & 1;
		svm->vmcb.interrupt_shadow |= svm->vcpu.rflags & X86_FLAGS_IF ? 1 : 0;
	} else if (!svm->vcpu.single.completed) {
		svm->vmcb.interrupt_shadow = svm->saved_shadow;
	}
}

/*
 * One instruction with TF, every exception intercepted so that none is delivered with our TF in its frame. Interrupts
 * stay pending: with V_INTR_MASKING the host's IF, which is 0, masks them. APM vol. 2, "Virtualizing RFLAGS.IF"
 * (15.21.1). A task switch would store TF, and load another one.
 */
void svm_step(struct vcpu *vcpu, bool on)
{
	struct vmcb *vmcb = &svm_vcpu(vcpu)->vmcb;

	if (vcpu->vm->quirks & QUIRK_V_INTR_MASKING)
		step_hold(svm_vcpu(vcpu), on);
	if (on) {
		vcpu->rflags |= X86_FLAGS_TF;
		vmcb->intercept_exceptions = 0xffffffff;
		vmcb->intercept_1 |= VMCB_INTERCEPT1_NMI | VMCB_INTERCEPT1_TASK;
		if (vmcb->intercept_1 & VMCB_INTERCEPT1_VINTR)
			window_exit_set(vcpu, false);
		vmcb->v_intr |= VMCB_V_INTR_MASKING;
	} else {
		vmcb->intercept_exceptions = svm_vcpu(vcpu)->saved_exceptions;
		mask_set(&vmcb->intercept_1, VMCB_INTERCEPT1_TASK, false);
		mask_set(&vmcb->intercept_1, VMCB_INTERCEPT1_NMI, svm_vcpu(vcpu)->saved_nmi);
		vmcb->v_intr &= ~VMCB_V_INTR_MASKING;
		if (vmcb->intercept_1 & VMCB_INTERCEPT1_VINTR)
			window_exit_set(vcpu, true);
	}
}
