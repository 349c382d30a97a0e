/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stepping one access against a scratch page. The instruction runs in the CPU, with TF, every exception intercepted and
 * interrupts held back; while an event is being delivered there is no instruction, so the view forbids execution and
 * the first fetch of the handler ends the step. Must not know why a page is trapped.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/insn.h>
#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <x86/flags.h>

#include "core/exit.h"

#define VECTOR_DB 1

#define DR6_BS	     0x4000u
#define DR6_B_MASK   0x000fu
#define ACCESS_ALL   (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)
#define DEFAULT_SIZE 4

static void *page_at(struct vcpu *vcpu, paddr_t page)
{
	return vcpu->vm->platform->ops->phys_map(vcpu->vm->platform, page, PAGE_SIZE);
}

int step_init(struct vcpu *vcpu)
{
	vcpu->step.ones = page_pool_alloc(vcpu->vm);
	vcpu->step.scratch = page_pool_alloc(vcpu->vm);
	if (!vcpu->step.ones || !vcpu->step.scratch)
		return -ENOMEM;
	memset(page_at(vcpu, vcpu->step.ones), 0xff, PAGE_SIZE);
	return 0;
}

/* The region's bytes, as far as the access can see them, in the scratch page. */
static void scratch_fill(struct vcpu *vcpu, const struct insn *insn)
{
	struct step_state *step = &vcpu->step;
	uint8_t *page = page_at(vcpu, step->scratch);
	uint64_t offset = step->gpa - step->region->start, value = ~0ull;

	memset(page, 0xff, PAGE_SIZE);
	if (step->region->read && (insn->flags & INSN_READS_MEMORY))
		value = step->region->read(vcpu, step->region, offset, step->size);
	memcpy(page + (step->gpa & ~PAGE_MASK), &value, step->size);
}

static void scratch_write_back(struct vcpu *vcpu)
{
	struct step_state *step = &vcpu->step;
	const uint8_t *page = page_at(vcpu, step->scratch);
	uint64_t value = 0;

	memcpy(&value, page + (step->gpa & ~PAGE_MASK), step->size);
	if (step->region->write)
		step->region->write(vcpu, step->region, step->gpa - step->region->start, step->size, value);
}

/* An access cannot reach beyond its page, its region, or 8 bytes, which is the widest a region knows. */
static uint8_t access_size(const struct step_state *step, unsigned size)
{
	uint64_t page_rest = PAGE_SIZE - (step->gpa & ~PAGE_MASK);
	uint64_t region_rest = step->region->start + step->region->length - step->gpa;

	if (size == 0 || size > 8)
		size = DEFAULT_SIZE;
	if (size > page_rest)
		size = (unsigned)page_rest;
	if (size > region_rest)
		size = (unsigned)region_rest;
	return (uint8_t)size;
}

/* The same instruction touched one more trapped page: all ones there, too, in the base until the step ends. */
static enum verdict step_extend(struct vcpu *vcpu)
{
	struct step_state *step = &vcpu->step;
	gpa_t page = vcpu->detail.nested.gpa & PAGE_MASK;

	if (step->extra_count == STEP_EXTRA_MAX ||
	    nested_map(vcpu->vm, &vcpu->vm->base, page, PAGE_SIZE, step->ones, ACCESS_ALL, 1))
		return VERDICT_FATAL;
	step->extra[step->extra_count++] = page;
	step->write |= (vcpu->detail.nested.access & ACCESS_WRITE) != 0;
	step_view_refresh(vcpu);
	return VERDICT_RESUME;
}

static int view_aim(struct vcpu *vcpu, paddr_t address)
{
	struct step_state *step = &vcpu->step;

	return nested_overlay(vcpu->vm, &step->view, &vcpu->vm->base, step->gpa & PAGE_MASK, address, ACCESS_ALL,
			      step->delivery);
}

enum verdict step_begin(struct vcpu *vcpu, struct region *region, bool through)
{
	struct step_state *step = &vcpu->step;
	struct insn insn = {0};
	paddr_t shown = step->ones;

	if (step->active)
		return step_extend(vcpu);

