/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's base view: everything where it is on the bare machine, except hidden memory. Must not know how tables
 * are laid out.
 */
#include <undercroft/backend.h>
#include <undercroft/errno.h>
#include <undercroft/nested.h>
#include <undercroft/region.h>
#include <undercroft/vm.h>

#define IDENTITY_ACCESS	   (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)
#define IDENTITY_MAX_LEVEL 3u

/* Pages of the pool that are not for what the guest touches: steps, regions and memory types need them. */
#define FILL_RESERVE 64u

int nested_build_identity(struct vm *vm, struct nested_view *view, gpa_t ram_top)
{
	gpa_t top = ALIGN_UP(ram_top, GIB(1));
	int ret;

	/* The firmware's flash and the devices of a PC lie right below 4 GiB, however little RAM there is. */
	if (top < GIB(4))
		top = GIB(4);
	if (top > vm->physical_limit)
		top = vm->physical_limit;
	vm->map_top = top;
	ret = nested_map(vm, view, 0, top, 0, IDENTITY_ACCESS, IDENTITY_MAX_LEVEL);
	for (unsigned i = 0; ret == 0 && i < vm->hidden_count; i++) {
		gpa_t start = ALIGN_DOWN(vm->hidden[i].start, PAGE_SIZE);
		gpa_t end = ALIGN_UP(vm->hidden[i].start + vm->hidden[i].length, PAGE_SIZE);

		ret = nested_unmap(vm, view, start, end - start);
	}
	return ret;
}

/* Forgets what was mapped on demand, so that a guest that looks everywhere cannot use up the pool. */
static void filled_drop(struct vm *vm, struct nested_view *view)
{
	const gpa_t reach = NESTED_LEVEL_SIZE(NESTED_LEVELS + 1);
	gpa_t end = vm->physical_limit < reach ? vm->physical_limit : reach;

	(void)nested_unmap(vm, view, vm->map_top, end - vm->map_top);
}

int nested_fill(struct vm *vm, struct nested_view *view, gpa_t gpa)
{
	unsigned level = (vm->caps & BACKEND_CAP_PAGES_1G) != 0 ? IDENTITY_MAX_LEVEL : IDENTITY_MAX_LEVEL - 1;
	struct nested_entry entry;
	unsigned missing;

	if (gpa >= vm->physical_limit)
		return -EINVAL;
	if (vm->pool.available < FILL_RESERVE)
		filled_drop(vm, view);
	if (nested_lookup(vm, view, gpa, &entry, &missing) == 0)
		return -EEXIST;
	/* What is missing at a level is missing as a whole: a block of that size, or a smaller one, lies over nothing.
	 */
	if (level > missing)
		level = missing;
	for (; level >= 1; level--) {
		uint64_t size = NESTED_LEVEL_SIZE(level);
		gpa_t start = ALIGN_DOWN(gpa, size);

		if (size > vm->physical_limit - start || vm_hides(vm, start, size) ||
		    region_list_overlap(&vm->regions, REGION_MMIO, start, size) != NULL)
			continue;
		return nested_map(vm, view, start, size, start, IDENTITY_ACCESS, level);
	}
	return -EACCES;
}
