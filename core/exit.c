/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exit spine: the default of each kind, and what hides behind the work word. Must not know a vendor.
 */
#include <string.h>

#include <undercroft/debug.h>
#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>
#include <x86/dr.h>

#include "core/breakpoint.h"
#include "core/exit.h"
#include "core/single.h"

static const char *const exit_names[EXIT_KIND_COUNT] = {
#define X(symbol, name) [EXIT_##symbol] = name,
	EXIT_KINDS(X)
#undef X
};

/* An instruction the guest does not have: VMRUN and its like, with the extension hidden. */
static enum verdict exit_virt_insn(struct vcpu *vcpu)
{
	event_queue_ud(vcpu);
	return VERDICT_RESUME;
}

/* A triple fault resets a PC; so does ours. */
static enum verdict exit_shutdown(struct vcpu *vcpu)
{
	struct segment cs;

	vcpu->backend->seg_get(vcpu, SEG_CS, &cs);
	log_printf(vcpu->vm->log,
		   "undercroft: the guest's CPU shut down (triple fault) at %04x:%llx; resetting the machine\n",
		   cs.selector, (unsigned long long)vcpu->rip);
	vcpu->vm->platform->ops->reset(vcpu->vm->platform);
	vcpu_fatal(vcpu, "the machine did not reset");
	return VERDICT_RESUME;
}

/* The caches hold our memory, too: it is written back before they are emptied. */
static enum verdict exit_invd(struct vcpu *vcpu)
{
	vcpu->vm->platform->ops->cache_flush(vcpu->vm->platform);
	return VERDICT_SKIP_INSN;
}

/*
 * INIT comes from the ports that reset a PC, and resets the CPU alone. The firmware at the reset vector would then
 * reset the rest, or, for protected-mode programs of the 286, go on where CMOS says. The first is what is done; the
 * second is not supported.
 */
static enum verdict exit_init(struct vcpu *vcpu)
{
	log_printf(vcpu->vm->log, "undercroft: the guest's CPU was sent INIT; resetting the machine\n");
	vcpu->vm->platform->ops->reset(vcpu->vm->platform);
	vcpu_fatal(vcpu, "the machine did not reset");
	return VERDICT_RESUME;
}

static enum verdict exit_invalid(struct vcpu *vcpu)
{
	const char *why = vcpu->refusal ? vcpu->refusal : "the CPU refused the guest's state";

	if (!debug_refused(vcpu, why))
		vcpu_fatal(vcpu, why);
	return VERDICT_RESUME;
}

enum verdict exit_unexpected(struct vcpu *vcpu)
{
	vcpu_fatal(vcpu, "an exit that nothing asked for");
	return VERDICT_RESUME;
}

/* The guest can take what waits for it. A step is given up, as for an NMI that arrives: it would wait for it. */
static enum verdict exit_window(struct vcpu *vcpu)
{
	if (!event_arrivals_collect(vcpu) && !vcpu->events.window)
		return exit_unexpected(vcpu);
	instruction_end(vcpu, false);
	vcpu->work |= WORK_EVENT;
	return VERDICT_RESUME;
}

static enum verdict exit_machine_check(struct vcpu *vcpu)
{
	log_printf(vcpu->vm->log, "undercroft: a machine check on the way into the guest is given to it\n");
	instruction_end(vcpu, false);
	event_queue_machine_check(vcpu);
	return VERDICT_RESUME;
}

/*
 * The CPU fetched it by a translation that its TLB still has and the guest's tables have no more. It may lose such a
 * translation at any time: so it does now, and what the guest meets when it tries again is what it would meet on the
 * bare machine. What the CPU finds nevertheless lies where it can fetch and we do not read, in a device: that is
 * refused. One step tells the two apart.
 * APM vol. 2, "TLB Management" (5.5); SDM vol. 3, "Caching Translation Information" (4.10)
 */
enum verdict exit_refetch(struct vcpu *vcpu)
{
	struct single_state *single = &vcpu->single;

	if (single->active && single->refetched) {
		unsigned count = ++vcpu->refetch_refusals;

		if ((count & (count - 1)) == 0)
			log_printf(vcpu->vm->log,
				   "undercroft: #GP: an instruction that exits lies in a device, at %llx (%u so far)\n",
				   (unsigned long long)vcpu->rip, count);
		instruction_end(vcpu, false);
		event_queue_gp(vcpu);
		return VERDICT_RESUME;
	}
	if (!single->active)
		single_begin(vcpu, NULL);
	single->refetched = true;
	vcpu->backend->tlb_flush(vcpu, TLB_FLUSH_GUEST);
	return VERDICT_RESUME;
}

