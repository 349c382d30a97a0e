/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frontend that is no serial port: a mailbox that carries packets of up to FAKE_PACKET bytes, one at a time each way.
 * The device takes a packet, is busy for a while, and then the peer has it. The test is the peer.
 */
#ifndef TESTS_FAKES_FAKE_FRONTEND_H
#define TESTS_FAKES_FAKE_FRONTEND_H

#include <undercroft/frontend.h>

#include "tests/fakes/fake_platform.h"

#define FAKE_PACKET 8u
#define FAKE_QUEUE  65536u

struct fake_frontend {
	struct frontend frontend; /* first */
	uint64_t busy_us;	  /* how long a packet takes; 0: none at all */
	uint64_t idle_at_us;	  /* the last one has left */
	uint64_t pace_us;	  /* a packet of the peer's comes every so often */
	uint64_t next_us;	  /* the next one */
	bool stuck;		  /* takes nothing */
	bool gone;		  /* there is no device */
	bool was_reset;		  /* by somebody else: takes and gives nothing until it is recovered */
	unsigned recovered;
	uint8_t in[FAKE_QUEUE], out[FAKE_QUEUE]; /* from the peer, and to it */
	size_t in_count, in_read, out_count;
	void (*on_write)(struct fake_frontend *fake);	/* a packet has just been sent; NULL: nobody cares */
	void (*on_silence)(struct fake_frontend *fake); /* the peer is asked and has said nothing; NULL: it is silent */
};

/* An opened one; the platform gives the time. */
void fake_frontend_init(struct fake_frontend *fake, struct fake_platform *platform);

/* What the peer sends. */
void fake_frontend_say(struct fake_frontend *fake, const void *bytes, size_t length);

#endif
