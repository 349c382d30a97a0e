/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting, reading, writing.
 */
#include "client/libcroft/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "client/libcroft/error.h"

/* Framed: how often signs of life and repetitions are thought of. */
#define TICK_US 50000u

/* An acknowledgement may be late by that, on top of the time of a frame each way on a line of that speed. */
#define RETRY_SLACK_US 50000u
#define RETRY_BAUD     115200u
#define BITS_PER_BYTE  10u

/*
 * A sign of life is answered with one, unless we have said something within that time: each end counts silence by its
 * own clock, and an emulated machine's may be many times as fast as ours.
 */
#define ANSWER_US 20000u

/* How long saying goodbye may take. */
#define END_US 500000u

/* One look at the descriptor moves so much at most. */
#define LOOK_MAX 65536u

_Static_assert((WIRE_IN_SIZE & (WIRE_IN_SIZE - 1)) == 0, "positions are taken modulo the buffer's size");

uint64_t wire_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t wire_time_us(const struct wire *wire, size_t length)
{
	return wire->transport.baud ? (uint64_t)length * BITS_PER_BYTE * 1000000 / wire->transport.baud : 0;
}

enum croft_status wire_open(struct wire *wire, const char *name, unsigned timeout_ms, struct croft_error *error)
{
	enum croft_status status;

	wire->name = name;
	wire->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wire->wake < 0)
		return error_system(error, CROFT_ERROR_SYSTEM, errno, "eventfd");
	status = transport_open(&wire->transport, name, timeout_ms, error);
	if (status)
		close(wire->wake);
	return status;
}

void wire_close(struct wire *wire)
{
	transport_close(&wire->transport);
	close(wire->wake);
}

/* --- in --- */

static size_t in_room(const struct wire *wire)
{
	return WIRE_IN_SIZE - (wire->in_written - wire->in_read);
}

static void in_put(struct wire *wire, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		wire->in[wire->in_written++ % WIRE_IN_SIZE] = bytes[i];
}

/* Takes what frames have brought: RSP to where wire_read() finds it, LOG to whoever wants it. */
static void take_channels(struct wire *wire)
{
	uint8_t bytes[FRAME_PAYLOAD_MAX];
	size_t room, count;

	while ((room = in_room(wire)) != 0 &&
	       (count = frame_read(&wire->frame, WIRE_RSP, bytes, room < sizeof(bytes) ? room : sizeof(bytes))) != 0)
		in_put(wire, bytes, count);
	while ((count = frame_read(&wire->frame, WIRE_LOG, bytes, sizeof(bytes))) != 0) {
		if (wire->text)
			wire->text(wire->text_data, CROFT_STREAM_LOG, (const char *)bytes, count);
	}
}

static bool has_come(const struct wire *wire, enum wire_channel channel)
{
	const struct frame_buffer *bulk = &wire->frame.buffer[WIRE_BULK];

	if (channel == WIRE_BULK)
		return wire->framed && bulk->read != bulk->written;
	return wire->in_read != wire->in_written;
}

/* Reads what is there, as far as there is room for it. */
static void look_in(struct wire *wire)
{
	uint64_t heard = wire->frame.good;
	uint8_t bytes[4096];
	size_t total = 0;

	while (total < LOOK_MAX) {
		size_t room = wire->framed ? sizeof(bytes) : in_room(wire);
		long count =
			room ? transport_read(&wire->transport, bytes, room < sizeof(bytes) ? room : sizeof(bytes)) : 0;

		if (count < 0)
			wire->gone = true;
		if (count <= 0)
			break;
		wire->counters.bytes_received += (uint64_t)count;
		total += (size_t)count;
		if (wire->framed)
			frame_receive(&wire->frame, bytes, (size_t)count, wire_now_us());
		else
			in_put(wire, bytes, (size_t)count);
		if (wire->framed)
			take_channels(wire);
	}
	if (wire->framed && wire->frame.good != heard && wire_now_us() - wire->frame.said_us >= ANSWER_US)
		wire->frame.status_due = true;
}

/* --- out --- */

/* Framed: what is due. Returns true if the descriptor takes no more for now. */
static bool look_out(struct wire *wire)
{
	const uint8_t *bytes;
	size_t length;

	while (!wire->gone && (length = frame_output(&wire->frame, &bytes, wire_now_us())) != 0) {
		long count = transport_write(&wire->transport, bytes, length);

		if (count < 0)
			wire->gone = true;
		if (count <= 0)
			return true;
		wire->counters.bytes_sent += (uint64_t)count;
		frame_sent(&wire->frame, (size_t)count, wire_now_us());
	}
	return false;
}

/* --- waiting --- */

static enum croft_status is_lost(struct wire *wire, struct croft_error *error)
{
	bool seldom = wire->seldom && *wire->seldom;

	if (wire->framed && wire->frame.over)
		return error_set(error, CROFT_ERROR_LOST, "%s: the other end has ended the session", wire->name);
	if (wire->framed && !seldom && frame_is_over(&wire->frame))
		return error_set(error, CROFT_ERROR_LOST, "%s: the other end is not heard any more", wire->name);
	if (wire->gone)
		return error_set(error, CROFT_ERROR_LOST, "%s: the other end has hung up", wire->name);
	return CROFT_OK;
}

