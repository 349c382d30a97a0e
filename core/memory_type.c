/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's memory types. Must not know how a vendor's nested entries carry them.
 *
 * The MTRRs are the CPU's: what the guest writes there holds for our memory, too. A line of ours that is dirty when its
 * memory becomes uncacheable would be lost, because from then on nobody looks into the cache. The guest empties the
 * caches before it changes a type, with its CR0.CD set, so that they stay empty; but an exit in between fills them
 * again, and where the CPU loads our CR0 on exit it does so with our CD. So the write itself is what exits, and our
 * half turns the caches off and empties them around it. That is the only moment at which CD of host and guest have to
 * agree: following each write of CR0 would cost an exit for each change of mode, comparing CD on each exit would cost
 * every exit.
 */
#include "core/memory_type.h"

#include <undercroft/errno.h>
#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <x86/msr.h>

static const struct owner memory_type_owner = {.name = "memory types"};

/* Fills vm->types from the registers; what cannot be told apart is uncacheable, which is slow but never wrong. */
static void types_find(struct vm *vm)
{
	struct mtrr_set set;
	int count;

	mtrr_set_read(vm->platform, &set);
	count = memory_types_resolve(&set, vm->types.range, MEMORY_TYPE_RANGE_MAX);
	if (count < 0)
		log_printf(vm->log, "undercroft: the MTRRs make too many ranges: all memory is taken as uncacheable\n");
	vm->types.count = count < 0 ? 0 : (unsigned)count;
}

void memory_types_init(struct vm *vm)
{
	enum mtrr_type type;

	types_find(vm);
	for (unsigned i = 0; i < vm->types.count; i++) {
		const struct memory_type_range *range = &vm->types.range[i];

		if (range->undefined)
			log_printf(vm->log,
				   "undercroft: the MTRRs say two things about %llx..%llx: taken as uncacheable\n",
				   (unsigned long long)range->start, (unsigned long long)range->end);
	}
	for (unsigned i = 0; i < vm->hidden_count; i++) {
		if (!memory_types_uniform(&vm->types, vm->hidden[i].start, vm->hidden[i].length, &type) ||
		    type != MTRR_WB)
			log_printf(vm->log, "undercroft: hidden memory at %llx is not write back: exits will be slow\n",
				   (unsigned long long)vm->hidden[i].start);
	}
}

bool memory_type_has_register(uint32_t index)
{
	if (index >= MSR_MTRR_PHYS_BASE0 && index < MSR_MTRR_PHYS_BASE0 + 2 * MTRR_VARIABLE_MAX)
		return true;
	if (index >= MSR_MTRR_FIX_4K_C0 && index < MSR_MTRR_FIX_4K_C0 + 8)
		return true;
	return index == MSR_MTRR_FIX_64K || index == MSR_MTRR_FIX_16K_80 || index == MSR_MTRR_FIX_16K_A0 ||
	       index == MSR_MTRR_DEF_TYPE;
}

int memory_types_watch(struct vcpu *vcpu)
{
	struct mtrr_set set;
	uint32_t variable_end;
	int ret = 0;

	mtrr_set_read(vcpu->vm->platform, &set);
	if (set.capability == 0)
		return 0;
	variable_end = MSR_MTRR_PHYS_BASE0 + 2 * (uint32_t)(set.capability & MTRR_CAP_COUNT);
	for (uint32_t index = MSR_MTRR_PHYS_BASE0; ret == 0 && index <= MSR_MTRR_DEF_TYPE; index++) {
		if (!memory_type_has_register(index) ||
		    (index >= variable_end && index < MSR_MTRR_PHYS_BASE0 + 2 * MTRR_VARIABLE_MAX))
			continue;
		if (index != MSR_MTRR_DEF_TYPE && index >= MSR_MTRR_FIX_64K && !(set.capability & MTRR_CAP_FIXED))
			continue;
		ret = intercept_arm(vcpu, &memory_type_owner, INTERCEPT_MSR_WRITE, index);
	}
	if (ret != 0)
		owner_release(vcpu, &memory_type_owner);
	return ret;
}

/* The base view's entries follow the registers. */
static void view_follow(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint64_t generation = vm->base.generation;

	types_find(vm);
	if (nested_retype(vm, &vm->base) != 0) {
		log_printf(vm->log,
			   "undercroft: no memory to follow the guest's MTRRs: all memory is taken as uncacheable\n");
		vm->types.count = 0;
		(void)nested_retype(vm, &vm->base); /* splits nothing, so needs no memory */
	}
	if (vm->base.generation == generation) {
		/* what overlays show may have another type nevertheless */
		vm->base.generation++;
		return;
	}
	/* or a guest that moves its ranges about would split everything in the end */
	nested_merge(vm, &vm->base, 0, ~0ull, 3);
	vcpu->work |= WORK_VIEW;
}

bool memory_type_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;
	uint64_t old;

	if (platform->ops->msr_read(platform, index, &old) == 0 && old == value)
		return true;
	if (platform->ops->memory_type_write(platform, index, value) != 0)
		return false;
	view_follow(vcpu);
	return true;
}
