/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Completion in the shell: verbs, their options, registers, breakpoints' names, symbols, files.
 */
#ifndef CROFT_COMPLETE_H
#define CROFT_COMPLETE_H

#include "client/croft/shell.h"

/* What a list of words is collected for. */
struct completions {
	char **word;
	size_t count, room;
};

/*
 * All words that the last one of text may become, in order, each once. *prefix: how much of them is there already.
 * found is to be given back by the next one.
 */
void complete_find(struct shell *shell, const char *text, struct completions *found, size_t *prefix);
void completions_free(struct completions *found);

#endif
