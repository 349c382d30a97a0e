/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all verbs share: the VM, the symbols, where to print, and how it went.
 */
#ifndef CROFT_SHELL_H
#define CROFT_SHELL_H

#include "client/croft/out.h"
#include "client/croft/symbols.h"
#include "client/libcroft/croft.h"

/* How a verb ended; also the command's exit status, as croft(1) has it. */
enum outcome {
	OUTCOME_DONE = 0,
	OUTCOME_FAILED = 1,	   /* refused, not mapped, not found, a wrong configuration */
	OUTCOME_USAGE = 2,	   /* no such verb or option, an argument that makes no sense */
	OUTCOME_NO_TARGET = 3,	   /* nobody to talk to */
	OUTCOME_LOST = 4,	   /* the link broke, or what came makes no sense */
	OUTCOME_INTERRUPTED = 130, /* by SIGINT */
};

struct shell {
	struct out out;
	struct croft_vm *vm; /* NULL: not attached */
	struct symbols *symbols;
	const char *target;	      /* as libcroft takes it, or NULL */
	const char *verb;	      /* that is being done, for messages */
	bool interactive;	      /* lines come from a person */
	bool quit;		      /* after this verb */
	bool lost;		      /* the link is: there is nothing more to say to the VM */
	bool line_open;		      /* log text is on the screen without its newline */
	bool disturbed;		      /* by log text: what is being typed has to be shown anew */
	struct proxy *proxy;	      /* a port for another debugger, or NULL */
	struct register_copy *copy;   /* what registers were at the last look, to show what changed */
	uint64_t next_mem, next_code; /* where the next "mem" and "disas" go on */
};

/* Says what went wrong, on stderr or as JSON. Returns the outcome that belongs to the error's status. */
enum outcome shell_fail(struct shell *shell, const struct croft_error *error);
enum outcome shell_usage(struct shell *shell, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum outcome shell_failed(struct shell *shell, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says on stderr, beside whatever is typed, what has happened at the proxy. */
void shell_note(struct shell *shell, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Attaches. */
enum outcome shell_attach(struct shell *shell, unsigned flags, unsigned timeout_ms);

/* One verb with its arguments; prints what it has to say. */
enum outcome shell_do(struct shell *shell, int count, char **words);

/* One line: words, verb. Empty lines and those that begin with "#" do nothing. */
enum outcome shell_line(struct shell *shell, const char *line);

/* Lines from a person on a terminal, or from anything else until it ends. Detaches at the end. */
enum outcome shell_interact(struct shell *shell);
enum outcome shell_script(struct shell *shell, FILE *from);

/* Detaches: the VM runs on. */
enum outcome shell_detach(struct shell *shell);

/* " <start_kernel+0x10>", if there is a symbol that near. Text and JSON (name "symbol" in object, if not NULL). */
void shell_symbol(struct shell *shell, uint64_t address, json_t *object);

/* SIGINT ends what the VM is waited for. While nothing is attached it has its usual effect. */
void interrupt_watch(struct croft_vm *vm);

/* How many SIGINT there were since it was asked last. */
unsigned interrupt_take(void);

#endif
