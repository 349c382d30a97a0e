/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions: who answers for which ports and which device memory. Must not know any device.
 */
#include <undercroft/a20.h>
#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <undercroft/region.h>
#include <undercroft/vcpu.h>

#define REGION_PORT_END 0x10000ull
#define REGION_MMIO_END (1ull << 52) /* APM vol. 2, "Long-Mode Page Translation" (5.3): the architecture's limit */

#define REGION_ACCESS_ALL (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)

/* By differences: a sum could wrap around. */
static bool ranges_overlap(uint64_t start, uint64_t length, uint64_t other, uint64_t other_length)
{
	return start >= other ? start - other < other_length : other - start < length;
}

int region_list_add(struct region_list *list, struct region *region, const struct region **conflict)
{
	uint64_t end = region->space == REGION_PORT ? REGION_PORT_END : REGION_MMIO_END;
	struct region **link = &list->head;
	const struct region *other;

	if (region->length == 0 || region->start >= end || region->length > end - region->start)
		return -EINVAL;
	other = region_list_overlap(list, region->space, region->start, region->length);
	if (other != NULL) {
		if (conflict != NULL)
			*conflict = other;
		return -EEXIST;
	}
	while (*link != NULL &&
	       ((*link)->space < region->space || ((*link)->space == region->space && (*link)->start < region->start)))
		link = &(*link)->next;
	region->next = *link;
	*link = region;
	return 0;
}

int region_list_remove(struct region_list *list, struct region *region)
{
	for (struct region **link = &list->head; *link != NULL; link = &(*link)->next) {
		if (*link == region) {
			*link = region->next;
			region->next = NULL;
			return 0;
		}
	}
	return -ENOENT;
}

struct region *region_list_find(const struct region_list *list, enum region_space space, uint64_t address)
{
	return region_list_overlap(list, space, address, 1);
}

struct region *region_list_overlap(const struct region_list *list, enum region_space space, uint64_t start,
				   uint64_t length)
{
	for (struct region *region = list->head; region != NULL; region = region->next) {
		if (region->space == space && length != 0 &&
		    ranges_overlap(start, length, region->start, region->length))
			return region;
	}
	return NULL;
}

/*
 * What a page outside or inside of ranges wants: notes that [start, start + length) rounded to pages covers page, and
 * cuts *until down to where that answer ends.
 */
static bool range_touches_page(uint64_t start, uint64_t length, gpa_t page, gpa_t *until)
{
	gpa_t first = ALIGN_DOWN(start, PAGE_SIZE), end = ALIGN_UP(start + length, PAGE_SIZE);
	bool touches = page >= first && page < end;
	gpa_t edge = page < first ? first : end;

	if (page < end && edge < *until)
		*until = edge;
	return touches;
}

/*
 * The access the guest has to a page by all regions in it and by hidden memory; 0: none. *until is cut down to the
 * first page for which that has to be asked again.
 */
static uint8_t page_access(const struct vm *vm, gpa_t page, gpa_t *until)
{
	uint8_t access = REGION_ACCESS_ALL;

	for (unsigned i = 0; i < vm->hidden_count; i++) {
		if (range_touches_page(vm->hidden[i].start, vm->hidden[i].length, page, until))
			access = 0;
	}
	for (const struct region *region = vm->regions.head; region != NULL; region = region->next) {
		if (region->space != REGION_MMIO || !range_touches_page(region->start, region->length, page, until))
			continue;
		access &= region->trap_reads ? 0 : ACCESS_READ | ACCESS_EXEC;
	}
	return access;
}

/*
 * Where a page leads and with which access; 0: nowhere. *until is cut down to the first page for which that has to be
 * asked again.
 */
static uint8_t page_target(const struct vm *vm, gpa_t page, gpa_t *target, gpa_t *until)
{
	gpa_t target_until = ~0ull;

	*target = a20_address(vm, page);
	if (*target != page) {
		*until = page + PAGE_SIZE;
		return page_access(vm, *target, &target_until);
	}
	if (vm->a20_off)
		(void)range_touches_page(A20_WINDOW, A20_WINDOW_SIZE, page, until);
	return page_access(vm, page, until);
}

