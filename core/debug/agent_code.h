/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of agent expressions, as GDB numbers them, and two of ours. "Debugging with GDB", "Bytecode
 * Descriptions" (F.2)
 */
#ifndef CORE_DEBUG_AGENT_CODE_H
#define CORE_DEBUG_AGENT_CODE_H

#include "core/debug/agent.h"

enum {
	OP_FAIL = 0x00, /* ours: value says why: enum agent_reason */
	OP_GPR,		/* ours: value is the register's number in regs.def */
	OP_ADD,
	OP_SUB,
	OP_MUL,
	OP_DIV_SIGNED,
	OP_DIV_UNSIGNED,
	OP_REM_SIGNED,
	OP_REM_UNSIGNED,
	OP_LSH,
	OP_RSH_SIGNED,
	OP_RSH_UNSIGNED,
	OP_LOG_NOT = 0x0e,
	OP_BIT_AND,
	OP_BIT_OR,
	OP_BIT_XOR,
	OP_BIT_NOT,
	OP_EQUAL,
	OP_LESS_SIGNED,
	OP_LESS_UNSIGNED,
	OP_EXT,
	OP_REF8,
	OP_REF16,
	OP_REF32,
	OP_REF64,
	OP_IF_GOTO = 0x20,
	OP_GOTO,
	OP_CONST8,
	OP_CONST16,
	OP_CONST32,
	OP_CONST64,
	OP_REG,
	OP_END,
	OP_DUP,
	OP_POP,
	OP_ZERO_EXT,
	OP_SWAP,
	OP_PICK = 0x32,
	OP_ROT,
	OP_PRINTF,
	OP_COUNT,
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
