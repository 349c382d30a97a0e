/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * break, watch, delete.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <string.h>

#include "client/croft/condition.h"
#include "client/croft/expr.h"

#define CONDITION_TEXT_MAX 256

static void show_one(struct shell *shell, const struct croft_breakpoint *b, json_t *list)
{
	static const char *const kinds[] = {"soft", "hard", "write", "read", "access"};
	const struct croft_break *what = croft_breakpoint_what(b);
	struct out *out = &shell->out;
	json_t *item = out_item(list);
	char text[128 + CONDITION_TEXT_MAX];

	croft_breakpoint_describe(b, text, sizeof(text));
	out_text(out, "%s", text);
	if (item) {
		json_object_set_new(item, "name", json_string(what->name));
		json_object_set_new(item, "kind", json_string(kinds[what->kind]));
		json_object_set_new(item, "address", out_hex(out, what->address));
		json_object_set_new(item, "length", json_integer((json_int_t)what->length));
		if (what->condition_text)
			json_object_set_new(item, "condition", json_string(what->condition_text));
		json_object_set_new(item, "hits", json_integer((json_int_t)croft_breakpoint_hits(b)));
	}
	shell_symbol(shell, what->address, item);
	if (what->space.kind == CROFT_SPACE_CR3) {
		out_text(out, "  cr3 0x%" PRIx64, what->space.cr3);
		if (item)
			json_object_set_new(item, "cr3", out_hex(out, what->space.cr3));
	}
	if (croft_breakpoint_hits(b))
		out_ink(out, INK_DIM, "  %" PRIu64 " hit%s", croft_breakpoint_hits(b),
			croft_breakpoint_hits(b) == 1 ? "" : "s");
	out_text(out, "\n");
}

static enum outcome list(struct shell *shell)
{
	json_t *array = out_array(&shell->out, "breakpoints");
	struct croft_breakpoint *b = NULL;
	bool any = false;

	while ((b = croft_breakpoint_next(shell->vm, b))) {
		show_one(shell, b, array);
		any = true;
	}
	if (!any)
		out_text(&shell->out, "no breakpoints\n");
	return OUTCOME_DONE;
}

/* "if CONDITION": the words behind it, which lie in text then. False: there is no such word. */
static bool take_condition(struct args *args, char text[CONDITION_TEXT_MAX])
{
	int at = args->at;

	while (at < args->count && strcmp(args->word[at], "if") != 0)
		at++;
	if (at == args->count)
		return false;
	text[0] = 0;
	for (int i = at + 1; i < args->count; i++) {
		size_t used = strlen(text);

		snprintf(text + used, CONDITION_TEXT_MAX - used, "%s%s", used ? " " : "", args->word[i]);
	}
	args->count = at;
	return true;
}

/* condition: "if ..." was said; else NULL. */
static enum outcome add(struct shell *shell, struct croft_break *what, const char *condition)
{
	uint8_t code[CONDITION_MAX];
	struct croft_breakpoint *b;
	struct croft_error error;

	if (condition && strlen(condition) + 1 >= CONDITION_TEXT_MAX)
		return shell_usage(shell, "too long a condition");
	if (condition && condition_compile(shell, condition, code, &what->condition_length, &error))
		return error.status == CROFT_ERROR_ARGUMENT ? shell_usage(shell, "%s", error.text)
							    : shell_fail(shell, &error);
	if (condition) {
		what->condition = code;
		what->condition_text = condition;
	}
	if (croft_breakpoint_add(shell->vm, what, &b, &error))
		return shell_fail(shell, &error);
	show_one(shell, b, out_array(&shell->out, "breakpoints"));
	return OUTCOME_DONE;
}

/* Options of both verbs; false after one that is none. */
static enum outcome take_option(struct shell *shell, char option, const char *value, const struct verb *verb,
				struct croft_break *what)
{
	switch (option) {
	case 'c':
		return verb_take_cr3(shell, value, &what->space);
	case 'n':
		what->name = value;
		return OUTCOME_DONE;
	case 'h':
		what->kind = CROFT_BREAK_HARD;
		return OUTCOME_DONE;
	case 'r':
		what->kind = CROFT_WATCH_READ;
		return OUTCOME_DONE;
	case 'a':
		what->kind = CROFT_WATCH_ACCESS;
		return OUTCOME_DONE;
	default:
		return verb_misused(shell, verb, "not an option: %s", value);
	}
}

static enum outcome do_break(struct shell *shell, struct args *args)
{
	struct croft_break what = {.kind = CROFT_BREAK_SOFT, .space = croft_current()};
	enum outcome outcome = OUTCOME_DONE;
	char condition[CONDITION_TEXT_MAX];
	bool options = false, conditional = take_condition(args, condition);
	const char *value;
	char option;

