/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes and reads the records that setup leaves for the vmm. The reader believes nothing it has not checked, although
 * the writer is ours: a wild write between the two must end in a message. Must not know what the records say.
 */
#include <undercroft/handoff.h>

#include <string.h>

#include <undercroft/errno.h>

#define RECORD_ALIGN   8u
#define RECORD_VERSION 1

/*
 * Layout: header, records, each followed by padding to RECORD_ALIGN, and one record of type HANDOFF_END that ends where
 * header.size says.
 */
#define SIZE_MIN (sizeof(struct handoff) + sizeof(struct handoff_record))

static bool is_aligned(const void *p)
{
	return (uintptr_t)p % RECORD_ALIGN == 0;
}

/*
 * The record at an offset if its head and content lie inside size bytes, else NULL. *next is the offset behind it and
 * its padding, at most RECORD_ALIGN behind the end.
 */
static const struct handoff_record *record_at(const void *buffer, size_t size, size_t offset, size_t *next)
{
	const struct handoff_record *record = (const void *)((const char *)buffer + offset);
	size_t room;

	if (offset > size || size - offset < sizeof(*record))
		return NULL;
	room = size - offset - sizeof(*record);
	if (record->size > room)
		return NULL;
	*next = offset + sizeof(*record) + (size_t)ALIGN_UP(record->size, RECORD_ALIGN);
	return record;
}

int handoff_begin(void *buffer, size_t size)
{
	struct handoff *header = buffer;

	if (!is_aligned(buffer))
		return -EINVAL;
	if (size < SIZE_MIN)
		return -ENOSPC;
	memset(buffer, 0, SIZE_MIN);
	header->magic = HANDOFF_MAGIC;
	header->version = HANDOFF_VERSION;
	header->size = SIZE_MIN;
	return 0;
}

int handoff_add(void *buffer, size_t size, uint32_t type, const void *content, size_t length)
{
	struct handoff *header = buffer;
	struct handoff_record *record;
	size_t end, padded, room;

	if (!is_aligned(buffer) || type == HANDOFF_END)
		return -EINVAL;
	if (size > UINT32_MAX)
		size = UINT32_MAX;
	if (header->size < SIZE_MIN || header->size > size || header->size % RECORD_ALIGN)
		return -EINVAL;
	room = size - header->size;
	if (length > room || room - length < sizeof(*record) + RECORD_ALIGN)
		return -ENOSPC;

	/* The new record takes the place of the end record, which moves behind it. */
	padded = (size_t)ALIGN_UP(length, RECORD_ALIGN);
	end = header->size - sizeof(*record);
	record = (void *)((char *)buffer + end);
	*record = (struct handoff_record){.type = type, .version = RECORD_VERSION, .size = length};
	memset((char *)(record + 1) + length, 0, padded - length + sizeof(*record));
	if (length)
		memcpy(record + 1, content, length);
	header->size += (uint32_t)(padded + sizeof(*record));
	return 0;
}

int handoff_check(const void *buffer, size_t size)
{
	const struct handoff *header = buffer;
	size_t offset = sizeof(*header);

	if (!is_aligned(buffer) || size < SIZE_MIN || header->magic != HANDOFF_MAGIC ||
	    header->version != HANDOFF_VERSION || header->size < SIZE_MIN || header->size > size)
		return -EINVAL;
	for (;;) {
		const struct handoff_record *record = record_at(buffer, header->size, offset, &offset);

		if (!record)
			return -EINVAL;
		if (record->type == HANDOFF_END)
			return record->size == 0 && offset == header->size ? 0 : -EINVAL;
		if (record->version != RECORD_VERSION)
			return -EINVAL;
	}
}

const void *handoff_find(const void *buffer, uint32_t type, const void *after, size_t *length)
{
	const struct handoff *header = buffer;
	size_t offset = sizeof(*header);
	bool passed = after == NULL;

	/* Walks from the start each time, so that a cursor from elsewhere finds nothing instead of being followed. */
	for (;;) {
		const struct handoff_record *record = record_at(buffer, header->size, offset, &offset);

		if (!record || record->type == HANDOFF_END)
			return NULL;
		if (passed && record->type == type) {
			*length = (size_t)record->size;
			return record + 1;
		}
		if (record + 1 == after)
			passed = true;
	}
}
