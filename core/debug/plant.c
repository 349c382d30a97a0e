/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INT3s that the guest executes and does not read. A page with any has a copy that has them. The page itself is in the
 * base, and cannot be executed; a fetch from it exits, the copy is made anew and shown:
 *
 * - where entries can allow execution alone, in the base, until something else is done with it than fetching;
 * - elsewhere in a view in which nothing but the copy can be executed, until something else is fetched. Instructions in
 *   the page itself read the copy then.
 *
 * Whatever is written goes to the page itself. Must not know what is planted why.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/insn.h>
#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <undercroft/region.h>
#include <undercroft/vcpu.h>

#include "core/debug/debug.h"
#include "core/exit.h"

#define OPCODE_INT3 0xcc

#define ACCESS_DATA (ACCESS_READ | ACCESS_WRITE)
#define ACCESS_ALL  (ACCESS_DATA | ACCESS_EXEC)

struct planted_page *debug_planted_page(struct vcpu *vcpu, gpa_t page)
{
	struct debug *debug = vcpu->debug;

	for (unsigned i = 0, left = debug->pages_used; left && i < DEBUG_PAGE_MAX; i++) {
		if (!debug->pages[i].count)
			continue;
		if (debug->pages[i].page == page)
			return &debug->pages[i];
		left--;
	}
	return NULL;
}

static uint8_t *copy_of(struct vcpu *vcpu, const struct planted_page *p)
{
	return vcpu->vm->platform->ops->phys_map(vcpu->vm->platform, p->copy, PAGE_SIZE);
}

static void copy_refresh(struct vcpu *vcpu, const struct planted_page *p)
{
	memcpy(copy_of(vcpu, p), p->original, PAGE_SIZE);
	for (struct breakpoint *b = vcpu->debug->breaks; b < vcpu->debug->breaks + DEBUG_BREAK_MAX; b++) {
		if (!b->planted || (b->gpa & PAGE_MASK) != p->page)
			continue;
		*b->int3 = OPCODE_INT3;
		b->in_place = false;
	}
}

/* No entry can be written and not read. */
static uint8_t page_rights(struct vcpu *vcpu, const struct planted_page *p, uint8_t trapped)
{
	uint8_t rights = p ? ACCESS_DATA : ACCESS_ALL;

	if (trapped & ACCESS_READ)
		return vcpu->vm->caps & BACKEND_CAP_EXEC_ONLY ? rights & ACCESS_EXEC : 0;
	return rights & (uint8_t)~trapped;
}

int debug_page_map(struct vcpu *vcpu, gpa_t page)
{
	const struct planted_page *p = debug_planted_page(vcpu, page);
	struct vm *vm = vcpu->vm;
	uint8_t rights = page_rights(vcpu, p, debug_watch_trapped(vcpu->debug, page));
	int ret;

	vcpu->work |= WORK_VIEW;
	if (p && p->open)
		return nested_map(vm, &vm->base, page, PAGE_SIZE, p->copy, ACCESS_EXEC, 1);
	ret = rights ? nested_map(vm, &vm->base, page, PAGE_SIZE, page, rights, 1)
		     : nested_unmap(vm, &vm->base, page, PAGE_SIZE);
	if (rights == ACCESS_ALL)
		nested_merge(vm, &vm->base, ALIGN_DOWN(page, GIB(1)), GIB(1), 3);
	return ret;
}

/* Back to what can be read and written. The tables are there, so this takes no memory. */
static void page_close(struct vcpu *vcpu, struct planted_page *p)
{
	p->open = false;
	(void)debug_page_map(vcpu, p->page);
}

static void code_leave(struct vcpu *vcpu)
{
	vcpu->debug->in_code = false;
	vcpu->work |= WORK_VIEW;
}

static int page_open(struct vcpu *vcpu, struct planted_page *p)
{
	struct debug *debug = vcpu->debug;
	int ret;

	copy_refresh(vcpu, p);
	if (vcpu->vm->caps & BACKEND_CAP_EXEC_ONLY) {
		p->open = true;
		return debug_page_map(vcpu, p->page);
	}
	ret = nested_overlay(vcpu->vm, &debug->code_view, &vcpu->vm->base, p->page, p->copy, ACCESS_READ | ACCESS_EXEC,
			     OVERLAY_EXEC_PAGE);
	if (ret == 0) {
		vcpu->backend->nested_activate(vcpu, &debug->code_view);
		debug->in_code = true;
	}
	return ret;
}

