/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the command prints: text for people, in colours if they can be seen, or one JSON object a verb. A verb makes
 * both at once: text goes nowhere with JSON, and without it there is no object, which jansson's functions allow.
 */
#ifndef CROFT_OUT_H
#define CROFT_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum ink { INK_PLAIN, INK_ADDRESS, INK_SYMBOL, INK_NAME, INK_CHANGED, INK_DIM, INK_CODE, INK_TITLE, INK_ERROR };

struct out {
	FILE *to;
	bool colours;
	json_t *json; /* the verb's object; NULL: text */
};

/* Can colours be seen there? https://no-color.org */
bool out_wants_colours(FILE *to);

/* Text, and text in an ink. */
void out_text(const struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void out_ink(const struct out *out, enum ink ink, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* An address in its ink; digits: how many at least. */
void out_address(const struct out *out, uint64_t address, int digits);

/* A number as JSON has it here: "0x7c00", since JSON's own numbers end at 53 bits. NULL if there is no JSON. */
json_t *out_hex(const struct out *out, uint64_t value);

/* "NAME": value, in the verb's object. */
void out_put(const struct out *out, const char *name, json_t *value);

/* "NAME": [], in the verb's object, which owns it; NULL without JSON. */
json_t *out_array(const struct out *out, const char *name);

/* An empty object at the end of an array, which owns it; NULL if array is. */
json_t *out_item(json_t *array);

#endif
