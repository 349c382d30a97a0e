/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stepping one access against a scratch page. The instruction runs in the CPU, with TF, every exception intercepted and
 * interrupts held back; while an event is being delivered there is no instruction, so the view forbids execution and
 * the first fetch of the handler ends the step. Must not know why a page is trapped.
 */
#include <string.h>

#include <undercroft/debug.h>
#include <undercroft/errno.h>
#include <undercroft/insn.h>
#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <x86/flags.h>

#include "core/dr.h"
#include "core/exit.h"
#include "core/single.h"

#define VECTOR_DB 1
#define VECTOR_GP 13
#define VECTOR_PF 14

#define ACCESS_LOOK (ACCESS_READ | ACCESS_EXEC)
#define ACCESS_ALL  (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)
#define PIECE_MAX   8
/* The page that an overlay has to show, if it shows none: real mode's memory, the same as in the base. */
#define ARRIVE_PAGE  0x1000u
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

/* The next piece of an access that a device can take: naturally aligned, a power of two. */
static unsigned piece_size(gpa_t at, unsigned left)
{
	unsigned size = PIECE_MAX;

	while (size > left || (at & (size - 1)) != 0)
		size /= 2;
	return size;
}

/* The region's bytes, as far as the access can see them, in the scratch page. */
static void scratch_fill(struct vcpu *vcpu, const struct insn *insn)
{
	struct step_state *step = &vcpu->step;
	uint8_t *page = page_at(vcpu, step->scratch);
	unsigned piece;

	memset(page, 0xff, PAGE_SIZE);
	if (!step->region->read || !(insn->flags & INSN_READS_MEMORY))
		return;
	for (unsigned done = 0; done < step->size; done += piece) {
		gpa_t at = step->gpa + done;
		uint64_t value;

		piece = piece_size(at, step->size - done);
		value = step->region->read(vcpu, step->region, at - step->region->start, piece);
		memcpy(page + (at & ~PAGE_MASK), &value, piece);
	}
}

static void scratch_write_back(struct vcpu *vcpu)
{
	struct step_state *step = &vcpu->step;
	uint8_t *page = page_at(vcpu, step->scratch);
	unsigned piece;

	if (!step->region->write)
		return;
	/* PUSHF: of the flags the guest has its own */
	if (vcpu->single.flags & INSN_STORES_FLAGS && !vcpu->single.guest_tf && step->size >= 2)
		page[(step->gpa & ~PAGE_MASK) + 1] &= (uint8_t) ~(X86_FLAGS_TF >> 8);
	for (unsigned done = 0; done < step->size; done += piece) {
		gpa_t at = step->gpa + done;
		uint64_t value = 0;

		piece = piece_size(at, step->size - done);
		memcpy(&value, page + (at & ~PAGE_MASK), piece);
		step->region->write(vcpu, step->region, at - step->region->start, piece, value);
	}
}

/* What the base shows at a page now: its address and access are of the 4 KiB page. */
static void page_lookup(struct vcpu *vcpu, gpa_t page, struct nested_entry *entry)
{
	unsigned level;

	if (nested_lookup(vcpu->vm, &vcpu->vm->base, page, entry, &level))
		*entry = (struct nested_entry){0};
	else
		entry->address += page - ALIGN_DOWN(page, NESTED_LEVEL_SIZE(level));
}

/* The page as the guest reads it, in the scratch page. */
static void scratch_copy(struct vcpu *vcpu)
{
	struct nested_entry entry;
	const void *from;

	page_lookup(vcpu, vcpu->step.gpa & PAGE_MASK, &entry);
	from = entry.present ? page_at(vcpu, entry.address) : NULL;
	if (from)
		memcpy(page_at(vcpu, vcpu->step.scratch), from, PAGE_SIZE);
	else
		memset(page_at(vcpu, vcpu->step.scratch), 0xff, PAGE_SIZE);
}

