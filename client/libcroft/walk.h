/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's page tables, walked from here: for stubs that do not translate, and to find out where nothing is mapped.
 * Source: APM vol. 2, "Page Translation and Protection" (5).
 */
#ifndef LIBCROFT_WALK_H
#define LIBCROFT_WALK_H

#include "client/libcroft/vm.h"

#define WALK_LEVELS_MAX 5u
#define WALK_TABLE	4096u

struct walk_table {
	bool known;
	uint64_t address;
	uint8_t bytes[WALK_TABLE];
};

struct walk {
	struct croft_vm *vm;
	uint64_t root;
	unsigned levels, entry_bytes;
	bool pae, no_execute, large_4m;
	struct walk_table table[WALK_LEVELS_MAX]; /* of each level the last one */
};

/* For a space that is not physical. Tables are read once; they are as they were then. Errors: UNSUPPORTED ... */
enum croft_status walk_begin(struct walk *walk, struct croft_vm *vm, struct croft_space space,
			     struct croft_error *error);

/*
 * Where an address leads. UNMAPPED: *hole (may be NULL) bytes from there on nothing is mapped, up to the end of the
 * addresses at most. Errors: those of reading the tables.
 */
enum croft_status walk_find(struct walk *walk, uint64_t address, struct croft_mapping *mapping, uint64_t *hole,
			    struct croft_error *error);

#endif
