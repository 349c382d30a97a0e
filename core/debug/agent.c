/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The evaluator of agent expressions. What it runs comes from the wire: nothing in it is believed. Must not know who
 * asks. "Debugging with GDB", "Bytecode Descriptions" (F.2)
 */
#include <string.h>

#include "core/debug/agent.h"

enum {
	OP_ADD = 0x02,
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
};

/* What an operation needs: values on the stack, bytes behind it. Nothing: also what does not exist. */
static const struct need {
	uint8_t values, operand;
} needs[UINT8_MAX + 1] = {
	[OP_ADD... OP_RSH_UNSIGNED] = {2, 0},
	[OP_LOG_NOT] = {1, 0},
	[OP_BIT_AND... OP_BIT_XOR] = {2, 0},
	[OP_BIT_NOT] = {1, 0},
	[OP_EQUAL... OP_LESS_UNSIGNED] = {2, 0},
	[OP_EXT] = {1, 1},
	[OP_REF8... OP_REF64] = {1, 0},
	[OP_IF_GOTO] = {1, 2},
	[OP_GOTO] = {0, 2},
	[OP_CONST8] = {0, 1},
	[OP_CONST16] = {0, 2},
	[OP_CONST32] = {0, 4},
	[OP_CONST64] = {0, 8},
	[OP_REG] = {0, 2},
	[OP_DUP] = {1, 0},
	[OP_POP] = {1, 0},
	[OP_ZERO_EXT] = {1, 1},
	[OP_SWAP] = {2, 0},
	[OP_PICK] = {0, 1},
	[OP_ROT] = {3, 0},
	[OP_PRINTF] = {2, 3},
};

struct machine {
	const struct agent_source *source;
	const uint8_t *code;
	size_t length, at;
	unsigned depth, print_left;
	uint64_t stack[1 + AGENT_STACK_MAX]; /* the first value is at 1: below it, too, there is a top */
};

static uint64_t operand_get(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | *bytes++;
	return value;
}

static uint64_t sign_extend(uint64_t value, unsigned bits)
{
	unsigned unused = 64 - bits;

	return bits == 0 || bits >= 64 ? value : (uint64_t)((int64_t)(value << unused) >> unused);
}

static uint64_t zero_extend(uint64_t value, unsigned bits)
{
	return bits >= 64 ? value : value & ((1ull << bits) - 1);
}

/* Signed division that overflows on a CPU: the lowest number by -1. */
static uint64_t divide_signed(uint64_t a, uint64_t b, bool remainder)
{
	if (b == ~0ull)
		return remainder ? 0 : 0 - a;
	return remainder ? (uint64_t)((int64_t)a % (int64_t)b) : (uint64_t)((int64_t)a / (int64_t)b);
}

static uint64_t shift(uint64_t a, uint64_t count, unsigned op)
{
	uint64_t sign = op == OP_RSH_SIGNED && a >> 63 ? ~0ull : 0;

	if (count >= 64)
		return sign;
	if (op == OP_LSH)
		return a << count;
	return op == OP_RSH_SIGNED ? (uint64_t)((int64_t)a >> count) : a >> count;
}

static const char *binary(unsigned op, uint64_t a, uint64_t b, uint64_t *out)
{
	switch (op) {
	case OP_DIV_SIGNED:
	case OP_DIV_UNSIGNED:
	case OP_REM_SIGNED:
	case OP_REM_UNSIGNED:
		if (b == 0)
			return "division by zero";
		if (op == OP_DIV_SIGNED || op == OP_REM_SIGNED)
			*out = divide_signed(a, b, op == OP_REM_SIGNED);
		else
			*out = op == OP_DIV_UNSIGNED ? a / b : a % b;
		break;
	case OP_BIT_OR:
		*out = a | b;
		break;
	case OP_BIT_XOR:
		*out = a ^ b;
		break;
	case OP_LESS_SIGNED:
		*out = (int64_t)a < (int64_t)b;
		break;
	case OP_LESS_UNSIGNED:
		*out = a < b;
		break;
	default:
		*out = shift(a, b, op);
		break;
	}
	return NULL;
}

