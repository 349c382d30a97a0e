/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resets the machine by the chipset's reset control register, each time it is started.
 */
#include "guest.h"

#define RESET_CONTROL	   0xcf9
#define RESET_CONTROL_HARD 0x02
#define RESET_CONTROL_NOW  0x04

void guest_main(void)
{
	print_drain();
	out8(RESET_CONTROL, RESET_CONTROL_HARD);
	out8(RESET_CONTROL, RESET_CONTROL_HARD | RESET_CONTROL_NOW);
	for (;;)
		__asm__ volatile("hlt");
}
