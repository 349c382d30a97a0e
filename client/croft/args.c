/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words and options. Must not know verbs.
 */
#include "client/croft/args.h"

#include <ctype.h>
#include <string.h>

/* One word, from *at to where it ends; what is left of it is written to where it began. False: a quote is open. */
static bool take_word(char **at)
{
	char *to = *at, *from = *at, quote = 0;

	for (; *from && (quote || !isspace((unsigned char)*from)); from++) {
		if (*from == quote) {
			quote = 0;
		} else if (!quote && (*from == '"' || *from == '\'')) {
			quote = *from;
		} else {
			if (*from == '\\' && quote != '\'' && from[1])
				from++;
			*to++ = *from;
		}
	}
	*at = *from ? from + 1 : from;
	*to = 0;
	return !quote;
}

int args_split(char *line, char **words)
{
	int count = 0;

	for (;;) {
		while (isspace((unsigned char)*line))
			line++;
		if (!*line)
			return count;
		if (count == ARGS_MAX)
			return -1;
		words[count++] = line;
		if (!take_word(&line))
			return -1;
	}
}

char args_option(struct args *args, const char *letters, const char **value)
{
	const char *word, *letter;

	*value = NULL;
	if (!args_left(args))
		return 0;
	word = args->word[args->at];
	if (word[0] != '-' || !word[1] || isdigit((unsigned char)word[1]))
		return 0;
	args->at++;
	if (strcmp(word, "--") == 0)
		return 0;
	letter = strchr(letters, word[1]);
	*value = word;
	if (!letter || word[1] == ':')
		return '?';
	if (letter[1] != ':')
		return word[2] ? '?' : word[1];
	if (!word[2] && !args_left(args))
		return '?';
	*value = word[2] ? word + 2 : args->word[args->at++];
	return *letter;
}

const char *args_next(struct args *args)
{
	return args_left(args) ? args->word[args->at++] : NULL;
}
