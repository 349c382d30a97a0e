/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the entry checks of the two vendors ask of registers that a debugger may set.
 * Source: SDM vol. 3, "Checks on the Guest State Area" (26.3.1); APM vol. 2, "Canonicalization and Consistency Checks"
 * (15.5.1).
 */
#include "core/control/regs_check.h"

#include <undercroft/debug.h>
#include <undercroft/errno.h>
#include <undercroft/vcpu.h>
#include <undercroft/vm.h>
#include <x86/cr.h>
#include <x86/dr.h>
#include <x86/flags.h>
#include <x86/msr.h>

#include "core/exit.h"

#define FLAGS_DEFINED 0x003f7fd7u
/* CR4 bits that every CPU with long mode has; others stay or go, but do not come */
#define CR4_ALWAYS 0x000007ffull
#define CR4_PCE	   0x00000100u

#define TYPE_BITS	 0xfu
#define TYPE_ACCESSED	 0x1u
#define TYPE_WRITABLE	 0x2u /* of data; of code: readable */
#define TYPE_EXPAND_DOWN 0x4u
#define TYPE_LDT	 2u
#define TYPE_TSS_BUSY16	 3u
#define TYPE_TSS_BUSY	 11u
#define SELECTOR_TI	 0x4u
#define ATTR_DEFINED	 0xfffu
#define V8086_ATTR	 0xf3u

struct mode_state regs_mode(struct vcpu *vcpu)
{
	struct segment cs;

	vcpu->backend->seg_get(vcpu, SEG_CS, &cs);
	return (struct mode_state){
		.cr0 = vcpu->backend->reg_get(vcpu, REG_CR0),
		.cr4 = vcpu->backend->reg_get(vcpu, REG_CR4),
		.efer = vcpu->backend->reg_get(vcpu, REG_EFER),
		.rflags = vcpu->rflags,
		.cs_attributes = cs.attributes,
	};
}

