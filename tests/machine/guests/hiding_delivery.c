/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hidden memory as the stack and the IDT of INT n and of interrupts: nothing is lost, each access is counted once.
 */
#include "hiding.h"

#define VECTOR_GP     13
#define APIC	      0xfee00000u
#define APIC_EOI      0x0b0u
#define APIC_SPURIOUS 0x0f0u
#define APIC_ENABLED  0x100u
#define VECTOR_TEST   0x30

#define PIC_MASTER_MASK 0x21
#define PIC_SLAVE_MASK	0xa1

/* hiding_delivery_code.S */
void hiding_handler(void);
uint32_t hiding_interrupt_with_stack(uint32_t stack);
uint32_t hiding_apic_with_stack(uint32_t stack);
void hiding_interrupt(void *unused);
void hiding_apic_interrupt(void *unused);
extern uint32_t hiding_handled;

static volatile uint32_t *apic_register(uint32_t offset)
{
	return (volatile uint32_t *)(APIC + offset);
}

static void check_stack(void)
{
	check_equal(hiding_interrupt_with_stack(window + 0x800), 1, "INT with the stack there");
	accesses++;
	check_equal(hiding_interrupt_with_stack(window + PAGE + 4), 2, "INT with the stack across two pages");
	accesses++;
	*apic_register(APIC_SPURIOUS) = APIC_ENABLED | 0xff;
	out8(PIC_MASTER_MASK, 0xff);
	out8(PIC_SLAVE_MASK, 0xff);
	check_equal(hiding_apic_with_stack(window + 0x800), 3, "an interrupt with the stack there");
	accesses++;
	*apic_register(APIC_EOI) = 0;
	check_untouched(window, "stacks there change nothing");
}

static void check_idt(void)
{
	struct idt_gate *edge_idt = (struct idt_gate *)window - VECTOR_TEST;

	/* the gates of exceptions lie below the window, the one for the interrupt in it */
	memcpy(edge_idt, idt, VECTOR_TEST * sizeof(struct idt_gate));
	idt_load(edge_idt);
	check_equal(trap_call(hiding_interrupt, NULL), VECTOR_GP, "INT through a gate there is #GP");
	check_equal(trap.error, VECTOR_TEST * 8 + 2, "with the gate in its error code");
	accesses++;
	check_equal(trap_call(hiding_apic_interrupt, NULL), VECTOR_GP, "an interrupt through a gate there is #GP");
	/* bit 0, EXT, should be set; QEMU's TCG never sets it */
	check_equal(trap.error & ~1u, VECTOR_TEST * 8 + 2, "with the gate in its error code");
	accesses++;
	*apic_register(APIC_EOI) = 0;
	idt_load(idt);
}

void guest_main(void)
{
	if (!hiding_start())
		return;
	idt_set(idt, VECTOR_TEST + 1, hiding_handler);
	check_stack();
	check_idt();
	print("guest: %u accesses to hidden memory\n", accesses);
}
