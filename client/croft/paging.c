/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks the guest's page tables. What is in them is the guest's: any address, any loop; depth is bounded by the mode.
 */
#include "client/croft/paging.h"

#include <stdio.h>
#include <string.h>

#define CR0_PG	  0x80000000ull
#define CR4_PSE	  0x10ull
#define CR4_PAE	  0x20ull
#define CR4_LA57  0x1000ull
#define EFER_LMA  0x400ull
#define EFER_NXE  0x800ull
#define ADDRESSES 0x000ffffffffff000ull

struct rights {
	bool write, user, execute;
};

enum croft_status paging_begin(struct paging *p, struct croft_vm *vm, struct croft_space space,
			       struct croft_error *error)
{
	struct croft_cpu *cpu = croft_vm_cpu(vm);
	uint64_t cr0, cr3, cr4, efer;
	enum croft_status status;

	memset(p, 0, sizeof(*p));
	p->vm = vm;
	status = croft_cpu_load(cpu, CROFT_GROUP_SYSTEM, error);
	if (!status)
		status = croft_cpu_read(cpu, "cr0", &cr0, error);
	if (!status)
		status = croft_cpu_read(cpu, "cr3", &cr3, error);
	if (!status)
		status = croft_cpu_read(cpu, "cr4", &cr4, error);
	if (!status)
		status = croft_cpu_read(cpu, "efer", &efer, error);
	if (status)
		return status;
	p->root = space.kind == CROFT_SPACE_CR3 ? space.cr3 : cr3;
	p->pae = (cr4 & CR4_PAE) != 0;
	p->pse = p->pae || (cr4 & CR4_PSE);
	p->nx = p->pae && (efer & EFER_NXE);
	p->entry_bytes = p->pae ? 8 : 4;
	if (space.kind == CROFT_SPACE_PHYSICAL || !(cr0 & CR0_PG))
		p->levels = 0;
	else if (efer & EFER_LMA)
		p->levels = cr4 & CR4_LA57 ? 5 : 4;
	else
		p->levels = p->pae ? 3 : 2;
	return CROFT_OK;
}

uint64_t paging_last(const struct paging *p)
{
	return p->levels >= 4 ? UINT64_MAX : UINT32_MAX;
}

/* Levels are counted from the pages: 0 is a page table. */
static unsigned shift_of(const struct paging *p, unsigned level)
{
	return 12 + level * (p->pae ? 9 : 10);
}

static unsigned entries_of(const struct paging *p, unsigned level)
{
	if (p->pae && p->levels == 3 && level == 2)
		return 4;
	return p->pae ? 512 : 1024;
}

static const char *name_of(const struct paging *p, unsigned level)
{
	static const char *const names[] = {"PTE", "PDE", "PDPTE", "PML4E", "PML5E"};

	(void)p;
	return names[level];
}

static enum croft_status read_table(struct paging *p, unsigned level, uint64_t address, struct croft_error *error)
{
	enum croft_status status;

	if (p->table[level].known && p->table[level].address == address)
		return CROFT_OK;
	p->table[level].known = false;
	status = croft_memory_read(p->vm, croft_physical(), address, p->table[level].bytes,
				   (size_t)entries_of(p, level) * p->entry_bytes, NULL, error);
	p->table[level].known = !status;
	p->table[level].address = address;
	return status;
}

static uint64_t entry_at(const struct paging *p, unsigned level, unsigned index)
{
	uint64_t entry = 0;

	memcpy(&entry, p->table[level].bytes + (size_t)index * p->entry_bytes, p->entry_bytes);
	return entry;
}

static uint64_t root_table(const struct paging *p)
{
	if (p->levels == 3)
		return p->root & 0xffffffe0u;
	return p->levels == 2 ? p->root & 0xfffff000u : p->root & ADDRESSES;
}

static bool is_page(const struct paging *p, unsigned level, uint64_t entry)
{
	if (level == 0)
		return true;
	return (level == 1 || (level == 2 && p->levels >= 4)) && p->pse && (entry & PAGE_SIZE_BIT);
}

/* PSE-36: bits 32 to 39 of the address of a 4 MiB page are bits 13 to 20 of its entry. APM vol. 2, 5.2.2 */
static uint64_t page_address(const struct paging *p, unsigned level, uint64_t entry)
{
	uint64_t mask = ((uint64_t)1 << shift_of(p, level)) - 1;

	if (!p->pae)
		return level ? (entry & 0xffc00000u) | (entry & 0x1fe000) << 19 : entry & 0xfffff000u;
	return entry & ADDRESSES & ~mask;
}

