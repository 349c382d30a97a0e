/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's memory as a debugger sees it: through any of its address spaces, as the guest itself would read it, with
 * no trace left behind. Must not know who looks.
 */
#include <string.h>

#include <undercroft/a20.h>
#include <undercroft/errno.h>
#include <undercroft/nested.h>
#include <undercroft/platform.h>
#include <undercroft/region.h>
#include <undercroft/vcpu.h>

#include "core/debug/debug.h"

#define PIECE_MAX 8

int debug_translate(struct vcpu *vcpu, const struct debug_space *space, uint64_t address, struct mem_mapping *out)
{
	switch (space->kind) {
	case SPACE_PHYSICAL:
		*out = (struct mem_mapping){address, PAGE_SIZE, true, true, true};
		return address < vcpu->vm->physical_limit ? 0 : -EFAULT;
	case SPACE_CR3:
		return mem_lookup(vcpu, space->cr3, address, out);
	case SPACE_CURRENT:
	default:
		return mem_lookup(vcpu, vcpu->backend->reg_get(vcpu, REG_CR3), address, out);
	}
}

/* One part of a transfer, in one page: to or from buffer. */
struct part {
	gpa_t gpa;
	uint8_t *buffer;
	size_t length; /* asked for, then done */
	bool write;
};

/*
 * A page of memory that the guest sees somewhere else than it lies: a table of the firmware, shown edited. *base is
 * where it lies. Returns false if the view says nothing of the kind.
 */
static bool page_is_replaced(struct vcpu *vcpu, gpa_t gpa, paddr_t *base, bool *writable)
{
	struct vm *vm = vcpu->vm;
	struct nested_entry entry;
	unsigned level;

	if (debug_planted_page(vcpu, gpa & PAGE_MASK) || nested_lookup(vm, &vm->base, gpa, &entry, &level))
		return false;
	*base = entry.address + (gpa & (NESTED_LEVEL_SIZE(level) - 1));
	/* where it lies, rights are taken from the guest to watch it, or for a device next to it */
	if (*base == a20_address(vm, gpa))
		return false;
	*writable = entry.access & ACCESS_WRITE;
	return true;
}

static int memory_copy(struct vcpu *vcpu, struct part *part)
{
	struct vm *vm = vcpu->vm;
	bool writable = true;
	paddr_t at;
	void *memory;

	if (page_is_replaced(vcpu, part->gpa, &at, &writable))
		memory = vm->platform->ops->phys_map(vm->platform, at, part->length);
	else if (!part->write)
		memory = (void *)(uintptr_t)mem_gpa_readable(vm, part->gpa, part->length);
	else
		memory = mem_gpa_pointer(vm, part->gpa, part->length);
	if (!memory)
		return -ENOENT;
	if (part->write && !writable)
		return -EACCES;
	if (part->write) {
		memcpy(memory, part->buffer, part->length);
		debug_page_written(vcpu, part->gpa & PAGE_MASK);
	} else {
		memcpy(part->buffer, memory, part->length);
	}
	return 0;
}

/* The next access that a device can take: naturally aligned, a power of two. */
static size_t device_piece(gpa_t at, size_t left)
{
	size_t size = PIECE_MAX;

	while (size > left || (at & (size - 1)) != 0)
		size /= 2;
	return size;
}

static int device_access(struct vcpu *vcpu, struct region *region, struct part *part)
{
	struct platform *platform = vcpu->vm->platform;
	size_t size = part->length;
	bool through = !region || (!part->write && !region->trap_reads);
	uint64_t value = ~0ull;

	if (through && !platform->ops->phys_map(platform, part->gpa, size))
		return -EFAULT;
	if (part->write) {
		value = 0;
		memcpy(&value, part->buffer, size);
		if (!region)
			platform->ops->mmio_write(platform, part->gpa, (unsigned)size, value);
		else if (region->write)
			region->write(vcpu, region, part->gpa - region->start, (unsigned)size, value);
	} else {
		if (through)
			value = platform->ops->mmio_read(platform, part->gpa, (unsigned)size);
		else if (region->read)
			value = region->read(vcpu, region, part->gpa - region->start, (unsigned)size);
		memcpy(part->buffer, &value, size);
	}
	return 0;
}

/* As much of a part as is of one sort. */
static int part_transfer(struct vcpu *vcpu, struct part *part, unsigned flags)
{
	struct vm *vm = vcpu->vm;
	struct region *region;
	size_t length = part->length;
	int ret = -ENOENT;

	if (part->gpa >= vm->physical_limit)
		return -EFAULT;
	while (part->length > 1 && (vm_hides(vm, part->gpa, part->length) ||
				    region_list_overlap(&vm->regions, REGION_MMIO, part->gpa, part->length) ||
				    (ret = memory_copy(vcpu, part)) == -ENOENT))
		part->length /= 2;
	if (ret != -ENOENT)
		return ret;
	/* one byte tells what it is */
	if (vm_hides(vm, part->gpa, 1))
		return -EACCES;
	region = region_list_find(&vm->regions, REGION_MMIO, part->gpa);
	if (!region) {
		ret = memory_copy(vcpu, part);
		if (ret != -ENOENT)
			return ret;
	}
	if (!(flags & DEBUG_MEM_DEVICE))
		return -EACCES;
	/* a device gets the access as it was asked for, as far as it is the device's */
	part->length = device_piece(part->gpa, length);
	if (vm_hides(vm, part->gpa, part->length) ||
	    region_list_find(&vm->regions, REGION_MMIO, part->gpa + part->length - 1) != region)
		part->length = 1;
	return device_access(vcpu, region, part);
}

static int transfer(struct vcpu *vcpu, const struct debug_space *space, uint64_t address, uint8_t *buffer,
		    size_t length, unsigned flags, bool write, size_t *done)
{
	*done = 0;
	while (*done < length) {
		size_t left = length - *done, room = PAGE_SIZE - (address & ~PAGE_MASK);
		struct part part = {.buffer = buffer + *done, .length = left < room ? left : room, .write = write};
		struct mem_mapping mapping;
		int ret = debug_translate(vcpu, space, address, &mapping);

		if (ret)
			return ret;
		part.gpa = mapping.gpa;
		ret = part_transfer(vcpu, &part, flags);
		if (ret)
			return ret;
		*done += part.length;
		address += part.length;
	}
	return 0;
}

int debug_mem_read(struct vcpu *vcpu, const struct debug_space *space, uint64_t address, void *buffer, size_t length,
		   unsigned flags, size_t *done)
{
	return transfer(vcpu, space, address, buffer, length, flags, false, done);
}

int debug_mem_write(struct vcpu *vcpu, const struct debug_space *space, uint64_t address, const void *buffer,
		    size_t length, unsigned flags, size_t *done)
{
	/* transfer() only reads from it then */
	return transfer(vcpu, space, address, (uint8_t *)(uintptr_t)buffer, length, flags, true, done);
}
