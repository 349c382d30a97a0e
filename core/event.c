/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitration of what the guest gets next: exceptions raised for it, deliveries that an exit interrupted, machine
 * checks, NMIs.
 * Must not know how a vendor encodes an injection.
 */
#include <undercroft/event.h>

#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>
#include <x86/dr.h>
#include <x86/msr.h>

#include "core/dr.h"

/* APM vol. 2, "Vectors" (8.2) */
enum {
	VECTOR_DE = 0,
	VECTOR_DB = 1,
	VECTOR_UD = 6,
	VECTOR_DF = 8,
	VECTOR_TS = 10,
	VECTOR_NP = 11,
	VECTOR_SS = 12,
	VECTOR_GP = 13,
	VECTOR_PF = 14,
	VECTOR_MC = 18,
	VECTOR_CP = 21,
};

static const struct owner event_owner = {.name = "events"};

enum fault_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT, CLASS_COUNT };

enum merge { MERGE_REPLACE, MERGE_DOUBLE_FAULT, MERGE_SHUTDOWN };

/*
 * First event down, second across; a double fault never is a second one. APM vol. 2, "#DF: Double-Fault Exception
 * (Vector 8)" (8.2.9), table 8-3; SDM vol. 3, "Interrupt 8" (6.15), table 6-5.
 */
static const uint8_t merge_table[CLASS_COUNT][CLASS_DOUBLE_FAULT] = {
	[CLASS_BENIGN] = {MERGE_REPLACE, MERGE_REPLACE, MERGE_REPLACE},
	[CLASS_CONTRIBUTORY] = {MERGE_REPLACE, MERGE_DOUBLE_FAULT, MERGE_REPLACE},
	[CLASS_PAGE_FAULT] = {MERGE_REPLACE, MERGE_DOUBLE_FAULT, MERGE_DOUBLE_FAULT},
	[CLASS_DOUBLE_FAULT] = {MERGE_SHUTDOWN, MERGE_SHUTDOWN, MERGE_SHUTDOWN},
};

static enum fault_class vector_class(uint8_t vector)
{
	switch (vector) {
	case VECTOR_DE:
	case VECTOR_TS:
	case VECTOR_NP:
	case VECTOR_SS:
	case VECTOR_GP:
	case VECTOR_CP:
		return CLASS_CONTRIBUTORY;
	case VECTOR_PF:
		return CLASS_PAGE_FAULT;
	case VECTOR_DF:
		return CLASS_DOUBLE_FAULT;
	default:
		return CLASS_BENIGN;
	}
}

/* Interrupts, and INT n whatever its vector, never contribute to a double fault. */
static enum fault_class event_class(const struct event *event)
{
	return event->type == EVENT_EXCEPTION ? vector_class(event->vector) : CLASS_BENIGN;
}

void event_queue_exception(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error, uint64_t address)
{
	struct event_queue *q = &vcpu->events;
	struct event next = {
		.type = EVENT_EXCEPTION,
		.vector = vector,
		.has_error = has_error,
		.error = error,
		.address = address,
	};
	const struct event *first = q->exception.type != EVENT_NONE ? &q->exception : &q->delivery;
	enum fault_class second = vector_class(vector);
	enum merge merge = MERGE_REPLACE;

	/* A double fault that somebody asks for is one: nothing is left to merge. */
	if (second != CLASS_DOUBLE_FAULT)
		merge = merge_table[event_class(first)][second];
	if (merge == MERGE_DOUBLE_FAULT) {
		/* The CPU has loaded CR2 by the time it finds that it cannot deliver. */
		if (second == CLASS_PAGE_FAULT)
			vcpu->backend->reg_set(vcpu, REG_CR2, address);
		next = (struct event){.type = EVENT_EXCEPTION, .vector = VECTOR_DF, .has_error = true};
	} else if (merge == MERGE_SHUTDOWN) {
		q->shutdown = true;
		next = (struct event){.type = EVENT_NONE};
	}

	q->exception = next;
	q->delivery = (struct event){.type = EVENT_NONE};
	vcpu->work = (vcpu->work & ~WORK_DELIVERY) | WORK_EVENT;
}

