/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte channels to a client over any frontend. Plain: the wire carries the bytes of LINK_RSP as they are, and log text
 * as long as no client is attached. Framed, when our own client asks for it: all channels, each whole and in order; see
 * docs/protocol.md. Must not know what the bytes mean, nor any frontend.
 */
#ifndef CORE_CONTROL_LINK_H
#define CORE_CONTROL_LINK_H

#include <undercroft/frontend.h>
#include <undercroft/log.h>
#include <undercroft/types.h>

#include "core/control/frame.h"

enum link_channel { LINK_RSP, LINK_LOG, LINK_BULK, LINK_CHANNELS };

#define LINK_IN_SIZE 512 /* plain: bytes that wait to be read; a power of two */

/* How often the device is asked whether somebody reset it behind our back. */
#define LINK_CHECK_US 100000u

/* Framed: an RSP packet on the bare line is a new, plain client if the old one was not heard for so long. */
#define LINK_PLAIN_US 2500000u

/*
 * Framed: link_poll() stays for a frame that has only begun to arrive, since the device has no memory for the rest of
 * it: so long if nothing comes, so long in all, and not again for LINK_AWAY times what it took.
 */
#define LINK_GAP_US    20000u
#define LINK_LINGER_US 60000u
#define LINK_AWAY      9u

/*
 * Framed: how long a write waits for the client to take anything. Half an answer leaves the client waiting for the
 * rest, so it is nearly as long as silence may last.
 */
#define LINK_WRITE_US 3000000u

struct link {
	struct log_sink log; /* writes to LINK_LOG; to be added to a log where the frontend carries both */
	struct frontend *frontend;
	bool attached, framed, lost;
	uint8_t in[LINK_IN_SIZE];     /* plain: what arrived; framed: what may become an RSP packet */
	unsigned in_read, in_written; /* run freely; their difference is how many bytes wait */
	uint8_t packet;		      /* framed: how much of an RSP packet lies there, enum packet */
	uint8_t sum;		      /* of its bytes */
	uint8_t head;		      /* framed: bytes since the last delimiter, at most two are counted */
	bool head_is_data;	      /* the second is a DATA frame's type */
	uint64_t checked_us;
	uint64_t away_us;  /* framed: link_poll() does not stay before that */
	uint64_t heard_us; /* framed: when something last arrived */
	struct frame frame;
};

/* Over a frontend that was opened or adopted, and that nobody else reads from. Plain, no client attached. */
void link_init(struct link *link, struct frontend *frontend);

/*
 * Takes up to length bytes that have arrived on a channel; never waits. Plain: all bytes are LINK_RSP's. Bytes read.
 * Nothing after a client was lost, until link_was_lost() has told so: what follows is another client's.
 */
size_t link_read(struct link *link, enum link_channel channel, void *buffer, size_t length);

/*
 * Sends on a channel. Waits as long as the device keeps taking bytes, and takes in what arrives meanwhile. Returns the
 * bytes taken, less than length if the device stopped taking them or the channel does not exist.
 * Plain: LINK_BULK does not, and LINK_LOG takes everything, but while a client is attached nothing of it is sent.
 * Framed: LINK_RSP less, too, if the client takes nothing for LINK_WRITE_US; the others do not wait for it at all.
 */
size_t link_write(struct link *link, enum link_channel channel, const void *data, size_t length);

/* Waits, bounded, until everything has left. 0 or -ETIMEDOUT. */
int link_flush(struct link *link);

/*
 * Moves what has arrived from the device to where link_read() finds it; framed also what is due to the client: to be
 * called now and then. Also looks after a device that was reset. May stay for LINK_LINGER_US, see there.
 */
void link_poll(struct link *link);

/*
 * The client asked for frames and has its answer, written plain: sends that off, and from here on there are frames.
 * link_reset(), or a client that leaves, is not heard any more or gives way to a plain one ends that.
 */
void link_frame(struct link *link);

/* Framed: did the client go, so that the link is plain again? True once, then false. */
bool link_was_lost(struct link *link);

/* May a reader rely on getting every byte, unchanged? Framed: yes. */
bool link_is_reliable(const struct link *link);

/* A client talks to us: no log text between its packets, until link_reset(). */
void link_attach(struct link *link);

/* No client, plain. What came plain and waits to be read still does. */
void link_reset(struct link *link);

#endif
