/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes as people write them, for search and for changing memory:
 *
 *	0f05 c3			hexadecimal, in the order of memory
 *	"text:Linux version"	characters
 *	u16:0xaa55  u32:rax	numbers, the lowest byte first; also u8 and u64
 */
#ifndef CROFT_BYTES_H
#define CROFT_BYTES_H

#include "client/croft/args.h"
#include "client/croft/shell.h"

#define BYTES_MAX 1024u

/* All arguments that are left, at least one byte. */
enum outcome bytes_take(struct shell *shell, struct args *args, uint8_t *bytes, size_t *length);

#endif