/* Until the descriptor has something, or takes something if writes; at most until then. */
static void wait_once(struct wire *wire, bool writes, uint64_t until_us)
{
	struct pollfd wait[2] = {{.fd = wire->transport.fd, .events = POLLIN}, {.fd = wire->wake, .events = POLLIN}};
	uint64_t now = wire_now_us(), left = until_us > now ? until_us - now : 0;
	struct timespec time;

	if (wire->framed && left > TICK_US)
		left = TICK_US;
	if (writes)
		wait[0].events = POLLIN | POLLOUT;
	/* a full buffer is read from by the caller first */
	if (!wire->framed && !in_room(wire))
		wait[0].events = (short)(wait[0].events & ~POLLIN);
	time.tv_sec = (time_t)(left / 1000000);
	time.tv_nsec = (long)(left % 1000000 * 1000);
	ppoll(wait, 2, &time, NULL);
}

static bool take_interrupt(struct wire *wire)
{
	uint64_t count;

	if (!atomic_exchange(&wire->interrupted, false))
		return false;
	(void)!read(wire->wake, &count, sizeof(count));
	return true;
}

enum croft_status wire_wait(struct wire *wire, enum wire_channel channel, uint64_t until_us, struct croft_error *error)
{
	for (;;) {
		bool full;

		look_in(wire);
		/* what is due to it would else wait until somebody waits again */
		full = wire->framed && look_out(wire);
		if (has_come(wire, channel))
			return CROFT_OK;
		if (is_lost(wire, error))
			return CROFT_ERROR_LOST;
		if (take_interrupt(wire))
			return error_set(error, CROFT_ERROR_INTERRUPTED, "interrupted");
		if (wire_now_us() >= until_us)
			return error_set(error, CROFT_ERROR_TIMEOUT, "%s: no answer in time", wire->name);
		wait_once(wire, full, until_us);
	}
}

void wire_frame(struct wire *wire)
{
	unsigned baud = wire->transport.baud ? wire->transport.baud : RETRY_BAUD;
	uint8_t byte;

	frame_init(&wire->frame, RETRY_SLACK_US + (uint32_t)(2 * FRAME_WIRE_MAX * BITS_PER_BYTE * 1000000ull / baud),
		   wire_now_us());
	while (wire->in_read != wire->in_written) {
		byte = wire->in[wire->in_read++ % WIRE_IN_SIZE];
		frame_receive(&wire->frame, &byte, 1, wire_now_us());
	}
	wire->framed = true;
	take_channels(wire);
}

bool wire_read(struct wire *wire, uint8_t *byte)
{
	if (wire->in_read == wire->in_written)
		return false;
	*byte = wire->in[wire->in_read++ % WIRE_IN_SIZE];
	return true;
}

size_t wire_read_bulk(struct wire *wire, void *buffer, size_t size)
{
	return wire->framed ? frame_read(&wire->frame, WIRE_BULK, buffer, size) : 0;
}

/* Hands over as much as is taken. */
static size_t write_some(struct wire *wire, enum wire_channel channel, const uint8_t *bytes, size_t length)
{
	long count;

	if (wire->framed)
		return frame_write(&wire->frame, channel, bytes, length);
	count = transport_write(&wire->transport, bytes, length);
	if (count < 0)
		wire->gone = true;
	if (count <= 0)
		return 0;
	wire->counters.bytes_sent += (uint64_t)count;
	return (size_t)count;
}

enum croft_status wire_write(struct wire *wire, enum wire_channel channel, const void *data, size_t length,
			     unsigned timeout_ms, struct croft_error *error)
{
	uint64_t until_us = wire_now_us() + timeout_ms * 1000ull;
	const uint8_t *bytes = data;
	size_t done = 0;

	for (;;) {
		size_t count = write_some(wire, channel, bytes + done, length - done);
		bool full = wire->framed ? look_out(wire) : done + count < length;

		done += count;
		if (count)
			until_us = wire_now_us() + timeout_ms * 1000ull;
		/* not to be taken in is what lets an end that writes, too, get stuck */
		look_in(wire);
		if (done == length)
			return CROFT_OK;
		if (is_lost(wire, error))
			return CROFT_ERROR_LOST;
		if (wire_now_us() >= until_us)
			return error_set(error, CROFT_ERROR_TIMEOUT, "%s: nothing is taken any more", wire->name);
		wait_once(wire, full, until_us);
	}
}

void wire_end(struct wire *wire)
{
	uint64_t until_us = wire_now_us() + END_US;

	if (!wire->framed)
		return;
	/* what is on its way comes first: it acknowledges, and may be half a frame */
	while (!wire->gone && !frame_is_over(&wire->frame) && !frame_has_left(&wire->frame) &&
	       wire_now_us() < until_us) {
		bool full = look_out(wire);

		look_in(wire);
		wait_once(wire, full, wire_now_us() + (full ? END_US : 1000));
	}
	wire->framed = false;
	if (!wire->gone)
		(void)wire_write(wire, WIRE_RSP, frame_bye, sizeof(frame_bye), END_US / 1000, NULL);
}

void wire_drop(struct wire *wire)
{
	transport_drop(&wire->transport);
	wire->in_read = wire->in_written;
}
