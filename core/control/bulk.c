/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests one behind the other, a page at a time. Memory is read as a debugger reads it: nothing that is hidden, and
 * no device.
 */
#include "core/control/bulk.h"

#include <string.h>

#include <undercroft/debug.h>
#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>

/* Where what stands in a request. */
#define AT_KIND	 0
#define AT_SHIFT 1
#define AT_TAG	 2
#define AT_COUNT 4
#define AT_PAGE	 8
#define AT_MORE	 16

#define BITMAP	       sizeof(uint64_t)
#define LENGTH	       sizeof(uint16_t)
#define COMPRESSED_MAX (PAGE_SIZE - 1)

_Static_assert(BITMAP + BULK_RECORD * SIPHASH_BYTES <= LENGTH + PAGE_SIZE, "a record of hashes fits where a page does");

void bulk_init(struct bulk *bulk, struct vcpu *vcpu, struct link *link)
{
	bulk->vcpu = vcpu;
	bulk->link = link;
	bulk_reset(bulk);
}

void bulk_reset(struct bulk *bulk)
{
	bulk->taken = 0;
	bulk->kind = BULK_NOTHING;
	bulk->out_sent = bulk->out_length = 0;
}

bool bulk_is_busy(const struct bulk *bulk)
{
	return bulk->kind != BULK_NOTHING || bulk->out_sent < bulk->out_length;
}

/* Bytes of memory from an address in one page, as many as there are. */
static size_t memory_read(struct bulk *bulk, gpa_t gpa, uint8_t *to, size_t length)
{
	static const struct debug_space physical = {.kind = SPACE_PHYSICAL};
	size_t done = 0;

	(void)debug_mem_read(bulk->vcpu, &physical, gpa, to, length, 0, &done);
	return done;
}

/* Reads a page; what is no memory in it reads as 0. False: neither its beginning nor its end is memory. */
static bool content_read(struct bulk *bulk, uint64_t page)
{
	gpa_t gpa = page << PAGE_SHIFT;
	uint8_t *to = bulk->content;
	size_t at;

	memset(to, 0, PAGE_SIZE);
	at = memory_read(bulk, gpa, to, PAGE_SIZE);
	if (!at && !memory_read(bulk, gpa + PAGE_SIZE - 1, to + PAGE_SIZE - 1, 1))
		return false;
	while (at < PAGE_SIZE) {
		size_t done = memory_read(bulk, gpa + at, to + at, PAGE_SIZE - at);

		at += done ? done : 1;
	}
	return true;
}

static bool content_is_zero(const struct bulk *bulk)
{
	uint64_t word = 0;

	for (size_t i = 0; i < PAGE_SIZE && !word; i += sizeof(word))
		memcpy(&word, bulk->content + i, sizeof(word));
	return !word;
}

/* --- hashes --- */

static void item_begin(struct bulk *bulk)
{
	bulk->pages = 1u << bulk->request[AT_SHIFT];
	bulk->zero = true;
	siphash_init(&bulk->group, bulk->request + AT_MORE);
}

/* The hash of the page that comes next; one of all ones: it is none, of all zeros: it is zero. */
static void page_hash(struct bulk *bulk, uint8_t hash[SIPHASH_BYTES])
{
	bool present = content_read(bulk, bulk->page++), zero = present && content_is_zero(bulk);
	struct siphash state;

	bulk->zero &= zero;
	memset(hash, present ? 0 : 0xff, SIPHASH_BYTES);
	if (!present || zero)
		return;
	siphash_init(&state, bulk->request + AT_MORE);
	siphash_add(&state, bulk->content, PAGE_SIZE);
	siphash_end(&state, hash);
}

static void item_end(struct bulk *bulk, const uint8_t hash[SIPHASH_BYTES])
{
	uint8_t bit = bulk->recorded++;

	if (bit == 0) {
		memset(bulk->out, 0, BITMAP);
		bulk->nonzero = 0;
	}
	if (!bulk->zero) {
		bulk->out[bit / 8] |= (uint8_t)(1u << bit % 8);
		memcpy(bulk->out + BITMAP + SIPHASH_BYTES * bulk->nonzero++, hash, SIPHASH_BYTES);
	}
	if (--bulk->items && bulk->recorded < BULK_RECORD)
		return;
	bulk->recorded = 0;
	bulk->out_sent = 0;
	bulk->out_length = (uint16_t)(BITMAP + SIPHASH_BYTES * bulk->nonzero);
	if (!bulk->items)
		bulk->kind = BULK_NOTHING;
}

static void hash_next(struct bulk *bulk)
{
	uint8_t hash[SIPHASH_BYTES];

	page_hash(bulk, hash);
	if (bulk->request[AT_SHIFT])
		siphash_add(&bulk->group, hash, sizeof(hash));
	if (--bulk->pages)
		return;
	if (bulk->request[AT_SHIFT])
		siphash_end(&bulk->group, hash);
	item_end(bulk, hash);
	item_begin(bulk);
}

