/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of symbols, sorted twice: by address and by name.
 */
#include "client/croft/symbols.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Nothing is as long as that: what is farther behind a symbol is not in it. */
#define FAR 0x100000u

/* A kernel of the upper half has its addresses there; small ones are offsets in per-CPU data. */
#define UPPER_HALF 0xffff800000000000ull

/* Where SYSCALL leads in Linux: arch/x86/kernel/cpu/common.c, syscall_init(). */
#define SYSCALL_ENTRY "entry_SYSCALL_64"
#define KASLR_ALIGN   0x200000u

struct symbol {
	uint64_t address;
	uint32_t name; /* in names */
	char type;
};

struct symbols {
	struct symbol *by_address;
	uint32_t *by_name;
	char *names, *source;
	size_t count, room, names_used, names_room;
	size_t first; /* by address: those before it are offsets */
	uint64_t slide;
};

struct symbols *symbols_new(void)
{
	return calloc(1, sizeof(struct symbols));
}

void symbols_clear(struct symbols *s)
{
	free(s->by_address);
	free(s->by_name);
	free(s->names);
	free(s->source);
	memset(s, 0, sizeof(*s));
}

void symbols_free(struct symbols *s)
{
	if (s)
		symbols_clear(s);
	free(s);
}

static bool make_room(void **array, size_t *room, size_t needed, size_t size)
{
	size_t more = *room ? *room : 4096;
	void *larger;

	if (needed <= *room)
		return true;
	while (more < needed)
		more *= 2;
	larger = realloc(*array, more * size);
	if (!larger)
		return false;
	*array = larger;
	*room = more;
	return true;
}

bool symbols_add(struct symbols *s, uint64_t address, char type, const char *name, size_t length)
{
	void *names = s->names, *table = s->by_address;
	bool fits = s->names_used + length < UINT32_MAX &&
		    make_room(&names, &s->names_room, s->names_used + length + 1, 1) &&
		    make_room(&table, &s->room, s->count + 1, sizeof(*s->by_address));

	s->names = names;
	s->by_address = table;
	if (!fits)
		return false;
	s->by_address[s->count++] = (struct symbol){address, (uint32_t)s->names_used, type};
	memcpy(s->names + s->names_used, name, length);
	s->names[s->names_used + length] = 0;
	s->names_used += length + 1;
	return true;
}

/* Of several at one address the last one is shown: a global one, with few underscores in front. */
static int rank(const struct symbols *s, const struct symbol *a)
{
	return (isupper((unsigned char)a->type) ? 2 : 0) + (s->names[a->name] != '_');
}

static int compare_addresses(const void *left, const void *right, void *data)
{
	const struct symbol *a = left, *b = right;
	const struct symbols *s = data;
	int difference;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	difference = rank(s, a) - rank(s, b);
	return difference ? difference : strcmp(s->names + b->name, s->names + a->name);
}

static int compare_names(const void *left, const void *right, void *data)
{
	const struct symbols *s = data;
	const struct symbol *a = &s->by_address[*(const uint32_t *)left], *b = &s->by_address[*(const uint32_t *)right];
	int difference = strcmp(s->names + a->name, s->names + b->name);

	return difference ? difference : (a->address > b->address) - (a->address < b->address);
}

bool symbols_done(struct symbols *s)
{
	if (!s->count)
		return true;
	qsort_r(s->by_address, s->count, sizeof(*s->by_address), compare_addresses, s);
	free(s->by_name);
	s->by_name = malloc(s->count * sizeof(*s->by_name));
	if (!s->by_name)
		return false;
	for (size_t i = 0; i < s->count; i++)
		s->by_name[i] = (uint32_t)i;
	qsort_r(s->by_name, s->count, sizeof(*s->by_name), compare_names, s);
	s->first = 0;
	if (s->by_address[s->count - 1].address >= UPPER_HALF) {
		while (s->by_address[s->first].address < UPPER_HALF)
			s->first++;
	}
	return true;
}

size_t symbols_count(const struct symbols *s)
{
	return s->count;
}

const char *symbols_source(const struct symbols *s)
{
	return s->source;
}

void symbols_set_source(struct symbols *s, const char *source)
{
	free(s->source);
	s->source = strdup(source);
}

uint64_t symbols_slide(const struct symbols *s)
{
	return s->slide;
}

static uint64_t address_of(const struct symbols *s, size_t index)
{
	return s->by_address[index].address + (index >= s->first ? s->slide : 0);
}

/* The first one, by name, that is not before name in its first length characters. */
static size_t lower_bound(const struct symbols *s, const char *name, size_t length)
{
	size_t low = 0, high = s->by_name ? s->count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strncmp(s->names + s->by_address[s->by_name[middle]].name, name, length) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool symbols_find(const struct symbols *s, const char *name, uint64_t *address)
{
	size_t at = lower_bound(s, name, SIZE_MAX);

	if (!s->by_name || at == s->count || strcmp(s->names + s->by_address[s->by_name[at]].name, name) != 0)
		return false;
	*address = address_of(s, s->by_name[at]);
	return true;
}

/* By address: the last one at or below; count if there is none. */
static size_t find_address(const struct symbols *s, uint64_t address)
{
	size_t low = s->first, high = s->by_name ? s->count : s->first;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (address_of(s, middle) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > s->first ? low - 1 : s->count;
}

bool symbols_at(const struct symbols *s, uint64_t address, const char **name, uint64_t *offset)
{
	size_t at = find_address(s, address);

	if (at == s->count || address - address_of(s, at) >= FAR)
		return false;
	*name = s->names + s->by_address[at].name;
	*offset = address - address_of(s, at);
	return true;
}

bool symbols_is_code(const struct symbols *s, uint64_t address)
{
	size_t at = find_address(s, address);

	return at != s->count && address - address_of(s, at) < FAR && strchr("TtWw", s->by_address[at].type);
}

const char *symbols_completion(const struct symbols *s, const char *prefix, size_t number)
{
	size_t length = strlen(prefix), at = lower_bound(s, prefix, length);
	const char *name;

	if (!s->by_name || number >= s->count - at)
		return NULL;
	name = s->names + s->by_address[s->by_name[at + number]].name;
	return strncmp(name, prefix, length) == 0 ? name : NULL;
}

void symbols_find_slide(struct symbols *s, struct croft_vm *vm)
{
	uint64_t entry, there, slide;

	if (!s->source || strcmp(s->source, "kallsyms") == 0)
		return;
	s->slide = 0;
	if (!symbols_find(s, SYSCALL_ENTRY, &entry) || croft_cpu_read(croft_vm_cpu(vm), "lstar", &there, NULL))
		return;
	slide = there - entry;
	if (there >= UPPER_HALF && slide % KASLR_ALIGN == 0)
		s->slide = slide;
}
