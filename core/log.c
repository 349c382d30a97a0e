/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: a ring of what was said and a few sinks that carry it outside. Formats without heap, globals or floating
 * point, because the resident tier has none of them. Must not know who listens.
 */
#include <undercroft/log.h>

#include <string.h>

#include <undercroft/errno.h>

/* A log line is formatted in pieces of this size, so that its length is not bounded by the stack. */
#define LOG_CHUNK 256

/* No column of ours is wider; keeps a wrong width from flooding a serial line. */
#define WIDTH_MAX 255u

/* Where formatted characters go: a caller's buffer, or piece by piece into a log. */
struct output {
	struct log *log; /* NULL: what does not fit is only counted */
	char *buffer;
	size_t size, used, total;
};

/* One conversion as it is written: %[-][0][width][.precision][length]conversion */
struct conversion {
	bool left, zero;
	bool has_precision, precision_argument;
	unsigned width;
	unsigned precision;
	unsigned longs; /* l or ll */
	bool size;	/* z */
	char kind;
};

int log_sink_add(struct log *log, struct log_sink *sink)
{
	for (unsigned i = 0; i < LOG_SINK_MAX; i++) {
		if (!log->sink[i]) {
			log->sink[i] = sink;
			return 0;
		}
	}
	return -ENOSPC;
}

void log_sink_remove(struct log *log, struct log_sink *sink)
{
	for (unsigned i = 0; i < LOG_SINK_MAX; i++) {
		if (log->sink[i] == sink)
			log->sink[i] = NULL;
	}
}

static void ring_write(struct log *log, const char *text, size_t length)
{
	uint64_t position = log->written;

	log->written += length;
	if (!log->ring || log->ring_size == 0)
		return;
	if (length > log->ring_size) {
		position += length - log->ring_size;
		text += length - log->ring_size;
		length = log->ring_size;
	}
	while (length) {
		size_t offset = (size_t)(position % log->ring_size);
		size_t part = log->ring_size - offset;

		if (part > length)
			part = length;
		memcpy(log->ring + offset, text, part);
		position += part;
		text += part;
		length -= part;
	}
}

static void log_write(struct log *log, const char *text, size_t length)
{
	if (length == 0)
		return;
	ring_write(log, text, length);
	for (unsigned i = 0; i < LOG_SINK_MAX; i++) {
		if (log->sink[i])
			log->sink[i]->write(log->sink[i], text, length);
	}
}

static void output_char(struct output *out, char c)
{
	if (out->log && out->used == out->size) {
		log_write(out->log, out->buffer, out->used);
		out->used = 0;
	}
	if (out->used < out->size)
		out->buffer[out->used++] = c;
	out->total++;
}

static void output_repeat(struct output *out, char c, size_t count)
{
	while (count--)
		output_char(out, c);
}

static void output_text(struct output *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		output_char(out, text[i]);
}

static void output_field(struct output *out, const struct conversion *c, const char *text, size_t length)
{
	size_t pad = c->width > length ? c->width - length : 0;

	if (!c->left)
		output_repeat(out, ' ', pad);
	output_text(out, text, length);
	if (c->left)
		output_repeat(out, ' ', pad);
}

static void output_number(struct output *out, const struct conversion *c, uint64_t value, unsigned base,
			  const char *prefix)
{
	char digits[20]; /* 2^64 - 1 in decimal */
	size_t count = 0, prefix_length = strlen(prefix), pad;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	pad = c->width > count + prefix_length ? c->width - count - prefix_length : 0;

	if (!c->left && !c->zero)
		output_repeat(out, ' ', pad);
	output_text(out, prefix, prefix_length);
	if (!c->left && c->zero)
		output_repeat(out, '0', pad);
	while (count)
		output_char(out, digits[--count]);
	if (c->left)
		output_repeat(out, ' ', pad);
}

