/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the halves of smap share: the resident piece as C sees it, and what interrupt 15h answers for a memory map.
 */
#ifndef SMAP_SMAP_H
#define SMAP_SMAP_H

#include <undercroft/plugin.h>

#include "layout.h"

/* The beginning of the resident piece. It is entered at its first byte, with CS:IP as the interrupt vector had it. */
struct smap_header {
	uint8_t enter[2];	/* NOP and the opcode of a far jump, which makes offsets count from the first byte */
	uint16_t enter_offset;	/* of the handler */
	uint16_t enter_segment; /* of the first byte: filled by setup */
	uint16_t guest_call;	/* offset of its VMMCALL; 0: it has none */
	uint32_t old_vector;	/* filled when it is planted */
	uint16_t count;		/* of ranges: this and everything below is filled by setup */
	uint16_t ranges;	/* offset of the first one */
	uint16_t kib_below_16m, units_64kib_from_16m; /* E801h and E881h */
	uint16_t kib_capped;			      /* 88h */
	uint16_t reserved;
	uint32_t kib; /* 8Ah */
};

/* ACPI 6.4, "INT 15H, E820H - Query System Address Map" (15.1), table 15.376; packed because BIOS callers expect 20
 * bytes */
struct smap_range {
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

_Static_assert(offsetof(struct smap_header, enter_segment) == SMAP_ENTER_SEGMENT, "resident layout");
_Static_assert(offsetof(struct smap_header, old_vector) == SMAP_OLD_VECTOR, "resident layout");
_Static_assert(offsetof(struct smap_header, count) == SMAP_COUNT, "resident layout");
_Static_assert(offsetof(struct smap_header, ranges) == SMAP_RANGES, "resident layout");
_Static_assert(offsetof(struct smap_header, kib_below_16m) == SMAP_KIB_BELOW_16M, "resident layout");
_Static_assert(offsetof(struct smap_header, units_64kib_from_16m) == SMAP_64KIB_FROM_16M, "resident layout");
_Static_assert(offsetof(struct smap_header, kib_capped) == SMAP_KIB_CAPPED, "resident layout");
_Static_assert(offsetof(struct smap_header, kib) == SMAP_KIB, "resident layout");
_Static_assert(sizeof(struct smap_header) == SMAP_HEADER_SIZE, "resident layout");
_Static_assert(sizeof(struct smap_range) == SMAP_RANGE_SIZE, "E820 descriptor layout");

/*
 * Fills the numbers of the older services into the header: how much usable memory lies without a gap above 1 MiB (E801h
 * and E881h below 16 MiB; 88h, which ends at 64 MiB as firmware does; 8Ah) and above 16 MiB (E801h, E881h), all below 4
 * GiB. The map is sorted and disjoint. Changes nothing else in the header.
 */
void smap_answer_sizes(const struct memory_map *map, struct smap_header *header);

/* One range as E820 tells it. */
struct smap_range smap_answer_range(const struct memory_range *range);

/* The resident piece as it is linked into the setup tier. */
extern const uint8_t smap_stub[], smap_stub_end[];

#endif
