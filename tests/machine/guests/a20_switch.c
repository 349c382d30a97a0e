/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address line 20 by port 92h, by the keyboard controller's output port and by its commands.
 */
#include "a20_switch.h"

#define KBD_DATA   0x60
#define STATUS_OUT 0x01
#define STATUS_IN  0x02
#define WAIT	   1000000

static void controller_wait(void)
{
	for (unsigned i = 0; i < WAIT && (in8(KBD_COMMAND) & STATUS_IN); i++)
		continue;
}

void a20_command(uint8_t value)
{
	controller_wait();
	out8(KBD_COMMAND, value);
	controller_wait();
}

uint8_t a20_output_port(void)
{
	while (in8(KBD_COMMAND) & STATUS_OUT)
		in8(KBD_DATA);
	a20_command(0xd0);
	for (unsigned i = 0; i < WAIT && !(in8(KBD_COMMAND) & STATUS_OUT); i++)
		continue;
	return in8(KBD_DATA);
}

void a20_by_port_a(bool on)
{
	out8(PORT_A, (uint8_t)((in8(PORT_A) & ~3u) | (on ? 2 : 0)));
}

void a20_by_output_port(bool on)
{
	a20_command(0xd1);
	out8(KBD_DATA, on ? 0xdf : 0xdd);
	controller_wait();
}

void a20_by_command(bool on)
{
	a20_command(on ? 0xdf : 0xdd);
}
