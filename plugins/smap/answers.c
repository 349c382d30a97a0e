/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What interrupt 15h answers for a memory map. Pure: must not know how the answers get to the guest.
 */
#include "smap.h"

/* Usable bytes from start on without a gap, up to limit. */
static uint64_t usable_from(const struct memory_map *map, uint64_t start, uint64_t limit)
{
	uint64_t end = start;

	for (uint32_t i = 0; i < map->count && end < limit; i++) {
		const struct memory_range *range = &map->range[i];

		if (range->type == MEMORY_USABLE && range->base <= end && end - range->base < range->length)
			end = range->base + range->length;
	}
	return (end < limit ? end : limit) - start;
}

void smap_answer_sizes(const struct memory_map *map, struct smap_header *header)
{
	header->kib_below_16m = (uint16_t)(usable_from(map, MIB(1), MIB(16)) >> 10);
	header->units_64kib_from_16m = (uint16_t)(usable_from(map, MIB(16), GIB(4)) >> 16);
	header->kib_capped = (uint16_t)(usable_from(map, MIB(1), MIB(64)) >> 10);
	header->kib = (uint32_t)(usable_from(map, MIB(1), GIB(4)) >> 10);
}

struct smap_range smap_answer_range(const struct memory_range *range)
{
	return (struct smap_range){.base = range->base, .length = range->length, .type = range->type};
}
