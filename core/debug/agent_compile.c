/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The compiler of agent expressions. What it reads comes from the wire: nothing in it is believed. What it writes needs
 * no check of the stack, of operands or of where jumps lead, because each operation is reached with one number of
 * values on the stack; others are refused. So are jumps back to what nothing before has reached.
 */
#include <string.h>

#include <undercroft/types.h>

#include "core/debug/agent_code.h"

/* What becomes of an operation whose second operand is the constant or the register before it. */
static const struct {
	uint8_t const32, gpr; /* 0: nothing */
} joined[OP_COUNT] = {
#define X(symbol, name, type, operator) [OP_##symbol] = {OP_##symbol##_CONST32, OP_##symbol##_GPR},
	AGENT_BINARY(X)
#undef X
};

/* What an operation takes from the stack and puts there, and the bytes behind it. */
static const struct need {
	bool exists;
	uint8_t pops, pushes, operand;
} needs[OP_COUNT] = {
	[OP_ADD... OP_RSH_UNSIGNED] = {true, 2, 1, 0},
	[OP_LOG_NOT] = {true, 1, 1, 0},
	[OP_BIT_AND... OP_BIT_XOR] = {true, 2, 1, 0},
	[OP_BIT_NOT] = {true, 1, 1, 0},
	[OP_EQUAL... OP_LESS_UNSIGNED] = {true, 2, 1, 0},
	[OP_EXT] = {true, 1, 1, 1},
	[OP_REF8... OP_REF64] = {true, 1, 1, 0},
	[OP_IF_GOTO] = {true, 1, 0, 2},
	[OP_GOTO] = {true, 0, 0, 2},
	[OP_CONST8] = {true, 0, 1, 1},
	[OP_CONST16] = {true, 0, 1, 2},
	[OP_CONST32] = {true, 0, 1, 4},
	[OP_CONST64] = {true, 0, 1, 8},
	[OP_REG] = {true, 0, 1, 2},
	[OP_END] = {true, 0, 0, 0},
	[OP_DUP] = {true, 1, 2, 0},
	[OP_POP] = {true, 1, 0, 0},
	[OP_ZERO_EXT] = {true, 1, 1, 1},
	[OP_SWAP] = {true, 2, 2, 0},
	[OP_PICK] = {true, 0, 1, 1},
	[OP_ROT] = {true, 3, 3, 0},
	[OP_PRINTF] = {true, 2, 0, 3},
};

static const struct need *need_of(unsigned op)
{
	return &needs[op < OP_COUNT ? op : OP_FAIL];
}

struct compiler {
	const uint8_t *code;
	size_t length, at;
	const uint8_t *gpr_order;
	unsigned gpr_count;
	struct agent_op *out, *end, *last; /* last: before end, or NULL */
	bool reached;			   /* what is at at can be carried out, with depth values on the stack */
	unsigned depth;
};

static uint64_t operand_get(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | *bytes++;
	return value;
}

static bool is_jump(const struct agent_op *op)
{
	return op->op == OP_GOTO || op->op == OP_IF_GOTO;
}

static struct agent_op *op_next(struct agent_op *op)
{
	if (op->op == OP_CONST64)
		return op + 2;
	return op + 1 + (op->op == OP_PRINTF ? PRINTF_OPS(op->value >> PRINTF_LENGTH_SHIFT) : 0);
}

static void emit(struct compiler *c, unsigned op, uint64_t value)
{
	c->last = c->end;
	*c->end++ = (struct agent_op){
		.op = (uint8_t)op,
		.depth = (uint8_t)c->depth,
		.at = (uint16_t)c->at,
		.value = (uint32_t)value,
	};
}

static void emit_bytes(struct compiler *c, const void *bytes, size_t size)
{
	memcpy(c->end, bytes, size);
	c->end += PRINTF_OPS(size);
}

static void fail(struct compiler *c, enum agent_reason reason)
{
	emit(c, OP_FAIL, reason);
	c->reached = false;
}

/* Values on the stack where a jump leads. */
static unsigned jump_depth(const struct agent_op *jump)
{
	return jump->depth - (jump->op == OP_IF_GOTO ? 1u : 0);
}

/* The first jump so far that leads to at, or NULL. */
static const struct agent_op *jump_here(const struct compiler *c)
{
	for (struct agent_op *op = c->out; op < c->end; op = op_next(op)) {
		if (is_jump(op) && op->value == c->at)
			return op;
	}
	return NULL;
}

static void print_compile(struct compiler *c, const uint8_t *operand)
{
	unsigned arguments = operand[0];
	size_t length = operand_get(operand + 1, 2);
	const uint8_t *format = operand + 3;

	/* the function and the channel are GDB's own business */
	if (arguments > c->depth - 2) {
		fail(c, REASON_TOO_FEW);
	} else if (length > (size_t)(c->code + c->length - format)) {
		fail(c, REASON_TOO_EARLY);
	} else {
		emit(c, OP_PRINTF, arguments | length << PRINTF_LENGTH_SHIFT);
		emit_bytes(c, format, length);
		c->depth -= arguments;
	}
}

