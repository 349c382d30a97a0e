/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts at a moment of the guest's choice: IRQ 0 by the timer, and what the local APIC sends to itself.
 */
#ifndef TESTS_MACHINE_GUESTS_INTERRUPTS_H
#define TESTS_MACHINE_GUESTS_INTERRUPTS_H

#include "guest.h"

/* IRQ 0's vector after interrupts_init(). */
#define VECTOR_IRQ0 0x20

/* Both PICs anew, everything masked, their interrupts end by themselves; the local APIC on. */
void interrupts_init(void);

/* Lets IRQ 0 wait in the PIC, until somebody takes it or irq0_forget(). */
void irq0_raise(void);
void irq0_forget(void);

/* The local APIC's interrupt command register. SDM vol. 3, "Issuing Interprocessor Interrupts" (10.6) */
#define ICR_NMI	 0x00000400u /* with this CPU as destination */
#define ICR_SELF 0x00040000u /* with a vector */
void apic_send(uint32_t command);
void apic_eoi(void);

#endif