	while (!outcome && (option = args_option(args, "hc:n:", &value))) {
		outcome = take_option(shell, option, value, &verb_break, &what);
		options = true;
	}
	if (outcome)
		return outcome;
	if (!args_left(args) && !options && !conditional)
		return list(shell);
	if (args_left(args) != 1)
		return verb_misused(shell, &verb_break, "one address");
	outcome = expr_take(shell, args_next(args), &what.address);
	return outcome ? outcome : add(shell, &what, conditional ? condition : NULL);
}

const struct verb verb_break = {
	.name = "break",
	.aliases = "b",
	.usage = "[-h] [-n NAME] [-c CR3] [ADDRESS [if CONDITION]]",
	.summary = "Sets a breakpoint at a linear address, or lists all",
	.help = "-h       in a debug register of the CPU, which leaves memory as it is\n"
		"-n NAME  what it is called; otherwise b1, b2 ...\n"
		"-c CR3   only while these page tables are in use\n"
		"if CONDITION  it stops the VM if that is not 0. The hypervisor evaluates it, so that a false one "
		"costs "
		"little: registers, symbols and numbers with C's operators; u8[ADDRESS] to u64[ADDRESS] is memory, "
		"i8[] to i64[] with its sign, u8(VALUE) to i64(VALUE) a value's low bits.\n"
		"Breakpoints go when croft leaves.",
	.example = "break 0x7c00\nbreak -n syscall entry_SYSCALL_64 if rax == 59\n"
		   "break 0x7c00 if u16[0x7dfe] == 0xaa55 && dl >= 0x80\nbreak",
	.flags = VERB_STOPPED,
	.words = WORD_EXPRESSION,
	.choices = "-h -n -c if",
	.run = do_break,
};

static enum outcome do_watch(struct shell *shell, struct args *args)
{
	struct croft_break what = {.kind = CROFT_WATCH_WRITE, .space = croft_current()};
	enum outcome outcome = OUTCOME_DONE;
	char condition[CONDITION_TEXT_MAX];
	bool options = false, conditional = take_condition(args, condition);
	const char *value;
	char option;

	while (!outcome && (option = args_option(args, "rac:n:", &value))) {
		outcome = take_option(shell, option, value, &verb_watch, &what);
		options = true;
	}
	if (outcome)
		return outcome;
	if (!args_left(args) && !options && !conditional)
		return list(shell);
	if (!args_left(args) || args_left(args) > 2)
		return verb_misused(shell, &verb_watch, "an address and a length");
	outcome = expr_take(shell, args_next(args), &what.address);
	if (!outcome)
		outcome = verb_take(shell, args, 4, &what.length);
	if (!outcome && !what.length)
		outcome = verb_misused(shell, &verb_watch, "a length of at least 1");
	return outcome ? outcome : add(shell, &what, conditional ? condition : NULL);
}

const struct verb verb_watch = {
	.name = "watch",
	.aliases = "w",
	.usage = "[-r|-a] [-n NAME] [-c CR3] [ADDRESS [LENGTH] [if CONDITION]]",
	.summary = "Stops the VM when memory is written, or read",
	.help = "LENGTH is in bytes, 4 if it is not given.\n"
		"-r       when it is read\n"
		"-a       either\n"
		"-n NAME  what it is called\n"
		"-c CR3   only while these page tables are in use\n"
		"if CONDITION  as of break",
	.example = "watch -n esp0 0xc1331f14 4\nwatch -a jiffies 8\nwatch counter 4 if u32[counter] > 1000",
	.flags = VERB_STOPPED,
	.words = WORD_EXPRESSION,
	.choices = "-r -a -n -c if",
	.run = do_watch,
};

static enum outcome delete_all(struct shell *shell)
{
	struct croft_breakpoint *b;
	struct croft_error error;

	while ((b = croft_breakpoint_next(shell->vm, NULL))) {
		if (croft_breakpoint_remove(b, &error))
			return shell_fail(shell, &error);
	}
	return OUTCOME_DONE;
}

static enum outcome do_delete(struct shell *shell, struct args *args)
{
	struct croft_error error;
	const char *name;

	if (!args_left(args))
		return verb_misused(shell, &verb_delete, "which?");
	while ((name = args_next(args))) {
		struct croft_breakpoint *b = croft_breakpoint_find(shell->vm, name);
		enum outcome outcome = OUTCOME_DONE;

		if (b)
			outcome = croft_breakpoint_remove(b, &error) ? shell_fail(shell, &error) : OUTCOME_DONE;
		else if (strcmp(name, "all") == 0)
			outcome = delete_all(shell);
		else
			outcome = shell_failed(shell, "there is no breakpoint %s", name);
		if (outcome)
			return outcome;
	}
	return OUTCOME_DONE;
}

const struct verb verb_delete = {
	.name = "delete",
	.aliases = "del",
	.usage = "NAME...|all",
	.summary = "Removes breakpoints and watchpoints",
	.help = "",
	.example = "delete b1\ndelete all",
	.flags = VERB_STOPPED,
	.words = WORD_BREAKPOINT,
	.choices = "all",
	.run = do_delete,
};
