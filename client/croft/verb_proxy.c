/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <string.h>

#include "client/croft/proxy.h"

#define ANY_LOCAL "127.0.0.1:0"

static void show_counters(struct shell *shell)
{
	struct croft_proxy_counters counters = proxy_counters(shell->proxy);
	json_t *json = shell->out.json;

	out_text(&shell->out, "%" PRIu64 " packets, %" PRIu64 " of %" PRIu64 " reads of memory without the wire\n",
		 counters.packets, counters.reads_known, counters.reads);
	out_put(&shell->out, "packets", json ? json_integer((json_int_t)counters.packets) : NULL);
	out_put(&shell->out, "reads", json ? json_integer((json_int_t)counters.reads) : NULL);
	out_put(&shell->out, "reads_known", json ? json_integer((json_int_t)counters.reads_known) : NULL);
}

static void show(struct shell *shell)
{
	const char *client = proxy_client(shell->proxy);

	out_text(&shell->out, "gdb: target remote %s\n", proxy_address(shell->proxy));
	out_put(&shell->out, "address", json_string(proxy_address(shell->proxy)));
	if (client) {
		out_text(&shell->out, "%s is attached: ", client);
		out_put(&shell->out, "client", json_string(client));
	}
	if (client || proxy_is_done(shell->proxy))
		show_counters(shell);
}

/* Whoever is to be told where to connect to reads it now. */
static void announce(struct shell *shell)
{
	const char *address = proxy_address(shell->proxy);

	if (!proxy_is_local(shell->proxy))
		shell_note(shell, "whoever reaches %s has all of the machine: nothing is asked, nothing is encrypted",
			   address);
	if (shell->out.json)
		fprintf(stderr, "gdb: target remote %s\n", address);
	else
		out_text(&shell->out, "gdb: target remote %s\n", address);
	fflush(shell->out.to);
}

/* Until the client has gone, or ^C. */
static enum outcome serve(struct shell *shell)
{
	enum outcome outcome = OUTCOME_DONE;
	bool stopped;

	while (!outcome && !proxy_is_done(shell->proxy)) {
		outcome = verb_poll(shell, &stopped);
		if (!outcome && croft_vm_last_stop(shell->vm)->kind == CROFT_STOP_GONE)
			outcome = verb_show_stop(shell);
		if (!outcome)
			outcome = proxy_serve(shell);
		if (!outcome && !proxy_is_done(shell->proxy))
			verb_wait(shell, -1);
		if (!outcome && interrupt_take())
			outcome = OUTCOME_INTERRUPTED;
	}
	return outcome;
}

static enum outcome do_proxy(struct shell *shell, struct args *args)
{
	const char *word, *address = NULL;
	enum outcome outcome;
	bool off = false;

	while ((word = args_next(args))) {
		if (strcmp(word, "--listen") == 0 && args_left(args) && !address)
			address = args_next(args);
		else if (strcmp(word, "off") == 0 && !off)
			off = true;
		else
			return verb_misused(shell, &verb_proxy, "not an argument: %s", word);
	}
	if (off && (address || !shell->proxy))
		return shell_failed(shell, "there is no port that could be closed");
	if (off) {
		proxy_close(shell);
		return OUTCOME_DONE;
	}
	if (shell->proxy && address)
		return shell_failed(shell, "%s is open: \"proxy off\" first", proxy_address(shell->proxy));
	if (shell->proxy) {
		show(shell);
		return OUTCOME_DONE;
	}
	interrupt_take();
	outcome = proxy_listen(shell, address ? address : ANY_LOCAL);
	if (outcome)
		return outcome;
	announce(shell);
	if (shell->interactive)
		return OUTCOME_DONE;
	outcome = serve(shell);
	if (shell->out.json)
		show(shell);
	proxy_close(shell);
	return outcome;
}

const struct verb verb_proxy = {
	.name = "proxy",
	.aliases = "",
	.usage = "[--listen ADDRESS:PORT | off]",
	.summary = "Opens a TCP port for GDB, LLDB or another debugger, on the same link",
	.help = "The debugger has the whole machine; croft stays attached, and shows what the hypervisor logs. Memory "
		"that "
		"the debugger reads while the VM stands is read once, until the VM goes on, something is changed, or a "
		"verb asks the machine; device memory always. One debugger at a time; \"detach\" and \"kill\" let the "
		"VM "
		"run, one that is gone without a word leaves it as it is.\n"
		"In the shell the port stays open beside it: stops are seen by both, \"proxy\" shows who is there. As "
		"a "
		"single command it ends when the debugger does, or by ^C; then croft detaches.\n"
		"--listen ADDRESS:PORT  default: 127.0.0.1:0, any free port of this computer alone. Another address "
		"lets "
		"in whoever reaches it.\n"
		"off                    hangs up, and closes the port",
	.example = "proxy\nproxy --listen 127.0.0.1:2345",
	.choices = "--listen off",
	.run = do_proxy,
};