const exit_handler_fn exit_defaults[EXIT_KIND_COUNT] = {
	[EXIT_CPUID] = exit_cpuid,
	[EXIT_MSR] = exit_msr,
	[EXIT_IO] = exit_io,
	[EXIT_NESTED] = exit_nested,
	[EXIT_HYPERCALL] = exit_hypercall,
	[EXIT_VIRT_INSN] = exit_virt_insn,
	[EXIT_SHUTDOWN] = exit_shutdown,
	[EXIT_EXCEPTION] = exit_exception,
	[EXIT_NMI] = exit_nmi,
	[EXIT_INTR] = exit_intr,
	[EXIT_WINDOW] = exit_window,
	[EXIT_INVALID] = exit_invalid,
	[EXIT_INVD] = exit_invd,
	[EXIT_CR] = exit_cr,
	[EXIT_XSETBV] = exit_xsetbv,
	[EXIT_INIT] = exit_init,
	[EXIT_PAGING] = exit_paging,
	[EXIT_TASK_SWITCH] = exit_task_switch,
	[EXIT_DR] = exit_dr,
	[EXIT_TIMER] = exit_timer,
	[EXIT_MACHINE_CHECK] = exit_machine_check,
	[EXIT_HLT] = exit_hlt,
	[EXIT_MWAIT] = exit_mwait,
	[EXIT_REFETCH] = exit_refetch,
	[EXIT_UNKNOWN] = exit_unexpected,
};

void vcpu_init(struct vcpu *vcpu, struct vm *vm)
{
	vcpu->vm = vm;
	vcpu->backend = vm->backend;
	vcpu->statistics.magic = EXIT_STATISTICS_MAGIC;
	vcpu->statistics.version = EXIT_STATISTICS_VERSION;
	vcpu->statistics.count = ARRAY_SIZE(vcpu->statistics.counter);
	for (unsigned i = 0; i < EXIT_KIND_COUNT; i++) {
		vcpu->slot[i] = exit_defaults[i];
		strncpy(vcpu->statistics.counter[i].name, exit_names[i], sizeof(vcpu->statistics.counter[i].name) - 1);
	}
	memcpy(vcpu->statistics.counter[EXIT_STATISTICS_HIDDEN].name, "hidden", sizeof("hidden"));
}

void vcpu_state_set(struct vcpu *vcpu, const struct guest_state *state)
{
	memcpy(vcpu->gpr, state->gpr, sizeof(vcpu->gpr));
	for (enum reg reg = 0; reg < REG_COUNT; reg++)
		vcpu->backend->reg_set(vcpu, reg, state->reg[reg]);
	for (enum seg seg = 0; seg < SEG_COUNT; seg++)
		vcpu->backend->seg_set(vcpu, seg, &state->seg[seg]);
}

/* An NMI alone waits for the end of a step: one that the guest blocks would end each step before it began. */
static bool events_wait_for_step(const struct vcpu *vcpu)
{
	const struct event_queue *q = &vcpu->events;

	return vcpu->single.active && !q->shutdown && !q->machine_check && q->exception.type == EVENT_NONE &&
	       q->delivery.type == EVENT_NONE;
}

void vcpu_skip_insn_slow(struct vcpu *vcpu)
{
	vcpu->rip = mode_rip_after(vcpu->rip, vcpu->exit.length, code_is_64bit(vcpu), vcpu->code_flags & SEG_ATTR_DB);
	/* with BTF, only branches earn a trap */
	if (vcpu->rflags & X86_FLAGS_TF && !(vcpu->backend->debugctl_get(vcpu) & DEBUGCTL_BTF))
		vcpu->work |= WORK_TRAP;
	vcpu->rflags &= ~(uint64_t)X86_FLAGS_RF;
}

int vcpu_work(struct vcpu *vcpu)
{
	if (vcpu->work & WORK_TRAP) {
		vcpu->work &= ~WORK_TRAP;
		if (vcpu->single.active)
			instruction_end(vcpu, true);
		else
			event_queue_debug_trap(vcpu,
					       breakpoint_hits(vcpu) | (vcpu->rflags & X86_FLAGS_TF ? DR6_BS : 0));
	}
	if (vcpu->work & WORK_POLL)
		vcpu->vm->control->poll(vcpu);
	/* an access that is stepped is one with its instruction */
	if (vcpu->work & WORK_STOP && !vcpu->step.active && !(vcpu->work & WORK_LEAVE))
		debug_work(vcpu);
	if (vcpu->work & WORK_VIEW) {
		vcpu->work &= ~WORK_VIEW;
		step_view_refresh(vcpu);
	}
	if (vcpu->work & (WORK_EVENT | WORK_DELIVERY) && !events_wait_for_step(vcpu)) {
		/* no event of ours is delivered with the step's TF in its frame */
		if (vcpu->single.active)
			instruction_end(vcpu, false);
		event_commit(vcpu);
	}
	return (vcpu->work & WORK_LEAVE) != 0;
}

void vcpu_fatal(struct vcpu *vcpu, const char *why)
{
	if (!vcpu->fatal)
		vcpu->fatal = why;
	vcpu->work |= WORK_LEAVE;
}
