/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's half of docs/protocol.md, "Large contents": requests ahead of their answers, as many as keep the line
 * busy. Answers are as hostile as the wire.
 */
#include <stdlib.h>
#include <string.h>

#include "client/libcroft/dump.h"
#include "client/libcroft/unlz4.h"
#include "core/control/bulk_format.h"

/* Pages that are hashed together; groups begin at multiples of it. */
#define GROUP_SHIFT 6u
#define GROUP	    (1u << GROUP_SHIFT)

#define ASKED_MAX 32u

/* Some thousand pages may have to be hashed before the next byte comes. */
#define PATIENCE_MS 30000u

/* What a page is thought to take before any has come, and how many of them outweigh that. */
#define PAGE_GUESS 2048u
#define FIRST	   64u

/* A request on its way. */
struct ask {
	uint8_t kind, shift;
	uint32_t count;
	uint64_t page, wanted;
};

struct asker {
	struct dump *dump;
	struct ask asked[ASKED_MAX];
	unsigned first, end; /* run freely */
	uint8_t *history;    /* contents: the pages of the answer that is taken, as they were compressed */
	size_t history_length;
	enum croft_status (*answer)(struct asker *asker, const struct ask *ask, struct croft_error *error);
};

static enum croft_status wrong(struct croft_error *error, const char *what)
{
	return error_set(error, CROFT_ERROR_PROTOCOL, "the answer for a dump makes no sense: %s", what);
}

static enum croft_status take(struct dump *dump, void *to, size_t length, struct croft_error *error)
{
	uint8_t *at = to;

	while (length) {
		size_t done = 0;
		enum croft_status status = croft_bulk_read(dump->vm, at, length, PATIENCE_MS, &done, error);

		if (status)
			return status;
		dump->result->bytes_received += done;
		at += done;
		length -= done;
	}
	return CROFT_OK;
}

static enum croft_status take_header(struct dump *dump, const struct ask *ask, struct croft_error *error)
{
	uint8_t header[BULK_HEADER];
	enum croft_status status = take(dump, header, sizeof(header), error);

	if (status)
		return status;
	if (header[0] != ask->kind || header[2] != (uint8_t)ask->page || header[3] != (uint8_t)(ask->page >> 8))
		return wrong(error, "it is for another request");
	if (header[1])
		return error_set(error, CROFT_ERROR_REFUSED, "pages from %llx on are refused: error %u",
				 (unsigned long long)ask->page, header[1]);
	return CROFT_OK;
}

/* Takes answers until at most so many are still to come. */
static enum croft_status take_answers(struct asker *asker, unsigned left, struct croft_error *error)
{
	while (asker->end - asker->first > left) {
		const struct ask *ask = &asker->asked[asker->first++ % ASKED_MAX];
		enum croft_status status = take_header(asker->dump, ask, error);

		if (!status)
			status = asker->answer(asker, ask, error);
		if (!status)
			status = dump_progress(asker->dump, error);
		if (status)
			return status;
	}
	return CROFT_OK;
}

/* The tag is the page's number, as far as it fits. */
static enum croft_status ask(struct asker *asker, const struct ask *what, struct croft_error *error)
{
	uint8_t request[BULK_REQUEST] = {what->kind, what->shift, (uint8_t)what->page, (uint8_t)(what->page >> 8)};
	enum croft_status status = take_answers(asker, ASKED_MAX - 1, error);

	if (status)
		return status;
	memcpy(request + 4, &what->count, sizeof(what->count));
	memcpy(request + 8, &what->page, sizeof(what->page));
	if (what->kind == BULK_HASH)
		memcpy(request + 16, asker->dump->store.key, SIPHASH_BYTES);
	else
		memcpy(request + 16, &what->wanted, sizeof(what->wanted));
	status = croft_bulk_write(asker->dump->vm, request, sizeof(request), error);
	if (status)
		return status;
	asker->dump->result->bytes_sent += sizeof(request);
	asker->asked[asker->end++ % ASKED_MAX] = *what;
	return CROFT_OK;
}

/* --- hashes --- */

/* The hashes of up to 64 items; what is all zero has hash_zero. */
static enum croft_status take_record(struct dump *dump, struct page_hash *hash, uint32_t count,
				     struct croft_error *error)
{
	uint64_t bitmap;
	enum croft_status status = take(dump, &bitmap, sizeof(bitmap), error);

	if (!status && count < BULK_RECORD && bitmap >> count)
		status = wrong(error, "more hashes than items");
	for (uint32_t i = 0; i < count && !status; i++) {
		hash[i] = hash_zero;
		if (bitmap >> i & 1)
			status = take(dump, &hash[i], sizeof(hash[i]), error);
	}
	return status;
}

