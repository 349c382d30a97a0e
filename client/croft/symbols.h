/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of addresses. Must not know verbs.
 */
#ifndef CROFT_SYMBOLS_H
#define CROFT_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/libcroft/croft.h"

struct symbols;

/* NULL: no memory. */
struct symbols *symbols_new(void);
void symbols_free(struct symbols *symbols);

/* All of them go. */
void symbols_clear(struct symbols *symbols);

/* type: as nm(1) has it, 'T', 't', 'D' ... False: no memory. After the last one: symbols_done(). */
bool symbols_add(struct symbols *symbols, uint64_t address, char type, const char *name, size_t length);
bool symbols_done(struct symbols *symbols);

/*
 * Those of a file, instead of what was there: System.map or an ELF file with a symbol table, told apart by what is in
 * it. Errors: SYSTEM (it cannot be read), ARGUMENT (it is neither, or has none), MEMORY.
 */
enum croft_status symbols_load(struct symbols *symbols, const char *path, struct croft_error *error);

/* Called now and then while a table is read: done of total bytes. */
typedef void symbols_progress_fn(void *data, uint64_t done, uint64_t total);

/*
 * Those of the running Linux, out of its own kallsyms tables, wherever they are. progress may be NULL.
 * Errors: NOT_FOUND (no Linux, one without kallsyms, or of a form that is not known), those of reading memory.
 */
enum croft_status symbols_load_kallsyms(struct symbols *symbols, struct croft_vm *vm, symbols_progress_fn *progress,
					void *data, struct croft_error *error);

/*
 * How far the kernel was moved from where its file says it is (KASLR), found out by where SYSCALL leads. 0 if that is
 * not known, and for kallsyms.
 */
void symbols_find_slide(struct symbols *symbols, struct croft_vm *vm);
uint64_t symbols_slide(const struct symbols *symbols);

size_t symbols_count(const struct symbols *symbols);

/* Where they are from: a path or "kallsyms"; NULL: there are none. */
const char *symbols_source(const struct symbols *symbols);

bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address);

/* The last one at or below an address, if it is near enough to mean something. */
bool symbols_at(const struct symbols *symbols, uint64_t address, const char **name, uint64_t *offset);

/* Is there code at this address, by its symbol's type? */
bool symbols_is_code(const struct symbols *symbols, uint64_t address);

/* The number-th name, in alphabetical order, of those that begin with prefix; NULL: no more. */
const char *symbols_completion(const struct symbols *symbols, const char *prefix, size_t number);

/* For those who fill it. */
void symbols_set_source(struct symbols *symbols, const char *source);

#endif
