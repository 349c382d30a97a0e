/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Completion and manual, from the verb table.
 */
#include "client/croft/generate.h"

#include <string.h>

#include "client/croft/verb.h"

void generate_completion(FILE *to)
{
	const struct verb *verb;

	fputs("# bash completion for croft(1); made by croft --completion\n"
	      "_croft()\n"
	      "{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= words= i\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t-t|-s|-o|--target|--symbols|--output|--timeout) ((i++)) ;;\n"
	      "\t\t-*|:|*:*) ;;\n"
	      "\t\t*) verb=${COMP_WORDS[i]}; break ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tif [[ -z $verb ]]; then\n"
	      "\t\tcase $prev in\n"
	      "\t\t-t|--target) words=\"tcp: unix: serial: pty: $(sed -n 's/^ *\\[\\(.*\\)\\].*/\\1/p' "
	      "\"${XDG_CONFIG_HOME:-$HOME/.config}/croft/config\" 2> /dev/null)\" ;;\n"
	      "\t\t-s|--symbols) COMPREPLY=($(compgen -f -W kallsyms -- \"$cur\")); return ;;\n"
	      "\t\t-o|--output) words=\"text json\" ;;\n"
	      "\t\t*) words=\"-t -s -o --target --symbols --output --timeout --plain --no-color --completion --help "
	      "--version",
	      to);
	for (unsigned i = 0; (verb = verb_at(i)); i++)
		fprintf(to, " %s", verb->name);
	fputs("\" ;;\n\t\tesac\n\telse\n\t\tcase $verb in\n", to);
	for (unsigned i = 0; (verb = verb_at(i)); i++) {
		if (verb->words & WORD_VERB) {
			const struct verb *other;

			fprintf(to, "\t\t%s) words=\"", verb->name);
			for (unsigned j = 0; (other = verb_at(j)); j++)
				fprintf(to, "%s%s", j ? " " : "", other->name);
			fputs("\" ;;\n", to);
		} else if (verb->words & WORD_FILE) {
			fprintf(to, "\t\t%s) COMPREPLY=($(compgen -f -W \"%s\" -- \"$cur\")); return ;;\n", verb->name,
				verb->choices);
		} else if (verb->choices[0]) {
			fprintf(to, "\t\t%s) words=\"%s\" ;;\n", verb->name, verb->choices);
		}
	}
	fputs("\t\tesac\n"
	      "\tfi\n"
	      "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	      "}\n"
	      "complete -o default -F _croft croft\n",
	      to);
}

/* Text for man(7): a hyphen is one, and no line begins with a request. */
static void put_text(FILE *to, const char *text)
{
	bool begin = true;

	for (; *text; text++) {
		if (begin && (*text == '.' || *text == '\''))
			fputs("\\&", to);
		if (*text == '-')
			fputs("\\-", to);
		else if (*text == '\\')
			fputs("\\e", to);
		else
			fputc(*text, to);
		begin = *text == '\n';
	}
}

static void put_lines(FILE *to, const char *text)
{
	fputs(".RS\n.nf\n", to);
	put_text(to, text);
	fputs("\n.fi\n.RE\n", to);
}

void generate_manual(FILE *to)
{
	const struct verb *verb;

	for (unsigned i = 0; (verb = verb_at(i)); i++) {
		fprintf(to, ".TP\n.BR %s", verb->name);
		if (verb->usage[0]) {
			fputs(" \" ", to);
			put_text(to, verb->usage);
			fputc('"', to);
		}
		fputc('\n', to);
		put_text(to, verb->summary);
		fputs(".\n", to);
		if (verb->aliases[0]) {
			fputs("Also: ", to);
			put_text(to, verb->aliases);
			fputs(".\n", to);
		}
		if (verb->help[0])
			put_lines(to, verb->help);
		fputs(".IP\nExamples:\n", to);
		put_lines(to, verb->example);
	}
}
