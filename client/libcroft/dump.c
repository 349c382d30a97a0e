/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A dump: what there is, what of it is not known yet, again while it changes, and then the file.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/types.h>

#include "client/libcroft/dump.h"

/* So much that everything can be counted in bytes, and no machine has it. */
#define ADDRESS_END (1ull << 52)

/* --- what there is --- */

static int by_start(const void *a, const void *b)
{
	const struct croft_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* RAM alone, in order, without overlaps and without what no machine has. */
static void tidy(struct dump *dump)
{
	size_t kept = 0;
	uint64_t covered = 0;

	qsort(dump->range, dump->range_count, sizeof(*dump->range), by_start);
	for (size_t i = 0; i < dump->range_count; i++) {
		struct croft_range range = dump->range[i];
		uint64_t end = range.length < ADDRESS_END ? range.start + range.length : ADDRESS_END;

		if (!range.is_ram || range.start >= ADDRESS_END)
			continue;
		if (end > ADDRESS_END)
			end = ADDRESS_END;
		if (range.start < covered)
			range.start = covered;
		if (range.start >= end)
			continue;
		range.length = end - range.start;
		covered = end;
		if (kept && dump->range[kept - 1].start + dump->range[kept - 1].length == range.start)
			dump->range[kept - 1].length += range.length;
		else
			dump->range[kept++] = range;
	}
	dump->range_count = kept;
}

/* The pages of all ranges; two ranges may have parts of one. */
static void make_runs(struct dump *dump)
{
	for (size_t i = 0; i < dump->range_count; i++) {
		uint64_t first = dump->range[i].start / DUMP_PAGE;
		uint64_t end = (dump->range[i].start + dump->range[i].length + DUMP_PAGE - 1) / DUMP_PAGE;
		struct page_run *last = dump->run_count ? &dump->run[dump->run_count - 1] : NULL;

		if (last && last->first + last->count >= first) {
			dump->pages += end - last->first - last->count;
			last->count = end - last->first;
			continue;
		}
		dump->run[dump->run_count++] =
			(struct page_run){.first = first, .count = end - first, .index = dump->pages};
		dump->pages += end - first;
	}
}

static enum croft_status make_pages(struct dump *dump, struct croft_error *error)
{
	enum croft_status status = croft_memory_map(dump->vm, &dump->range, &dump->range_count, error);

	if (status)
		return status;
	tidy(dump);
	dump->run = calloc(dump->range_count + 1, sizeof(*dump->run));
	if (!dump->run)
		return error_memory(error);
	make_runs(dump);
	if (!dump->pages)
		return error_set(error, CROFT_ERROR_NOT_FOUND, "there is no memory to dump");
	dump->hash = calloc(dump->pages, sizeof(*dump->hash));
	dump->state = calloc(dump->pages, sizeof(*dump->state));
	dump->inconsistent = calloc(dump->pages, sizeof(*dump->inconsistent));
	if (!dump->hash || !dump->state || !dump->inconsistent)
		return error_memory(error);
	dump->result->pages = dump->pages;
	return CROFT_OK;
}

uint64_t dump_index(const struct dump *dump, uint64_t page)
{
	size_t low = 0, high = dump->run_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct page_run *run = &dump->run[middle];

		if (page < run->first)
			high = middle;
		else if (page - run->first >= run->count)
			low = middle + 1;
		else
			return run->index + (page - run->first);
	}
	return UINT64_MAX;
}

enum croft_status dump_page(const struct dump *dump, uint64_t page, uint8_t content[DUMP_PAGE],
			    struct croft_error *error)
{
	const struct page_hash *hash = &dump->hash[dump_index(dump, page)];

	if (!hash_is(hash, &hash_zero) && !hash_is(hash, &hash_absent))
		return store_read(&dump->store, hash, content, error);
	memset(content, 0, DUMP_PAGE);
	return CROFT_OK;
}

/* --- the last map --- */

static void map_read(struct dump *dump)
{
	struct map_record record;

	while (store_map_next(&dump->store, &record)) {
		uint64_t index = dump_index(dump, record.page);

		if (index == UINT64_MAX)
			continue;
		dump->hash[index] = record.hash;
		dump->state[index] = PAGE_OLD;
	}
}

struct cursor {
	const struct dump *dump;
	size_t run;
	uint64_t at;
};

static bool map_next(void *data, struct map_record *record)
{
	struct cursor *cursor = data;

	while (cursor->run < cursor->dump->run_count) {
		const struct page_run *run = &cursor->dump->run[cursor->run];
		uint64_t at = cursor->at++;

		if (at == run->count) {
			cursor->run++;
			cursor->at = 0;
			continue;
		}
		if (cursor->dump->state[run->index + at] == PAGE_UNKNOWN)
			continue;
		record->page = run->first + at;
		record->hash = cursor->dump->hash[run->index + at];
		return true;
	}
	return false;
}

