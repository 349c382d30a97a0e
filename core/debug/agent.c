/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The evaluator of agent expressions, as they are compiled: nothing that the compiler has seen to is checked again.
 * Must not know who asks. "Debugging with GDB", "Bytecode Descriptions" (F.2)
 */
#include <string.h>

#include "core/debug/agent_code.h"

static const char *const reasons[REASON_COUNT] = {
	[REASON_UNKNOWN] = "an operation that does not exist",
	[REASON_TOO_FEW] = "too few values on the stack",
	[REASON_TOO_MANY] = "too many values on the stack",
	[REASON_TOO_EARLY] = "the expression ends too early",
	[REASON_NO_END] = "the expression has no end",
	[REASON_NO_TARGET] = "a jump to where no operation begins",
	[REASON_OTHER_DEPTH] = "a jump with another number of values on the stack",
};

struct printer {
	const struct agent_source *source;
	const uint64_t *top; /* the arguments that are left, the first on top */
	unsigned arguments;
	unsigned *left; /* of AGENT_PRINT_MAX */
};

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

static const char *divide(unsigned op, uint64_t a, uint64_t b, uint64_t *out)
{
	if (b == 0)
		return "division by zero";
	if (op == OP_DIV_SIGNED || op == OP_REM_SIGNED)
		*out = divide_signed(a, b, op == OP_REM_SIGNED);
	else
		*out = op == OP_DIV_UNSIGNED ? a / b : a % b;
	return NULL;
}

static void put(struct printer *p, const char *text, size_t length)
{
	if (length > *p->left)
		length = *p->left;
	*p->left -= (unsigned)length;
	if (length)
		p->source->print(p->source->context, text, length);
}

#define NUMBER_MAX 24

/* One value as a conversion of printf asks for it; what is not known is said. */
static void number_print(struct printer *p, char conversion, uint64_t value)
{
	char text[NUMBER_MAX];
	unsigned at = NUMBER_MAX, base = conversion == 'x' || conversion == 'p' ? 16 : conversion == 'o' ? 8 : 10;
	bool negative = (conversion == 'd' || conversion == 'i') && value >> 63;

	if (conversion == 'c') {
		text[0] = (char)value;
		put(p, text, 1);
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
	put(p, text + at, NUMBER_MAX - at);
}

#define STRING_MAX 256

static void string_print(struct printer *p, uint64_t address)
{
	const struct agent_source *source = p->source;
	uint64_t value;

	for (unsigned i = 0; i < STRING_MAX; i++) {
		char byte;

		if (!source->memory(source->context, address + i, 1, &value) || !value)
			return;
		byte = (char)value;
		put(p, &byte, 1);
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

static const char *format_print(struct printer *p, const char *format, size_t length)
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
			if (!p->arguments)
				return "a format with more conversions than arguments";
			p->arguments--;
			value = *p->top--;
			if (format[i] == 's')
				string_print(p, value);
			else
				number_print(p, format[i], value);
			continue;
		}
		put(p, &c, 1);
	}
	return NULL;
}

/* On the stack: the function and the channel, then the arguments. */
static __attribute__((noinline)) const char *print(const struct agent_source *source, const struct agent_op *op,
						   const uint64_t *top, unsigned *left)
{
	struct printer printer = {
		.source = source,
		.top = top - 2,
		.arguments = op->value & PRINTF_ARGUMENTS,
		.left = left,
	};

	return format_print(&printer, (const char *)(op + 1), op->value >> PRINTF_LENGTH_SHIFT);
}

/* On to the next operation, with a jump of its own behind each: they are most of what an expression costs. */
#define NEXT() goto *labels[(++op)->op]

