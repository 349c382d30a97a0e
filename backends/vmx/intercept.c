/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intercepts, stepping and the timer. SDM vol. 3, "VM-Execution Control Fields" (24.6) and "VMX Non-Root Operation"
 * (25).
 */
#include <platform/vmcs.h>
#include <undercroft/errno.h>
#include <undercroft/machine.h>
#include <undercroft/platform.h>
#include <x86/cr.h>
#include <x86/flags.h>
#include <x86/msr.h>

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

/* The two fields have to agree. SDM vol. 3, "VM-Exit Control Fields" (26.2.1.2) */
static void pin_controls_write(const struct vmx_vcpu *vmx)
{
	uint32_t pin = vmx->controls.value[VMX_CONTROL_PIN], exit = vmx->controls.value[VMX_CONTROL_EXIT];

	if (vmx->timing) {
		pin |= VMCS_PIN_TIMER;
		exit |= VMCS_EXIT_SAVE_TIMER;
	}
	vmcs_write(VMCS_PIN_CONTROLS, pin);
	vmcs_write(VMCS_EXIT_CONTROLS, exit);
}

static uint32_t arrivals(const struct vmx_vcpu *vmx)
{
	return __atomic_load_n(&vmx->vcpu.arrived.nmi, __ATOMIC_RELAXED) +
	       __atomic_load_n(&vmx->vcpu.arrived.machine_check, __ATOMIC_RELAXED);
}

static void processor_controls_write(const struct vmx_vcpu *vmx, bool window)
{
	uint32_t controls = vmx->controls.value[VMX_CONTROL_PROCESSOR];

	if (window)
		controls |= VMCS_PROCESSOR_NMI_WINDOW;
	if (vmx->paging)
		controls |= VMCS_PROCESSOR_CR3_LOAD_EXITING | VMCS_PROCESSOR_INVLPG_EXITING;
	if (vmx->debug_registers)
		controls |= VMCS_PROCESSOR_MOV_DR_EXITING;
	vmcs_write(VMCS_PROCESSOR_CONTROLS, controls);
}

/*
 * "NMI-window exiting" as core asks for it, and on as long as something that arrived has not been collected. What
 * arrives between the question and the write has opened a window that the write closes: so it is asked again.
 */
void vmx_window_update(struct vmx_vcpu *vmx)
{
	if (!vmx->current)
		return;
	processor_controls_write(vmx, vmx->window);
	if (arrivals(vmx))
		processor_controls_write(vmx, true);
}

/*
 * An NMI or a machine check was taken in VMX root operation: nothing holds them back there. Behind the last look at the
 * work word there is no place where our code could learn of it, so the window is opened here, in the field that the
 * entry itself looks at: one write, which disturbs no other. SDM vol. 3, "NMI-Window Exiting and Virtual-NMI Blocking"
 * (26.7.6)
 */
void vmx_kick(struct vcpu *vcpu)
{
	if (vmx_vcpu(vcpu)->current)
		processor_controls_write(vmx_vcpu(vcpu), true);
}

/*
 * The timer counts the TSC down, less its lowest bits, and stands still while our code runs, because exits save it. SDM
 * vol. 3, "VMX-Preemption Timer" (25.5.1)
 */
int vmx_timer(struct vcpu *vcpu, uint64_t microseconds)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	uint64_t misc, ticks, mhz = vcpu->vm->machine->tsc_mhz;

	if (!vmx->controls.timer || vcpu->vm->platform->ops->msr_read(vcpu->vm->platform, MSR_VMX_MISC, &misc))
		return -ENOTSUP;
	vmx->timing = microseconds != 0;
	if (vmx->timing) {
		ticks = mhz && microseconds > UINT64_MAX / mhz ? UINT64_MAX : microseconds * mhz;
		ticks >>= misc & VMX_MISC_TIMER_RATE;
		vmcs_write(VMCS_PREEMPTION_TIMER, ticks > UINT32_MAX ? UINT32_MAX : ticks);
	}
	pin_controls_write(vmx);
	return 0;
}

