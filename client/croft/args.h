/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line's words, and a verb's options.
 */
#ifndef CROFT_ARGS_H
#define CROFT_ARGS_H

#include <stdbool.h>

#define ARGS_MAX 64

/*
 * Takes a line apart at blanks. Quotes, single or double, keep them, and a backslash outside of single quotes what
 * comes after it. Changes line. Returns how many words there are, or -1: too many, or a quote without its end.
 */
int args_split(char *line, char **words);

struct args {
	int count;
	char **word; /* [0] is the verb */
	int at;	     /* the next one */
};

/*
 * The next option, of letters, where those with ":" behind them have a value. Returns its letter, 0 if there are no
 * more (word[at] then is the first argument), or '?' if it is none of them or lacks its value: *value then is its text.
 * "--" ends options; so does a number below 0.
 */
char args_option(struct args *args, const char *letters, const char **value);

/* How many arguments are left. */
static inline int args_left(const struct args *args)
{
	return args->count - args->at;
}

/* The next argument; NULL: no more. */
const char *args_next(struct args *args);

#endif
