/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals: serial ports at any speed, and pseudo-terminals.
 */
#ifndef LIBCROFT_SERIAL_H
#define LIBCROFT_SERIAL_H

#include "client/libcroft/transport.h"

/*
 * Makes a terminal carry bytes as they are: 8N1, no flow control. baud 0: its speed does not matter. name is for
 * errors. Errors: SYSTEM (no terminal, or it cannot do that speed), BUSY, MEMORY.
 */
enum croft_status serial_open(struct transport *transport, const char *name, unsigned baud, struct croft_error *error);

/* As it was before, once what was written has left; bounded. */
void serial_close(struct transport *transport);

/* Drops what has come. */
void serial_drop(struct transport *transport);

#endif
