/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tasks' selectors and places that C and assembly share.
 */
#ifndef TESTS_MACHINE_GUESTS_CONFORM_TASK_H
#define TESTS_MACHINE_GUESTS_CONFORM_TASK_H

#define TSS_MAIN      0x30
#define TSS_OTHER     0x38
#define TSS_BETWEEN   0x40
#define TSS_16	      0x48
#define TASK_GATE     0x50
#define LDT	      0x58
#define SCRATCH	      0x60
#define SELECTOR_USER 0x68
#define TSS_FAULT     0x70 /* the first of six */

#define VECTOR_GATE 0x40

/* Below 64 KiB: where a 16-bit TSS can point to, and virtual-8086 code. */
#define LOW_CODE  0x7e00
#define LOW_STACK 0x7e00

#endif
