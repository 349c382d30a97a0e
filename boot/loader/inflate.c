/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DEFLATE, RFC 1951. Codes are looked up whole: a little memory for few instructions.
 */
#include <string.h>

#include <undercroft/errno.h>

#include "boot/loader/inflate.h"

#define LITERALS	288
#define LITERALS_CODED	286
#define DISTANCES	32
#define DISTANCES_CODED 30
#define LENGTHS		19
#define END_OF_BLOCK	256

/* An entry of a table: the symbol above, the bits its code has below; 0: no code begins like this. */
#define ENTRY_LENGTH_BITS 4
#define ENTRY_LENGTH_MASK 15u

struct stream {
	const uint8_t *in, *in_end;
	uint32_t bits;
	unsigned count;	  /* of bits that are ready */
	unsigned padding; /* of bits that were made up behind the end */
};

/* Makes at least a code's bits ready; zeroes follow the end. */
static void stream_fill(struct stream *stream)
{
	while (stream->count <= 24) {
		if (stream->in < stream->in_end)
			stream->bits |= (uint32_t)*stream->in++ << stream->count;
		else
			stream->padding += 8;
		stream->count += 8;
	}
}

/* Was more taken than there is? */
static bool stream_overrun(const struct stream *stream)
{
	return stream->count < stream->padding;
}

static void stream_drop(struct stream *stream, unsigned count)
{
	stream->bits >>= count;
	stream->count -= count;
}

static unsigned stream_take(struct stream *stream, unsigned count)
{
	unsigned value;

	stream_fill(stream);
	value = stream->bits & ((1u << count) - 1);
	stream_drop(stream, count);
	return value;
}

/* The next symbol, or -EINVAL. */
static int symbol_take(struct stream *stream, const struct inflate_table *table)
{
	unsigned entry;

	stream_fill(stream);
	entry = table->entry[stream->bits & table->mask];
	if (!(entry & ENTRY_LENGTH_MASK))
		return -EINVAL;
	stream_drop(stream, entry & ENTRY_LENGTH_MASK);
	return (int)(entry >> ENTRY_LENGTH_BITS);
}

/* RFC 1951, "Use of Huffman coding in the 'deflate' format" (3.2.2). Codes are packed most significant bit first. */
static int table_build(struct inflate_table *table, const uint8_t *lengths, unsigned symbols)
{
	unsigned count[INFLATE_CODE_BITS + 1] = {0}, next[INFLATE_CODE_BITS + 1], code = 0, longest = 1;

	for (unsigned i = 0; i < symbols; i++)
		count[lengths[i]]++;
	count[0] = 0;
	for (unsigned bits = 1; bits <= INFLATE_CODE_BITS; bits++) {
		code = (code + count[bits - 1]) << 1;
		next[bits] = code;
		if (code + count[bits] > 1u << bits)
			return -EINVAL;
		if (count[bits])
			longest = bits;
	}
	table->mask = (1u << longest) - 1;
	/* a set of codes that is not complete leaves holes */
	if (next[longest] + count[longest] != 1u << longest)
		memset(table->entry, 0, sizeof(table->entry[0]) << longest);
	for (unsigned i = 0; i < symbols; i++) {
		unsigned length = lengths[i], word = 0;

		if (!length)
			continue;
		code = next[length]++;
		for (unsigned bit = 0; bit < length; bit++)
			word |= (code >> bit & 1) << (length - 1 - bit);
		for (; word <= table->mask; word += 1u << length)
			table->entry[word] = (uint16_t)(i << ENTRY_LENGTH_BITS | length);
	}
	return 0;
}

/* RFC 1951, "Compression with fixed Huffman codes (BTYPE=01)" (3.2.6) */
static int tables_fixed(struct inflate_tables *tables)
{
	uint8_t lengths[LITERALS];

	for (unsigned i = 0; i < LITERALS; i++)
		lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
	if (table_build(&tables->literal, lengths, LITERALS))
		return -EINVAL;
	memset(lengths, 5, DISTANCES);
	return table_build(&tables->distance, lengths, DISTANCES);
}

