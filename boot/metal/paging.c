/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vmm's own page tables. APM vol. 2, "Long-Mode Page Translation" (5.3). Memory types are left to the MTRRs; what a
 * page does that lies over two of them is undefined. SDM vol. 3, "Large Page Size Considerations"
 * (11.11.9)
 */
#include "boot/metal/paging.h"

#define PTE_PRESENT 0x01u
#define PTE_WRITE   0x02u
#define PTE_LARGE   0x80u
#define PTE_TABLE   (PTE_PRESENT | PTE_WRITE)

/* Levels count from the leaf side: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB, 4 = the root. */
#define LEVELS	       4
#define LEVEL_SIZE(lv) (1ull << (PAGE_SHIFT + 9 * ((lv)-1)))
#define TABLE_ENTRIES  512
#define LEVEL_2M       2
#define LEVEL_1G       3

struct build {
	const struct memory_types *types;
	paddr_t next, end, top;
	unsigned max_level; /* of leaves */
};

/* A zeroed page, or 0. */
static paddr_t table_take(struct build *build)
{
	paddr_t table = build->next;

	if (build->end - build->next < PAGE_SIZE)
		return 0;
	build->next += PAGE_SIZE;
	return table;
}

static bool is_leaf(const struct build *build, paddr_t at, unsigned level)
{
	enum mtrr_type type;

	return level == 1 ||
	       (level <= build->max_level && memory_types_uniform(build->types, at, LEVEL_SIZE(level), &type));
}

/* Fills the table of a level whose first entry is for at. Returns false without room. */
static bool table_fill(struct build *build, paddr_t table, unsigned level, paddr_t at)
{
	uint64_t *entry = (uint64_t *)(uintptr_t)table;

	for (unsigned i = 0; i < TABLE_ENTRIES && at < build->top; i++, at += LEVEL_SIZE(level)) {
		paddr_t below;

		if (is_leaf(build, at, level)) {
			entry[i] = at | PTE_PRESENT | PTE_WRITE | (level > 1 ? PTE_LARGE : 0);
			continue;
		}
		below = table_take(build);
		if (!below || !table_fill(build, below, level - 1, at))
			return false;
		entry[i] = below | PTE_TABLE;
	}
	return true;
}

paddr_t paging_build_identity(paddr_t *next, uint64_t room, paddr_t top, bool pages_1g,
			      const struct memory_types *types)
{
	struct build build = {
		.types = types,
		.next = *next,
		.end = *next + room,
		.top = ALIGN_UP(top, GIB(1)),
		.max_level = pages_1g ? LEVEL_1G : LEVEL_2M,
	};
	paddr_t root = table_take(&build);

	if (!root || !table_fill(&build, root, LEVELS, 0))
		return 0;
	((uint64_t *)(uintptr_t)root)[TABLE_ENTRIES - 1] = ((const uint64_t *)(uintptr_t)root)[0];
	*next = build.next;
	return root;
}
