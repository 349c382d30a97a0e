/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file of pages under their hashes, to which pages are only added: what was cut off has whole pages and perhaps a
 * part of one, which is overwritten. Nothing in it is believed: a page is hashed again before it is used.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <undercroft/types.h>

#include "client/libcroft/dump.h"

#define MAGIC_PAGES "croftpg1"
#define MAGIC_MAP   "croftmp1"
#define MAGIC_BYTES 8u

#define HEADER (MAGIC_BYTES + SIPHASH_BYTES)
#define RECORD (SIPHASH_BYTES + DUMP_PAGE)

const struct page_hash hash_zero;
const struct page_hash hash_absent = {
	{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

bool hash_is(const struct page_hash *a, const struct page_hash *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

char *path_with(const char *path, const char *suffix)
{
	size_t length = strlen(path), more = strlen(suffix) + 1;
	char *joined = malloc(length + more);

	if (joined) {
		memcpy(joined, path, length);
		memcpy(joined + length, suffix, more);
	}
	return joined;
}

int file_rename(const char *from, const char *to)
{
	return (int)syscall(SYS_rename, from, to);
}

static bool read_all(int fd, void *to, size_t length, uint64_t at)
{
	return pread(fd, to, length, (off_t)at) == (ssize_t)length;
}

static bool write_all(int fd, const void *from, size_t length, uint64_t at)
{
	const char *bytes = from;

	while (length) {
		ssize_t done = pwrite(fd, bytes, length, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		length -= (size_t)done;
		at += (uint64_t)done;
	}
	return true;
}

/* --- the table --- */

/* The hash is random already: its first bytes are as good as any. The slot that has it, or the free one it would get.
 */
static uint64_t *slot_of(const struct store *store, const struct page_hash *hash)
{
	uint64_t at;

	memcpy(&at, hash, sizeof(at));
	for (;; at++) {
		uint64_t *slot = &store->slot[at & (store->slots - 1)];

		if (!*slot || hash_is(&store->hash[*slot - 1], hash))
			return slot;
	}
}

static bool grow(struct store *store)
{
	uint64_t room = store->room ? 2 * store->room : 4096, slots = 2 * room;
	struct page_hash *hash = reallocarray(store->hash, room, sizeof(*hash));
	uint64_t *slot = calloc(slots, sizeof(*slot));

	if (hash)
		store->hash = hash;
	if (!hash || !slot) {
		free(slot);
		return false;
	}
	free(store->slot);
	store->slot = slot;
	store->slots = slots;
	store->room = room;
	for (uint64_t i = 0; i < store->count; i++)
		*slot_of(store, &store->hash[i]) = i + 1;
	return true;
}

static bool add_record(struct store *store, const struct page_hash *hash)
{
	if (store->count == store->room && !grow(store))
		return false;
	store->hash[store->count] = *hash;
	*slot_of(store, hash) = ++store->count;
	return true;
}

/* --- the file --- */

static enum croft_status load(struct store *store, const char *path, struct croft_error *error)
{
	char magic[MAGIC_BYTES];
	off_t size = lseek(store->fd, 0, SEEK_END);
	struct page_hash hash;

	if (!read_all(store->fd, magic, sizeof(magic), 0) || memcmp(magic, MAGIC_PAGES, MAGIC_BYTES) != 0 ||
	    !read_all(store->fd, store->key, sizeof(store->key), MAGIC_BYTES))
		return error_set(error, CROFT_ERROR_SYSTEM, "%s: no cache of pages", path);
	for (uint64_t at = HEADER; at + RECORD <= (uint64_t)size; at += RECORD) {
		if (!read_all(store->fd, &hash, sizeof(hash), at))
			return error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", path);
		if (!add_record(store, &hash))
			return error_memory(error);
	}
	return error_none(error);
}

static enum croft_status create(struct store *store, const char *path, struct croft_error *error)
{
	uint8_t header[HEADER] = MAGIC_PAGES;

	if (getrandom(store->key, sizeof(store->key), 0) != sizeof(store->key))
		return error_system(error, CROFT_ERROR_SYSTEM, errno, "random numbers");
	memcpy(header + MAGIC_BYTES, store->key, sizeof(store->key));
	if (!write_all(store->fd, header, sizeof(header), 0))
		return error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", path ? path : "memory for a dump");
	return error_none(error);
}

/* The last map counts if it is of this cache. */
static void map_open(struct store *store)
{
	uint8_t header[HEADER];

	store->map_fd = open(store->map_path, O_RDONLY | O_CLOEXEC);
	if (store->map_fd < 0)
		return;
	if (read(store->map_fd, header, sizeof(header)) == (ssize_t)sizeof(header) &&
	    memcmp(header, MAGIC_MAP, MAGIC_BYTES) == 0 &&
	    memcmp(header + MAGIC_BYTES, store->key, sizeof(store->key)) == 0)
		return;
	close(store->map_fd);
	store->map_fd = -1;
}

/* Without a path: a file that has no name, and goes with us. */
static int temporary(void)
{
	int fd = open(getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : memfd_create("croft-dump", MFD_CLOEXEC);
}

enum croft_status store_open(struct store *store, const char *path, struct croft_error *error)
{
	enum croft_status status;

	memset(store, 0, sizeof(*store));
	store->map_fd = -1;
	store->fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : temporary();
	if (store->fd < 0)
		return error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", path ? path : "memory for a dump");
	if (path && flock(store->fd, LOCK_EX | LOCK_NB) != 0)
		return error_set(error, CROFT_ERROR_BUSY, "%s: another dump uses this cache", path);
	if (!grow(store))
		return error_memory(error);
	status = lseek(store->fd, 0, SEEK_END) > 0 ? load(store, path, error) : create(store, path, error);
	if (status || !path)
		return status;
	store->map_path = path_with(path, ".map");
	if (!store->map_path)
		return error_memory(error);
	map_open(store);
	return CROFT_OK;
}

void store_close(struct store *store)
{
	if (store->fd >= 0)
		close(store->fd);
	if (store->map_fd >= 0)
		close(store->map_fd);
	free(store->map_path);
	free(store->hash);
	free(store->slot);
}

bool store_table(struct store *store)
{
	memset(store, 0, sizeof(*store));
	store->fd = store->map_fd = -1;
	return grow(store);
}

bool store_announce(struct store *store, const struct page_hash *hash)
{
	if (store_has(store, hash))
		return false;
	(void)add_record(store, hash);
	return true;
}

void store_hash(const struct store *store, const uint8_t page[DUMP_PAGE], struct page_hash *hash)
{
	struct siphash sip;

	siphash_init(&sip, store->key);
	siphash_add(&sip, page, DUMP_PAGE);
	siphash_end(&sip, hash->bytes);
}

bool store_has(const struct store *store, const struct page_hash *hash)
{
	return *slot_of(store, hash) != 0;
}

enum croft_status store_add(struct store *store, const struct page_hash *hash, const uint8_t page[DUMP_PAGE],
			    struct croft_error *error)
{
	uint64_t at = HEADER + store->count * RECORD;

	if (store_has(store, hash))
		return CROFT_OK;
	/* the hash last: a record is there when it is whole */
	if (!write_all(store->fd, page, DUMP_PAGE, at + SIPHASH_BYTES) ||
	    !write_all(store->fd, hash, sizeof(*hash), at))
		return error_system(error, CROFT_ERROR_SYSTEM, errno, "the pages of a dump");
	return add_record(store, hash) ? CROFT_OK : error_memory(error);
}

enum croft_status store_read(const struct store *store, const struct page_hash *hash, uint8_t page[DUMP_PAGE],
			     struct croft_error *error)
{
	struct page_hash found;
	uint64_t record = *slot_of(store, hash);

	if (!record || !read_all(store->fd, page, DUMP_PAGE, HEADER + (record - 1) * RECORD + SIPHASH_BYTES))
		return error_set(error, CROFT_ERROR_SYSTEM, "a page of the dump cannot be read back");
	store_hash(store, page, &found);
	if (!hash_is(&found, hash))
		return error_set(error, CROFT_ERROR_SYSTEM,
				 "the cache is damaged: a page is not what it was; remove it and dump anew");
	return CROFT_OK;
}

/* --- the map --- */

bool store_map_next(struct store *store, struct map_record *record)
{
	return store->map_fd >= 0 && read(store->map_fd, record, sizeof(*record)) == (ssize_t)sizeof(*record);
}

static bool map_write(const struct store *store, int fd, bool (*next)(void *data, struct map_record *record),
		      void *data)
{
	struct map_record record[256];
	uint8_t header[HEADER] = MAGIC_MAP;
	uint64_t at = sizeof(header);
	size_t count;

	memcpy(header + MAGIC_BYTES, store->key, sizeof(store->key));
	if (!write_all(fd, header, sizeof(header), 0))
		return false;
	do {
		for (count = 0; count < ARRAY_SIZE(record) && next(data, &record[count]); count++)
			;
		if (!write_all(fd, record, count * sizeof(record[0]), at))
			return false;
		at += count * sizeof(record[0]);
	} while (count);
	return true;
}

enum croft_status store_map_write(struct store *store, bool (*next)(void *data, struct map_record *record), void *data,
				  struct croft_error *error)
{
	enum croft_status status = CROFT_OK;
	char *path;
	int fd;

	if (!store->map_path)
		return CROFT_OK;
	path = path_with(store->map_path, ".new");
	if (!path)
		return error_memory(error);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || !map_write(store, fd, next, data) || file_rename(path, store->map_path) != 0)
		status = error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", path);
	if (fd >= 0)
		close(fd);
	free(path);
	return status;
}