int region_pages_update(struct vcpu *vcpu, gpa_t start, uint64_t length)
{
	struct vm *vm = vcpu->vm;
	gpa_t end = ALIGN_UP(start + length, PAGE_SIZE), until;
	uint64_t generation = vm->base.generation;
	int ret = 0;

	for (gpa_t page = ALIGN_DOWN(start, PAGE_SIZE); ret == 0 && page < end; page = until) {
		gpa_t target;
		uint8_t access;

		until = end;
		access = page_target(vm, page, &target, &until);
		if (access == 0)
			ret = nested_unmap(vm, &vm->base, page, until - page);
		else
			ret = nested_map(vm, &vm->base, page, until - page, target, access, 3);
	}
	/* and where else they show */
	if (ret == 0 && vm->a20_off && start < A20_WINDOW_SIZE)
		ret = region_pages_update(vcpu, A20_WINDOW + start,
					  end < A20_WINDOW_SIZE ? length : A20_WINDOW_SIZE - start);
	if (vm->base.generation != generation)
		vcpu->work |= WORK_VIEW;
	return ret;
}

/*
 * Takes back what a region, which is no longer in the list at this place, did to the pages there. Pages it trapped are
 * split to fit and all others are as they should be, so that within the map made at start this needs no memory. Above
 * it pages may stay absent: they are filled on demand.
 */
static void pages_restore(struct vcpu *vcpu, gpa_t start, uint64_t length)
{
	struct vm *vm = vcpu->vm;
	uint64_t generation;

	(void)region_pages_update(vcpu, start, length);
	generation = vm->base.generation;
	for (unsigned level = 2; level <= 3; level++) {
		gpa_t first = ALIGN_DOWN(start, NESTED_LEVEL_SIZE(level));
		gpa_t end = ALIGN_UP(start + length, NESTED_LEVEL_SIZE(level));

		/* Never the pages of another region: they would have to be split again to take its protection back. */
		if (region_list_overlap(&vm->regions, REGION_MMIO, first, end - first) == NULL)
			nested_merge(vm, &vm->base, first, end - first, level);
	}
	if (vm->base.generation != generation)
		vcpu->work |= WORK_VIEW;
}

/* Gives back the ports of [start, end) that are outside of [keep, keep + length). */
static void ports_disarm(struct vcpu *vcpu, const struct region *region, uint64_t start, uint64_t end, uint64_t keep,
			 uint64_t length)
{
	for (uint64_t port = start; port < end; port++) {
		if (!ranges_overlap(port, 1, keep, length))
			(void)intercept_disarm(vcpu, region->owner, INTERCEPT_PORT, (uint32_t)port);
	}
}

/* Arms a region's ports but those of [armed, armed + length), which are armed already. On error none of them is. */
static int ports_arm(struct vcpu *vcpu, const struct region *region, uint64_t armed, uint64_t length)
{
	for (uint64_t port = region->start; port < region->start + region->length; port++) {
		int ret;

		if (ranges_overlap(port, 1, armed, length))
			continue;
		ret = intercept_arm(vcpu, region->owner, INTERCEPT_PORT, (uint32_t)port);
		if (ret != 0) {
			ports_disarm(vcpu, region, region->start, port, armed, length);
			return ret;
		}
	}
	return 0;
}

static bool region_reachable(const struct vcpu *vcpu, const struct region *region)
{
	uint64_t limit = vcpu->vm->physical_limit;

	return region->space == REGION_PORT || (region->start < limit && region->length <= limit - region->start);
}

int region_add(struct vcpu *vcpu, struct region *region, const struct region **conflict)
{
	struct region_list *list = &vcpu->vm->regions;
	int ret;

	if (!region_reachable(vcpu, region))
		return -EINVAL;
	ret = region_list_add(list, region, conflict);
	if (ret != 0)
		return ret;
	if (region->space == REGION_PORT)
		ret = ports_arm(vcpu, region, 0, 0);
	else
		ret = region_pages_update(vcpu, region->start, region->length);
	if (ret != 0) {
		(void)region_list_remove(list, region);
		if (region->space == REGION_MMIO)
			pages_restore(vcpu, region->start, region->length);
	}
	return ret;
}

