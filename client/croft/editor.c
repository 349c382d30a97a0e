/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shell on a terminal: libedit's line, history, and the VM kept company while somebody thinks.
 */
#include "client/croft/shell.h"

#include <errno.h>
#include <histedit.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/croft/complete.h"
#include "client/croft/proxy.h"
#include "client/croft/verb.h"

#define HISTORY_SIZE 1000
#define LINE_SIZE    1024

struct editor {
	struct shell *shell;
	EditLine *edit;
	History *history;
	bool interrupted;     /* by ^C at the prompt */
	bool armed;	      /* the last thing that happened was a ^C */
	enum outcome outcome; /* of what came while a line was typed */
};

static char *prompt(EditLine *edit)
{
	struct editor *editor;
	static const char running[] = "\1\033[2m\1running\1\033[m\1 croft> ", plain_running[] = "running croft> ",
			  stopped[] = "croft> ";

	el_get(edit, EL_CLIENTDATA, &editor);
	if (!croft_vm_is_running(editor->shell->vm))
		return (char *)stopped;
	return (char *)(editor->shell->out.colours ? running : plain_running);
}

/* The debugger at the proxy has it shown; here it costs no question. */
static void show_their_stop(struct shell *shell)
{
	const struct croft_stop *stop = croft_vm_last_stop(shell->vm);
	uint64_t rip;

	if (stop->kind == CROFT_STOP_GONE)
		(void)verb_show_stop(shell);
	else if (stop->kind != CROFT_STOP_STEP && !croft_cpu_read(croft_vm_cpu(shell->vm), "rip", &rip, NULL))
		shell_note(shell, "stopped, rip 0x%" PRIx64 ": %s", rip, croft_stop_name(stop->kind));
}

/* What the VM has to say between two keys. */
static void attend(struct editor *editor)
{
	struct shell *shell = editor->shell;
	bool stopped = false, theirs = proxy_is_waiting(shell->proxy), running = croft_vm_is_running(shell->vm);

	shell->verb = NULL;
	shell->disturbed = false;
	editor->outcome = verb_poll(shell, &stopped);
	if (stopped && theirs) {
		show_their_stop(shell);
	} else if (stopped) {
		fputs("\r\033[K", stdout);
		editor->outcome = verb_show_stop(shell);
		fflush(stdout);
	}
	if (!editor->outcome)
		editor->outcome = proxy_serve(shell);
	if (stopped || shell->disturbed || running != croft_vm_is_running(shell->vm))
		el_set(editor->edit, EL_REFRESH);
}

/* The next key; meanwhile the VM is kept company. -1: an error, or ^C. */
static int get_key(EditLine *edit, wchar_t *key)
{
	struct editor *editor;
	unsigned char byte;

	el_get(edit, EL_CLIENTDATA, &editor);
	for (;;) {
		unsigned count;
		int ready;

		attend(editor);
		if (editor->outcome || editor->shell->lost)
			return -1;
		ready = verb_wait(editor->shell, STDIN_FILENO);
		count = interrupt_take();
		if (count) {
			editor->interrupted = true;
			editor->armed |= count > 1;
			return -1;
		}
		if (ready < 0 && errno != EINTR)
			return -1;
		if (ready > 0) {
			ssize_t got = read(STDIN_FILENO, &byte, 1);

			*key = byte;
			return got == 1 ? 1 : got < 0 ? -1 : 0;
		}
	}
}

/* --- completion --- */

/* How far all agree. */
static size_t common(const struct completions *found)
{
	size_t length = strlen(found->word[0]);

	for (size_t i = 1; i < found->count; i++) {
		size_t same = 0;

		while (same < length && found->word[i][same] == found->word[0][same])
			same++;
		length = same;
	}
	return length;
}

static void show(const struct completions *found)
{
	size_t width = 0, columns;

	for (size_t i = 0; i < found->count; i++)
		width = strlen(found->word[i]) > width ? strlen(found->word[i]) : width;
	columns = 80 / (width + 2) ? 80 / (width + 2) : 1;
	fputs("\n", stdout);
	for (size_t i = 0; i < found->count; i++)
		printf("%-*s%s", (int)width + 2, found->word[i],
		       (i + 1) % columns == 0 || i + 1 == found->count ? "\n" : "");
}

static unsigned char complete(EditLine *edit, int key)
{
	const LineInfo *line = el_line(edit);
	unsigned char result = CC_ERROR;
	struct completions found;
	struct editor *editor;
	char text[LINE_SIZE];
	size_t prefix, length;

	(void)key;
	el_get(edit, EL_CLIENTDATA, &editor);
	snprintf(text, sizeof(text), "%.*s", (int)(line->cursor - line->buffer), line->buffer);
	complete_find(editor->shell, text, &found, &prefix);
	if (found.count) {
		length = common(&found);
		if (length > prefix) {
			snprintf(text, sizeof(text), "%.*s", (int)(length - prefix), found.word[0] + prefix);
			result = el_insertstr(edit, text) ? CC_ERROR : CC_REFRESH;
		}
		if (found.count == 1 && length && found.word[0][length - 1] != '/')
			result = el_insertstr(edit, " ") ? CC_ERROR : CC_REFRESH;
		if (found.count > 1 && length == prefix) {
			show(&found);
			result = CC_REDISPLAY;
		}
	}
	completions_free(&found);
	return result;
}

