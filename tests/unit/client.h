/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A debugger on the control server of a VM on the fakes: what its tests and the fuzzer share. Must not know any test.
 */
#ifndef TESTS_UNIT_CLIENT_H
#define TESTS_UNIT_CLIENT_H

#include "core/control/server.h"
#include "core/debug/debug.h"
#include "tests/fakes/fake_frontend.h"
#include "tests/unit/spine.h"

#define CLIENT_FRAMES_MAX 64

struct client {
	struct spine spine;
	struct debug debug;
	struct fake_frontend wire;
	struct link link;
	struct server server;
	unsigned awaited; /* stop replies before the reply that is waited for */
	/* what came since the last client_collect(): packets decoded, terminated, one behind the other */
	char text[3 * RSP_PACKET_MAX];
	const char *frame[CLIENT_FRAMES_MAX];
	size_t length[CLIENT_FRAMES_MAX];
	unsigned frames, acks, nacks, bad;
	size_t wire_length[CLIENT_FRAMES_MAX]; /* characters between $ and # as they were sent */
};

void client_init(struct client *client);
void client_free(struct client *client);

/* Bytes as they are, and a packet with its frame. */
void client_say(struct client *client, const char *text);
void client_packet(struct client *client, const void *content, size_t length);

/* Does the guest run behind this packet? Wrong ones of these do not let it: "c" has to be said. */
bool client_lets_go(const char *content, size_t length);

/* For wire.on_write: the client hears a reply and lets the guest go on; what is printed before it is acknowledged. */
void client_hear(struct fake_frontend *wire);

/* One look of the running guest at the wire, and what follows from it. */
void client_poll(struct client *client);

/* Takes apart what the server has sent. */
void client_collect(struct client *client);

/*
 * Stops the guest, sends one packet, and lets the guest go on by "c" if it is not on its way already. Returns the
 * reply, NULL if there was none; client->length[...] of it is *length if that is not NULL.
 */
const char *client_ask(struct client *client, const char *content);
const char *client_ask_binary(struct client *client, const void *content, size_t length, size_t *reply_length);

#endif
