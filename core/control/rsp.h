/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of the GDB remote serial protocol over a link: $data#checksum, escapes, run lengths, acknowledgements, the
 * interrupt byte. Must not know what a packet means.
 * Source: "Debugging with GDB", "GDB Remote Serial Protocol", "Overview" (E.1) and "Packet Acknowledgment" (E.10).
 */
#ifndef CORE_CONTROL_RSP_H
#define CORE_CONTROL_RSP_H

#include <undercroft/types.h>

#include "core/control/link.h"

/* Characters between $ and #, escapes counted as two: what PacketSize promises, in both directions. */
#define RSP_PACKET_MAX 4096

/* Bytes in a row that make no intact packet: whoever sends them is no debugger any more. */
#define RSP_GARBAGE_MAX (4 * RSP_PACKET_MAX)

/* A packet whose bytes stop coming for that long is given up: the next byte begins something new. */
#define RSP_STALE_US 2000000u

/* How long a reply waits for the acknowledgement of the one before it, and how often one is sent again. */
#define RSP_ACK_US     1000000u
#define RSP_RESEND_MAX 8

enum rsp_event {
	RSP_NOTHING,
	RSP_PACKET,    /* in[] has one, terminated */
	RSP_TOO_LONG,  /* one came that is longer than RSP_PACKET_MAX; its content is lost */
	RSP_INTERRUPT, /* 03h between packets */
	RSP_NEW,       /* an acknowledgement although they are off: a new client begins */
	RSP_GARBAGE,   /* RSP_GARBAGE_MAX was reached; counting starts anew */
};

struct rsp {
	struct link *link;
	struct platform *platform;
	bool no_ack;	   /* the client asked for no acknowledgements */
	bool overflow;	   /* the packet or reply under way does not fit */
	uint8_t state;	   /* of the reader */
	uint8_t sum;	   /* of the characters so far */
	uint8_t check;	   /* the checksum's first digit */
	unsigned raw;	   /* characters of the packet under way */
	unsigned garbage;  /* bytes since the last intact packet */
	uint64_t moved_us; /* when the packet under way last grew */
	unsigned resent;   /* times the last reply was sent again */
	bool unacked;	   /* a reply waits for its acknowledgement */
	bool interrupt;	   /* 03h came while it waited */
	bool run_broken;   /* the character before must not be counted: it belongs to an escape */
	uint8_t run_char;  /* writer: a character and how often it follows itself */
	unsigned run;
	size_t in_length, out_length;
	uint8_t in[RSP_PACKET_MAX + 1]; /* without escapes, terminated by a zero that does not count */
	uint8_t out[RSP_PACKET_MAX + 4];
};

void rsp_init(struct rsp *rsp, struct link *link);

/* Forgets packets under way; acknowledgements are on. */
void rsp_reset(struct rsp *rsp);

/* Takes what has arrived until something has happened; never waits. An intact packet is acknowledged. */
enum rsp_event rsp_poll(struct rsp *rsp);

/* Has the interrupt byte come while something long is being done? Other bytes that came are dropped. */
bool rsp_interrupted(struct rsp *rsp);

/*
 * A reply: rsp_begin(), any number of the others, rsp_end(), which sends it, bounded. What does not fit turns the whole
 * reply into an error.
 */
void rsp_begin(struct rsp *rsp);
void rsp_char(struct rsp *rsp, char character);
void rsp_text(struct rsp *rsp, const char *text);
__attribute__((format(printf, 2, 3))) void rsp_printf(struct rsp *rsp, const char *format,
						      ...);	    /* up to 127 characters */
void rsp_hex(struct rsp *rsp, const void *bytes, size_t length);    /* two digits a byte, in their order */
void rsp_binary(struct rsp *rsp, const void *bytes, size_t length); /* escaped */
void rsp_end(struct rsp *rsp);

#endif
