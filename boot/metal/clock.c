/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The resident part of the CPU that is the hypervisor's clock. It has this code, its page and its local APIC, and
 * touches nothing else. APM vol. 2, "Local APIC" (16.3), "APIC Timer Interrupt" (16.4.1), "Interprocessor Interrupts
 * (IPI)" (16.5)
 */
#include "boot/metal/clock.h"

#include <x86/msr.h>

#include "boot/metal/cpu.h"

/* At most so long between two looks at what is asked; and while the next request is about to come. */
#define STEP_US	      10000u
#define STEP_SHORT_US 1000u

/* No interrupt of ours waits for so long: it was lost. */
#define AGAIN_US 100000u

#define X2APIC_MSR(offset) (MSR_X2APIC + ((offset) >> 4))

static uint32_t msr_read(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return low;
}

static void msr_write(uint32_t index, uint32_t low, uint32_t high)
{
	__asm__ volatile("wrmsr" : : "c"(index), "a"(low), "d"(high) : "memory");
}

uint32_t clock_apic_read(const struct clock *clock, uint32_t offset)
{
	if (!clock->apic)
		return msr_read(X2APIC_MSR(offset));
	return *(volatile uint32_t *)(uintptr_t)(clock->apic + offset);
}

void clock_apic_write(const struct clock *clock, uint32_t offset, uint32_t value)
{
	if (!clock->apic)
		msr_write(X2APIC_MSR(offset), value, 0);
	else
		*(volatile uint32_t *)(uintptr_t)(clock->apic + offset) = value;
}

void clock_apic_command(const struct clock *clock, uint32_t apic_id, uint32_t command)
{
	/* MSR writes of the x2APIC's wait for nothing before them: APM vol. 2, "x2APIC Register Address Space" (16.11)
	 */
	__asm__ volatile("mfence" : : : "memory");
	if (!clock->apic) {
		msr_write(X2APIC_MSR(APIC_ICR_LOW), command, apic_id);
		return;
	}
	clock_apic_write(clock, APIC_ICR_HIGH, apic_id << 24);
	clock_apic_write(clock, APIC_ICR_LOW, command);
}

static void nmi_send(struct clock *clock)
{
	clock->unheard_us = 0;
	__atomic_store_n(&clock->alarm.due, 1, __ATOMIC_SEQ_CST);
	clock_apic_command(clock, clock->apic_id, APIC_ICR_NMI | APIC_ICR_ASSERT);
}

uint32_t clock_step(struct clock *clock, uint32_t past_us)
{
	uint64_t request = __atomic_load_n(&clock->alarm.request, __ATOMIC_ACQUIRE);

	bool held = __atomic_load_n(&clock->alarm.held, __ATOMIC_SEQ_CST);

	if (alarm_is_due(&clock->alarm)) {
		clock->unheard_us += past_us;
		if (clock->unheard_us >= AGAIN_US && !held)
			nmi_send(clock);
		return STEP_SHORT_US;
	}
	if (request != clock->request) {
		clock->request = request;
		clock->left_us = (uint32_t)(request >> 32);
	} else if (clock->left_us > past_us) {
		clock->left_us -= past_us;
	} else if (clock->left_us) {
		/* held: with the next step */
		clock->left_us = held;
		if (!held)
			nmi_send(clock);
		return STEP_SHORT_US;
	}
	if (!clock->left_us)
		return request >> 32 ? STEP_SHORT_US : STEP_US;
	return clock->left_us < STEP_US ? clock->left_us : STEP_US;
}

/*
 * Halts until the timer's interrupt, which comes behind STI at the earliest. One that comes late ends the next wait's
 * first HLT. Without an end of interrupt there is no other.
 */
static void wait(const struct clock *clock, uint32_t us)
{
	clock_apic_write(clock, APIC_TIMER_INITIAL, (uint32_t)((uint64_t)us * clock->ticks_per_ms / 1000));
	while (clock_apic_read(clock, APIC_TIMER_CURRENT)) {
		if (!clock->halts) {
			__builtin_ia32_pause();
			continue;
		}
		__asm__ volatile("sti; hlt; cli" : : : "memory");
		clock_apic_write(clock, APIC_EOI, 0);
	}
}

void clock_run(struct clock *clock)
{
	uint32_t us = 0;

	__atomic_store_n(&clock->alarm.state, ALARM_RUNS, __ATOMIC_RELEASE);
	for (;;) {
		us = clock_step(clock, us);
		wait(clock, us);
	}
}

void clock_fail(struct clock *clock)
{
	/* nobody is there for it before */
	if (alarm_runs(&clock->alarm)) {
		__atomic_store_n(&clock->alarm.state, ALARM_FAILED, __ATOMIC_RELEASE);
		nmi_send(clock);
	}
	cpu_halt();
}
