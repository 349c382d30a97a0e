/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function that is Undercroft's: its configuration space is not there, by ports and in memory, and all others
 * are. For a machine with a serial port at 0:1d.0.
 */
#include "guest.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define FUNCTION       (0x80000000u | 0x1d << 11)
#define HOST_BRIDGE    0x80000000u

#define PCI_BAR0 0x10

/* Where the host bridge of the emulated Q35 chipset says that configuration space is: PCIEXBAR, register 60h. */
#define Q35_BRIDGE   0x29c08086
#define Q35_PCIEXBAR 0x60

static uint32_t config_read(uint32_t function, uint32_t reg)
{
	out32(CONFIG_ADDRESS, function | reg);
	return in32(CONFIG_DATA);
}

static void check_memory(void)
{
	uint32_t base = config_read(HOST_BRIDGE, Q35_PCIEXBAR) & 0xf0000000;
	volatile uint32_t *ours = (volatile uint32_t *)(base + ((FUNCTION & 0xffff00) << 4));
	volatile uint32_t *bridge = (volatile uint32_t *)base;

	check_equal(bridge[0], Q35_BRIDGE, "configuration space in memory");
	check_equal(ours[0], 0xffffffff, "ours is not in it");
	ours[PCI_BAR0 / 4] = 0x1001;
	check_equal(ours[PCI_BAR0 / 4], 0xffffffff, "and cannot be written");
}

void guest_main(void)
{
	uint32_t bridge = config_read(HOST_BRIDGE, 0);

	check(bridge != 0xffffffff, "the host bridge is there");
	check_equal(config_read(FUNCTION, 0), 0xffffffff, "our function is not");
	check_equal(in8(CONFIG_DATA + 1), 0xff, "nor a byte of it");
	check_equal(in16(CONFIG_DATA + 2), 0xffff, "nor a word");
	out32(CONFIG_ADDRESS, FUNCTION | PCI_BAR0);
	out32(CONFIG_DATA, 0x1001);
	out16(CONFIG_DATA, 0x2001);
	out8(CONFIG_DATA + 1, 0x30);
	check_equal(in32(CONFIG_ADDRESS), FUNCTION | PCI_BAR0, "the address register is the guest's");
	out32(CONFIG_ADDRESS, HOST_BRIDGE);
	check_equal(in16(CONFIG_DATA + 2), bridge >> 16, "a word of the host bridge");
	check_equal(in8(CONFIG_DATA + 1), bridge >> 8 & 0xff, "a byte of the host bridge");
	if (bridge == Q35_BRIDGE)
		check_memory();
}
