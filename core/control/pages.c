/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's page tables, for people and for the tools that read QEMU's "info mem" and "info tlb". They may be
 * anything: the descent is bounded in depth by the paging mode and in width by a budget of tables.
 */
#include <string.h>

#include <undercroft/mode.h>
#include <undercroft/vcpu.h>

#include "core/control/monitor.h"
#include "core/control/regs_check.h"

/* APM vol. 2, "Page-Translation-Table Entry Fields" (5.4) */
#define ENTRY_P	    0x001ull
#define ENTRY_RW    0x002ull
#define ENTRY_US    0x004ull
#define ENTRY_PS    0x080ull
#define ENTRY_NX    (1ull << 63)
#define ENTRY_FRAME 0x000ffffffffff000ull

/* That many tables map 32 GiB in 4 KiB pages; a kernel has some thousand. */
#define TABLES_MAX 16384u

/* What is read of a table at once: it lies on the stack at each level. */
#define PIECE_BYTES 512u

struct walk;
typedef void (*page_fn)(struct walk *w, uint64_t address, uint64_t size, uint64_t entry, uint64_t rights);

struct walk {
	struct monitor *m;
	enum paging_mode paging;
	unsigned levels, index_bits, entry_size;
	unsigned tables;
	bool stopped;
	page_fn page;
	/* the range that grows: ENTRY_P is not set in rights while there is none */
	uint64_t start, end, rights;
};

static bool walk_begin(struct walk *w, struct monitor *m, page_fn page)
{
	static const struct {
		uint8_t levels, index_bits, entry_size;
	} formats[PAGING_COUNT] = {
		[PAGING_32] = {2, 10, 4},
		[PAGING_PAE] = {3, 9, 8},
		[PAGING_4_LEVEL] = {4, 9, 8},
		[PAGING_5_LEVEL] = {5, 9, 8},
	};
	struct mode_state state = regs_mode(m->server->vcpu);
	enum paging_mode paging = mode_paging(&state);

	*w = (struct walk){
		.m = m,
		.paging = paging,
		.levels = formats[paging].levels,
		.index_bits = formats[paging].index_bits,
		.entry_size = formats[paging].entry_size,
		.page = page,
	};
	if (paging == PAGING_NONE)
		monitor_say(m, "PG disabled\n");
	return paging != PAGING_NONE;
}

/* Sign-extended, where the top table's index has the sign. */
static uint64_t canonical(const struct walk *w, uint64_t address)
{
	unsigned unused = w->levels > 3 ? 64 - 12 - w->levels * 9 : 0;

	return (uint64_t)((int64_t)(address << unused) >> unused);
}

static bool is_leaf(const struct walk *w, uint64_t entry, unsigned level)
{
	return level == 1 || (entry & ENTRY_PS && level <= (w->levels > 3 ? 3u : 2u));
}

static void descend(struct walk *w, uint64_t table, unsigned level, uint64_t base, uint64_t rights);

/* rights: ENTRY_RW and ENTRY_US of all levels, ENTRY_NX of any. */
static void follow(struct walk *w, uint64_t entry, unsigned level, uint64_t address, uint64_t rights)
{
	/* a page directory pointer has no rights */
	if (!(w->paging == PAGING_PAE && level == 3))
		rights = (rights & entry & (ENTRY_RW | ENTRY_US)) | ((rights | entry) & ENTRY_NX);
	if (is_leaf(w, entry, level))
		w->page(w, canonical(w, address), 1ull << (12 + (level - 1) * w->index_bits), entry, rights);
	else
		descend(w, entry & ENTRY_FRAME, level - 1, address, rights);
}

static void descend(struct walk *w, uint64_t table, unsigned level, uint64_t base, uint64_t rights)
{
	static const struct debug_space physical = {.kind = SPACE_PHYSICAL};
	unsigned bytes = w->paging == PAGING_PAE && level == 3 ? 4 * w->entry_size : w->entry_size << w->index_bits;
	unsigned shift = 12 + (level - 1) * w->index_bits;
	uint8_t piece[PIECE_BYTES];

	if (++w->tables > TABLES_MAX || rsp_interrupted(&w->m->server->rsp)) {
		w->stopped = true;
		return;
	}
	for (unsigned at = 0; at < bytes && !w->stopped; at += w->entry_size) {
		uint64_t entry = 0;
		size_t done = 0;

		if (at % PIECE_BYTES == 0 &&
		    debug_mem_read(w->m->server->vcpu, &physical, table + at, piece,
				   bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES, 0, &done))
			return;
		memcpy(&entry, piece + at % PIECE_BYTES, w->entry_size);
		if (entry & ENTRY_P)
			follow(w, entry, level, base | (uint64_t)(at / w->entry_size) << shift, rights);
	}
}

static void walk(struct walk *w)
{
	uint64_t cr3 = w->m->server->vcpu->backend->reg_get(w->m->server->vcpu, REG_CR3);

	if (w->m->server->space.kind == SPACE_CR3)
		cr3 = w->m->server->space.cr3;
	descend(w, w->paging == PAGING_PAE ? cr3 & 0xffffffe0 : cr3 & ENTRY_FRAME, w->levels, 0, ENTRY_RW | ENTRY_US);
	if (w->stopped)
		monitor_say(w->m, "... and more: interrupted, or too many tables\n");
}

static void say_number(struct walk *w, uint64_t number, char behind)
{
	if (w->levels > 3)
		monitor_say(w->m, "%016llx%c", (unsigned long long)number, behind);
	else
		monitor_say(w->m, "%08llx%c", (unsigned long long)number, behind);
}

static void range_end(struct walk *w)
{
	if (!(w->rights & ENTRY_P))
		return;
	say_number(w, w->start, '-');
	say_number(w, w->end, ' ');
	say_number(w, w->end - w->start, ' ');
	monitor_say(w->m, "%cr%c\n", w->rights & ENTRY_US ? 'u' : '-', w->rights & ENTRY_RW ? 'w' : '-');
}

static void page_in_range(struct walk *w, uint64_t address, uint64_t size, uint64_t entry, uint64_t rights)
{
	(void)entry;
	rights = (rights & (ENTRY_US | ENTRY_RW)) | ENTRY_P;
	if (address != w->end || rights != w->rights) {
		range_end(w);
		w->start = address;
		w->rights = rights;
	}
	w->end = address + size;
}

void monitor_mem(struct monitor *m)
{
	struct walk w;

	if (!walk_begin(&w, m, page_in_range))
		return;
	walk(&w);
	range_end(&w);
}

static void page_alone(struct walk *w, uint64_t address, uint64_t size, uint64_t entry, uint64_t rights)
{
	static const struct {
		uint64_t bit;
		char letter;
	} letters[] = {{ENTRY_NX, 'X'}, {0x100, 'G'}, {0x080, 'P'}, {0x040, 'D'}, {0x020, 'A'},
		       {0x010, 'C'},	{0x008, 'T'}, {0x004, 'U'}, {0x002, 'W'}};

	(void)rights;
	say_number(w, address, ':');
	monitor_say(w->m, " ");
	say_number(w, entry & ENTRY_FRAME & ~(size - 1), ' ');
	for (unsigned i = 0; i < ARRAY_SIZE(letters); i++)
		monitor_say(w->m, "%c", entry & letters[i].bit ? letters[i].letter : '-');
	monitor_say(w->m, "\n");
}

void monitor_tlb(struct monitor *m)
{
	struct walk w;

	if (walk_begin(&w, m, page_alone))
		walk(&w);
}
