/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux's own symbols out of its memory. The tables are what scripts/kallsyms.c writes:
 *
 *	until 6.3:	offsets, relative_base, num_syms, names, markers, token_table, token_index
 *	from 6.4 on:	num_syms, names, markers, token_table, token_index, offsets, relative_base
 *
 * each aligned to a word; 6.2, 6.3 and late 6.1 have a table of sequence numbers behind the markers. A name is a length
 *and that many tokens; token_table has 256 strings, among them every digit as itself, and token_index where each
 *begins. markers has where each 256th name begins. So the digits are looked for, and everything else is found from
 *there and has to fit. What is read is the guest's: nothing in it is believed.
 */
#include "client/croft/symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS	      256u
#define TABLE_MAX     8192u
#define MARKERS_MIN   16u /* no Linux has less than 4096 symbols */
#define MARKERS_MAX   (1u << 14)
#define BACK_MIN      (16u << 10) /* how far before the tokens they are looked for: times 8, twice */
#define BACK_MAX      (1u << 20)
#define GROUP	      256u /* names for each marker */
#define NAMES_MAX     (64u << 20)
#define GROUP_MAX     (GROUP * 132u)
#define NAME_MAX_SIZE 1024u
#define PIECE	      (64u << 10)

/* Where Linux has its image. Documentation/arch/x86/x86_64/mm.rst; on 32 bits above PAGE_OFFSET. */
#define IMAGE_64      0xffffffff80000000ull
#define IMAGE_64_SIZE 0x40000000ull
#define IMAGE_32      0xc0000000ull
#define IMAGE_32_SIZE 0x38000000ull

struct tables {
	struct croft_vm *vm;
	struct croft_error *error;
	symbols_progress_fn *progress;
	void *data;
	uint64_t done, total;
	unsigned word;	    /* 8 or 4 */
	uint64_t low, size; /* of where the image may be */

	uint64_t table, index; /* addresses */
	char tokens[TABLE_MAX + 1];
	uint16_t token[TOKENS];
	uint64_t markers;
	uint32_t marker[MARKERS_MAX];
	uint32_t marker_count;
	uint64_t names;
	uint32_t count;
};

static enum croft_status not_found(struct tables *t, const char *why)
{
	t->error->status = CROFT_ERROR_NOT_FOUND;
	snprintf(t->error->text, sizeof(t->error->text), "no kallsyms: %s", why);
	return CROFT_ERROR_NOT_FOUND;
}

static enum croft_status get(struct tables *t, uint64_t address, void *buffer, size_t length)
{
	enum croft_status status = CROFT_OK;

	for (size_t at = 0; !status && at < length; at += PIECE) {
		size_t piece = length - at < PIECE ? length - at : PIECE;

		status = croft_memory_read(t->vm, croft_current(), address + at, (uint8_t *)buffer + at, piece, NULL,
					   t->error);
		t->done += piece;
		if (!status && t->progress && t->total)
			t->progress(t->data, t->done < t->total ? t->done : t->total, t->total);
	}
	return status;
}

static uint64_t align(const struct tables *t, uint64_t address)
{
	return (address + t->word - 1) & ~(uint64_t)(t->word - 1);
}

/* --- tokens --- */

/* What may be the digits at an address: the tables around them, if they are. NOT_FOUND: something else. */
static enum croft_status take_tokens(struct tables *t, uint64_t digits)
{
	unsigned left = TOKENS - '0';
	size_t length = 0, done = 0;
	enum croft_status status;

	status = croft_memory_read(t->vm, croft_current(), digits, t->tokens, TABLE_MAX, &done, t->error);
	if (!done)
		return status;
	for (; left && length < done; length++)
		left -= t->tokens[length] == 0;
	if (left)
		return CROFT_ERROR_NOT_FOUND;
	t->index = align(t, digits + length);
	status = get(t, t->index, t->token, sizeof(t->token));
	if (status)
		return status == CROFT_ERROR_UNMAPPED ? CROFT_ERROR_NOT_FOUND : status;
	t->table = digits - t->token['0'];
	length += t->token['0'];
	if (t->token[0] != 0 || length > TABLE_MAX)
		return CROFT_ERROR_NOT_FOUND;
	status = get(t, t->table, t->tokens, length);
	if (status)
		return status == CROFT_ERROR_UNMAPPED ? CROFT_ERROR_NOT_FOUND : status;
	t->tokens[length] = 0;
	for (unsigned i = 1; i < TOKENS; i++) {
		if (t->token[i] >= length || t->token[i] != t->token[i - 1] + strlen(t->tokens + t->token[i - 1]) + 1)
			return CROFT_ERROR_NOT_FOUND;
	}
	return CROFT_OK;
}

