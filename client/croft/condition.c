/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A descent over the grammar that writes code as it goes. "Debugging with GDB", "Bytecode Descriptions" (F.2)
 */
#include "client/croft/condition.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "client/croft/expr.h"
#include "core/debug/agent_format.h"

#define WORD_MAX  128
#define DEPTH_MAX 24 /* the hypervisor's stack has room for more */

struct compiler {
	struct shell *shell;
	const char *all, *at;
	uint8_t *code;
	size_t length;
	unsigned depth;
	enum croft_status status;
	struct croft_error *error;
};

/* What stands between two values. Those that bind closer have a higher level. */
static const struct binary {
	char text[3];
	uint8_t level, op, op_signed;
	bool swap, negate;
} operators[] = {
	/* the longer ones first */
	{"||", 1, 0, 0, false, false},
	{"&&", 2, 0, 0, false, false},
	{"==", 6, OP_EQUAL, OP_EQUAL, false, false},
	{"!=", 6, OP_EQUAL, OP_EQUAL, false, true},
	{"<<", 8, OP_LSH, OP_LSH, false, false},
	{">>", 8, OP_RSH_UNSIGNED, OP_RSH_SIGNED, false, false},
	{"<=", 7, OP_LESS_UNSIGNED, OP_LESS_SIGNED, true, true},
	{">=", 7, OP_LESS_UNSIGNED, OP_LESS_SIGNED, false, true},
	{"<", 7, OP_LESS_UNSIGNED, OP_LESS_SIGNED, false, false},
	{">", 7, OP_LESS_UNSIGNED, OP_LESS_SIGNED, true, false},
	{"|", 3, OP_BIT_OR, OP_BIT_OR, false, false},
	{"^", 4, OP_BIT_XOR, OP_BIT_XOR, false, false},
	{"&", 5, OP_BIT_AND, OP_BIT_AND, false, false},
	{"+", 9, OP_ADD, OP_ADD, false, false},
	{"-", 9, OP_SUB, OP_SUB, false, false},
	{"*", 10, OP_MUL, OP_MUL, false, false},
	{"/", 10, OP_DIV_UNSIGNED, OP_DIV_SIGNED, false, false},
	{"%", 10, OP_REM_UNSIGNED, OP_REM_SIGNED, false, false},
};

#define LEVEL_LOWEST 1u
#define LEVEL_OR     1u
#define LEVEL_AND    2u
#define LEVEL_SHIFT  8u

static bool compile_level(struct compiler *c, unsigned level);

static bool fail(struct compiler *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct compiler *c, const char *format, ...)
{
	va_list arguments;

	if (c->status)
		return false;
	c->status = c->error->status = CROFT_ERROR_ARGUMENT;
	va_start(arguments, format);
	vsnprintf(c->error->text, sizeof(c->error->text), format, arguments);
	va_end(arguments);
	return false;
}

static void emit(struct compiler *c, unsigned byte)
{
	if (c->length == CONDITION_MAX)
		fail(c, "%s: too long a condition", c->all);
	else
		c->code[c->length++] = (uint8_t)byte;
}

static void emit_constant(struct compiler *c, uint64_t value)
{
	unsigned size = value >> 32 ? 3 : value >> 16 ? 2 : value >> 8 ? 1 : 0;

	emit(c, OP_CONST8 + size);
	for (unsigned bytes = 1u << size; bytes-- > 0;)
		emit(c, (unsigned)(value >> (8 * bytes)) & 0xff);
}

/* A jump, to a place that is not known yet. Returns where it has to be written. */
static size_t emit_jump(struct compiler *c, unsigned op)
{
	emit(c, op);
	emit(c, 0);
	emit(c, 0);
	return c->length - 2;
}

static void jump_here(struct compiler *c, size_t jump)
{
	if (c->status)
		return;
	c->code[jump] = (uint8_t)(c->length >> 8);
	c->code[jump + 1] = (uint8_t)c->length;
}

static void skip_blanks(struct compiler *c)
{
	while (isspace((unsigned char)*c->at))
		c->at++;
}

static bool take(struct compiler *c, char wanted)
{
	skip_blanks(c);
	if (*c->at != wanted)
		return false;
	c->at++;
	return true;
}

static void take_close(struct compiler *c, char wanted)
{
	if (!take(c, wanted))
		fail(c, "%s: %c is missing before \"%s\"", c->all, wanted, c->at);
}

/* "u8" to "i64": the bits, or 0. */
static unsigned width_of(const char *word)
{
	static const char *const texts[] = {"8", "16", "32", "64"};

	if (word[0] != 'u' && word[0] != 'i')
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(word + 1, texts[i]) == 0)
			return 8u << i;
	}
	return 0;
}

/* u32[ADDRESS] or i8(VALUE), from behind its word. */
static bool compile_width(struct compiler *c, unsigned bits, bool is_signed)
{
	bool memory = take(c, '[');

	if (!memory && !take(c, '('))
		return fail(c, "%s: a width has [ADDRESS] or (VALUE) behind it", c->all);
	compile_level(c, LEVEL_LOWEST);
	take_close(c, memory ? ']' : ')');
	if (memory)
		emit(c, OP_REF8 + (bits == 8 ? 0u : bits == 16 ? 1u : bits == 32 ? 2u : 3u));
	/* memory comes without a sign */
	if (bits < 64 && (is_signed || !memory)) {
		emit(c, is_signed ? OP_EXT : OP_ZERO_EXT);
		emit(c, bits);
	}
	return is_signed;
}

