/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's debug registers: the CPU's own, or, while breakpoints of run control are in those, what the guest has
 * been told. Then MOV DR and #DB exit, and the CPU's DR6 says what happened since the last #DB.
 */
#ifndef CORE_DR_H
#define CORE_DR_H

#include <undercroft/vcpu.h>
#include <x86/dr.h>

_Static_assert(REG_DR7 - REG_DR0 == DR_COUNT - 1 && REG_DR6 - REG_DR0 == 4, "struct dr_state");

/* reg: REG_DR0 to REG_DR7 */
static inline uint64_t dr_get(struct vcpu *vcpu, enum reg reg)
{
	return vcpu->dr.shadowed ? vcpu->dr.guest[reg - REG_DR0] : vcpu->backend->reg_get(vcpu, reg);
}

/* Of DR7 the bits that enable breakpoints stay as they are: debug_register_set() is for those. */
static inline void dr_set(struct vcpu *vcpu, enum reg reg, uint64_t value)
{
	if (vcpu->dr.shadowed) {
		vcpu->dr.guest[reg - REG_DR0] = value;
		if (reg != REG_DR6)
			return;
		value = DR6_ONES;
	}
	vcpu->backend->reg_set(vcpu, reg, value);
}

/* Of DR6.B0 to B3, those of breakpoints that are enabled: the CPU may report other matches as well. */
uint64_t dr_enabled(struct vcpu *vcpu, uint64_t dr6);

static inline uint64_t dr_hits(struct vcpu *vcpu)
{
	uint64_t dr6 = vcpu->backend->reg_get(vcpu, REG_DR6);

	return dr6 & DR6_B ? dr_enabled(vcpu, dr6) : 0;
}

/* Those of these hits that trap behind an instruction. Breakpoints at instructions come before it, whatever DR6 says.
 */
uint64_t dr_traps(struct vcpu *vcpu, uint64_t hits);

#endif
