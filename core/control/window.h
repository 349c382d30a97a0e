/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A text that is made as a whole and kept in part: what a client reads piece by piece, by offset.
 */
#ifndef CORE_CONTROL_WINDOW_H
#define CORE_CONTROL_WINDOW_H

#include <stdarg.h>

#include <undercroft/log.h>
#include <undercroft/types.h>

struct window {
	uint64_t offset; /* of the piece in the text */
	uint64_t position;
	char *buffer;
	size_t length, used;
	bool more; /* there is text behind the piece */
};

static inline void window_put(struct window *w, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++, w->position++) {
		if (w->position < w->offset)
			continue;
		if (w->used == w->length) {
			w->more = true;
			return;
		}
		w->buffer[w->used++] = text[i];
	}
}

/* Up to 159 characters. */
__attribute__((format(printf, 2, 3))) static inline void window_printf(struct window *w, const char *format, ...)
{
	char line[160];
	va_list args;
	size_t length;

	va_start(args, format);
	length = format_vstring(line, sizeof(line), format, args);
	va_end(args);
	window_put(w, line, length < sizeof(line) ? length : sizeof(line) - 1);
}

#endif
