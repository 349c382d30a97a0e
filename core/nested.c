/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: walking, splitting, merging and overlays. Must not know a vendor's entry format (the backend
 * encodes and decodes single entries), nor why anything is mapped.
 *
 * Entries that point to tables always grant everything in a base; the access of a page is decided by its leaf, which
 * works because both vendors take the AND over all levels. Overlays use the same to take execution from everything.
 */
#include <string.h>

#include <undercroft/backend.h>
#include <undercroft/errno.h>
#include <undercroft/nested.h>
#include <undercroft/platform.h>
#include <undercroft/vm.h>

#define NESTED_ENTRIES	  512u
#define NESTED_ACCESS_ALL (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)
#define NESTED_MAX_LEAF	  3u /* no vendor has leaves in the root */

enum change_kind { CHANGE_MAP, CHANGE_UNMAP, CHANGE_RETYPE };

/* One change of [start, end), carried down the levels. */
struct change {
	enum change_kind kind;
	gpa_t start, end;
	paddr_t address;    /* CHANGE_MAP: of start */
	uint8_t access;	    /* CHANGE_MAP */
	unsigned max_level; /* CHANGE_MAP */
};

static uint64_t *table_at(struct vm *vm, paddr_t table)
{
	/* Never NULL: page_pool_alloc() hands out only pages that it could map. */
	return vm->platform->ops->phys_map(vm->platform, table, PAGE_SIZE);
}

static unsigned table_index(gpa_t gpa, unsigned level)
{
	return (unsigned)(gpa / NESTED_LEVEL_SIZE(level)) % NESTED_ENTRIES;
}

static struct nested_entry entry_read(struct vm *vm, const uint64_t *slot, unsigned level)
{
	struct nested_entry entry;

	vm->backend->nested_decode(*slot, level, &entry);
	return entry;
}

static void entry_write(struct vm *vm, uint64_t *slot, unsigned level, const struct nested_entry *entry)
{
	*slot = vm->backend->nested_encode(entry, level);
}

static void entry_link(struct vm *vm, uint64_t *slot, unsigned level, paddr_t table)
{
	const struct nested_entry link = {.present = true, .access = NESTED_ACCESS_ALL, .address = table};

	entry_write(vm, slot, level, &link);
}

/* Where guest-physical addresses end: at the CPU's width, or at what four levels reach. */
static gpa_t address_limit(const struct vm *vm)
{
	const gpa_t reach = NESTED_ENTRIES * NESTED_LEVEL_SIZE(NESTED_LEVELS);

	return vm->physical_limit < reach ? vm->physical_limit : reach;
}

static bool range_valid(const struct vm *vm, uint64_t start, uint64_t size)
{
	gpa_t limit = address_limit(vm);

	return ((start | size) & ~PAGE_MASK) == 0 && start <= limit && size <= limit - start;
}

/* What can be executed but not read, not every CPU has; what can be written alone, none. */
static bool access_valid(const struct vm *vm, uint8_t access)
{
	if (access == ACCESS_EXEC)
		return (vm->caps & BACKEND_CAP_EXEC_ONLY) != 0;
	return (access & ACCESS_READ) != 0 && (access & ~NESTED_ACCESS_ALL) == 0;
}

static unsigned leaf_level_limit(const struct vm *vm, unsigned max_level)
{
	if (max_level == NESTED_MAX_LEAF && (vm->caps & BACKEND_CAP_PAGES_1G) == 0)
		return NESTED_MAX_LEAF - 1;
	return max_level;
}

/* Gives a leaf of a level the type of its memory. Returns false if that has more than one. */
static bool leaf_type(const struct vm *vm, struct nested_entry *leaf, unsigned level)
{
	enum mtrr_type type = MTRR_UC;

	if (!memory_types_uniform(&vm->types, leaf->address, NESTED_LEVEL_SIZE(level), &type))
		return false;
	leaf->type = (uint8_t)type;
	return true;
}

/* Fills a table of a level with what the leaf one level above says. */
static void table_fill(struct vm *vm, uint64_t *table, unsigned level, const struct nested_entry *leaf)
{
	struct nested_entry entry = *leaf;

	for (unsigned i = 0; i < NESTED_ENTRIES; i++) {
		entry_write(vm, &table[i], level, &entry);
		entry.address += NESTED_LEVEL_SIZE(level);
	}
}

