/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of a PC's serial ports are there: by their scratch registers, and as the BIOS counts them.
 */
#include "guest.h"

#define UART_SCR 7

#define BDA_COM_PORTS 0x400
#define BDA_EQUIPMENT 0x410

static uint32_t is_there(uint16_t port)
{
	out8((uint16_t)(port + UART_SCR), 0x5a);
	return in8((uint16_t)(port + UART_SCR)) == 0x5a;
}

void guest_main(void)
{
	static const uint16_t ports[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
	uint16_t bios[4], equipment;
	unsigned count = 0, found = 0;

	memcpy(bios, (const void *)BDA_COM_PORTS, sizeof(bios));
	memcpy(&equipment, (const void *)BDA_EQUIPMENT, sizeof(equipment));
	for (unsigned i = 0; i < 4; i++) {
		uint32_t listed = 0;

		for (unsigned j = 0; j < 4; j++)
			listed |= bios[j] == ports[i];
		count += bios[i] != 0;
		found += is_there(ports[i]);
		print("guest: port %x: %s\n", ports[i], is_there(ports[i]) ? "there" : "absent");
		check_equal(listed, is_there(ports[i]), "the BIOS lists it if it is there");
	}
	check_equal(count, found, "the BIOS lists no other");
	check_equal(equipment >> 9 & 7, found, "the equipment word counts them");
}
