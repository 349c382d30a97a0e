/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer target: requests on the channel for large contents. Input: how many bytes the link takes at a time, how
 * many looks at it there are before the client goes, then what it sends. Answers have to be what the protocol says, and
 * nothing of hidden memory may be among them.
 */
#include <stdlib.h>
#include <string.h>

#include "client/libcroft/unlz4.h"
#include "core/control/bulk.h"
#include "core/debug/debug.h"
#include "tests/fakes/fake_link.h"
#include "tests/unit/spine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HIDDEN_FIRST (SPINE_HIDDEN / PAGE_SIZE)
#define HIDDEN_LAST  (HIDDEN_FIRST + MIB(1) / PAGE_SIZE - 1)

struct reader {
	const uint8_t *at, *end;
};

/* False: the client went before that much was sent. */
static bool take(struct reader *r, void *to, size_t length)
{
	if ((size_t)(r->end - r->at) < length)
		return false;
	if (to)
		memcpy(to, r->at, length);
	r->at += length;
	return true;
}

static void check(bool right)
{
	if (!right)
		abort();
}

static bool check_hashes(struct reader *r, uint32_t count)
{
	for (uint32_t done = 0; done < count; done += BULK_RECORD) {
		uint64_t bitmap;

		if (!take(r, &bitmap, sizeof(bitmap)))
			return false;
		check(count - done >= BULK_RECORD || !(bitmap >> (count - done)));
		if (!take(r, NULL, SIPHASH_BYTES * (size_t)__builtin_popcountll(bitmap)))
			return false;
	}
	return true;
}

/* Is it the page, that has no hidden memory? */
static void check_content(struct spine *spine, uint64_t page, const uint8_t *block, bool is_turned)
{
	const uint8_t *memory = fake_memory_at(&spine->fake.platform, page * PAGE_SIZE, PAGE_SIZE);
	uint8_t turned[PAGE_SIZE];

	if (is_turned)
		bulk_turn(memory, turned);
	check(memcmp(block, is_turned ? turned : memory, PAGE_SIZE) == 0);
}

static bool check_pages(struct spine *spine, struct reader *r, uint64_t page, uint64_t wanted)
{
	static uint8_t blocks[BULK_RECORD * PAGE_SIZE];
	size_t history = 0;

	for (; wanted; wanted &= wanted - 1) {
		uint64_t number = page + (unsigned)__builtin_ctzll(wanted);
		uint16_t head, length;

		if (!take(r, &head, sizeof(head)))
			return false;
		length = head & (uint16_t)~BULK_PAGE_TURNED;
		if (number >= HIDDEN_FIRST && number <= HIDDEN_LAST)
			check(head == BULK_PAGE_ABSENT);
		if (head == BULK_PAGE_ZERO || head == BULK_PAGE_ABSENT)
			continue;
		check(length > 0 && length <= PAGE_SIZE && head != (BULK_PAGE_TURNED | PAGE_SIZE));
		if (!take(r, NULL, length))
			return false;
		if (length == PAGE_SIZE)
			memcpy(blocks + history, r->at - length, PAGE_SIZE);
		else
			check(unlz4(r->at - length, length, blocks + history, PAGE_SIZE, history));
		check_content(spine, number, blocks + history, head & BULK_PAGE_TURNED);
		history += PAGE_SIZE;
	}
	return true;
}

static void check_answers(struct spine *spine, const struct fake_link *link)
{
	struct reader r = {link->out, link->out + link->out_count};

	for (size_t at = 0; at + BULK_REQUEST <= link->in_count; at += BULK_REQUEST) {
		const uint8_t *request = link->in + at;
		uint8_t header[BULK_HEADER];
		uint64_t page, wanted;
		uint32_t count;
		bool more = true;

		if (!take(&r, header, sizeof(header)))
			return;
		check(header[0] == request[0] && memcmp(header + 2, request + 2, 2) == 0);
		memcpy(&count, request + 4, sizeof(count));
		memcpy(&page, request + 8, sizeof(page));
		memcpy(&wanted, request + 16, sizeof(wanted));
		if (header[1] == 0 && header[0] == BULK_HASH)
			more = check_hashes(&r, count);
		else if (header[1] == 0 && header[0] == BULK_PAGES)
			more = check_pages(spine, &r, page, wanted);
		else
			check(header[1] != 0);
		if (!more)
			return;
	}
	check(r.at == r.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct spine spine;
	static struct debug debug;
	static struct fake_link link;
	static struct bulk bulk;
	unsigned looks;

	if (size < 2 || size > 2 + 16 * BULK_REQUEST)
		return 0;
	spine_init(&spine);
	debug_init(&spine.fake.vcpu.vcpu, &debug);
	fake_link_init(&link, &spine.fake.platform);
	bulk_init(&bulk, &spine.fake.vcpu.vcpu, &link.link);
	for (unsigned i = 0; i < 16; i++)
		memset(fake_memory_at(&spine.fake.platform, i * i * PAGE_SIZE, i * 256), (int)i * 17, i * 256);
	link.room = 1 + data[0] * 20u;
	looks = 1 + data[1] / 4u;
	fake_link_say(&link, data + 2, size - 2);
	while (looks-- && (link.in_read < link.in_count || bulk_is_busy(&bulk)))
		bulk_poll(&bulk);
	check_answers(&spine, &link);
	bulk_reset(&bulk);
	check(!bulk_is_busy(&bulk));
	spine_free(&spine);
	return 0;
}
