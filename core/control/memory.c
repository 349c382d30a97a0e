/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that read, write and search memory. Whose addresses are meant, Qcroft.as says.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/vcpu.h>

#include "core/control/packets.h"

#define PATTERN_MAX (SERVER_DATA_MAX / 2)

static int read_memory(struct server *server, uint64_t address, void *buffer, size_t length, size_t *done)
{
	*done = 0;
	return debug_mem_read(server->vcpu, &server->space, address, buffer, length,
			      server->device ? DEBUG_MEM_DEVICE : 0, done);
}

/* "ADDRESS,LENGTH" */
static bool take_range(char **at, uint64_t *address, uint64_t *length)
{
	return take_hex(at, address) && take_char(at, ',') && take_hex(at, length);
}

/* Reads what m and x ask for, as much as one reply takes. Returns false with the error sent. */
static bool read_for_reply(struct server *server, char *arguments, size_t *done)
{
	uint64_t address, length;
	int error;

	if (!take_range(&arguments, &address, &length) || *arguments) {
		reply_error(server, -EINVAL);
		return false;
	}
	error = read_memory(server, address, server->data, length < SERVER_DATA_MAX ? (size_t)length : SERVER_DATA_MAX,
			    done);
	if (error && !*done) {
		reply_error(server, error);
		return false;
	}
	return true;
}

static void packet_m(struct server *server, char *arguments)
{
	size_t done;

	if (!read_for_reply(server, arguments, &done))
		return;
	rsp_begin(&server->rsp);
	rsp_hex(&server->rsp, server->data, done);
	rsp_end(&server->rsp);
}

static void packet_x(struct server *server, char *arguments)
{
	size_t done;

	if (!read_for_reply(server, arguments, &done))
		return;
	/* length 0 asks whether there is this packet */
	if (!done) {
		reply_ok(server);
		return;
	}
	rsp_begin(&server->rsp);
	rsp_binary(&server->rsp, server->data, done);
	rsp_end(&server->rsp);
}

static void write_memory(struct server *server, uint64_t address, const void *bytes, size_t length)
{
	size_t done = 0;
	int error = debug_mem_write(server->vcpu, &server->space, address, bytes, length,
				    server->device ? DEBUG_MEM_DEVICE : 0, &done);

	reply_error(server, error);
}

static void packet_M(struct server *server, char *arguments)
{
	uint64_t address, length;
	int count;

	if (!take_range(&arguments, &address, &length) || !take_char(&arguments, ':')) {
		reply_error(server, -EINVAL);
		return;
	}
	count = take_bytes(&arguments, server->data, SERVER_DATA_MAX);
	if (count < 0 || *arguments || (uint64_t)count != length)
		reply_error(server, -EINVAL);
	else
		write_memory(server, address, server->data, (size_t)count);
}

static void packet_X(struct server *server, char *arguments)
{
	uint64_t address, length;
	const char *end = (const char *)server->rsp.in + server->rsp.in_length;

	if (!take_range(&arguments, &address, &length) || !take_char(&arguments, ':') ||
	    (uint64_t)(end - arguments) != length)
		reply_error(server, -EINVAL);
	else
		write_memory(server, address, arguments, (size_t)length);
}

/* The next piece of a long range, up to a page's end. */
static size_t piece_of(uint64_t address, uint64_t length, size_t room)
{
	uint64_t piece = PAGE_SIZE - (address & (PAGE_SIZE - 1));

	if (piece > room)
		piece = room;
	return (size_t)(piece < length ? piece : length);
}

/* GDB's CRC-32: polynomial 04c11db7h, most significant bit first, starting with all ones. "qCRC" in (E.4). */
static uint32_t crc_add(uint32_t crc, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		crc ^= (uint32_t)bytes[i] << 24;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7u : 0);
	}
	return crc;
}

static void packet_crc(struct server *server, char *arguments)
{
	uint64_t address, length;
	uint32_t crc = 0xffffffff;

	if (!take_range(&arguments, &address, &length) || *arguments) {
		reply_error(server, -EINVAL);
		return;
	}
	while (length) {
		size_t piece = piece_of(address, length, SERVER_DATA_MAX), done;
		int error = read_memory(server, address, server->data, piece, &done);

		if (error || rsp_interrupted(&server->rsp)) {
			reply_error(server, error ? error : -EAGAIN);
			return;
		}
		crc = crc_add(crc, server->data, piece);
		address += piece;
		length -= piece;
	}
	rsp_begin(&server->rsp);
	rsp_printf(&server->rsp, "C%08x", crc);
	rsp_end(&server->rsp);
}

static bool find(const uint8_t *in, size_t length, const uint8_t *what, size_t size, size_t *at)
{
	for (*at = 0; *at + size <= length; (*at)++) {
		if (in[*at] == *what && memcmp(in + *at, what, size) == 0)
			return true;
	}
	return false;
}

/* "qSearch:memory:ADDRESS;LENGTH;PATTERN": the first place where the pattern begins and lies within the range */
static void packet_search(struct server *server, char *arguments)
{
	const uint8_t *end = server->rsp.in + server->rsp.in_length, *pattern;
	uint64_t address, length;
	size_t size, kept = 0;

	if (!take_hex(&arguments, &address) || !take_char(&arguments, ';') || !take_hex(&arguments, &length) ||
	    !take_char(&arguments, ';')) {
		reply_error(server, -EINVAL);
		return;
	}
	pattern = (const uint8_t *)arguments;
	size = (size_t)(end - pattern);
	if (!size || size > PATTERN_MAX) {
		reply_error(server, -EINVAL);
		return;
	}
	while (length) {
		size_t piece = piece_of(address, length, SERVER_DATA_MAX - kept), done, at;
		int error = read_memory(server, address, server->data + kept, piece, &done);

		if (error || rsp_interrupted(&server->rsp)) {
			reply_error(server, error ? error : -EAGAIN);
			return;
		}
		if (find(server->data, kept + piece, pattern, size, &at)) {
			rsp_begin(&server->rsp);
			rsp_printf(&server->rsp, "1,%llx", (unsigned long long)(address - kept + at));
			rsp_end(&server->rsp);
			return;
		}
		address += piece;
		length -= piece;
		/* it may begin at the end of what was looked at */
		at = kept + piece < size - 1 ? kept + piece : size - 1;
		memmove(server->data, server->data + kept + piece - at, at);
		kept = at;
	}
	reply_text(server, "0");
}

const struct packet packets_memory[] = {
	{"m", packet_m}, {"M", packet_M},	{"x", packet_x},
	{"X", packet_X}, {"qCRC:", packet_crc}, {"qSearch:memory:", packet_search},
	{NULL, NULL},
};
