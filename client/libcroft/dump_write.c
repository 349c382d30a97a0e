/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file of a dump: written under another name, with holes where memory is zero, and renamed when it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <undercroft/log.h>
#include <undercroft/types.h>

#include "client/libcroft/dump.h"

/* How often the other end hears of us meanwhile, and the caller. */
#define PUMP_PAGES 1024u

/* LiME, doc/README.md, "Spec" */
#define LIME_MAGIC   0x4c694d45u
#define LIME_VERSION 1u

struct lime_header {
	uint32_t magic, version;
	uint64_t first, last;
	uint8_t reserved[8];
};

_Static_assert(sizeof(struct lime_header) == 32, "as LiME has it");

enum croft_status output_put(struct output *output, const void *bytes, size_t length, struct croft_error *error)
{
	const char *at = bytes;

	while (length) {
		ssize_t done = pwrite(output->fd, at, length, (off_t)output->at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", output->path);
		at += done;
		length -= (size_t)done;
		output->at += (uint64_t)done;
	}
	return CROFT_OK;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
	return !length || (!bytes[0] && !memcmp(bytes, bytes + 1, length - 1));
}

/* The other end is lost when it has all been read: that is no reason to lose the dump, too. */
static enum croft_status keep_alive(struct dump *dump, struct croft_error *error)
{
	if (dump->progress.pages_done % PUMP_PAGES)
		return CROFT_OK;
	if (croft_vm_pump(dump->vm, 0, NULL) == CROFT_ERROR_INTERRUPTED)
		return error_set(error, CROFT_ERROR_INTERRUPTED, "the dump was given up");
	return dump_progress(dump, error);
}

static enum croft_status put_range(struct dump *dump, struct output *output, const struct croft_range *range,
				   struct croft_error *error)
{
	uint64_t at = range->start, end = range->start + range->length;
	enum croft_status status = CROFT_OK;
	uint8_t content[DUMP_PAGE];

	while (at < end && !status) {
		size_t skip = at % DUMP_PAGE, length = DUMP_PAGE - skip;

		if (length > end - at)
			length = (size_t)(end - at);
		status = dump_page(dump, at / DUMP_PAGE, content, error);
		if (status)
			break;
		if (is_zero(content + skip, length))
			output->at += length;
		else
			status = output_put(output, content + skip, length, error);
		at += length;
		if (!status)
			status = keep_alive(dump, error);
		dump->progress.pages_done++;
	}
	return status;
}

static enum croft_status put_ranges(struct dump *dump, struct output *output, struct croft_error *error)
{
	enum croft_status status = CROFT_OK;

	for (size_t i = 0; i < dump->range_count && !status; i++) {
		const struct croft_range *range = &dump->range[i];

		if (dump->what->format == CROFT_DUMP_RAW)
			output->at = range->start;
		if (dump->what->format == CROFT_DUMP_LIME) {
			struct lime_header header = {.magic = LIME_MAGIC,
						     .version = LIME_VERSION,
						     .first = range->start,
						     .last = range->start + range->length - 1};

			status = output_put(output, &header, sizeof(header), error);
		}
		if (!status)
			status = put_range(dump, output, range, error);
	}
	/* what ends with a hole has its length nevertheless */
	if (!status && ftruncate(output->fd, (off_t)output->at) != 0)
		status = error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", output->path);
	return status;
}

/* --- the map of a raw dump --- */

__attribute__((format(printf, 3, 4))) static enum croft_status put_text(struct output *output,
									struct croft_error *error, const char *format,
									...)
{
	char text[160];
	va_list args;
	size_t length;

	va_start(args, format);
	length = format_vstring(text, sizeof(text), format, args);
	va_end(args);
	return output_put(output, text, length < sizeof(text) ? length : sizeof(text) - 1, error);
}

static bool page_is_absent(const struct dump *dump, uint64_t index)
{
	return hash_is(&dump->hash[index], &hash_absent);
}

static bool page_is_inconsistent(const struct dump *dump, uint64_t index)
{
	return dump->inconsistent[index];
}

/* Runs of pages as [first, last] of their bytes. */
static enum croft_status put_pages(struct dump *dump, struct output *output, const char *name,
				   bool (*is)(const struct dump *dump, uint64_t index), struct croft_error *error)
{
	enum croft_status status = put_text(output, error, ",\n  \"%s\": [", name);
	const char *comma = "";

	for (size_t i = 0; i < dump->run_count && !status; i++) {
		const struct page_run *run = &dump->run[i];

		for (uint64_t at = 0, end; at < run->count && !status; at = end + 1) {
			for (end = at; end < run->count && is(dump, run->index + end); end++)
				;
			if (end == at)
				continue;
			status = put_text(output, error, "%s\n    {\"start\": %llu, \"length\": %llu}", comma,
					  (unsigned long long)((run->first + at) * DUMP_PAGE),
					  (unsigned long long)((end - at) * DUMP_PAGE));
			comma = ",";
		}
	}
	return status ? status : put_text(output, error, "]");
}

static enum croft_status put_map(struct dump *dump, struct output *output, struct croft_error *error)
{
	enum croft_status status =
		put_text(output, error, "{\n  \"format\": \"raw\",\n  \"live\": %s,\n  \"ranges\": [",
			 dump->what->live ? "true" : "false");

	for (size_t i = 0; i < dump->range_count && !status; i++)
		status = put_text(output, error, "%s\n    {\"start\": %llu, \"length\": %llu, \"offset\": %llu}",
				  i ? "," : "", (unsigned long long)dump->range[i].start,
				  (unsigned long long)dump->range[i].length, (unsigned long long)dump->range[i].start);
	if (!status)
		status = put_text(output, error, "]");
	if (!status)
		status = put_pages(dump, output, "absent", page_is_absent, error);
	if (!status)
		status = put_pages(dump, output, "inconsistent", page_is_inconsistent, error);
	return status ? status : put_text(output, error, "\n}\n");
}

/* --- files --- */

static enum croft_status write_file(struct dump *dump, const struct dump_cpu *cpu, const char *path,
				    enum croft_status (*put)(struct dump *dump, struct output *output,
							     struct croft_error *error),
				    struct croft_error *error)
{
	char *part = path_with(path, ".part");
	struct output output = {.path = part};
	enum croft_status status = CROFT_OK;

	if (!part)
		return error_memory(error);
	output.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (output.fd < 0)
		status = error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", part);
	if (!status && cpu)
		status = dump_write_elf_head(dump, cpu, &output, error);
	if (!status)
		status = put(dump, &output, error);
	if (output.fd >= 0 && close(output.fd) != 0 && !status)
		status = error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", part);
	if (!status && file_rename(part, path) != 0)
		status = error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", path);
	if (status && output.fd >= 0)
		unlink(part);
	free(part);
	return status;
}

enum croft_status dump_write(struct dump *dump, const struct dump_cpu *cpu, struct croft_error *error)
{
	enum croft_status status;
	char *map;

	dump->progress.phase = CROFT_DUMP_WRITES;
	dump->progress.pages_done = 0;
	dump->progress.pages_total = dump->pages;
	dump->progress.bytes_left = 0;
	status = write_file(dump, cpu, dump->what->path, put_ranges, error);
	if (status || dump->what->format != CROFT_DUMP_RAW)
		return status;
	map = path_with(dump->what->path, ".json");
	if (!map)
		return error_memory(error);
	status = write_file(dump, NULL, map, put_map, error);
	free(map);
	return status;
}
