/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions as text. Must not know verbs or where bytes come from.
 */
#ifndef CROFT_DISASM_H
#define CROFT_DISASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/libcroft/croft.h"

#define DISASM_BYTES_MAX 15u

struct disasm {
	unsigned length;
	char text[160];
	bool has_target; /* where it jumps to, or which memory it names by RIP: as an offset in its segment */
	uint64_t target;
	bool is_call, is_branch;
};

/*
 * One instruction, at offset rip in its code segment. False: the bytes are none, or too few.
 */
bool disasm_decode(enum croft_mode mode, const uint8_t *bytes, size_t size, uint64_t rip, struct disasm *line);

/* Does a near CALL end where these bytes do? Tried are all lengths that it can have. */
bool disasm_ends_with_call(enum croft_mode mode, const uint8_t *bytes, size_t size);

#endif
