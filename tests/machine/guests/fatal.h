/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guests that end in Undercroft's last words share.
 */
#ifndef TESTS_MACHINE_GUESTS_FATAL_H
#define TESTS_MACHINE_GUESTS_FATAL_H

#include "guest.h"

/* fatal_code.S: the BIOS' interrupt 10h in real mode, with AX and BX from the argument's halves. */
extern const uint8_t fatal_video[], fatal_video_end[];

/*
 * Makes an exit that nobody handles: QEMU's TCG leaves the guest with an unknown exit code on a reserved bit in CR4.
 * eax holds a value to look for.
 */
static inline void fatal_provoke(void)
{
	__asm__ volatile("movl %%eax, %%cr4" : : "a"(0xfee1dead));
}

#endif
