/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction with our trap flag: the one place where core's steps, the debugger's and the guest's own TF meet.
 */
#ifndef CORE_SINGLE_H
#define CORE_SINGLE_H

#include <undercroft/insn.h>
#include <undercroft/vcpu.h>
#include <x86/dr.h>

#include "core/dr.h"

/*
 * The next entry executes the instruction at RIP alone, exceptions of any vector exit, interrupts and NMIs wait. insn
 * is that instruction, NULL if it is not known: then it cannot be fetched, or is none. For INSN_INTERRUPT, which clears
 * TF, only after single_interrupt().
 */
void single_begin(struct vcpu *vcpu, const struct insn *insn);

/*
 * Back to normal; completed: the instruction was carried out. TF and what the instruction stored of it are as they
 * would be without us; traps that the guest itself has earned by the instruction are queued.
 */
void single_end(struct vcpu *vcpu, bool completed);

/* Is the #DB that exited the trap behind the instruction, and not a breakpoint before it? */
static inline bool single_is_trap(struct vcpu *vcpu)
{
	if (vcpu->single.dr6_left)
		return vcpu->rip == vcpu->single.next;
	return vcpu->backend->reg_get(vcpu, REG_DR6) & DR6_BS || !dr_hits(vcpu);
}

/* Is the #GP that exited that of INT n, INT1, INT3 or INTO behind MOV SS, for which there was no IDT in the step? */
bool single_idt_missed(const struct vcpu *vcpu);

/*
 * Makes an event to be delivered of INT n, INT1, INT3 or INTO. Returns false if the instruction delivers nothing, or
 * only the CPU can tell: then it is stepped as others are.
 */
bool single_interrupt(struct vcpu *vcpu, const struct insn *insn);

#endif
