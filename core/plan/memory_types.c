/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory types from recorded MTRRs. Pure. Must not know who reads the registers, nor what the types are needed for.
 */
#include <undercroft/memory_type.h>

#include <undercroft/errno.h>
#include <x86/msr.h>

/* Each aligned block that is looked at costs one; sets of real machines need some hundred. */
#define BLOCK_BUDGET 20000u

#define TYPE_MASK 0x07u /* AMD: bits 3 and 4 of a fixed range say where accesses go, not how they are cached */

/* SDM vol. 3, "Fixed Range MTRRs" (11.11.2.2), table 11-9 */
static const struct {
	uint32_t start, step; /* a register has eight ranges of step bytes */
} fixed_ranges[MTRR_FIXED_COUNT] = {
	{0x00000, 0x10000}, {0x80000, 0x4000}, {0xa0000, 0x4000}, {0xc0000, 0x1000},
	{0xc8000, 0x1000},  {0xd0000, 0x1000}, {0xd8000, 0x1000}, {0xe0000, 0x1000},
	{0xe8000, 0x1000},  {0xf0000, 0x1000}, {0xf8000, 0x1000},
};

#define FIXED_END MIB(1)

/* Types met so far on one page, as bits; what they make together. */
struct verdict {
	uint8_t type;
	bool undefined;
};

static bool type_is_reserved(unsigned type)
{
	return type != MTRR_UC && type != MTRR_WC && type != MTRR_WT && type != MTRR_WP && type != MTRR_WB;
}

/* The address bits that a base or a mask can have. */
static uint64_t address_bits(const struct mtrr_set *set)
{
	return ((1ull << set->physical_bits) - 1) & PAGE_MASK;
}

static unsigned variable_count(const struct mtrr_set *set)
{
	unsigned count = set->capability & MTRR_CAP_COUNT;

	return count < MTRR_VARIABLE_MAX ? count : MTRR_VARIABLE_MAX;
}

static bool is_enabled(const struct mtrr_set *set)
{
	return set->capability != 0 && (set->default_type & MTRR_DEF_ENABLE) != 0;
}

static bool fixed_apply(const struct mtrr_set *set)
{
	return is_enabled(set) && (set->capability & MTRR_CAP_FIXED) != 0 &&
	       (set->default_type & MTRR_DEF_FIXED_ENABLE) != 0;
}

static struct verdict type_verdict(unsigned type)
{
	if (type_is_reserved(type))
		return (struct verdict){.type = MTRR_UC, .undefined = true};
	return (struct verdict){.type = (uint8_t)type};
}

/* The range of fixed registers that an address below 1 MiB lies in. */
static struct verdict fixed_type(const struct mtrr_set *set, paddr_t address, paddr_t *end)
{
	unsigned i = MTRR_FIXED_COUNT - 1, at;

	while (address < fixed_ranges[i].start)
		i--;
	at = (unsigned)(address - fixed_ranges[i].start) / fixed_ranges[i].step;
	*end = fixed_ranges[i].start + (uint64_t)(at + 1) * fixed_ranges[i].step;
	return type_verdict((unsigned)(set->fixed[i] >> (8 * at)) & TYPE_MASK);
}

/* Where no variable range is. APM vol. 2, "Top of Memory" (7.9.4): above 4 GiB AMD's CPUs can have another default. */
static struct verdict default_type(const struct mtrr_set *set, paddr_t address)
{
	if (address >= GIB(4) && address < set->top_mem2)
		return (struct verdict){.type = MTRR_WB};
	return type_verdict((unsigned)(set->default_type & MTRR_DEF_TYPE));
}

/* SDM vol. 3, "MTRR Precedences" (11.11.4.1). matched: bit n is set if a range of type n is there. */
static struct verdict overlap_type(unsigned matched)
{
	if ((matched & (matched - 1)) == 0)
		return type_verdict((unsigned)__builtin_ctz(matched));
	if (matched & 1u << MTRR_UC)
		return (struct verdict){.type = MTRR_UC};
	if (matched == (1u << MTRR_WT | 1u << MTRR_WB))
		return (struct verdict){.type = MTRR_WT};
	return (struct verdict){.type = MTRR_UC, .undefined = true};
}

/*
 * The type of the aligned block of size bytes at start, above what fixed ranges cover. Returns false if the block's
 * pages could differ.
 */
static bool block_type(const struct mtrr_set *set, paddr_t start, uint64_t size, struct verdict *type)
{
	uint64_t bits = address_bits(set), below = size - 1;
	unsigned matched = 0;
	bool differs = false;

	for (unsigned i = 0; i < variable_count(set); i++) {
		uint64_t mask = set->mask[i] & bits;

		if (!(set->mask[i] & MTRR_MASK_VALID) || (((start ^ set->base[i]) & mask & ~below) != 0))
			continue;
		if ((mask & below) != 0)
			differs = true;
		else
			matched |= 1u << (set->base[i] & TYPE_MASK);
	}
	/* wherever else this block may lie in, too, it stays UC */
	if (matched & 1u << MTRR_UC) {
		*type = (struct verdict){.type = MTRR_UC};
		return true;
	}
	if (differs)
		return false;
	if (matched == 0) {
		if ((start < GIB(4) && size > GIB(4) - start) ||
		    (start < set->top_mem2 && size > set->top_mem2 - start))
			return false;
		*type = default_type(set, start);
	} else {
		*type = overlap_type(matched);
	}
	return true;
}

/* The largest aligned block at start that has one type and ends at limit or before. Returns its size. */
static uint64_t block_find(const struct mtrr_set *set, paddr_t start, paddr_t limit, struct verdict *type)
{
	uint64_t size = PAGE_SIZE;

	while ((start & size) == 0 && size * 2 <= limit - start)
		size *= 2;
	while (!block_type(set, start, size, type) && size > PAGE_SIZE)
		size /= 2;
	return size;
}

int memory_types_resolve(const struct mtrr_set *set, struct memory_type_range *ranges, unsigned max)
{
	paddr_t limit = 1ull << set->physical_bits, next;
	unsigned count = 0, budget = BLOCK_BUDGET;

	for (paddr_t at = 0; at < limit; at = next) {
		struct verdict type = {.type = MTRR_UC};
		struct memory_type_range *last = count > 0 ? &ranges[count - 1] : NULL;

		if (budget-- == 0)
			return -E2BIG;
		if (!is_enabled(set))
			next = limit;
		else if (at < FIXED_END && fixed_apply(set))
			type = fixed_type(set, at, &next);
		else
			next = at + block_find(set, at, limit, &type);
		if (last != NULL && last->type == type.type && last->undefined == type.undefined) {
			last->end = next;
			continue;
		}
		if (count == max)
			return -E2BIG;
		ranges[count++] = (struct memory_type_range){
			.start = at, .end = next, .type = type.type, .undefined = type.undefined};
	}
	return (int)count;
}

bool memory_types_uniform(const struct memory_types *types, paddr_t start, uint64_t size, enum mtrr_type *type)
{
	bool found = false;

	*type = MTRR_UC;
	for (unsigned i = 0; i < types->count; i++) {
		const struct memory_type_range *range = &types->range[i];

		if (range->end <= start)
			continue;
		if (!found)
			*type = (enum mtrr_type)range->type;
		else if (range->type != *type)
			return false;
		found = true;
		if (size <= range->end - start)
			return true;
	}
	return *type == MTRR_UC;
}
