/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that was read while the VM stands, byte by byte: what was never read is not there. Bounded. Must not know
 * where bytes come from.
 */
#ifndef LIBCROFT_PROXY_CACHE_H
#define LIBCROFT_PROXY_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_PAGES 1024u /* 4 MiB */

struct cache_page;

struct cache {
	uint64_t generation;		      /* pages of others are empty */
	struct cache_page *page[CACHE_PAGES]; /* by the lowest bits of their number */
};

void cache_init(struct cache *cache);
void cache_free(struct cache *cache);

/* Nothing is known any more. */
void cache_drop(struct cache *cache);

/* Keeps bytes; without memory on this computer it does not. */
void cache_put(struct cache *cache, uint64_t address, const void *bytes, size_t length);

/* All of these bytes, or false. */
bool cache_get(const struct cache *cache, uint64_t address, void *bytes, size_t length);

#endif
