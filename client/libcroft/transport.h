/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways to the other end: whatever is named by a target becomes one file descriptor that never blocks. Must not know
 * what is said on it.
 */
#ifndef LIBCROFT_TRANSPORT_H
#define LIBCROFT_TRANSPORT_H

#include "client/libcroft/croft.h"

struct transport_tty; /* how a terminal was before */

struct transport {
	int fd;
	bool is_socket;
	unsigned baud; /* 0: not a serial port */
	struct transport_tty *tty;
};

/* Opens a target, see croft_vm_open(). Returns what that does; the transport is to be closed after CROFT_OK only. */
enum croft_status transport_open(struct transport *transport, const char *target, unsigned timeout_ms,
				 struct croft_error *error);
void transport_close(struct transport *transport);

/* Bytes moved, 0: none at the moment, -1: the other end has gone. */
long transport_read(struct transport *transport, void *buffer, size_t size);
long transport_write(struct transport *transport, const void *data, size_t length);

/* Drops what has come. */
void transport_drop(struct transport *transport);

#endif
