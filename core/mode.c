/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pure half of the mode-transition engine: what a CPU's control state means, and what a change of it asks for.
 * Must not know vCPUs, backends or who asks.
 */
#include <undercroft/mode.h>

#include <undercroft/regs.h>
#include <x86/cr.h>
#include <x86/flags.h>

static bool has(uint64_t value, uint64_t bits)
{
	return (value & bits) == bits;
}

/*
 * Is this a state a CPU can be in? APM vol. 2, "Canonicalization and Consistency Checks" (15.5.1); SDM vol. 3, "Checks
 * on Guest Control Registers, Debug Registers, and MSRs" (26.3.1.1) and "Checks on Guest RIP, RFLAGS, and SSP"
 * (26.3.1.4).
 */
static bool state_is_valid(const struct mode_state *s)
{
	bool pe = s->cr0 & CR0_PE, pg = s->cr0 & CR0_PG, lma = s->efer & EFER_LMA, vm = s->rflags & X86_FLAGS_VM;

	if (s->cr0 >> 32)
		return false;
	if (pg && !pe)
		return false;
	if ((s->cr0 & CR0_NW) && !(s->cr0 & CR0_CD))
		return false;
	if (lma != (pg && (s->efer & EFER_LME)))
		return false;
	if (vm && (!pe || lma))
		return false;
	if (!lma)
		return !(s->cr4 & CR4_PCIDE);
	return (s->cr4 & CR4_PAE) && !has(s->cs_attributes, SEG_ATTR_L | SEG_ATTR_DB);
}

enum cpu_mode mode_classify(const struct mode_state *state)
{
	bool db = state->cs_attributes & SEG_ATTR_DB;

	if (!state_is_valid(state))
		return MODE_INVALID;
	if (!(state->cr0 & CR0_PE))
		return MODE_REAL;
	if (state->rflags & X86_FLAGS_VM)
		return MODE_V8086;
	if (!(state->efer & EFER_LMA))
		return db ? MODE_PROTECTED32 : MODE_PROTECTED16;
	if (state->cs_attributes & SEG_ATTR_L)
		return MODE_LONG64;
	return db ? MODE_COMPATIBILITY32 : MODE_COMPATIBILITY16;
}

enum paging_mode mode_paging(const struct mode_state *state)
{
	if (!(state->cr0 & CR0_PG))
		return PAGING_NONE;
	if (state->efer & EFER_LMA)
		return state->cr4 & CR4_LA57 ? PAGING_5_LEVEL : PAGING_4_LEVEL;
	return state->cr4 & CR4_PAE ? PAGING_PAE : PAGING_32;
}

const char *mode_name(enum cpu_mode mode)
{
	static const char *const name[MODE_COUNT] = {
		[MODE_REAL] = "real",
		[MODE_V8086] = "v8086",
		[MODE_PROTECTED16] = "prot16",
		[MODE_PROTECTED32] = "prot32",
		[MODE_COMPATIBILITY16] = "compat16",
		[MODE_COMPATIBILITY32] = "compat32",
		[MODE_LONG64] = "long64",
		[MODE_INVALID] = "invalid",
	};

	return (unsigned)mode < MODE_COUNT ? name[mode] : name[MODE_INVALID];
}

/*
 * Steps that fault although both ends exist. APM vol. 2, "Enabling and Activating Long Mode" (14.6) and "Leaving Long
 * Mode" (14.7); SDM vol. 3, "Initializing IA-32e Mode" (9.8.5); SDM vol. 2, "MOV-Move to/from Control Registers".
 */
static bool step_is_refused(const struct mode_state *from, const struct mode_state *to)
{
	bool was_long = from->efer & EFER_LMA, is_long = to->efer & EFER_LMA;

	if ((from->cr0 & CR0_PG) && ((from->efer ^ to->efer) & EFER_LME))
		return true;
	if (was_long && is_long && ((from->cr4 ^ to->cr4) & CR4_LA57))
		return true;
	if (!was_long && is_long && (to->cs_attributes & SEG_ATTR_L))
		return true;
	return was_long && !is_long && (from->cs_attributes & SEG_ATTR_L);
}

/*
 * What drops every cached translation. APM vol. 2, "Implicit Invalidations" (5.5.2); SDM vol. 3, "Operations that
 * Invalidate TLBs and Paging-Structure Caches" (4.10.4.1).
 */
static bool step_flushes(const struct mode_state *from, const struct mode_state *to)
{
	uint64_t cr4 = from->cr4 ^ to->cr4;

	return ((from->cr0 ^ to->cr0) & CR0_PG) || (cr4 & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57)) ||
	       (cr4 & from->cr4 & CR4_PCIDE) || (cr4 & to->cr4 & CR4_SMEP);
}

uint32_t mode_transition(const struct mode_state *from, const struct mode_state *to)
{
	uint64_t cr0 = from->cr0 ^ to->cr0, cr4 = from->cr4 ^ to->cr4;
	bool was_long = from->efer & EFER_LMA, is_long = to->efer & EFER_LMA;
	enum cpu_mode mode = mode_classify(to);
	enum paging_mode paging = mode_paging(to);
	uint32_t actions = 0;

	if (mode == MODE_INVALID || step_is_refused(from, to))
		return MODE_ACTION_REFUSE;

	/* SDM vol. 3, "PDPTE Registers" (4.4.1) */
	if (paging == PAGING_PAE && ((cr0 & (CR0_CD | CR0_NW | CR0_PG)) ||
				     (cr4 & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) || mode_paging(from) != paging))
		actions |= MODE_ACTION_LOAD_PDPTES;
	if (!was_long && is_long)
		actions |= MODE_ACTION_LONG_ENTER;
	if (was_long && !is_long)
		actions |= MODE_ACTION_LONG_LEAVE;
	if (step_flushes(from, to))
		actions |= MODE_ACTION_FLUSH_TLB;
	if (cr0 & (CR0_CD | CR0_NW))
		actions |= MODE_ACTION_CACHE_CHANGE;
	if (mode_classify(from) != mode || mode_paging(from) != paging)
		actions |= MODE_ACTION_MODE_EVENT;
	return actions;
}
