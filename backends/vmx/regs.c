/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest registers. Most lie in the VMCS, some stay in the CPU because the host does not use them. SDM vol. 3,
 * "Guest-State Area" (24.4).
 */
#include <platform/registers.h>
#include <platform/vmcs.h>
#include <undercroft/mem.h>
#include <undercroft/platform.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "backends/vmx/vmx.h"

#define PDPT_ADDRESS 0xffffffe0ull
#define PDPTE_COUNT  4

/* Where each register is: a field of the VMCS, or an MSR that entries and exits leave alone. */
static const struct {
	uint16_t field; /* 0: none */
	uint32_t msr;	/* 0: none */
} places[REG_COUNT] = {
	[REG_CR3] = {.field = VMCS_GUEST_CR3},
	[REG_DR7] = {.field = VMCS_GUEST_DR7},
	[REG_EFER] = {.field = VMCS_GUEST_EFER},
	[REG_GDTR_BASE] = {.field = VMCS_GUEST_GDTR_BASE},
	[REG_GDTR_LIMIT] = {.field = VMCS_GUEST_GDTR_LIMIT},
	[REG_IDTR_BASE] = {.field = VMCS_GUEST_IDTR_BASE},
	[REG_IDTR_LIMIT] = {.field = VMCS_GUEST_IDTR_LIMIT},
	[REG_STAR] = {.msr = MSR_STAR},
	[REG_LSTAR] = {.msr = MSR_LSTAR},
	[REG_CSTAR] = {.msr = MSR_CSTAR},
	[REG_FMASK] = {.msr = MSR_FMASK},
	[REG_KERNEL_GS_BASE] = {.msr = MSR_KERNEL_GS_BASE},
	[REG_SYSENTER_CS] = {.field = VMCS_GUEST_SYSENTER_CS},
	[REG_SYSENTER_ESP] = {.field = VMCS_GUEST_SYSENTER_ESP},
	[REG_SYSENTER_EIP] = {.field = VMCS_GUEST_SYSENTER_EIP},
	[REG_PAT] = {.field = VMCS_GUEST_PAT},
};

/* The guest sees the owned bits as it wrote them, the others as they are. */
static uint64_t masked_get(uint64_t field, uint64_t shadow, uint64_t owned)
{
	return (vmcs_read(field) & ~owned) | (vmcs_read(shadow) & owned);
}

/* What is not simply in a field. */
static __attribute__((noinline)) uint64_t reg_find(struct vcpu *vcpu, enum reg reg)
{
	struct platform *platform = vcpu->vm->platform;
	uint64_t value;

	switch ((unsigned)reg) {
	case REG_RIP:
		return vcpu->rip;
	case REG_RFLAGS:
		return vcpu->rflags;
	case REG_CR0:
		return masked_get(VMCS_GUEST_CR0, VMCS_CR0_SHADOW, CR0_NE);
	case REG_CR4:
		return masked_get(VMCS_GUEST_CR4, VMCS_CR4_SHADOW, CR4_VMXE);
	case REG_CR2:
		return cpu_cr_get(2);
	case REG_CR8:
		return cpu_cr_get(8);
	case REG_DR0:
	case REG_DR1:
	case REG_DR2:
	case REG_DR3:
		return cpu_dr_get(reg - REG_DR0);
	case REG_CPL:
		return vmcs_read(VMCS_GUEST_SS_ACCESS) >> VMCS_ACCESS_DPL_SHIFT & 3;
	case REG_INTERRUPT_SHADOW:
		return (vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & VMCS_BLOCKING_SHADOW) != 0;
	case REG_NMI_BLOCKED:
		return (vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & VMCS_BLOCKING_NMI) != 0;
	default:
		break;
	}
	/* 0 where the CPU does not have it: SYSCALL's registers without long mode */
	platform->ops->msr_read(platform, places[reg].msr, &value);
	return value;
}

uint64_t vmx_reg_get(struct vcpu *vcpu, enum reg reg)
{
	if (reg == REG_DR6)
		return cpu_dr_get(6);
	return places[reg].field ? vmcs_read(places[reg].field) : reg_find(vcpu, reg);
}

/* The entry control follows EFER.LMA. SDM vol. 3, "Checks on Guest Control Registers, Debug Registers, and MSRs"
 * (26.3.1.1) */
static void efer_set(uint64_t value)
{
	uint64_t controls = vmcs_read(VMCS_ENTRY_CONTROLS) & ~(uint64_t)VMCS_ENTRY_LONG_MODE;

	vmcs_write(VMCS_GUEST_EFER, value);
	vmcs_write(VMCS_ENTRY_CONTROLS, value & EFER_LMA ? controls | VMCS_ENTRY_LONG_MODE : controls);
}

/* STI's blocking demands IF; MOV SS blocks as much and more. With the shadow goes the trap that waits for its end. */
static void shadow_set(const struct vcpu *vcpu, bool on)
{
	uint64_t was = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), blocking = was & ~(uint64_t)VMCS_BLOCKING_SHADOW;

	if (!on && was != blocking)
		vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	if (on)
		blocking |= vcpu->rflags & X86_FLAGS_IF ? VMCS_BLOCKING_STI : VMCS_BLOCKING_MOV_SS;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocking);
}

/*
 * A write of ours to a control register is one of the guest's: it loads the page directory pointers as the MOV would.
 * The guest's own writes load them in the CPU, exits save them and entries load them from the VMCS again, whatever its
 * memory shows meanwhile. SDM vol. 3, "PDPTE Registers" (4.4.1) and "Loading Page-Directory-Pointer-Table Entries"
 * (26.3.2.4)
 */
