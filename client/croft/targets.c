/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the configuration file.
 */
#include "client/croft/targets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool targets_path(char *path, size_t size)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int length;

	/* XDG Base Directory Specification: what is not absolute is not valid */
	if (config && config[0] == '/')
		length = snprintf(path, size, "%s/croft/config", config);
	else if (home && home[0])
		length = snprintf(path, size, "%s/.config/croft/config", home);
	else
		return false;
	return length > 0 && (size_t)length < size;
}

static char *trim(char *text)
{
	size_t length;

	while (isspace((unsigned char)*text))
		text++;
	length = strlen(text);
	while (length && isspace((unsigned char)text[length - 1]))
		text[--length] = 0;
	return text;
}

struct reading {
	const char *name; /* wanted */
	char *fallback;	  /* "default = " */
	bool in_section, is_wanted;
	struct target *target;
	const char *why;
};

static bool replace(char **text, const char *value)
{
	free(*text);
	*text = strdup(value);
	return *text != NULL;
}

static bool take_key(struct reading *r, const char *key, const char *value)
{
	char *end;

	if (!r->in_section) {
		if (strcmp(key, "default") != 0) {
			r->why = "expected \"default = NAME\" or \"[NAME]\"";
			return false;
		}
		return r->name || replace(&r->fallback, value);
	}
	if (strcmp(key, "target") == 0)
		return !r->is_wanted || replace(&r->target->target, value);
	if (strcmp(key, "symbols") == 0)
		return !r->is_wanted || replace(&r->target->symbols, value);
	if (strcmp(key, "timeout") == 0) {
		unsigned long number = strtoul(value, &end, 10);

		if (!isdigit((unsigned char)value[0]) || *end || !number || number > 3600000)
			r->why = "expected milliseconds, 1 to 3600000";
		else if (r->is_wanted)
			r->target->timeout_ms = (unsigned)number;
		return !r->why;
	}
	r->why = "expected one of target, symbols, timeout";
	return false;
}

static bool take_line(struct reading *r, char *line)
{
	char *equals, *close;

	line[strcspn(line, "#")] = 0;
	line = trim(line);
	if (!line[0])
		return true;
	if (line[0] == '[') {
		const char *wanted = r->name ? r->name : r->fallback;

		close = strchr(line, ']');
		if (!close || close[1] || close == line + 1) {
			r->why = "expected \"[NAME]\"";
			return false;
		}
		*close = 0;
		r->in_section = true;
		r->is_wanted = wanted && strcmp(line + 1, wanted) == 0;
		return true;
	}
	equals = strchr(line, '=');
	if (!equals) {
		r->why = "expected \"KEY = VALUE\"";
		return false;
	}
	*equals = 0;
	return take_key(r, trim(line), trim(equals + 1));
}

int targets_find(FILE *from, const char *name, struct target *target, const char **why)
{
	struct reading r = {.name = name, .target = target};
	char *line = NULL;
	size_t size = 0;
	int number = 0, wrong = 0;

	memset(target, 0, sizeof(*target));
	while (from && !wrong && getline(&line, &size, from) > 0) {
		number++;
		if (!take_line(&r, line))
			wrong = r.why ? number : -1;
	}
	free(line);
	if (!wrong && !target->target && (name || r.fallback) && !replace(&target->target, name ? name : r.fallback))
		wrong = -1;
	free(r.fallback);
	*why = r.why;
	return wrong;
}

void target_free(struct target *target)
{
	free(target->target);
	free(target->symbols);
	memset(target, 0, sizeof(*target));
}
