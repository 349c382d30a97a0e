/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control registers: CR0 and CR4 where the backend owns bits of them, and the extended ones.
 */
#include <undercroft/debug.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <x86/cpuid.h>
#include <x86/cr.h>

#include "core/exit.h"

/* XCR0. SDM vol. 1, "Enabling the XSAVE Feature Set and XSAVE-Enabled Features" (13.3) */
#define XCR0_X87    0x00001u
#define XCR0_SSE    0x00002u
#define XCR0_AVX    0x00004u
#define XCR0_MPX    0x00018u
#define XCR0_AVX512 0x000e0u
#define XCR0_AMX    0x60000u

static bool all_or_none(uint64_t value, uint64_t bits)
{
	return (value & bits) == 0 || (value & bits) == bits;
}

/* Would the CPU take this value? supported: the bits it has. */
static bool xcr0_is_valid(uint64_t value, uint64_t supported)
{
	if (!(value & XCR0_X87) || value & ~supported)
		return false;
	if (value & XCR0_AVX && !(value & XCR0_SSE))
		return false;
	if (value & XCR0_AVX512 && !(value & XCR0_AVX))
		return false;
	return all_or_none(value, XCR0_MPX) && all_or_none(value, XCR0_AVX512) && all_or_none(value, XCR0_AMX);
}

enum verdict exit_xsetbv(struct vcpu *vcpu)
{
	uint64_t value = (uint32_t)vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX] << 32;
	uint32_t index = (uint32_t)vcpu->gpr[GPR_RCX];
	struct platform *platform = vcpu->vm->platform;
	struct cpuid_regs regs;

	platform->ops->cpuid(platform, CPUID_XSAVE, 0, &regs);
	/* a fault of the privilege level comes before the exit, but not on Bochs 2.7 */
	if (vcpu->backend->reg_get(vcpu, REG_CPL) != 0 || index != 0 ||
	    !xcr0_is_valid(value, regs.eax | (uint64_t)regs.edx << 32) ||
	    platform->ops->xcr_write(platform, index, value)) {
		event_queue_gp(vcpu);
		return VERDICT_RESUME;
	}
	return VERDICT_SKIP_INSN;
}

/* Would the CPU raise #GP for this value whatever else is in memory? */
static bool cr0_is_refused(struct vcpu *vcpu, uint64_t cr0)
{
	struct mode_state from = {
		.cr0 = vcpu->backend->reg_get(vcpu, REG_CR0),
		.cr4 = vcpu->backend->reg_get(vcpu, REG_CR4),
		.efer = vcpu->backend->reg_get(vcpu, REG_EFER),
		.rflags = vcpu->rflags,
		.cs_attributes = (uint16_t)vcpu->code_flags,
	};
	struct mode_state to = from;

	to.cr0 = cr0 | CR0_ET;
	to.efer &= ~(uint64_t)EFER_LMA;
	if (cr0 & CR0_PG && from.efer & EFER_LME)
		to.efer |= EFER_LMA;
	return mode_transition(&from, &to) & MODE_ACTION_REFUSE;
}

/*
 * Only a bit that the backend owns makes a write exit. CR0: the guest is shown the bit as it wants it, and the CPU
 * carries out the instruction, which differs in nothing that is owned any more: paging modes, long mode and page
 * directory pointers are its business, and so are the faults it finds in memory. CR4: the bit belongs to what CPUID
 * hides, so it is reserved.
 */
enum verdict exit_cr(struct vcpu *vcpu)
{
	uint64_t value, owned, old;

	vcpu->backend->decode_detail(vcpu);
	if (debug_paging(vcpu))
		return VERDICT_RESUME;
	value = vcpu->detail.cr.value;
	owned = vcpu->detail.cr.owned;
	if (vcpu->detail.cr.number != 0 || cr0_is_refused(vcpu, value)) {
		event_queue_gp(vcpu);
		return VERDICT_RESUME;
	}
	old = vcpu->backend->reg_get(vcpu, REG_CR0);
	if (!((old ^ value) & owned))
		return VERDICT_FATAL;
	vcpu->backend->reg_set(vcpu, REG_CR0, (old & ~owned) | (value & owned));
	return VERDICT_RESUME;
}
