/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Breakpoints in the CPU's debug registers. The guest's own keep the registers it has them in, ours take those that it
 * does not use. While there are any of ours, MOV DR and #DB exit, and the guest's registers are kept for it
 * (core/dr.h). Must not know how a breakpoint is realised that gets no register.
 *
 * APM vol. 2, "Debug Registers" (13.1.1), "Breakpoints" (13.1.3); SDM vol. 3, "Debug Registers" (17.2).
 */
#include <undercroft/errno.h>
#include <undercroft/quirk.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>
#include <x86/dr.h>

#include "core/debug/debug.h"
#include "core/dr.h"
#include "core/exit.h"

#define SLOTS DEBUG_SLOT_COUNT

#define VECTOR_DB 1

static struct breakpoint *breaks_end(struct debug *debug)
{
	return debug->breaks + debug->breaks_end;
}

/* DR7.RWn of each kind. Reads alone cannot be had. */
static const uint8_t types[] = {
	[BREAK_SOFT] = 0, [BREAK_HARD] = DR7_RW_EXEC,	  [WATCH_WRITE] = DR7_RW_WRITE,
	[WATCH_READ] = 0, [WATCH_ACCESS] = DR7_RW_ACCESS,
};

/* DR7.LENn, or -1. Eight bytes are for long mode alone. */
static int length_code(struct vcpu *vcpu, const struct breakpoint *b)
{
	if (b->kind == BREAK_HARD)
		return 0;
	if ((b->kind != WATCH_WRITE && b->kind != WATCH_ACCESS) || b->address & (b->length - 1))
		return -1;
	switch (b->length) {
	case 1:
		return 0;
	case 2:
		return 1;
	case 4:
		return 3;
	case 8:
		return vcpu->backend->reg_get(vcpu, REG_EFER) & EFER_LMA ? 2 : -1;
	default:
		return -1;
	}
}

/* As bits of DR6. */
static unsigned registers_free(struct vcpu *vcpu)
{
	uint64_t dr7 = dr_get(vcpu, REG_DR7);
	unsigned mask = 0;

	if (vcpu->vm->quirks & (QUIRK_DR7_NOT_LOADED | QUIRK_DB_WITHOUT_DR6))
		return 0;
	for (unsigned i = 0; i < SLOTS; i++) {
		if (!(dr7 & DR7_IS_ENABLED(i)))
			mask |= 1u << i;
	}
	return mask;
}

/* Returns whether there are any. */
static bool slots_assign(struct vcpu *vcpu, unsigned left)
{
	struct debug *debug = vcpu->debug;
	bool any = false;

	for (struct breakpoint *b = debug->breaks; b < breaks_end(debug); b++) {
		b->slot &= (uint8_t)left;
		left &= ~(unsigned)b->slot;
		any |= b->slot;
	}
	for (struct breakpoint *b = debug->breaks; b < breaks_end(debug) && left; b++) {
		if (!b->used || b->slot || length_code(vcpu, b) < 0)
			continue;
		debug_break_withdraw(vcpu, b);
		b->slot = (uint8_t)(left & -left);
		left &= left - 1;
		any = true;
	}
	return any;
}

static void slots_clear(struct debug *debug)
{
	for (struct breakpoint *b = debug->breaks; b < breaks_end(debug); b++)
		b->slot = 0;
}

static bool shadow_begin(struct vcpu *vcpu)
{
	if (intercept_arm(vcpu, &debug_owner, INTERCEPT_DR, 0))
		return false;
	if (intercept_arm(vcpu, &debug_owner, INTERCEPT_EXCEPTION, VECTOR_DB)) {
		(void)intercept_disarm(vcpu, &debug_owner, INTERCEPT_DR, 0);
		return false;
	}
	for (unsigned i = 0; i < DR_COUNT; i++)
		vcpu->dr.guest[i] = vcpu->backend->reg_get(vcpu, (enum reg)(REG_DR0 + i));
	vcpu->dr.shadowed = vcpu->debug->registers = true;
	dr_set(vcpu, REG_DR6, vcpu->dr.guest[REG_DR6 - REG_DR0]);
	return true;
}

