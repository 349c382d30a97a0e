/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block is literals and matches by turns; what it says of lengths is not believed.
 */
#include "client/libcroft/unlz4.h"

#include <string.h>

#define MATCH_MIN 4u
#define TOKEN_MAX 15u

/* A length that may go on behind the token. False: the block ends within it, or it is larger than any output. */
static bool take_length(const uint8_t **in, const uint8_t *end, size_t *length, size_t max)
{
	uint8_t more;

	if (*length < TOKEN_MAX)
		return true;
	do {
		if (*in == end || *length > max)
			return false;
		more = *(*in)++;
		*length += more;
	} while (more == 255);
	return true;
}

bool unlz4(const uint8_t *in, size_t length, uint8_t *out, size_t size, size_t history)
{
	const uint8_t *end = in + length;
	size_t used = 0;

	while (in < end) {
		size_t literals = *in >> 4, match = *in & TOKEN_MAX, distance;

		in++;
		if (!take_length(&in, end, &literals, size) || literals > (size_t)(end - in) || literals > size - used)
			return false;
		memcpy(out + used, in, literals);
		used += literals;
		in += literals;
		if (in == end)
			return used == size;
		if (end - in < 2)
			return false;
		distance = (size_t)in[0] | (size_t)in[1] << 8;
		in += 2;
		if (!take_length(&in, end, &match, size) || !distance || distance > history + used ||
		    match + MATCH_MIN > size - used)
			return false;
		/* it may reach into itself */
		for (match += MATCH_MIN; match; match--, used++)
			out[used] = *(out + used - distance);
	}
	return false;
}
