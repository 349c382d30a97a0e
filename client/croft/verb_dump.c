/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump.
 */
#include "client/croft/verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/croft/expr.h"

#define PATH_LENGTH 4096

/* How often the bar is drawn, and how wide it is. */
#define BAR_US	  100000u
#define BAR_WIDTH 24u

/* A serial line's bits for a byte, and what frames add to it in percent. */
#define BITS_PER_BYTE 10u
#define FRAMES_COST   105u

struct bar {
	struct shell *shell;
	uint64_t drawn_us;		/* 0: never */
	uint64_t begun_us, began_bytes; /* contents: when they began to come, and what had come before */
	bool announced, on_line;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What the line can do, in bytes a second; 0: it is no serial line. */
static uint64_t line_rate(const char *target)
{
	const char *speed;

	if (strncmp(target, "serial:", 7) != 0)
		return 0;
	speed = strrchr(target, ',');
	return (speed ? strtoull(speed + 1, NULL, 10) : 115200) / BITS_PER_BYTE * 100 / FRAMES_COST;
}

static void put_time(uint64_t seconds)
{
	if (seconds >= 3600)
		fprintf(stderr, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600, seconds / 60 % 60,
			seconds % 60);
	else
		fprintf(stderr, "%" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
}

/* How long the guest will stand, before it does. */
static void announce(struct bar *bar, const struct croft_dump_progress *progress)
{
	uint64_t rate = line_rate(croft_vm_target(bar->shell->vm));

	bar->announced = true;
	fprintf(stderr, "%" PRIu64 " pages are not known yet, about %" PRIu64 " KiB", progress->pages_total,
		progress->bytes_left >> 10);
	if (rate) {
		fprintf(stderr, ": ");
		put_time(progress->bytes_left / rate);
	}
	fprintf(stderr, "\n");
}

static void draw(struct bar *bar, const struct croft_dump_progress *progress, uint64_t now)
{
	static const char *const phases[] = {"hashes", "contents", "writing"};
	uint64_t total = progress->pages_total ? progress->pages_total : 1;
	unsigned done = (unsigned)(progress->pages_done * BAR_WIDTH / total);
	uint64_t passed = now - bar->begun_us, rate = 0;

	fprintf(stderr, "\r%-8s [%.*s%*s] %3u%%", phases[progress->phase], (int)done, "########################",
		(int)(BAR_WIDTH - done), "", (unsigned)(progress->pages_done * 100 / total));
	if (progress->phase == CROFT_DUMP_CONTENTS) {
		if (passed > 500000)
			rate = (progress->bytes_received - bar->began_bytes) * 1000000 / passed;
		fprintf(stderr, " %8.1f KiB/s", (double)rate / 1024);
		if (rate) {
			fprintf(stderr, "  ");
			put_time(progress->bytes_left / rate);
			fprintf(stderr, " left");
		}
	}
	fprintf(stderr, "\033[K");
	fflush(stderr);
	bar->on_line = true;
}

static bool show(void *data, const struct croft_dump_progress *progress)
{
	struct bar *bar = data;
	uint64_t now = now_us();

	if (progress->phase == CROFT_DUMP_CONTENTS && progress->pages_done == 0) {
		if (bar->on_line)
			fprintf(stderr, "\r\033[K");
		bar->on_line = false;
		if (!bar->announced && progress->pages_total)
			announce(bar, progress);
		bar->begun_us = now;
		bar->began_bytes = progress->bytes_received;
	}
	if (now - bar->drawn_us >= BAR_US) {
		draw(bar, progress, now);
		bar->drawn_us = now;
	}
	return true;
}

/* Where pages are kept for this target: a folder and a name of letters, digits and underscores. False: nowhere. */
static bool cache_path(const char *target, char *path, size_t size)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int length;

	if (base && *base)
		length = snprintf(path, size, "%s", base);
	else if (home && *home)
		length = snprintf(path, size, "%s/.cache", home);
	else
		return false;
	if (length < 0 || (size_t)length + strlen(target) + 16 > size)
		return false;
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return false;
	strcat(path, "/croft");
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return false;
	strcat(path, "/");
	for (char *at = path + strlen(path); *target; target++) {
		*at++ = strchr("/:.,[] ", *target) ? '_' : *target;
		*at = 0;
	}
	return true;
}

static void tell(struct shell *shell, const struct croft_dump *dump, const struct croft_dump_result *result)
{
	static const struct {
		const char *name, *text;
		size_t at;
	} facts[] = {
		{"pages", "pages", offsetof(struct croft_dump_result, pages)},
		{"zero", "are zero", offsetof(struct croft_dump_result, zero)},
		{"absent", "cannot be read", offsetof(struct croft_dump_result, absent)},
		{"cached", "were known", offsetof(struct croft_dump_result, cached)},
		{"sent", "came", offsetof(struct croft_dump_result, sent)},
		{"inconsistent", "are not of the same moment", offsetof(struct croft_dump_result, inconsistent)},
		{"bytes_received", "bytes received", offsetof(struct croft_dump_result, bytes_received)},
		{"bytes_sent", "bytes sent", offsetof(struct croft_dump_result, bytes_sent)},
	};

	out_put(&shell->out, "file", shell->out.json ? json_string(dump->path) : NULL);
	for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++) {
		uint64_t value = *(const uint64_t *)(const void *)((const char *)result + facts[i].at);

		out_put(&shell->out, facts[i].name, shell->out.json ? json_integer((json_int_t)value) : NULL);
		if (value)
			out_text(&shell->out, "%12" PRIu64 " %s\n", value, facts[i].text);
	}
	if (dump->format != CROFT_DUMP_ELF)
		return;
	out_put(&shell->out, "vmcoreinfo", shell->out.json ? json_boolean(result->has_vmcoreinfo) : NULL);
	if (!result->has_vmcoreinfo)
		out_text(&shell->out, "The guest has no VMCOREINFO.\n");
}