/* The bytes of the operation at a place, which may be more than there are. */
static size_t op_size(const struct compiler *c, size_t at)
{
	const uint8_t *op = c->code + at;
	size_t left = c->length - at;

	return 1 + need_of(*op)->operand + (*op == OP_PRINTF && left > 3 ? operand_get(op + 2, 2) : 0);
}

/* Does any jump lead to at? */
static bool is_target(const struct compiler *c)
{
	for (size_t at = 0; at < c->length; at += op_size(c, at)) {
		if ((c->code[at] == OP_GOTO || c->code[at] == OP_IF_GOTO) && c->length - at > 2 &&
		    operand_get(c->code + at + 1, 2) == c->at)
			return true;
	}
	return false;
}

/* One whose second operand has just been put on the stack is one with that. */
static void emit_joined(struct compiler *c, unsigned op, uint64_t value)
{
	struct agent_op *last = c->last;
	unsigned with = !last			 ? 0
			: last->op == OP_CONST32 ? joined[op].const32
			: last->op == OP_GPR	 ? joined[op].gpr
						 : 0;

	if (with && !is_target(c))
		last->op = (uint8_t)with;
	else
		emit(c, op, value);
}

/* An operation whose values and operand are there. */
static void op_compile(struct compiler *c, unsigned op, const uint8_t *operand)
{
	uint64_t value = operand_get(operand, needs[op].operand);

	switch (op) {
	case OP_END:
	case OP_GOTO:
		emit(c, op, value);
		c->reached = false;
		break;
	case OP_EXT:
	case OP_ZERO_EXT:
		/* GDB says often that 64 bits are 64 bits */
		if (value < 64 || is_target(c))
			emit(c, op, value);
		break;
	case OP_CONST8:
	case OP_CONST16:
	case OP_CONST32:
		emit(c, OP_CONST32, value);
		break;
	case OP_CONST64:
		emit(c, op, 0);
		emit_bytes(c, &value, sizeof(value));
		break;
	case OP_REG:
		if (value < c->gpr_count)
			emit(c, OP_GPR, c->gpr_order[value]);
		else
			emit(c, op, value);
		break;
	case OP_PICK:
		if (value < c->depth)
			emit(c, op, value);
		else
			fail(c, REASON_TOO_FEW);
		break;
	case OP_PRINTF:
		print_compile(c, operand);
		break;
	default:
		emit_joined(c, op, value);
		break;
	}
	c->depth += needs[op].pushes - (unsigned)needs[op].pops;
}

static void next_compile(struct compiler *c)
{
	unsigned op = c->code[c->at];
	const struct need *need = need_of(op);

	if (!need->exists)
		fail(c, REASON_UNKNOWN);
	else if (need->pops > c->depth)
		fail(c, REASON_TOO_FEW);
	else if (c->depth - need->pops + need->pushes > AGENT_STACK_MAX)
		fail(c, REASON_TOO_MANY);
	else if (need->operand >= c->length - c->at)
		fail(c, REASON_TOO_EARLY);
	else
		op_compile(c, op, c->code + c->at + 1);
}

/* From a place in the bytes to one in the operations. */
static void jump_resolve(const struct compiler *c, struct agent_op *jump)
{
	enum agent_reason reason = jump->value < c->length ? REASON_NO_TARGET : REASON_NO_END;
	struct agent_op *to = c->out;

	while (to < c->end && to->at != jump->value)
		to = op_next(to);
	if (to < c->end && to->depth == jump_depth(jump)) {
		jump->value = (uint32_t)(to - jump);
		return;
	}
	jump->op = OP_FAIL;
	jump->value = to < c->end ? REASON_OTHER_DEPTH : reason;
}

size_t agent_compile(const uint8_t *code, size_t length, const uint8_t *gpr_order, unsigned gpr_count,
		     struct agent_op *out)
{
	struct compiler c = {
		.code = code,
		.length = length,
		.gpr_order = gpr_order,
		.gpr_count = gpr_count,
		.out = out,
		.end = out,
		.reached = true,
	};

	while (c.at < length) {
		const struct agent_op *jump = c.reached ? NULL : jump_here(&c);

		if (jump) {
			c.reached = true;
			c.depth = jump_depth(jump);
		}
		if (c.reached)
			next_compile(&c);
		c.at += op_size(&c, c.at);
	}
	if (c.reached)
		fail(&c, REASON_NO_END);
	for (struct agent_op *op = c.out; op < c.end; op = op_next(op)) {
		if (is_jump(op))
			jump_resolve(&c, op);
	}
	return (size_t)(c.end - out);
}
