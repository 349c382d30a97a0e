/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How errors are filled in. Must not know what fails.
 */
#ifndef LIBCROFT_ERROR_H
#define LIBCROFT_ERROR_H

#include "client/libcroft/croft.h"

/* Fills in an error (may be NULL) with a text of printf's form, as far as format_string() has it. Returns status. */
__attribute__((format(printf, 3, 4))) enum croft_status error_set(struct croft_error *error, enum croft_status status,
								  const char *format, ...);

/* The same, followed by ": " and what the system calls errno's value number. */
__attribute__((format(printf, 4, 5))) enum croft_status error_system(struct croft_error *error,
								     enum croft_status status, int number,
								     const char *format, ...);

/* No memory. */
enum croft_status error_memory(struct croft_error *error);

/* Nothing went wrong, or what did is no error here. */
enum croft_status error_none(struct croft_error *error);

#endif
