/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the VMX backend's files share.
 */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include <undercroft/vcpu.h>

#include "backends/vmx/controls.h"
#include "backends/vmx/vmcs.h"

#define VMX_VPID 1

struct vmx_vcpu {
	struct vcpu vcpu;	   /* first: vmx_enter relies on it */
	bool launched;		   /* the next entry is a VMRESUME */
	bool current;		   /* the VMCS can be read and written */
	bool step_held;		   /* interrupts are held off for it */
	bool window;		   /* INTERCEPT_NMI_WINDOW is on */
	bool paging;		   /* INTERCEPT_PAGING is on */
	bool debug_registers;	   /* INTERCEPT_DR is on */
	bool timing;		   /* the timer runs */
	uint8_t step_blocking;	   /* VMCS_BLOCKING_SHADOW bits at the start of a step */
	uint64_t step_pending;	   /* the debug exceptions that its shadow holds back */
	uint32_t saved_exceptions; /* intercepts as they are outside of a step */
	struct vmx_controls controls;
	char refusal[96]; /* why the CPU did not go on, in words */
	paddr_t vmxon, vmcs;
	paddr_t iopm_address, msrpm_address;
	uint8_t *iopm, *msrpm;
};

static inline struct vmx_vcpu *vmx_vcpu(struct vcpu *vcpu)
{
	return CONTAINER_OF(vcpu, struct vmx_vcpu, vcpu);
}

/* The form core keeps access rights in: a descriptor's, closed up. */
static inline uint16_t vmx_attributes(uint64_t access)
{
	return (uint16_t)((access & VMCS_ACCESS_LOW) | (access & VMCS_ACCESS_HIGH) >> VMCS_ACCESS_HIGH_SHIFT);
}

/* cpuid.c */
unsigned vmx_cpuid_hidden(struct platform *platform, struct cpuid_hidden *out, unsigned max);

/* vcpu.c */
int vmx_vcpu_init(struct vcpu *vcpu);
int vmx_cpu_enable(struct vcpu *vcpu);

/* run.c */
void vmx_run(struct vcpu *vcpu);
int vmx_exit(struct vmx_vcpu *vmx);
int vmx_entry_failed(struct vmx_vcpu *vmx);
void vmx_decode_detail(struct vcpu *vcpu);

/* entry.S: enters the guest until vmx_exit() returns non-zero. */
void vmx_enter(struct vmx_vcpu *vmx);
/* entry.S: where the CPU goes on after an exit. */
extern const uint8_t vmx_exit_entry[];

/* regs.c */
uint64_t vmx_reg_get(struct vcpu *vcpu, enum reg reg);
void vmx_reg_set(struct vcpu *vcpu, enum reg reg, uint64_t value);
void vmx_seg_get(struct vcpu *vcpu, enum seg seg, struct segment *out);
void vmx_seg_set(struct vcpu *vcpu, enum seg seg, const struct segment *value);

/* intercept.c */
uint64_t vmx_debugctl_get(struct vcpu *vcpu);
void vmx_debugctl_set(struct vcpu *vcpu, uint64_t value);
int vmx_intercept(struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument, bool on);
void vmx_window_update(struct vmx_vcpu *vmx);
void vmx_kick(struct vcpu *vcpu);
int vmx_timer(struct vcpu *vcpu, uint64_t microseconds);
void vmx_step(struct vcpu *vcpu, bool on);

/* event.c */
void vmx_inject(struct vcpu *vcpu, const struct event *event);
/* error_field: where the event's error code is, if info says that it has one */
void vmx_delivery_interrupted(struct vmx_vcpu *vmx, uint32_t info, uint64_t error_field);

/* nested.c */
uint64_t vmx_nested_encode(const struct nested_entry *entry, unsigned level);
void vmx_nested_decode(uint64_t raw, unsigned level, struct nested_entry *entry);
void vmx_nested_activate(struct vcpu *vcpu, const struct nested_view *view);
void vmx_tlb_flush(struct vcpu *vcpu, enum tlb_scope scope);

/* dump.c */
void vmx_dump(struct vcpu *vcpu);

/* refusal.c: why an entry failed (reason 0: it did not even begin), or what is wrong in the EPT, in words. */
void vmx_refusal(struct vmx_vcpu *vmx, uint64_t reason);
/* Logs the entries of each level that the CPU walks for a guest-physical address. */
void vmx_ept_log(struct vcpu *vcpu, gpa_t gpa);

#endif
