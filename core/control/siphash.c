/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-2-4, in the paper's words: two rounds for each word, four at the end.
 */
#include "core/control/siphash.h"

#include <string.h>

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(uint64_t v[4], unsigned count)
{
	while (count--) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static void add_word(struct siphash *hash, uint64_t word)
{
	hash->v[3] ^= word;
	rounds(hash->v, 2);
	hash->v[0] ^= word;
}

void siphash_init(struct siphash *hash, const uint8_t key[SIPHASH_BYTES])
{
	static const char constants[] = "uespemosmodnarodarenegylsetybdet"; /* "somepseudorandomlygeneratedbytes" */

	memcpy(hash->v, constants, sizeof(hash->v));
	for (unsigned i = 0; i < 4; i++) {
		uint64_t half;

		memcpy(&half, key + i % 2 * sizeof(half), sizeof(half));
		hash->v[i] ^= half;
	}
	hash->v[1] ^= 0xee; /* 128 bits are asked for */
	hash->length = 0;
}

void siphash_add(struct siphash *hash, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, at + i, sizeof(word));
		add_word(hash, word);
	}
	hash->length = (uint8_t)(hash->length + length);
}

void siphash_end(struct siphash *hash, uint8_t out[SIPHASH_BYTES])
{
	add_word(hash, (uint64_t)hash->length << 56);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t word;

		hash->v[i ? 1 : 2] ^= i ? 0xdd : 0xee;
		rounds(hash->v, 4);
		word = hash->v[0] ^ hash->v[1] ^ hash->v[2] ^ hash->v[3];
		memcpy(out + i * sizeof(word), &word, sizeof(word));
	}
}
