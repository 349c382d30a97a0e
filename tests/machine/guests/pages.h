/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of the guest "pages" C and assembly share.
 */
#ifndef TESTS_MACHINE_GUESTS_PAGES_H
#define TESTS_MACHINE_GUESTS_PAGES_H

/* Returns from IRQ 0, whose controller ends it by itself. */
void pages_interrupt(void);

/* Waits for an interrupt. */
void pages_wait(void);

#endif
