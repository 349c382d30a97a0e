/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends itself INIT through its APIC, each time it is started. Natively that resets the CPU, and the firmware then the
 * machine.
 */
#include "guest.h"

#define APIC		0xfee00000u
#define APIC_ID		0x020u
#define APIC_SPURIOUS	0x0f0u
#define APIC_ENABLED	0x1ffu
#define APIC_ICR_LOW	0x300u
#define APIC_ICR_HIGH	0x310u
#define ICR_INIT_ASSERT 0xc500u /* level-triggered, asserted */

static volatile uint32_t *apic_register(uint32_t offset)
{
	return (volatile uint32_t *)(APIC + offset);
}

void guest_main(void)
{
	print_drain();
	*apic_register(APIC_SPURIOUS) = APIC_ENABLED;
	*apic_register(APIC_ICR_HIGH) = *apic_register(APIC_ID) & 0xff000000;
	*apic_register(APIC_ICR_LOW) = ICR_INIT_ASSERT;
	for (;;)
		__asm__ volatile("hlt");
}