/* Gives a table of a level back, with all tables below it. Nothing may point to it any more. */
static void table_free(struct vm *vm, paddr_t table, unsigned level)
{
	const uint64_t *slot = table_at(vm, table);

	for (unsigned i = 0; level > 1 && i < NESTED_ENTRIES; i++) {
		struct nested_entry entry = entry_read(vm, &slot[i], level);

		if (entry.present && !entry.leaf)
			table_free(vm, entry.address, level - 1);
	}
	page_pool_free(vm, table);
}

/* Puts a table below a slot that holds a leaf or nothing; what it translates to stays. Returns the table or 0. */
static paddr_t entry_split(struct vm *vm, struct nested_view *view, uint64_t *slot, unsigned level,
			   const struct nested_entry *entry)
{
	paddr_t table = page_pool_alloc(vm);

	if (table == 0)
		return 0;
	if (entry->present)
		table_fill(vm, table_at(vm, table), level - 1, entry);
	entry_link(vm, slot, level, table);
	view->generation++;
	return table;
}

static void entry_replace(struct vm *vm, struct nested_view *view, uint64_t *slot, unsigned level,
			  const struct nested_entry *old, const struct nested_entry *entry)
{
	entry_write(vm, slot, level, entry);
	view->generation++;
	/* Only now: until the slot was written the table was in use. */
	if (old->present && !old->leaf)
		table_free(vm, old->address, level - 1);
}

/*
 * What a change makes of the entry that maps [gpa, gpa + size of the level), of which it covers all or (whole = false)
 * a part. Returns true if *wanted says it, false if the answer lies one level further down.
 */
static bool change_entry(const struct vm *vm, const struct change *change, const struct nested_entry *old,
			 unsigned level, gpa_t gpa, bool whole, struct nested_entry *wanted)
{
	bool table = old->present && !old->leaf;

	*wanted = *old;
	switch (change->kind) {
	case CHANGE_UNMAP:
		if (whole)
			*wanted = (struct nested_entry){0};
		return whole || !old->present;
	case CHANGE_RETYPE:
		if (!old->present)
			return true;
		return !table && leaf_type(vm, wanted, level);
	case CHANGE_MAP:
	default:
		break;
	}
	if (level > change->max_level)
		return false;
	wanted->present = true;
	wanted->leaf = true;
	wanted->access = change->access;
	wanted->address = change->address + (gpa - change->start);
	if (!whole) /* a part of what is the same already needs no split */
		return old->leaf && old->access == wanted->access && old->address == wanted->address;
	return (wanted->address & (NESTED_LEVEL_SIZE(level) - 1)) == 0 && leaf_type(vm, wanted, level);
}

static int change_table(struct vm *vm, struct nested_view *view, paddr_t table, unsigned level, gpa_t table_start,
			const struct change *change)
{
	uint64_t size = NESTED_LEVEL_SIZE(level);
	uint64_t *slots = table_at(vm, table);
	gpa_t gpa = change->start > table_start ? ALIGN_DOWN(change->start, size) : table_start;

	for (; gpa < change->end && gpa - table_start < NESTED_ENTRIES * size; gpa += size) {
		uint64_t *slot = &slots[table_index(gpa, level)];
		struct nested_entry old = entry_read(vm, slot, level), wanted;
		bool whole = gpa >= change->start && size <= change->end - gpa;
		paddr_t below = old.address;
		int ret;

		if (change_entry(vm, change, &old, level, gpa, whole, &wanted)) {
			if (wanted.present != old.present || wanted.leaf != old.leaf || wanted.access != old.access ||
			    wanted.type != old.type || wanted.address != old.address)
				entry_replace(vm, view, slot, level, &old, &wanted);
			continue;
		}
		if (!old.present || old.leaf) {
			below = entry_split(vm, view, slot, level, &old);
			if (below == 0)
				return -ENOMEM;
		}
		ret = change_table(vm, view, below, level - 1, gpa, change);
		if (ret != 0)
			return ret;
	}
	return 0;
}

static int view_change(struct vm *vm, struct nested_view *view, const struct change *change)
{
	/* An overlay shares its tables with its base: changing one would change the other. */
	if (view->base != NULL || change->end < change->start ||
	    !range_valid(vm, change->start, change->end - change->start))
		return -EINVAL;
	return change_table(vm, view, view->root, NESTED_LEVELS, 0, change);
}

int nested_view_init(struct vm *vm, struct nested_view *view, const char *name)
{
	*view = (struct nested_view){.name = name, .overlay_page = ~0ull};
	view->root = page_pool_alloc(vm);
	return view->root != 0 ? 0 : -ENOMEM;
}

