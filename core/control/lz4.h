/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compresses pages into blocks of the LZ4 format, each of which may refer to the pages before it. Source: "LZ4 Block
 * Format Description", in the lz4 project's doc/lz4_Block_format.md. Must not know where pages come from.
 */
#ifndef CORE_CONTROL_LZ4_H
#define CORE_CONTROL_LZ4_H

#include <undercroft/types.h>

#define LZ4_HASHES 4096u

/* As far as a distance of 16 bits leads. */
#define LZ4_HISTORY 65536u

/* The last pages, and what the encoder knows of them: where four bytes were last seen, and before that. */
struct lz4 {
	uint32_t length; /* of the history */
	uint32_t known;	 /* places before that are in the tables */
	uint16_t last[LZ4_HASHES];
	uint16_t before[LZ4_HISTORY];
	uint8_t bytes[LZ4_HISTORY];
};

/* Forgets the history. */
void lz4_begin(struct lz4 *lz4);

/*
 * Compresses length bytes, at most PAGE_SIZE, into at most room bytes; how long that takes is bounded, whatever they
 * are. The history stays as it is, but for its older half, which is forgotten when there is no room for them. Returns
 * the block's length, or 0: it does not fit.
 */
size_t lz4_compress(struct lz4 *lz4, const uint8_t *in, size_t length, uint8_t *out, size_t room);

/* Adds to the history what lz4_compress() was given last, or as many other bytes. */
void lz4_add(struct lz4 *lz4, const uint8_t *in, size_t length);

#endif
