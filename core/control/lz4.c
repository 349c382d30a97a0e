/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The encoder: at each place the longest of the last few matches, unless the next place has a longer one. So each byte
 * is compared a bounded number of times, whatever the page has.
 */
#include "core/control/lz4.h"

#include <string.h>

#define MATCH_MIN 4u

/* "End of block conditions": the last bytes are literals, and the last match begins well before them. */
#define LAST_LITERALS 5u
#define LAST_MATCH    12u

/* How many earlier places with the same four bytes are looked at. */
#define DEPTH 16u

/* Larger lengths go on behind the token, in bytes. */
#define TOKEN_MAX 15u

_Static_assert(LZ4_HISTORY - LAST_MATCH < UINT16_MAX, "places, plus one, and distances have 16 bits");

struct encoder {
	struct lz4 *lz4;
	size_t end; /* of what is compressed, behind the history */
	uint8_t *out;
	size_t used, room; /* used > room: it does not fit */
};

struct match {
	size_t length; /* 0: none */
	size_t distance;
};

static uint32_t four_bytes(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* Knuth's multiplicative hashing: 2^32 by the golden ratio */
static uint16_t *bucket(struct lz4 *lz4, size_t at)
{
	return &lz4->last[four_bytes(lz4->bytes + at) * 2654435761u >> 20];
}

/* Places are kept plus one: 0 ends a chain. */
static void learn(struct lz4 *lz4, size_t end)
{
	for (; lz4->known < end; lz4->known++) {
		uint16_t *last = bucket(lz4, lz4->known);

		lz4->before[lz4->known] = *last;
		*last = (uint16_t)(lz4->known + 1);
	}
}

/* The last of a chain is its first. */
static void unlearn(struct lz4 *lz4, size_t end)
{
	while (lz4->known > end) {
		lz4->known--;
		*bucket(lz4, lz4->known) = lz4->before[lz4->known];
	}
}

static struct match find(struct encoder *e, size_t at)
{
	struct match best = {0};
	size_t max = e->end - LAST_LITERALS - at;
	uint16_t place;

	learn(e->lz4, at);
	place = *bucket(e->lz4, at);
	for (unsigned i = 0; place && i < DEPTH && best.length < max; i++) {
		const uint8_t *old = e->lz4->bytes + place - 1, *new = e->lz4->bytes + at;
		size_t same = 0;

		while (same < max && old[same] == new[same])
			same++;
		if (same >= MATCH_MIN && same > best.length)
			best = (struct match){.length = same, .distance = (size_t)(new - old)};
		place = e->lz4->before[place - 1];
	}
	return best;
}

static void put(struct encoder *e, size_t byte)
{
	if (e->used < e->room)
		e->out[e->used] = (uint8_t)byte;
	e->used++;
}

static void put_length(struct encoder *e, size_t length)
{
	if (length < TOKEN_MAX)
		return;
	for (length -= TOKEN_MAX; length >= 255; length -= 255)
		put(e, 255);
	put(e, length);
}

/* Literals and the match behind them; without one they are the last. */
static void put_sequence(struct encoder *e, const uint8_t *literals, size_t count, struct match match)
{
	size_t more = match.length ? match.length - MATCH_MIN : 0;

	put(e, (count < TOKEN_MAX ? count : TOKEN_MAX) << 4 | (more < TOKEN_MAX ? more : TOKEN_MAX));
	put_length(e, count);
	for (size_t i = 0; i < count; i++)
		put(e, literals[i]);
	if (!match.length)
		return;
	put(e, match.distance & 0xff);
	put(e, match.distance >> 8);
	put_length(e, more);
}

static void put_block(struct encoder *e, size_t at)
{
	const uint8_t *bytes = e->lz4->bytes;
	size_t literals = at;

	while (at + LAST_MATCH <= e->end && e->used <= e->room) {
		struct match match = find(e, at), next;

		if (!match.length) {
			at++;
			continue;
		}
		next = at + 1 + LAST_MATCH <= e->end ? find(e, at + 1) : match;
		if (next.length > match.length) {
			match = next;
			at++;
		}
		put_sequence(e, bytes + literals, at - literals, match);
		at += match.length;
		literals = at;
	}
	put_sequence(e, bytes + literals, e->end - literals, (struct match){0});
}

void lz4_begin(struct lz4 *lz4)
{
	lz4->length = lz4->known = 0;
	memset(lz4->last, 0, sizeof(lz4->last));
}

static void forget_half(struct lz4 *lz4)
{
	uint32_t half = lz4->length / 2;

	memmove(lz4->bytes, lz4->bytes + lz4->length - half, half);
	lz4_begin(lz4);
	lz4->length = half;
}

size_t lz4_compress(struct lz4 *lz4, const uint8_t *in, size_t length, uint8_t *out, size_t room)
{
	struct encoder e = {.lz4 = lz4, .out = out, .room = room};

	if (length > LZ4_HISTORY - lz4->length)
		forget_half(lz4);
	e.end = lz4->length + length;
	memcpy(lz4->bytes + lz4->length, in, length);
	put_block(&e, lz4->length);
	/* places whose four bytes reach beyond the history, too */
	unlearn(lz4, lz4->length < sizeof(uint32_t) ? 0 : lz4->length - sizeof(uint32_t) + 1);
	return e.used <= room ? e.used : 0;
}

void lz4_add(struct lz4 *lz4, const uint8_t *in, size_t length)
{
	memcpy(lz4->bytes + lz4->length, in, length);
	lz4->length += (uint32_t)length;
}