int nested_map(struct vm *vm, struct nested_view *view, gpa_t gpa, uint64_t size, paddr_t address, uint8_t access,
	       unsigned max_level)
{
	const struct change change = {
		.kind = CHANGE_MAP,
		.start = gpa,
		.end = gpa + size,
		.address = address,
		.access = access,
		.max_level = leaf_level_limit(vm, max_level),
	};

	if (max_level < 1 || max_level > NESTED_MAX_LEAF || !access_valid(vm, access) ||
	    !range_valid(vm, address, size))
		return -EINVAL;
	return view_change(vm, view, &change);
}

int nested_unmap(struct vm *vm, struct nested_view *view, gpa_t gpa, uint64_t size)
{
	const struct change change = {.kind = CHANGE_UNMAP, .start = gpa, .end = gpa + size};

	return view_change(vm, view, &change);
}

int nested_retype(struct vm *vm, struct nested_view *view)
{
	const struct change change = {.kind = CHANGE_RETYPE, .start = 0, .end = address_limit(vm)};

	return view_change(vm, view, &change);
}

/* Could one leaf a level above say all that this table says? Then *leaf is that leaf. */
static bool table_uniform(struct vm *vm, paddr_t table, unsigned level, struct nested_entry *leaf)
{
	const uint64_t *slots = table_at(vm, table);

	*leaf = entry_read(vm, &slots[0], level);
	if (!leaf->leaf || (leaf->address & (NESTED_LEVEL_SIZE(level + 1) - 1)) != 0)
		return false;
	for (unsigned i = 1; i < NESTED_ENTRIES; i++) {
		struct nested_entry entry = entry_read(vm, &slots[i], level);

		if (!entry.leaf || entry.access != leaf->access || entry.type != leaf->type ||
		    entry.address != leaf->address + i * NESTED_LEVEL_SIZE(level))
			return false;
	}
	return true;
}

static void merge_table(struct vm *vm, struct nested_view *view, paddr_t table, unsigned level, gpa_t table_start,
			const struct change *range)
{
	uint64_t size = NESTED_LEVEL_SIZE(level);
	uint64_t *slots = table_at(vm, table);
	gpa_t gpa = range->start > table_start ? ALIGN_DOWN(range->start, size) : table_start;

	for (; gpa < range->end && gpa - table_start < NESTED_ENTRIES * size; gpa += size) {
		uint64_t *slot = &slots[table_index(gpa, level)];
		struct nested_entry entry = entry_read(vm, slot, level), leaf;

		if (!entry.present || entry.leaf)
			continue;
		if (level > 2)
			merge_table(vm, view, entry.address, level - 1, gpa, range);
		if (level <= range->max_level && gpa >= range->start && size <= range->end - gpa &&
		    table_uniform(vm, entry.address, level - 1, &leaf))
			entry_replace(vm, view, slot, level, &entry, &leaf);
	}
}

void nested_merge(struct vm *vm, struct nested_view *view, gpa_t gpa, uint64_t size, unsigned max_level)
{
	gpa_t limit = address_limit(vm);
	const struct change range = {
		.start = gpa,
		.end = gpa < limit && size < limit - gpa ? gpa + size : limit,
		.max_level = leaf_level_limit(vm, max_level < NESTED_MAX_LEAF ? max_level : NESTED_MAX_LEAF),
	};

	if (view->base == NULL)
		merge_table(vm, view, view->root, NESTED_LEVELS, 0, &range);
}

int nested_lookup(struct vm *vm, const struct nested_view *view, gpa_t gpa, struct nested_entry *entry, unsigned *level)
{
	uint8_t access = NESTED_ACCESS_ALL;
	paddr_t table = view->root;

	*entry = (struct nested_entry){0};
	*level = NESTED_LEVELS;
	if (gpa >= address_limit(vm))
		return -ENOENT;
	for (;; --*level) {
		*entry = entry_read(vm, &table_at(vm, table)[table_index(gpa, *level)], *level);
		if (!entry->present)
			return -ENOENT;
		access &= entry->access;
		if (entry->leaf)
			break;
		table = entry->address;
	}
	entry->access = access;
	return 0;
}

