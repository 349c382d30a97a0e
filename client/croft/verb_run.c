/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run, stop, step.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <poll.h>

#include "client/croft/code.h"
#include "client/croft/proxy.h"

#define STEPS_MAX 100000u
#define SLICE_MS  1000
#define SILENT_MS 10000

/* Signs of life are due once a second: docs/protocol.md, "A session". */
#define PUMP_MS 250

/* "breakpoint esp0", "watchpoint w1: 0x1000 was written", ... */
static void show_reason(struct shell *shell, const struct croft_stop *stop)
{
	const char *name = stop->breakpoint ? croft_breakpoint_what(stop->breakpoint)->name : NULL;
	struct out *out = &shell->out;
	static const char *const did[] = {"written", "read", "accessed"};

	out_put(out, "stop", json_string(croft_stop_name(stop->kind)));
	if (name)
		out_put(out, "breakpoint", json_string(name));
	switch (stop->kind) {
	case CROFT_STOP_BREAK:
	case CROFT_STOP_BREAK_HARD:
		out_ink(out, INK_TITLE,
			name	       ? "breakpoint %s\n"
			: shell->proxy ? "breakpoint of the debugger's, or instruction of the guest's\n"
				       : "breakpoint instruction of the guest's\n",
			name);
		break;
	case CROFT_STOP_WATCH_WRITE:
	case CROFT_STOP_WATCH_READ:
	case CROFT_STOP_WATCH_ACCESS:
		out_ink(out, INK_TITLE, "watchpoint %s", name ? name : "");
		out_text(out, ": ");
		out_address(out, stop->address, 0);
		shell_symbol(shell, stop->address, NULL);
		out_text(out, " was %s by the instruction before\n", did[stop->kind - CROFT_STOP_WATCH_WRITE]);
		out_put(out, "accessed", out_hex(out, stop->address));
		break;
	case CROFT_STOP_REQUEST:
		out_ink(out, INK_TITLE, "stopped\n");
		break;
	case CROFT_STOP_OTHER:
		out_ink(out, INK_TITLE, "stopped by signal %d\n", stop->signal);
		out_put(out, "signal", json_integer(stop->signal));
		break;
	case CROFT_STOP_NONE:
	case CROFT_STOP_ATTACH:
	case CROFT_STOP_STEP:
	case CROFT_STOP_GONE:
		break;
	}
}

enum outcome verb_show_stop(struct shell *shell)
{
	const struct croft_stop *stop = croft_vm_last_stop(shell->vm);
	struct croft_error error;
	struct code_place place;

	if (stop->kind == CROFT_STOP_GONE) {
		shell->lost = true;
		out_put(&shell->out, "stop", json_string(croft_stop_name(stop->kind)));
		shell_failed(shell, "the machine is gone");
		return OUTCOME_LOST;
	}
	shell->next_code = 0;
	show_reason(shell, stop);
	if (code_place(shell, &place, &error))
		return shell_fail(shell, &error);
	out_put(&shell->out, "pc", out_hex(&shell->out, place.pc));
	out_put(&shell->out, "mode", json_string(croft_mode_name(place.mode)));
	if (!code_show(shell, croft_current(), &place, place.pc, 1, NULL, &error))
		return OUTCOME_DONE;
	/* code that cannot be read is no reason not to say where it is */
	if (error.status != CROFT_ERROR_UNMAPPED && error.status != CROFT_ERROR_DENIED)
		return shell_fail(shell, &error);
	out_ink(&shell->out, INK_TITLE, "=> ");
	out_address(&shell->out, place.pc, 0);
	shell_symbol(shell, place.pc, NULL);
	out_text(&shell->out, "  (%s)\n", croft_status_name(error.status));
	return OUTCOME_DONE;
}

/* After SIGINT: stops it, or leaves if there is another one. */
static enum outcome interrupted(struct shell *shell)
{
	struct croft_error error;
	enum outcome outcome;

	/* behind the terminal's own "^C" */
	if (shell->interactive)
		out_text(&shell->out, "\n");
	if (!croft_vm_stop(shell->vm, NULL, &error)) {
		interrupt_take();
		outcome = verb_show_stop(shell);
		return outcome ? outcome : OUTCOME_INTERRUPTED;
	}
	if (error.status != CROFT_ERROR_INTERRUPTED)
		return shell_fail(shell, &error);
	shell->quit = true;
	return OUTCOME_INTERRUPTED;
}

/* A running guest may keep the hypervisor from saying anything; whoever waits is to know. */
static void say_silent(struct shell *shell, uint64_t *heard, unsigned *silent_ms)
{
	struct out errors = {.to = stderr, .colours = out_wants_colours(stderr)};
	struct croft_counters counters;

	croft_vm_counters(shell->vm, &counters);
	*silent_ms = counters.bytes_received == *heard ? *silent_ms + SLICE_MS : 0;
	*heard = counters.bytes_received;
	if (*silent_ms == SILENT_MS && croft_vm_is_framed(shell->vm))
		out_ink(&errors, INK_DIM,
			"nothing is heard for %u s: the guest never leaves its code, or the cable is out\n",
			SILENT_MS / 1000);
}

