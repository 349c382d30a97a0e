/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * help, quit.
 */
#include "client/croft/verb.h"

#include <string.h>

/* Lines, indented. */
static void show_lines(struct shell *shell, enum ink ink, const char *text)
{
	for (const char *at = text, *end; *at; at = *end ? end + 1 : end) {
		end = strchrnul(at, '\n');
		out_ink(&shell->out, ink, "  %.*s", (int)(end - at), at);
		out_text(&shell->out, "\n");
	}
}

static void show_verb(struct shell *shell, const struct verb *verb)
{
	struct out *out = &shell->out;

	out_ink(out, INK_NAME, "%s", verb->name);
	out_text(out, "%s%s\n  %s.\n", verb->usage[0] ? " " : "", verb->usage, verb->summary);
	if (verb->aliases[0])
		out_text(out, "  Also: %s\n", verb->aliases);
	if (verb->help[0]) {
		out_text(out, "\n");
		show_lines(shell, INK_PLAIN, verb->help);
	}
	out_text(out, "\n");
	show_lines(shell, INK_CODE, verb->example);
	out_put(out, "verb", json_string(verb->name));
	out_put(out, "usage", json_string(verb->usage));
	out_put(out, "summary", json_string(verb->summary));
	out_put(out, "aliases", json_string(verb->aliases));
	out_put(out, "help", json_string(verb->help));
	out_put(out, "example", json_string(verb->example));
}

static void show_all(struct shell *shell)
{
	struct out *out = &shell->out;
	json_t *list = out_array(out, "verbs");
	const struct verb *verb;

	for (unsigned i = 0; (verb = verb_at(i)); i++) {
		json_t *item = out_item(list);

		out_ink(out, INK_NAME, "  %-11s", verb->name);
		out_text(out, "%s\n", verb->summary);
		json_object_set_new(item, "verb", json_string(verb->name));
		json_object_set_new(item, "summary", json_string(verb->summary));
	}
	out_text(out, "\n\"help VERB\" has its arguments and an example. Addresses: 0x7c00, cs:ip, rsp+8, "
		      "start_kernel+0x10.\n");
	if (shell->interactive)
		out_text(out, "^C stops the VM, and a second one leaves it running and quits. ^D lets it go on.\n");
}

static enum outcome do_help(struct shell *shell, struct args *args)
{
	const char *name = args_next(args);
	const struct verb *verb;

	if (!name) {
		show_all(shell);
		return OUTCOME_DONE;
	}
	verb = verb_find(name);
	if (!verb)
		return shell_usage(shell, "there is no verb %s", name);
	show_verb(shell, verb);
	return OUTCOME_DONE;
}

const struct verb verb_help = {
	.name = "help",
	.aliases = "h ?",
	.usage = "[VERB]",
	.summary = "Lists the verbs, or tells what one does",
	.help = "",
	.example = "help break",
	.flags = VERB_ALONE,
	.words = WORD_VERB,
	.choices = "",
	.run = do_help,
};

static enum outcome do_quit(struct shell *shell, struct args *args)
{
	(void)args;
	shell->quit = true;
	return OUTCOME_DONE;
}

const struct verb verb_quit = {
	.name = "quit",
	.aliases = "q exit detach",
	.usage = "",
	.summary = "Removes all breakpoints, leaves the VM running and ends croft",
	.help = "",
	.example = "quit",
	.flags = VERB_ALONE,
	.choices = "",
	.run = do_quit,
};
