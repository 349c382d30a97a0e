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

_Static_assert(PAGE_SIZE <= UINT16_MAX, "places and distances have 16 bits");

struct encoder {
	struct lz4_work *work;
	const uint8_t *in;
	size_t length;
	size_t known; /* places before that are in the table */
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
static uint16_t *bucket(const struct encoder *e, size_t at)
{
	return &e->work->last[four_bytes(e->in + at) * 2654435761u >> 20];
}

/* Places are kept plus one: 0 ends a chain. */
static void learn(struct encoder *e, size_t end)
{
	for (; e->known < end; e->known++) {
		uint16_t *last = bucket(e, e->known);

		e->work->before[e->known] = *last;
		*last = (uint16_t)(e->known + 1);
	}
}

static struct match find(struct encoder *e, size_t at)
{
	struct match best = {0};
	size_t max = e->length - LAST_LITERALS - at;
	uint16_t place;

	learn(e, at);
	place = *bucket(e, at);
	for (unsigned i = 0; place && i < DEPTH && best.length < max; i++) {
		const uint8_t *old = e->in + place - 1, *new = e->in + at;
		size_t same = 0;

		while (same < max && old[same] == new[same])
			same++;
		if (same >= MATCH_MIN && same > best.length)
			best = (struct match){.length = same, .distance = (size_t)(new - old)};
		place = e->work->before[place - 1];
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

size_t lz4_compress(struct lz4_work *work, const uint8_t *in, size_t length, uint8_t *out, size_t room)
{
	struct encoder e = {.work = work, .in = in, .length = length, .out = out, .room = room};
	size_t at = 0, literals = 0;

	memset(work->last, 0, sizeof(work->last));
	while (at + LAST_MATCH <= length && e.used <= room) {
		struct match match = find(&e, at), next;

		if (!match.length) {
			at++;
			continue;
		}
		next = at + 1 + LAST_MATCH <= length ? find(&e, at + 1) : match;
		if (next.length > match.length) {
			match = next;
			at++;
		}
		put_sequence(&e, in + literals, at - literals, match);
		at += match.length;
		literals = at;
	}
	put_sequence(&e, in + literals, length - literals, (struct match){0});
	return e.used <= room ? e.used : 0;
}