static const char *parse_number(const char *at, unsigned *number)
{
	*number = 0;
	while (*at >= '0' && *at <= '9') {
		*number = *number * 10 + (unsigned)(*at++ - '0');
		if (*number > WIDTH_MAX)
			*number = WIDTH_MAX;
	}
	return at;
}

/* Reads what follows a percent sign. Returns the first character behind it, or NULL if it is no conversion of ours. */
static const char *parse_conversion(const char *at, struct conversion *c)
{
	*c = (struct conversion){0};
	for (; *at == '-' || *at == '0'; at++) {
		c->left |= *at == '-';
		c->zero |= *at == '0';
	}
	at = parse_number(at, &c->width);
	if (*at == '.') {
		c->has_precision = true;
		if (*++at == '*') {
			c->precision_argument = true;
			at++;
		} else {
			at = parse_number(at, &c->precision);
		}
	}
	for (; *at == 'l'; at++)
		c->longs++;
	if (*at == 'z') {
		c->size = true;
		at++;
	}
	c->kind = *at;
	switch (c->kind) {
	case 'd':
	case 'u':
	case 'x':
		return c->has_precision || c->longs > 2 || (c->longs && c->size) ? NULL : at + 1;
	case 's':
		return c->longs || c->size ? NULL : at + 1;
	case '%':
	case 'c':
	case 'p':
		return c->has_precision || c->longs || c->size ? NULL : at + 1;
	default:
		return NULL;
	}
}

/* long and long long are both 64 bits wide in every build of ours. */
_Static_assert(sizeof(long) == 8 && sizeof(long long) == 8 && sizeof(size_t) == 8, "LP64");

static void output_format(struct output *out, const char *format, va_list args)
{
	while (*format) {
		struct conversion c;
		const char *next;
		bool wide;

		if (*format != '%') {
			output_char(out, *format++);
			continue;
		}
		next = parse_conversion(format + 1, &c);
		if (!next) {
			output_char(out, *format++);
			continue;
		}
		format = next;
		wide = c.longs || c.size;
		switch (c.kind) {
		case '%':
			output_char(out, '%');
			break;
		case 'c': {
			char character = (char)va_arg(args, int);

			output_field(out, &c, &character, 1);
			break;
		}
		case 's': {
			int precision = c.precision_argument ? va_arg(args, int) : (int)c.precision;
			const char *text = va_arg(args, const char *);
			size_t length = 0;

			if (!text)
				text = "(null)";
			/* A negative precision is none at all; a text with one need not be terminated. */
			while ((!c.has_precision || precision < 0 || length < (size_t)precision) && text[length])
				length++;
			output_field(out, &c, text, length);
			break;
		}
		case 'd': {
			int64_t value = wide ? va_arg(args, long) : va_arg(args, int);
			uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

			output_number(out, &c, magnitude, 10, value < 0 ? "-" : "");
			break;
		}
		case 'p':
			output_number(out, &c, (uintptr_t)va_arg(args, void *), 16, "0x");
			break;
		default:
			output_number(out, &c, wide ? va_arg(args, unsigned long) : va_arg(args, unsigned),
				      c.kind == 'x' ? 16 : 10, "");
			break;
		}
	}
}

void log_printf(struct log *log, const char *format, ...)
{
	char chunk[LOG_CHUNK];
	struct output out = {.log = log, .buffer = chunk, .size = sizeof(chunk)};
	va_list args;

	va_start(args, format);
	output_format(&out, format, args);
	va_end(args);
	log_write(log, chunk, out.used);
}

size_t format_vstring(char *buffer, size_t size, const char *format, va_list args)
{
	struct output out = {.buffer = buffer, .size = size ? size - 1 : 0};

	output_format(&out, format, args);
	if (size)
		buffer[out.used] = '\0';
	return out.total;
}

size_t format_string(char *buffer, size_t size, const char *format, ...)
{
	size_t length;
	va_list args;

	va_start(args, format);
	length = format_vstring(buffer, size, format, args);
	va_end(args);
	return length;
}
