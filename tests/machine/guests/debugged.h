/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses that the debuggers' scripts in tests/machine/control know.
 */
#ifndef TESTS_MACHINE_GUESTS_DEBUGGED_H
#define TESTS_MACHINE_GUESTS_DEBUGGED_H

#define DEBUGGED_CODE 0x30000
#define DEBUGGED_DATA 0x32000 /* two pages */

#define DEBUGGED_VECTOR 0x30

/* Functions in the code, by offset. */
#define DEBUGGED_HITS  0x000 /* the breakpoint is at 20h */
#define DEBUGGED_BREAK 0x040
#define DEBUGGED_STORE 0x050
#define DEBUGGED_LOAD  0x060
#define DEBUGGED_NEXT  0x070 /* accesses next to the word */
#define DEBUGGED_CROSS 0x090
#define DEBUGGED_REP   0x0a0
#define DEBUGGED_RMW   0x0c0
#define DEBUGGED_STACK 0x0d0
#define DEBUGGED_FRAME 0x0f0
#define DEBUGGED_FAULT 0x110
#define DEBUGGED_MOVE  0x130
#define DEBUGGED_WALK  0x150
#define DEBUGGED_LONG  0x1a0 /* 64-bit code */
#define DEBUGGED_HALT  0x1c0
#define DEBUGGED_END   0x1d0

/* Behind DEBUGGED_DATA. */
#define DEBUGGED_WORD	0x010
#define DEBUGGED_ACROSS 0xffe /* a word in both pages */
#define DEBUGGED_STRING 0x100
#define DEBUGGED_OTHER	0x200
#define DEBUGGED_QUAD	0x208
#define DEBUGGED_SP	0x400
#define DEBUGGED_FROM	0x600
#define DEBUGGED_TO	0x700
#define DEBUGGED_WAIT	0x900 /* as long as there is something else than 0, the guest does not end */

/* 32-bit page tables: 4 MiB pages, the one that is tried at 32 MiB. */
#define DEBUGGED_TABLE 0x34000
#define DEBUGGED_FAR   0x2000000

#endif