/* --- history --- */

static bool history_path(char *path, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state && state[0] == '/')
		snprintf(path, size, "%s/croft", state);
	else if (home && home[0])
		snprintf(path, size, "%s/.local/state/croft", home);
	else
		return false;
	/* each folder on the way; one that cannot be made shows when the file is written */
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	(void)mkdir(path, 0700);
	strncat(path, "/history", size - strlen(path) - 1);
	return true;
}

static void history_use(struct editor *editor, int operation)
{
	HistEvent event;
	char path[4096];

	if (history_path(path, sizeof(path)))
		history(editor->history, &event, operation, path);
}

static void history_add(struct editor *editor, const char *line)
{
	HistEvent event;

	if (strspn(line, " \t\n") == strlen(line))
		return;
	history(editor->history, &event, H_ENTER, line);
	history_use(editor, H_SAVE);
}

static bool begin(struct editor *editor, struct shell *shell)
{
	HistEvent event;

	editor->shell = shell;
	editor->edit = el_init("croft", stdin, stdout, stderr);
	editor->history = history_init();
	if (!editor->edit || !editor->history)
		return false;
	history(editor->history, &event, H_SETSIZE, HISTORY_SIZE);
	history(editor->history, &event, H_SETUNIQUE, 1);
	el_set(editor->edit, EL_CLIENTDATA, editor);
	el_set(editor->edit, EL_PROMPT_ESC, prompt, '\1');
	el_set(editor->edit, EL_EDITOR, "emacs");
	el_set(editor->edit, EL_HIST, history, editor->history);
	el_set(editor->edit, EL_SIGNAL, 0);
	el_set(editor->edit, EL_GETCFN, get_key);
	el_set(editor->edit, EL_ADDFN, "croft-complete", "Completes a word", complete);
	el_set(editor->edit, EL_BIND, "^I", "croft-complete", NULL);
	el_source(editor->edit, NULL);
	history_use(editor, H_LOAD);
	return true;
}

static void end(struct editor *editor)
{
	if (editor->history)
		history_end(editor->history);
	if (editor->edit)
		el_end(editor->edit);
}

/* --- lines --- */

/* ^C at the prompt: the line is dropped; a second one quits. */
static enum outcome interrupted(struct editor *editor)
{
	editor->interrupted = false;
	/* nothing was waited for: it is not to end what comes next */
	(void)croft_vm_pump(editor->shell->vm, 0, NULL);
	fputs("\n", stdout);
	if (editor->armed) {
		editor->shell->quit = true;
		return OUTCOME_DONE;
	}
	editor->armed = true;
	if (croft_vm_is_running(editor->shell->vm))
		return shell_line(editor->shell, "stop");
	fputs("(^C again leaves the VM running and quits; ^D lets it go on)\n", stdout);
	return OUTCOME_DONE;
}

static enum outcome one_line(struct editor *editor)
{
	int length = 0;
	const char *line;
	enum outcome outcome;

	editor->outcome = OUTCOME_DONE;
	/* el_gets() does so behind its prompt: a ^D that came in between would be lost */
	el_set(editor->edit, EL_PREP_TERM, 1);
	line = el_gets(editor->edit, &length);
	if (editor->interrupted)
		return interrupted(editor);
	if (editor->outcome || editor->shell->quit || editor->shell->lost)
		return editor->outcome;
	if (!line && errno && errno != EINTR && length < 0) {
		editor->shell->quit = true;
		return OUTCOME_FAILED;
	}
	if (!line || length <= 0) {
		/* ^D */
		fputs("run\n", stdout);
		line = "run";
	} else {
		history_add(editor, line);
	}
	outcome = shell_line(editor->shell, line);
	/* a ^C that stopped it, or ended what it did, is the first of two */
	editor->armed = outcome == OUTCOME_INTERRUPTED;
	if (editor->armed && interrupt_take() > 1)
		editor->shell->quit = true;
	return outcome;
}

static void greet(struct shell *shell)
{
	struct out *out = &shell->out;
	uint64_t pc;

	out_text(out, "%s: %s, %s; stopped", croft_vm_target(shell->vm),
		 croft_vm_is_undercroft(shell->vm) ? "Undercroft" : "another stub",
		 croft_vm_is_framed(shell->vm) ? "framed" : "plain");
	if (!croft_cpu_linear_pc(croft_vm_cpu(shell->vm), &pc, NULL)) {
		out_text(out, " at ");
		out_address(out, pc, 0);
		shell_symbol(shell, pc, NULL);
	}
	out_text(out, ". \"help\" lists the verbs.\n");
}

enum outcome shell_interact(struct shell *shell)
{
	struct editor editor = {0};

	if (!begin(&editor, shell)) {
		end(&editor);
		return shell_failed(shell, "the terminal cannot be used");
	}
	greet(shell);
	while (!shell->quit && !shell->lost)
		(void)one_line(&editor);
	end(&editor);
	if (shell->lost)
		return OUTCOME_LOST;
	fputs("detached; the VM runs on\n", stdout);
	return OUTCOME_DONE;
}
