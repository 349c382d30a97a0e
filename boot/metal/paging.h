/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vmm's own page tables: everything 1:1.
 */
#ifndef METAL_PAGING_H
#define METAL_PAGING_H

#include <undercroft/memory_type.h>
#include <undercroft/types.h>

/* The first 512 GiB once more: an address of what lies at 0 that is no null pointer. */
#define PAGING_ALIAS 0xffffff8000000000ull

/*
 * Builds tables that map [0, top), top rounded up to 1 GiB, 1:1, writable, with the largest pages whose memory has one
 * type, up to 1 GiB if the CPU has such pages, otherwise up to 2 MiB. Takes zeroed pages from *next upwards, which must
 * lie below *next + room bytes. top is below 255 TiB. Returns the root, or 0: no room; then *next stays.
 */
paddr_t paging_build_identity(paddr_t *next, uint64_t room, paddr_t top, bool pages_1g,
			      const struct memory_types *types);

#endif