static void shadow_end(struct vcpu *vcpu)
{
	vcpu->dr.shadowed = vcpu->debug->registers = false;
	for (unsigned i = 0; i < DR_COUNT; i++)
		dr_set(vcpu, (enum reg)(REG_DR0 + i), vcpu->dr.guest[i]);
	(void)intercept_disarm(vcpu, &debug_owner, INTERCEPT_EXCEPTION, VECTOR_DB);
	(void)intercept_disarm(vcpu, &debug_owner, INTERCEPT_DR, 0);
}

/* The guest's and ours, into the CPU. General detection is for MOV DR, which exits. */
static void registers_load(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	uint64_t dr[SLOTS], dr7 = dr_get(vcpu, REG_DR7) & ~(uint64_t)DR7_GD;

	debug->ours = debug->passes = 0;
	for (unsigned i = 0; i < SLOTS; i++)
		dr[i] = dr_get(vcpu, (enum reg)(REG_DR0 + i));
	for (struct breakpoint *b = debug->breaks; b < breaks_end(debug); b++) {
		unsigned n = (unsigned)__builtin_ctz(b->slot | 1u << SLOTS);

		if (!b->slot)
			continue;
		dr[n] = b->address;
		debug->slots[n] = b;
		debug->ours |= b->slot;
		debug->passes |= b->kind == BREAK_HARD ? b->slot : 0;
		dr7 = (dr7 & ~DR7_FIELDS(n)) | DR7_GLOBAL(n) |
		      DR7_SET(n, (unsigned)types[b->kind], (unsigned)length_code(vcpu, b));
	}
	debug->enabled = 0;
	for (unsigned i = 0; i < SLOTS; i++) {
		debug->enabled |= (uint8_t)(dr7 & DR7_IS_ENABLED(i) ? 1u << i : 0);
		vcpu->backend->reg_set(vcpu, (enum reg)(REG_DR0 + i), dr[i]);
	}
	vcpu->backend->reg_set(vcpu, REG_DR7, dr7);
}

void debug_registers_update(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	bool any = slots_assign(vcpu, registers_free(vcpu));

	if (any && !debug->registers && !shadow_begin(vcpu)) {
		slots_clear(debug);
		any = false;
	}
	if (!any && debug->registers)
		shadow_end(vcpu);
	if (any)
		registers_load(vcpu);
}

uint64_t debug_register_get(struct vcpu *vcpu, enum reg reg)
{
	return reg >= REG_DR0 && reg <= REG_DR7 ? dr_get(vcpu, reg) : vcpu->backend->reg_get(vcpu, reg);
}

void debug_register_set(struct vcpu *vcpu, enum reg reg, uint64_t value)
{
	if (reg < REG_DR0 || reg > REG_DR7) {
		vcpu->backend->reg_set(vcpu, reg, value);
		return;
	}
	dr_set(vcpu, reg, value);
	if (!vcpu->debug || !vcpu->debug->registers)
		return;
	debug_registers_update(vcpu);
	debug_breaks_resolve(vcpu);
}

static __attribute__((noinline)) void breakpoints_pass(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	uint64_t dr7 = dr_get(vcpu, REG_DR7);
	gva_t pc = debug_pc(vcpu);

	/* one of the guest's comes all the same */
	for (unsigned i = 0; i < SLOTS; i++) {
		if (dr7 & DR7_IS_ENABLED(i) && DR7_RW(dr7, i) == DR7_RW_EXEC &&
		    dr_get(vcpu, (enum reg)(REG_DR0 + i)) == pc)
			return;
	}
	for (const struct breakpoint *b = debug->breaks; b < breaks_end(debug); b++) {
		if (b->slot && b->kind == BREAK_HARD && b->address == pc)
			vcpu->rflags |= X86_FLAGS_RF;
	}
}

void debug_registers_pass(struct vcpu *vcpu)
{
	if (vcpu->debug->registers)
		breakpoints_pass(vcpu);
}

static void general_detection_end(struct vcpu *vcpu)
{
	dr_set(vcpu, REG_DR7, dr_get(vcpu, REG_DR7) & ~(uint64_t)DR7_GD);
}

