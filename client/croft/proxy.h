/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port for another debugger: listens, and carries bytes between one client and libcroft's proxy. Never waits.
 */
#ifndef CROFT_PROXY_H
#define CROFT_PROXY_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/croft/shell.h"

#define PROXY_FDS 2u

#define PROXY_ADDRESS_MAX 80u

struct proxy;

/*
 * Listens. address: "ADDRESS:PORT", numeric or localhost, IPv6 in brackets, port 0 for any that is free. Sets
 * shell->proxy; says what is wrong.
 */
enum outcome proxy_listen(struct shell *shell, const char *address);

/* "ADDRESS:PORT" as it is, and whether only this computer can reach it. */
const char *proxy_address(const struct proxy *proxy);
bool proxy_is_local(const struct proxy *proxy);

/* The client that there is, as "ADDRESS:PORT"; NULL: none. */
const char *proxy_client(const struct proxy *proxy);

/* Has a client been there, and gone? */
bool proxy_is_done(const struct proxy *proxy);

/* Does a client wait for the VM to stop? */
bool proxy_is_waiting(const struct proxy *proxy);

/* What clients have said so far. */
struct croft_proxy_counters proxy_counters(const struct proxy *proxy);

/* What it waits for, to be added to somebody's poll(): up to PROXY_FDS. NULL is allowed. */
unsigned proxy_wait(const struct proxy *proxy, struct pollfd *fds);

/* Does what is due on the port. Outcomes: LOST alone, which was said; everything else is the client's. */
enum outcome proxy_serve(struct shell *shell);

/* Hangs up, and listens no more. Sets shell->proxy to NULL. */
void proxy_close(struct shell *shell);

#endif
