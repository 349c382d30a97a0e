/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs: one table for the shell, the command line, help, completion and the manual page.
 */
#ifndef CROFT_VERB_H
#define CROFT_VERB_H

#include "client/croft/args.h"
#include "client/croft/shell.h"

#define VERB_STOPPED 0x01u /* looks at the guest: only while it is stopped */
#define VERB_ALONE   0x02u /* needs no VM */

/* What the last word of a line can become. */
#define WORD_EXPRESSION 0x01u /* registers and symbols */
#define WORD_REGISTER	0x02u
#define WORD_BREAKPOINT 0x04u
#define WORD_VERB	0x08u
#define WORD_FILE	0x10u

struct verb {
	const char *name;
	const char *aliases; /* words, or "" */
	const char *usage;   /* arguments: "[-c CR3] ADDRESS" */
	const char *summary; /* one line, without a full stop */
	const char *help;    /* what else there is to know: lines; "" */
	const char *example; /* lines: a command, then "# what it does" */
	unsigned flags;	     /* VERB_x */
	unsigned words;	     /* WORD_x */
	const char *choices; /* options and fixed words that its arguments may be: "-d -n" */
	enum outcome (*run)(struct shell *shell, struct args *args);
};

extern const struct verb verb_help, verb_run, verb_stop, verb_step, verb_regs, verb_sregs, verb_msr, verb_mem,
	verb_phys, verb_disas, verb_xlate, verb_pagetables, verb_gdt, verb_idt, verb_break, verb_watch, verb_delete,
	verb_bt, verb_search, verb_symbols, verb_stats, verb_log, verb_console, verb_monitor, verb_config, verb_dump,
	verb_proxy, verb_quit;

/* By index from 0; NULL: no more. */
const struct verb *verb_at(unsigned index);

/* By name, alias, or the beginning of one name alone. NULL: none, or several. */
const struct verb *verb_find(const char *name);

/* "usage: NAME ARGUMENTS", behind what is wrong. */
enum outcome verb_misused(struct shell *shell, const struct verb *verb, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Does a word of "A B C" begin so? For aliases and choices; *at: where to begin, moved behind it. Length 0: no more. */
size_t verb_word(const char **at, const char **word);

/* --- what verbs share --- */

/* "-c CR3": linear addresses by other page tables. */
enum outcome verb_take_cr3(struct shell *shell, const char *text, struct croft_space *space);

/* An optional argument that is an expression; fallback if it is not there. */
enum outcome verb_take(struct shell *shell, struct args *args, uint64_t fallback, uint64_t *value);

/* Where the VM stands, and why: after each stop. */
enum outcome verb_show_stop(struct shell *shell);

/* Keeps the VM company while nothing is asked. *stopped: it has just stopped. */
enum outcome verb_poll(struct shell *shell, bool *stopped);

/*
 * Waits, for less than signs of life are due, until there may be something for verb_poll() or proxy_serve(), or in fd
 * (-1: none). Returns 1 if there is something in fd, 0: there is not, -1: errno.
 */
int verb_wait(const struct shell *shell, int fd);

#endif
