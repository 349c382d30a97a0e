/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resets the machine by the keyboard controller, each time it is started.
 */
#include "guest.h"

#define KBC_COMMAND	0x64
#define KBC_INPUT_FULL	0x02
#define KBC_PULSE_RESET 0xfe

void guest_main(void)
{
	print_drain();
	while (in8(KBC_COMMAND) & KBC_INPUT_FULL)
		;
	out8(KBC_COMMAND, KBC_PULSE_RESET);
	for (;;)
		__asm__ volatile("hlt");
}
