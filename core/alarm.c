/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the timer is another CPU, whose NMI exits: telling it from the guest's own NMIs, and letting a HLT go on that
 * it ended. Must not know who the other CPU is.
 *
 * APM vol. 2, "NMI Intercept" (15.13.2): an NMI that exits stays pending, and RIP is behind a HLT that it ended; what
 * the CPU did before is told nowhere. So a HLT is let go on where one is known to be: it has exited, once, and no other
 * exits until a look finds the guest behind a byte that could be one.
 */
#include <undercroft/alarm.h>
#include <undercroft/debug.h>
#include <undercroft/errno.h>
#include <undercroft/log.h>
#include <undercroft/mem.h>
#include <undercroft/quirk.h>
#include <undercroft/vcpu.h>

#include "core/exit.h"

#define OPCODE_HLT 0xf4

static const struct owner alarm_owner = {.name = "alarm"};

static bool is_armed(struct vcpu *vcpu, enum intercept_kind kind)
{
	int error = intercept_arm(vcpu, &alarm_owner, kind, 0);

	return !error || error == -EEXIST;
}

/* While the guest has its NMI to itself, that of the alarm waits behind it. */
static bool nmi_is_armed(struct vcpu *vcpu)
{
	return intercept_count(vcpu, INTERCEPT_NMI_WINDOW, 0) || is_armed(vcpu, INTERCEPT_NMI);
}

bool alarm_arm(struct vcpu *vcpu, bool on)
{
	if (!vcpu->vm->alarm)
		return true;
	if (on)
		return nmi_is_armed(vcpu) && is_armed(vcpu, INTERCEPT_IDLE);
	(void)intercept_disarm(vcpu, &alarm_owner, INTERCEPT_IDLE, 0);
	(void)intercept_disarm(vcpu, &alarm_owner, INTERCEPT_INTR, 0);
	vcpu->idle.site_known = vcpu->idle.waits = false;
	return true;
}

void alarm_lose(struct vcpu *vcpu)
{
	log_printf(vcpu->vm->log, "undercroft: the clock has failed: the link is looked at as without one\n");
	owner_release(vcpu, &alarm_owner);
	vcpu->vm->alarm = NULL;
	vcpu->vm->caps &= ~BACKEND_CAP_TIMER;
}

/* Our handler takes it, and with it one of the guest's that fell into it: a CPU holds one NMI. */
bool alarm_take_nmi(struct vcpu *vcpu)
{
	if (!alarm_is_due(vcpu->vm->alarm))
		return false;
	vcpu->backend->admit(vcpu);
	vcpu->exit.kind = EXIT_TIMER;
	vcpu->statistics.counter[EXIT_NMI].count--;
	vcpu->statistics.counter[EXIT_TIMER].count++;
	return true;
}

void alarm_pass_nmi(struct vcpu *vcpu)
{
	if (!vcpu->vm->alarm)
		return;
	alarm_hold(vcpu->vm->alarm, true);
	(void)intercept_arm(vcpu, &alarm_owner, INTERCEPT_NMI_WINDOW, 0);
	(void)intercept_disarm(vcpu, &alarm_owner, INTERCEPT_NMI, 0);
	(void)intercept_disarm(vcpu, &alarm_owner, INTERCEPT_INTR, 0);
}

bool alarm_window(struct vcpu *vcpu)
{
	if (!vcpu->vm->alarm || intercept_disarm(vcpu, &alarm_owner, INTERCEPT_NMI_WINDOW, 0))
		return false;
	(void)intercept_arm(vcpu, &alarm_owner, INTERCEPT_NMI, 0);
	alarm_hold(vcpu->vm->alarm, false);
	return true;
}

bool alarm_woken(struct vcpu *vcpu)
{
	if (!vcpu->vm->alarm || intercept_disarm(vcpu, &alarm_owner, INTERCEPT_INTR, 0))
		return false;
	idle_wake(vcpu);
	return true;
}

/*
 * The CPU executes the HLT at RIP. Its shadow lets an interrupt that waits come behind it, and end it; before it, the
 * guest would wait for the next one. Where the CPU has no shadow after an entry, such an interrupt exits instead.
 */
static void hlt_enter(struct vcpu *vcpu)
{
	if (!(vcpu->vm->quirks & QUIRK_SHADOW_NOT_LOADED) || !(vcpu->rflags & X86_FLAGS_IF))
		return;
	vcpu->idle.waits = true;
	vcpu->idle.rip = vcpu->rip;
	(void)intercept_arm(vcpu, &alarm_owner, INTERCEPT_INTR, 0);
}

void alarm_idle(struct vcpu *vcpu)
{
	(void)vcpu->backend->intercept(vcpu, INTERCEPT_IDLE, 0, false);
	if (vcpu->exit.kind != EXIT_HLT)
		return;
	vcpu->idle.site_known = true;
	vcpu->idle.site = debug_pc(vcpu);
	vcpu->idle.length = vcpu->exit.length;
	hlt_enter(vcpu);
}

void alarm_idle_watch(struct vcpu *vcpu)
{
	if (!vcpu->vm->alarm)
		return;
	(void)intercept_disarm(vcpu, &alarm_owner, INTERCEPT_INTR, 0);
	vcpu->idle.waits = false;
	(void)vcpu->backend->intercept(vcpu, INTERCEPT_IDLE, 0, true);
}

static bool is_behind_hlt(struct vcpu *vcpu, gva_t at)
{
	struct mem_fault fault;
	uint8_t byte;

	return vcpu->backend->reg_get(vcpu, REG_CPL) == 0 && !mem_read(vcpu, at - 1, &byte, 1, ACCESS_EXEC, &fault) &&
	       byte == OPCODE_HLT;
}

static void hlt_again(struct vcpu *vcpu)
{
	vcpu->rip -= vcpu->idle.length;
	if (!(vcpu->vm->quirks & QUIRK_SHADOW_NOT_LOADED)) {
		/* a breakpoint there has been met; QEMU, which has none, would keep RF behind the HLT */
		vcpu->rflags |= X86_FLAGS_RF;
		vcpu->backend->reg_set(vcpu, REG_INTERRUPT_SHADOW, 1);
	}
	hlt_enter(vcpu);
}

void alarm_halt(struct vcpu *vcpu)
{
	gva_t at;

	/* what is stepped does not wait */
	if (!vcpu->vm->alarm || vcpu->rflags & X86_FLAGS_TF)
		return;
	at = debug_pc(vcpu);
	if (!is_behind_hlt(vcpu, at))
		return;
	if (vcpu->idle.site_known && at == vcpu->idle.site + vcpu->idle.length)
		hlt_again(vcpu);
	else
		alarm_idle_watch(vcpu);
}
