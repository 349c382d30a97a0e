/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSRs that entries and exits switch are guest state; the others are the CPU's own, as RDMSR and WRMSR of the guest
 * would reach them.
 */
#include "core/control/msr.h"

#include <undercroft/vcpu.h>
#include <x86/msr.h>

#include "core/control/regs_check.h"
#include "core/exit.h"

static const struct {
	uint32_t msr;
	enum reg reg;
} state[] = {
	{MSR_EFER, REG_EFER},
	{MSR_STAR, REG_STAR},
	{MSR_LSTAR, REG_LSTAR},
	{MSR_CSTAR, REG_CSTAR},
	{MSR_FMASK, REG_FMASK},
	{MSR_KERNEL_GS_BASE, REG_KERNEL_GS_BASE},
	{MSR_SYSENTER_CS, REG_SYSENTER_CS},
	{MSR_SYSENTER_ESP, REG_SYSENTER_ESP},
	{MSR_SYSENTER_EIP, REG_SYSENTER_EIP},
	{MSR_PAT, REG_PAT},
};

static enum reg reg_of(uint32_t index)
{
	for (unsigned i = 0; i < ARRAY_SIZE(state); i++) {
		if (state[i].msr == index)
			return state[i].reg;
	}
	return REG_COUNT;
}

bool control_msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	enum reg reg = reg_of(index);
	struct segment s;

	if (reg != REG_COUNT) {
		*value = vcpu->backend->reg_get(vcpu, reg);
		return true;
	}
	if (index != MSR_FS_BASE && index != MSR_GS_BASE)
		return msr_guest_read(vcpu, index, value);
	vcpu->backend->seg_get(vcpu, index == MSR_FS_BASE ? SEG_FS : SEG_GS, &s);
	*value = s.base;
	return true;
}

bool control_msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	enum seg seg = index == MSR_FS_BASE ? SEG_FS : SEG_GS;
	enum reg reg = reg_of(index);
	struct segment s;

	if (reg != REG_COUNT)
		return regs_change(vcpu, reg, value) == 0;
	if (index != MSR_FS_BASE && index != MSR_GS_BASE)
		return msr_guest_write(vcpu, index, value);
	vcpu->backend->seg_get(vcpu, seg, &s);
	s.base = value;
	if (regs_check_segment(vcpu, seg, false, &s))
		return false;
	vcpu->backend->seg_set(vcpu, seg, &s);
	return true;
}
