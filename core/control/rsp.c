/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets in and out.
 */
#include "core/control/rsp.h"

#include <stdarg.h>
#include <string.h>

#include <undercroft/log.h>
#include <undercroft/platform.h>

#define CHAR_INTERRUPT 0x03
#define CHAR_ESCAPE    '}'
#define ESCAPE_XOR     0x20

/* "Overview" (E.1): a run length character is the count of further characters plus 29, printable */
#define RUN_BIAS  29
#define RUN_MIN	  3
#define RUN_MAX	  97
#define LINE_SIZE 128

enum reader_state { READER_IDLE, READER_DATA, READER_ESCAPE, READER_CHECK_HIGH, READER_CHECK_LOW };

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void rsp_init(struct rsp *rsp, struct link *link)
{
	memset(rsp, 0, sizeof(*rsp));
	rsp->link = link;
	rsp->platform = link->frontend->platform;
}

void rsp_reset(struct rsp *rsp)
{
	rsp_init(rsp, rsp->link);
}

/* --- in --- */

static void send_char(struct rsp *rsp, char character)
{
	link_write(rsp->link, LINK_RSP, &character, 1);
}

static void send_reply(struct rsp *rsp)
{
	/* what is not taken is lost, as on any wire: the client asks again */
	link_write(rsp->link, LINK_RSP, rsp->out, rsp->out_length);
}

static void packet_start(struct rsp *rsp)
{
	rsp->state = READER_DATA;
	rsp->sum = 0;
	rsp->raw = 0;
	rsp->in_length = 0;
	rsp->overflow = false;
}

static void packet_put(struct rsp *rsp, uint8_t byte)
{
	if (rsp->in_length < RSP_PACKET_MAX)
		rsp->in[rsp->in_length++] = byte;
}

static void packet_data(struct rsp *rsp, uint8_t byte)
{
	rsp->sum = (uint8_t)(rsp->sum + byte);
	if (rsp->raw++ >= RSP_PACKET_MAX) {
		rsp->overflow = true;
		rsp->raw = RSP_PACKET_MAX;
	}
	if (rsp->state == READER_ESCAPE) {
		packet_put(rsp, byte ^ ESCAPE_XOR);
		rsp->state = READER_DATA;
	} else if (byte == CHAR_ESCAPE) {
		rsp->state = READER_ESCAPE;
	} else {
		packet_put(rsp, byte);
	}
}

/* A whole packet is there. */
static enum rsp_event packet_end(struct rsp *rsp, int low)
{
	int high = hex_digit(rsp->check);
	bool good = high >= 0 && low >= 0 && (high << 4 | low) == rsp->sum;

	rsp->state = READER_IDLE;
	if (!good && !rsp->no_ack)
		send_char(rsp, '-');
	if (!good)
		return RSP_NOTHING;
	if (!rsp->no_ack)
		send_char(rsp, '+');
	rsp->garbage = 0;
	rsp->unacked = false; /* whoever asks anew has got what was said before */
	rsp->in[rsp->in_length] = 0;
	return rsp->overflow ? RSP_TOO_LONG : RSP_PACKET;
}

static enum rsp_event ack(struct rsp *rsp, bool positive)
{
	if (!rsp->unacked)
		return rsp->no_ack ? RSP_NEW : RSP_NOTHING;
	if (positive || rsp->resent++ >= RSP_RESEND_MAX)
		rsp->unacked = false;
	else
		send_reply(rsp);
	return RSP_NOTHING;
}

static enum rsp_event byte_take(struct rsp *rsp, uint8_t byte)
{
	/* Neither of the two stands for itself inside of a packet: an end that was lost, a new start. */
	if (byte == '$') {
		packet_start(rsp);
		return RSP_NOTHING;
	}
	switch (rsp->state) {
	case READER_DATA:
	case READER_ESCAPE:
		if (byte == '#')
			rsp->state = READER_CHECK_HIGH;
		else
			packet_data(rsp, byte);
		return RSP_NOTHING;
	case READER_CHECK_HIGH:
		rsp->check = byte;
		rsp->state = READER_CHECK_LOW;
		return RSP_NOTHING;
	case READER_CHECK_LOW:
		return packet_end(rsp, hex_digit(byte));
	default:
		break;
	}
	if (byte == CHAR_INTERRUPT)
		return RSP_INTERRUPT;
	if (byte == '+' || byte == '-')
		return ack(rsp, byte == '+');
	return RSP_NOTHING;
}

enum rsp_event rsp_poll(struct rsp *rsp)
{
	uint64_t now = 0;
	uint8_t byte;

	if (rsp->interrupt) {
		rsp->interrupt = false;
		return RSP_INTERRUPT;
	}
	if (rsp->state != READER_IDLE) {
		now = rsp->platform->ops->now_us(rsp->platform);
		if (now - rsp->moved_us >= RSP_STALE_US)
			rsp->state = READER_IDLE;
	}
	while (link_read(rsp->link, LINK_RSP, &byte, 1)) {
		enum rsp_event event;

		rsp->garbage++;
		event = byte_take(rsp, byte);
		if (event == RSP_NOTHING && rsp->garbage >= RSP_GARBAGE_MAX) {
			rsp->garbage = 0;
			rsp->state = READER_IDLE;
			event = RSP_GARBAGE;
		}
		if (event != RSP_NOTHING)
			return event;
		if (rsp->state != READER_IDLE)
			rsp->moved_us = now ? now : (now = rsp->platform->ops->now_us(rsp->platform));
	}
	return RSP_NOTHING;
}