static void pdptes_load(struct vcpu *vcpu)
{
	const uint64_t *table;

	if (!(vmcs_read(VMCS_GUEST_CR0) & CR0_PG) || !(vmcs_read(VMCS_GUEST_CR4) & CR4_PAE) ||
	    vmcs_read(VMCS_GUEST_EFER) & EFER_LMA)
		return;
	table = mem_gpa_readable(vcpu->vm, vmcs_read(VMCS_GUEST_CR3) & PDPT_ADDRESS, PDPTE_COUNT * sizeof(*table));
	for (unsigned i = 0; i < PDPTE_COUNT; i++) {
		uint64_t pdpte = table ? __atomic_load_n(&table[i], __ATOMIC_RELAXED) : 0;

		/* a device may have written it since it was checked, and an entry fails with a bad one */
		vmcs_write(VMCS_GUEST_PDPTE0 + 2 * i, mode_pdpte_is_valid(pdpte, vcpu->vm->physical_limit) ? pdpte : 0);
	}
}

static void cr_set(struct vcpu *vcpu, uint64_t field, uint64_t value, uint64_t loads)
{
	uint64_t old = vmcs_read(field);

	vmcs_write(field, value);
	if ((old ^ value) & loads)
		pdptes_load(vcpu);
}

/* With "virtual NMIs" it is the guest's blocking, which IRET ends, and says nothing about the CPU's own. */
static void nmi_blocked_set(bool on)
{
	uint64_t blocking = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)VMCS_BLOCKING_NMI;

	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, on ? blocking | VMCS_BLOCKING_NMI : blocking);
}

void vmx_reg_set(struct vcpu *vcpu, enum reg reg, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;

	if (reg == REG_DR6) {
		cpu_dr_set(6, value);
		return;
	}
	switch ((unsigned)reg) {
	case REG_RIP:
		vcpu->rip = value;
		return;
	case REG_RFLAGS:
		vcpu->rflags = value;
		return;
	case REG_CR0:
		cr_set(vcpu, VMCS_GUEST_CR0, value | CR0_NE, CR0_CD | CR0_NW | CR0_PG);
		vmcs_write(VMCS_CR0_SHADOW, value);
		return;
	case REG_CR4:
		cr_set(vcpu, VMCS_GUEST_CR4, value | CR4_VMXE, CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP);
		vmcs_write(VMCS_CR4_SHADOW, value);
		return;
	case REG_CR3:
		vmcs_write(VMCS_GUEST_CR3, value);
		pdptes_load(vcpu);
		return;
	case REG_EFER:
		efer_set(value);
		return;
	case REG_CR2:
		cpu_cr_set(2, value);
		return;
	case REG_CR8:
		cpu_cr_set(8, value);
		return;
	case REG_DR0:
	case REG_DR1:
	case REG_DR2:
	case REG_DR3:
		cpu_dr_set(reg - REG_DR0, value);
		return;
	case REG_CPL: /* it is SS' DPL, which comes with the segment */
		return;
	case REG_INTERRUPT_SHADOW:
		shadow_set(vcpu, value & 1);
		return;
	case REG_NMI_BLOCKED:
		nmi_blocked_set(value & 1);
		return;
	default:
		break;
	}
	if (places[reg].field)
		vmcs_write(places[reg].field, value);
	else
		platform->ops->msr_write(platform, places[reg].msr, value);
}

/* The fields of a segment lie two apart, in the same order for each of the four things known about it. */
static const uint8_t positions[SEG_COUNT] = {
	[SEG_ES] = 0, [SEG_CS] = 2,  [SEG_SS] = 4,    [SEG_DS] = 6,
	[SEG_FS] = 8, [SEG_GS] = 10, [SEG_LDTR] = 12, [SEG_TR] = 14,
};

void vmx_seg_get(struct vcpu *vcpu, enum seg seg, struct segment *out)
{
	uint64_t at = positions[seg], access = vmcs_read(VMCS_GUEST_ES_ACCESS + at);

	(void)vcpu;
	*out = (struct segment){
		.base = vmcs_read(VMCS_GUEST_ES_BASE + at),
		.limit = (uint32_t)vmcs_read(VMCS_GUEST_ES_LIMIT + at),
		.selector = (uint16_t)vmcs_read(VMCS_GUEST_ES_SELECTOR + at),
		.attributes = vmx_attributes(access & VMCS_ACCESS_UNUSABLE ? access & ~(uint64_t)VMCS_ACCESS_PRESENT
									   : access),
	};
}

void vmx_seg_set(struct vcpu *vcpu, enum seg seg, const struct segment *value)
{
	uint64_t at = positions[seg], access = value->attributes & VMCS_ACCESS_LOW;

	(void)vcpu;
	access |= ((uint64_t)value->attributes << VMCS_ACCESS_HIGH_SHIFT) & VMCS_ACCESS_HIGH;
	if (!(value->attributes & SEG_ATTR_PRESENT))
		access |= VMCS_ACCESS_UNUSABLE;
	vmcs_write(VMCS_GUEST_ES_SELECTOR + at, value->selector);
	vmcs_write(VMCS_GUEST_ES_LIMIT + at, value->limit);
	vmcs_write(VMCS_GUEST_ES_ACCESS + at, access);
	vmcs_write(VMCS_GUEST_ES_BASE + at, value->base);
}

uint64_t vmx_debugctl_get(struct vcpu *vcpu)
{
	(void)vcpu;
	return vmcs_read(VMCS_GUEST_DEBUGCTL);
}

void vmx_debugctl_set(struct vcpu *vcpu, uint64_t value)
{
	(void)vcpu;
	vmcs_write(VMCS_GUEST_DEBUGCTL, value);
}
