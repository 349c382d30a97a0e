/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The channel for large contents, as docs/protocol.md specifies it: what both ends of the link share.
 */
#ifndef CORE_CONTROL_BULK_FORMAT_H
#define CORE_CONTROL_BULK_FORMAT_H

enum bulk_kind { BULK_NOTHING, BULK_HASH, BULK_PAGES };

/* A request: kind, shift, tag, count, number of the first page, then the key or which of 64 pages. */
#define BULK_REQUEST   32u
#define BULK_SHIFT_MAX 16u
#define BULK_COUNT_MAX 65536u
#define BULK_PAGE_END  (1ull << 40)

/* An answer begins with kind, status, tag. */
#define BULK_HEADER 4u

/* Of so many things the bits of one number tell something. */
#define BULK_RECORD 64u

/* Before a page's content: its length, and how it is written. */
#define BULK_PAGE_ZERO	 0u
#define BULK_PAGE_ABSENT 0xffffu
#define BULK_PAGE_TURNED 0x8000u /* by bulk_turn(), before it was compressed */

/* A turned page has the first bytes of all its pieces of this size, then the second ones ... */
#define BULK_TURN 4u

#endif
