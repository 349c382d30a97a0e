/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vmm's own page tables. APM vol. 2, "Long-Mode Page Translation" (5.3). Memory types are left to the MTRRs.
 */
#include "boot/metal/paging.h"

#define PTE_PRESENT 0x01u
#define PTE_WRITE   0x02u
#define PTE_LARGE   0x80u
#define PTE_TABLE   (PTE_PRESENT | PTE_WRITE)
#define PTE_LEAF    (PTE_PRESENT | PTE_WRITE | PTE_LARGE)

static uint64_t *table_below(uint64_t *slot, paddr_t *next, paddr_t end)
{
	if (!*slot) {
		if (*next >= end)
			return NULL;
		*slot = *next | PTE_TABLE;
		*next += PAGE_SIZE;
	}
	return (uint64_t *)(uintptr_t)(*slot & PAGE_MASK);
}

paddr_t paging_build_identity(paddr_t *next, uint64_t room, paddr_t top, bool pages_1g)
{
	paddr_t root = *next, end = *next + room;
	uint64_t step = pages_1g ? GIB(1) : MIB(2);

	if (room < PAGE_SIZE)
		return 0;
	*next += PAGE_SIZE;
	top = ALIGN_UP(top, GIB(1));
	for (paddr_t at = 0; at < top; at += step) {
		uint64_t *table = table_below((uint64_t *)(uintptr_t)root + (at >> 39 & 511), next, end);

		if (!table)
			return 0;
		if (pages_1g) {
			table[at >> 30 & 511] = at | PTE_LEAF;
			continue;
		}
		table = table_below(&table[at >> 30 & 511], next, end);
		if (!table)
			return 0;
		table[at >> 21 & 511] = at | PTE_LEAF;
	}
	return root;
}
