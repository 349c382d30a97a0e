/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intercepts and stepping. SDM vol. 3, "VM-Execution Control Fields" (24.6) and "VMX Non-Root Operation" (25).
 */
#include <platform/vmcs.h>
#include <undercroft/errno.h>
#include <x86/flags.h>

#include "backends/vmx/vmx.h"

static void bit_set(uint8_t *map, uint32_t bit, bool on)
{
	if (on)
		map[bit / 8] |= (uint8_t)(1u << bit % 8);
	else
		map[bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

/*
 * Four bitmaps of 1 KiB: reads of the low and of the high MSRs, then writes. An MSR in neither range exits whatever is
 * asked for. SDM vol. 3, "MSR-Bitmap Address" (24.6.9)
 */
static int msrpm_set(struct vmx_vcpu *vmx, uint32_t index, bool write, bool on)
{
	uint32_t bit = write ? 0x4000 : 0;

	if (index < 0x2000)
		bit += index;
	else if (index >= 0xc0000000 && index < 0xc0002000)
		bit += 0x2000 + (index - 0xc0000000);
	else
		return 0;
	bit_set(vmx->msrpm, bit, on);
	return 0;
}

int vmx_intercept(struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument, bool on)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	switch (kind) {
	case INTERCEPT_MSR_READ:
	case INTERCEPT_MSR_WRITE:
		return msrpm_set(vmx, argument, kind == INTERCEPT_MSR_WRITE, on);
	case INTERCEPT_PORT:
		if (argument > 0xffff)
			return -EINVAL;
		bit_set(vmx->iopm, argument, on);
		return 0;
	case INTERCEPT_EXCEPTION:
		if (argument > 31)
			return -EINVAL;
		bit_set((uint8_t *)&vmx->saved_exceptions, argument, on);
		if (vmx->current && !vmx->stepping)
			vmcs_write(VMCS_EXCEPTION_BITMAP, vmx->saved_exceptions);
		return 0;
	case INTERCEPT_NMI:
	case INTERCEPT_NMI_WINDOW:
	case INTERCEPT_INTR:
	default:
		return -ENOTSUP;
	}
}

/*
 * An interrupt that the guest can take comes before the instruction, as it does without us: it exits, and core gives
 * the step up. One that the guest holds off stays pending: the trap behind the instruction comes before it, even if the
 * instruction sets IF. In the shadow of STI or MOV SS the instruction comes first; MOV SS's shadow, unlike STI's, lets
 * TF's trap wait until it is over. SDM vol. 3, "Priority Among Simultaneous Exceptions and Interrupts" (6.9), "VM-Entry
 * Interruptibility" (26.3.1.5) and "Delivery of Pending Debug Exceptions after VM Entry" (26.7.3)
 */
static void step_begin(struct vmx_vcpu *vmx)
{
	uint64_t blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
	uint32_t pin = vmx->controls.value[VMX_CONTROL_PIN] | VMCS_PIN_NMI_EXITING;

	vmx->stepping = true;
	vmx->step_rip = vmx->vcpu.rip;
	vmx->step_blocking = blocking & VMCS_BLOCKING_SHADOW;
	if (vmx->step_blocking) {
		blocking = (blocking & ~(uint64_t)VMCS_BLOCKING_SHADOW) | VMCS_BLOCKING_MOV_SS;
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocking);
		vmcs_write(VMCS_GUEST_PENDING_DEBUG, VMCS_PENDING_BS);
	} else if (vmx->vcpu.rflags & X86_FLAGS_IF) {
		pin |= VMCS_PIN_INTR_EXITING;
	}
	vmcs_write(VMCS_PIN_CONTROLS, pin);
	vmcs_write(VMCS_EXCEPTION_BITMAP, 0xffffffff);
	vmx->vcpu.rflags |= X86_FLAGS_TF;
}

static void step_end(struct vmx_vcpu *vmx)
{
	uint64_t blocking;

	vmx->stepping = false;
	vmcs_write(VMCS_PIN_CONTROLS, vmx->controls.value[VMX_CONTROL_PIN]);
	vmcs_write(VMCS_EXCEPTION_BITMAP, vmx->saved_exceptions);
	if (!vmx->step_blocking || vmx->vcpu.rip != vmx->step_rip)
		return;
	/* given up before it completed */
	blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)VMCS_BLOCKING_SHADOW;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocking | vmx->step_blocking);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
}

void vmx_step(struct vcpu *vcpu, bool on)
{
	if (on)
		step_begin(vmx_vcpu(vcpu));
	else
		step_end(vmx_vcpu(vcpu));
}
