/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of verbs.
 */
#include "client/croft/verb.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "client/croft/expr.h"

static const struct verb *const verbs[] = {
	&verb_help,  &verb_run,	    &verb_stop,	   &verb_step,	 &verb_regs,	   &verb_sregs,	  &verb_msr,
	&verb_mem,   &verb_phys,    &verb_disas,   &verb_xlate,	 &verb_pagetables, &verb_gdt,	  &verb_idt,
	&verb_break, &verb_watch,   &verb_delete,  &verb_bt,	 &verb_search,	   &verb_symbols, &verb_stats,
	&verb_log,   &verb_console, &verb_monitor, &verb_config, &verb_dump,	   &verb_proxy,	  &verb_quit,
};

#define VERB_COUNT (sizeof(verbs) / sizeof(*verbs))

const struct verb *verb_at(unsigned index)
{
	return index < VERB_COUNT ? verbs[index] : NULL;
}

size_t verb_word(const char **at, const char **word)
{
	size_t length;

	while (isspace((unsigned char)**at))
		(*at)++;
	*word = *at;
	length = strcspn(*at, " ");
	*at += length;
	return length;
}

static bool has_alias(const struct verb *verb, const char *name)
{
	const char *at = verb->aliases, *word;
	size_t length;

	while ((length = verb_word(&at, &word))) {
		if (length == strlen(name) && strncmp(word, name, length) == 0)
			return true;
	}
	return false;
}

const struct verb *verb_find(const char *name)
{
	const struct verb *found = NULL;
	unsigned begins = 0;

	for (unsigned i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i]->name, name) == 0 || has_alias(verbs[i], name))
			return verbs[i];
	}
	for (unsigned i = 0; i < VERB_COUNT; i++) {
		if (strncmp(verbs[i]->name, name, strlen(name)) == 0) {
			found = verbs[i];
			begins++;
		}
	}
	return begins == 1 ? found : NULL;
}

enum outcome verb_misused(struct shell *shell, const struct verb *verb, const char *format, ...)
{
	char text[CROFT_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return shell_usage(shell, "%s; usage: %s%s%s", text, verb->name, verb->usage[0] ? " " : "", verb->usage);
}

enum outcome verb_take_cr3(struct shell *shell, const char *text, struct croft_space *space)
{
	uint64_t cr3;
	enum outcome outcome = expr_take(shell, text, &cr3);

	*space = croft_cr3(cr3);
	return outcome;
}

enum outcome verb_take(struct shell *shell, struct args *args, uint64_t fallback, uint64_t *value)
{
	*value = fallback;
	return args_left(args) ? expr_take(shell, args_next(args), value) : OUTCOME_DONE;
}
