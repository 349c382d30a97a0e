/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a debugger at a proxy wants: packets are told apart, as far as they are not simply passed on. Nothing that it
 * says is trusted. Must not know the VM.
 * Source: "Debugging with GDB", "Packets" (E.2), "General Query Packets" (E.4); docs/protocol.md.
 */
#ifndef LIBCROFT_PROXY_REQUEST_H
#define LIBCROFT_PROXY_REQUEST_H

#include "client/libcroft/croft.h"

enum request_kind {
	REQUEST_ASK,	   /* passed on, as all that is not below */
	REQUEST_READ,	   /* m, x: address, length */
	REQUEST_GO,	   /* an answer follows when it stops */
	REQUEST_BREAK,	   /* Z, z: type, address, length */
	REQUEST_THREAD,	   /* Hg: whose registers are meant */
	REQUEST_SPACE,	   /* space, if it is as docs/protocol.md has it */
	REQUEST_COMMAND,   /* qRcmd: it may change the space */
	REQUEST_SUPPORTED, /* qSupported */
	REQUEST_NO_ACK,	   /* QStartNoAckMode */
	REQUEST_DETACH,	   /* D, vKill */
	REQUEST_KILL,	   /* k: there is no answer */
	REQUEST_UNKNOWN	   /* would change how the two ends talk: gets the empty answer */
};

struct request {
	enum request_kind kind;
	uint64_t address, length;
	unsigned type;
	bool is_binary;	   /* x */
	bool inserts;	   /* Z */
	bool keeps_memory; /* what was read before is as it was */
	struct croft_space space;
};

/* Tells a packet's content, which is terminated, apart. What is not well-formed is REQUEST_ASK: the other end refuses.
 */
void request_parse(const char *content, size_t length, struct request *request);

/* "current", "phys" or "cr3=NUMBER", then perhaps ";mmio", and nothing else. False: it is something else. */
bool request_take_space(const char *text, struct croft_space *space);

/* What a client can do, in its qSupported. */
struct request_abilities {
	bool swbreak, hwbreak;
};

/*
 * The features that are told to the other end: the proxy's own, and the client's xmlRegisters. Writes at most size
 * bytes, terminated. Returns how long it is.
 */
size_t request_offer(const char *content, char *text, size_t size, struct request_abilities *abilities);

/* The answer for the client: without what the proxy does not pass on. In place, with room for so much more. */
#define REQUEST_ANSWER_MORE 32u
size_t request_answer(char *text, size_t length);

/* A stop reply for a client: without what it cannot read. In place. Returns its length. */
size_t request_stop(char *text, size_t length, const struct request_abilities *abilities);

#endif
