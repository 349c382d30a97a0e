/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A walk for a debugger: every way from one place to another, and what the guest must not notice of being stepped.
 */
#include "interrupts.h"
#include "record.h"
#include "steps.h"

#define VECTOR_UD 6
#define FLAGS_TF  0x100u

#define MSR_SYSENTER_CS	 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_EFER	 0xc0000080
#define MSR_STAR	 0xc0000081
#define MSR_LSTAR	 0xc0000082
#define MSR_FMASK	 0xc0000084
#define EFER_SCE	 1u

/* steps_code.S */
void steps_plain(void), steps_traps(void), steps_shadow(void), steps_interrupt(void), steps_halt(void);
void steps_sysenter(void), steps_loop(void), steps_cpuid(void), steps_syscall(void);
extern const uint8_t steps_real[], steps_real_end[];
void steps_task(void), steps_trap(void), steps_undefined(void);
void steps_sysenter_entry(void), steps_syscall_entry(void), steps_task_entry(void);
extern uint32_t steps_flags, steps_trap_count, steps_loop_count, steps_cpuid_count;

/* As long as somebody else says so, it goes on without getting anywhere. */
volatile uint32_t steps_wait;

static uint8_t sysenter_stack[256];

static void handlers_set(void)
{
	static const uint8_t vectors[] = {3, 4, VECTOR_IRQ0, STEPS_INT};

	for (unsigned i = 0; i < sizeof(vectors); i++)
		idt_set(idt, vectors[i], steps_trap);
	idt_set(idt, VECTOR_UD, steps_undefined);
	msr_write(MSR_SYSENTER_CS, SELECTOR_CODE32);
	msr_write(MSR_SYSENTER_ESP, (uint32_t)sysenter_stack + sizeof(sysenter_stack));
	msr_write(MSR_SYSENTER_EIP, (uint32_t)steps_sysenter_entry);
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SCE);
	msr_write(MSR_STAR, (uint64_t)(SELECTOR_USER_CODE64 - 16) << 48 | (uint64_t)SELECTOR_CODE64 << 32);
	msr_write(MSR_LSTAR, (uint32_t)steps_syscall_entry);
	msr_write(MSR_FMASK, 0);
}

/* Carried out once each, whether somebody steps through it or not. */
static void traps_check(const char *name, uint32_t count)
{
	check_equal(steps_trap_count, count, name);
	steps_trap_count = 0;
}

void guest_main(void)
{
	record_init();
	interrupts_init();
	handlers_set();

	run32(steps_plain, 0);
	run32(steps_traps, 0);
	traps_check("software interrupts and #UD", 4);
	run32(steps_shadow, 0);
	traps_check("software interrupts behind MOV SS", 2);
	irq0_raise();
	run32(steps_interrupt, 0);
	traps_check("an interrupt", 1);
	irq0_raise();
	run32(steps_halt, 0);
	traps_check("an interrupt ends HLT", 1);
	irq0_forget();
	run_user(steps_sysenter, 0);
	traps_check("SYSENTER and SYSEXIT", 1);
	real_call(steps_real, steps_real_end, 0);
	steps_flags |= *(volatile uint16_t *)(REAL_CODE + STEPS_REAL_FLAGS);
	record_task.eip = (uint32_t)steps_task_entry;
	run32(steps_task, 0);
	steps_flags |= record_tss.eflags;
	traps_check("a task", 1);
	run64(steps_syscall, 0);
	traps_check("SYSRET and SYSCALL", 1);
	run32(steps_loop, 0);
	check_equal(steps_loop_count, 5, "a loop");
	run32(steps_cpuid, 0);
	check_equal(steps_cpuid_count, 4, "CPUID");
	check_equal(steps_flags & FLAGS_TF, 0, "TF in pushed flags");
	while (steps_wait) {
		irq0_raise();
		run32(steps_halt, 0);
	}
}
