/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GDB's agent expressions: a stack machine. "Debugging with GDB", "The GDB Agent Expression Mechanism" (appendix F).
 */
#ifndef CORE_DEBUG_AGENT_H
#define CORE_DEBUG_AGENT_H

#include <undercroft/types.h>

/* Values on the stack, and operations carried out: loops end there. */
#define AGENT_STACK_MAX	    64
#define AGENT_OPERATION_MAX 4096
/* Bytes printed by one evaluation; the rest is left out. */
#define AGENT_PRINT_MAX 1024

/* Where an expression gets its values; each returns false if there is none. */
struct agent_source {
	bool (*reg)(void *context, unsigned number, uint64_t *value);
	/* size is 1, 2, 4 or 8 bytes. */
	bool (*memory)(void *context, uint64_t address, unsigned size, uint64_t *value);
	void (*print)(void *context, const char *text, size_t length);
	void *context;
};

/*
 * Evaluates an expression of any bytes. Returns NULL with *result, which is what "end" finds on the stack (0 if that is
 * empty), or why it could not be.
 */
const char *agent_evaluate(const struct agent_source *source, const uint8_t *code, size_t length, uint64_t *result);

#endif