/* An access cannot reach beyond its page or its region. */
static uint16_t access_size(const struct step_state *step, unsigned size)
{
	uint64_t page_rest = PAGE_SIZE - (step->gpa & ~PAGE_MASK);
	uint64_t region_rest = step->region->start + step->region->length - step->gpa;

	if (size == 0)
		size = DEFAULT_SIZE;
	if (size > page_rest)
		size = (unsigned)page_rest;
	if (size > region_rest)
		size = (unsigned)region_rest;
	return (uint16_t)size;
}

static int view_aim(struct vcpu *vcpu)
{
	struct step_state *step = &vcpu->step;

	return nested_overlay(vcpu->vm, &step->view, &vcpu->vm->base, step->gpa & PAGE_MASK, step->shown,
			      step->write ? ACCESS_ALL : ACCESS_LOOK,
			      step->delivery ? OVERLAY_EXEC_NOTHING : OVERLAY_EXEC_BASE);
}

static int show_through(struct vcpu *vcpu, gpa_t page, bool write, bool delivery)
{
	struct step_state *step = &vcpu->step;

	step->gpa = step->shown = page;
	step->show = STEP_THROUGH;
	step->region = NULL;
	step->write = write;
	step->delivery = delivery;
	step->ones_written = false;
	if (view_aim(vcpu))
		return -ENOMEM;
	step->active = true;
	vcpu->backend->nested_activate(vcpu, &step->view);
	return 0;
}

int step_arrive(struct vcpu *vcpu)
{
	return show_through(vcpu, ARRIVE_PAGE, true, true);
}

int step_through(struct vcpu *vcpu, gpa_t page)
{
	return show_through(vcpu, page, false, false);
}

/* One more page of the same instruction, shown in the base until the step ends. */
static int extra_show(struct vcpu *vcpu, gpa_t page, enum step_show show, bool write)
{
	struct step_state *step = &vcpu->step;
	struct step_extra *extra = step->extra;

	while (extra < step->extra + step->extra_count && extra->page != page)
		extra++;
	if (extra == step->extra + STEP_EXTRA_MAX)
		return -ENOSPC;
	if (extra == step->extra + step->extra_count) {
		extra->page = page;
		page_lookup(vcpu, page, &extra->before);
		step->extra_count++;
	}
	if (show != STEP_THROUGH)
		step->ones_written |= write;
	return nested_map(vcpu->vm, &vcpu->vm->base, page, PAGE_SIZE, show == STEP_THROUGH ? page : step->ones,
			  write ? ACCESS_ALL : ACCESS_LOOK, 1);
}

static void region_show(struct vcpu *vcpu, const struct insn *insn, struct region *region)
{
	struct step_state *step = &vcpu->step;

	step->region = region;
	step->size = access_size(step, insn->memory_size);
	scratch_fill(vcpu, insn);
	step->shown = step->scratch;
}

/* What is shown as it is can be shown in the base as well: the overlay is for the region. */
static enum verdict step_turn(struct vcpu *vcpu, struct region *region)
{
	struct step_state *step = &vcpu->step;
	struct insn insn;

	if (extra_show(vcpu, step->gpa & PAGE_MASK, STEP_THROUGH, step->write))
		return VERDICT_FATAL;
	if (insn_decode(vcpu, &insn))
		insn = (struct insn){.flags = INSN_READS_MEMORY};
	step->gpa = vcpu->detail.nested.gpa;
	step->write = (vcpu->detail.nested.access & ACCESS_WRITE) != 0;
	step->show = STEP_REGION;
	region_show(vcpu, &insn, region);
	step_view_refresh(vcpu);
	return VERDICT_RESUME;
}

/*
 * The same instruction exited again: it writes what it had only read, or it touches one more trapped page. A second
 * region shows all ones there.
 */
static enum verdict step_extend(struct vcpu *vcpu, enum step_show show, struct region *region)
{
	struct step_state *step = &vcpu->step;
	gpa_t page = vcpu->detail.nested.gpa & PAGE_MASK;
	bool write = (vcpu->detail.nested.access & ACCESS_WRITE) != 0;

