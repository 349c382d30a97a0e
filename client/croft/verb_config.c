/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config check: what the hypervisor would say of a configuration, by its own parser.
 */
#include "client/croft/blob.h"
#include "client/croft/verb.h"

#include <stdlib.h>
#include <string.h>

#include <undercroft/config.h>
#include <undercroft/plugin.h>

#define TEXT_MAX 320

extern const struct plugin_setup *const __start_plugin_setups[], *const __stop_plugin_setups[];

static enum outcome check(struct shell *shell, const char *path, uint8_t *blob, size_t size)
{
	struct config_error error;
	struct config config;
	char text[TEXT_MAX];
	char why[64];
	ssize_t length;

	length = blob_read(path, blob, size, why, sizeof(why));
	if (length < 0)
		return shell_failed(shell, "%s: %s", path, why);
	out_put(&shell->out, "file", json_string(path));
	if (!config_parse(blob, (size_t)length, __start_plugin_setups,
			  (size_t)(__stop_plugin_setups - __start_plugin_setups), &config, &error)) {
		out_text(&shell->out, "%s: right\n", path);
		out_put(&shell->out, "valid", json_true());
		return OUTCOME_DONE;
	}
	config_error_format(&error, text, sizeof(text));
	out_put(&shell->out, "valid", json_false());
	out_put(&shell->out, "node", json_string(error.node));
	out_put(&shell->out, "property", json_string(error.property));
	out_put(&shell->out, "expected", json_string(error.expected));
	return shell_failed(shell, "%s: %s", path, text);
}

static enum outcome do_config(struct shell *shell, struct args *args)
{
	size_t size = CONFIG_BLOB_MAX + 1;
	enum outcome outcome;
	uint8_t *blob;

	if (args_left(args) != 2 || strcmp(args_next(args), "check") != 0)
		return verb_misused(shell, &verb_config, "one file");
	blob = aligned_alloc(8, (size + 7) & ~(size_t)7);
	if (!blob)
		return shell_failed(shell, "no memory");
	outcome = check(shell, args_next(args), blob, size);
	free(blob);
	return outcome;
}

const struct verb verb_config = {
	.name = "config",
	.aliases = "",
	.usage = "check FILE.dts|FILE.dtb",
	.summary = "Checks a configuration as Undercroft itself would",
	.help = "Needs no VM. A FILE.dts is compiled by dtc first. Status 1: it is wrong; node, property and what was "
		"expected\n"
		"are named. Which machine has which device is not known here.",
	.example = "config check undercroft.dts",
	.flags = VERB_ALONE,
	.words = WORD_FILE,
	.choices = "check",
	.run = do_config,
};
