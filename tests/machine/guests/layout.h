/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Selectors and places that C and assembly share.
 */
#ifndef TESTS_MACHINE_GUESTS_LAYOUT_H
#define TESTS_MACHINE_GUESTS_LAYOUT_H

#define SELECTOR_CODE32 0x08
#define SELECTOR_DATA	0x10
#define SELECTOR_CODE64 0x18
#define SELECTOR_CODE16 0x20 /* base REAL_SWITCH */
#define SELECTOR_DATA16 0x28 /* base REAL_SWITCH */

/* Descriptors from GDT_FREE on are the guest's own. */
#define GDT_FREE  6
#define GDT_COUNT 32

/* Real-mode code lies here, in a segment of its own; its switching code and stack lie in the one before. */
#define REAL_CODE   0x20000
#define REAL_SWITCH 0x10000

#endif