	if (show == STEP_REGION && step->show == STEP_THROUGH && page != (step->gpa & PAGE_MASK) && !step->delivery &&
	    !vcpu->detail.nested.table_walk)
		return step_turn(vcpu, region);

	if (page != (step->gpa & PAGE_MASK)) {
		if (extra_show(vcpu, page, show, write))
			return VERDICT_FATAL;
	} else if (write && !step->write) {
		step->write = true;
		step->ones_written |= step->show == STEP_ONES;
	} else {
		return VERDICT_FATAL;
	}
	/* it starts anew, and what it wrote so far did not happen */
	if (step->ones_written)
		memset(page_at(vcpu, step->ones), 0xff, PAGE_SIZE);
	step_view_refresh(vcpu);
	return VERDICT_RESUME;
}

enum verdict step_begin(struct vcpu *vcpu, enum step_show show, struct region *region)
{
	struct step_state *step = &vcpu->step;
	struct insn insn = {0};

	if (step->active)
		return step_extend(vcpu, show, region);

	step->gpa = vcpu->detail.nested.gpa;
	step->write = (vcpu->detail.nested.access & ACCESS_WRITE) != 0;
	step->delivery = vcpu->events.delivery.type != EVENT_NONE;
	/* a walk of the guest's tables through a device sees all ones, as through hidden memory */
	if (show == STEP_REGION && (vcpu->detail.nested.table_walk || step->delivery))
		show = STEP_ONES;
	step->show = (uint8_t)show;
	step->region = region;
	step->ones_written = step->write && show == STEP_ONES;
	if (!step->delivery && insn_decode(vcpu, &insn))
		insn = (struct insn){.flags = INSN_READS_MEMORY};
	/* what clears TF is not stepped, and needs nothing that is shown: it has been fetched */
	if (insn.flags & INSN_INTERRUPT && !vcpu->single.active && single_interrupt(vcpu, &insn))
		return VERDICT_RESUME;
	switch (show) {
	case STEP_REGION:
		region_show(vcpu, &insn, region);
		break;
	case STEP_COPY:
		scratch_copy(vcpu);
		step->shown = step->scratch;
		break;
	case STEP_THROUGH:
		step->shown = step->gpa & PAGE_MASK;
		break;
	case STEP_ONES:
		step->shown = step->ones;
		break;
	}
	if (view_aim(vcpu))
		return VERDICT_FATAL;
	step->active = true;
	vcpu->backend->nested_activate(vcpu, &step->view);
	/* a debugger's step may have begun already */
	if (!step->delivery && !vcpu->single.active)
		single_begin(vcpu, &insn);
	return VERDICT_RESUME;
}

/* The base as it was before the step. The tables are there, so this takes no memory. */
static void extras_restore(struct vcpu *vcpu)
{
	struct step_state *step = &vcpu->step;
	struct vm *vm = vcpu->vm;

	for (unsigned i = 0; i < step->extra_count; i++) {
		const struct step_extra *extra = &step->extra[i];

		debug_page_written(vcpu, extra->page);
		if (extra->before.present)
			(void)nested_map(vm, &vm->base, extra->page, PAGE_SIZE, extra->before.address,
					 extra->before.access, 1);
		else
			(void)nested_unmap(vm, &vm->base, extra->page, PAGE_SIZE);
	}
	step->extra_count = 0;
}

void step_end(struct vcpu *vcpu, bool completed)
{
	struct step_state *step = &vcpu->step;

	step->active = false;
	if (step->write)
		debug_page_written(vcpu, step->gpa & PAGE_MASK);
	extras_restore(vcpu);
	vcpu->backend->nested_activate(vcpu, debug_view(vcpu));
	vcpu->work &= ~WORK_VIEW;
	if (!step->delivery)
		single_end(vcpu, completed);
	debug_access_done(vcpu, completed);
	if (step->ones_written)
		memset(page_at(vcpu, step->ones), 0xff, PAGE_SIZE);
	if (completed && step->write && step->show == STEP_REGION)
		scratch_write_back(vcpu);
}