	step->gpa = vcpu->detail.nested.gpa;
	step->write = (vcpu->detail.nested.access & ACCESS_WRITE) != 0;
	step->delivery = vcpu->events.delivery.type != EVENT_NONE;
	/* a walk of the guest's tables through a device sees all ones, as through hidden memory */
	step->region = vcpu->detail.nested.table_walk || step->delivery ? NULL : region;
	if (!step->delivery && insn_decode(vcpu, &insn))
		insn = (struct insn){.flags = INSN_READS_MEMORY};
	step->loads_flags = (insn.flags & INSN_LOADS_FLAGS) != 0;
	if (step->region) {
		step->size = access_size(step, insn.memory_size);
		scratch_fill(vcpu, &insn);
		shown = step->scratch;
	} else if (through) {
		shown = step->gpa & PAGE_MASK;
	}
	if (view_aim(vcpu, shown))
		return VERDICT_FATAL;
	step->active = true;
	vcpu->backend->nested_activate(vcpu, &step->view);
	if (!step->delivery) {
		step->guest_tf = (vcpu->rflags & X86_FLAGS_TF) != 0;
		step->dr6 = vcpu->backend->reg_get(vcpu, REG_DR6);
		vcpu->backend->step(vcpu, true);
	}
	return VERDICT_RESUME;
}

/* The traps that the instruction earned by itself: single step, and breakpoints that it hit. */
static void guest_traps_deliver(struct vcpu *vcpu)
{
	struct step_state *step = &vcpu->step;
	uint64_t hit = vcpu->backend->reg_get(vcpu, REG_DR6) & DR6_B_MASK & ~step->dr6;

	vcpu->backend->reg_set(vcpu, REG_DR6, step->dr6 | hit);
	if (step->guest_tf)
		event_queue_step_trap(vcpu);
	else if (hit)
		event_queue_exception(vcpu, VECTOR_DB, false, 0, 0);
}

void step_end(struct vcpu *vcpu, bool completed)
{
	struct step_state *step = &vcpu->step;
	struct vm *vm = vcpu->vm;

	step->active = false;
	for (unsigned i = 0; i < step->extra_count; i++)
		region_page_restore(vcpu, step->extra[i]);
	step->extra_count = 0;
	vcpu->backend->nested_activate(vcpu, &vm->base);
	if (!step->delivery) {
		vcpu->backend->step(vcpu, false);
		if (!(completed && step->loads_flags)) {
			vcpu->rflags &= ~(uint64_t)X86_FLAGS_TF;
			vcpu->rflags |= step->guest_tf ? X86_FLAGS_TF : 0;
		}
		if (completed)
			guest_traps_deliver(vcpu);
		else
			vcpu->backend->reg_set(vcpu, REG_DR6, step->dr6);
	}
	if (!step->write)
		return;
	if (!step->region)
		memset(page_at(vcpu, step->ones), 0xff, PAGE_SIZE);
	else if (completed)
		scratch_write_back(vcpu);
}

void step_view_refresh(struct vcpu *vcpu)
{
	struct step_state *step = &vcpu->step;
	struct nested_entry shown;
	unsigned level;

	if (!step->active) {
		vcpu->backend->nested_activate(vcpu, &vcpu->vm->base);
		return;
	}
	if (nested_lookup(vcpu->vm, &step->view, step->gpa, &shown, &level) ||
	    view_aim(vcpu, shown.address & PAGE_MASK))
		vcpu_fatal(vcpu, "no memory for nested page tables");
	vcpu->backend->nested_activate(vcpu, &step->view);
}

enum verdict exit_exception(struct vcpu *vcpu)
{
	vcpu->backend->decode_detail(vcpu);
	if (vcpu->step.active && vcpu->detail.exception.vector == VECTOR_DB) {
		step_end(vcpu, true);
		return VERDICT_RESUME;
	}
	if (vcpu->step.active)
		step_end(vcpu, false);
	event_queue_exception(vcpu, vcpu->detail.exception.vector, vcpu->detail.exception.has_error,
			      vcpu->detail.exception.error, vcpu->detail.exception.address);
	return VERDICT_RESUME;
}

/* An NMI waits for the guest: the step is given up, the NMI is taken on entry, and the instruction tries again. */
enum verdict exit_nmi(struct vcpu *vcpu)
{
	if (!vcpu->step.active)
		return VERDICT_FATAL;
	step_end(vcpu, false);
	return VERDICT_RESUME;
}