/* Bits whose change changes translations. SDM vol. 3, "Paging-Mode Enabling" (4.1.2), "Paging-Mode Modifiers" (4.1.3)
 */
#define CR0_PAGING (CR0_PG)
#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_LA57)

/*
 * Exits for CR3, INVLPG and INVPCID, and for the bits of CR0 and CR4: the guest reads those from the shadows, which
 * then have to say what the registers do.
 */
static void paging_update(struct vmx_vcpu *vmx)
{
	uint64_t cr0 = vmx_reg_get(&vmx->vcpu, REG_CR0), cr4 = vmx_reg_get(&vmx->vcpu, REG_CR4);

	vmcs_write(VMCS_CR0_SHADOW, cr0);
	vmcs_write(VMCS_CR4_SHADOW, cr4);
	vmcs_write(VMCS_CR0_MASK, CR0_NE | (vmx->paging ? CR0_PAGING : 0));
	vmcs_write(VMCS_CR4_MASK, CR4_VMXE | (vmx->paging ? CR4_PAGING : 0));
	vmx_window_update(vmx);
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
		if (vmx->current && !vcpu->single.active)
			vmcs_write(VMCS_EXCEPTION_BITMAP, vmx->saved_exceptions);
		return 0;
	case INTERCEPT_NMI_WINDOW:
		vmx->window = on;
		vmx_window_update(vmx);
		return 0;
	case INTERCEPT_PAGING:
		vmx->paging = on;
		paging_update(vmx);
		return 0;
	case INTERCEPT_DR:
		vmx->debug_registers = on;
		vmx_window_update(vmx);
		return 0;
	case INTERCEPT_NMI: /* each of them exits */
	case INTERCEPT_INTR:
	case INTERCEPT_IDLE:
	case INTERCEPT_CR3:
	default:
		return -ENOTSUP;
	}
}

/*
 * Interrupts wait for the end of the step: the shadow of MOV SS holds them off for one instruction, and the trap behind
 * it, which the shadow lets wait until it is over, comes before they do. That is also right where the guest is in the
 * shadow of STI or MOV SS already. SDM vol. 3, "Priority Among Simultaneous Exceptions and Interrupts" (6.9), "VM-Entry
 * Interruptibility" (26.3.1.5) and "Delivery of Pending Debug Exceptions after VM Entry" (26.7.3)
 */
static void step_hold(struct vmx_vcpu *vmx, uint64_t blocking)
{
	vmx->step_blocking = blocking & VMCS_BLOCKING_SHADOW;
	/* a data breakpoint that MOV SS hit */
	vmx->step_pending = vmx->step_blocking ? vmcs_read(VMCS_GUEST_PENDING_DEBUG) : 0;
	blocking = (blocking & ~(uint64_t)VMCS_BLOCKING_SHADOW) | VMCS_BLOCKING_MOV_SS;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocking);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, vmx->step_pending | VMCS_PENDING_BS);
}

static void step_begin(struct vmx_vcpu *vmx)
{
	uint64_t blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);

	vmx->step_held = blocking & VMCS_BLOCKING_SHADOW || vmx->vcpu.rflags & X86_FLAGS_IF;
	if (vmx->step_held)
		step_hold(vmx, blocking);
	vmcs_write(VMCS_EXCEPTION_BITMAP, 0xffffffff);
	vmx->vcpu.rflags |= X86_FLAGS_TF;
}

static void step_end(struct vmx_vcpu *vmx)
{
	uint64_t blocking;

	vmcs_write(VMCS_EXCEPTION_BITMAP, vmx->saved_exceptions);
	if (!vmx->step_held || vmx->vcpu.rip != vmx->vcpu.single.rip)
		return;
	/* given up before it completed */
	blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)VMCS_BLOCKING_SHADOW;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocking | vmx->step_blocking);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, vmx->step_pending);
}

void vmx_step(struct vcpu *vcpu, bool on)
{
	if (on)
		step_begin(vmx_vcpu(vcpu));
	else
		step_end(vmx_vcpu(vcpu));
}
