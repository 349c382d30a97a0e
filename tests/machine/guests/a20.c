/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's address line 20 while the guest's is off, whichever switch it uses. Lies at 2 MiB itself.
 */
#include "a20_switch.h"

/* Is 5 MiB the memory at 4 MiB? While the machine's line is off, it is. */
static bool machine_line_off(void)
{
	volatile uint32_t *even = (volatile uint32_t *)0x400000, *odd = (volatile uint32_t *)0x500000;

	*even = 0x44444444;
	*odd = 0x55555555;
	return *even == 0x55555555;
}

void guest_main(void)
{
	void (*const line[])(bool) = {a20_by_port_a, a20_by_output_port, a20_by_command};

	for (unsigned i = 0; i < sizeof(line) / sizeof(line[0]); i++) {
		line[i](false);
		print("guest: the machine's line is %s\n", machine_line_off() ? "off" : "on");
		line[i](true);
	}
}
