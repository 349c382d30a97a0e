/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compresses a page into a block of the LZ4 format. Source: "LZ4 Block Format Description", in the lz4 project's
 * doc/lz4_Block_format.md. Must not know where pages come from.
 */
#ifndef CORE_CONTROL_LZ4_H
#define CORE_CONTROL_LZ4_H

#include <undercroft/types.h>

#define LZ4_HASHES 4096u

/* What the encoder remembers of one page: where four bytes were last seen, and before that. */
struct lz4_work {
	uint16_t last[LZ4_HASHES];
	uint16_t before[PAGE_SIZE];
};

/*
 * Compresses length bytes, at most PAGE_SIZE, into at most room bytes; how long that takes is bounded, whatever they
 * are. Returns the block's length, or 0: it does not fit.
 */
size_t lz4_compress(struct lz4_work *work, const uint8_t *in, size_t length, uint8_t *out, size_t room);

#endif