static enum outcome wait_for_stop(struct shell *shell)
{
	unsigned silent_ms = 0;
	struct croft_error error;
	uint64_t heard = 0;

	while (croft_vm_wait(shell->vm, shell->proxy ? 0 : SLICE_MS, NULL, &error)) {
		if (error.status == CROFT_ERROR_INTERRUPTED)
			return interrupted(shell);
		if (error.status != CROFT_ERROR_TIMEOUT)
			return shell_fail(shell, &error);
		if (!shell->proxy) {
			say_silent(shell, &heard, &silent_ms);
			continue;
		}
		if (proxy_serve(shell))
			return OUTCOME_LOST;
		if (croft_vm_is_running(shell->vm))
			verb_wait(shell, -1);
	}
	return OUTCOME_DONE;
}

int verb_wait(const struct shell *shell, int fd)
{
	struct pollfd wait[2 + PROXY_FDS] = {{.fd = fd, .events = POLLIN},
					     {.fd = croft_vm_fd(shell->vm), .events = POLLIN}};
	int ready = poll(wait, 2 + proxy_wait(shell->proxy, wait + 2), PUMP_MS);

	return ready < 0 ? -1 : wait[0].revents != 0;
}

enum outcome verb_poll(struct shell *shell, bool *stopped)
{
	bool running = croft_vm_is_running(shell->vm);
	struct croft_error error;
	enum croft_status status;

	status = running ? croft_vm_wait(shell->vm, 0, NULL, &error) : croft_vm_pump(shell->vm, 0, &error);
	*stopped = running && !status;
	if (status && status != CROFT_ERROR_TIMEOUT && status != CROFT_ERROR_INTERRUPTED)
		return shell_fail(shell, &error);
	return OUTCOME_DONE;
}

static enum outcome do_run(struct shell *shell, struct args *args)
{
	bool background = false;
	struct croft_error error;
	enum outcome outcome;
	const char *value;
	char option;

	while ((option = args_option(args, "b", &value))) {
		if (option == '?')
			return verb_misused(shell, &verb_run, "not an option: %s", value);
		background = true;
	}
	if (args_left(args))
		return verb_misused(shell, &verb_run, "too many arguments");
	interrupt_take();
	if (croft_vm_run(shell->vm, &error))
		return shell_fail(shell, &error);
	if (background)
		return OUTCOME_DONE;
	outcome = wait_for_stop(shell);
	return outcome ? outcome : verb_show_stop(shell);
}

const struct verb verb_run = {
	.name = "run",
	.aliases = "c continue g",
	.usage = "[-b]",
	.summary = "Lets the VM go on until something stops it",
	.help = "^C stops it; a second one, before it has stopped, leaves it running and quits.\n"
		"-b  in the background: the prompt comes back at once, a stop is shown when it comes\n"
		"What the hypervisor logs meanwhile appears as it is written, if the link has frames.",
	.example = "run",
	.choices = "-b",
	.run = do_run,
};

static enum outcome do_stop(struct shell *shell, struct args *args)
{
	struct croft_error error;

	if (args_left(args))
		return verb_misused(shell, &verb_stop, "too many arguments");
	if (croft_vm_stop(shell->vm, NULL, &error))
		return shell_fail(shell, &error);
	return verb_show_stop(shell);
}

const struct verb verb_stop = {
	.name = "stop",
	.aliases = "pause halt",
	.usage = "",
	.summary = "Stops the VM, and shows where it stands",
	.help = "After \"run -b\". Attaching stops it as well: on the command line this shows where it was.",
	.example = "stop",
	.choices = "",
	.run = do_stop,
};

static enum outcome do_step(struct shell *shell, struct args *args)
{
	struct croft_error error;
	enum outcome outcome;
	uint64_t count;

	outcome = verb_take(shell, args, 1, &count);
	if (outcome)
		return outcome;
	if (args_left(args) || !count || count > STEPS_MAX)
		return verb_misused(shell, &verb_step, "a count up to %u", STEPS_MAX);
	interrupt_take();
	for (uint64_t i = 0; i < count && !outcome; i++) {
		if (croft_vm_step(shell->vm, &error))
			return shell_fail(shell, &error);
		outcome = wait_for_stop(shell);
		if (!outcome)
			outcome = verb_show_stop(shell);
		if (!outcome && croft_vm_last_stop(shell->vm)->kind != CROFT_STOP_STEP)
			break;
		if (!outcome && interrupt_take())
			outcome = OUTCOME_INTERRUPTED;
	}
	return outcome;
}

const struct verb verb_step = {
	.name = "step",
	.aliases = "s si stepi t",
	.usage = "[COUNT]",
	.summary = "Executes one instruction, or COUNT",
	.help = "Shows the next one each time. A breakpoint or ^C ends it.",
	.example = "step\nstep 20",
	.flags = VERB_STOPPED,
	.choices = "",
	.run = do_step,
};
