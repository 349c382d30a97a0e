/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events in the VMCS' format. SDM vol. 3, "Event Injection" (26.6) and "Information for VM Exits That Occur During
 * Event Delivery" (27.2.4). What wins is core's decision.
 */
#include <platform/registers.h>
#include <platform/vmcs.h>
#include <x86/cr.h>

#include "backends/vmx/vmx.h"

#define VECTOR_DB 1
#define VECTOR_PF 14

static bool is_protected_mode(void)
{
	return vmcs_read(VMCS_GUEST_CR0) & CR0_PE;
}

void vmx_inject(struct vcpu *vcpu, const struct event *event)
{
	uint32_t info = VMCS_EVENT_VALID | event->vector, type = VMCS_EVENT_TYPE_EXCEPT;

	switch ((enum event_type)event->type) {
	case EVENT_NONE:
		return;
	case EVENT_INTR:
		type = VMCS_EVENT_TYPE_INTR;
		break;
	case EVENT_NMI:
		type = VMCS_EVENT_TYPE_NMI;
		break;
	case EVENT_SOFT_INTR:
		type = VMCS_EVENT_TYPE_SOFT;
		break;
	case EVENT_SOFT_EXCEPT:
		type = event->vector == VECTOR_DB ? VMCS_EVENT_TYPE_INT1 : VMCS_EVENT_TYPE_INT3;
		break;
	case EVENT_EXCEPTION:
		break;
	}
	/* what the CPU pushes is RIP plus this */
	if (event->type == EVENT_SOFT_INTR || event->type == EVENT_SOFT_EXCEPT)
		vmcs_write(VMCS_ENTRY_INSTRUCTION_LENGTH, event->length);
	/* an entry with an error code fails in real mode: SDM vol. 3, "VM-Entry Control Fields" (26.2.1.3) */
	if (event->has_error && is_protected_mode()) {
		info |= VMCS_EVENT_ERROR_VALID;
		vmcs_write(VMCS_ENTRY_EXCEPTION_ERROR, event->error & 0xffff);
	}
	if (event->type == EVENT_EXCEPTION && event->vector == VECTOR_PF)
		cpu_cr_set(2, event->address);
	(void)vcpu;
	vmcs_write(VMCS_ENTRY_INTR_INFO, info | type << VMCS_EVENT_TYPE_SHIFT);
}

void vmx_delivery_interrupted(struct vmx_vcpu *vmx, uint32_t info, uint64_t error_field)
{
	struct event *event = &vmx->vcpu.events.delivery;

	*event = (struct event){.vector = (uint8_t)info};
	switch ((info & VMCS_EVENT_TYPE) >> VMCS_EVENT_TYPE_SHIFT) {
	case VMCS_EVENT_TYPE_NMI:
		event->type = EVENT_NMI;
		break;
	case VMCS_EVENT_TYPE_EXCEPT:
		event->type = EVENT_EXCEPTION;
		break;
	case VMCS_EVENT_TYPE_SOFT:
		event->type = EVENT_SOFT_INTR;
		break;
	case VMCS_EVENT_TYPE_INT1:
	case VMCS_EVENT_TYPE_INT3:
		event->type = EVENT_SOFT_EXCEPT;
		break;
	default:
		event->type = EVENT_INTR;
		break;
	}
	/* in real mode there are none, though Bochs claims so */
	if (info & VMCS_EVENT_ERROR_VALID && is_protected_mode()) {
		event->has_error = true;
		event->error = (uint32_t)vmcs_read(error_field);
	}
	if (event->type == EVENT_EXCEPTION && event->vector == VECTOR_PF)
		event->address = cpu_cr_get(2);
	if (event->type == EVENT_SOFT_INTR || event->type == EVENT_SOFT_EXCEPT)
		event->length = vmx->vcpu.exit.length;
	vmx->vcpu.work |= WORK_DELIVERY | WORK_EVENT;
}
