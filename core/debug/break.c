/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of breakpoints: by linear address, where that leads at the moment. Must not know how they are planted.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>

#include "core/debug/debug.h"

#define VECTOR_BP 3
#define VECTOR_PF 14

/* CR3's other bits are flags, or the PCID: APM vol. 2, "CR3 Register" (5.3.2) */
#define CR3_TABLES 0x000ffffffffff000ull

const struct owner debug_owner = {.name = "debug"};

/* Outside of long mode, linear addresses have 32 bits. */
static gva_t linear_cut(struct vcpu *vcpu, gva_t address)
{
	return vcpu->backend->reg_get(vcpu, REG_EFER) & EFER_LMA ? address : (uint32_t)address;
}

gva_t debug_pc(struct vcpu *vcpu)
{
	struct segment cs;

	if (vcpu->code_flags & SEG_ATTR_L && vcpu->backend->reg_get(vcpu, REG_EFER) & EFER_LMA)
		return vcpu->rip;
	vcpu->backend->seg_get(vcpu, SEG_CS, &cs);
	return (uint32_t)(cs.base + vcpu->rip);
}

static bool is_planted_at(struct vcpu *vcpu, const struct breakpoint *b, gva_t pc)
{
	return b->planted && linear_cut(vcpu, b->address) == pc;
}

struct breakpoint *debug_break_at(struct vcpu *vcpu, gva_t pc)
{
	struct debug *debug = vcpu->debug;

	for (struct breakpoint *b = debug->breaks; b < debug->breaks + debug->breaks_end; b++) {
		if (is_planted_at(vcpu, b, pc))
			return b;
	}
	return NULL;
}

bool debug_break_here(struct vcpu *vcpu)
{
	return vcpu->debug->pages_used && debug_break_at(vcpu, debug_pc(vcpu));
}

static void unplant(struct vcpu *vcpu, struct breakpoint *b)
{
	b->planted = false;
	debug_unplant(vcpu, b->gpa);
}

/* Where a breakpoint leads now. Returns 0, or -EFAULT: nowhere. */
static int break_lookup(struct vcpu *vcpu, const struct breakpoint *b, gpa_t *gpa)
{
	uint64_t cr3 = vcpu->backend->reg_get(vcpu, REG_CR3);
	struct mem_mapping mapping;
	int ret;

	if (b->bound && (b->cr3 ^ cr3) & CR3_TABLES)
		return -EFAULT;
	ret = mem_lookup(vcpu, cr3, b->address, &mapping);
	*gpa = mapping.gpa;
	return ret;
}

/* Returns 0, also for one that waits, or why it cannot be planted where it leads. */
static int break_resolve(struct vcpu *vcpu, struct breakpoint *b)
{
	bool mapped;
	gpa_t gpa = 0;
	int ret;

	mapped = break_lookup(vcpu, b, &gpa) == 0;
	if (b->planted && mapped && b->gpa == gpa)
		return 0;
	if (b->planted)
		unplant(vcpu, b);
	if (!mapped)
		return 0;
	ret = debug_plant(vcpu, gpa);
	if (ret)
		return ret;
	b->gpa = gpa;
	b->planted = true;
	debug_plants_refresh(vcpu);
	return 0;
}

static int intercept_set(struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument, bool on)
{
	return on ? intercept_arm(vcpu, &debug_owner, kind, argument)
		  : intercept_disarm(vcpu, &debug_owner, kind, argument);
}

/* Exits that only breakpoints need which are there, or wait. Turning on can fail, and is tried again then. */
static int intercepts_update(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	bool used = false, waits = false;
	int ret;

	for (const struct breakpoint *b = debug->breaks; b < debug->breaks + DEBUG_BREAK_MAX; b++) {
		used |= b->used;
		waits |= b->used && !b->planted;
	}
	if (used != debug->follows) {
		ret = intercept_set(vcpu, INTERCEPT_EXCEPTION, VECTOR_BP, used);
		if (ret)
			return ret;
		ret = debug->lets_pass ? 0 : intercept_set(vcpu, INTERCEPT_PAGING, 0, used);
		if (ret) {
			(void)intercept_set(vcpu, INTERCEPT_EXCEPTION, VECTOR_BP, false);
			return ret;
		}
		debug->follows = used;
	}
	if (waits != debug->waits) {
		ret = intercept_set(vcpu, INTERCEPT_EXCEPTION, VECTOR_PF, waits);
		if (ret)
			return ret;
		debug->waits = waits;
	}
	return 0;
}

void debug_breaks_resolve(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	for (struct breakpoint *b = debug->breaks; b < debug->breaks + DEBUG_BREAK_MAX; b++) {
		if (b->used && b->kind == BREAK_SOFT)
			(void)break_resolve(vcpu, b);
	}
	(void)intercepts_update(vcpu);
}

bool debug_paging(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	if (!debug || !debug->follows || debug->lets_pass)
		return false;
	debug->lets_pass = true;
	(void)intercept_set(vcpu, INTERCEPT_PAGING, 0, false);
	if (!vcpu->single.active)
		debug_step_simple(vcpu);
	vcpu->work |= WORK_STOP;
	return true;
}