static void page_is(struct dump *dump, uint64_t index, const struct page_hash *hash)
{
	if (dump->state[index] != PAGE_UNKNOWN && !hash_is(&dump->hash[index], hash))
		dump->changed++;
	dump->hash[index] = *hash;
	dump->state[index] = PAGE_KNOWN;
	dump->progress.pages_done++;
}

static enum croft_status answer_pages(struct asker *asker, const struct ask *ask, struct croft_error *error)
{
	struct page_hash hash[BULK_RECORD];
	enum croft_status status = take_record(asker->dump, hash, ask->count, error);
	uint64_t index = dump_index(asker->dump, ask->page);

	for (uint32_t i = 0; i < ask->count && !status; i++)
		page_is(asker->dump, index + i, &hash[i]);
	return status;
}

/* Is a group what the last map says? Else its pages stay to be asked for. */
static void group_is(struct dump *dump, uint64_t index, const struct page_hash *hash)
{
	struct page_hash expected;
	struct siphash sip;

	if (!hash_is(hash, &hash_zero)) {
		siphash_init(&sip, dump->store.key);
		for (unsigned i = 0; i < GROUP; i++) {
			if (dump->state[index + i] == PAGE_UNKNOWN)
				return;
			siphash_add(&sip, &dump->hash[index + i], sizeof(dump->hash[index + i]));
		}
		siphash_end(&sip, expected.bytes);
		if (!hash_is(hash, &expected))
			return;
	}
	for (unsigned i = 0; i < GROUP; i++)
		page_is(dump, index + i, hash_is(hash, &hash_zero) ? &hash_zero : &dump->hash[index + i]);
}

static enum croft_status answer_groups(struct asker *asker, const struct ask *ask, struct croft_error *error)
{
	struct page_hash hash[BULK_RECORD];
	enum croft_status status = take_record(asker->dump, hash, ask->count, error);
	uint64_t index = dump_index(asker->dump, ask->page);

	for (uint32_t i = 0; i < ask->count && !status; i++)
		group_is(asker->dump, index + i * GROUP, &hash[i]);
	return status;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The whole groups of all runs. */
static enum croft_status ask_groups(struct dump *dump, struct croft_error *error)
{
	struct asker asker = {.dump = dump, .answer = answer_groups};
	enum croft_status status = CROFT_OK;

	for (size_t i = 0; i < dump->run_count && !status; i++) {
		uint64_t end = (dump->run[i].first + dump->run[i].count) / GROUP;
		uint64_t at = (dump->run[i].first + GROUP - 1) / GROUP;

		for (uint64_t count; at < end && !status; at += count) {
			count = min(end - at, BULK_RECORD);
			status = ask(&asker,
				     &(struct ask){.kind = BULK_HASH,
						   .shift = GROUP_SHIFT,
						   .count = (uint32_t)count,
						   .page = at * GROUP},
				     error);
		}
	}
	return status ? status : take_answers(&asker, 0, error);
}

enum croft_status dump_hashes(struct dump *dump, struct croft_error *error)
{
	struct asker asker = {.dump = dump, .answer = answer_pages};
	enum croft_status status;

	for (uint64_t i = 0; i < dump->pages; i++) {
		if (dump->state[i] == PAGE_KNOWN)
			dump->state[i] = PAGE_OLD;
	}
	status = ask_groups(dump, error);
	for (size_t i = 0; i < dump->run_count && !status; i++) {
		const struct page_run *run = &dump->run[i];

		for (uint64_t at = 0, count; at < run->count && !status; at += count) {
			count = 1;
			if (dump->state[run->index + at] == PAGE_KNOWN)
				continue;
			while (count < min(run->count - at, BULK_RECORD) &&
			       dump->state[run->index + at + count] != PAGE_KNOWN)
				count++;
			status =
				ask(&asker,
				    &(struct ask){.kind = BULK_HASH, .count = (uint32_t)count, .page = run->first + at},
				    error);
		}
	}
	return status ? status : take_answers(&asker, 0, error);
}

/* --- contents --- */

/* A page's content; *content: where it is, NULL: it is zero or absent. turned: room for one that was turned. */
static enum croft_status take_content(struct asker *asker, uint8_t turned[DUMP_PAGE], const uint8_t **content,
				      struct page_hash *hash, struct croft_error *error)
{
	uint8_t packed[DUMP_PAGE], *page = asker->history + asker->history_length;
	struct dump *dump = asker->dump;
	uint16_t head, length;
	enum croft_status status = take(dump, &head, sizeof(head), error);