/* The same for a step's: DR6 is left to its end. */
static __attribute__((noinline)) bool step_settle(struct vcpu *vcpu, uint32_t dr6, uint32_t hits, uint32_t guests)
{
	vcpu->backend->reg_set(vcpu, REG_DR6, (dr6 & ~DR6_B) | guests);
	if (guests)
		general_detection_end(vcpu);
	return guests || !hits;
}

bool debug_exception_settle(struct vcpu *vcpu)
{
	const struct debug *debug = vcpu->debug;
	uint32_t dr6 = (uint32_t)vcpu->backend->reg_get(vcpu, REG_DR6), hits = dr6 & debug->enabled,
		 guests = hits & ~(uint32_t)debug->ours;
	bool stops = false;

	for (uint32_t left = hits & debug->ours; left; left &= left - 1) {
		const struct breakpoint *b = debug->slots[(unsigned)__builtin_ctz(left)];

		stops |= (!b->bound || debug_break_counts(vcpu, b)) && debug_break_report(vcpu, b);
	}
	/* a stop passes when the guest goes on, the guest's handler as it likes */
	if (hits & debug->passes && !stops && !guests)
		vcpu->rflags |= X86_FLAGS_RF;
	if (vcpu->single.active)
		return step_settle(vcpu, dr6, hits, guests);
	guests |= dr6 & DR6_WRITABLE & ~DR6_B;
	vcpu->backend->reg_set(vcpu, REG_DR6, DR6_ONES);
	/* INT1 says nothing in DR6 */
	if (!guests && hits)
		return false;
	if (guests)
		dr_set(vcpu, REG_DR6, (dr_get(vcpu, REG_DR6) & ~(uint64_t)DR6_B) | guests);
	general_detection_end(vcpu);
	return true;
}

/* Returns 0, -EFAULT: cannot be read, or has changed; or -EINVAL: none, nor is there a register behind DR7. */
static int move_decode(struct vcpu *vcpu, struct insn_dr *move)
{
	struct insn insn;
	int ret = insn_decode(vcpu, &insn);

	if (ret)
		return ret;
	if (!(insn.flags & INSN_MOVES_DR))
		return -EFAULT;
	vcpu->exit.length = insn.length;
	*move = insn_dr_move(vcpu, &insn);
	return 0;
}

/* Returns false for #GP. */
static bool dr_write(struct vcpu *vcpu, enum reg reg, uint64_t value)
{
	if (reg >= REG_DR6 && value >> 32)
		return false;
	if (reg == REG_DR6)
		value = (value & DR6_WRITABLE) | DR6_ONES;
	else if (reg == REG_DR7)
		value = (value & DR7_WRITABLE) | DR7_ONES;
	debug_register_set(vcpu, reg, value);
	return true;
}

/*
 * MOV DR exits before or behind the checks of the instruction, by vendor: they are made here. APM vol. 2, "MOV CRn/DRn
 * Intercepts" (15.8); SDM vol. 3, "Relative Priority of Faults and VM Exits" (25.1.1)
 */
enum verdict exit_dr(struct vcpu *vcpu)
{
	uint64_t mask = code_is_64bit(vcpu) ? ~0ull : UINT32_MAX;
	struct insn_dr move;
	enum reg reg;
	int error = move_decode(vcpu, &move);

	if (error == -EFAULT)
		return exit_refetch(vcpu);
	if (error || ((move.number & 6) == 4 && vcpu->backend->reg_get(vcpu, REG_CR4) & CR4_DE)) {
		event_queue_ud(vcpu);
		return VERDICT_RESUME;
	}
	if (vcpu->backend->reg_get(vcpu, REG_CPL) != 0) {
		event_queue_gp(vcpu);
		return VERDICT_RESUME;
	}
	if (dr_get(vcpu, REG_DR7) & DR7_GD) {
		event_queue_debug_trap(vcpu, DR6_BD);
		return VERDICT_RESUME;
	}
	reg = move.number < 4 ? (enum reg)(REG_DR0 + move.number) : move.number & 1 ? REG_DR7 : REG_DR6;
	if (!move.to_dr) {
		vcpu->gpr[move.gpr] = dr_get(vcpu, reg) & mask;
	} else if (!dr_write(vcpu, reg, vcpu->gpr[move.gpr] & mask)) {
		event_queue_gp(vcpu);
		return VERDICT_RESUME;
	}
	return VERDICT_SKIP_INSN;
}
