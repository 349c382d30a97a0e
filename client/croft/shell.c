/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attaching, doing verbs, and saying how it went.
 */
#include "client/croft/shell.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "client/croft/proxy.h"
#include "client/croft/verb.h"

/* --- SIGINT --- */

static _Atomic(struct croft_vm *) interrupt_vm;
static atomic_uint interrupts;

static void on_interrupt(int number)
{
	struct croft_vm *vm = atomic_load(&interrupt_vm);

	(void)number;
	atomic_fetch_add(&interrupts, 1);
	if (vm)
		croft_vm_interrupt(vm);
}

void interrupt_watch(struct croft_vm *vm)
{
	struct sigaction action = {.sa_handler = vm ? on_interrupt : SIG_DFL};

	atomic_store(&interrupt_vm, vm);
	/* not SA_RESTART: what waits for a key is to notice */
	sigaction(SIGINT, &action, NULL);
}

unsigned interrupt_take(void)
{
	return atomic_exchange(&interrupts, 0);
}

/* --- how it went --- */

static enum outcome outcome_of(enum croft_status status)
{
	switch (status) {
	case CROFT_OK:
		return OUTCOME_DONE;
	case CROFT_ERROR_ARGUMENT:
		return OUTCOME_USAGE;
	case CROFT_ERROR_LOST:
	case CROFT_ERROR_PROTOCOL:
	case CROFT_ERROR_TIMEOUT:
		return OUTCOME_LOST;
	case CROFT_ERROR_INTERRUPTED:
		return OUTCOME_INTERRUPTED;
	case CROFT_ERROR_MEMORY:
	case CROFT_ERROR_SYSTEM:
	case CROFT_ERROR_BUSY:
	case CROFT_ERROR_UNSUPPORTED:
	case CROFT_ERROR_REFUSED:
	case CROFT_ERROR_UNMAPPED:
	case CROFT_ERROR_DENIED:
	case CROFT_ERROR_FULL:
	case CROFT_ERROR_NOT_FOUND:
	case CROFT_ERROR_RUNNING:
	case CROFT_ERROR_NESTED:
		break;
	}
	return OUTCOME_FAILED;
}

static void say(struct shell *shell, const char *status, const char *text)
{
	struct out errors = {.to = stderr, .colours = out_wants_colours(stderr)};
	json_t *error;

	if (shell->out.json) {
		error = json_object();
		json_object_set_new(error, "status", json_string(status));
		json_object_set_new(error, "text", json_string(text));
		out_put(&shell->out, "error", error);
		return;
	}
	fflush(shell->out.to);
	out_ink(&errors, INK_ERROR, "%s:", shell->verb ? shell->verb : "croft");
	out_text(&errors, " %s\n", text);
}

enum outcome shell_fail(struct shell *shell, const struct croft_error *error)
{
	shell->lost |= error->status == CROFT_ERROR_LOST;
	say(shell, croft_status_name(error->status), error->text);
	return outcome_of(error->status);
}

static void say_formatted(struct shell *shell, const char *status, const char *format, va_list arguments)
{
	char text[2 * CROFT_TEXT_MAX];

	vsnprintf(text, sizeof(text), format, arguments);
	say(shell, status, text);
}

enum outcome shell_usage(struct shell *shell, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_formatted(shell, "argument", format, arguments);
	va_end(arguments);
	return OUTCOME_USAGE;
}

enum outcome shell_failed(struct shell *shell, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_formatted(shell, "failed", format, arguments);
	va_end(arguments);
	return OUTCOME_FAILED;
}

void shell_symbol(struct shell *shell, uint64_t address, json_t *object)
{
	const char *name;
	uint64_t offset;

	if (!symbols_at(shell->symbols, address, &name, &offset))
		return;
	if (offset)
		out_ink(&shell->out, INK_SYMBOL, " <%s+0x%" PRIx64 ">", name, offset);
	else
		out_ink(&shell->out, INK_SYMBOL, " <%s>", name);
	if (object)
		json_object_set_new(object, "symbol",
				    offset ? json_sprintf("%s+0x%" PRIx64, name, offset) : json_string(name));
}

/* --- the VM --- */

/* Something is written to stderr beside what is typed. */
static void disturb(struct shell *shell)
{
	fflush(shell->out.to);
	if (shell->interactive && !shell->line_open)
		fputs("\r\033[K", stderr);
	shell->disturbed = true;
}

