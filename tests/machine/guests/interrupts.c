/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What interrupts.h promises: 8259A, 8254, local APIC.
 */
#include "interrupts.h"

#define PIC1	      0x20
#define PIC1_DATA     0x21
#define PIC2	      0xa0
#define PIC2_DATA     0xa1
#define ICW1	      0x11 /* edge-triggered, cascaded, ICW4 follows; forgets what waits */
#define ICW4_AUTO_EOI 0x03
#define OCW3_READ_IRR 0x0a
#define PIT_CHANNEL0  0x40
#define PIT_MODE      0x43
#define PIT_ONE_SHOT  0x30 /* channel 0, both bytes, mode 0 */
#define PIT_TICKS     16

#define MSR_APIC_BASE 0x1b
#define APIC_ID	      0x020
#define APIC_EOI      0x0b0
#define APIC_SVR      0x0f0
#define APIC_ICR_LOW  0x300
#define APIC_ICR_HIGH 0x310
#define SVR_ENABLE    0x100u
#define ICR_PENDING   0x1000u

static volatile uint32_t *apic(uint32_t offset)
{
	return (volatile uint32_t *)((uint32_t)msr_read(MSR_APIC_BASE) & 0xfffff000) + offset / 4;
}

void irq0_forget(void)
{
	out8(PIC1, ICW1);
	out8(PIC1_DATA, VECTOR_IRQ0);
	out8(PIC1_DATA, 4);
	out8(PIC1_DATA, ICW4_AUTO_EOI);
	out8(PIC1_DATA, 0xff);
}

void interrupts_init(void)
{
	irq0_forget();
	out8(PIC2_DATA, 0xff);
	*apic(APIC_SVR) |= SVR_ENABLE | 0xff;
}

void irq0_raise(void)
{
	irq0_forget();
	out8(PIC1_DATA, 0xfe);
	out8(PIT_MODE, PIT_ONE_SHOT);
	out8(PIT_CHANNEL0, PIT_TICKS);
	out8(PIT_CHANNEL0, 0);
	out8(PIC1, OCW3_READ_IRR);
	while (!(in8(PIC1) & 1))
		;
}

void apic_send(uint32_t command)
{
	*apic(APIC_ICR_HIGH) = *apic(APIC_ID);
	*apic(APIC_ICR_LOW) = command;
	while (*apic(APIC_ICR_LOW) & ICR_PENDING)
		;
}

void apic_eoi(void)
{
	*apic(APIC_EOI) = 0;
}
