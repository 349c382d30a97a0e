/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking for bytes: the other end does it where it can, in pieces that are answered in time.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/log.h>
#include <undercroft/types.h>

#include "client/libcroft/walk.h"

#define PATTERN_MAX 1024u

/* What is looked through for one question, and for one that has to be brought here. */
#define PIECE_THERE (1ull << 20)
#define PIECE_HERE  (1ull << 16)

struct search {
	struct croft_vm *vm;
	struct croft_space space;
	const uint8_t *pattern;
	size_t size;
	uint8_t *room; /* PIECE_HERE bytes, if the other end does not search */
	struct walk walk;
	struct croft_range *ranges; /* guest-physical: what there is; NULL: not known */
	size_t range_count;
};

/* "0", or "1,ADDRESS" */
static enum croft_status take_found(struct search *s, uint64_t *found, struct croft_error *error)
{
	enum croft_status status = answer_content(s->vm, "search", error);
	const char *at = s->vm->answer.content;

	if (status)
		return status;
	if (at[0] == '0' && !at[1])
		return CROFT_ERROR_NOT_FOUND;
	if (at[0] != '1' || at[1] != ',')
		return error_set(error, CROFT_ERROR_PROTOCOL, "search: not an answer to that: %.40s", at);
	at += 2;
	return hex_take(&at, found) ? CROFT_OK
				    : error_set(error, CROFT_ERROR_PROTOCOL, "search: not an address: %.40s", at);
}

static enum croft_status look_there(struct search *s, uint64_t at, uint64_t length, uint64_t *found,
				    struct croft_error *error)
{
	char text[QUESTION_MAX + PATTERN_MAX];
	size_t used = format_string(text, QUESTION_MAX, "qSearch:memory:%llx;%llx;", (unsigned long long)at,
				    (unsigned long long)length);
	enum croft_status status = memory_use_space(s->vm, s->space, error);

	memcpy(text + used, s->pattern, s->size);
	if (!status)
		status = session_ask(s->vm, text, used + s->size, error);
	return status ? status : take_found(s, found, error);
}

static enum croft_status look_here(struct search *s, uint64_t at, uint64_t length, uint64_t *found,
				   struct croft_error *error)
{
	enum croft_status status = croft_memory_read(s->vm, s->space, at, s->room, (size_t)length, NULL, error);
	const uint8_t *hit;

	if (status)
		return status;
	hit = memmem(s->room, (size_t)length, s->pattern, s->size);
	if (!hit)
		return CROFT_ERROR_NOT_FOUND;
	*found = at + (uint64_t)(hit - s->room);
	return CROFT_OK;
}

/* One piece, wherever that is done. A first one that is not understood there is looked through here. */
static enum croft_status look(struct search *s, uint64_t at, uint64_t length, uint64_t *found,
			      struct croft_error *error)
{
	enum croft_status status;

	if (length < s->size)
		return CROFT_ERROR_NOT_FOUND;
	if (!s->room) {
		status = look_there(s, at, length, found, error);
		if (status != CROFT_ERROR_UNSUPPORTED)
			return status;
		s->room = malloc(PIECE_HERE);
		if (!s->room)
			return error_memory(error);
	}
	for (uint64_t done = 0;;) {
		uint64_t part = length - done < PIECE_HERE ? length - done : PIECE_HERE;

		status = look_here(s, at + done, part, found, error);
		if (status != CROFT_ERROR_NOT_FOUND || done + part == length)
			return status;
		done += part - (s->size - 1);
	}
}

/* How long memory goes on from an address, up to a piece, or how long there is none. Both at most length. */
static enum croft_status extent(struct search *s, uint64_t at, uint64_t length, bool *there, uint64_t *size,
				struct croft_error *error)
{
	struct croft_mapping mapping;
	enum croft_status status = CROFT_OK;
	uint64_t hole = 0, used = 0;

