/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a line's last word can become.
 */
#include "client/croft/complete.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "client/croft/verb.h"

#define FOUND_MAX 2000u
#define TEXT_MAX  1024u

static void add(struct completions *found, const char *word, size_t length, const char *prefix)
{
	if (strncmp(word, prefix, strlen(prefix)) != 0 || length < strlen(prefix) || found->count == FOUND_MAX)
		return;
	if (found->count == found->room) {
		size_t room = found->room ? 2 * found->room : 64;
		char **larger = realloc(found->word, room * sizeof(*larger));

		if (!larger)
			return;
		found->word = larger;
		found->room = room;
	}
	found->word[found->count] = strndup(word, length);
	if (found->word[found->count])
		found->count++;
}

void completions_free(struct completions *found)
{
	for (size_t i = 0; i < found->count; i++)
		free(found->word[i]);
	free(found->word);
	memset(found, 0, sizeof(*found));
}

static int compare(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static void sort(struct completions *found)
{
	size_t kept = 0;

	if (!found->count)
		return;
	qsort(found->word, found->count, sizeof(*found->word), compare);
	for (size_t i = 1; i < found->count; i++) {
		if (strcmp(found->word[kept], found->word[i]) == 0)
			free(found->word[i]);
		else
			found->word[++kept] = found->word[i];
	}
	found->count = kept + 1;
}

static void add_list(struct completions *found, const char *list, const char *prefix)
{
	const char *word;
	size_t length;

	while ((length = verb_word(&list, &word)))
		add(found, word, length, prefix);
}

static void add_verbs(struct completions *found, const char *prefix)
{
	const struct verb *verb;

	for (unsigned i = 0; (verb = verb_at(i)); i++)
		add(found, verb->name, strlen(verb->name), prefix);
}

static void add_registers(struct completions *found, struct shell *shell, unsigned bytes_max, const char *prefix)
{
	struct croft_register reg;

	/* low halves have better names */
	for (unsigned i = 0; croft_vm_register(shell->vm, i, &reg); i++) {
		if (reg.group != CROFT_GROUP_LOW && reg.bytes <= bytes_max)
			add(found, reg.name, strlen(reg.name), prefix);
	}
}

static void add_breakpoints(struct completions *found, struct shell *shell, const char *prefix)
{
	struct croft_breakpoint *b = NULL;

	while ((b = croft_breakpoint_next(shell->vm, b)))
		add(found, croft_breakpoint_what(b)->name, strlen(croft_breakpoint_what(b)->name), prefix);
}

/* All of them for nothing would be tens of thousands. */
static void add_symbols(struct completions *found, struct shell *shell, const char *prefix)
{
	const char *name;

	if (!prefix[0])
		return;
	for (size_t i = 0; (name = symbols_completion(shell->symbols, prefix, i)) && i < FOUND_MAX; i++)
		add(found, name, strlen(name), prefix);
}

static void add_files(struct completions *found, const char *prefix)
{
	const char *slash = strrchr(prefix, '/');
	char folder[TEXT_MAX] = ".", path[2 * TEXT_MAX];
	struct dirent *entry;
	DIR *open;

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - prefix + 1), prefix);
	open = opendir(folder);
	while (open && (entry = readdir(open))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s%s%s", slash ? folder : "", entry->d_name,
			 entry->d_type == DT_DIR ? "/" : "");
		add(found, path, strlen(path), prefix);
	}
	if (open)
		closedir(open);
}

/* Where a name begins within an expression: behind the last character that is in none. */
static const char *last_name(const char *word)
{
	const char *begin = word;

	for (const char *at = word; *at; at++) {
		if (strchr("+-*():$", *at))
			begin = at + 1;
	}
	return begin;
}

void complete_find(struct shell *shell, const char *text, struct completions *found, size_t *prefix)
{
	const char *word = text + strlen(text), *name;
	const struct verb *verb;
	char first[64];

	memset(found, 0, sizeof(*found));
	while (word > text && !isspace((unsigned char)word[-1]))
		word--;
	text += strspn(text, " \t");
	*prefix = strlen(word);
	if (word <= text) {
		add_verbs(found, word);
		sort(found);
		return;
	}
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(text, " \t"), text);
	verb = verb_find(first);
	if (!verb)
		return;
	add_list(found, verb->choices, word);
	if (verb->words & WORD_VERB)
		add_verbs(found, word);
	if (verb->words & WORD_FILE)
		add_files(found, word);
	if (verb->words & WORD_BREAKPOINT)
		add_breakpoints(found, shell, word);
	name = verb->words & WORD_EXPRESSION ? last_name(word) : word;
	if (word[0] != '-' && verb->words & (WORD_EXPRESSION | WORD_REGISTER))
		add_registers(found, shell, verb->words & WORD_REGISTER ? CROFT_REGISTER_BYTES_MAX : 8, name);
	if (word[0] != '-' && verb->words & WORD_EXPRESSION)
		add_symbols(found, shell, name);
	if (word[0] != '-' && name != word)
		*prefix = strlen(name);
	sort(found);
}
