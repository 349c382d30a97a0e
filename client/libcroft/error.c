/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors with a text, and what else is said in words.
 */
#include "client/libcroft/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <undercroft/log.h>
#include <undercroft/mode.h>
#include <undercroft/types.h>
#include <undercroft/version.h>

_Static_assert((int)CROFT_MODE_REAL == (int)MODE_REAL && (int)CROFT_MODE_LONG64 == (int)MODE_LONG64 &&
		       (int)CROFT_MODE_INVALID == (int)MODE_INVALID,
	       "modes have the hypervisor's numbers");

enum croft_status error_set(struct croft_error *error, enum croft_status status, const char *format, ...)
{
	va_list args;

	if (error) {
		error->status = status;
		va_start(args, format);
		format_vstring(error->text, sizeof(error->text), format, args);
		va_end(args);
		/* some of it may be the other end's words: nothing that a terminal obeys */
		for (char *at = error->text; *at; at++) {
			if ((unsigned char)*at < ' ' || *at == 0x7f)
				*at = '?';
		}
	}
	return status;
}

enum croft_status error_system(struct croft_error *error, enum croft_status status, int number, const char *format, ...)
{
	char text[CROFT_TEXT_MAX], why[80];
	va_list args;

	va_start(args, format);
	format_vstring(text, sizeof(text), format, args);
	va_end(args);
	return error_set(error, status, "%s: %s", text, strerror_r(number, why, sizeof(why)));
}

enum croft_status error_memory(struct croft_error *error)
{
	return error_set(error, CROFT_ERROR_MEMORY, "no memory left on this computer");
}

enum croft_status error_none(struct croft_error *error)
{
	if (error) {
		error->status = CROFT_OK;
		error->text[0] = 0;
	}
	return CROFT_OK;
}

const char *croft_status_name(enum croft_status status)
{
	static const char *const name[] = {
		[CROFT_OK] = "ok",
		[CROFT_ERROR_ARGUMENT] = "argument",
		[CROFT_ERROR_MEMORY] = "memory",
		[CROFT_ERROR_SYSTEM] = "system",
		[CROFT_ERROR_BUSY] = "busy",
		[CROFT_ERROR_TIMEOUT] = "timeout",
		[CROFT_ERROR_LOST] = "lost",
		[CROFT_ERROR_PROTOCOL] = "protocol",
		[CROFT_ERROR_UNSUPPORTED] = "unsupported",
		[CROFT_ERROR_REFUSED] = "refused",
		[CROFT_ERROR_UNMAPPED] = "unmapped",
		[CROFT_ERROR_DENIED] = "denied",
		[CROFT_ERROR_FULL] = "full",
		[CROFT_ERROR_NOT_FOUND] = "not-found",
		[CROFT_ERROR_RUNNING] = "running",
		[CROFT_ERROR_INTERRUPTED] = "interrupted",
		[CROFT_ERROR_NESTED] = "nested",
	};

	return (unsigned)status < ARRAY_SIZE(name) ? name[status] : "unknown";
}

const char *croft_stop_name(enum croft_stop_kind kind)
{
	static const char *const name[] = {
		[CROFT_STOP_NONE] = "running",
		[CROFT_STOP_ATTACH] = "attach",
		[CROFT_STOP_REQUEST] = "request",
		[CROFT_STOP_STEP] = "step",
		[CROFT_STOP_BREAK] = "break",
		[CROFT_STOP_BREAK_HARD] = "break-hard",
		[CROFT_STOP_WATCH_WRITE] = "watch-write",
		[CROFT_STOP_WATCH_READ] = "watch-read",
		[CROFT_STOP_WATCH_ACCESS] = "watch-access",
		[CROFT_STOP_OTHER] = "other",
		[CROFT_STOP_GONE] = "gone",
	};

	return (unsigned)kind < ARRAY_SIZE(name) ? name[kind] : "unknown";
}

const char *croft_mode_name(enum croft_mode mode)
{
	return mode_name((enum cpu_mode)mode);
}

const char *croft_version(void)
{
	return UNDERCROFT_VERSION;
}

void croft_free(void *memory)
{
	free(memory);
}
