/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events in the VMCB's format. APM vol. 2, "Event Injection" (15.20) and "EXITINTINFO" (15.7.2). What wins is core's
 * decision.
 */
#include <platform/registers.h>
#include <undercroft/mem.h>
#include <undercroft/quirk.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "backends/svm/insn.h"
#include "backends/svm/svm.h"

#define VECTOR_DB	      1
#define VECTOR_NMI	      2
#define VECTOR_BP	      3
#define VECTOR_OF	      4
#define VECTOR_GP	      13
#define VECTOR_PF	      14
#define VECTOR_EXCEPTION_LAST 31

/* APM vol. 2, "Gate Descriptors" (4.7.5), "System Descriptors" (4.8.3), "Selector-Error Code" (8.4.1) */
#define GATE_SIZE      8u
#define GATE64_SIZE    16u
#define GATE_ACCESS    5u
#define GATE_TYPE      0x1fu
#define GATE_DPL_SHIFT 5
/* by GATE_TYPE: a task gate, interrupt and trap gates */
#define GATE_TYPES   0x0000c0e0u
#define GATE64_TYPES 0x0000c000u
#define ERROR_IDT    2u

static uint64_t exits_counted(const struct vcpu *vcpu)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < EXIT_KIND_COUNT; i++)
		sum += vcpu->statistics.counter[i].count;
	return sum;
}

/* Is the gate none, or one of those that software may not use? ICEBP may use each. APM vol. 2, "Privilege Checks"
 * (8.7.4) */
static bool gate_refuses(struct vcpu *vcpu, const struct event *event)
{
	const struct vmcb *vmcb = &svm_vcpu(vcpu)->vmcb;
	bool is_long = vmcb->efer & EFER_LMA;
	unsigned size = is_long ? GATE64_SIZE : GATE_SIZE;
	struct mem_fault fault;
	uint8_t access;

	if (!(vmcb->cr0 & CR0_PE) || (event->type == EVENT_SOFT_EXCEPT && event->vector == VECTOR_DB))
		return false;
	if ((event->vector + 1u) * size - 1 > vmcb->idtr.limit)
		return true;
	/* what is not mapped is a page fault, which the CPU raises */
	if (mem_read(vcpu, vmcb->idtr.base + event->vector * size + GATE_ACCESS, &access, 1, ACCESS_READ | MEM_IMPLICIT,
		     &fault))
		return false;
	return !((is_long ? GATE64_TYPES : GATE_TYPES) >> (access & GATE_TYPE) & 1) ||
	       (access >> GATE_DPL_SHIFT & 3) < vmcb->cpl;
}