/* RFC 1951, "Compression with dynamic Huffman codes (BTYPE=10)" (3.2.7) */
static int tables_dynamic(struct inflate_tables *tables, struct stream *stream)
{
	static const uint8_t order[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
	uint8_t lengths[LITERALS_CODED + DISTANCES_CODED] = {0};
	unsigned literals = stream_take(stream, 5) + 257, distances = stream_take(stream, 5) + 1;
	unsigned coded = stream_take(stream, 4) + 4, at = 0;

	if (literals > LITERALS_CODED || distances > DISTANCES_CODED)
		return -EINVAL;
	for (unsigned i = 0; i < coded; i++)
		lengths[order[i]] = (uint8_t)stream_take(stream, 3);
	if (table_build(&tables->literal, lengths, LENGTHS))
		return -EINVAL;
	while (at < literals + distances) {
		int symbol = symbol_take(stream, &tables->literal);
		unsigned repeat = 1;
		uint8_t length = 0;

		if (symbol < 0 || (symbol == 16 && at == 0))
			return -EINVAL;
		if (symbol < 16) {
			length = (uint8_t)symbol;
		} else if (symbol == 16) {
			length = lengths[at - 1];
			repeat = 3 + stream_take(stream, 2);
		} else {
			repeat = symbol == 17 ? 3 + stream_take(stream, 3) : 11 + stream_take(stream, 7);
		}
		if (repeat > literals + distances - at)
			return -EINVAL;
		memset(lengths + at, length, repeat);
		at += repeat;
	}
	if (table_build(&tables->literal, lengths, literals))
		return -EINVAL;
	return table_build(&tables->distance, lengths + literals, distances);
}

/* RFC 1951, "Compressed blocks (length and distance codes)" (3.2.5) */
static int block_coded(const struct inflate_tables *tables, struct stream *stream, uint8_t *out, size_t *at,
		       size_t size)
{
	static const uint16_t length_base[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,	 15,  17,  19,	23, 27,
					       31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
	static const uint8_t length_bits[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
					      2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
	static const uint16_t distance_base[] = {1,    2,    3,	   4,	 5,    7,    9,	   13,	  17,	 25,
						 33,   49,   65,   97,	 129,  193,  257,  385,	  513,	 769,
						 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};

	while (!stream_overrun(stream)) {
		int symbol = symbol_take(stream, &tables->literal);
		size_t length, distance;

		if (symbol == END_OF_BLOCK)
			return 0;
		if (symbol < 0 || symbol >= LITERALS_CODED)
			return -EINVAL;
		if (symbol < END_OF_BLOCK) {
			if (*at == size)
				return -EINVAL;
			out[(*at)++] = (uint8_t)symbol;
			continue;
		}
		symbol -= END_OF_BLOCK + 1;
		length = length_base[symbol] + stream_take(stream, length_bits[symbol]);
		symbol = symbol_take(stream, &tables->distance);
		if (symbol < 0 || symbol >= DISTANCES_CODED)
			return -EINVAL;
		distance = distance_base[symbol] + stream_take(stream, symbol < 2 ? 0 : (unsigned)symbol / 2 - 1);
		if (distance > *at || length > size - *at)
			return -EINVAL;
		/* not memcpy(): what is copied may be part of the same run */
		for (const uint8_t *from = out + *at - distance, *end = from + length; from < end; from++)
			out[(*at)++] = *from;
	}
	return -EINVAL;
}

/* RFC 1951, "Non-compressed blocks (BTYPE=00)" (3.2.4) */
static int block_stored(struct stream *stream, uint8_t *out, size_t *at, size_t size)
{
	size_t length;

	stream_drop(stream, stream->count % 8);
	length = stream_take(stream, 8);
	length |= stream_take(stream, 8) << 8;
	if ((stream_take(stream, 8) | stream_take(stream, 8) << 8) != (length ^ 0xffff) || length > size - *at)
		return -EINVAL;
	while (length-- && !stream_overrun(stream))
		out[(*at)++] = (uint8_t)stream_take(stream, 8);
	return 0;
}

long inflate(struct inflate_tables *tables, const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size)
{
	struct stream stream = {.in = in, .in_end = in + in_size};
	size_t at = 0;
	unsigned last;

	do {
		unsigned kind;
		int error;

		last = stream_take(&stream, 1);
		kind = stream_take(&stream, 2);
		if (kind == 0) {
			error = block_stored(&stream, out, &at, out_size);
		} else {
			error = kind == 1   ? tables_fixed(tables)
				: kind == 2 ? tables_dynamic(tables, &stream)
					    : -EINVAL;
			if (!error)
				error = block_coded(tables, &stream, out, &at, out_size);
		}
		if (error || stream_overrun(&stream))
			return -EINVAL;
	} while (!last);
	return (long)at;
}