#define BINARY_LABELS(symbol, name, type, operator) \
	, [OP_##symbol] = &&name, [OP_##symbol##_CONST32] = &&name##_const32, [OP_##symbol##_GPR] = &&name##_gpr

#define OPERATION(name, type, operator, b)                  \
	name:                                               \
	value = (b);                                        \
	*top = (uint64_t)((type)*top operator(type) value); \
	NEXT();

#define BINARY(symbol, name, type, operator)                 \
	OPERATION(name, type, operator, * top--)             \
	OPERATION(name##_const32, type, operator, op->value) \
	OPERATION(name##_gpr, type, operator, gpr[op->value])

const char *agent_evaluate(const struct agent_source *source, const struct agent_op *op, uint64_t *result)
{
	/* of those that the compiler makes */
	static const void *const labels[OP_COUNT] = {
		[OP_FAIL] = &&fail,
		[OP_GPR] = &&gpr,
		[OP_CONST32] = &&const32,
		[OP_CONST64] = &&const64,
		[OP_REG] = &&reg,
		[OP_REF8... OP_REF64] = &&ref,
		[OP_DIV_SIGNED... OP_REM_UNSIGNED] = &&divide,
		[OP_LSH... OP_RSH_UNSIGNED] = &&shift,
		[OP_LOG_NOT] = &&log_not,
		[OP_BIT_NOT] = &&bit_not,
		[OP_EXT] = &&ext,
		[OP_ZERO_EXT] = &&zero_ext,
		[OP_DUP] = &&dup,
		[OP_POP] = &&pop,
		[OP_SWAP] = &&swap,
		[OP_PICK] = &&pick,
		[OP_ROT] = &&rot,
		[OP_IF_GOTO] = &&if_goto,
		[OP_GOTO] = &&jump,
		[OP_PRINTF] = &&print,
		[OP_END] = &&end AGENT_BINARY(BINARY_LABELS),
	};
	const uint64_t *const gpr = source->gpr;
	uint64_t stack[1 + AGENT_STACK_MAX], *top = stack, value;
	unsigned print_left = AGENT_PRINT_MAX;
	int64_t back_left = AGENT_BACK_MAX, by;
	const char *error;

	stack[0] = 0;
	goto *labels[op->op];

gpr:
	*++top = gpr[op->value];
	NEXT();
const32:
	*++top = op->value;
	NEXT();
const64:
	memcpy(++top, ++op, sizeof(*top));
	NEXT();
reg:
	if (!source->reg(source->context, op->value, ++top))
		return "a register that does not exist";
	NEXT();
ref:
	if (!source->memory(source->context, *top, 1u << (op->op - OP_REF8), top))
		return "memory that cannot be read";
	NEXT();
	AGENT_BINARY(BINARY)
divide:
	top--;
	error = divide(op->op, top[0], top[1], &top[0]);
	if (error)
		return error;
	NEXT();
shift:
	top--;
	top[0] = shift(top[0], top[1], op->op);
	NEXT();
log_not:
	*top = !*top;
	NEXT();
bit_not:
	*top = ~*top;
	NEXT();
ext:
	*top = sign_extend(*top, op->value);
	NEXT();
zero_ext:
	*top = zero_extend(*top, op->value);
	NEXT();
dup:
	top++;
	top[0] = top[-1];
	NEXT();
pop:
	top--;
	NEXT();
swap:
	value = top[0];
	top[0] = top[-1];
	top[-1] = value;
	NEXT();
pick:
	value = top[-(int)op->value];
	*++top = value;
	NEXT();
rot: /* a b c, c on top, becomes c a b */
	value = top[0];
	top[0] = top[-1];
	top[-1] = top[-2];
	top[-2] = value;
	NEXT();
if_goto:
	if (!*top--)
		NEXT();
jump:
	by = (int32_t)op->value;
	if (by <= 0 && (back_left += by - 1) < 0)
		return "a loop without end";
	op += by - 1;
	NEXT();
print:
	error = print(source, op, top, &print_left);
	if (error)
		return error;
	top -= 2 + (op->value & PRINTF_ARGUMENTS);
	op += PRINTF_OPS(op->value >> PRINTF_LENGTH_SHIFT);
	NEXT();
fail:
	return reasons[op->value];
end:
	*result = *top;
	return NULL;
}