static void compile_register(struct compiler *c, const struct expr_register *reg)
{
	emit(c, OP_REG);
	emit(c, reg->number >> 8);
	emit(c, reg->number & 0xff);
	if (reg->shift) {
		emit_constant(c, reg->shift);
		emit(c, OP_RSH_UNSIGNED);
	}
	if (reg->bits < 64) {
		emit(c, OP_ZERO_EXT);
		emit(c, reg->bits);
	}
}

/* A number, a register, a symbol, or what begins with a width. */
static bool compile_word(struct compiler *c)
{
	struct expr_register reg;
	char word[WORD_MAX];
	size_t length = 0;
	uint64_t value = 0;

	while (length < sizeof(word) - 1 && *c->at && (isalnum((unsigned char)*c->at) || strchr("_.$@", *c->at)))
		word[length++] = *c->at++;
	word[length] = 0;
	if (!length)
		return fail(c, "%s: not understood from \"%s\" on", c->all, c->at);
	if (width_of(word) && *c->at && strchr("[(", *c->at))
		return compile_width(c, width_of(word), word[0] == 'i');
	if (expr_find_register(c->shell, word, &reg)) {
		compile_register(c, &reg);
		return false;
	}
	c->status = expr_evaluate(c->shell, word, &value, c->error);
	emit_constant(c, value);
	return isdigit((unsigned char)word[0]) && !(value >> 63);
}

/* Each of these returns whether its value has a sign. */
static bool compile_unary(struct compiler *c)
{
	bool is_signed = true;

	skip_blanks(c);
	if (c->status)
		return false;
	if (++c->depth > DEPTH_MAX)
		return fail(c, "%s: too deep", c->all);
	if (take(c, '(')) {
		is_signed = compile_level(c, LEVEL_LOWEST);
		take_close(c, ')');
	} else if (take(c, '!')) {
		compile_unary(c);
		emit(c, OP_LOG_NOT);
	} else if (take(c, '~')) {
		is_signed = compile_unary(c);
		emit(c, OP_BIT_NOT);
	} else if (take(c, '-')) {
		emit_constant(c, 0);
		is_signed = compile_unary(c);
		emit(c, OP_SUB);
	} else {
		is_signed = compile_word(c);
	}
	c->depth--;
	return is_signed;
}

/* The operator that comes next, if it binds as close as that; NULL: none. */
static const struct binary *take_operator(struct compiler *c, unsigned level)
{
	skip_blanks(c);
	for (unsigned i = 0; i < sizeof(operators) / sizeof(*operators); i++) {
		size_t length = strlen(operators[i].text);

		if (strncmp(c->at, operators[i].text, length) != 0)
			continue;
		if (operators[i].level != level)
			return NULL;
		c->at += length;
		return &operators[i];
	}
	return NULL;
}

/* The right side is not looked at if the left one decides: what it reads may not be there. */
static void compile_logical(struct compiler *c, unsigned level)
{
	size_t right, end;

	if (level == LEVEL_OR)
		emit(c, OP_LOG_NOT);
	right = emit_jump(c, OP_IF_GOTO);
	emit_constant(c, level == LEVEL_OR);
	end = emit_jump(c, OP_GOTO);
	jump_here(c, right);
	compile_level(c, level + 1);
	emit(c, OP_LOG_NOT);
	emit(c, OP_LOG_NOT);
	jump_here(c, end);
}

static bool compile_level(struct compiler *c, unsigned level)
{
	const struct binary *op;
	bool is_signed, right;

	if (level > operators[sizeof(operators) / sizeof(*operators) - 1].level)
		return compile_unary(c);
	is_signed = compile_level(c, level + 1);
	while (!c->status && (op = take_operator(c, level)) != NULL) {
		if (!op->op) {
			compile_logical(c, level);
			is_signed = true;
			continue;
		}
		right = compile_level(c, level + 1);
		if (level != LEVEL_SHIFT)
			is_signed &= right;
		if (op->swap)
			emit(c, OP_SWAP);
		emit(c, is_signed ? op->op_signed : op->op);
		if (op->negate)
			emit(c, OP_LOG_NOT);
		/* a truth is an int */
		is_signed |= op->op == OP_EQUAL || op->op == OP_LESS_UNSIGNED;
	}
	return is_signed;
}

enum croft_status condition_compile(struct shell *shell, const char *text, uint8_t code[CONDITION_MAX], size_t *length,
				    struct croft_error *error)
{
	struct compiler c = {.shell = shell, .all = text, .at = text, .code = code, .error = error};

	compile_level(&c, LEVEL_LOWEST);
	emit(&c, OP_END);
	skip_blanks(&c);
	if (*c.at)
		fail(&c, "%s: not understood from \"%s\" on", text, c.at);
	*length = c.status ? 0 : c.length;
	return c.status;
}
