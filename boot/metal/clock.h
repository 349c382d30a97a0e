/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU that is the hypervisor's clock: its page, and what it does for good. boot/setup/clock.c starts it.
 */
#ifndef METAL_CLOCK_H
#define METAL_CLOCK_H

#include <undercroft/alarm.h>
#include <undercroft/types.h>

#include "boot/metal/traps.h"

/*
 * Above what is an exception, in the highest of the vectors reserved for those: the CPU raises none there, a local APIC
 * may, and the table stays short. APM vol. 2, "Vectors" (8.2)
 */
#define CLOCK_VECTOR 31

/* APM vol. 2, "APIC Registers" (16.3.2) */
#define APIC_ID		   0x020u
#define APIC_TPR	   0x080u
#define APIC_EOI	   0x0b0u
#define APIC_SVR	   0x0f0u
#define APIC_SVR_ENABLE	   0x100u
#define APIC_ICR_LOW	   0x300u
#define APIC_ICR_HIGH	   0x310u
#define APIC_ICR_NMI	   0x400u
#define APIC_ICR_INIT	   0x500u
#define APIC_ICR_STARTUP   0x600u
#define APIC_ICR_PENDING   0x1000u
#define APIC_ICR_ASSERT	   0x4000u
#define APIC_TIMER	   0x320u
#define APIC_TIMER_MASKED  0x10000u
#define APIC_TIMER_INITIAL 0x380u
#define APIC_TIMER_CURRENT 0x390u
#define APIC_TIMER_DIVIDE  0x3e0u
#define APIC_DIVIDE_1	   0xbu

#define CLOCK_GDT_ENTRIES 3

/* A page of hidden memory; the rest of it is the CPU's stack. */
struct clock {
	struct alarm alarm;    /* first: the vmm knows no more of it */
	uint32_t apic_id;      /* who is sent the NMI */
	uint32_t ticks_per_ms; /* of its APIC's timer */
	paddr_t apic;	       /* its registers; 0: they are MSRs (x2APIC) */
	bool halts;	       /* its APIC's timer goes on while it halts */
	uint64_t request;      /* the one it counts for */
	uint32_t left_us;      /* of that; 0: none */
	uint32_t unheard_us;   /* since the last NMI, which nobody has taken */
	uint64_t gdt[CLOCK_GDT_ENTRIES];
	struct trap_gate idt[TRAP_COUNT];
};

_Static_assert(offsetof(struct clock, alarm) == 0, "what the handoff names is the alarm");
_Static_assert(sizeof(struct clock) <= PAGE_SIZE - 2048, "room for the stack");

/* One register of this CPU's local APIC. */
uint32_t clock_apic_read(const struct clock *clock, uint32_t offset);
void clock_apic_write(const struct clock *clock, uint32_t offset, uint32_t value);

/* The interrupt command register: a command for the CPU of that ID. */
void clock_apic_command(const struct clock *clock, uint32_t apic_id, uint32_t command);

/*
 * past_us have passed since it was called last: sends the NMI if the time is over, and once more each so often while
 * nobody takes it, because a local APIC that the guest has switched off loses it. Returns how long to wait until it is
 * to be called again, in microseconds.
 */
uint32_t clock_step(struct clock *clock, uint32_t past_us);

/* clock_entry.S: the resident life of that CPU, and its exceptions. */
extern const uint8_t clock_enter[], clock_ignore[], clock_fault[];
_Noreturn void clock_run(struct clock *clock);
_Noreturn void clock_fail(struct clock *clock);

#endif
