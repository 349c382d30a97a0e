/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-2-4 with 128 bits, a keyed hash: who does not know the key finds no two contents with the same hash any
 * sooner than by chance. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (INDOCRYPT 2012), and the
 * authors' reference implementation for 128 bits.
 */
#ifndef CORE_CONTROL_SIPHASH_H
#define CORE_CONTROL_SIPHASH_H

#include <undercroft/types.h>

#define SIPHASH_BYTES 16u /* of a key, and of a hash */

struct siphash {
	uint64_t v[4];
	uint8_t length; /* bytes so far, modulo 256 */
};

void siphash_init(struct siphash *hash, const uint8_t key[SIPHASH_BYTES]);

/* length: a multiple of 8. */
void siphash_add(struct siphash *hash, const void *bytes, size_t length);

void siphash_end(struct siphash *hash, uint8_t out[SIPHASH_BYTES]);

#endif