int region_remove(struct vcpu *vcpu, struct region *region)
{
	int ret = region_list_remove(&vcpu->vm->regions, region);

	if (ret != 0)
		return ret;
	if (region->space == REGION_PORT)
		ports_disarm(vcpu, region, region->start, region->start + region->length, 0, 0);
	else
		pages_restore(vcpu, region->start, region->length);
	return 0;
}

int region_move(struct vcpu *vcpu, struct region *region, uint64_t start)
{
	struct region_list *list = &vcpu->vm->regions;
	uint64_t old_start = region->start, length = region->length;
	int ret;

	ret = region_list_remove(list, region);
	if (ret != 0)
		return ret;
	region->start = start;
	ret = region_reachable(vcpu, region) ? region_list_add(list, region, NULL) : -EINVAL;
	if (ret != 0)
		goto out_back;

	/* What old and new range share must trap all the time: first the new one, then what is left of the old one. */
	if (region->space == REGION_PORT) {
		ret = ports_arm(vcpu, region, old_start, length);
		if (ret != 0)
			goto out_unlist;
		ports_disarm(vcpu, region, old_start, old_start + length, start, length);
	} else {
		ret = region_pages_update(vcpu, start, length);
		if (ret != 0)
			goto out_unlist;
		pages_restore(vcpu, old_start, length);
	}
	return 0;

out_unlist:
	(void)region_list_remove(list, region);
out_back:
	region->start = old_start;
	(void)region_list_add(list, region, NULL); /* where it was before: there is room */
	/* Nothing else can have touched the pages of the new place. */
	if (ret == -ENOMEM && region->space == REGION_MMIO)
		pages_restore(vcpu, start, length);
	return ret;
}

static uint64_t all_ones(unsigned size)
{
	return size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
}

/* How many of an access' next bytes have one and the same owner, which may be nobody. *region is that owner. */
static unsigned port_run(struct vcpu *vcpu, uint64_t port, unsigned size, struct region **region)
{
	const struct region_list *list = &vcpu->vm->regions;
	uint64_t end;

	*region = region_list_find(list, REGION_PORT, port);
	if (*region != NULL) {
		end = (*region)->start + (*region)->length;
	} else {
		/* The list is sorted: the first overlap is the nearest. */
		const struct region *next = region_list_overlap(list, REGION_PORT, port, size);

		end = next != NULL ? next->start : port + size;
	}
	return end - port < size ? (unsigned)(end - port) : size;
}

/* The size of the next bus access for what is left of a run: three bytes are taken apart as alignment has it. */
static unsigned port_piece(uint64_t port, unsigned left)
{
	if (left == 3)
		return (port & 1) != 0 ? 1 : 2;
	return left;
}

uint64_t region_port_read(struct vcpu *vcpu, uint16_t port, unsigned size)
{
	struct platform *platform = vcpu->vm->platform;
	uint64_t value = 0;
	unsigned done = 0;

	while (done < size) {
		struct region *region;
		unsigned end = done + port_run(vcpu, (uint64_t)port + done, size - done, &region);

		if (region != NULL)
			region->accesses++;
		for (unsigned piece; done < end; done += piece) {
			uint64_t at = (uint64_t)port + done, bytes;

			piece = port_piece(at, end - done);
			bytes = ~0ull;
			if (region != NULL && region->read != NULL)
				bytes = region->read(vcpu, region, at - region->start, piece);
			else if (region == NULL && at < REGION_PORT_END)
				bytes = platform->ops->port_in(platform, (uint16_t)at, piece);
			value |= (bytes & all_ones(piece)) << (8 * done);
		}
	}
	return value;
}

void region_port_write(struct vcpu *vcpu, uint16_t port, unsigned size, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;
	unsigned done = 0;

	while (done < size) {
		struct region *region;
		unsigned end = done + port_run(vcpu, (uint64_t)port + done, size - done, &region);

		if (region != NULL)
			region->accesses++;
		for (unsigned piece; done < end; done += piece) {
			uint64_t at = (uint64_t)port + done, bytes;

			piece = port_piece(at, end - done);
			bytes = (value >> (8 * done)) & all_ones(piece);
			if (region != NULL && region->write != NULL)
				region->write(vcpu, region, at - region->start, piece, bytes);
			else if (region == NULL && at < REGION_PORT_END)
				platform->ops->port_out(platform, (uint16_t)at, piece, (uint32_t)bytes);
		}
	}
}
