/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of a dump share: which pages there are, their hashes, and the store that has their contents.
 */
#ifndef LIBCROFT_DUMP_H
#define LIBCROFT_DUMP_H

#include "client/libcroft/croft.h"
#include "client/libcroft/error.h"
#include "core/control/siphash.h"

#define DUMP_PAGE 4096u

struct page_hash {
	uint8_t bytes[SIPHASH_BYTES];
};

/* docs/protocol.md, "Hashes": a page of zeros, and one that is not there */
extern const struct page_hash hash_zero, hash_absent;

/* A path with more behind it, to be given to free(); NULL: no memory. */
char *path_with(const char *path, const char *suffix);

/* rename(), which only stdio.h declares: 0, or -1 with errno. */
int file_rename(const char *from, const char *to);

bool hash_is(const struct page_hash *a, const struct page_hash *b);

/* --- dump_store.c: contents by hash, and the hashes that pages had last --- */

struct store {
	int fd, map_fd; /* map_fd: -1 if the store is for one dump alone */
	char *map_path;
	uint8_t key[SIPHASH_BYTES];
	struct page_hash *hash; /* of each record */
	uint64_t count, room;
	uint64_t *slot; /* open addressing: number of a record plus one */
	uint64_t slots;
};

/* path NULL: nothing is kept. Errors: SYSTEM, BUSY, MEMORY. store_close() is to be called whatever happens. */
enum croft_status store_open(struct store *store, const char *path, struct croft_error *error);
void store_close(struct store *store);

/* A store of hashes alone. False: no memory. */
bool store_table(struct store *store);

/* Adds a hash to a table. False: it is there already. Without memory it is forgotten, and true. */
bool store_announce(struct store *store, const struct page_hash *hash);

void store_hash(const struct store *store, const uint8_t page[DUMP_PAGE], struct page_hash *hash);
bool store_has(const struct store *store, const struct page_hash *hash);

/* Adds a page under its hash. Errors: SYSTEM, MEMORY. */
enum croft_status store_add(struct store *store, const struct page_hash *hash, const uint8_t page[DUMP_PAGE],
			    struct croft_error *error);

/* A page that store_has(). Errors: SYSTEM; it is not what it was. */
enum croft_status store_read(const struct store *store, const struct page_hash *hash, uint8_t page[DUMP_PAGE],
			     struct croft_error *error);

struct map_record {
	uint64_t page;
	struct page_hash hash;
};

/* The next record of the last dump's map; false: no more. From the beginning after store_open(). */
bool store_map_next(struct store *store, struct map_record *record);

/* Replaces the map by what next(data) gives until it says false. Errors: SYSTEM. */
enum croft_status store_map_write(struct store *store, bool (*next)(void *data, struct map_record *record), void *data,
				  struct croft_error *error);

/* --- dump.c --- */

struct page_run {
	uint64_t first, count; /* pages */
	uint64_t index;	       /* of the first in the arrays */
};

enum page_state { PAGE_UNKNOWN, PAGE_OLD /* by the last map */, PAGE_KNOWN };

struct dump {
	struct croft_vm *vm;
	const struct croft_dump *what;
	struct croft_dump_result *result;
	struct store store;
	struct croft_range *range; /* RAM, sorted, without overlaps */
	size_t range_count;
	struct page_run *run;
	size_t run_count;
	uint64_t pages;
	struct page_hash *hash;
	uint8_t *state;	       /* enum page_state */
	uint8_t *inconsistent; /* bool */
	struct croft_dump_progress progress;
	uint64_t content_bytes;
	uint64_t changed; /* pages whose hash changed in this pass */
};

/* Where a page stands in the arrays, or UINT64_MAX. */
uint64_t dump_index(const struct dump *dump, uint64_t page);

/* The content of a page as it is dumped; zeros where there is none. */
enum croft_status dump_page(const struct dump *dump, uint64_t page, uint8_t content[DUMP_PAGE],
			    struct croft_error *error);

/* Tells how far it is. Errors: INTERRUPTED. */
enum croft_status dump_progress(struct dump *dump, struct croft_error *error);

/* --- dump_pages.c: what travels --- */

/* Asks for hashes until all of them are known. Adds to changed and progress. */
enum croft_status dump_hashes(struct dump *dump, struct croft_error *error);

/* Asks for what the store has not got. Errors: what croft_bulk_read() has; PROTOCOL. */
enum croft_status dump_contents(struct dump *dump, struct croft_error *error);

/* --- dump_write.c, dump_elf.c: the file --- */

struct output {
	int fd;
	const char *path;
	uint64_t at;
};

/* Registers have to be read while the VM stands. */
struct dump_cpu;
enum croft_status dump_cpu_read(struct croft_vm *vm, struct dump_cpu **cpu, struct croft_error *error);

enum croft_status output_put(struct output *output, const void *bytes, size_t length, struct croft_error *error);
enum croft_status dump_write_elf_head(struct dump *dump, const struct dump_cpu *cpu, struct output *output,
				      struct croft_error *error);
enum croft_status dump_write(struct dump *dump, const struct dump_cpu *cpu, struct croft_error *error);

#endif
