/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The channels of a control link over a frontend.
 */
#include "core/control/link.h"

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/platform.h>

/* Framed: what one look at the device moves at most, so that no wire keeps us. */
#define PUMP_BYTES 4096u
#define PUMP_PIECE 64u

/* An acknowledgement may be late by that, on top of the time on the line of a frame each way. */
#define RETRY_SLACK_US 50000u
#define BITS_PER_BYTE  10u

/* How much of an RSP packet was seen. Debugging with GDB, "Overview" (E.1): $data#checksum, two digits. */
enum packet { PACKET_NONE, PACKET_DATA, PACKET_DIGIT, PACKET_LAST_DIGIT };

_Static_assert((LINK_IN_SIZE & (LINK_IN_SIZE - 1)) == 0, "positions in the ring are taken modulo its size");

static void take_in(struct link *link)
{
	while (link->in_written - link->in_read < LINK_IN_SIZE) {
		unsigned at = link->in_written % LINK_IN_SIZE, room = LINK_IN_SIZE - at;
		unsigned free = LINK_IN_SIZE - (link->in_written - link->in_read);
		size_t got = link->frontend->ops->read(link->frontend, link->in + at, room < free ? room : free);

		if (!got)
			return;
		link->in_written += (unsigned)got;
	}
}

/* Looks after a device that was reset behind our back, now and then. 0 or -ENODEV. */
static int look_after(struct link *link)
{
	struct platform *platform = link->frontend->platform;
	uint64_t now = platform->ops->now_us(platform);

	if (now - link->checked_us < LINK_CHECK_US)
		return 0;
	link->checked_us = now;
	return link->frontend->ops->recover(link->frontend);
}

static uint64_t now_us(const struct link *link)
{
	return link->frontend->platform->ops->now_us(link->frontend->platform);
}

static size_t write_plain(struct link *link, const uint8_t *bytes, size_t length)
{
	struct frontend *frontend = link->frontend;
	uint64_t moved_us = frontend->platform->ops->now_us(frontend->platform);
	size_t sent = 0;

	if (look_after(link))
		return 0;
	while (sent < length) {
		size_t taken = frontend->ops->write(frontend, bytes + sent, length - sent);

		sent += taken;
		take_in(link);
		if (!frontend_retry(frontend, taken, frontend->stall_us, &moved_us))
			break;
	}
	return sent;
}

/* --- framed ----------------------------------------------------------------------------------------------------- */

static void become_plain(struct link *link)
{
	link->framed = false;
	link->attached = false;
	link->lost = true;
}

static uint8_t hex_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return (uint8_t)(byte - '0');
	return (uint8_t)(byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : 0xff);
}

/* Is this byte within what begins as a DATA frame? Its type is behind COBS' first byte. */
static bool is_framed_data(struct link *link, uint8_t byte)
{
	if (byte == 0)
		link->head = 0;
	else if (link->head < 2 && ++link->head == 2)
		link->head_is_data = byte >= FRAME_DATA && byte < FRAME_DATA + FRAME_CHANNELS;
	return link->head == 2 && link->head_is_data;
}

/* Is this the last byte of an RSP packet that came without frames? The packet then waits to be read. */
static bool ends_packet(struct link *link, uint8_t byte)
{
	if (is_framed_data(link, byte)) {
		link->packet = PACKET_NONE;
		return false;
	}
	if (byte == '$') {
		link->in_read = link->in_written = 0;
		link->sum = 0;
		link->packet = PACKET_DATA;
	} else if (byte == 0 || link->in_written == LINK_IN_SIZE) {
		link->packet = PACKET_NONE;
	}
	if (link->packet == PACKET_NONE)
		return false;
	link->in[link->in_written++] = byte;
	switch ((enum packet)link->packet) {
	case PACKET_DATA:
		if (byte == '#')
			link->packet = PACKET_DIGIT;
		else if (byte != '$')
			link->sum = (uint8_t)(link->sum + byte);
		return false;
	case PACKET_DIGIT:
		link->packet = hex_digit(byte) == link->sum >> 4 ? PACKET_LAST_DIGIT : PACKET_NONE;
		return false;
	case PACKET_LAST_DIGIT:
		link->packet = PACKET_NONE;
		return hex_digit(byte) == (link->sum & 15);
	case PACKET_NONE:
		break;
	}
	return false;
}

static void take_in_frames(struct link *link, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!link->framed && link->in_written - link->in_read < LINK_IN_SIZE)
			link->in[link->in_written++ % LINK_IN_SIZE] = bytes[i];
		else if (ends_packet(link, bytes[i]) && link->frame.silence_us >= LINK_PLAIN_US)
			become_plain(link);
	}
	if (link->framed)
		frame_receive(&link->frame, bytes, length, now_us(link));
}

/* One look at the device: what came, and what it takes of what is due. Bytes moved to the device. */
static size_t pump(struct link *link)
{
	struct frontend *frontend = link->frontend;
	uint8_t piece[PUMP_PIECE];
	const uint8_t *bytes;
	size_t got, length, sent = 0;

	if (look_after(link))
		return 0;
	for (unsigned i = 0; link->framed && i < PUMP_BYTES / PUMP_PIECE; i++) {
		got = frontend->ops->read(frontend, piece, sizeof(piece));
		if (!got)
			break;
		link->heard_us = now_us(link);
		take_in_frames(link, piece, got);
	}
	while (link->framed && sent < PUMP_BYTES && (length = frame_output(&link->frame, &bytes, now_us(link))) != 0) {
		size_t taken = frontend->ops->write(frontend, bytes, length);

		frame_sent(&link->frame, taken, now_us(link));
		sent += taken;
		if (taken < length)
			break;
	}
	if (link->framed && frame_is_over(&link->frame)) {
		link->in_read = link->in_written;
		become_plain(link);
		/* one that was only held up would else wait for ever */
		if (!link->frame.over)
			(void)write_plain(link, frame_bye, sizeof(frame_bye));
	}
	return sent;
}

