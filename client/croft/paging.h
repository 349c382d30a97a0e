/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's page tables, entry by entry. Must not know verbs.
 * Source: APM vol. 2, "Page Translation and Protection" (5).
 */
#ifndef CROFT_PAGING_H
#define CROFT_PAGING_H

#include "client/libcroft/croft.h"

#define PAGING_LEVELS_MAX 5u
#define PAGING_TABLE	  4096u

#define PAGE_PRESENT  0x001ull
#define PAGE_WRITE    0x002ull
#define PAGE_USER     0x004ull
#define PAGE_ACCESSED 0x020ull
#define PAGE_DIRTY    0x040ull
#define PAGE_SIZE_BIT 0x080ull
#define PAGE_GLOBAL   0x100ull
#define PAGE_NX	      0x8000000000000000ull

struct paging {
	struct croft_vm *vm;
	unsigned levels; /* 0: paging is off */
	unsigned entry_bytes;
	bool pae, pse, nx;
	uint64_t root; /* CR3 */
	struct {
		bool known;
		uint64_t address;
		uint8_t bytes[PAGING_TABLE];
	} table[PAGING_LEVELS_MAX]; /* of each level the last one that was read */
};

struct paging_step {
	const char *name; /* "PML4E" */
	uint64_t entry_address, entry;
};

struct paging_walk {
	unsigned count;
	struct paging_step step[PAGING_LEVELS_MAX];
	bool mapped;
	uint64_t physical, page_size;
	bool write, user, execute; /* all levels together */
};

/* The CPU's paging mode, with these tables. A physical space has none. */
enum croft_status paging_begin(struct paging *paging, struct croft_vm *vm, struct croft_space space,
			       struct croft_error *error);

/* Where an address leads, with the entries on its way; the last one is not present if it is not mapped. */
enum croft_status paging_walk(struct paging *paging, uint64_t address, struct paging_walk *walk,
			      struct croft_error *error);

/* One run of pages with the same rights and size. */
struct paging_run {
	uint64_t start, length, page_size;
	bool write, user, execute, global;
};

/* What is done with each run; false: that is enough. */
typedef bool paging_run_fn(void *data, const struct paging_run *run);

/* All that is mapped from first to last, upwards. */
enum croft_status paging_list(struct paging *paging, uint64_t first, uint64_t last, paging_run_fn *each, void *data,
			      struct croft_error *error);

/* The last linear address that there is. */
uint64_t paging_last(const struct paging *paging);

#endif