void event_queue_ud(struct vcpu *vcpu)
{
	event_queue_exception(vcpu, VECTOR_UD, false, 0, 0);
}

void event_queue_gp(struct vcpu *vcpu)
{
	event_queue_exception(vcpu, VECTOR_GP, true, 0, 0);
}

void event_queue_debug_trap(struct vcpu *vcpu, uint64_t why)
{
	uint64_t debugctl;

	/*
	 * What the CPU does before it raises #DB, and does not do for an injected one. B0 to B3 are this trap's alone,
	 * the other bits stay. APM vol. 2, "DR6" (13.1.1.3), "DR7" (13.1.1.4); SDM vol. 3, "Debug Status Register
	 * (DR6)" (17.2.3)
	 */
	dr_set(vcpu, REG_DR6, (dr_get(vcpu, REG_DR6) & ~(uint64_t)DR6_B) | why);
	dr_set(vcpu, REG_DR7, dr_get(vcpu, REG_DR7) & ~(uint64_t)DR7_GD);
	debugctl = vcpu->backend->debugctl_get(vcpu);
	if (debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF))
		vcpu->backend->debugctl_set(vcpu, debugctl & ~(uint64_t)(DEBUGCTL_LBR | DEBUGCTL_BTF));
	event_queue_exception(vcpu, VECTOR_DB, false, 0, 0);
}

void event_queue_nmi(struct vcpu *vcpu)
{
	bool second = (vcpu->vm->caps & BACKEND_CAP_NMI_EXITS) && !vcpu->backend->reg_get(vcpu, REG_NMI_BLOCKED);

	if (vcpu->events.nmi < (second ? 2 : 1))
		vcpu->events.nmi++;
	vcpu->work |= WORK_EVENT;
}

void event_queue_machine_check(struct vcpu *vcpu)
{
	if (vcpu->backend->reg_get(vcpu, REG_CR4) & CR4_MCE) {
		vcpu->events.machine_check = true;
	} else {
		log_printf(vcpu->vm->log, "undercroft: the guest takes no machine checks (CR4.MCE)\n");
		vcpu->events.shutdown = true;
	}
	vcpu->work |= WORK_EVENT;
}

static void window_open(struct vcpu *vcpu)
{
	if (!vcpu->events.window && (vcpu->vm->caps & BACKEND_CAP_NMI_EXITS))
		vcpu->events.window = intercept_arm(vcpu, &event_owner, INTERCEPT_NMI_WINDOW, 0) == 0;
}

/* Sees to it that what waits is tried again, and that nothing exits when nothing waits any more. */
static void window_update(struct vcpu *vcpu)
{
	struct event_queue *q = &vcpu->events;

	if (q->nmi || q->machine_check) {
		window_open(vcpu);
		if (!q->window)
			vcpu->work |= WORK_EVENT;
	} else if (q->window) {
		(void)intercept_disarm(vcpu, &event_owner, INTERCEPT_NMI_WINDOW, 0);
		q->window = false;
	}
}

static void kick(struct vcpu *vcpu)
{
	if (vcpu->backend->kick)
		vcpu->backend->kick(vcpu);
}

/* The work word is not touched here: the interrupted code may be about to write what it has read of it. */
void event_nmi_arrived(struct vcpu *vcpu)
{
	(void)__atomic_add_fetch(&vcpu->arrived.nmi, 1, __ATOMIC_RELAXED);
	kick(vcpu);
}

bool event_machine_check_arrived(struct vcpu *vcpu)
{
	struct platform *platform = vcpu->vm->platform;
	uint64_t status;

	if (platform->ops->msr_read(platform, MSR_MCG_STATUS, &status) || !(status & MCG_STATUS_RIPV))
		return false;
	(void)__atomic_add_fetch(&vcpu->arrived.machine_check, 1, __ATOMIC_RELAXED);
	kick(vcpu);
	return true;
}