void shell_note(struct shell *shell, const char *format, ...)
{
	struct out errors = {.to = stderr, .colours = out_wants_colours(stderr)};
	char text[2 * CROFT_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	disturb(shell);
	out_ink(&errors, INK_DIM, "%sproxy: %s\n", shell->line_open ? "\n" : "", text);
	shell->line_open = false;
}

/* What the hypervisor logs is not part of any answer. */
static void take_text(void *data, enum croft_stream stream, const char *text, size_t length)
{
	struct shell *shell = data;
	struct out errors = {.to = stderr, .colours = out_wants_colours(stderr)};

	if (stream == CROFT_STREAM_OUTPUT) {
		if (shell->out.json)
			json_array_append_new(out_array(&shell->out, "output"), json_stringn_nocheck(text, length));
		else
			out_text(&shell->out, "%.*s", (int)length, text);
		return;
	}
	if (!length)
		return;
	disturb(shell);
	out_ink(&errors, INK_DIM, "%.*s", (int)length, text);
	shell->line_open = text[length - 1] != '\n';
}

enum outcome shell_attach(struct shell *shell, unsigned flags, unsigned timeout_ms)
{
	struct croft_error error;

	if (!shell->target)
		return shell_usage(shell,
				   "no target: -t tcp:HOST:PORT, unix:PATH, serial:PATH[,BAUD], pty:PATH or a name");
	if (croft_vm_open(shell->target, flags, timeout_ms, &shell->vm, &error)) {
		shell_fail(shell, &error);
		return error.status == CROFT_ERROR_ARGUMENT ? OUTCOME_USAGE : OUTCOME_NO_TARGET;
	}
	croft_vm_set_text_handler(shell->vm, take_text, shell);
	interrupt_watch(shell->vm);
	symbols_find_slide(shell->symbols, shell->vm);
	return OUTCOME_DONE;
}

enum outcome shell_detach(struct shell *shell)
{
	struct croft_vm *vm = shell->vm;
	struct croft_error error;
	enum croft_status status;

	if (!vm)
		return OUTCOME_DONE;
	proxy_close(shell);
	shell->vm = NULL;
	/* a ^C that nobody waited for any more */
	(void)croft_vm_pump(vm, 0, NULL);
	/* the handler must not meet a VM that is gone; a signal that comes now ends us, and the guest notices */
	interrupt_watch(NULL);
	shell->verb = NULL;
	status = croft_vm_close(vm, &error);
	/* that was said before */
	if (shell->lost)
		return OUTCOME_LOST;
	return status ? shell_fail(shell, &error) : OUTCOME_DONE;
}

/* --- verbs --- */

static enum outcome do_verb(struct shell *shell, const struct verb *verb, struct args *args)
{
	bool running = shell->vm && croft_vm_is_running(shell->vm);

	if (!verb)
		return shell_usage(shell, "there is no verb %s, or several; \"help\" lists them", args->word[0]);
	shell->verb = verb->name;
	if (!(verb->flags & VERB_ALONE) && !shell->vm)
		return shell_failed(shell, "not attached");
	if (verb->flags & VERB_STOPPED && running)
		return shell_failed(shell, "the VM runs: stop it first (^C, or \"stop\")");
	return verb->run(shell, args);
}

enum outcome shell_do(struct shell *shell, int count, char **words)
{
	struct args args = {.count = count, .word = words, .at = 1};
	json_t *object = shell->out.json;
	const struct verb *verb = verb_find(words[0]);
	enum outcome outcome;

	if (object)
		json_object_set_new(object, "verb", json_string(verb ? verb->name : words[0]));
	outcome = do_verb(shell, verb, &args);
	shell->verb = NULL;
	if (object) {
		json_dumpf(object, shell->out.to, JSON_COMPACT | JSON_PRESERVE_ORDER);
		fputc('\n', shell->out.to);
		json_object_clear(object);
	}
	fflush(shell->out.to);
	return outcome;
}

enum outcome shell_line(struct shell *shell, const char *line)
{
	char *copy = strdup(line), *words[ARGS_MAX];
	int count = copy ? args_split(copy, words) : -1;
	enum outcome outcome = OUTCOME_DONE;

	if (count < 0)
		outcome = shell_usage(shell, "a quote is open, or there are too many words");
	else if (count && words[0][0] != '#')
		outcome = shell_do(shell, count, words);
	free(copy);
	return outcome;
}

enum outcome shell_script(struct shell *shell, FILE *from)
{
	enum outcome outcome = OUTCOME_DONE;
	char *line = NULL;
	size_t size = 0;

	/* the first failure ends it: what follows was meant for another state */
	while (!outcome && !shell->quit && getline(&line, &size, from) > 0)
		outcome = shell_line(shell, line);
	free(line);
	return outcome;
}