	*content = NULL;
	if (status)
		return status;
	*hash = head == BULK_PAGE_ABSENT ? hash_absent : hash_zero;
	if (head == BULK_PAGE_ABSENT || head == BULK_PAGE_ZERO)
		return CROFT_OK;
	length = (uint16_t)(head & ~BULK_PAGE_TURNED);
	if (length == 0 || length > DUMP_PAGE || head == (BULK_PAGE_TURNED | DUMP_PAGE))
		return wrong(error, "a page's length");
	status = take(dump, packed, length, error);
	if (status)
		return status;
	if (length == DUMP_PAGE)
		memcpy(page, packed, DUMP_PAGE);
	else if (!unlz4(packed, length, page, DUMP_PAGE, asker->history_length))
		return wrong(error, "a page that is no LZ4 block");
	asker->history_length += DUMP_PAGE;
	*content = page;
	if (head & BULK_PAGE_TURNED) {
		for (size_t i = 0; i < DUMP_PAGE; i++)
			turned[i] = page[i % BULK_TURN * (DUMP_PAGE / BULK_TURN) + i / BULK_TURN];
		*content = turned;
	}
	store_hash(&dump->store, *content, hash);
	return CROFT_OK;
}

static enum croft_status answer_contents(struct asker *asker, const struct ask *ask, struct croft_error *error)
{
	struct dump *dump = asker->dump;
	uint64_t index = dump_index(dump, ask->page);
	enum croft_status status = CROFT_OK;

	asker->history_length = 0;
	for (uint64_t wanted = ask->wanted; wanted && !status; wanted &= wanted - 1) {
		uint64_t at = index + (unsigned)__builtin_ctzll(wanted);
		uint64_t before = dump->result->bytes_received;
		uint8_t turned[DUMP_PAGE];
		const uint8_t *content;
		struct page_hash hash;

		status = take_content(asker, turned, &content, &hash, error);
		if (!status && content)
			status = store_add(&dump->store, &hash, content, error);
		if (status)
			break;
		/* it may have changed since it was announced */
		if (!hash_is(&hash, &dump->hash[at]))
			dump->changed++;
		dump->hash[at] = hash;
		dump->result->sent++;
		dump->progress.pages_done++;
		dump->content_bytes += dump->result->bytes_received - before;
		dump->progress.bytes_left = (dump->progress.pages_total - dump->progress.pages_done) *
					    ((dump->content_bytes + FIRST * PAGE_GUESS) / (dump->result->sent + FIRST));
	}
	return status;
}

static bool is_missing(const struct dump *dump, uint64_t index)
{
	const struct page_hash *hash = &dump->hash[index];

	return !hash_is(hash, &hash_zero) && !hash_is(hash, &hash_absent) && !store_has(&dump->store, hash);
}

/* Which of up to 64 pages of a run are missing. Each content once: announced (may be NULL) has what was asked for. */
static uint64_t missing(const struct dump *dump, uint64_t index, uint64_t count, struct store *announced)
{
	uint64_t wanted = 0;

	for (uint64_t i = 0; i < count; i++) {
		const struct page_hash *hash = &dump->hash[index + i];

		if (is_missing(dump, index + i) && (!announced || store_announce(announced, hash)))
			wanted |= 1ull << i;
	}
	return wanted;
}

static enum croft_status ask_contents(struct dump *dump, struct store *announced, struct croft_error *error)
{
	struct asker asker = {.dump = dump, .answer = answer_contents};
	enum croft_status status = CROFT_OK;

	asker.history = malloc(BULK_RECORD * DUMP_PAGE);
	if (!asker.history)
		return error_memory(error);
	for (size_t i = 0; i < dump->run_count && !status; i++) {
		const struct page_run *run = &dump->run[i];

		for (uint64_t at = 0; at < run->count && !status; at += BULK_RECORD) {
			uint64_t wanted = missing(dump, run->index + at, min(run->count - at, BULK_RECORD), announced);

			if (wanted)
				status = ask(
					&asker,
					&(struct ask){.kind = BULK_PAGES, .page = run->first + at, .wanted = wanted},
					error);
		}
	}
	status = status ? status : take_answers(&asker, 0, error);
	free(asker.history);
	return status;
}

static enum croft_status contents(struct dump *dump, bool each, struct croft_error *error)
{
	struct store announced;
	enum croft_status status;
	uint64_t count = 0;

	if (!store_table(&announced))
		return error_memory(error);
	for (uint64_t i = 0; i < dump->pages; i++)
		count += (uint64_t)__builtin_popcountll(missing(dump, i, 1, each ? NULL : &announced));
	store_close(&announced);
	dump->progress.pages_total = dump->progress.pages_done + count;
	dump->progress.bytes_left = count * PAGE_GUESS;
	status = dump_progress(dump, error);
	if (status || !count)
		return status;
	if (!store_table(&announced))
		return error_memory(error);
	status = ask_contents(dump, each ? NULL : &announced, error);
	store_close(&announced);
	return status;
}

enum croft_status dump_contents(struct dump *dump, struct croft_error *error)
{
	enum croft_status status = contents(dump, false, error);

	/* one that was to stand for others has changed meanwhile */
	return status ? status : contents(dump, true, error);
}
