/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction for a debugger: with TF, or, where an event is delivered, up to the first fetch of its handler. HLT
 * is done at once, because the trap flag wakes a CPU. Interrupts wait; NMIs and what the instruction raises do not.
 * Must not know why it is stepped.
 */
#include <undercroft/errno.h>
#include <undercroft/vcpu.h>
#include <x86/dr.h>

#include "core/debug/debug.h"
#include "core/exit.h"
#include "core/single.h"

void debug_event_pending(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	if (debug && debug->phase == PHASE_SINGLE)
		debug->cpu_event = true;
}

static bool arrive(struct vcpu *vcpu)
{
	vcpu->debug->phase = PHASE_ARRIVE;
	vcpu->debug->arrive_rip = vcpu->rip;
	if (step_arrive(vcpu))
		vcpu_fatal(vcpu, "no memory for nested page tables (raise reserved-size)");
	return false;
}

/* SDM vol. 3, "Single-Step Exception Condition" (17.3.1.4); a guest that steps itself gets its trap */
static bool halt_skip(struct vcpu *vcpu, const struct insn *insn)
{
	vcpu->exit.length = insn->length;
	vcpu_skip_insn(vcpu);
	if (vcpu->work & WORK_TRAP) {
		vcpu->work &= ~WORK_TRAP;
		event_queue_debug_trap(vcpu, DR6_BS);
	}
	return true;
}

static void single(struct vcpu *vcpu, const struct breakpoint *here, const struct insn *insn)
{
	debug_registers_pass(vcpu);
	if (debug_plant_step_over(vcpu, here))
		vcpu_fatal(vcpu, "no memory for nested page tables (raise reserved-size)");
	single_begin(vcpu, insn);
}

bool debug_step_prepare(struct vcpu *vcpu)
{
	struct breakpoint *here;
	struct insn insn;
	bool known;

	if (event_is_due(vcpu) || vcpu->debug->cpu_event)
		return arrive(vcpu);
	here = debug_break_here(vcpu);
	known = insn_decode(vcpu, &insn) == 0;
	if (known && insn.flags & INSN_HALT && vcpu->backend->reg_get(vcpu, REG_CPL) == 0)
		return halt_skip(vcpu, &insn);
	if (known && insn.flags & INSN_INTERRUPT && single_interrupt(vcpu, &insn))
		return arrive(vcpu);
	vcpu->debug->phase = PHASE_SINGLE;
	single(vcpu, here, known ? &insn : NULL);
	return false;
}

void debug_step_simple(struct vcpu *vcpu)
{
	vcpu->debug->phase = PHASE_SINGLE;
	single(vcpu, debug_break_here(vcpu), NULL);
}

static int single_settle(struct vcpu *vcpu)
{
	if (vcpu->single.active) {
		if (!event_is_due(vcpu))
			return -EAGAIN;
		/* what is emulated has raised something */
		instruction_end(vcpu, false);
	}
	vcpu->debug->phase = PHASE_NONE;
	return vcpu->single.completed;
}

static int arrive_settle(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	bool waited = debug->cpu_event && vcpu->rip == debug->arrive_rip;

	debug->phase = PHASE_NONE;
	debug->cpu_event = false;
	/* the delivery exited half-way, or what the CPU was to deliver has gone away */
	return event_is_due(vcpu) || waited ? 0 : 1;
}

int debug_step_settle(struct vcpu *vcpu)
{
	enum phase phase = (enum phase)vcpu->debug->phase;

	if (phase == PHASE_ARRIVE)
		return arrive_settle(vcpu);
	/* debug_step_over() and exit_refetch() have begun one without a phase */
	return phase == PHASE_SINGLE || vcpu->single.active ? single_settle(vcpu) : 0;
}
