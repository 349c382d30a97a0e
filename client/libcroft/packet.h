/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RSP packets to bytes and back: $content#checksum, escapes, run lengths. Must not know what a packet means or where
 * bytes come from.
 * Source: "Debugging with GDB", "GDB Remote Serial Protocol", "Overview" (E.1).
 */
#ifndef LIBCROFT_PACKET_H
#define LIBCROFT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whoever sends longer ones wants our memory. */
#define PACKET_MAX (1u << 20)

#define PACKET_INTERRUPT 0x03

enum packet_event {
	PACKET_NOTHING, /* more is needed */
	PACKET_WHOLE,	/* content has one, terminated by a zero that does not count */
	PACKET_DAMAGED, /* one came whose checksum or form is wrong */
	PACKET_ACK,
	PACKET_NACK,
	PACKET_NO_ROOM, /* no memory, or longer than PACKET_MAX: the content is lost */
	PACKET_NOISE	/* a byte that is part of nothing */
};

struct packet_reader {
	uint8_t state, sum, check;
	bool is_notification, overflow, malformed;
	char *content;
	size_t length, room;
};

void packet_init(struct packet_reader *reader);
void packet_free(struct packet_reader *reader);

/* Takes one byte. */
enum packet_event packet_take(struct packet_reader *reader, uint8_t byte);

/* Is one on its way? */
bool packet_is_begun(const struct packet_reader *reader);

/* Bytes that a packet with this much content has at most. */
#define PACKET_WIRE_MAX(length) (2 * (length) + 4)

/* Writes one to wire, which has PACKET_WIRE_MAX(length) bytes. Returns how many it has. */
size_t packet_make(uint8_t *wire, const void *content, size_t length);

/* Content as it will count against the other end's PacketSize: with its escapes. */
size_t packet_size(const void *content, size_t length);

/* --- numbers in packets --- */

/* The value of a hexadecimal digit, or -1. */
int hex_digit(char digit);

/* A hexadecimal number of 1 to 16 digits; *at moves behind it. False: there is none, or it is too long. */
bool hex_take(const char **at, uint64_t *value);

/* Pairs of digits to at most size bytes. Returns how many bytes, -1: half a byte, more than size, or no digits. */
long hex_bytes(const char *text, size_t length, void *bytes, size_t size);

/* Bytes to 2 * length digits and a terminator. */
void hex_make(char *text, const void *bytes, size_t length);

#endif
