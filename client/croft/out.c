/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text in inks, and JSON.
 */
#include "client/croft/out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Select Graphic Rendition: ECMA-48, 8.3.117 */
static const char *const inks[] = {
	[INK_PLAIN] = "", [INK_ADDRESS] = "34", [INK_SYMBOL] = "33", [INK_NAME] = "36",	 [INK_CHANGED] = "1;31",
	[INK_DIM] = "2",  [INK_CODE] = "32",	[INK_TITLE] = "1",   [INK_ERROR] = "31",
};

bool out_wants_colours(FILE *to)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(to)) && !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0;
}

/* Some of it may be the guest's words, or the other end's: nothing that a terminal obeys. */
static void put(const struct out *out, const char *format, va_list arguments)
{
	char *text;
	int length = vasprintf(&text, format, arguments);

	if (length < 0)
		return;
	for (int i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c != '\r')
			fputc((c < ' ' && c != '\n' && c != '\t') || c == 0x7f ? '?' : c, out->to);
	}
	free(text);
}

void out_text(const struct out *out, const char *format, ...)
{
	va_list arguments;

	if (out->json)
		return;
	va_start(arguments, format);
	put(out, format, arguments);
	va_end(arguments);
}

void out_ink(const struct out *out, enum ink ink, const char *format, ...)
{
	bool colour = out->colours && ink != INK_PLAIN;
	va_list arguments;

	if (out->json)
		return;
	if (colour)
		fprintf(out->to, "\033[%sm", inks[ink]);
	va_start(arguments, format);
	put(out, format, arguments);
	va_end(arguments);
	if (colour)
		fputs("\033[m", out->to);
}

void out_address(const struct out *out, uint64_t address, int digits)
{
	out_ink(out, INK_ADDRESS, "0x%0*" PRIx64, digits, address);
}

json_t *out_hex(const struct out *out, uint64_t value)
{
	return out->json ? json_sprintf("0x%" PRIx64, value) : NULL;
}

void out_put(const struct out *out, const char *name, json_t *value)
{
	json_object_set_new(out->json, name, value);
}

json_t *out_array(const struct out *out, const char *name)
{
	json_t *array = out->json ? json_array() : NULL;

	out_put(out, name, array);
	return array;
}

json_t *out_item(json_t *array)
{
	json_t *item = array ? json_object() : NULL;

	json_array_append_new(array, item);
	return item;
}
