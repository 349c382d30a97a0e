/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GDB's agent expressions: a stack machine. "Debugging with GDB", "The GDB Agent Expression Mechanism" (appendix F).
 */
#ifndef CORE_DEBUG_AGENT_H
#define CORE_DEBUG_AGENT_H

#include <undercroft/types.h>

/* Values on the stack, and operations that jumps go back in all: loops end there. */
#define AGENT_STACK_MAX 64
#define AGENT_BACK_MAX	4096
/* Bytes printed by one evaluation; the rest is left out. */
#define AGENT_PRINT_MAX 1024

/* An operation that can be carried out without another look, or what belongs to the one before. */
struct agent_op {
	uint8_t op;
	uint8_t depth; /* values on the stack before it */
	uint16_t at;   /* of the expression's bytes */
	uint32_t value;
};

/* The most that an expression of so many bytes becomes. */
#define AGENT_OPS(length) ((length) + 1)
#define AGENT_LENGTH_MAX  UINT16_MAX

/* Where an expression gets its values; each function returns false if there is none. */
struct agent_source {
	void *context;
	const uint64_t *gpr; /* the general registers, in the order of regs.def */
	/* A register that is no general one. */
	bool (*reg)(void *context, unsigned number, uint64_t *value);
	/* size is 1, 2, 4 or 8 bytes. */
	bool (*memory)(void *context, uint64_t address, unsigned size, uint64_t *value);
	void (*print)(void *context, const char *text, size_t length);
};

/*
 * Compiles an expression of any bytes, AGENT_LENGTH_MAX at most, to out, which has room for AGENT_OPS(length). The
 * registers with numbers below gpr_count are the general ones, which gpr_order has in the order of regs.def. Returns
 * how many operations it is now. What cannot be carried out has become one that says why.
 */
size_t agent_compile(const uint8_t *code, size_t length, const uint8_t *gpr_order, unsigned gpr_count,
		     struct agent_op *out);

/*
 * Evaluates what agent_compile() made. Returns NULL with *result, which is what "end" finds on the stack (0 if that is
 * empty), or why it could not be.
 */
const char *agent_evaluate(const struct agent_source *source, const struct agent_op *op, uint64_t *result);

#endif
