/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte channels to a client over any frontend. Plain: the wire carries the bytes of LINK_RSP as they are, and log text
 * as long as no client is attached. Must not know what the bytes mean, nor any frontend.
 */
#ifndef CORE_CONTROL_LINK_H
#define CORE_CONTROL_LINK_H

#include <undercroft/frontend.h>
#include <undercroft/log.h>
#include <undercroft/types.h>

enum link_channel { LINK_RSP, LINK_LOG, LINK_BULK, LINK_CHANNELS };

#define LINK_IN_SIZE 512 /* bytes that wait to be read; a power of two */

/* How often the device is asked whether somebody reset it behind our back. */
#define LINK_CHECK_US 100000u

struct link {
	struct log_sink log; /* writes to LINK_LOG; to be added to a log where the frontend carries both */
	struct frontend *frontend;
	bool attached;
	uint8_t in[LINK_IN_SIZE];
	unsigned in_read, in_written; /* run freely; their difference is how many bytes wait */
	uint64_t checked_us;
};

/* Over a frontend that was opened or adopted, and that nobody else reads from. Plain, no client attached. */
void link_init(struct link *link, struct frontend *frontend);

/* Takes up to length bytes that have arrived on a channel; never waits. Plain: all bytes are LINK_RSP's. Bytes read. */
size_t link_read(struct link *link, enum link_channel channel, void *buffer, size_t length);

/*
 * Sends on a channel. Waits as long as the device keeps taking bytes, and takes in what arrives meanwhile. Returns the
 * bytes taken, less than length if the device stopped taking them or the channel does not exist: plain, LINK_BULK does
 * not, and LINK_LOG takes everything, but while a client is attached nothing of it is sent.
 */
size_t link_write(struct link *link, enum link_channel channel, const void *data, size_t length);

/* Waits, bounded, until everything has left. 0 or -ETIMEDOUT. */
int link_flush(struct link *link);

/* Moves what has arrived from the device to where link_read() finds it. Also looks after a device that was reset. */
void link_poll(struct link *link);

/* May a reader rely on getting every byte, unchanged? Plain: no. */
bool link_is_reliable(const struct link *link);

/* A client talks to us: no log text between its packets, until link_reset(). */
void link_attach(struct link *link);

/* No client, plain, nothing waiting to be read. */
void link_reset(struct link *link);

#endif