/* --- passes --- */

enum croft_status dump_progress(struct dump *dump, struct croft_error *error)
{
	dump->progress.bytes_received = dump->result->bytes_received;
	if (dump->what->progress && !dump->what->progress(dump->what->data, &dump->progress))
		return error_set(error, CROFT_ERROR_INTERRUPTED, "the dump was given up");
	return CROFT_OK;
}

static enum croft_status phase(struct dump *dump, enum croft_dump_phase phase,
			       enum croft_status (*work)(struct dump *dump, struct croft_error *error),
			       struct croft_error *error)
{
	dump->progress.phase = phase;
	dump->progress.pages_done = 0;
	dump->progress.pages_total = dump->pages;
	dump->progress.bytes_left = 0;
	return work(dump, error);
}

static void count_cached(struct dump *dump)
{
	for (uint64_t i = 0; i < dump->pages; i++)
		dump->result->cached += !hash_is(&dump->hash[i], &hash_zero) &&
					!hash_is(&dump->hash[i], &hash_absent) &&
					store_has(&dump->store, &dump->hash[i]);
}

/* What is not any more what was dumped stays as it was dumped. */
static enum croft_status verify(struct dump *dump, struct croft_error *error)
{
	struct page_hash *dumped = malloc(dump->pages * sizeof(*dumped));
	enum croft_status status;

	if (!dumped)
		return error_memory(error);
	memcpy(dumped, dump->hash, dump->pages * sizeof(*dumped));
	dump->progress.pass++;
	status = phase(dump, CROFT_DUMP_HASHES, dump_hashes, error);
	for (uint64_t i = 0; i < dump->pages && !status; i++) {
		dump->inconsistent[i] = !hash_is(&dumped[i], &dump->hash[i]);
		dump->result->inconsistent += dump->inconsistent[i];
	}
	memcpy(dump->hash, dumped, dump->pages * sizeof(*dumped));
	free(dumped);
	return status;
}

/* A guest that stands is hashed once: what a device writes meanwhile is dumped as it came. */
static enum croft_status passes(struct dump *dump, struct croft_error *error)
{
	unsigned count = dump->what->live ? (dump->what->passes ? dump->what->passes : CROFT_DUMP_PASSES) : 1;
	enum croft_status status = CROFT_OK;

	for (unsigned pass = 1; pass <= count && !status; pass++) {
		dump->progress.pass = pass;
		dump->changed = 0;
		status = phase(dump, CROFT_DUMP_HASHES, dump_hashes, error);
		if (pass == 1 && !status)
			count_cached(dump);
		else if (!status && !dump->changed)
			return CROFT_OK;
		if (!status)
			status = phase(dump, CROFT_DUMP_CONTENTS, dump_contents, error);
	}
	return status || !dump->what->live ? status : verify(dump, error);
}

static void count_pages(struct dump *dump)
{
	for (uint64_t i = 0; i < dump->pages; i++) {
		dump->result->zero += hash_is(&dump->hash[i], &hash_zero);
		dump->result->absent += hash_is(&dump->hash[i], &hash_absent);
	}
}

/* With the store open. */
static enum croft_status dump_with_store(struct dump *dump, struct croft_error *error)
{
	enum croft_status status = make_pages(dump, error), kept;
	struct dump_cpu *cpu = NULL;

	if (!status && dump->what->format == CROFT_DUMP_ELF)
		status = dump_cpu_read(dump->vm, &cpu, error);
	if (!status && dump->what->live)
		status = croft_vm_run(dump->vm, error);
	if (!status) {
		map_read(dump);
		status = passes(dump, error);
		/* what is known is known, whatever happened */
		kept = store_map_write(&dump->store, map_next, &(struct cursor){.dump = dump}, status ? NULL : error);
		status = status ? status : kept;
	}
	if (!status) {
		count_pages(dump);
		status = dump_write(dump, cpu, error);
	}
	free(cpu);
	croft_free(dump->range);
	free(dump->run);
	free(dump->hash);
	free(dump->state);
	free(dump->inconsistent);
	return status;
}

enum croft_status croft_dump(struct croft_vm *vm, const struct croft_dump *what, struct croft_dump_result *result,
			     struct croft_error *error)
{
	struct croft_dump_result own = {0};
	struct dump dump = {.vm = vm, .what = what, .result = result ? result : &own};
	enum croft_status status;

	*dump.result = own;
	if (croft_vm_is_running(vm))
		return error_set(error, CROFT_ERROR_RUNNING, "a dump begins while the VM is stopped");
	status = store_open(&dump.store, what->cache, error);
	if (!status)
		status = dump_with_store(&dump, error);
	store_close(&dump.store);
	return status ? status : error_none(error);
}
