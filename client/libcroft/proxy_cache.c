/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages, and which of their bytes are known.
 */
#include "client/libcroft/proxy_cache.h"

#include <stdlib.h>
#include <string.h>

#include <undercroft/types.h>

struct cache_page {
	uint64_t number, generation;
	uint8_t known[PAGE_SIZE / 8];
	uint8_t byte[PAGE_SIZE];
};

void cache_init(struct cache *cache)
{
	memset(cache, 0, sizeof(*cache));
	cache->generation = 1;
}

void cache_free(struct cache *cache)
{
	for (unsigned i = 0; i < CACHE_PAGES; i++)
		free(cache->page[i]);
	cache_init(cache);
}

void cache_drop(struct cache *cache)
{
	cache->generation++;
}

/* The part of a range that is in one page. */
static size_t part_of(uint64_t address, size_t length)
{
	size_t left = PAGE_SIZE - (size_t)(address % PAGE_SIZE);

	return length < left ? length : left;
}

static struct cache_page *find(const struct cache *cache, uint64_t number)
{
	struct cache_page *page = cache->page[number % CACHE_PAGES];

	return page && page->number == number && page->generation == cache->generation ? page : NULL;
}

/* The page with this number, in place of another one if it has to be. */
static struct cache_page *claim(struct cache *cache, uint64_t number)
{
	struct cache_page **slot = &cache->page[number % CACHE_PAGES], *page = find(cache, number);

	if (page)
		return page;
	if (!*slot)
		*slot = malloc(sizeof(**slot));
	if (!*slot)
		return NULL;
	(*slot)->number = number;
	(*slot)->generation = cache->generation;
	memset((*slot)->known, 0, sizeof((*slot)->known));
	return *slot;
}

void cache_put(struct cache *cache, uint64_t address, const void *bytes, size_t length)
{
	const uint8_t *from = bytes;

	while (length) {
		size_t at = (size_t)(address % PAGE_SIZE), part = part_of(address, length);
		struct cache_page *page = claim(cache, address / PAGE_SIZE);

		if (!page)
			return;
		memcpy(page->byte + at, from, part);
		for (size_t i = at; i < at + part; i++)
			page->known[i / 8] |= (uint8_t)(1u << i % 8);
		address += part;
		from += part;
		length -= part;
	}
}

bool cache_get(const struct cache *cache, uint64_t address, void *bytes, size_t length)
{
	uint8_t *to = bytes;

	while (length) {
		size_t at = (size_t)(address % PAGE_SIZE), part = part_of(address, length);
		const struct cache_page *page = find(cache, address / PAGE_SIZE);

		if (!page)
			return false;
		for (size_t i = at; i < at + part; i++) {
			if (!(page->known[i / 8] & 1u << i % 8))
				return false;
		}
		memcpy(to, page->byte + at, part);
		address += part;
		to += part;
		length -= part;
	}
	return true;
}
