/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames: delimited by zero bytes and stuffed by COBS, so that one delimiter after any garbage puts both ends together
 * again; checked by CRC-32C; numbered, and repeated from the first that is missing; sent as far as there is credit.
 */
#include "core/control/frame.h"

#include <string.h>

#include <undercroft/errno.h>

/* How much of the time between two calls counts as silence: who is seldom asked hears little. */
#define TICK_US 250000u

_Static_assert((FRAME_WINDOW & (FRAME_WINDOW - 1)) == 0 && FRAME_WINDOW < 128, "numbers are compared modulo 256");
_Static_assert((FRAME_BUFFER & (FRAME_BUFFER - 1)) == 0, "positions are taken modulo the buffer's size");
_Static_assert(FRAME_BUFFER / FRAME_CREDIT_UNIT < 128, "credit is compared modulo 256");

const uint8_t frame_bye[FRAME_BYE_LENGTH] = {0x00, 0x02, 0x40, 0x01, 0x01, 0x05, 0x20, 0x14, 0xc1, 0xe3, 0x00};

/* Castagnoli's polynomial, reflected 82F63B78h, four bits a step. */
uint32_t frame_crc(const void *bytes, size_t length)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const uint8_t *byte = bytes;
	uint32_t crc = ~0u;

	while (length--) {
		crc ^= *byte++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static uint32_t get32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void tick(struct frame *frame, uint64_t now_us)
{
	uint64_t passed = now_us > frame->now_us ? now_us - frame->now_us : 0;

	frame->silence_us += passed < TICK_US ? passed : TICK_US;
	frame->now_us += passed;
}

void frame_init(struct frame *frame, uint32_t retry_us, uint64_t now_us)
{
	memset(frame, 0, sizeof(*frame));
	frame->retry_us = retry_us;
	frame->now_us = now_us;
	frame->progress_us = now_us;
	frame->said_us = now_us;
	frame->status_due = true;
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

static void out_byte(struct frame *frame, uint16_t *code_at, uint8_t byte)
{
	if (byte) {
		frame->out[frame->out_length++] = byte;
		if (++frame->out[*code_at] != 0xff)
			return;
	}
	*code_at = frame->out_length;
	frame->out[frame->out_length++] = 1;
}

/* Cheshire and Baker, "Consistent Overhead Byte Stuffing" (IEEE/ACM Transactions on Networking 7:2, 1999), section II
 */
static void out_frame(struct frame *frame, const uint8_t *raw, size_t length)
{
	uint32_t crc = frame_crc(raw, length);
	uint16_t code_at = 1;

	frame->out[0] = 0;
	frame->out[1] = 1;
	frame->out_length = 2;
	for (size_t i = 0; i < length; i++)
		out_byte(frame, &code_at, raw[i]);
	for (unsigned i = 0; i < FRAME_CRC; i++)
		out_byte(frame, &code_at, (uint8_t)(crc >> 8 * i));
	frame->out[frame->out_length++] = 0;
	frame->out_sent = 0;
}

static uint32_t buffer_limit(const struct frame_buffer *buffer)
{
	return (buffer->read + FRAME_BUFFER) / FRAME_CREDIT_UNIT * FRAME_CREDIT_UNIT;
}

static void out_status(struct frame *frame)
{
	uint8_t raw[FRAME_HEADER + FRAME_CHANNELS] = {FRAME_STATUS, frame->expected, FRAME_CHANNELS, 0};

	if (frame->repeat_due) {
		raw[0] = FRAME_REPEAT;
		frame->repeat_us = frame->now_us;
	}
	for (unsigned i = 0; i < FRAME_CHANNELS; i++) {
		frame->buffer[i].announced = buffer_limit(&frame->buffer[i]);
		raw[FRAME_HEADER + i] = (uint8_t)(frame->buffer[i].announced / FRAME_CREDIT_UNIT);
	}
	frame->status_due = false;
	frame->repeat_due = false;
	frame->said_us = frame->now_us;
	frame->out_is_data = false;
	out_frame(frame, raw, sizeof(raw));
}

static void out_data(struct frame *frame)
{
	const struct frame_slot *slot = &frame->slot[frame->next % FRAME_WINDOW];

	if (frame->next == frame->top)
		frame->top++;
	else
		frame->repeated++;
	frame->next++;
	frame->out_is_data = true;
	out_frame(frame, slot->raw, slot->length);
}

/*
 * The acknowledgement is late. An end that takes in what it is sent more slowly than that is repeated would only get
 * further behind: each time is given twice as long.
 */
static void go_back(struct frame *frame)
{
	uint64_t patience_us = (uint64_t)frame->retry_us << frame->retries;

	if (frame->now_us - frame->progress_us < patience_us)
		return;
	frame->next = frame->unacknowledged;
	if (patience_us < FRAME_RETRY_MAX_US)
		frame->retries++;
}

size_t frame_output(struct frame *frame, const uint8_t **bytes, uint64_t now_us)
{
	tick(frame, now_us);
	if (frame->out_sent == frame->out_length) {
		if (frame->unacknowledged == frame->next)
			frame->progress_us = frame->now_us;
		else
			go_back(frame);
		if (frame->now_us - frame->said_us >= FRAME_HEARTBEAT_US)
			frame->status_due = true;
		if (frame->status_due || frame->repeat_due)
			out_status(frame);
		else if (frame->next != frame->end)
			out_data(frame);
	}
	*bytes = frame->out + frame->out_sent;
	return (size_t)(frame->out_length - frame->out_sent);
}

void frame_sent(struct frame *frame, size_t count, uint64_t now_us)
{
	size_t left = (size_t)(frame->out_length - frame->out_sent);

	tick(frame, now_us);
	frame->out_sent = (uint16_t)(frame->out_sent + (count < left ? count : left));
	if (frame->out_sent == frame->out_length && frame->out_is_data)
		frame->progress_us = frame->now_us;
}

/* The last frame, if it has not been sent and has room for more of the same channel; else a new one; NULL: no room. */
static struct frame_slot *slot_for(struct frame *frame, unsigned channel)
{
	struct frame_slot *slot = &frame->slot[(uint8_t)(frame->end - 1) % FRAME_WINDOW];

	if (frame->end != frame->top && slot->raw[0] == (FRAME_DATA | channel) &&
	    slot->length < FRAME_HEADER + FRAME_PAYLOAD_MAX)
		return slot;
	if ((uint8_t)(frame->end - frame->unacknowledged) == FRAME_WINDOW)
		return NULL;
	slot = &frame->slot[frame->end % FRAME_WINDOW];
	slot->raw[0] = (uint8_t)(FRAME_DATA | channel);
	slot->raw[1] = frame->end++;
	slot->length = FRAME_HEADER;
	return slot;
}

size_t frame_write(struct frame *frame, unsigned channel, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	size_t taken = 0;

	if (channel >= FRAME_CHANNELS)
		return 0;
	while (taken < length) {
		uint32_t credit = frame->limit[channel] - frame->sent[channel];
		struct frame_slot *slot = credit ? slot_for(frame, channel) : NULL;
		size_t piece = length - taken;

		if (!slot)
			break;
		if (piece > credit)
			piece = credit;
		if (piece > FRAME_HEADER + FRAME_PAYLOAD_MAX - slot->length)
			piece = FRAME_HEADER + FRAME_PAYLOAD_MAX - slot->length;
		memcpy(slot->raw + slot->length, bytes + taken, piece);
		slot->length = (uint16_t)(slot->length + piece);
		slot->raw[2] = (uint8_t)(slot->length - FRAME_HEADER);
		slot->raw[3] = (uint8_t)((slot->length - FRAME_HEADER) >> 8);
		frame->sent[channel] += (uint32_t)piece;
		taken += piece;
	}
	return taken;
}

/* --- receiving -------------------------------------------------------------------------------------------------- */

/* Asks for what is missing, but not again before it can have come. */
static void want_repeat(struct frame *frame)
{
	if (frame->repeat_us && frame->now_us - frame->repeat_us < frame->retry_us)
		return;
	frame->repeat_due = true;
}

static void take_data(struct frame *frame, unsigned channel, const uint8_t *payload, size_t length)
{
	struct frame_buffer *buffer = &frame->buffer[channel];
	uint8_t number = frame->in[1];

	frame->status_due = true;
	if (number != frame->expected) {
		/* one we have already tells that our acknowledgement was lost */
		if ((uint8_t)(frame->expected - number) > FRAME_WINDOW)
			want_repeat(frame);
		return;
	}
	/* more than we ever allowed: refused, and so is all that follows it */
	if (length > FRAME_BUFFER - (buffer->written - buffer->read))
		return;
	for (size_t i = 0; i < length; i++)
		buffer->bytes[buffer->written++ % FRAME_BUFFER] = payload[i];
	frame->expected++;
	frame->repeat_us = 0;
}

static void take_status(struct frame *frame, const uint8_t *credit)
{
	uint8_t acknowledged = (uint8_t)(frame->in[1] - frame->unacknowledged);
	bool again = frame->in[0] == FRAME_REPEAT;

	if (acknowledged > (uint8_t)(frame->top - frame->unacknowledged))
		return;
	if (acknowledged) {
		if ((uint8_t)(frame->next - frame->unacknowledged) < acknowledged)
			frame->next = frame->in[1];
		frame->unacknowledged = frame->in[1];
		frame->progress_us = frame->now_us;
		frame->rewound_us = 0;
		frame->retries = 0;
	}
	if (again && frame->unacknowledged != frame->next &&
	    (!frame->rewound_us || frame->now_us - frame->rewound_us >= frame->retry_us)) {
		frame->next = frame->unacknowledged;
		frame->rewound_us = frame->now_us;
	}
	for (unsigned i = 0; i < FRAME_CHANNELS; i++) {
		uint8_t more = (uint8_t)(credit[i] - (uint8_t)(frame->limit[i] / FRAME_CREDIT_UNIT));

		if (more <= FRAME_BUFFER / FRAME_CREDIT_UNIT)
			frame->limit[i] += more * FRAME_CREDIT_UNIT;
	}
}

static bool take_frame(struct frame *frame)
{
	size_t length = frame->in_length;
	const uint8_t *raw = frame->in, *payload = raw + FRAME_HEADER;

	if (frame->in_bad || frame->code_left || length < FRAME_HEADER + FRAME_CRC)
		return false;
	length -= FRAME_CRC;
	if (frame_crc(raw, length) != get32(raw + length) || length != FRAME_HEADER + (raw[2] | (size_t)raw[3] << 8))
		return false;
	length -= FRAME_HEADER;
	switch (raw[0]) {
	case FRAME_DATA:
	case FRAME_DATA + 1:
	case FRAME_DATA + 2:
		take_data(frame, raw[0] - FRAME_DATA, payload, length);
		break;
	case FRAME_STATUS:
	case FRAME_REPEAT:
		if (length != FRAME_CHANNELS)
			return false;
		take_status(frame, payload);
		break;
	case FRAME_BYE:
		frame->over = true;
		break;
	default:
		return false;
	}
	return true;
}

static void in_byte(struct frame *frame, uint8_t byte)
{
	if (frame->in_length == sizeof(frame->in))
		frame->in_bad = true;
	else
		frame->in[frame->in_length++] = byte;
}

static void in_delimiter(struct frame *frame)
{
	if (frame->code) {
		if (take_frame(frame)) {
			frame->good++;
			frame->silence_us = 0;
		} else {
			frame->bad++;
			want_repeat(frame);
		}
	}
	frame->in_length = 0;
	frame->code = 0;
	frame->code_left = 0;
	frame->in_bad = false;
}

void frame_receive(struct frame *frame, const void *bytes, size_t length, uint64_t now_us)
{
	const uint8_t *byte = bytes;

	tick(frame, now_us);
	for (; length--; byte++) {
		if (!*byte) {
			in_delimiter(frame);
		} else if (frame->code_left) {
			frame->code_left--;
			in_byte(frame, *byte);
		} else {
			/* a block ends with a zero, except the last and one of the greatest length */
			if (frame->code && frame->code != 0xff)
				in_byte(frame, 0);
			frame->code = *byte;
			frame->code_left = (uint8_t)(*byte - 1);
		}
	}
}

size_t frame_read(struct frame *frame, unsigned channel, void *to, size_t length)
{
	struct frame_buffer *buffer;
	uint8_t *bytes = to;
	size_t count = 0;

	if (channel >= FRAME_CHANNELS)
		return 0;
	buffer = &frame->buffer[channel];
	while (count < length && buffer->read != buffer->written)
		bytes[count++] = buffer->bytes[buffer->read++ % FRAME_BUFFER];
	if (buffer_limit(buffer) - buffer->announced >= FRAME_BUFFER / 2)
		frame->status_due = true;
	return count;
}

/* --- the session ------------------------------------------------------------------------------------------------ */

bool frame_has_left(const struct frame *frame)
{
	return frame->out_sent == frame->out_length && frame->next == frame->end && !frame->status_due &&
	       !frame->repeat_due;
}

bool frame_is_expected(const struct frame *frame)
{
	return frame->code || frame->repeat_due ||
	       (frame->repeat_us && frame->now_us - frame->repeat_us < frame->retry_us);
}

bool frame_is_over(const struct frame *frame)
{
	return frame->over || frame->silence_us >= FRAME_LOST_US;
}