/* The pointers of PAE have no rights. */
static struct rights rights_of(const struct paging *p, unsigned level, uint64_t entry, struct rights above)
{
	if (p->levels == 3 && level == 2)
		return above;
	above.write &= (entry & PAGE_WRITE) != 0;
	above.user &= (entry & PAGE_USER) != 0;
	above.execute &= !(p->nx && entry & PAGE_NX);
	return above;
}

enum croft_status paging_walk(struct paging *p, uint64_t address, struct paging_walk *walk, struct croft_error *error)
{
	struct rights rights = {true, true, true};
	uint64_t table = root_table(p);

	memset(walk, 0, sizeof(*walk));
	if (p->levels == 0) {
		*walk = (struct paging_walk){.mapped = true,
					     .physical = address,
					     .page_size = PAGING_TABLE,
					     .write = true,
					     .user = true,
					     .execute = true};
		return CROFT_OK;
	}
	for (unsigned level = p->levels; level-- > 0;) {
		struct paging_step *step = &walk->step[walk->count];
		unsigned index = (unsigned)(address >> shift_of(p, level)) & (entries_of(p, level) - 1);
		enum croft_status status = read_table(p, level, table, error);

		if (status)
			return status;
		step->name = name_of(p, level);
		step->entry_address = table + (uint64_t)index * p->entry_bytes;
		step->entry = entry_at(p, level, index);
		walk->count++;
		if (!(step->entry & PAGE_PRESENT))
			return CROFT_OK;
		rights = rights_of(p, level, step->entry, rights);
		if (is_page(p, level, step->entry)) {
			walk->page_size = (uint64_t)1 << shift_of(p, level);
			walk->physical = page_address(p, level, step->entry) | (address & (walk->page_size - 1));
			break;
		}
		table = p->pae ? step->entry & ADDRESSES : step->entry & 0xfffff000u;
	}
	walk->mapped = true;
	walk->write = rights.write;
	walk->user = rights.user;
	walk->execute = rights.execute;
	return CROFT_OK;
}

/* --- lists --- */

struct list {
	struct paging *p;
	uint64_t first, last;
	paging_run_fn *each;
	void *data;
	struct paging_run run; /* length 0: none */
	bool enough;
	struct croft_error *error;
};

static void add_page(struct list *l, uint64_t address, uint64_t size, uint64_t entry, struct rights rights)
{
	struct paging_run page = {
		address, size, size, rights.write, rights.user, rights.execute, (entry & PAGE_GLOBAL) != 0};
	struct paging_run *run = &l->run;

	if (run->length && run->start + run->length == address && run->page_size == size && run->write == page.write &&
	    run->user == page.user && run->execute == page.execute && run->global == page.global) {
		run->length += size;
		return;
	}
	if (run->length && !l->each(l->data, run))
		l->enough = true;
	*run = page;
}

static uint64_t canonical(const struct paging *p, uint64_t address)
{
	unsigned top = 12 + p->levels * 9 - 1;

	return p->levels >= 4 && address >> top & 1 ? address | ~(((uint64_t)1 << top) - 1) : address;
}

static enum croft_status list_table(struct list *l, unsigned level, uint64_t table, uint64_t base, struct rights above)
{
	struct paging *p = l->p;
	uint64_t size = (uint64_t)1 << shift_of(p, level);
	enum croft_status status = read_table(p, level, table, l->error);

	/* a table that is not in memory maps nothing that could be read */
	if (status == CROFT_ERROR_UNMAPPED || status == CROFT_ERROR_DENIED)
		return CROFT_OK;
	for (unsigned i = 0; !status && !l->enough && i < entries_of(p, level); i++) {
		uint64_t entry = entry_at(p, level, i), address = canonical(p, base + i * size);
		struct rights rights = rights_of(p, level, entry, above);

		if (!(entry & PAGE_PRESENT) || address > l->last || address + (size - 1) < l->first)
			continue;
		if (is_page(p, level, entry))
			add_page(l, address, size, entry, rights);
		else
			status = list_table(l, level - 1, p->pae ? entry & ADDRESSES : entry & 0xfffff000u, address,
					    rights);
	}
	return status;
}

enum croft_status paging_list(struct paging *p, uint64_t first, uint64_t last, paging_run_fn *each, void *data,
			      struct croft_error *error)
{
	struct list l = {.p = p, .first = first, .last = last, .each = each, .data = data, .error = error};
	struct rights all = {true, true, true};
	enum croft_status status;

	if (p->levels == 0)
		return CROFT_OK;
	status = list_table(&l, p->levels - 1, root_table(p), 0, all);
	if (!status && l.run.length && !l.enough)
		each(data, &l.run);
	return status;
}
