/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a framed link's channel for large contents carries: hashes and contents of guest-physical pages, on request.
 * docs/protocol.md specifies it. Must not know frames, nor what the client does with it.
 */
#ifndef CORE_CONTROL_BULK_H
#define CORE_CONTROL_BULK_H

#include <undercroft/types.h>

#include "core/control/bulk_format.h"
#include "core/control/link.h"
#include "core/control/lz4.h"
#include "core/control/siphash.h"

struct vcpu;

/* How long one look takes, and one page more. */
#define BULK_POLL_US 500u

struct bulk {
	struct vcpu *vcpu;
	struct link *link;
	uint8_t request[BULK_REQUEST];
	uint8_t taken; /* bytes of it that have come */

	/* the request under way */
	uint8_t kind;		   /* enum bulk_kind */
	uint64_t page;		   /* the next, or the first of those asked for */
	uint64_t wanted;	   /* BULK_PAGES: which still */
	uint32_t items;		   /* BULK_HASH: left */
	uint32_t pages;		   /* of the item under way: left */
	bool zero;		   /* its pages so far */
	struct siphash group;	   /* of their hashes */
	uint8_t recorded, nonzero; /* items in the record under way, and those that have a hash there */

	uint16_t out_sent, out_length;
	uint8_t out[sizeof(uint16_t) + PAGE_SIZE];
	uint8_t content[PAGE_SIZE], turned[PAGE_SIZE], packed[PAGE_SIZE];
	struct lz4 lz4; /* its history: of this answer */
};

void bulk_init(struct bulk *bulk, struct vcpu *vcpu, struct link *link);

/* The client is gone, or begins anew: what it asked for is forgotten. */
void bulk_reset(struct bulk *bulk);

/* Goes on with what was asked for, for BULK_POLL_US, or until the link takes no more. */
void bulk_poll(struct bulk *bulk);

/* Does it have something to do? */
bool bulk_is_busy(const struct bulk *bulk);

/* Turns a page. */
void bulk_turn(const uint8_t in[PAGE_SIZE], uint8_t out[PAGE_SIZE]);

#endif