	*there = true;
	*size = length < PIECE_THERE ? length : PIECE_THERE;
	if (s->space.kind == CROFT_SPACE_PHYSICAL) {
		if (!s->ranges)
			return CROFT_OK;
		*there = false;
		*size = length;
		for (size_t i = 0; i < s->range_count; i++) {
			const struct croft_range *r = &s->ranges[i];

			if (at >= r->start && at - r->start < r->length) {
				*there = true;
				used = r->length - (at - r->start);
				break;
			}
			if (r->start > at && r->start - at < *size)
				*size = r->start - at;
		}
		if (*there && used > PIECE_THERE)
			used = PIECE_THERE;
		if (*there)
			*size = used < length ? used : length;
		return CROFT_OK;
	}
	while (used < *size) {
		status = walk_find(&s->walk, at + used, &mapping, &hole, error);
		if (status)
			break;
		used += mapping.page_size - ((at + used) & (mapping.page_size - 1));
	}
	if (status && status != CROFT_ERROR_UNMAPPED)
		return status;
	*there = used != 0;
	if (!used)
		*size = hole && hole < length ? hole : length;
	else if (used < *size)
		*size = used;
	return CROFT_OK;
}

/* Memory that is not all readable: half of it, and half of that, down to pages. */
static enum croft_status look_in_halves(struct search *s, uint64_t at, uint64_t length, uint64_t *found,
					struct croft_error *error)
{
	uint64_t half = ((at + length / 2) & PAGE_MASK) - at;
	enum croft_status status = look(s, at, length, found, error);

	if (status != CROFT_ERROR_UNMAPPED && status != CROFT_ERROR_DENIED)
		return status;
	if (half == 0 || half >= length || length <= PAGE_SIZE)
		return CROFT_ERROR_NOT_FOUND;
	status = look_in_halves(s, at, half, found, error);
	if (status == CROFT_ERROR_NOT_FOUND) {
		/* what lies across the middle is the second half's */
		uint64_t before = half < s->size - 1 ? half : s->size - 1;

		status = look(s, at + half - before, 2 * before, found, error);
		if (status == CROFT_OK ||
		    (status != CROFT_ERROR_NOT_FOUND && status != CROFT_ERROR_UNMAPPED && status != CROFT_ERROR_DENIED))
			return status;
		status = look_in_halves(s, at + half, length - half, found, error);
	}
	return status;
}

static enum croft_status search(struct search *s, uint64_t start, uint64_t length, uint64_t *found,
				struct croft_error *error)
{
	uint64_t at = start, left = length;
	enum croft_status status;

	while (left) {
		uint64_t size, piece;
		bool there;

		status = extent(s, at, left, &there, &size, error);
		if (status)
			return status;
		if (there) {
			status = look_in_halves(s, at, size, found, error);
			if (status != CROFT_ERROR_NOT_FOUND)
				return status;
		}
		/* it may begin at the end of what was looked through */
		piece = there && size < left && size >= s->size ? size - (s->size - 1) : size;
		at += piece;
		left -= piece;
	}
	return error_set(error, CROFT_ERROR_NOT_FOUND, "not found");
}

enum croft_status croft_memory_search(struct croft_vm *vm, struct croft_space space, uint64_t start, uint64_t length,
				      const void *pattern, size_t size, uint64_t *found, struct croft_error *error)
{
	enum croft_status status = vm_check_stopped(vm, error);
	struct search *s;

	if (!status && (!size || size > PATTERN_MAX || packet_size(pattern, size) + QUESTION_MAX > vm->packet_max))
		status = error_set(error, CROFT_ERROR_ARGUMENT, "a pattern of 1 to %u bytes is needed", PATTERN_MAX);
	if (!status)
		status = cpu_flush_all(vm, error);
	if (status)
		return status;
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_memory(error);
	s->vm = vm;
	s->space = space;
	s->pattern = pattern;
	s->size = size;
	if (length && start + length - 1 < start)
		length = 0 - start;
	if (space.kind == CROFT_SPACE_PHYSICAL) {
		status = croft_memory_map(vm, &s->ranges, &s->range_count, error);
		if (status == CROFT_ERROR_UNSUPPORTED)
			status = CROFT_OK;
	} else {
		status = walk_begin(&s->walk, vm, space, error);
	}
	if (!status)
		status = search(s, start, length, found, error);
	croft_free(s->ranges);
	free(s->room);
	free(s);
	return status ? status : error_none(error);
}
