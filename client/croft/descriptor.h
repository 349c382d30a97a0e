/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segment descriptors and gates, taken apart. Must not know where they are from.
 * Source: APM vol. 2, "Legacy Segment Descriptors" (4.7), "Long-Mode Segment Descriptors" (4.8).
 */
#ifndef CROFT_DESCRIPTOR_H
#define CROFT_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

#define DESCRIPTOR_TEXT 48

/* Attributes as in struct croft_segment: "code r-x dpl 0 64-bit", "tss busy dpl 0", "unusable". */
void descriptor_attributes_text(uint16_t attributes, char *text);

struct descriptor {
	uint16_t attributes;
	bool is_gate;
	bool is_wide; /* takes two entries: system descriptors in long mode */
	uint64_t base;
	uint32_t limit; /* in bytes */
	uint16_t selector;
	uint64_t offset;
	uint8_t ist;
};

/* One at 8 bytes, or at 16 if there are that many and long mode has such. */
struct descriptor descriptor_decode(const uint8_t *bytes, bool is_long);

#endif
