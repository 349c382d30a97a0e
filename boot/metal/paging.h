/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vmm's own page tables: everything 1:1.
 */
#ifndef METAL_PAGING_H
#define METAL_PAGING_H

#include <undercroft/types.h>

/*
 * Builds tables that map [0, top), top rounded up to 1 GiB, 1:1, writable, with 1 GiB pages if the CPU has them. Takes
 * zeroed pages from *next upwards, which must lie below *next + room bytes. Returns the root, or 0: no room.
 */
paddr_t paging_build_identity(paddr_t *next, uint64_t room, paddr_t top, bool pages_1g);

#endif
