/* SPDX-License-Identifier: BSD-2-Clause */
/* What agent_compile() makes of an expression: GDB's operations, and two of ours. */
#ifndef CORE_DEBUG_AGENT_CODE_H
#define CORE_DEBUG_AGENT_CODE_H

#include "core/debug/agent.h"
#include "core/debug/agent_format.h"

enum {
	OP_FAIL = 0x00, /* value says why: enum agent_reason */
	OP_GPR = 0x01,	/* value is the register's number in regs.def */
	OP_COUNT = OP_PRINTF + 1,
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
