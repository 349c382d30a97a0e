/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * croft: looks at a machine that runs in Undercroft, and steers it. Options, the target, and the way out.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <undercroft/version.h>

#include "client/croft/generate.h"
#include "client/croft/targets.h"
#include "client/croft/verb.h"

struct options {
	const char *target, *symbols;
	unsigned flags, timeout_ms;
	bool json, no_colours;
};

static void usage(FILE *to)
{
	fputs("usage: croft [-t TARGET] [-s FILE] [-o json] [--timeout MS] [--plain] [VERB [ARGUMENT...]]\n"
	      "\n"
	      "Without a VERB: a shell, or verbs from standard input, one a line.\n"
	      "\n"
	      "  -t, --target TARGET   tcp:HOST:PORT, unix:PATH, serial:PATH[,BAUD], pty:PATH, or a name of the "
	      "configuration\n"
	      "  -s, --symbols FILE    System.map, vmlinux, or \"kallsyms\" for those of the running Linux\n"
	      "  -o, --output FORMAT   text (default) or json: one object a verb, one a line\n"
	      "      --timeout MS      how long an answer may take (default: 5000)\n"
	      "      --plain           plain RSP, even with Undercroft\n"
	      "      --no-color        no colours; so does NO_COLOR in the environment\n"
	      "      --completion      print the completion for bash, and end\n"
	      "  -h, --help            this; \"croft help\" lists the verbs\n"
	      "      --version         the version\n"
	      "\n"
	      "exit status: 0 done, 1 refused or not found, 2 usage, 3 no target, 4 link lost, 130 interrupted\n",
	      to);
}

enum { OPTION_TIMEOUT = 256, OPTION_PLAIN, OPTION_NO_COLOR, OPTION_COMPLETION, OPTION_VERSION, OPTION_VERBS };

/* Returns below 0 to go on, or the exit status. */
static int take_options(int count, char **words, struct options *options)
{
	static const struct option longs[] = {{"target", required_argument, NULL, 't'},
					      {"symbols", required_argument, NULL, 's'},
					      {"output", required_argument, NULL, 'o'},
					      {"timeout", required_argument, NULL, OPTION_TIMEOUT},
					      {"plain", no_argument, NULL, OPTION_PLAIN},
					      {"no-color", no_argument, NULL, OPTION_NO_COLOR},
					      {"completion", no_argument, NULL, OPTION_COMPLETION},
					      {"man-verbs", no_argument, NULL, OPTION_VERBS},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, OPTION_VERSION},
					      {0}};
	char *end;
	int option;

	/* "+": what stands behind the verb is the verb's */
	while ((option = getopt_long(count, words, "+t:s:o:h", longs, NULL)) >= 0) {
		switch (option) {
		case 't':
			options->target = optarg;
			break;
		case 's':
			options->symbols = optarg;
			break;
		case 'o':
			options->json = strcmp(optarg, "json") == 0;
			if (!options->json && strcmp(optarg, "text") != 0) {
				fprintf(stderr, "croft: -o json or -o text\n");
				return OUTCOME_USAGE;
			}
			break;
		case OPTION_TIMEOUT:
			options->timeout_ms = (unsigned)strtoul(optarg, &end, 10);
			if (*end || !options->timeout_ms) {
				fprintf(stderr, "croft: --timeout needs milliseconds\n");
				return OUTCOME_USAGE;
			}
			break;
		case OPTION_PLAIN:
			options->flags |= CROFT_OPEN_PLAIN;
			break;
		case OPTION_NO_COLOR:
			options->no_colours = true;
			break;
		case OPTION_COMPLETION:
			generate_completion(stdout);
			return OUTCOME_DONE;
		case OPTION_VERBS:
			generate_manual(stdout);
			return OUTCOME_DONE;
		case OPTION_VERSION:
			printf("croft " UNDERCROFT_VERSION "\n");
			return OUTCOME_DONE;
		case 'h':
			usage(stdout);
			return OUTCOME_DONE;
		default:
			usage(stderr);
			return OUTCOME_USAGE;
		}
	}
	return -1;
}

/* The target that is meant, with what the configuration says of it. */
static enum outcome find_target(const struct options *options, struct target *target)
{
	char path[4096];
	FILE *file = targets_path(path, sizeof(path)) ? fopen(path, "r") : NULL;
	const char *why;
	int wrong = targets_find(file, options->target, target, &why);

	if (file)
		fclose(file);
	if (!wrong)
		return OUTCOME_DONE;
	if (wrong < 0)
		fprintf(stderr, "croft: no memory\n");
	else
		fprintf(stderr, "croft: %s:%d: %s\n", path, wrong, why);
	return wrong < 0 ? OUTCOME_FAILED : OUTCOME_USAGE;
}

static enum outcome load_symbols(struct shell *shell, const char *from)
{
	struct croft_error error;
	bool kallsyms = strcmp(from, "kallsyms") == 0;

	if (kallsyms ? symbols_load_kallsyms(shell->symbols, shell->vm, NULL, NULL, &error)
		     : symbols_load(shell->symbols, from, &error))
		return shell_fail(shell, &error);
	if (!kallsyms && shell->vm)
		symbols_find_slide(shell->symbols, shell->vm);
	return OUTCOME_DONE;
}

static enum outcome run(struct shell *shell, const struct options *options, const struct target *target, int count,
			char **words)
{
	const struct verb *verb = count ? verb_find(words[0]) : NULL;
	const char *symbols = options->symbols ? options->symbols : target->symbols;
	bool alone = verb && verb->flags & VERB_ALONE && !options->target;
	enum outcome outcome = OUTCOME_DONE, last;

	if (count && !verb)
		return shell_do(shell, count, words);
	if (!alone)
		outcome = shell_attach(shell, options->flags,
				       options->timeout_ms ? options->timeout_ms : target->timeout_ms);
	if (!outcome && symbols)
		outcome = load_symbols(shell, symbols);
	if (outcome && shell->out.json) {
		json_dumpf(shell->out.json, shell->out.to, JSON_COMPACT);
		fputc('\n', shell->out.to);
	}
	if (!outcome && count)
		outcome = shell_do(shell, count, words);
	else if (!outcome && shell->interactive)
		outcome = shell_interact(shell);
	else if (!outcome)
		outcome = shell_script(shell, stdin);
	last = shell_detach(shell);
	return outcome ? outcome : last;
}

int main(int count, char **words)
{
	struct shell shell = {.out = {.to = stdout}};
	struct options options = {0};
	struct target target;
	enum outcome outcome;
	int status = take_options(count, words, &options);

	if (status >= 0)
		return status;
	/* who reads our output may go: that is an error when writing, not our end in the midst of something */
	signal(SIGPIPE, SIG_IGN);
	outcome = find_target(&options, &target);
	shell.symbols = symbols_new();
	if (!shell.symbols) {
		fprintf(stderr, "croft: no memory\n");
		outcome = OUTCOME_FAILED;
	}
	shell.target = target.target;
	shell.out.colours = !options.no_colours && out_wants_colours(stdout);
	shell.out.json = options.json ? json_object() : NULL;
	shell.interactive = optind == count && !options.json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (!outcome)
		outcome = run(&shell, &options, &target, count - optind, words + optind);
	if (fflush(stdout) && !outcome)
		outcome = OUTCOME_FAILED;
	json_decref(shell.out.json);
	symbols_free(shell.symbols);
	free(shell.copy);
	target_free(&target);
	return (int)outcome;
}
