/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symbols.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <unistd.h>

#include "client/croft/expr.h"

static void show_progress(void *data, uint64_t done, uint64_t total)
{
	(void)data;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rkallsyms: %" PRIu64 " of %" PRIu64 " KiB\033[K%s", done >> 10, total >> 10,
			done >= total ? "\r\033[K" : "");
}

static enum outcome show(struct shell *shell)
{
	const char *source = symbols_source(shell->symbols);
	struct out *out = &shell->out;

	if (!source) {
		out_text(out, "no symbols: symbols -f FILE, or symbols -k for a running Linux\n");
		out_put(out, "count", json_integer(0));
		return OUTCOME_DONE;
	}
	out_text(out, "%zu symbols of %s", symbols_count(shell->symbols), source);
	if (symbols_slide(shell->symbols))
		out_text(out, ", moved by 0x%" PRIx64, symbols_slide(shell->symbols));
	out_text(out, "\n");
	out_put(out, "count", json_integer((json_int_t)symbols_count(shell->symbols)));
	out_put(out, "source", json_string(source));
	out_put(out, "slide", out_hex(out, symbols_slide(shell->symbols)));
	return OUTCOME_DONE;
}

static enum outcome load(struct shell *shell, const char *path)
{
	struct croft_error error;
	enum croft_status status;

	if (path)
		status = symbols_load(shell->symbols, path, &error);
	else
		status = symbols_load_kallsyms(shell->symbols, shell->vm, show_progress, NULL, &error);
	if (status)
		return shell_fail(shell, &error);
	if (path && shell->vm)
		symbols_find_slide(shell->symbols, shell->vm);
	return show(shell);
}

static enum outcome look_up(struct shell *shell, const char *text)
{
	uint64_t address;
	enum outcome outcome = expr_take(shell, text, &address);

	if (outcome)
		return outcome;
	out_address(&shell->out, address, 0);
	out_put(&shell->out, "address", out_hex(&shell->out, address));
	shell_symbol(shell, address, shell->out.json);
	out_text(&shell->out, "\n");
	return OUTCOME_DONE;
}

static enum outcome do_symbols(struct shell *shell, struct args *args)
{
	const char *value;
	char option = args_option(args, "f:k", &value);

	if (option == '?' || (option && args_left(args)) || args_left(args) > 1)
		return verb_misused(shell, &verb_symbols, "one of these");
	if (option == 'k' && (!shell->vm || croft_vm_is_running(shell->vm)))
		return shell_failed(shell, "a stopped VM is needed");
	if (option)
		return load(shell, option == 'f' ? value : NULL);
	return args_left(args) ? look_up(shell, args_next(args)) : show(shell);
}

const struct verb verb_symbols = {
	.name = "symbols",
	.aliases = "sym",
	.usage = "[-f FILE | -k | ADDRESS]",
	.summary = "Loads names of addresses, or looks one up",
	.help = "-f FILE  a System.map, or an ELF file with symbols such as vmlinux; a kernel that was moved (KASLR) "
		"is\n"
		"         found by where SYSCALL leads, once it has set that up\n"
		"-k       out of the memory of the running Linux itself (its kallsyms, 4.20 and later); some MiB cross "
		"the\n"
		"         wire\n"
		"A number gives its symbol, a symbol its address. Without arguments: what is loaded.",
	.example = "symbols -f /boot/System.map\nsymbols -k\nsymbols rip\nsymbols start_kernel",
	.flags = VERB_ALONE,
	.words = WORD_EXPRESSION | WORD_FILE,
	.choices = "-f -k",
	.run = do_symbols,
};