/* Copies the base's table of a level on the way to a page, or makes what it would be if the base had it. */
static void base_table_copy(struct vm *vm, const struct nested_view *base, gpa_t page, unsigned level, uint64_t *out)
{
	paddr_t table = base->root;

	for (unsigned at = NESTED_LEVELS; at > level; at--) {
		struct nested_entry entry = entry_read(vm, &table_at(vm, table)[table_index(page, at)], at);

		if (!entry.present) {
			memset(out, 0, PAGE_SIZE);
			return;
		}
		if (entry.leaf) {
			entry.address += ALIGN_DOWN(page, NESTED_LEVEL_SIZE(level + 1)) -
					 ALIGN_DOWN(page, NESTED_LEVEL_SIZE(at));
			table_fill(vm, out, level, &entry);
			return;
		}
		table = entry.address;
	}
	memcpy(out, table_at(vm, table), PAGE_SIZE);
}

static int overlay_alloc(struct vm *vm, struct nested_view *view)
{
	unsigned count;

	for (count = 0; count < NESTED_LEVELS; count++) {
		view->overlay_table[count] = page_pool_alloc(vm);
		if (view->overlay_table[count] == 0)
			goto out_free;
	}
	view->overlay_levels = NESTED_LEVELS;
	view->overlay_page = ~0ull;
	view->root = view->overlay_table[NESTED_LEVELS - 1];
	if (view->name == NULL)
		view->name = "overlay";
	return 0;

out_free:
	while (count > 0)
		page_pool_free(vm, view->overlay_table[--count]);
	return -ENOMEM;
}

/* The highest level whose private table has to be copied again before the overlay can show a page; 0: none. */
static unsigned overlay_stale_level(const struct nested_view *view, const struct nested_view *base, gpa_t page,
				    enum overlay_exec exec)
{
	gpa_t old = view->overlay_page;
	unsigned level = 0;

	if (view->base != base || view->base_generation != base->generation || view->overlay_exec != exec)
		return NESTED_LEVELS;
	/* The lowest table that has both the old page and the new one below it. */
	while (ALIGN_DOWN(old, NESTED_LEVEL_SIZE(level + 1)) != ALIGN_DOWN(page, NESTED_LEVEL_SIZE(level + 1)))
		level++;
	return level;
}

/* except: the entry that keeps what it has, NESTED_ENTRIES for none. */
static void table_forbid_exec(struct vm *vm, uint64_t *table, unsigned level, unsigned except)
{
	for (unsigned i = 0; i < NESTED_ENTRIES; i++) {
		struct nested_entry entry = entry_read(vm, &table[i], level);

		if (!entry.present || i == except)
			continue;
		entry.access &= (uint8_t)~ACCESS_EXEC;
		if (entry.access == 0) /* what could be executed alone is not there at all */
			entry = (struct nested_entry){0};
		entry_write(vm, &table[i], level, &entry);
	}
}

int nested_overlay(struct vm *vm, struct nested_view *view, const struct nested_view *base, gpa_t page, paddr_t address,
		   uint8_t access, enum overlay_exec exec)
{
	struct nested_entry leaf = {.present = true, .leaf = true, .access = access, .address = address};
	uint64_t *slot, old_leaf;
	unsigned stale;
	int ret;

	if (view->base == base && view->base_generation == base->generation && view->overlay_page == page &&
	    view->overlay_address == address && view->overlay_access == access && view->overlay_exec == exec)
		return 0;
	if (!access_valid(vm, access) || base->base != NULL || !range_valid(vm, page, PAGE_SIZE) ||
	    !range_valid(vm, address, PAGE_SIZE))
		return -EINVAL;
	if (view->overlay_levels == 0) {
		ret = overlay_alloc(vm, view);
		if (ret != 0)
			return ret;
	}

	stale = overlay_stale_level(view, base, page, exec);
	for (unsigned level = stale; level >= 1; level--) {
		uint64_t *table = table_at(vm, view->overlay_table[level - 1]);

		base_table_copy(vm, base, page, level, table);
		if (level > 1)
			entry_link(vm, &table[table_index(page, level)], level, view->overlay_table[level - 2]);
		if (exec == OVERLAY_EXEC_NOTHING && level == NESTED_LEVELS)
			table_forbid_exec(vm, table, level, NESTED_ENTRIES);
		if (exec == OVERLAY_EXEC_PAGE)
			table_forbid_exec(vm, table, level, table_index(page, level));
	}
	(void)leaf_type(vm, &leaf, 1); /* one page has one type */
	slot = &table_at(vm, view->overlay_table[0])[table_index(page, 1)];
	old_leaf = *slot;
	entry_write(vm, slot, 1, &leaf);
	if (stale != 0 || *slot != old_leaf)
		view->generation++;

	view->base = base;
	view->base_generation = base->generation;
	view->overlay_page = page;
	view->overlay_address = address;
	view->overlay_access = access;
	view->overlay_exec = exec;
	return 0;
}
