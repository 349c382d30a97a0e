/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses that tests/machine/control/hard.gdb and watch.gdb know.
 */
#ifndef TESTS_MACHINE_GUESTS_DEBUGGED_H
#define TESTS_MACHINE_GUESTS_DEBUGGED_H

#define DEBUGGED_CODE 0x30000
#define DEBUGGED_DATA 0x32000 /* two pages */

/* Functions in the code, by offset. */
#define DEBUGGED_HITS  0x000 /* the breakpoint is at 20h */
#define DEBUGGED_BREAK 0x040
#define DEBUGGED_STORE 0x050
#define DEBUGGED_LOAD  0x060

/* Behind DEBUGGED_DATA. */
#define DEBUGGED_WORD 0x010

#endif
