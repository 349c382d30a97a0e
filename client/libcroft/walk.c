/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables, table by table.
 */
#include "client/libcroft/walk.h"

#include <string.h>

#include <undercroft/mode.h>
#include <undercroft/types.h>
#include <x86/cr.h>

/* APM vol. 2, "Long-Mode Page Translation" (5.3) and "Legacy-Mode Page Translation" (5.2) */
#define ENTRY_PRESENT  0x1ull
#define ENTRY_WRITABLE 0x2ull
#define ENTRY_USER     0x4ull
#define ENTRY_LARGE    0x80ull
#define ENTRY_NX       (1ull << 63)
#define ENTRY_ADDRESS  0x000ffffffffff000ull

static enum croft_status read_state(struct croft_vm *vm, struct mode_state *state, uint64_t *cr3,
				    struct croft_error *error)
{
	struct croft_cpu *cpu = croft_vm_cpu(vm);
	enum croft_status status;

	if (register_find(vm, "cr0") < 0 || register_find(vm, "cr3") < 0 || register_find(vm, "cr4") < 0)
		return error_set(error, CROFT_ERROR_UNSUPPORTED, "%s does not tell the control registers", vm->target);
	status = croft_cpu_read(cpu, "cr0", &state->cr0, error);
	if (!status)
		status = croft_cpu_read(cpu, "cr3", cr3, error);
	if (!status)
		status = croft_cpu_read(cpu, "cr4", &state->cr4, error);
	if (!status && register_find(vm, "efer") >= 0)
		status = croft_cpu_read(cpu, "efer", &state->efer, error);
	return status;
}

enum croft_status walk_begin(struct walk *walk, struct croft_vm *vm, struct croft_space space,
			     struct croft_error *error)
{
	static const uint8_t levels[PAGING_COUNT] = {
		[PAGING_NONE] = 0, [PAGING_32] = 2, [PAGING_PAE] = 3, [PAGING_4_LEVEL] = 4, [PAGING_5_LEVEL] = 5};
	struct mode_state state = {0};
	enum croft_status status;
	enum paging_mode paging;
	uint64_t cr3 = 0;

	memset(walk, 0, sizeof(*walk));
	walk->vm = vm;
	status = read_state(vm, &state, &cr3, error);
	if (status)
		return status;
	paging = mode_paging(&state);
	walk->levels = levels[paging];
	walk->pae = paging == PAGING_PAE;
	walk->entry_bytes = paging == PAGING_32 ? 4 : 8;
	walk->large_4m = state.cr4 & CR4_PSE;
	walk->no_execute = state.efer & EFER_NXE;
	walk->root = space.kind == CROFT_SPACE_CR3 ? space.cr3 : cr3;
	/* PAE: four entries, aligned to 32 bytes. "CR3 Register" (5.2.1, 5.3.2) */
	walk->root &= paging == PAGING_PAE ? 0xffffffe0ull : paging == PAGING_32 ? 0xfffff000ull : ENTRY_ADDRESS;
	return CROFT_OK;
}

/* How many address bits lie below an entry of this level, 0 being the lowest. */
static unsigned shift_of(const struct walk *walk, unsigned level)
{
	return 12 + level * (walk->entry_bytes == 4 ? 10 : 9);
}

static enum croft_status read_entry(struct walk *walk, unsigned level, uint64_t base, uint64_t address, uint64_t *entry,
				    struct croft_error *error)
{
	struct walk_table *table = &walk->table[level];
	unsigned bits = walk->pae && level == 2 ? 2 : walk->entry_bytes == 4 ? 10 : 9;
	size_t index = (size_t)(address >> shift_of(walk, level)) & ((1u << bits) - 1);
	enum croft_status status;

	if (!table->known || table->address != base) {
		table->known = false;
		status = croft_memory_read(walk->vm, croft_physical(), base, table->bytes,
					   (size_t)walk->entry_bytes << bits, NULL, error);
		if (status)
			return status;
		table->known = true;
		table->address = base;
	}
	*entry = 0;
	memcpy(entry, table->bytes + index * walk->entry_bytes, walk->entry_bytes);
	return CROFT_OK;
}

static bool is_leaf(const struct walk *walk, unsigned level, uint64_t entry)
{
	if (level == 0)
		return true;
	if (!(entry & ENTRY_LARGE) || (walk->pae && level == 2))
		return false;
	return walk->entry_bytes == 4 ? level == 1 && walk->large_4m : level <= 2;
}

static enum croft_status unmapped(uint64_t address, uint64_t end, uint64_t *hole, struct croft_error *error)
{
	if (hole)
		*hole = end - address;
	return error_set(error, CROFT_ERROR_UNMAPPED, "0x%llx: nothing is mapped there", (unsigned long long)address);
}

/* An address that has no translation at all. APM vol. 2, "Canonical Address Form" (1.1.3) */
static bool is_outside(const struct walk *walk, uint64_t address, uint64_t *end)
{
	uint64_t half;

	if (walk->levels < 4) {
		*end = 0;
		return walk->levels && address >> 32;
	}
	half = 1ull << (shift_of(walk, walk->levels) - 1);
	*end = 0 - half;
	return address >= half && address < *end;
}

/* Where a leaf leads; a 4 MiB page has more of its address in bits 20 to 13: "PSE" (5.2.2). */
static uint64_t leaf_address(const struct walk *walk, unsigned level, uint64_t entry, uint64_t address)
{
	uint64_t offset = (1ull << shift_of(walk, level)) - 1, base = entry & ENTRY_ADDRESS & ~offset;

	if (walk->entry_bytes == 4) {
		base = (entry & 0xffffffffull) & ~offset & ~0xfffull;
		if (level)
			base |= (entry >> 13 & 0xff) << 32;
	}
	return base | (address & offset);
}

enum croft_status walk_find(struct walk *walk, uint64_t address, struct croft_mapping *mapping, uint64_t *hole,
			    struct croft_error *error)
{
	uint64_t base = walk->root, entry, end;
	bool execute = true;

	*mapping = (struct croft_mapping){
		.physical = address, .page_size = PAGE_SIZE, .writable = true, .executable = true, .user = true};
	if (is_outside(walk, address, &end))
		return unmapped(address, end, hole, error);
	for (unsigned level = walk->levels; level-- > 0;) {
		uint64_t size = 1ull << shift_of(walk, level);
		enum croft_status status = read_entry(walk, level, base, address, &entry, error);

		if (status)
			return status;
		if (!(entry & ENTRY_PRESENT))
			return unmapped(address, (address & ~(size - 1)) + size, hole, error);
		if (!(walk->pae && level == 2)) {
			mapping->writable &= (entry & ENTRY_WRITABLE) != 0;
			mapping->user &= (entry & ENTRY_USER) != 0;
			execute &= !(entry & ENTRY_NX);
		}
		if (is_leaf(walk, level, entry)) {
			mapping->page_size = size;
			mapping->physical = leaf_address(walk, level, entry, address);
			mapping->executable = execute || !walk->no_execute;
			return CROFT_OK;
		}
		base = entry & (walk->entry_bytes == 4 ? 0xfffff000ull : ENTRY_ADDRESS);
	}
	return CROFT_OK;
}