bool rsp_interrupted(struct rsp *rsp)
{
	uint8_t byte;

	link_poll(rsp->link);
	/* not for ever: there are wires that are faster than this loop */
	for (unsigned i = 0; i < RSP_GARBAGE_MAX && link_read(rsp->link, LINK_RSP, &byte, 1); i++) {
		if (byte == CHAR_INTERRUPT)
			return true;
	}
	return false;
}

/* --- out --- */

static void out_put(struct rsp *rsp, uint8_t byte)
{
	/* $ and what rsp_end() adds have their own room */
	if (rsp->out_length > RSP_PACKET_MAX) {
		rsp->overflow = true;
		return;
	}
	rsp->out[rsp->out_length++] = byte;
}

static void run_flush(struct rsp *rsp)
{
	while (rsp->run >= RUN_MIN) {
		unsigned count = rsp->run < RUN_MAX ? rsp->run : RUN_MAX;

		/* these two would end or begin a packet */
		if (count + RUN_BIAS == '#' || count + RUN_BIAS == '$')
			count = '"' - RUN_BIAS;
		out_put(rsp, '*');
		out_put(rsp, (uint8_t)(count + RUN_BIAS));
		rsp->run -= count;
	}
	for (; rsp->run; rsp->run--)
		out_put(rsp, rsp->run_char);
}

static void put(struct rsp *rsp, uint8_t byte)
{
	if (byte == rsp->run_char && !rsp->run_broken) {
		rsp->run++;
		return;
	}
	run_flush(rsp);
	rsp->run_char = byte;
	rsp->run_broken = false;
	out_put(rsp, byte);
}

/* Two replies in a row without a request in between, as monitor commands send them: the first has to be taken. */
static void wait_for_ack(struct rsp *rsp)
{
	uint64_t start = rsp->platform->ops->now_us(rsp->platform);
	uint8_t byte;

	while (rsp->unacked && rsp->platform->ops->now_us(rsp->platform) - start < RSP_ACK_US) {
		link_poll(rsp->link);
		if (!link_read(rsp->link, LINK_RSP, &byte, 1))
			continue;
		if (byte == CHAR_INTERRUPT)
			rsp->interrupt = true;
		else if (byte_take(rsp, byte) != RSP_NOTHING || rsp->state != READER_IDLE)
			break; /* it goes on without having acknowledged */
	}
	rsp->unacked = false;
}

void rsp_begin(struct rsp *rsp)
{
	if (rsp->unacked)
		wait_for_ack(rsp);
	rsp->out[0] = '$';
	rsp->out_length = 1;
	rsp->run = 0;
	rsp->run_broken = true;
	rsp->overflow = false;
}

void rsp_char(struct rsp *rsp, char character)
{
	put(rsp, (uint8_t)character);
}

void rsp_text(struct rsp *rsp, const char *text)
{
	rsp_binary(rsp, text, strlen(text));
}

void rsp_printf(struct rsp *rsp, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;

	va_start(args, format);
	format_vstring(line, sizeof(line), format, args);
	va_end(args);
	rsp_text(rsp, line);
}

void rsp_hex(struct rsp *rsp, const void *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *at = bytes;

	for (size_t i = 0; i < length; i++) {
		put(rsp, (uint8_t)digits[at[i] >> 4]);
		put(rsp, (uint8_t)digits[at[i] & 15]);
	}
}

void rsp_binary(struct rsp *rsp, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < length; i++) {
		if (at[i] != '#' && at[i] != '$' && at[i] != CHAR_ESCAPE && at[i] != '*') {
			put(rsp, at[i]);
			continue;
		}
		/* some clients expand runs before escapes, some behind them: none may begin here */
		run_flush(rsp);
		out_put(rsp, CHAR_ESCAPE);
		out_put(rsp, at[i] ^ ESCAPE_XOR);
		rsp->run_broken = true;
	}
}

void rsp_end(struct rsp *rsp)
{
	static const char digits[] = "0123456789abcdef", too_long[] = "$E.croft.reply too long";
	uint8_t sum = 0;

	run_flush(rsp);
	if (rsp->overflow) {
		rsp->out_length = sizeof(too_long) - 1;
		memcpy(rsp->out, too_long, rsp->out_length);
	}
	for (size_t i = 1; i < rsp->out_length; i++)
		sum = (uint8_t)(sum + rsp->out[i]);
	rsp->out[rsp->out_length++] = '#';
	rsp->out[rsp->out_length++] = (uint8_t)digits[sum >> 4];
	rsp->out[rsp->out_length++] = (uint8_t)digits[sum & 15];
	rsp->unacked = !rsp->no_ack;
	rsp->resent = 0;
	send_reply(rsp);
}