/* Stays while a frame comes that the device could not keep for us. */
static void linger(struct link *link)
{
	uint64_t start_us = now_us(link), now = start_us;

	if (start_us < link->away_us)
		return;
	link->heard_us = start_us;
	while (link->framed && frame_is_expected(&link->frame) && now - link->heard_us < LINK_GAP_US &&
	       now - start_us < LINK_LINGER_US) {
		(void)pump(link);
		now = now_us(link);
	}
	link->away_us = now + LINK_AWAY * (now - start_us);
}

/* Until everything is on the line or the device is stuck. */
static int pump_all(struct link *link)
{
	uint64_t moved_us = now_us(link);

	while (link->framed && !frame_has_left(&link->frame)) {
		if (!frontend_retry(link->frontend, pump(link), link->frontend->stall_us, &moved_us))
			return -ETIMEDOUT;
	}
	return 0;
}

static size_t write_framed(struct link *link, enum link_channel channel, const uint8_t *bytes, size_t length)
{
	uint64_t taken_us = now_us(link);
	size_t taken = 0;

	for (;;) {
		size_t piece = frame_write(&link->frame, channel, bytes + taken, length - taken);

		taken += piece;
		if (piece)
			taken_us = now_us(link);
		if (taken == length || channel != LINK_RSP || link->frontend->stuck ||
		    now_us(link) - taken_us >= LINK_WRITE_US)
			break;
		(void)pump(link);
		if (!link->framed)
			return taken;
	}
	if (channel != LINK_RSP)
		(void)pump(link);
	else
		(void)pump_all(link);
	return taken;
}

/* --- plain ------------------------------------------------------------------------------------------------------ */

static void log_write_link(struct log_sink *sink, const char *text, size_t length)
{
	link_write(CONTAINER_OF(sink, struct link, log), LINK_LOG, text, length);
}

void link_init(struct link *link, struct frontend *frontend)
{
	memset(link, 0, sizeof(*link));
	link->log.write = log_write_link;
	link->frontend = frontend;
}

size_t link_read(struct link *link, enum link_channel channel, void *buffer, size_t length)
{
	uint8_t *bytes = buffer;
	size_t count = 0;

	if (link->framed) {
		count = frame_read(&link->frame, channel, buffer, length);
		if (count)
			return count;
		(void)pump(link);
		return link->framed ? frame_read(&link->frame, channel, buffer, length) : 0;
	}
	if (channel != LINK_RSP || link->lost)
		return 0;
	while (count < length) {
		if (link->in_read == link->in_written)
			take_in(link);
		if (link->in_read == link->in_written)
			break;
		bytes[count++] = link->in[link->in_read++ % LINK_IN_SIZE];
	}
	return count;
}

size_t link_write(struct link *link, enum link_channel channel, const void *data, size_t length)
{
	if (link->framed)
		return write_framed(link, channel, data, length);
	switch (channel) {
	case LINK_RSP:
		/* whoever would get it is gone */
		if (link->lost)
			return 0;
		return write_plain(link, data, length);
	case LINK_LOG:
		if (!link->attached)
			write_plain(link, data, length);
		return length;
	case LINK_BULK:
	case LINK_CHANNELS:
		break;
	}
	return 0;
}

int link_flush(struct link *link)
{
	return pump_all(link) ? -ETIMEDOUT : link->frontend->ops->flush(link->frontend);
}

void link_poll(struct link *link)
{
	if (link->framed) {
		(void)pump(link);
		linger(link);
	} else if (!look_after(link)) {
		take_in(link);
	}
}

void link_frame(struct link *link)
{
	uint64_t speed = link->frontend->config.speed;
	uint32_t retry_us = RETRY_SLACK_US;

	(void)link->frontend->ops->flush(link->frontend);
	if (speed)
		retry_us += (uint32_t)(2 * FRAME_WIRE_MAX * BITS_PER_BYTE * 1000000ull / speed);
	frame_init(&link->frame, retry_us, now_us(link));
	link->packet = PACKET_NONE;
	link->head = 0;
	link->attached = true;
	link->framed = true;
	/* what came before the session is no part of it, what came with it is */
	while (link->in_read != link->in_written) {
		uint8_t byte = link->in[link->in_read++ % LINK_IN_SIZE];

		frame_receive(&link->frame, &byte, 1, now_us(link));
	}
	(void)pump(link);
}

bool link_was_lost(struct link *link)
{
	bool lost = link->lost;

	link->lost = false;
	return lost;
}

bool link_is_reliable(const struct link *link)
{
	return link->framed;
}

void link_attach(struct link *link)
{
	link->attached = true;
}

void link_reset(struct link *link)
{
	/* half a packet among the frames is nothing; what comes plain may be the next client's already */
	if (link->framed)
		link->in_read = link->in_written;
	link->attached = false;
	link->framed = false;
	link->lost = false;
}
