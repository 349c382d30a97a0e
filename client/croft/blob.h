/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configurations out of files. Must not know what is in them.
 */
#ifndef CROFT_BLOB_H
#define CROFT_BLOB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Up to size bytes of a compiled device tree; a file NAME.dts is compiled by dtc, which says on stderr what it does not
 * like. Returns how many bytes, or -1: why says what went wrong.
 */
ssize_t blob_read(const char *path, uint8_t *to, size_t size, char *why, size_t why_size);

#endif