static enum croft_status find_tokens(struct tables *t)
{
	static const char digits[20] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	uint64_t at = t->low, end = t->low + t->size, found;

	while (at < end) {
		enum croft_status status = croft_memory_search(t->vm, croft_current(), at, end - at, digits,
							       sizeof(digits), &found, t->error);

		if (status == CROFT_ERROR_NOT_FOUND)
			break;
		if (!status)
			status = take_tokens(t, found);
		if (status != CROFT_ERROR_NOT_FOUND)
			return status;
		at = found + 1;
	}
	return not_found(t, "no Linux with these tables is mapped here");
}

/* --- names --- */

/* How many markers there may be at a place: each is a group of names behind the one before. */
static uint32_t count_markers(const uint32_t *marker, size_t room)
{
	uint32_t count = 1;

	if (!room || marker[0])
		return 0;
	while (count < room && count < MARKERS_MAX && marker[count] > marker[count - 1] &&
	       marker[count] - marker[count - 1] >= 2 * GROUP && marker[count] - marker[count - 1] <= GROUP_MAX)
		count++;
	return count;
}

/* The last place before the tokens that looks like markers. */
static enum croft_status find_markers(struct tables *t)
{
	size_t size = BACK_MAX, done = 0;
	uint32_t *words = malloc(size), least = MARKERS_MIN;
	enum croft_status status = CROFT_ERROR_UNMAPPED;
	uint64_t from = t->table & ~(uint64_t)(t->word - 1);

	if (!words)
		return t->error->status = CROFT_ERROR_MEMORY;
	t->marker_count = 0;
	/* first little, as that mostly is enough */
	for (size = BACK_MIN; !t->marker_count && size <= BACK_MAX; size *= 8) {
		status = croft_memory_read(t->vm, croft_current(), from - size, words, size, &done, t->error);
		if (status)
			break;
		for (size_t i = size / sizeof(*words); i-- > 0 && !t->marker_count;) {
			uint32_t count = count_markers(words + i, size / sizeof(*words) - i);

			if (count < least)
				continue;
			t->markers = from - size + i * sizeof(*words);
			t->marker_count = count;
			memcpy(t->marker, words + i, count * sizeof(*words));
		}
	}
	free(words);
	return status || t->marker_count ? status : not_found(t, "the markers are not where they should be");
}

/* The length of one name in tokens, which stand behind it; 0: it does not end within size. */
static size_t name_length(const uint8_t *name, size_t size, size_t *head)
{
	size_t length;

	*head = 1;
	if (!size)
		return 0;
	length = name[0];
	if (length & 0x80) {
		*head = 2;
		if (size < 2)
			return 0;
		length = (length & 0x7f) | (size_t)name[1] << 7;
	}
	return length <= size - *head ? length : 0;
}

/* Do the first names end where the markers say that the next ones begin? */
static bool fits_marker(const struct tables *t, const uint8_t *names, size_t size)
{
	size_t at = 0, head;

	for (unsigned i = 0; i < GROUP; i++) {
		size_t length = name_length(names + at, size - at, &head);

		if (!length)
			return false;
		at += head + length;
	}
	return at == t->marker[1];
}

/* The number of symbols lies before the names, whose end is somewhere in the last group. count stays 0 if it does not.
 */
static enum croft_status find_names(struct tables *t)
{
	uint64_t last = t->markers - t->marker[t->marker_count - 1];
	uint32_t least = (t->marker_count - 1) * GROUP;
	size_t size = GROUP_MAX + 64, done = 0;
	uint64_t from = (last - size) & ~(uint64_t)(t->word - 1);
	uint8_t *room = malloc(2 * size + GROUP_MAX);
	enum croft_status status;

	if (!room)
		return t->error->status = CROFT_ERROR_MEMORY;
	size = (size_t)(last - from) + GROUP_MAX;
	if (from + size > t->markers)
		size = (size_t)(t->markers - from);
	status = croft_memory_read(t->vm, croft_current(), from, room, size, &done, t->error);
	t->count = 0;
	for (size_t at = t->word; !status && !t->count && from + at <= last; at += t->word) {
		uint32_t number;

		memcpy(&number, room + at - t->word, sizeof(number));
		if (number <= least || number > least + GROUP || !fits_marker(t, room + at, size - at))
			continue;
		t->count = number;
		t->names = from + at;
	}
	free(room);
	return status;
}

/* --- addresses --- */

/* The two places where they may be; the one whose base is in the image is right. */
static enum croft_status find_offsets(struct tables *t, uint64_t *offsets, uint64_t *base)
{
	uint64_t size = align(t, t->count * 4ull), before = t->names - 2 * t->word,
		 behind = align(t, t->index + sizeof(t->token));
	enum croft_status status = CROFT_OK;

