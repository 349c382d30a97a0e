/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a PCI function's configuration space lies in memory, by ACPI's MCFG. PCI Firmware Specification 3.2, "MCFG
 * Table Description" (4.1.2).
 */
#include <undercroft/firmware.h>

#include <string.h>

#define MCFG_ENTRIES 44u /* the table's header and 8 reserved bytes */
#define MCFG_ENTRY   16u

uint64_t mcfg_config_page(const void *table, size_t length, uint32_t function)
{
	unsigned bus = function >> 16 & 0xff;

	for (size_t at = MCFG_ENTRIES; at + MCFG_ENTRY <= length; at += MCFG_ENTRY) {
		const uint8_t *entry = (const uint8_t *)table + at;
		uint64_t base;

		memcpy(&base, entry, sizeof(base));
		/* segment 0, first and last bus */
		if (entry[8] == 0 && entry[9] == 0 && bus >= entry[10] && bus <= entry[11])
			return ALIGN_DOWN(base, PAGE_SIZE) + ((uint64_t)(function & 0xffff00) << 4);
	}
	return 0;
}
