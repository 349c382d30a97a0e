/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a debugger is to notice, at addresses that its script knows: debugged.h. The guest uses debug registers itself.
 */
#include "debugged.h"
#include "interrupts.h"

#define DR7_NONE   0x400u
#define DR7_WRITE4 0xdu
#define VECTOR_UD  6

extern const uint8_t debugged_code[], debugged_code_end[], debugged16[], debugged16_end[];

static uint32_t own[4];

#define DR(n)                                                                   \
	static uint32_t dr##n##_get(void)                                       \
	{                                                                       \
		uint32_t value;                                                 \
                                                                                \
		__asm__ volatile("movl %%dr" #n ", %0" : "=r"(value));          \
		return value;                                                   \
	}                                                                       \
	static void dr##n##_set(uint32_t value)                                 \
	{                                                                       \
		__asm__ volatile("movl %0, %%dr" #n : : "r"(value) : "memory"); \
	}
DR(0)
DR(1)
DR(2)
DR(3)
DR(6)
DR(7)

static uint32_t call(uint32_t offset)
{
	uint32_t (*code)(void) = (uint32_t(*)(void))(uintptr_t)(DEBUGGED_CODE + offset);

	return code();
}

static void own_write(void *argument)
{
	*(volatile uint32_t *)argument = 1;
}

/* Breakpoints of the guest's, in so many registers. */
static void own_registers(unsigned count)
{
	uint32_t dr7 = DR7_NONE;

	for (unsigned i = 0; i < count; i++)
		dr7 |= 1u << 2 * i | DR7_WRITE4 << (16 + 4 * i);
	dr0_set((uint32_t)&own[0]);
	dr1_set((uint32_t)&own[1]);
	dr2_set((uint32_t)&own[2]);
	dr3_set((uint32_t)&own[3]);
	dr6_set(0);
	dr7_set(dr7);
	for (unsigned i = 0; i < 4; i++) {
		(void)trap_call(own_write, &own[i]);
		check_equal(trap.debug_count, i < count, "a breakpoint of the guest's");
		if (i < count)
			check_equal(trap.debug_dr6, 0xffff0ff0 | 1u << i, "DR6 says which");
	}
	check_equal(dr7_get(), dr7, "DR7 is the guest's");
	check(dr0_get() == (uint32_t)&own[0] && dr1_get() == (uint32_t)&own[1] && dr2_get() == (uint32_t)&own[2] &&
		      dr3_get() == (uint32_t)&own[3],
	      "DR0 to DR3 are the guest's");
	/* the debugger's work as well */
	(void)call(DEBUGGED_STORE);
	check_equal(dr6_get(), count ? 0xffff0ff0 | 1u << (count - 1) : 0xffff0ff0, "DR6 stays as it was");
	dr7_set(DR7_NONE);
}

void debugged_interrupt(void);
void debugged_exception(void);

/* What is watched, topic by topic: before each the debugger comes in. */
static void watched(void)
{
	static const uint16_t topics[] = {DEBUGGED_NEXT,  DEBUGGED_CROSS, DEBUGGED_REP,	 DEBUGGED_RMW, DEBUGGED_STACK,
					  DEBUGGED_FRAME, DEBUGGED_FAULT, DEBUGGED_MOVE, DEBUGGED_WALK};
	uint32_t *table = (uint32_t *)DEBUGGED_TABLE;

	idt_set(idt, DEBUGGED_VECTOR, debugged_interrupt);
	idt_set(idt, VECTOR_UD, debugged_exception);
	/* present, writable, 4 MiB */
	for (uint32_t i = 0; i < 1024; i++)
		table[i] = i << 22 | 0x83;
	for (unsigned i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		(void)call(DEBUGGED_BREAK);
		(void)call(topics[i]);
	}
	check(*(uint32_t *)(DEBUGGED_DATA + DEBUGGED_TO) == 0x600d, "what was moved");
	check_equal(table[DEBUGGED_FAR >> 22], DEBUGGED_FAR | 0xe3, "accessed and dirty");
	check_equal(*(uint32_t *)DEBUGGED_FAR, 1, "what was written");
}

void guest_main(void)
{
	memset((void *)DEBUGGED_DATA, 0, 2 * 0x1000);
	*(uint32_t *)(DEBUGGED_DATA + DEBUGGED_FROM) = 0x600d;
	memcpy((void *)DEBUGGED_CODE, debugged_code, (size_t)(debugged_code_end - debugged_code));
	print("ticks: %u between two RDTSC\n", call(DEBUGGED_HITS));
	(void)call(DEBUGGED_BREAK);
	(void)call(DEBUGGED_STORE);
	(void)call(DEBUGGED_LOAD);
	own_registers(0);
	own_registers(2);
	own_registers(4);
	check_equal(real_call(debugged16, debugged16_end, 0), TRAP_NONE, "real mode");
	check_equal(long_call((const void *)(DEBUGGED_CODE + DEBUGGED_LONG), 0), TRAP_NONE, "64-bit mode");
	watched();
	(void)call(DEBUGGED_BREAK);
	interrupts_init();
	idt_set(idt, VECTOR_IRQ0, debugged_interrupt);
	while (*(volatile uint32_t *)(DEBUGGED_DATA + DEBUGGED_WAIT)) {
		irq0_raise();
		(void)call(DEBUGGED_HALT);
	}
}
