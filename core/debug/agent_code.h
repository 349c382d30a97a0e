/* SPDX-License-Identifier: BSD-2-Clause */
/* What agent_compile() makes of an expression: GDB's operations, and ours. */
#ifndef CORE_DEBUG_AGENT_CODE_H
#define CORE_DEBUG_AGENT_CODE_H

#include "core/debug/agent.h"
#include "core/debug/agent_format.h"

/* Operations on two values: symbol, name, the type that they are taken for, operator. */
#define AGENT_BINARY(X)                         \
	X(ADD, add, uint64_t, +)                \
	X(SUB, sub, uint64_t, -)                \
	X(MUL, mul, uint64_t, *)                \
	X(BIT_AND, bit_and, uint64_t, &)        \
	X(BIT_OR, bit_or, uint64_t, |)          \
	X(BIT_XOR, bit_xor, uint64_t, ^)        \
	X(EQUAL, equal, uint64_t, ==)           \
	X(LESS_SIGNED, less_signed, int64_t, <) \
	X(LESS_UNSIGNED, less_unsigned, uint64_t, <)

enum {
	OP_FAIL = 0x00, /* value says why: enum agent_reason */
	OP_GPR = 0x01,	/* value is the register's number in regs.def */
};

/* Binary operations whose second value is the constant or the register that was before them: value says which. */
enum {
	OP_LAST_OF_GDB = OP_PRINTF,
#define X(symbol, name, type, operator) OP_##symbol##_CONST32, OP_##symbol##_GPR,
	AGENT_BINARY(X)
#undef X
		OP_COUNT
};

enum agent_reason {
	REASON_UNKNOWN,
	REASON_TOO_FEW,
	REASON_TOO_MANY,
	REASON_TOO_EARLY,
	REASON_NO_END,
	REASON_NO_TARGET,
	REASON_OTHER_DEPTH,
	REASON_COUNT,
};

/* OP_PRINTF's value: how many arguments, and the length of the format, which follows it. */
#define PRINTF_ARGUMENTS    0xffu
#define PRINTF_LENGTH_SHIFT 8
#define PRINTF_OPS(length)  (((length) + sizeof(struct agent_op) - 1) / sizeof(struct agent_op))

#endif
