/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls, a topic of conform-selectors.
 */
#ifndef TESTS_MACHINE_GUESTS_CONFORM_CALLS_H
#define TESTS_MACHINE_GUESTS_CONFORM_CALLS_H

/* The order that SYSENTER, SYSEXIT, SYSCALL and SYSRET want; ring 0's code is that of the mode. */
#define SELECTOR_CALL_CODE   0xc0
#define SELECTOR_CALL_STACK  0xc8
#define SELECTOR_CALL_USER   0xd3
#define SELECTOR_CALL_DATA   0xdb
#define SELECTOR_CALL_USER64 0xe3
#define SELECTOR_CALL_DATA64 0xeb

#ifndef __ASSEMBLER__
void system_calls(void);
#endif
#endif
