/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guests that end in Undercroft's last words share.
 */
#ifndef TESTS_MACHINE_GUESTS_FATAL_H
#define TESTS_MACHINE_GUESTS_FATAL_H

#include "guest.h"

/* fatal_code.S: the BIOS' interrupt 10h in real mode, with AX and BX from the argument's halves. */
extern const uint8_t fatal_video[], fatal_video_end[];

static inline void fatal_reserved_bit(void *unused)
{
	(void)unused;
	__asm__ volatile("movl %%eax, %%cr4" : : "a"(0xfee1dead));
}

/*
 * Makes an exit that nobody handles: QEMU's TCG leaves the guest with an unknown exit code on a reserved bit in CR4.
 * eax holds a value to look for. Elsewhere that is #GP, and what the guest waits for has spoiled the next entry.
 */
static inline void fatal_provoke(void)
{
	mark("ready");
	print("guest: on\n");
	(void)trap_call(fatal_reserved_bit, NULL);
	(void)cpuid(0, 0);
}

#endif
