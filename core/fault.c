/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested faults: hidden memory, trapped regions, read-only memory, and addresses that were not mapped at start. Must
 * not know table formats.
 */
#include <undercroft/debug.h>
#include <undercroft/errno.h>
#include <undercroft/log.h>
#include <undercroft/vcpu.h>

#include "core/exit.h"

/* The first accesses are logged one by one, then each time their number doubles: a loop cannot flood the log. */
#define LOG_EACH 8

static void hidden_access_log(struct vcpu *vcpu)
{
	uint64_t count = ++vcpu->statistics.counter[EXIT_STATISTICS_HIDDEN].count;
	unsigned access = vcpu->detail.nested.access;
	struct segment cs;

	if (count > LOG_EACH && (count & (count - 1)) != 0)
		return;
	vcpu->backend->seg_get(vcpu, SEG_CS, &cs);
	log_printf(vcpu->vm->log, "undercroft: hidden memory: %s %llx from %04x:%llx (%llu so far)\n",
		   access & ACCESS_EXEC	   ? "fetch at"
		   : access & ACCESS_WRITE ? "write to"
					   : "read of",
		   (unsigned long long)vcpu->detail.nested.gpa, cs.selector, (unsigned long long)vcpu->rip,
		   (unsigned long long)count);
}

/* Memory the guest has as ROM: a private copy of a firmware table. */
static bool is_write_to_read_only(struct vcpu *vcpu)
{
	struct nested_entry entry;
	unsigned level;

	return vcpu->detail.nested.access & ACCESS_WRITE &&
	       !nested_lookup(vcpu->vm, &vcpu->vm->base, vcpu->detail.nested.gpa, &entry, &level) &&
	       !(entry.access & ACCESS_WRITE);
}

/* Our tables cannot lead there, above the 48 bits of their four levels; or they do, and the CPU does not go. */
static enum verdict unreachable(struct vcpu *vcpu)
{
	unsigned count = ++vcpu->unreachable_count;

	if ((count & (count - 1)) == 0)
		log_printf(vcpu->vm->log, "undercroft: #GP: the guest cannot reach guest-physical %llx (%u so far)\n",
			   (unsigned long long)vcpu->detail.nested.gpa, count);
	event_queue_gp(vcpu);
	return VERDICT_RESUME;
}

enum verdict exit_nested(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct region *region;
	enum verdict verdict;
	gpa_t gpa, page;
	int error;

	vcpu->backend->decode_detail(vcpu);
	gpa = vcpu->detail.nested.gpa;
	page = gpa & PAGE_MASK;

	if (vcpu->step.active && vcpu->step.delivery && vcpu->detail.nested.access & ACCESS_EXEC) {
		step_end(vcpu, true);
		return VERDICT_RESUME;
	}
	if (vcpu->debug && debug_nested(vcpu, &verdict))
		return verdict;
	/* an instruction that exits again while it is stepped is still one access */
	if (vm_hides(vm, gpa, 1)) {
		if (!vcpu->step.active)
			hidden_access_log(vcpu);
		return step_begin(vcpu, STEP_ONES, NULL);
	}
	region = region_list_find(&vm->regions, REGION_MMIO, gpa);
	if (region) {
		if (!vcpu->step.active)
			region->accesses++;
		return step_begin(vcpu, STEP_REGION, region);
	}
	if (region_list_overlap(&vm->regions, REGION_MMIO, page, PAGE_SIZE))
		return step_begin(vcpu, STEP_THROUGH, NULL);
	if (is_write_to_read_only(vcpu))
		return step_begin(vcpu, STEP_COPY, NULL);

	error = nested_fill(vm, &vm->base, gpa);
	if (error == -ENOMEM)
		vcpu_fatal(vcpu, "no memory for nested page tables (raise reserved-size)");
	else if (error)
		return unreachable(vcpu);
	vcpu->work |= WORK_VIEW;
	return VERDICT_RESUME;
}
