/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exits that exist while somebody wants to look in between: a timer's, or, where the CPU has none, external
 * interrupts and a guest that waits for one, or changes of the address space. Must not know who looks, nor for what.
 */
#include <undercroft/debug.h>
#include <undercroft/vcpu.h>

#include "core/exit.h"

static const struct owner idle_owner = {.name = "idle"};

/* Looks in. Whether the guest goes on as it did before. */
static bool poll_goes_on(struct vcpu *vcpu)
{
	vcpu->vm->control->poll(vcpu);
	return !(vcpu->work & WORK_STOP);
}

/*
 * A step is given up: the guest takes the interrupt before the instruction, which tries again behind it. The interrupt
 * of a guest that stops goes on waiting.
 */
enum verdict exit_intr(struct vcpu *vcpu)
{
	bool armed = intercept_count(vcpu, INTERCEPT_INTR, 0) != 0;

	if (alarm_woken(vcpu) || alarm_window(vcpu))
		return VERDICT_RESUME;
	if (!armed && !vcpu->single.active)
		return exit_unexpected(vcpu);
	idle_wake(vcpu);
	if (vcpu->idle.stopped) {
		vcpu->idle.stopped = false;
		if (intercept_count(vcpu, INTERCEPT_IDLE, 0))
			(void)vcpu->backend->intercept(vcpu, INTERCEPT_IDLE, 0, true);
	}
	instruction_end(vcpu, false);
	debug_event_pending(vcpu);
	if (armed && poll_goes_on(vcpu) && intercept_count(vcpu, INTERCEPT_INTR, 0))
		vcpu->backend->interrupt_pass(vcpu);
	return VERDICT_RESUME;
}

/* The guest is at an instruction that waits. What comes before it, as QEMU's TCG lets it in spite of STI, ends it. */
static void idle_begin(struct vcpu *vcpu)
{
	vcpu->idle.waits = true;
	vcpu->idle.rip = vcpu->rip;
	vcpu->idle.length = vcpu->exit.length;
	vcpu->backend->interrupt_pass(vcpu);
}

/* It executes it itself; the next interrupt, which exits, has the next one exit again. */
static enum verdict idle_stop(struct vcpu *vcpu)
{
	idle_begin(vcpu);
	vcpu->idle.stopped = true;
	(void)vcpu->backend->intercept(vcpu, INTERCEPT_IDLE, 0, false);
	return VERDICT_RESUME;
}

/*
 * The guest waits by executing its HLT again and again, with a look in between, until an interrupt or an NMI comes
 * before it. It does so behind the instruction that STI or MOV SS protected. A single-step trap does not let it wait.
 */
enum verdict exit_hlt(struct vcpu *vcpu)
{
	if (!intercept_count(vcpu, INTERCEPT_IDLE, 0))
		return exit_unexpected(vcpu);
	if (vcpu->rflags & X86_FLAGS_TF)
		return VERDICT_SKIP_INSN;
	if (vcpu->vm->alarm) {
		alarm_idle(vcpu);
		return VERDICT_RESUME;
	}
	if (vcpu->idle.sleeps && vcpu->rflags & X86_FLAGS_IF)
		return idle_stop(vcpu);
	if (!vcpu->idle.waits)
		(void)intercept_arm(vcpu, &idle_owner, INTERCEPT_NMI, 0);
	idle_begin(vcpu);
	vcpu->backend->reg_set(vcpu, REG_INTERRUPT_SHADOW, 0);
	(void)poll_goes_on(vcpu);
	__builtin_ia32_pause();
	return VERDICT_RESUME;
}

void idle_wake(struct vcpu *vcpu)
{
	if (!vcpu->idle.waits)
		return;
	(void)intercept_disarm(vcpu, &idle_owner, INTERCEPT_NMI, 0);
	vcpu->idle.waits = false;
	/* not if a debugger sent it elsewhere, or the CPU itself waited since nobody looked any more */
	if (vcpu->rip != vcpu->idle.rip)
		return;
	vcpu->exit.length = vcpu->idle.length;
	vcpu_skip_insn(vcpu);
}

/* MWAIT may end without a reason, and has to where another device writes what the guest watches. */
enum verdict exit_mwait(struct vcpu *vcpu)
{
	if (!intercept_count(vcpu, INTERCEPT_IDLE, 0))
		return exit_unexpected(vcpu);
	if (vcpu->vm->alarm && !vcpu->single.active) {
		alarm_idle(vcpu);
		return VERDICT_RESUME;
	}
	if (vcpu->idle.sleeps)
		return idle_stop(vcpu);
	return poll_goes_on(vcpu) ? VERDICT_SKIP_INSN : VERDICT_RESUME;
}

/* Carried out by the CPU, for whoever wants to know when it is done, or only that there is one. */
enum verdict exit_paging(struct vcpu *vcpu)
{
	if (!intercept_count(vcpu, INTERCEPT_CR3, 0))
		return debug_paging(vcpu) ? VERDICT_RESUME : exit_unexpected(vcpu);
	if (poll_goes_on(vcpu))
		(void)debug_paging(vcpu);
	return VERDICT_RESUME;
}

/* One that nobody waits for any more does no harm. */
enum verdict exit_timer(struct vcpu *vcpu)
{
	alarm_halt(vcpu);
	if (vcpu->vm->control)
		(void)poll_goes_on(vcpu);
	return VERDICT_RESUME;
}