void step_view_refresh(struct vcpu *vcpu)
{
	struct step_state *step = &vcpu->step;

	if (!step->active) {
		vcpu->backend->nested_activate(vcpu, debug_view(vcpu));
		return;
	}
	if (view_aim(vcpu))
		vcpu_fatal(vcpu, "no memory for nested page tables");
	vcpu->backend->nested_activate(vcpu, &step->view);
}

void instruction_end(struct vcpu *vcpu, bool completed)
{
	if (vcpu->step.active)
		step_end(vcpu, completed);
	else if (vcpu->single.active)
		single_end(vcpu, completed);
}

/* INT n, INT3 or INTO, which exited before it was carried out. */
static void software_event_queue(struct vcpu *vcpu)
{
	const struct exit_detail *detail = &vcpu->detail;

	vcpu->events.delivery = (struct event){
		.type = detail->exception.is_interrupt ? EVENT_SOFT_INTR : EVENT_SOFT_EXCEPT,
		.vector = detail->exception.vector,
		.length = detail->exception.length,
	};
	vcpu->work |= WORK_EVENT | WORK_DELIVERY;
}

/* #DB: what is left of it for the guest is queued; behind a step, single_end() does that. */
static enum verdict debug_exception(struct vcpu *vcpu)
{
	bool guests;

	if (vcpu->single.active && single_is_trap(vcpu)) {
		if (vcpu->dr.shadowed)
			(void)debug_exception_settle(vcpu);
		instruction_end(vcpu, true);
		return VERDICT_RESUME;
	}
	guests = !vcpu->dr.shadowed || debug_exception_settle(vcpu);
	instruction_end(vcpu, false);
	if (guests)
		event_queue_debug_trap(vcpu, dr_get(vcpu, REG_DR6) & DR6_B);
	return VERDICT_RESUME;
}

static enum verdict software_exception(struct vcpu *vcpu)
{
	instruction_end(vcpu, false);
	if (!debug_break_hit(vcpu))
		software_event_queue(vcpu);
	return VERDICT_RESUME;
}

/* Any other that the CPU has raised. */
static __attribute__((noinline)) enum verdict exception(struct vcpu *vcpu)
{
	const struct exit_detail *detail = &vcpu->detail;
	bool again = detail->exception.vector == VECTOR_GP && single_idt_missed(vcpu);

	instruction_end(vcpu, false);
	if (again)
		return VERDICT_RESUME;
	if (detail->exception.vector == VECTOR_PF)
		debug_page_fault(vcpu);
	event_queue_exception(vcpu, detail->exception.vector, detail->exception.has_error, detail->exception.error,
			      detail->exception.address);
	return VERDICT_RESUME;
}

enum verdict exit_exception(struct vcpu *vcpu)
{
	vcpu->backend->decode_detail(vcpu);
	if (vcpu->detail.exception.length)
		return software_exception(vcpu);
	return vcpu->detail.exception.vector == VECTOR_DB ? debug_exception(vcpu) : exception(vcpu);
}

/*
 * An NMI waits for the guest: a step is given up, the NMI is taken on entry, and the instruction tries again. Who
 * delivers it is the backend's matter: the CPU, or we.
 */
enum verdict exit_nmi(struct vcpu *vcpu)
{
	bool is_ours = (vcpu->vm->caps & BACKEND_CAP_NMI_EXITS) != 0;

	if (alarm_take_nmi(vcpu))
		return vcpu->slot[EXIT_TIMER](vcpu);
	if (!vcpu->step.active && !vcpu->single.active && !vcpu->idle.waits && !is_ours && !vcpu->vm->alarm)
		return VERDICT_FATAL;
	idle_wake(vcpu);
	instruction_end(vcpu, false);
	if (is_ours)
		event_queue_nmi(vcpu);
	else
		debug_event_pending(vcpu);
	alarm_pass_nmi(vcpu);
	return VERDICT_RESUME;
}
