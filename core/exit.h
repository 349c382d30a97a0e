/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Core's own: the default handlers and the stepping they share.
 */
#ifndef CORE_EXIT_H
#define CORE_EXIT_H

#include <undercroft/vcpu.h>
#include <x86/cr.h>

/* Is the guest's code 64-bit code? Legacy code may have L set, too: there, it means nothing. */
static inline bool code_is_64bit(struct vcpu *vcpu)
{
	return (vcpu->code_flags & SEG_ATTR_L) && (vcpu->backend->reg_get(vcpu, REG_EFER) & EFER_LMA);
}

/* cpuid.c, msr.c, io.c, fault.c, hypercall.c, control.c */
enum verdict exit_cpuid(struct vcpu *vcpu);
enum verdict exit_msr(struct vcpu *vcpu);
enum verdict exit_io(struct vcpu *vcpu);
enum verdict exit_nested(struct vcpu *vcpu);
enum verdict exit_hypercall(struct vcpu *vcpu);
enum verdict exit_cr(struct vcpu *vcpu);
enum verdict exit_xsetbv(struct vcpu *vcpu);

/* task.c */
enum verdict exit_task_switch(struct vcpu *vcpu);

/* debug/registers.c */
enum verdict exit_dr(struct vcpu *vcpu);

/* exit.c: fatal */
enum verdict exit_unexpected(struct vcpu *vcpu);

/*
 * exit.c: the instruction that exited cannot be read at RIP, or is no such instruction. The guest executes it again.
 */
enum verdict exit_refetch(struct vcpu *vcpu);

/* idle.c */
enum verdict exit_intr(struct vcpu *vcpu);
enum verdict exit_hlt(struct vcpu *vcpu);
enum verdict exit_mwait(struct vcpu *vcpu);
enum verdict exit_timer(struct vcpu *vcpu);
enum verdict exit_paging(struct vcpu *vcpu);

/* alarm.c: where the timer is another CPU, whose NMI ends a HLT that the guest's CPU executes itself */

/*
 * Arms what the timer's exits need, or gives it back, but for NMIs: one may be on its way. False: it cannot be armed.
 */
bool alarm_arm(struct vcpu *vcpu, bool on);

/* The other CPU has failed: gives back all that alarm_arm() armed, and the timer is not there any more. */
void alarm_lose(struct vcpu *vcpu);

/* EXIT_NMI: was it the timer's? Then it is taken, and the exit is an EXIT_TIMER. */
bool alarm_take_nmi(struct vcpu *vcpu);

/* EXIT_NMI: the guest takes this one itself, and the next one that it can take exits again. Until then none is sent. */
void alarm_pass_nmi(struct vcpu *vcpu);

/* EXIT_INTR: was it the end of what alarm_pass_nmi() let pass? */
bool alarm_window(struct vcpu *vcpu);

/* EXIT_INTR: was it an interrupt that alarm_halt() waits for? */
bool alarm_woken(struct vcpu *vcpu);

/* EXIT_HLT and EXIT_MWAIT: the guest executes it itself, and we know the place from then on. */
void alarm_idle(struct vcpu *vcpu);

/* The next HLT and MWAIT exit. */
void alarm_idle_watch(struct vcpu *vcpu);

/* EXIT_TIMER: if it ended a HLT of the guest's, that goes on. */
void alarm_halt(struct vcpu *vcpu);

/* The guest waited at a HLT, which ends now: RIP goes behind it. */
void idle_wake(struct vcpu *vcpu);

/* RDMSR and WRMSR as the guest's would go whether it is intercepted or not. False: #GP. */
bool msr_guest_read(struct vcpu *vcpu, uint32_t index, uint64_t *value);
bool msr_guest_write(struct vcpu *vcpu, uint32_t index, uint64_t value);

/* step.c */

/* Takes the step's pages from the pool. Returns 0 or -ENOMEM. */
int step_init(struct vcpu *vcpu);

/*
 * Lets the access that exited happen once, or the instruction being stepped go on. region: STEP_REGION only, else NULL.
 * The exit's detail is loaded.
 */
enum verdict step_begin(struct vcpu *vcpu, enum step_show show, struct region *region);

/* Ends a step; completed: the instruction was carried out. */
void step_end(struct vcpu *vcpu, bool completed);

/*
 * Makes the entry that delivers an event, or the next interrupt, end before the first instruction of its handler.
 * Returns 0 or -ENOMEM.
 */
int step_arrive(struct vcpu *vcpu);

/*
 * Shows the guest a page as it is, for one instruction that has not begun; the caller begins it. Returns 0 or -ENOMEM.
 */
int step_through(struct vcpu *vcpu, gpa_t page);

/* Ends whatever is done with the instruction under way; completed: it was carried out. */
void instruction_end(struct vcpu *vcpu, bool completed);

/* Activates the view that is right now, after the base view changed. */
void step_view_refresh(struct vcpu *vcpu);

enum verdict exit_exception(struct vcpu *vcpu);
enum verdict exit_nmi(struct vcpu *vcpu);

#endif
