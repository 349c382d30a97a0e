/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resets the machine by a triple fault, each time it is started.
 */
#include "guest.h"

void guest_main(void)
{
	struct descriptor_table none = {0};

	print_drain();
	__asm__ volatile("lidt %0\n\tud2" : : "m"(none));
}
