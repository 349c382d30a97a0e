/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Layout of the 64 KiB segment in which a test runs 16-bit code, as an interrupt handler, on the test's own CPU: the
 * code under test from 0, what run16.S needs at the end. For C and assembler.
 */
#ifndef TESTS_UNIT_RUN16_H
#define TESTS_UNIT_RUN16_H

/* Entries 0 and 1 of the local descriptor table, requested privilege level 3; both segments have one base. */
#define RUN16_CODE 0x07
#define RUN16_DATA 0x0f

#define RUN16_OUT   0x9000 /* for the code under test to write to, up to RUN16_STACK_END */
#define RUN16_REGS  0xe000 /* struct run16_regs, in and out */
#define RUN16_ENTER 0xf000 /* copy of run16_code */
#define RUN16_LEAVE 0xf400 /* copy of run16_leave */
#define RUN16_STACK 0xe800 /* its upper end */

/* Offsets in struct run16_regs */
#define RUN16_EAX     0
#define RUN16_EBX     4
#define RUN16_ECX     8
#define RUN16_EDX     12
#define RUN16_ESI     16
#define RUN16_EDI     20
#define RUN16_EBP     24
#define RUN16_ESP     28
#define RUN16_FLAGS   32
#define RUN16_ES      34
#define RUN16_CALLS   36
#define RUN16_AT_CALL 38

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct run16_regs {
	uint32_t eax, ebx, ecx, edx, esi, edi, ebp, esp;
	uint16_t flags, es;
	uint16_t old_calls, old_flags; /* how often run16_old was reached, and FLAGS then */
};

_Static_assert(offsetof(struct run16_regs, esp) == RUN16_ESP, "run16 layout");
_Static_assert(offsetof(struct run16_regs, flags) == RUN16_FLAGS, "run16 layout");
_Static_assert(offsetof(struct run16_regs, es) == RUN16_ES, "run16 layout");
_Static_assert(offsetof(struct run16_regs, old_calls) == RUN16_CALLS, "run16 layout");
_Static_assert(offsetof(struct run16_regs, old_flags) == RUN16_AT_CALL, "run16 layout");

/* run16.S: what is copied to RUN16_ENTER, and the offset in it of an interrupt handler that only counts. */
extern const uint8_t run16_code[], run16_code_end[], run16_old[];

/* What is copied to RUN16_LEAVE. */
extern const uint8_t run16_leave[], run16_leave_end[];

/*
 * Calls RUN16_CODE:0 as an interrupt would, with registers from and to the struct run16_regs of the segment at base
 * (below 4 GiB), DS and FS unusable.
 */
void run16(uint32_t base);

#endif

#endif