void debug_paging_done(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	if (!debug->lets_pass)
		return;
	debug->lets_pass = false;
	/* there is room: it was armed before */
	if (debug->follows)
		(void)intercept_set(vcpu, INTERCEPT_PAGING, 0, true);
	debug_breaks_resolve(vcpu);
}

void debug_page_fault(struct vcpu *vcpu)
{
	if (vcpu->debug && vcpu->debug->waits)
		debug_breaks_resolve(vcpu);
}

void debug_space_changed(struct vcpu *vcpu)
{
	if (vcpu->debug && vcpu->debug->follows)
		debug_breaks_resolve(vcpu);
}

static struct breakpoint *break_find(struct debug *debug, const struct break_request *request)
{
	for (struct breakpoint *b = debug->breaks; b < debug->breaks + DEBUG_BREAK_MAX; b++) {
		if (b->used && b->kind == request->kind && b->address == request->address &&
		    b->bound == request->bound && (!b->bound || b->cr3 == request->cr3))
			return b;
	}
	return NULL;
}

int debug_break_add(struct vcpu *vcpu, const struct break_request *request)
{
	struct debug *debug = vcpu->debug;
	struct breakpoint *b;
	int ret;

	if (request->kind != BREAK_SOFT)
		return -ENOTSUP;
	b = break_find(debug, request);
	if (b)
		return debug_code_set(debug, b, request);
	b = debug->breaks;
	while (b < debug->breaks + DEBUG_BREAK_MAX && b->used)
		b++;
	if (b == debug->breaks + DEBUG_BREAK_MAX)
		return -ENOSPC;
	*b = (struct breakpoint){
		.used = true,
		.kind = (uint8_t)request->kind,
		.bound = request->bound,
		.cr3 = request->cr3,
		.address = request->address,
		.code_at = debug->code_used,
	};
	if (debug->breaks_end <= b - debug->breaks)
		debug->breaks_end = (unsigned)(b - debug->breaks) + 1;
	ret = debug_code_set(debug, b, request);
	if (!ret)
		ret = break_resolve(vcpu, b);
	if (!ret)
		ret = intercepts_update(vcpu);
	if (ret)
		(void)debug_break_remove(vcpu, request);
	return ret;
}

int debug_break_remove(struct vcpu *vcpu, const struct break_request *request)
{
	struct breakpoint *b = break_find(vcpu->debug, request);

	if (!b)
		return -ENOENT;
	if (b->planted)
		unplant(vcpu, b);
	debug_code_remove(vcpu->debug, b);
	b->used = false;
	debug_plants_refresh(vcpu);
	(void)intercepts_update(vcpu);
	return 0;
}

void debug_breaks_release(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	for (struct breakpoint *b = debug->breaks; b < debug->breaks + DEBUG_BREAK_MAX; b++) {
		if (b->planted)
			unplant(vcpu, b);
		b->used = false;
	}
	debug->follows = debug->waits = false;
	debug->code_used = debug->breaks_end = 0;
	owner_release(vcpu, &debug_owner);
}

bool debug_break_hit(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	bool hit = false, stops = false;
	struct stop stop = {0};
	gva_t pc;

	if (!debug || !debug->pages_used)
		return false;
	pc = debug_pc(vcpu);
	for (const struct breakpoint *b = debug->breaks; b < debug->breaks + debug->breaks_end && !stops; b++) {
		if (!is_planted_at(vcpu, b, pc))
			continue;
		hit = true;
		stop.address = b->address;
		stop.text = debug_code_run(vcpu, b, &stops);
		stop.kind = stop.text ? STOP_CONDITION : STOP_BREAK;
	}
	if (stops) {
		debug_stop_request(vcpu, &stop);
	} else if (hit && debug->go == GO_FREE) {
		debug->go = GO_OVER;
		vcpu->work |= WORK_STOP;
	}
	return hit;
}

bool debug_break_insn(struct vcpu *vcpu, struct insn *insn)
{
	struct breakpoint *b = vcpu->debug->pages_used ? debug_break_at(vcpu, debug_pc(vcpu)) : NULL;
	const struct planted_page *p = b ? debug_planted_page(vcpu, b->gpa & PAGE_MASK) : NULL;
	uint64_t mode, at;

	if (!p)
		return insn_decode(vcpu, insn) == 0;
	at = b->gpa & ~PAGE_MASK;
	mode = vcpu->code_flags | (vcpu->backend->reg_get(vcpu, REG_CR0) & CR0_PE) << 32 |
	       (vcpu->backend->reg_get(vcpu, REG_EFER) & EFER_LMA) << 32;
	if (!b->insn.length || b->insn_mode != mode || b->insn.length > PAGE_SIZE - at ||
	    memcmp(b->insn.bytes, (const uint8_t *)p->original + at, b->insn.length)) {
		b->insn.length = 0;
		if (insn_decode(vcpu, &b->insn))
			return false;
		b->insn_mode = mode;
	}
	*insn = b->insn;
	return true;
}
