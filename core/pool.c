/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page pool: zeroed 4 KiB pages out of the hidden window. Must not know what they are used for.
 */
#include <string.h>

#include <undercroft/nested.h>
#include <undercroft/platform.h>
#include <undercroft/vm.h>

void page_pool_init(struct page_pool *pool, paddr_t start, paddr_t end)
{
	pool->next = ALIGN_UP(start, PAGE_SIZE);
	pool->end = ALIGN_DOWN(end, PAGE_SIZE);
	/* Page 0 cannot be handed out: 0 is the answer "none left". */
	if (pool->next == 0)
		pool->next = PAGE_SIZE;
	if (pool->end < pool->next)
		pool->end = pool->next;
	pool->free = 0;
	pool->available = (uint32_t)((pool->end - pool->next) >> PAGE_SHIFT);
}

static void *page_at(struct vm *vm, paddr_t page)
{
	return vm->platform->ops->phys_map(vm->platform, page, PAGE_SIZE);
}

paddr_t page_pool_alloc(struct vm *vm)
{
	struct page_pool *pool = &vm->pool;
	paddr_t page = pool->free != 0 ? pool->free : pool->next;
	void *bytes;

	if (pool->available == 0)
		return 0;
	bytes = page_at(vm, page);
	if (bytes == NULL)
		return 0;
	if (pool->free != 0)
		memcpy(&pool->free, bytes, sizeof(pool->free));
	else
		pool->next += PAGE_SIZE;
	pool->available--;
	memset(bytes, 0, PAGE_SIZE);
	return page;
}

void page_pool_free(struct vm *vm, paddr_t page)
{
	struct page_pool *pool = &vm->pool;
	void *bytes = page_at(vm, page);

	if (page == 0 || bytes == NULL)
		return;
	memcpy(bytes, &pool->free, sizeof(pool->free));
	pool->free = page;
	pool->available++;
}
