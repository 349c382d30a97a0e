/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats, log, monitor.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LENGTH 1024

struct count {
	char name[32];
	uint64_t value;
};

static int compare(const void *left, const void *right)
{
	const struct count *a = left, *b = right;

	return (a->value < b->value) - (a->value > b->value);
}

/* Lines NAME=COUNT; the first is the format's version: docs/protocol.md */
static size_t take_counts(const char *text, struct count *counts, size_t max)
{
	size_t count = 0;

	for (const char *at = text; *at && count < max; at = strchrnul(at, '\n')) {
		at += *at == '\n';
		if (sscanf(at, "%31[^=\n]=%" SCNu64, counts[count].name, &counts[count].value) == 2)
			count++;
	}
	return count;
}

static enum outcome do_stats(struct shell *shell, struct args *args)
{
	struct count counts[128];
	struct croft_error error;
	size_t length, count;
	bool any = false;
	json_t *exits = NULL;
	char *text;

	if (args_left(args))
		return verb_misused(shell, &verb_stats, "too many arguments");
	if (croft_vm_object(shell->vm, "croft.stats", NULL, &text, &length, &error))
		return shell_fail(shell, &error);
	count = take_counts(text, counts, sizeof(counts) / sizeof(*counts));
	croft_free(text);
	if (!count || strcmp(counts[0].name, "version") != 0 || counts[0].value != 1)
		return shell_failed(shell, "the hypervisor's counters have a form that is not known");
	qsort(counts + 1, count - 1, sizeof(*counts), compare);
	if (shell->out.json)
		out_put(&shell->out, "counters", exits = json_object());
	for (size_t i = 1; i < count; i++) {
		json_object_set_new(exits, counts[i].name, exits ? json_integer((json_int_t)counts[i].value) : NULL);
		if (!counts[i].value)
			continue;
		out_ink(&shell->out, INK_NAME, "%-18s", counts[i].name);
		out_text(&shell->out, "%12" PRIu64 "\n", counts[i].value);
		any = true;
	}
	if (!any)
		out_text(&shell->out, "nothing yet\n");
	return OUTCOME_DONE;
}

const struct verb verb_stats = {
	.name = "stats",
	.aliases = "exits",
	.usage = "",
	.summary = "Shows how often the guest left its VM, and why",
	.help = "Counted since the guest's start; what never happened is left out.",
	.example = "stats",
	.flags = VERB_STOPPED,
	.choices = "",
	.run = do_stats,
};

static enum outcome do_log(struct shell *shell, struct args *args)
{
	struct croft_error error;
	size_t length;
	char *text;

	if (args_left(args))
		return verb_misused(shell, &verb_log, "too many arguments");
	if (croft_vm_object(shell->vm, "croft.log", NULL, &text, &length, &error))
		return shell_fail(shell, &error);
	out_text(&shell->out, "%s%s", text, length && text[length - 1] != '\n' ? "\n" : "");
	out_put(&shell->out, "log", json_stringn_nocheck(text, length));
	croft_free(text);
	return OUTCOME_DONE;
}

const struct verb verb_log = {
	.name = "log",
	.aliases = "",
	.usage = "",
	.summary = "Shows the hypervisor's log, as far as it remembers it",
	.help = "While the VM runs new lines appear by themselves, if the link has frames.",
	.example = "log",
	.flags = VERB_STOPPED,
	.choices = "",
	.run = do_log,
};

static enum outcome do_monitor(struct shell *shell, struct args *args)
{
	char line[LINE_MAX_LENGTH] = "";
	struct croft_error error;
	const char *word;
	size_t used = 0;

	if (!args_left(args))
		return verb_misused(shell, &verb_monitor, "a command; \"monitor help\" lists them");
	while ((word = args_next(args))) {
		size_t length = strlen(word);

		if (used + length + 2 > sizeof(line))
			return verb_misused(shell, &verb_monitor, "too long");
		if (used)
			line[used++] = ' ';
		memcpy(line + used, word, length + 1);
		used += length;
	}
	return croft_vm_monitor(shell->vm, line, NULL, NULL, &error) ? shell_fail(shell, &error) : OUTCOME_DONE;
}

const struct verb verb_monitor = {
	.name = "monitor",
	.aliases = "mon",
	.usage = "COMMAND...",
	.summary = "Has the hypervisor's own monitor do something",
	.help = "Its numbers are hexadecimal without 0x. On another stub it is that one's monitor.",
	.example = "monitor help\nmonitor info mem\nmonitor in 71 b",
	.flags = VERB_STOPPED,
	.choices = "help stats log",
	.run = do_monitor,
};
