/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: interrupts behind instructions that block them or exit, and exceptions while an event is delivered.
 */
#include "interrupts.h"
#include "record.h"

#define GATE_ABSENT	 0x0e
#define GATE_USER_ABSENT 0x6e
#define VECTOR_HIGH	 0x31
#define VECTOR_LOW	 0x22

/* clang-format off */
#define SHADOWS(S) \
	S(sti_nop) S(sti_cpuid) S(sti_rdmsr) S(sti_in) S(sti_invd) S(sti_hlt) S(sti_cli) S(sti_int3) \
	S(sti_int) S(sti_vmmcall) S(sti_cr0_ne) S(sti_xsetbv) S(popf_cpuid) S(popf_step) S(iret_cpuid)
#define STRINGS(S) \
	S(sti_rep_insb) S(popf_rep_insb)
#define SHADOWS64(S) \
	S(sti64_nop) S(sti64_cpuid) S(sti64_rdmsr) S(sti64_in) S(sti64_hlt)
#define SHADOWS16(S) \
	S(sti16_nop) S(sti16_cpuid) S(sti16_in) S(sti16_hlt)
#define OTHERS(S) \
	S(int_33) S(int_beyond) S(int_kernel) S(irq) S(undefined) S(divide) S(breakpoint3) S(null_load) \
	S(absent_load) S(page_touch) S(sti_two) S(cr8)
/* clang-format on */

#define DECLARE(name)	void name(void);
#define DECLARE16(name) extern const uint8_t name[], name##_end[];

/* conform_events_code.S */
SHADOWS(DECLARE)
STRINGS(DECLARE)
SHADOWS64(DECLARE)
SHADOWS16(DECLARE16)
OTHERS(DECLARE)

#define ONE(name)      irq0_raise(), RUN32(name);
#define ONE64(name)    irq0_raise(), RUN64(name);
#define ONE_REAL(name) irq0_raise(), RUN_REAL(name);
#define ONE16(name)    irq0_raise(), RUN16(name);

static bool end_of_interrupt(struct frame32 *frame)
{
	(void)frame;
	apic_eoi();
	return false;
}

static void apic(void)
{
	record_hook = end_of_interrupt;
	apic_send(ICR_SELF | VECTOR_HIGH);
	RUN32(sti_cpuid);
	apic_send(ICR_SELF | VECTOR_HIGH);
	RUN32(sti_hlt);
	apic_send(ICR_SELF | VECTOR_LOW);
	apic_send(ICR_SELF | VECTOR_HIGH);
	RUN32(sti_two);
	record_hook = NULL;
	RUN64(cr8);
	apic_eoi();
}

/* With a gate changed for it. */
static void with_gate(unsigned vector, uint16_t selector, uint8_t type, void (*code)(void), const char *name)
{
	struct idt_gate saved = idt[vector];

	idt[vector].selector = selector;
	idt[vector].type = type;
	run32(code, 0);
	print("gate %u, selector %x, type %x, ", vector, selector, type);
	record_print(name, (const void *)code);
	idt[vector] = saved;
}

#define WITH_GATE(vector, selector, type, code) with_gate(vector, selector, type, code, #code)

static void gates(void)
{
	static const struct {
		uint16_t selector;
		uint8_t type;
	} wrong[] = {{SELECTOR_CODE32, GATE_USER_ABSENT},
		     {0, 0xee},
		     {SELECTOR_DATA, 0xee},
		     {SELECTOR_ABSENT_CODE, 0xee},
		     {GDT_COUNT * 8, 0xee},
		     {GDT_COUNT * 8 + 4, 0xee},
		     {SELECTOR_USER_CODE, 0xee},
		     {SELECTOR_CODE32, 0xed}};

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		WITH_GATE(0x33, wrong[i].selector, wrong[i].type, int_33);
	for (unsigned i = 0; i < 4; i++) {
		irq0_raise();
		WITH_GATE(VECTOR_IRQ0, wrong[i].selector, wrong[i].type, irq);
	}
	irq0_forget();
	RUN32(int_beyond);
	RUN_USER(int_kernel);
	/* one after the other, and a double fault where there are two that count */
	WITH_GATE(6, SELECTOR_CODE32, GATE_ABSENT, undefined);
	WITH_GATE(3, SELECTOR_CODE32, GATE_USER_ABSENT, breakpoint3);
	WITH_GATE(0, SELECTOR_CODE32, GATE_ABSENT, divide);
	WITH_GATE(13, SELECTOR_CODE32, GATE_ABSENT, null_load);
	WITH_GATE(13, 0, 0x8e, null_load);
	WITH_GATE(11, SELECTOR_CODE32, GATE_ABSENT, absent_load);
	paging_on();
	page_set(PAGED + 0x3000, 0);
	WITH_GATE(14, SELECTOR_CODE32, GATE_ABSENT, page_touch);
	WITH_GATE(14, SELECTOR_CODE32, 0x8e, page_touch);
	paging_off();
}

/* The IDT with its entries up to last in one page and the others in the next one, one of them not present. */
static void split_idt(unsigned last, uint32_t absent, void (*code)(void), const char *name)
{
	uint32_t base = PAGED + PAGE_BYTES - (last + 1) * sizeof(struct idt_gate);

	memcpy((void *)base, idt, sizeof(idt));
	paging_on();
	page_set(absent, 0);
	page_set(PAGED + 0x3000, 0);
	idt_load((const struct idt_gate *)base);
	run32(code, 0);
	idt_load(idt);
	paging_off();
	print("IDT split behind %u, ", last);
	record_print(name, (const void *)code);
	page_set(absent, PTE_P | PTE_W | PTE_U);
}

#define SPLIT_IDT(last, absent, code) split_idt(last, absent, code, #code)

void guest_main(void)
{
	record_init();
	interrupts_init();
	mark("timer interrupt");
	SHADOWS(ONE)
	record_strings = true;
	STRINGS(ONE)
	record_strings = false;
	irq0_forget();
	mark("APIC");
	apic();
	mark("timer interrupt, 64 bit");
	SHADOWS64(ONE64)
	mark("timer interrupt, 16 bit");
	SHADOWS16(ONE16)
	irq0_forget();
	mark("gates");
	gates();
	mark("page faults during delivery");
	SPLIT_IDT(13, PAGED, undefined);
	SPLIT_IDT(13, PAGED, null_load);
	SPLIT_IDT(13, PAGED, breakpoint3);
	irq0_raise();
	SPLIT_IDT(20, PAGED + PAGE_BYTES, irq);
	irq0_forget();
	SPLIT_IDT(20, PAGED + PAGE_BYTES, int_33);
	SPLIT_IDT(8, PAGED + PAGE_BYTES, page_touch);
	SPLIT_IDT(8, PAGED + PAGE_BYTES, null_load);
}
