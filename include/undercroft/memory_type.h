/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which memory may be cached how: what a recorded set of memory type range registers says about physical addresses.
 * Sources: SDM vol. 3, "Memory Type Range Registers (MTRRs)" (11.11); APM vol. 2, "Memory-Type Range Registers" (7.7).
 */
#ifndef UNDERCROFT_MEMORY_TYPE_H
#define UNDERCROFT_MEMORY_TYPE_H

#include <undercroft/types.h>

struct platform;

/* SDM vol. 3, "Memory Type Range Registers (MTRRs)" (11.11), table 11-8. Any other number is reserved. */
enum mtrr_type {
	MTRR_UC = 0, /* uncacheable */
	MTRR_WC = 1, /* write combining */
	MTRR_WT = 4, /* write through */
	MTRR_WP = 5, /* write protected */
	MTRR_WB = 6, /* write back */
};

#define MTRR_FIXED_COUNT  11
#define MTRR_VARIABLE_MAX 32

/* A CPU's registers as they were read. Flat and pointer-free: part of struct machine. */
struct mtrr_set {
	uint64_t capability;   /* MTRRcap; 0: no MTRRs */
	uint64_t default_type; /* MTRRdefType */
	/* 64 KiB from 0, 16 KiB from 80000h and a0000h, 4 KiB from c0000h to f8000h */
	uint64_t fixed[MTRR_FIXED_COUNT];
	uint64_t base[MTRR_VARIABLE_MAX], mask[MTRR_VARIABLE_MAX];
	uint64_t top_mem2;     /* AMD: where memory ends that is write back by default above 4 GiB; 0: not in use */
	uint8_t physical_bits; /* 32..52 */
	uint8_t reserved[7];
};

/* [start, end) has one type. undefined: the manuals do not say which, and type is MTRR_UC. */
struct memory_type_range {
	paddr_t start, end;
	uint8_t type; /* enum mtrr_type */
	bool undefined;
};

/* As many as any set can make whose masks are contiguous: 88 fixed ranges, two borders for each variable one. */
#define MEMORY_TYPE_RANGE_MAX 192

struct memory_types {
	unsigned count; /* 0: all is MTRR_UC */
	struct memory_type_range range[MEMORY_TYPE_RANGE_MAX];
};

/*
 * Reads this CPU's registers; a CPU without any leaves all zero but physical_bits. Registers that the CPU lacks
 * although it should have them are zero, too.
 */
void mtrr_set_read(struct platform *platform, struct mtrr_set *set);

/*
 * Writes the types of [0, 1 << physical_bits) as sorted, adjacent ranges, as few as there can be. Overlaps of variable
 * ranges: UC wins, WT wins over WB, anything else is undefined and becomes UC. Masks may have holes; a page belongs to
 * every range whose mask it matches, as for the CPU. Returns how many ranges there are, or -E2BIG if they are more than
 * max, or if masks have so many holes that it takes too long to find out.
 */
int memory_types_resolve(const struct mtrr_set *set, struct memory_type_range *ranges, unsigned max);

/* Has all of [start, start + size) one type? Then *type is it. Beyond the last range all is UC. size is not 0. */
bool memory_types_uniform(const struct memory_types *types, paddr_t start, uint64_t size, enum mtrr_type *type);

#endif