#define NUMBER_MAX 24

static void put(struct machine *m, const char *text, size_t length)
{
	if (length > m->print_left)
		length = m->print_left;
	m->print_left -= (unsigned)length;
	if (length)
		m->source->print(m->source->context, text, length);
}

/* One value as a conversion of printf asks for it; what is not known is said. */
static void number_print(struct machine *m, char conversion, uint64_t value)
{
	char text[NUMBER_MAX];
	unsigned at = NUMBER_MAX, base = conversion == 'x' || conversion == 'p' ? 16 : conversion == 'o' ? 8 : 10;
	bool negative = (conversion == 'd' || conversion == 'i') && value >> 63;

	if (conversion == 'c') {
		text[0] = (char)value;
		put(m, text, 1);
		return;
	}
	value = negative ? 0 - value : value;
	do {
		text[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		text[--at] = '-';
	if (conversion == 'p') {
		text[--at] = 'x';
		text[--at] = '0';
	}
	put(m, text + at, NUMBER_MAX - at);
}

#define STRING_MAX 256

static void string_print(struct machine *m, uint64_t address)
{
	const struct agent_source *source = m->source;
	uint64_t value;

	for (unsigned i = 0; i < STRING_MAX; i++) {
		char byte;

		if (!source->memory(source->context, address + i, 1, &value) || !value)
			return;
		byte = (char)value;
		put(m, &byte, 1);
	}
}

/* Flags, width, precision and length do not matter here: "%-08lx". */
static bool is_modifier(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '#' || c == ' ' || c == '+' || c == '.' || c == 'l' ||
	       c == 'h' || c == 'z' || c == 'j' || c == 't';
}

/* C's escapes, as GDB leaves them in the format. */
static char escape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	default:
		return c;
	}
}

static const char *format_print(struct machine *m, const char *format, size_t length, unsigned arguments)
{
	for (size_t i = 0; i < length && format[i]; i++) {
		char c = format[i];
		uint64_t value;

		if (c == '\\' && i + 1 < length) {
			c = escape(format[++i]);
		} else if (c == '%' && i + 1 < length && format[i + 1] == '%') {
			i++;
		} else if (c == '%') {
			do
				i++;
			while (i < length && is_modifier(format[i]));
			if (i >= length || !format[i])
				return "a format that ends in a conversion";
			if (!arguments)
				return "a format with more conversions than arguments";
			arguments--;
			value = m->stack[m->depth--];
			if (format[i] == 's')
				string_print(m, value);
			else
				number_print(m, format[i], value);
			continue;
		}
		put(m, &c, 1);
	}
	m->depth -= arguments;
	return NULL;
}

/* On the stack: the function and the channel, which are GDB's own business, then the arguments, the first on top. */
static const char *print(struct machine *m, const uint8_t *operand)
{
	unsigned arguments = operand[0];
	size_t length = operand_get(operand + 1, 2);

	m->depth -= 2;
	if (arguments > m->depth)
		return "too few values on the stack";
	if (length > m->length - m->at)
		return "the expression ends too early";
	m->at += length;
	return format_print(m, (const char *)m->code + m->at - length, length, arguments);
}

static const char too_few[] = "too few values on the stack", too_many[] = "too many values on the stack";

/*
 * Until the end, or why not. What is under way is kept in registers: at and depth of the machine are print()'s.
 */
