/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * search.
 */
#include "client/croft/verb.h"

#include <inttypes.h>

#include "client/croft/bytes.h"
#include "client/croft/expr.h"

#define COUNT_DEFAULT 16u

static enum outcome search(struct shell *shell, struct croft_space space, uint64_t start, uint64_t length,
			   uint64_t count, const uint8_t *pattern, size_t size)
{
	json_t *list = out_array(&shell->out, "found");
	struct croft_error error;
	enum croft_status status = CROFT_OK;
	uint64_t shown = 0, at;

	while (shown < count && length >= size) {
		status = croft_memory_search(shell->vm, space, start, length, pattern, size, &at, &error);
		if (status)
			break;
		json_t *item = out_item(list);

		out_address(&shell->out, at, 0);
		if (item)
			json_object_set_new(item, "address", out_hex(&shell->out, at));
		if (space.kind != CROFT_SPACE_PHYSICAL)
			shell_symbol(shell, at, item);
		out_text(&shell->out, "\n");
		fflush(shell->out.to);
		shown++;
		length -= at + 1 - start;
		start = at + 1;
	}
	if (status && status != CROFT_ERROR_NOT_FOUND)
		return shell_fail(shell, &error);
	if (!shown)
		return shell_failed(shell, "not found");
	if (!status && length >= size)
		out_ink(&shell->out, INK_DIM, "... and perhaps more: -n COUNT, or from 0x%" PRIx64 " on\n", start);
	return OUTCOME_DONE;
}

static enum outcome do_search(struct shell *shell, struct args *args)
{
	struct croft_space space = croft_current();
	uint64_t start, length, count = COUNT_DEFAULT;
	enum outcome outcome = OUTCOME_DONE;
	uint8_t pattern[BYTES_MAX];
	const char *value;
	size_t size;
	char option;

	while (!outcome && (option = args_option(args, "pc:n:", &value))) {
		if (option == 'p')
			space = croft_physical();
		else if (option == 'c')
			outcome = verb_take_cr3(shell, value, &space);
		else if (option == 'n')
			outcome = expr_take(shell, value, &count);
		else
			outcome = verb_misused(shell, &verb_search, "not an option: %s", value);
	}
	if (outcome)
		return outcome;
	if (args_left(args) < 3)
		return verb_misused(shell, &verb_search, "where, how far and what");
	outcome = expr_take(shell, args_next(args), &start);
	if (!outcome)
		outcome = expr_take(shell, args_next(args), &length);
	if (!outcome)
		outcome = bytes_take(shell, args, pattern, &size);
	return outcome ? outcome : search(shell, space, start, length, count, pattern, size);
}

const struct verb verb_search = {
	.name = "search",
	.aliases = "find",
	.usage = "[-p | -c CR3] [-n COUNT] START LENGTH BYTES...",
	.summary = "Looks for bytes in memory",
	.help = "The hypervisor does the looking: only what is found crosses the wire. What is not mapped is passed "
		"over.\n"
		"-p        guest-physical addresses\n"
		"-c CR3    by other page tables\n"
		"-n COUNT  so many at most; 16\n"
		"BYTES     pairs of hexadecimal digits, text:..., u8: u16: u32: u64: with a number\n"
		"Status 1: there is none.",
	.example =
		"search 0xffffffff80000000 64M 'text:Linux version'\nsearch -p 0 512M 0f 01 d9\nsearch rsp 8K u64:rip",
	.flags = VERB_STOPPED,
	.words = WORD_EXPRESSION,
	.choices = "-p -c -n",
	.run = do_search,
};