bool event_arrivals_collect(struct vcpu *vcpu)
{
	uint32_t nmis = __atomic_exchange_n(&vcpu->arrived.nmi, 0, __ATOMIC_RELAXED);
	uint32_t checks = __atomic_exchange_n(&vcpu->arrived.machine_check, 0, __ATOMIC_RELAXED);

	if (!nmis && !checks)
		return false;
	for (uint32_t i = 0; i < nmis && i < 2; i++)
		event_queue_nmi(vcpu);
	if (checks) {
		log_printf(vcpu->vm->log,
			   "undercroft: a machine check while the hypervisor ran is given to the guest\n");
		event_queue_machine_check(vcpu);
	}
	window_open(vcpu);
	return true;
}

/* The guest would have met its third fault: what a real one does in hardware. */
static void commit_shutdown(struct vcpu *vcpu)
{
	vcpu->events = (struct event_queue){.window = vcpu->events.window};
	window_update(vcpu);
	vcpu->exit.kind = EXIT_SHUTDOWN;
	vcpu->exit.length = 0;
	if (vcpu->slot[EXIT_SHUTDOWN](vcpu) != VERDICT_RESUME)
		vcpu_fatal(vcpu, "the guest's CPU shut down");
}

/* SDM vol. 3, "Masking Exceptions and Interrupts When Switching Stacks" (6.8.3): MOV SS holds NMIs off, too */
static bool nmi_is_deliverable(struct vcpu *vcpu)
{
	return vcpu->events.nmi && vcpu->backend->reg_get(vcpu, REG_INTERRUPT_SHADOW) == 0 &&
	       vcpu->backend->reg_get(vcpu, REG_NMI_BLOCKED) == 0;
}

bool event_is_due(struct vcpu *vcpu)
{
	const struct event_queue *q = &vcpu->events;

	return q->shutdown || q->exception.type != EVENT_NONE || q->delivery.type != EVENT_NONE ||
	       nmi_is_deliverable(vcpu);
}

void event_commit(struct vcpu *vcpu)
{
	struct event_queue *q = &vcpu->events;
	struct event next = {.type = EVENT_NONE};

	vcpu->work &= ~(WORK_EVENT | WORK_DELIVERY);
	if (q->shutdown) {
		commit_shutdown(vcpu);
		return;
	}

	if (q->exception.type != EVENT_NONE) {
		next = q->exception;
		/* APM vol. 2, "Real-Mode Interrupt Control Transfers" (8.6): error codes are not pushed */
		if (!(vcpu->backend->reg_get(vcpu, REG_CR0) & CR0_PE))
			next.has_error = false;
		q->exception.type = EVENT_NONE;
	} else if (q->delivery.type != EVENT_NONE) {
		next = q->delivery;
		/* CR2 was loaded when the delivery began. */
		if (next.type == EVENT_EXCEPTION && next.vector == VECTOR_PF)
			next.address = vcpu->backend->reg_get(vcpu, REG_CR2);
		/*
		 * It blocks NMIs already, and an entry that delivers one while they are blocked fails. SDM vol. 3,
		 * "Checks on Guest Non-Register State" (26.3.1.5)
		 */
		if (next.type == EVENT_NMI)
			vcpu->backend->reg_set(vcpu, REG_NMI_BLOCKED, 0);
		q->delivery.type = EVENT_NONE;
	} else if (q->machine_check) {
		next = (struct event){.type = EVENT_EXCEPTION, .vector = VECTOR_MC};
		q->machine_check = false;
	} else if (nmi_is_deliverable(vcpu)) {
		next = (struct event){.type = EVENT_NMI, .vector = 2};
		q->nmi--;
	}

	if (next.type != EVENT_NONE)
		vcpu->backend->inject(vcpu, &next);
	window_update(vcpu);
}
