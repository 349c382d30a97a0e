/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory maps as the firmware gives them, made sorted and disjoint, and edited. Must not know what the ranges are
 * for, nor who will be shown the map.
 */
#include <undercroft/errno.h>
#include <undercroft/plan.h>

/* Types are numbered in the order of their restrictiveness, except 0, which no firmware may use: trust it least. */
static uint32_t type_rank(uint32_t type)
{
	return type == 0 ? UINT32_MAX : type;
}

static bool range_is_sane(const struct memory_range *range)
{
	return range->length != 0 && range->base + range->length > range->base;
}

static uint64_t range_end(const struct memory_range *range)
{
	return range->base + range->length;
}

/* Adds a range behind all others of a sorted map, joining it with the last one where that is the same memory. */
static int map_append(struct memory_map *map, uint64_t base, uint64_t end, uint32_t type)
{
	struct memory_range *last = map->count ? &map->range[map->count - 1] : NULL;

	if (base >= end)
		return 0;
	if (last && last->type == type && range_end(last) == base) {
		last->length += end - base;
		return 0;
	}
	if (map->count >= MACHINE_MEMORY_MAX)
		return -E2BIG;
	map->range[map->count++] = (struct memory_range){.base = base, .length = end - base, .type = type};
	return 0;
}

/*
 * What the firmware says about the byte at position: the most restrictive range that covers it, or NULL. *next is the
 * first position behind it where another answer is possible, or UINT64_MAX if there is none.
 */
static const struct memory_range *map_at(const struct memory_map *map, uint64_t position, uint64_t *next)
{
	const struct memory_range *best = NULL;

	*next = UINT64_MAX;
	for (uint32_t i = 0; i < map->count; i++) {
		const struct memory_range *range = &map->range[i];
		uint64_t edge;

		if (!range_is_sane(range) || range_end(range) <= position)
			continue;
		edge = range->base > position ? range->base : range_end(range);
		if (edge < *next)
			*next = edge;
		if (range->base <= position && (!best || type_rank(range->type) > type_rank(best->type)))
			best = range;
	}
	return best;
}

int memory_map_normalise(const struct memory_map *in, struct memory_map *out)
{
	uint64_t position = 0;

	out->count = 0;
	out->reserved = 0;
	if (in->count > MACHINE_MEMORY_MAX)
		return -E2BIG;
	/* No sane range ends at UINT64_MAX + 1, so the sweep ends there at the latest; each turn passes one edge. */
	while (position != UINT64_MAX) {
		uint64_t next;
		const struct memory_range *range = map_at(in, position, &next);

		if (range && map_append(out, position, next, range->type))
			return -E2BIG;
		position = next;
	}
	return 0;
}

static uint64_t lower_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t higher_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

int memory_map_mark(struct memory_map *map, uint64_t base, uint64_t length, uint32_t type)
{
	const struct memory_map old = *map;
	uint64_t end = base + length;
	bool placed = false;
	int error = 0;

	if (length == 0)
		return 0;
	if (end < base)
		return -EINVAL;

	map->count = 0;
	for (uint32_t i = 0; i < old.count && !error; i++) {
		const struct memory_range *range = &old.range[i];

		error = map_append(map, range->base, lower_of(range_end(range), base), range->type);
		if (!error && !placed && range_end(range) > base) {
			error = map_append(map, base, end, type);
			placed = true;
		}
		if (!error)
			error = map_append(map, higher_of(range->base, end), range_end(range), range->type);
	}
	if (!error && !placed)
		error = map_append(map, base, end, type);
	if (error)
		*map = old;
	return error;
}
