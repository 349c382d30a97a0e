/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer target: what may come over the wire of a framed link, in between the calls of an owner. The input is a list
 * of {what, count, bytes}; bytes come as they are, or as a frame that is stuffed and has a good CRC.
 */
#include <stdlib.h>
#include <string.h>

#include "core/control/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum what { WHAT_BYTES, WHAT_FRAME, WHAT_READ, WHAT_WRITE, WHAT_OUTPUT, WHAT_COUNT };

static void check(const struct frame *frame)
{
	for (unsigned i = 0; i < FRAME_CHANNELS; i++) {
		if (frame->buffer[i].written - frame->buffer[i].read > FRAME_BUFFER)
			abort();
	}
	if ((uint8_t)(frame->end - frame->unacknowledged) > FRAME_WINDOW ||
	    (uint8_t)(frame->next - frame->unacknowledged) > (uint8_t)(frame->end - frame->unacknowledged) ||
	    (uint8_t)(frame->top - frame->next) > FRAME_WINDOW || frame->out_length > FRAME_WIRE_MAX ||
	    frame->out_sent > frame->out_length || frame->in_length > FRAME_RAW_MAX)
		abort();
}

/* A frame of any type with any content, as a sender of malice would make it. */
static void receive_frame(struct frame *frame, const uint8_t *bytes, size_t length, uint64_t now_us)
{
	uint8_t raw[256 + FRAME_CRC], wire[2 * sizeof(raw)];
	size_t used = 1, code_at = 0;
	uint32_t crc = frame_crc(bytes, length);

	memcpy(raw, bytes, length);
	for (unsigned i = 0; i < FRAME_CRC; i++)
		raw[length++] = (uint8_t)(crc >> 8 * i);
	wire[0] = 1;
	for (size_t i = 0; i < length; i++) {
		if (raw[i]) {
			wire[used++] = raw[i];
			wire[code_at]++;
		}
		if (!raw[i] || wire[code_at] == 0xff) {
			code_at = used;
			wire[used++] = 1;
		}
	}
	wire[used++] = 0;
	frame_receive(frame, wire, used, now_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame *frame = malloc(sizeof(*frame));
	uint64_t now_us = 1;

	frame_init(frame, 50000, now_us);
	while (size >= 2) {
		unsigned what = data[0] % WHAT_COUNT, channel = data[0] / WHAT_COUNT % (FRAME_CHANNELS + 1);
		size_t count = data[1];
		uint8_t buffer[256];
		const uint8_t *bytes;

		data += 2;
		size -= 2;
		if (count > size)
			count = size;
		switch ((enum what)what) {
		case WHAT_BYTES:
			frame_receive(frame, data, count, now_us);
			break;
		case WHAT_FRAME:
			receive_frame(frame, data, count, now_us);
			break;
		case WHAT_READ:
			if (frame_read(frame, channel, buffer, count) > count)
				abort();
			break;
		case WHAT_WRITE:
			if (frame_write(frame, channel, data, count) > count)
				abort();
			break;
		case WHAT_OUTPUT:
			now_us += count * 1000;
			frame_sent(frame, frame_output(frame, &bytes, now_us) * channel / 2, now_us);
			break;
		case WHAT_COUNT:
			break;
		}
		check(frame);
		if (what != WHAT_READ && what != WHAT_OUTPUT) {
			data += count;
			size -= count;
		}
	}
	(void)frame_has_left(frame);
	(void)frame_is_over(frame);
	free(frame);
	return 0;
}