static const char *run(struct machine *m, uint64_t *result)
{
	const struct agent_source *source = m->source;
	const uint8_t *const code = m->code, *operand;
	const size_t length = m->length;
	size_t at = 0;
	unsigned depth = 0, op;

	for (unsigned count = 0; count < AGENT_OPERATION_MAX; count++) {
		uint64_t *top = &m->stack[depth], value;
		const char *error = NULL;

		if (at >= length)
			return "the expression has no end";
		op = code[at++];
		operand = code + at;
		if (needs[op].values > depth)
			return too_few;
		if (needs[op].operand > length - at)
			return "the expression ends too early";
		at += needs[op].operand;
		switch (op) {
		case OP_END:
			*result = depth ? *top : 0;
			return NULL;
		case OP_LOG_NOT:
			*top = !*top;
			continue;
		case OP_BIT_NOT:
			*top = ~*top;
			continue;
		case OP_EXT:
			*top = sign_extend(*top, operand[0]);
			continue;
		case OP_ZERO_EXT:
			*top = zero_extend(*top, operand[0]);
			continue;
		case OP_REF8:
		case OP_REF16:
		case OP_REF32:
		case OP_REF64:
			if (!source->memory(source->context, *top, 1u << (op - OP_REF8), top))
				return "memory that cannot be read";
			continue;
		case OP_IF_GOTO:
			depth--;
			if (*top)
				at = operand_get(operand, 2);
			continue;
		case OP_GOTO:
			at = operand_get(operand, 2);
			continue;
		case OP_POP:
			depth--;
			continue;
		case OP_SWAP:
			value = top[0];
			top[0] = top[-1];
			top[-1] = value;
			continue;
		case OP_ROT: /* a b c, c on top, becomes c a b */
			value = top[0];
			top[0] = top[-1];
			top[-1] = top[-2];
			top[-2] = value;
			continue;
		case OP_ADD:
			depth--;
			top[-1] += top[0];
			continue;
		case OP_SUB:
			depth--;
			top[-1] -= top[0];
			continue;
		case OP_MUL:
			depth--;
			top[-1] *= top[0];
			continue;
		case OP_BIT_AND:
			depth--;
			top[-1] &= top[0];
			continue;
		case OP_EQUAL:
			depth--;
			top[-1] = top[-1] == top[0];
			continue;
		case OP_DIV_SIGNED:
		case OP_DIV_UNSIGNED:
		case OP_REM_SIGNED:
		case OP_REM_UNSIGNED:
		case OP_LSH:
		case OP_RSH_SIGNED:
		case OP_RSH_UNSIGNED:
		case OP_BIT_OR:
		case OP_BIT_XOR:
		case OP_LESS_SIGNED:
		case OP_LESS_UNSIGNED:
			depth--;
			error = binary(op, top[-1], top[0], &top[-1]);
			break;
		case OP_PRINTF:
			m->at = at;
			m->depth = depth;
			error = print(m, operand);
			at = m->at;
			depth = m->depth;
			break;
		case OP_CONST8:
			value = operand[0];
			goto push;
		case OP_CONST16:
		case OP_CONST32:
		case OP_CONST64:
			value = operand_get(operand, needs[op].operand);
			goto push;
		case OP_DUP:
			value = *top;
			goto push;
		case OP_PICK:
			if (operand[0] >= depth)
				return too_few;
			value = top[-(int)operand[0]];
			goto push;
		case OP_REG:
			if (depth == AGENT_STACK_MAX)
				return too_many;
			if (!source->reg(source->context, (unsigned)operand[0] << 8 | operand[1], top + 1))
				return "a register that does not exist";
			depth++;
			continue;
		default:
			return "an operation that does not exist";
		}
		if (error)
			return error;
		continue;
	push:
		if (depth == AGENT_STACK_MAX)
			return too_many;
		depth++;
		top[1] = value;
	}
	return "a loop without end";
}

const char *agent_evaluate(const struct agent_source *source, const uint8_t *code, size_t length, uint64_t *result)
{
	struct machine m;

	m.source = source;
	m.code = code;
	m.length = length;
	m.print_left = AGENT_PRINT_MAX;
	*result = 0;
	return run(&m, result);
}
