/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: one line per event, kept in a ring and sent to sinks (a frontend, the screen). No heap, no globals: whoever
 * logs is handed the struct log.
 */
#ifndef UNDERCROFT_LOG_H
#define UNDERCROFT_LOG_H

#include <stdarg.h>

#include <undercroft/types.h>

#define LOG_SINK_MAX 3

/* A sink takes all bytes or drops them after its own bounded wait; it never fails the caller. */
struct log_sink {
	void (*write)(struct log_sink *sink, const char *text, size_t length);
};

struct log {
	char *ring; /* may be NULL: no memory of what was said */
	size_t ring_size;
	uint64_t written; /* bytes ever written; the ring holds the last ring_size of them */
	struct log_sink *sink[LOG_SINK_MAX];
};

/* Adds a sink. Returns 0 or -ENOSPC. */
int log_sink_add(struct log *log, struct log_sink *sink);
void log_sink_remove(struct log *log, struct log_sink *sink);

/*
 * Formats and writes. Understands %% %c %s %.*s %d %u %x %lx %lu %ld %llx %llu %zu %p with width, 0 and -;
 * anything else is written as it stands.
 */
__attribute__((format(printf, 2, 3))) void log_printf(struct log *log, const char *format, ...);

/* The same into a buffer, always terminated. Returns the length it would have had. */
__attribute__((format(printf, 3, 4))) size_t format_string(char *buffer, size_t size, const char *format, ...);
size_t format_vstring(char *buffer, size_t size, const char *format, va_list args);

#endif
