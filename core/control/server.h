/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The remote control server: RSP packets on one side, run control, memory and registers on the other. One client at a
 * time. Must not know a vendor, a frontend or how a link frames its bytes. docs/protocol.md is what it speaks.
 */
#ifndef CORE_CONTROL_SERVER_H
#define CORE_CONTROL_SERVER_H

#include <undercroft/debug.h>
#include <undercroft/types.h>

#include "core/control/bulk.h"
#include "core/control/rsp.h"
#include "core/control/watch.h"

#define SERVER_DATA_MAX (RSP_PACKET_MAX / 2)

/* How long somebody who has just come is listened to while the guest does not run: in all, and without a word. */
#define SERVER_LISTEN_US  250000u
#define SERVER_SILENCE_US 10000u

struct server {
	struct control control; /* first */
	struct vcpu *vcpu;
	bool listens;			 /* a client may attach while the guest runs */
	bool attached;			 /* a client has sent an intact packet and neither left nor been lost */
	bool resumed;			 /* it has let the guest go on and waits for the stop reply */
	bool pending;			 /* its packet stopped the guest and waits for that */
	bool says_swbreak, says_hwbreak; /* it understands these stop reasons */
	bool device;			 /* it asked for device memory, too */
	struct debug_space space;	 /* of the addresses in its packets */
	uint64_t give_up_us;		 /* when a guest that waits for a first client starts without; 0: never */
	uint64_t silence_us, heard_us;	 /* how long a plain client may be silent (0: for ever), when it was heard */
	struct watch watch;
	struct rsp rsp;
	struct bulk bulk;
	uint8_t data[SERVER_DATA_MAX];
};

/*
 * Gives the VM of this vCPU a server on a link. debug_init() was called. listens: clients may come at any time; else
 * only while server_wait_at_start() waits for one.
 */
void server_init(struct server *server, struct vcpu *vcpu, struct link *link, bool listens);

/*
 * Stops the guest before its first instruction until a client has attached and let it go on; timeout_ms: as long as
 * none attaches, 0: for ever. To be served behind the work word, before the first entry.
 */
void server_wait_at_start(struct server *server, uint32_t timeout_ms);

/* A guest that stands runs on as soon as its client, plain, has sent nothing for timeout_ms; 0: it waits. */
void server_silence_limit(struct server *server, uint32_t timeout_ms);

/* The client is lost, or left: everything it armed goes, the guest runs on, another client can attach. */
void server_release(struct server *server);

#endif