/* The page of the instruction at RIP, and whether a longer one would reach into the next page. */
static bool code_page(struct vcpu *vcpu, gpa_t *page, bool *may_cross)
{
	gva_t pc = debug_pc(vcpu);
	struct mem_mapping mapping;

	*may_cross = (pc & ~PAGE_MASK) > PAGE_SIZE - INSN_LENGTH_MAX;
	if (mem_lookup(vcpu, vcpu->backend->reg_get(vcpu, REG_CR3), pc, &mapping))
		return false;
	*page = mapping.gpa & PAGE_MASK;
	return true;
}

/* A fetch from a page that cannot be executed as things are. */
static enum verdict fetch(struct vcpu *vcpu, struct planted_page *p, gpa_t page)
{
	gpa_t begin;
	bool may_cross;

	/* an instruction across two pages, of which only one at a time could be executed */
	if (code_page(vcpu, &begin, &may_cross) && may_cross && begin != page &&
	    (p || debug_planted_page(vcpu, begin)) && !(vcpu->vm->caps & BACKEND_CAP_EXEC_ONLY)) {
		if (!p)
			vcpu->detail.nested.gpa = begin;
		return step_begin(vcpu, STEP_THROUGH, NULL);
	}
	if (!p) {
		code_leave(vcpu);
		return VERDICT_RESUME;
	}
	if (page_open(vcpu, p))
		vcpu_fatal(vcpu, "no memory for nested page tables (raise reserved-size)");
	return VERDICT_RESUME;
}

const struct nested_view *debug_view(const struct vcpu *vcpu)
{
	const struct debug *debug = vcpu->debug;

	/* one that is behind its base is aimed again by the next fetch that exits */
	if (debug && debug->in_code && debug->code_view.base_generation == vcpu->vm->base.generation)
		return &debug->code_view;
	return &vcpu->vm->base;
}

/* Is the access that exited one that a watch has made exit? */
static bool is_watched(struct vcpu *vcpu, gpa_t page)
{
	uint8_t trapped = debug_watch_trapped(vcpu->debug, page), access = vcpu->detail.nested.access;

	if (access & ACCESS_EXEC)
		return trapped & ACCESS_READ && !(vcpu->vm->caps & BACKEND_CAP_EXEC_ONLY);
	return trapped & access;
}

bool debug_nested(struct vcpu *vcpu, enum verdict *verdict)
{
	struct debug *debug = vcpu->debug;
	gpa_t page = vcpu->detail.nested.gpa & PAGE_MASK, begin;
	struct planted_page *p = debug_planted_page(vcpu, page);
	bool stepping = vcpu->step.active || vcpu->single.active, is_fetch = vcpu->detail.nested.access & ACCESS_EXEC,
	     may_cross, watched = is_watched(vcpu, page);

	if (!p && !watched && (!debug->in_code || vcpu->step.active || !is_fetch))
		return false;
	*verdict = VERDICT_RESUME;
	if (watched && is_fetch && p && !stepping && debug_break_hit(vcpu)) {
		/* INT3s cannot be shown there */
	} else if (watched) {
		debug_watch_begin(vcpu, true);
		*verdict = step_begin(vcpu, STEP_THROUGH, NULL);
		/* INT n has become an event instead */
		debug->access.active = vcpu->step.active;
	} else if (is_fetch && !stepping) {
		*verdict = fetch(vcpu, p, page);
	} else if (!p) {
		code_leave(vcpu);
	} else if (stepping || !p->open || vcpu->events.delivery.type != EVENT_NONE ||
		   (code_page(vcpu, &begin, &may_cross) && begin == page)) {
		*verdict = step_begin(vcpu, STEP_THROUGH, NULL);
	} else {
		page_close(vcpu, p);
	}
	return true;
}

void debug_page_written(struct vcpu *vcpu, gpa_t page)
{
	struct planted_page *p = vcpu->debug ? debug_planted_page(vcpu, page) : NULL;

	/* one that is closed is copied when it is opened */
	if (p && p->open)
		copy_refresh(vcpu, p);
	else if (p)
		code_leave(vcpu);
}

