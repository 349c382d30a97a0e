/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacks DEFLATE data (RFC 1951). Must not know where it comes from.
 */
#ifndef BOOT_LOADER_INFLATE_H
#define BOOT_LOADER_INFLATE_H

#include <undercroft/types.h>

#define INFLATE_CODE_BITS 15

/* Indexed by the next bits of the stream, as many as the longest code has: a symbol and the length of its code. */
struct inflate_table {
	unsigned mask;
	uint16_t entry[1 << INFLATE_CODE_BITS];
};

/* Room to work in; its content does not matter. */
struct inflate_tables {
	struct inflate_table literal, distance;
};

/* Unpacks all blocks at in to out. Returns the number of bytes, or -EINVAL if they are damaged or do not fit. */
long inflate(struct inflate_tables *tables, const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size);

#endif