static enum outcome dump(struct shell *shell, struct croft_dump what)
{
	struct bar bar = {.shell = shell};
	struct croft_dump_result result;
	struct croft_error error;
	enum croft_status status;

	if (isatty(STDERR_FILENO)) {
		what.progress = show;
		what.data = &bar;
	}
	status = croft_dump(shell->vm, &what, &result, &error);
	if (bar.on_line)
		fprintf(stderr, "\r\033[K");
	if (status)
		return shell_fail(shell, &error);
	tell(shell, &what, &result);
	return OUTCOME_DONE;
}

/* False: there is no such format. */
static bool take_format(const char *name, enum croft_dump_format *format)
{
	static const char *const names[] = {
		[CROFT_DUMP_ELF] = "elf", [CROFT_DUMP_LIME] = "lime", [CROFT_DUMP_RAW] = "raw"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*format = (enum croft_dump_format)i;
			return true;
		}
	}
	return false;
}

static enum outcome do_dump(struct shell *shell, struct args *args)
{
	struct croft_dump what = {.format = CROFT_DUMP_ELF};
	enum outcome outcome = OUTCOME_DONE;
	char path[PATH_LENGTH];
	bool keep = true;
	uint64_t passes;
	const char *value;
	char option;

	while (!outcome && (option = args_option(args, "f:c:nlp:", &value))) {
		if (option == 'f' && !take_format(value, &what.format))
			outcome = verb_misused(shell, &verb_dump, "not a format: %s", value);
		else if (option == 'c')
			what.cache = value;
		else if (option == 'n')
			keep = false;
		else if (option == 'l')
			what.live = true;
		else if (option == 'p' && !(outcome = expr_take(shell, value, &passes)))
			what.passes = passes < 1000 ? (unsigned)passes : 1000;
		else if (option == '?')
			outcome = verb_misused(shell, &verb_dump, "not an option: %s", value);
	}
	if (outcome)
		return outcome;
	if (args_left(args) != 1)
		return verb_misused(shell, &verb_dump, "one file");
	what.path = args_next(args);
	if (!keep)
		what.cache = NULL;
	else if (!what.cache && cache_path(croft_vm_target(shell->vm), path, sizeof(path)))
		what.cache = path;
	return dump(shell, what);
}

const struct verb verb_dump = {
	.name = "dump",
	.aliases = "",
	.usage = "[-f elf|lime|raw] [-c CACHE | -n] [-l [-p PASSES]] FILE",
	.summary = "Writes the guest's memory to a file",
	.help = "Only what is not known travels, compressed; what has come is kept for the next dump. One that was cut "
		"off goes on where it was when it is asked for again. How long the guest will stand is said before "
		"contents come.\n"
		"-f elf    a core, for crash, drgn and GDB; the default\n"
		"-f lime   LiME's form\n"
		"-f raw    each byte at its address; FILE.json tells what is there\n"
		"-c CACHE  the file that keeps pages, and CACHE.map; in ~/.cache/croft, for each target\n"
		"-n        keeps nothing\n"
		"-l        the guest runs meanwhile: changed pages are sent again\n"
		"-p PASSES so often at most; 4",
	.example = "dump memory.core\ndump -f raw -l memory.raw\ndump -c pages -f lime memory.lime",
	.flags = VERB_STOPPED,
	.words = WORD_FILE,
	.choices = "-f -c -n -l -p elf lime raw",
	.run = do_dump,
};