/* --- contents --- */

void bulk_turn(const uint8_t in[PAGE_SIZE], uint8_t out[PAGE_SIZE])
{
	for (size_t i = 0; i < PAGE_SIZE; i++)
		out[i % BULK_TURN * (PAGE_SIZE / BULK_TURN) + i / BULK_TURN] = in[i];
}

/* Writes the content in the shortest way. Returns what stands before it. */
static uint16_t content_write(struct bulk *bulk, uint8_t *out, size_t *length)
{
	size_t plain;

	bulk_turn(bulk->content, bulk->turned);
	*length = lz4_compress(&bulk->lz4, bulk->turned, PAGE_SIZE, out, COMPRESSED_MAX);
	plain = lz4_compress(&bulk->lz4, bulk->content, PAGE_SIZE, bulk->packed, *length ? *length : COMPRESSED_MAX);
	lz4_add(&bulk->lz4, *length && !plain ? bulk->turned : bulk->content, PAGE_SIZE);
	if (plain) {
		memcpy(out, bulk->packed, plain);
		*length = plain;
		return (uint16_t)plain;
	}
	if (*length)
		return (uint16_t)(BULK_PAGE_TURNED | *length);
	memcpy(out, bulk->content, PAGE_SIZE);
	*length = PAGE_SIZE;
	return PAGE_SIZE;
}

static void page_next(struct bulk *bulk)
{
	unsigned bit = (unsigned)__builtin_ctzll(bulk->wanted);
	uint16_t head = BULK_PAGE_ZERO;
	size_t length = 0;

	bulk->wanted &= bulk->wanted - 1;
	if (!content_read(bulk, bulk->page + bit))
		head = BULK_PAGE_ABSENT;
	else if (!content_is_zero(bulk))
		head = content_write(bulk, bulk->out + LENGTH, &length);
	memcpy(bulk->out, &head, LENGTH);
	bulk->out_sent = 0;
	bulk->out_length = (uint16_t)(LENGTH + length);
	if (!bulk->wanted)
		bulk->kind = BULK_NOTHING;
}

/* --- requests --- */

static int request_check(struct bulk *bulk, uint32_t count)
{
	switch (bulk->request[AT_KIND]) {
	case BULK_HASH:
		if (bulk->request[AT_SHIFT] > BULK_SHIFT_MAX || count == 0 || count > BULK_COUNT_MAX)
			return -EINVAL;
		break;
	case BULK_PAGES:
		if (bulk->wanted == 0)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	return bulk->page < BULK_PAGE_END ? 0 : -EINVAL;
}

/* False: there is none yet. */
static bool request_take(struct bulk *bulk)
{
	int error;

	bulk->taken = (uint8_t)(bulk->taken + link_read(bulk->link, LINK_BULK, bulk->request + bulk->taken,
							BULK_REQUEST - bulk->taken));
	if (bulk->taken < BULK_REQUEST)
		return false;
	bulk->taken = 0;
	memcpy(&bulk->items, bulk->request + AT_COUNT, sizeof(bulk->items));
	memcpy(&bulk->page, bulk->request + AT_PAGE, sizeof(bulk->page));
	memcpy(&bulk->wanted, bulk->request + AT_MORE, sizeof(bulk->wanted));
	error = request_check(bulk, bulk->items);
	if (!error) {
		bulk->kind = bulk->request[AT_KIND];
		bulk->recorded = 0;
		if (bulk->kind == BULK_HASH)
			item_begin(bulk);
		else
			lz4_begin(&bulk->lz4);
	}
	bulk->out[0] = bulk->request[AT_KIND];
	bulk->out[1] = (uint8_t)-error;
	memcpy(bulk->out + 2, bulk->request + AT_TAG, sizeof(uint16_t));
	bulk->out_sent = 0;
	bulk->out_length = BULK_HEADER;
	return true;
}

/* False: nothing can be done now. */
static bool work(struct bulk *bulk)
{
	if (bulk->out_sent < bulk->out_length) {
		bulk->out_sent =
			(uint16_t)(bulk->out_sent + link_write(bulk->link, LINK_BULK, bulk->out + bulk->out_sent,
							       (size_t)(bulk->out_length - bulk->out_sent)));
		return bulk->out_sent == bulk->out_length;
	}
	switch ((enum bulk_kind)bulk->kind) {
	case BULK_HASH:
		hash_next(bulk);
		return true;
	case BULK_PAGES:
		page_next(bulk);
		return true;
	case BULK_NOTHING:
		break;
	}
	return request_take(bulk);
}

void bulk_poll(struct bulk *bulk)
{
	struct platform *platform = bulk->link->frontend->platform;
	uint64_t start_us = platform->ops->now_us(platform);

	while (work(bulk) && platform->ops->now_us(platform) - start_us < BULK_POLL_US)
		;
}
