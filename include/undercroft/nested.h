/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables as objects: one base view per VM, overlays per vCPU that share all but a few pages of it. Walking,
 * splitting and merging are done here once; backends only encode and decode single entries.
 */
#ifndef UNDERCROFT_NESTED_H
#define UNDERCROFT_NESTED_H

#include <undercroft/types.h>

struct vm;

/* Levels count from the leaf side: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB, 4 = the root. */
#define NESTED_LEVELS	      4
#define NESTED_LEVEL_SIZE(lv) (1ull << (PAGE_SHIFT + 9 * ((lv)-1)))

/* What an entry says, vendor apart. present = false: everything else is zero. */
struct nested_entry {
	bool present;
	bool leaf;
	uint8_t access; /* ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC */
	uint8_t type;	/* leaves, enum mtrr_type: of the memory at address */
	paddr_t address;
};

/* What can be executed in an overlay. */
enum overlay_exec {
	OVERLAY_EXEC_BASE,    /* what can be in the base, and the page by its access */
	OVERLAY_EXEC_NOTHING, /* so that the first fetch exits */
	OVERLAY_EXEC_PAGE,    /* the page alone, so that leaving it exits */
};

struct nested_view {
	const char *name;
	paddr_t root;
	const struct nested_view *base; /* NULL: this is a base */
	uint64_t generation;		/* grows with each change of structure or content */
	uint64_t base_generation;	/* overlays: the base's generation when the overlay was last synchronised */
	gpa_t overlay_page;		/* overlays: the one page that differs; ~0 if none */
	paddr_t overlay_address;	/* overlays: what it shows there */
	uint8_t overlay_access;
	enum overlay_exec overlay_exec;
	uint32_t overlay_levels; /* overlays: private tables, root included */
	paddr_t overlay_table[NESTED_LEVELS];
};

/* A pool of zeroed 4 KiB pages inside the hidden window; single-threaded (changes happen while vCPUs are parked). */
struct page_pool {
	paddr_t next, end; /* never handed out yet */
	paddr_t free;	   /* chain through the first 8 bytes; 0 if empty */
	uint32_t available;
};

void page_pool_init(struct page_pool *pool, paddr_t start, paddr_t end);
/* A zeroed page, or 0 if there is none left. */
paddr_t page_pool_alloc(struct vm *vm);
void page_pool_free(struct vm *vm, paddr_t page);

/* Makes an empty base view. Returns 0 or -ENOMEM. */
int nested_view_init(struct vm *vm, struct nested_view *view, const char *name);

/*
 * Maps [gpa, gpa + size) to [address, …) with the largest pages that alignment and max_level (1..3) allow; splits what
 * is in the way, merges nothing. All of it 4 KiB aligned; access includes ACCESS_READ, or is ACCESS_EXEC alone with
 * BACKEND_CAP_EXEC_ONLY; base views only. No page is larger than its memory is of one type by vm->types, which it gets.
 * Returns 0, -EINVAL (alignment, wrap, beyond the physical address width, access) or -ENOMEM; on -ENOMEM what was
 * mapped before stays as far as it was not yet replaced.
 */
int nested_map(struct vm *vm, struct nested_view *view, gpa_t gpa, uint64_t size, paddr_t address, uint8_t access,
	       unsigned max_level);

/* Makes [gpa, gpa + size) absent; same rules and errors. */
int nested_unmap(struct vm *vm, struct nested_view *view, gpa_t gpa, uint64_t size);

/*
 * Replaces 4 KiB tables whose 512 entries map one aligned, contiguous range with equal access by one larger entry,
 * within [gpa, gpa + size); frees their pages. max_level as in nested_map.
 */
void nested_merge(struct vm *vm, struct nested_view *view, gpa_t gpa, uint64_t size, unsigned max_level);

/*
 * Gives every page of a base view the memory type that vm->types has for where it leads, splitting pages whose memory
 * has more than one; merges nothing. Returns 0, or -ENOMEM with part of the view done; that cannot happen while
 * vm->types says one type for everything.
 */
int nested_retype(struct vm *vm, struct nested_view *view);

/* Looks one address up. *level is that of the leaf or of the missing entry. Returns 0 or -ENOENT. */
int nested_lookup(struct vm *vm, const struct nested_view *view, gpa_t gpa, struct nested_entry *entry,
		  unsigned *level);

/*
 * Makes an overlay of a base that maps page to address with access, and everything else as the base does, but
 * for what can be executed. An overlay starts zeroed, is made once and re-aimed by
 * calling this again, which also brings it up to date with a changed base: to be done before it is activated. Returns
 * 0, -EINVAL (alignment, physical address width, access) or -ENOMEM (first time only).
 */
int nested_overlay(struct vm *vm, struct nested_view *view, const struct nested_view *base, gpa_t page, paddr_t address,
		   uint8_t access, enum overlay_exec exec);

/*
 * Fills a base view, made by nested_view_init(), with the identity map of [0, ram_top rounded up to 1 GiB, at least
 * 4 GiB) in the largest pages, all access, without hidden memory. Errors as nested_map.
 */
int nested_build_identity(struct vm *vm, struct nested_view *view, gpa_t ram_top);

/*
 * Maps gpa, which is not mapped, identically with all access, in the largest page that lies over nothing mapped, over
 * no hidden memory and over no region. Where pages get scarce, everything above vm->map_top is forgotten before: it is
 * mapped again when it is touched. Returns 0, -EEXIST (is mapped), -EINVAL (beyond the physical address width),
 * -EACCES (hidden memory or a region is in that very page) or -ENOMEM.
 */
int nested_fill(struct vm *vm, struct nested_view *view, gpa_t gpa);

#endif