	for (unsigned i = 0; !status && i < 2; i++) {
		uint64_t where = i ? behind + size : before;

		*base = 0;
		*offsets = i ? behind : before - size;
		status = get(t, where, base, t->word);
		if (!status && *base >= t->low && *base - t->low < t->size && *base % 4096 == 0)
			return CROFT_OK;
	}
	return status ? status : not_found(t, "the addresses are not where they should be");
}

/* One name: its type, then its characters. */
static size_t expand(const struct tables *t, const uint8_t *tokens, size_t count, char *name)
{
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		const char *token = t->tokens + t->token[tokens[i]];
		size_t length = strlen(token);

		if (used + length >= NAME_MAX_SIZE)
			break;
		memcpy(name + used, token, length);
		used += length;
	}
	return used;
}

/* CONFIG_KALLSYMS_ABSOLUTE_PERCPU: what is not negative is an offset in per-CPU data. kernel/kallsyms.c */
static uint64_t address_of(uint32_t offset, uint64_t base, bool has_absolute)
{
	if (!has_absolute)
		return base + offset;
	return (int32_t)offset < 0 ? base - 1 - (uint64_t)(int64_t)(int32_t)offset : offset;
}

static enum croft_status add_all(struct tables *t, struct symbols *symbols, const uint8_t *names, size_t size,
				 const uint32_t *offsets, uint64_t base)
{
	size_t at = 0, head, negative = 0;
	char name[NAME_MAX_SIZE];

	for (uint32_t i = 0; i < t->count; i++)
		negative += (int32_t)offsets[i] < 0;
	for (uint32_t i = 0; i < t->count; i++) {
		size_t length = name_length(names + at, size - at, &head), used;

		if (!length)
			return not_found(t, "the names end too early");
		used = expand(t, names + at + head, length, name);
		at += head + length;
		if (used > 1 && !symbols_add(symbols, address_of(offsets[i], base, negative > t->count / 2), name[0],
					     name + 1, used - 1))
			return t->error->status = CROFT_ERROR_MEMORY;
	}
	return CROFT_OK;
}

static enum croft_status load(struct tables *t, struct symbols *symbols)
{
	enum croft_status status = find_tokens(t);
	uint8_t *names = NULL;
	uint32_t *offsets = NULL;
	uint64_t where, base;
	size_t size;

	if (!status)
		status = find_markers(t);
	/* what is behind the markers may look like some more of them */
	for (unsigned i = 0; !status && !t->count && i < 4 && t->marker_count > MARKERS_MIN; i++, t->marker_count--)
		status = find_names(t);
	if (!status && !t->count)
		return not_found(t, "the names are not where they should be");
	if (!status)
		status = find_offsets(t, &where, &base);
	if (status)
		return status;
	size = (size_t)(t->markers - t->names);
	names = malloc(size);
	offsets = malloc(t->count * sizeof(*offsets));
	t->done = 0;
	t->total = size + t->count * sizeof(*offsets);
	if (!names || !offsets)
		status = t->error->status = CROFT_ERROR_MEMORY;
	if (!status)
		status = get(t, t->names, names, size);
	if (!status)
		status = get(t, where, offsets, t->count * sizeof(*offsets));
	if (!status)
		status = add_all(t, symbols, names, size, offsets, base);
	free(names);
	free(offsets);
	return status;
}

enum croft_status symbols_load_kallsyms(struct symbols *symbols, struct croft_vm *vm, symbols_progress_fn *progress,
					void *data, struct croft_error *error)
{
	struct tables *t = calloc(1, sizeof(*t));
	enum croft_mode mode = CROFT_MODE_LONG64;
	enum croft_status status;

	snprintf(error->text, sizeof(error->text), "no memory");
	if (!t)
		return error->status = CROFT_ERROR_MEMORY;
	t->vm = vm;
	t->error = error;
	t->progress = progress;
	t->data = data;
	symbols_clear(symbols);
	status = croft_cpu_mode(croft_vm_cpu(vm), &mode, error);
	if (!status && mode == CROFT_MODE_REAL)
		status = not_found(t, "the CPU is in real mode");
	t->word = mode >= CROFT_MODE_COMPATIBILITY16 ? 8 : 4;
	t->low = t->word == 8 ? IMAGE_64 : IMAGE_32;
	t->size = t->word == 8 ? IMAGE_64_SIZE : IMAGE_32_SIZE;
	if (!status)
		status = load(t, symbols);
	if (!status && !symbols_done(symbols))
		status = error->status = CROFT_ERROR_MEMORY;
	if (status)
		symbols_clear(symbols);
	else
		symbols_set_source(symbols, "kallsyms");
	free(t);
	return status;
}
