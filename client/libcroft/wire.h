/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes to and from the other end, plain or in frames (docs/protocol.md), with a limit on each wait. Must not know what
 * RSP is.
 */
#ifndef LIBCROFT_WIRE_H
#define LIBCROFT_WIRE_H

#include <stdatomic.h>

#include "client/libcroft/transport.h"
#include "core/control/frame.h"

#define WIRE_IN_SIZE 65536u /* of RSP, that wait to be read; a power of two */

enum wire_channel { WIRE_RSP, WIRE_LOG, WIRE_BULK };

struct wire {
	struct transport transport;
	const char *name; /* for errors */
	int wake;	  /* an eventfd: makes a wait look at interrupted */
	atomic_bool interrupted;
	bool framed, gone;
	const bool *seldom; /* while true, the other end is heard when it has time: its silence means nothing */
	croft_text_fn *text;
	void *text_data;
	struct croft_counters counters;
	uint32_t in_read, in_written; /* run freely */
	uint8_t in[WIRE_IN_SIZE];
	struct frame frame;
};

/* Opens the target; plain. name has to stay. Errors of transport_open(); MEMORY. */
enum croft_status wire_open(struct wire *wire, const char *name, unsigned timeout_ms, struct croft_error *error);
void wire_close(struct wire *wire);

uint64_t wire_now_us(void);

/* From here on there are frames. What has come and was not read is part of them. */
void wire_frame(struct wire *wire);

/* Reads a byte of RSP that has come. False: there is none. */
bool wire_read(struct wire *wire, uint8_t *byte);

/*
 * Does what is due, and waits until something has come on a channel, RSP or BULK, at most until then. Text of LOG is
 * handed on meanwhile. Errors: TIMEOUT, LOST; INTERRUPTED, which is then no longer asked for.
 */
enum croft_status wire_wait(struct wire *wire, enum wire_channel channel, uint64_t until_us, struct croft_error *error);

/* Writes all of it, and takes in what comes meanwhile. Errors: TIMEOUT (nothing was taken for timeout_ms), LOST. */
enum croft_status wire_write(struct wire *wire, enum wire_channel channel, const void *data, size_t length,
			     unsigned timeout_ms, struct croft_error *error);

/* Framed: what has come of BULK. Bytes read. */
size_t wire_read_bulk(struct wire *wire, void *buffer, size_t size);

/* Framed: says goodbye, bounded. What follows is plain. */
void wire_end(struct wire *wire);

/* Drops what has come. */
void wire_drop(struct wire *wire);

/* How long a line takes for so many bytes, there or back; 0 where that is not known. */
uint64_t wire_time_us(const struct wire *wire, size_t length);

#endif
