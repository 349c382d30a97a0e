/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RSP packets, whatever they are made of: the other end is not trusted.
 */
#include "client/libcroft/packet.h"

#include <stdlib.h>
#include <string.h>

#define ESCAPE	   '}'
#define ESCAPE_XOR 0x20
#define RUN	   '*'
#define RUN_BIAS   29 /* the count of further characters is printable with that */
#define RUN_FIRST  ' '
#define RUN_LAST   '~'
#define ROOM_FIRST 4096u

enum state { STATE_IDLE, STATE_DATA, STATE_ESCAPE, STATE_RUN, STATE_CHECK, STATE_CHECK_LOW };

static const char digits[] = "0123456789abcdef";

void packet_init(struct packet_reader *reader)
{
	memset(reader, 0, sizeof(*reader));
}

void packet_free(struct packet_reader *reader)
{
	free(reader->content);
	packet_init(reader);
}

/* Room for one more byte and the terminator. */
static bool has_room(struct packet_reader *reader)
{
	size_t room = reader->room ? 2 * reader->room : ROOM_FIRST;
	char *content;

	if (reader->length + 1 < reader->room)
		return true;
	if (room > PACKET_MAX)
		return false;
	content = realloc(reader->content, room);
	if (!content)
		return false;
	reader->content = content;
	reader->room = room;
	return true;
}

static void put(struct packet_reader *reader, char byte)
{
	if (reader->overflow || !has_room(reader)) {
		reader->overflow = true;
		return;
	}
	reader->content[reader->length++] = byte;
}

static void begin(struct packet_reader *reader, uint8_t byte)
{
	reader->state = STATE_DATA;
	reader->is_notification = byte == '%';
	reader->sum = 0;
	reader->length = 0;
	reader->overflow = reader->malformed = false;
}

static void take_run(struct packet_reader *reader, uint8_t byte)
{
	if (!reader->length || byte < RUN_FIRST || byte > RUN_LAST) {
		reader->malformed = true;
		return;
	}
	for (unsigned count = byte - RUN_BIAS; count; count--)
		put(reader, reader->content[reader->length - 1]);
}

static void take_data(struct packet_reader *reader, uint8_t byte)
{
	reader->sum = (uint8_t)(reader->sum + byte);
	switch ((enum state)reader->state) {
	case STATE_ESCAPE:
		put(reader, (char)(byte ^ ESCAPE_XOR));
		reader->state = STATE_DATA;
		break;
	case STATE_RUN:
		if (!reader->overflow)
			take_run(reader, byte);
		reader->state = STATE_DATA;
		break;
	case STATE_DATA:
		if (byte == ESCAPE)
			reader->state = STATE_ESCAPE;
		else if (byte == RUN)
			reader->state = STATE_RUN;
		else
			put(reader, (char)byte);
		break;
	case STATE_IDLE:
	case STATE_CHECK:
	case STATE_CHECK_LOW:
		break;
	}
}

static enum packet_event end(struct packet_reader *reader, uint8_t low)
{
	int a = hex_digit((char)reader->check), b = hex_digit((char)low);

	reader->state = STATE_IDLE;
	if (a < 0 || b < 0 || (a << 4 | b) != reader->sum || reader->malformed)
		return PACKET_DAMAGED;
	if (reader->is_notification)
		return PACKET_NOTHING;
	if (reader->overflow || !has_room(reader))
		return PACKET_NO_ROOM;
	reader->content[reader->length] = 0;
	return PACKET_WHOLE;
}

enum packet_event packet_take(struct packet_reader *reader, uint8_t byte)
{
	/* Inside of a packet it does not stand for itself: the end of one was lost. */
	if (byte == '$') {
		begin(reader, byte);
		return PACKET_NOTHING;
	}
	switch ((enum state)reader->state) {
	case STATE_IDLE:
		if (byte == '%') {
			begin(reader, byte);
			return PACKET_NOTHING;
		}
		return byte == '+' ? PACKET_ACK : byte == '-' ? PACKET_NACK : PACKET_NOISE;
	case STATE_CHECK:
		reader->check = byte;
		reader->state = STATE_CHECK_LOW;
		return PACKET_NOTHING;
	case STATE_CHECK_LOW:
		return end(reader, byte);
	case STATE_DATA:
		if (byte == '#') {
			reader->state = STATE_CHECK;
			return PACKET_NOTHING;
		}
		break;
	case STATE_ESCAPE:
	case STATE_RUN:
		break;
	}
	take_data(reader, byte);
	return PACKET_NOTHING;
}

bool packet_is_begun(const struct packet_reader *reader)
{
	return reader->state != STATE_IDLE;
}

static bool needs_escape(uint8_t byte)
{
	return byte == '$' || byte == '#' || byte == ESCAPE || byte == RUN;
}

size_t packet_size(const void *content, size_t length)
{
	const uint8_t *bytes = content;
	size_t size = length;

	for (size_t i = 0; i < length; i++)
		size += needs_escape(bytes[i]);
	return size;
}

size_t packet_make(uint8_t *wire, const void *content, size_t length)
{
	const uint8_t *bytes = content;
	uint8_t sum = 0;
	size_t used = 0;

	wire[used++] = '$';
	for (size_t i = 0; i < length; i++) {
		if (needs_escape(bytes[i])) {
			wire[used++] = ESCAPE;
			wire[used++] = bytes[i] ^ ESCAPE_XOR;
			sum = (uint8_t)(sum + ESCAPE + wire[used - 1]);
		} else {
			wire[used++] = bytes[i];
			sum = (uint8_t)(sum + bytes[i]);
		}
	}
	wire[used++] = '#';
	wire[used++] = (uint8_t)digits[sum >> 4];
	wire[used++] = (uint8_t)digits[sum & 15];
	return used;
}

int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)(digit | 0x20);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool hex_take(const char **at, uint64_t *value)
{
	unsigned count = 0;
	int digit;

	*value = 0;
	for (; (digit = hex_digit(**at)) >= 0; (*at)++, count++) {
		if (*value >> 60)
			return false;
		*value = *value << 4 | (unsigned)digit;
	}
	return count > 0;
}

long hex_bytes(const char *text, size_t length, void *bytes, size_t size)
{
	uint8_t *out = bytes;

	if (length % 2 || length / 2 > size)
		return -1;
	for (size_t i = 0; i < length / 2; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return (long)(length / 2);
}

void hex_make(char *text, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < length; i++) {
		*text++ = digits[at[i] >> 4];
		*text++ = digits[at[i] & 15];
	}
	*text = 0;
}
