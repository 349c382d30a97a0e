/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A descent over the grammar, with the value as it goes.
 */
#include "client/croft/expr.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LENGTH 128
#define DEPTH_MAX	32

struct expr {
	struct shell *shell;
	const char *all, *at;
	unsigned depth;
	enum croft_status status;
	struct croft_error *error;
};

static uint64_t expr_sum(struct expr *e);

static uint64_t fail(struct expr *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

static uint64_t fail(struct expr *e, const char *format, ...)
{
	va_list arguments;

	if (e->status)
		return 0;
	e->status = e->error->status = CROFT_ERROR_ARGUMENT;
	va_start(arguments, format);
	vsnprintf(e->error->text, sizeof(e->error->text), format, arguments);
	va_end(arguments);
	return 0;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$' || c == '@';
}

static uint64_t number(struct expr *e)
{
	const char *begin = e->at;
	bool hex = begin[0] == '0' && (begin[1] == 'x' || begin[1] == 'X');
	uint64_t value = 0, base = hex ? 16 : 10;
	const char *first = e->at += hex ? 2 : 0;

	for (; hex ? isxdigit((unsigned char)*e->at) : isdigit((unsigned char)*e->at); e->at++) {
		char c = (char)tolower((unsigned char)*e->at);
		uint64_t digit = (uint64_t)(c > '9' ? c - 'a' + 10 : c - '0');

		if (value > (UINT64_MAX - digit) / base)
			return fail(e, "%s: larger than 64 bits", e->all);
		value = value * base + digit;
	}
	if (e->at != first && *e->at && strchr("KMGT", *e->at)) {
		unsigned shift = 10u * (unsigned)(strchr("KMGT", *e->at) - "KMGT" + 1);

		if (value >> (64 - shift))
			return fail(e, "%s: larger than 64 bits", e->all);
		value <<= shift;
		e->at++;
	}
	if (e->at == first || is_name(*e->at))
		return fail(e, "%s: not a number%s", e->all, hex ? "" : "; hexadecimal ones begin with 0x");
	return value;
}

/* --- registers --- */

/* Names for parts of registers: eax, ax, al, ah; r8d, r8w, r8b; eip, ip. False: not such a name. */
static bool part_of(const char *name, char *whole, unsigned *shift, unsigned *bits)
{
	static const char *const letters[] = {"ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "ip"};
	size_t length = strlen(name);

	*shift = 0;
	for (unsigned i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
		const char *l = letters[i];

		sprintf(whole, "r%s", l);
		*bits = 16;
		if (strcmp(name, l) == 0)
			return true;
		*bits = 32;
		if (name[0] == 'e' && strcmp(name + 1, l) == 0)
			return true;
		*bits = 8;
		*shift = name[1] == 'h' ? 8 : 0;
		if (i < 4 && length == 2 && name[0] == l[0] && (name[1] == 'l' || name[1] == 'h'))
			return true;
		*shift = 0;
		if (i >= 4 && i < 8 && length == 3 && strncmp(name, l, 2) == 0 && name[2] == 'l')
			return true;
	}
	if (name[0] != 'r' || !isdigit((unsigned char)name[1]) || length < 3 || length > 4)
		return false;
	strcpy(whole, name);
	whole[length - 1] = 0;
	*bits = name[length - 1] == 'd' ? 32 : name[length - 1] == 'w' ? 16 : 8;
	return strchr("dwb", name[length - 1]) != NULL;
}

bool expr_find_register(const struct shell *shell, const char *name, struct expr_register *found)
{
	static const char *const others[][2] = {{"pc", "rip"}, {"sp", "rsp"}, {"flags", "eflags"}};
	char whole[NAME_MAX_LENGTH];
	struct croft_register reg;

	name += *name == '$';
	if (!shell->vm || strlen(name) >= sizeof(whole))
		return false;
	if (part_of(name, whole, &found->shift, &found->bits)) {
		name = whole;
	} else {
		found->shift = 0;
		found->bits = 64;
	}
	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (strcmp(name, others[i][0]) == 0)
			name = others[i][1];
	}
	for (unsigned i = 0; croft_vm_register(shell->vm, i, &reg); i++) {
		if (strcmp(reg.name, name) != 0)
			continue;
		found->name = reg.name;
		found->number = reg.number;
		return reg.bytes <= 8;
	}
	return false;
}

/* True if it is one; its value, or an error. */
static bool find_register(struct expr *e, const char *name, uint64_t *value)
{
	struct expr_register reg;

	if (!expr_find_register(e->shell, name, &reg))
		return false;
	e->status = croft_cpu_read(croft_vm_cpu(e->shell->vm), reg.name, value, e->error);
	*value >>= reg.shift;
	if (reg.bits < 64)
		*value &= (1ull << reg.bits) - 1;
	return true;
}

/* --- the grammar --- */

static uint64_t name(struct expr *e)
{
	char text[NAME_MAX_LENGTH];
	size_t length = 0;
	uint64_t value = 0;
	bool only_register = *e->at == '$';

	e->at += only_register;
	while (is_name(*e->at) && length < sizeof(text) - 1)
		text[length++] = *e->at++;
	text[length] = 0;
	if (!length || is_name(*e->at))
		return fail(e, "%s: not an address or a number", e->all);
	if (find_register(e, text, &value))
		return value;
	if (only_register)
		return fail(e, "%s: there is no register %s", e->all, text);
	if (symbols_find(e->shell->symbols, text, &value))
		return value;
	return fail(e,
		    symbols_count(e->shell->symbols) ? "%s: no symbol and no register"
						     : "%s: no register; no symbols are loaded (see help symbols)",
		    text);
}

static uint64_t factor(struct expr *e)
{
	uint64_t value;

	if (e->status)
		return 0;
	if (*e->at == '-') {
		e->at++;
		if (++e->depth > DEPTH_MAX)
			return fail(e, "%s: too deep", e->all);
		value = 0 - factor(e);
		e->depth--;
		return value;
	}
	if (*e->at != '(')
		return isdigit((unsigned char)*e->at) ? number(e) : name(e);
	e->at++;
	if (++e->depth > DEPTH_MAX)
		return fail(e, "%s: too deep", e->all);
	value = expr_sum(e);
	e->depth--;
	if (!e->status && *e->at != ')')
		return fail(e, "%s: a parenthesis is open", e->all);
	if (!e->status)
		e->at++;
	return value;
}

static uint64_t expr_sum(struct expr *e)
{
	uint64_t sum = 0;
	char sign = '+';

	do {
		uint64_t product = factor(e);

		while (!e->status && *e->at == '*') {
			e->at++;
			product *= factor(e);
		}
		sum = sign == '+' ? sum + product : sum - product;
		sign = *e->at;
		if (sign == '+' || sign == '-')
			e->at++;
	} while (!e->status && (sign == '+' || sign == '-'));
	return sum;
}

/* The base of what stands before a colon: a segment register's own, or that of a selector. */
static uint64_t base_of(struct expr *e, const char *text, uint64_t selector)
{
	struct croft_cpu *cpu = e->shell->vm ? croft_vm_cpu(e->shell->vm) : NULL;
	static const char names[][3] = {"cs", "ss", "ds", "es", "fs", "gs"};
	struct croft_segment segment;
	enum croft_mode mode;

	if (!cpu)
		return selector << 4;
	text += *text == '$';
	for (unsigned i = 0; i < 6; i++) {
		if (strncmp(text, names[i], 2) == 0 && text[2] == ':') {
			e->status = croft_cpu_segment(cpu, names[i], &segment, e->error);
			return segment.base;
		}
	}
	e->status = croft_cpu_mode(cpu, &mode, e->error);
	if (e->status)
		return 0;
	if (mode == CROFT_MODE_REAL || mode == CROFT_MODE_V8086)
		return selector << 4;
	for (unsigned i = 0; i < 6; i++) {
		e->status = croft_cpu_segment(cpu, names[i], &segment, e->error);
		if (e->status)
			return 0;
		if (segment.selector == selector)
			return segment.base;
	}
	return fail(e, "%s: no segment register has that selector now", e->all);
}

enum croft_status expr_evaluate(struct shell *shell, const char *text, uint64_t *value, struct croft_error *error)
{
	struct expr e = {.shell = shell, .all = text, .at = text, .error = error};
	uint64_t result = expr_sum(&e);

	if (!e.status && *e.at == ':') {
		uint64_t base = base_of(&e, text, result);

		e.at++;
		result = base + expr_sum(&e);
	}
	if (!e.status && *e.at)
		fail(&e, "%s: not understood from \"%s\" on", text, e.at);
	*value = result;
	return e.status;
}

enum outcome expr_take(struct shell *shell, const char *text, uint64_t *value)
{
	struct croft_error error;

	if (!expr_evaluate(shell, text, value, &error))
		return OUTCOME_DONE;
	if (error.status == CROFT_ERROR_ARGUMENT)
		return shell_usage(shell, "%s", error.text);
	return shell_fail(shell, &error);
}