const void *debug_page_original(struct vcpu *vcpu, gpa_t page)
{
	struct vm *vm = vcpu->vm;
	struct nested_entry entry;
	unsigned level;

	/* that has been asked */
	if (debug_planted_page(vcpu, page) || debug_watch_trapped(vcpu->debug, page))
		return mem_gpa_readable(vm, page, PAGE_SIZE);
	if (vm_hides(vm, page, PAGE_SIZE) || region_list_overlap(&vm->regions, REGION_MMIO, page, PAGE_SIZE))
		return NULL;
	if (nested_lookup(vm, &vm->base, page, &entry, &level) ||
	    entry.address + (page & (NESTED_LEVEL_SIZE(level) - 1)) != page || entry.access != ACCESS_ALL)
		return NULL;
	return mem_gpa_readable(vm, page, PAGE_SIZE);
}

static int page_add(struct vcpu *vcpu, gpa_t page, struct planted_page **out)
{
	struct debug *debug = vcpu->debug;
	const void *original = debug_page_original(vcpu, page);
	struct planted_page *p = debug->pages;
	int ret;

	if (!original)
		return -EACCES;
	while (p < debug->pages + DEBUG_PAGE_MAX && p->count)
		p++;
	if (p == debug->pages + DEBUG_PAGE_MAX)
		return -ENOSPC;
	*p = (struct planted_page){.page = page, .original = original, .copy = page_pool_alloc(vcpu->vm)};
	if (!p->copy)
		return -ENOMEM;
	*out = p;
	p->count = 1;
	debug->pages_used++;
	ret = debug_page_map(vcpu, page);
	if (ret) {
		p->count = 0;
		debug->pages_used--;
		page_pool_free(vcpu->vm, p->copy);
	}
	return ret;
}

static void page_remove(struct vcpu *vcpu, struct planted_page *p)
{
	vcpu->debug->pages_used--;
	(void)debug_page_map(vcpu, p->page);
	page_pool_free(vcpu->vm, p->copy);
	code_leave(vcpu);
}

int debug_plant(struct vcpu *vcpu, struct breakpoint *b, gpa_t gpa)
{
	struct planted_page *p = debug_planted_page(vcpu, gpa & PAGE_MASK);
	int ret = 0;

	if (p)
		p->count++;
	else
		ret = page_add(vcpu, gpa & PAGE_MASK, &p);
	if (ret)
		return ret;
	b->planted = true;
	b->gpa = gpa;
	b->original = p->original + (gpa & ~PAGE_MASK);
	b->int3 = copy_of(vcpu, p) + (gpa & ~PAGE_MASK);
	b->in_place = false;
	debug_plants_refresh(vcpu);
	return 0;
}

void debug_unplant(struct vcpu *vcpu, struct breakpoint *b)
{
	struct planted_page *p = debug_planted_page(vcpu, b->gpa & PAGE_MASK);

	b->planted = false;
	if (vcpu->single.int3 == b->int3)
		vcpu->single.int3 = NULL;
	if (--p->count == 0)
		page_remove(vcpu, p);
	else
		debug_plants_refresh(vcpu);
}

void debug_plants_refresh(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	for (unsigned i = 0; debug->pages_used && i < DEBUG_PAGE_MAX; i++) {
		if (debug->pages[i].count && debug->pages[i].open)
			page_close(vcpu, &debug->pages[i]);
	}
	/* the next fetch opens it again, copied anew */
	if (debug->in_code)
		code_leave(vcpu);
}

int debug_plant_step_over(struct vcpu *vcpu, const struct breakpoint *here)
{
	gpa_t page;
	bool may_cross;

	if (!vcpu->debug->pages_used)
		return 0;
	if (here)
		page = here->gpa & PAGE_MASK;
	else if (!code_page(vcpu, &page, &may_cross) || !debug_planted_page(vcpu, page))
		return 0;
	/* it may read its own page */
	if (debug_watch_trapped(vcpu->debug, page))
		debug_watch_begin(vcpu, false);
	return step_through(vcpu, page);
}