void svm_inject(struct vcpu *vcpu, const struct event *event)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb *vmcb = &svm->vmcb;
	uint64_t raw = VMCB_EVENT_VALID | event->vector;
	unsigned type = VMCB_EVENT_TYPE_EXCEPT;

	switch ((enum event_type)event->type) {
	case EVENT_NONE:
		return;
	case EVENT_INTR:
		type = VMCB_EVENT_TYPE_INTR;
		break;
	case EVENT_NMI:
		type = VMCB_EVENT_TYPE_NMI;
		break;
	case EVENT_SOFT_INTR:
		type = VMCB_EVENT_TYPE_SOFT;
		break;
	case EVENT_EXCEPTION:
	case EVENT_SOFT_EXCEPT:
		break;
	}
	if (event->type == EVENT_SOFT_INTR || event->type == EVENT_SOFT_EXCEPT) {
		bool is_pushed = svm->has_nrip && !(vcpu->vm->quirks & QUIRK_NRIP_NOT_PUSHED);

		/*
		 * What the CPU pushes is the address behind the instruction: it takes it from nRIP if it has that, else
		 * from RIP as it stands, and the instruction was not completed. An exit may come between again: it
		 * needs RIP as it was. So does a fault: each one exits, until the first that does.
		 */
		if (!is_pushed && gate_refuses(vcpu, event)) {
			svm_inject(vcpu, &(struct event){.type = EVENT_EXCEPTION,
							 .vector = VECTOR_GP,
							 .has_error = true,
							 .error = event->vector * 8u + ERROR_IDT});
			return;
		}
		svm->soft_exits = exits_counted(vcpu);
		svm->soft_rip = vcpu->rip;
		svm->soft_length = event->length;
		vmcb->nrip = mode_rip_after(vcpu->rip, event->length, vcpu->code_flags & SEG_ATTR_L,
					    vcpu->code_flags & SEG_ATTR_DB);
		if (!is_pushed) {
			vcpu->rip = vmcb->nrip;
			vmcb->intercept_exceptions = 0xffffffff;
		}
		vmcb->interrupt_shadow = 0;
	}
	if (event->has_error)
		raw |= VMCB_EVENT_ERROR_VALID | (uint64_t)event->error << VMCB_EVENT_ERROR_SHIFT;
	if (event->type == EVENT_EXCEPTION && event->vector == VECTOR_PF) {
		vmcb->cr2 = event->address;
		if (vcpu->vm->quirks & QUIRK_VMRUN_KEEPS_CR2)
			cpu_cr_set(2, event->address);
	}
	vmcb->eventinj = raw | (uint64_t)type << VMCB_EVENT_TYPE_SHIFT;
}

static enum event_type exception_type(const struct vm *vm, uint8_t vector)
{
	if (vm->quirks & QUIRK_ALL_ARE_EXCEPTIONS && vector == VECTOR_NMI)
		return EVENT_NMI;
	if (vm->quirks & QUIRK_ALL_ARE_EXCEPTIONS && vector > VECTOR_EXCEPTION_LAST)
		return EVENT_INTR;
	return vector == VECTOR_BP || vector == VECTOR_OF ? EVENT_SOFT_EXCEPT : EVENT_EXCEPTION;
}

void svm_delivery_interrupted(struct svm_vcpu *svm)
{
	uint64_t raw = svm->vmcb.exitintinfo;
	struct event *event = &svm->vcpu.events.delivery;

	*event = (struct event){.vector = (uint8_t)raw};
	switch (raw >> VMCB_EVENT_TYPE_SHIFT & 7) {
	case VMCB_EVENT_TYPE_NMI:
		event->type = EVENT_NMI;
		break;
	case VMCB_EVENT_TYPE_EXCEPT:
		event->type = (uint8_t)exception_type(svm->vcpu.vm, event->vector);
		break;
	case VMCB_EVENT_TYPE_SOFT:
		event->type = EVENT_SOFT_INTR;
		break;
	default:
		event->type = EVENT_INTR;
		break;
	}
	if (raw & VMCB_EVENT_ERROR_VALID) {
		event->has_error = true;
		event->error = (uint32_t)(raw >> VMCB_EVENT_ERROR_SHIFT);
	}
	if (event->type == EVENT_EXCEPTION && event->vector == VECTOR_PF)
		event->address = svm->vmcb.cr2;
	if (event->type == EVENT_SOFT_INTR || event->type == EVENT_SOFT_EXCEPT) {
		/* no exit since we injected it: RIP is behind its instruction already */
		if (svm->soft_exits && svm->soft_exits == exits_counted(&svm->vcpu)) {
			svm->vcpu.rip = svm->soft_rip;
			event->length = svm->soft_length;
		} else {
			event->length = (uint8_t)vcpu_insn_length(&svm->vcpu);
		}
	}
	svm->vcpu.work |= WORK_DELIVERY | WORK_EVENT;
}

/* Interrupts stay off: RFLAGS.IF is 0. */
void svm_admit(struct vcpu *vcpu)
{
	svm_insn_stgi();
	svm_insn_clgi();
	(void)event_arrivals_collect(vcpu);
}