/* With 57 bits a few more pass; the CPU's own check comes with the use of the address. */
static bool is_canonical(const struct mode_state *state, uint64_t address)
{
	unsigned unused = state->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

/* CR0 and CR4: as a MOV would change them, LMA with them. PAE's pointers are the CPU's alone: those it must not load.
 */
static int control_change(struct vcpu *vcpu, enum reg reg, uint64_t value)
{
	struct mode_state from = regs_mode(vcpu), to = from;
	uint32_t actions;

	if (reg == REG_CR0)
		to.cr0 = value | CR0_ET;
	else
		to.cr4 = value;
	if (to.cr4 & ~from.cr4 & ~CR4_ALWAYS)
		return -EINVAL;
	to.efer &= ~(uint64_t)EFER_LMA;
	if (to.cr0 & CR0_PG && to.efer & EFER_LME)
		to.efer |= EFER_LMA;
	actions = mode_transition(&from, &to);
	if (actions & (MODE_ACTION_REFUSE | MODE_ACTION_LOAD_PDPTES))
		return -EINVAL;
	vcpu->backend->reg_set(vcpu, reg, reg == REG_CR0 ? to.cr0 : to.cr4);
	if (to.efer != from.efer)
		vcpu->backend->reg_set(vcpu, REG_EFER, to.efer);
	if (actions & MODE_ACTION_FLUSH_TLB)
		vcpu->backend->tlb_flush(vcpu, TLB_FLUSH_GUEST);
	return 0;
}

static int cr3_change(struct vcpu *vcpu, uint64_t value)
{
	struct mode_state state = regs_mode(vcpu);

	if (value >= vcpu->vm->physical_limit || mode_paging(&state) == PAGING_PAE)
		return -EINVAL;
	vcpu->backend->reg_set(vcpu, REG_CR3, value);
	vcpu->backend->tlb_flush(vcpu, TLB_FLUSH_GUEST);
	return 0;
}

/* What a register may hold; the bits that are always one are added. */
static bool value_fits(struct vcpu *vcpu, enum reg reg, uint64_t *value)
{
	struct mode_state state = regs_mode(vcpu);

	switch (reg) {
	case REG_RIP:
		if (mode_classify(&state) == MODE_LONG64)
			return is_canonical(&state, *value);
		return *value <= 0xffffffff;
	case REG_RFLAGS:
		*value |= X86_FLAGS_FIXED;
		return !(*value & ~(uint64_t)FLAGS_DEFINED) && !((*value ^ state.rflags) & X86_FLAGS_VM);
	case REG_CR8:
		return *value <= 15;
	case REG_DR6:
		*value = (*value & ~(uint64_t)DR6_ONES) | DR6_ONES;
		return !(*value & ~(uint64_t)(DR6_ONES | DR6_WRITABLE));
	case REG_DR7:
		*value |= DR7_ONES;
		return !(*value & ~(uint64_t)(DR7_ONES | DR7_WRITABLE));
	case REG_GDTR_BASE:
	case REG_IDTR_BASE:
	case REG_LSTAR:
	case REG_CSTAR:
	case REG_KERNEL_GS_BASE:
	case REG_SYSENTER_ESP:
	case REG_SYSENTER_EIP:
		return is_canonical(&state, *value);
	case REG_GDTR_LIMIT:
	case REG_IDTR_LIMIT:
		return *value <= 0xffff;
	case REG_FMASK:
	case REG_SYSENTER_CS:
		return *value <= 0xffffffff;
	case REG_INTERRUPT_SHADOW:
	case REG_NMI_BLOCKED:
		return *value <= 1;
	case REG_CR2:
	case REG_DR0:
	case REG_DR1:
	case REG_DR2:
	case REG_DR3:
	case REG_STAR:
		return true;
	case REG_CR0:
	case REG_CR3:
	case REG_CR4:
	case REG_EFER:
	case REG_PAT:
	case REG_CPL:
	case REG_COUNT:
	default:
		return false;
	}
}

int regs_change(struct vcpu *vcpu, enum reg reg, uint64_t value)
{
	switch ((unsigned)reg) {
	case REG_CR0:
	case REG_CR4:
		return control_change(vcpu, reg, value);
	case REG_CR3:
		return cr3_change(vcpu, value);
	case REG_EFER:
		return msr_guest_write(vcpu, MSR_EFER, value) ? 0 : -EINVAL;
	case REG_PAT:
		return msr_guest_write(vcpu, MSR_PAT, value) ? 0 : -EINVAL;
	case REG_CPL:
		return -EACCES;
	default:
		break;
	}
	if (!value_fits(vcpu, reg, &value))
		return -EINVAL;
	debug_register_set(vcpu, reg, value);
	return 0;
}

/* SDM vol. 3, "Checks on Guest Segment Registers" (26.3.1.2): access rights */
static bool attributes_fit(enum seg seg, const struct mode_state *state, uint16_t was, uint16_t attributes)
{
	unsigned type = attributes & TYPE_BITS;
	bool lma = state->efer & EFER_LMA;

	if (attributes & ~ATTR_DEFINED)
		return false;
	/* privilege changes by the guest's own means alone */
	if ((seg == SEG_CS || seg == SEG_SS) && (attributes ^ was) & SEG_ATTR_DPL)
		return false;
	if (seg == SEG_TR)
		return attributes & SEG_ATTR_PRESENT && !(attributes & SEG_ATTR_S) &&
		       (type == TYPE_TSS_BUSY || (type == TYPE_TSS_BUSY16 && !lma));
	if (!(attributes & SEG_ATTR_PRESENT))
		return seg != SEG_CS;
	if (seg == SEG_LDTR)
		return !(attributes & SEG_ATTR_S) && type == TYPE_LDT;
	if (!(attributes & SEG_ATTR_S) || !(type & TYPE_ACCESSED))
		return false;
	if (seg == SEG_CS) {
		bool both = (attributes & (SEG_ATTR_L | SEG_ATTR_DB)) == (SEG_ATTR_L | SEG_ATTR_DB);

		return (type & SEG_ATTR_CODE ||
			(type == (TYPE_ACCESSED | TYPE_WRITABLE) && type == (was & TYPE_BITS))) &&
		       !(lma && both);
	}
	if (seg == SEG_SS)
		return !(type & SEG_ATTR_CODE) && type & TYPE_WRITABLE;
	return !(type & SEG_ATTR_CODE) || type & TYPE_WRITABLE;
}

static bool base_fits(enum seg seg, const struct mode_state *state, uint64_t base)
{
	if (seg == SEG_FS || seg == SEG_GS || seg == SEG_TR || seg == SEG_LDTR)
		return is_canonical(state, base);
	return base <= 0xffffffff;
}

int regs_check_segment(struct vcpu *vcpu, enum seg seg, bool selector_set, struct segment *s)
{
	struct mode_state state = regs_mode(vcpu), after = state;
	enum cpu_mode mode = mode_classify(&state);
	bool flat = (seg != SEG_LDTR && seg != SEG_TR);
	struct segment was;

	vcpu->backend->seg_get(vcpu, seg, &was);
	/* here, loading a selector is all there is: APM vol. 2, "Real Addressing" (2.1.3) */
	if (selector_set && flat && (mode == MODE_REAL || mode == MODE_V8086))
		s->base = (uint64_t)s->selector << 4;
	if (mode == MODE_V8086 && flat &&
	    (s->base != (uint64_t)s->selector << 4 || s->limit != 0xffff || s->attributes != V8086_ATTR))
		return -EINVAL;
	if (!flat && s->selector & SELECTOR_TI)
		return -EINVAL;
	if (s->limit > 0xfffff && (s->limit & 0xfff) != 0xfff)
		return -EINVAL;
	if (s->limit > 0xfffff)
		s->attributes |= SEG_ATTR_G;
	else if ((s->limit & 0xfff) != 0xfff)
		s->attributes &= (uint16_t)~SEG_ATTR_G;
	if (mode != MODE_V8086 && s->attributes != was.attributes &&
	    !attributes_fit(seg, &state, was.attributes, s->attributes))
		return -EINVAL;
	if (!base_fits(seg, &state, s->base))
		return -EINVAL;
	if (seg == SEG_CS) {
		after.cs_attributes = s->attributes;
		if (mode_classify(&after) == MODE_INVALID || (mode_classify(&after) != MODE_LONG64 && vcpu->rip >> 32))
			return -EINVAL;
	}
	return 0;
}
