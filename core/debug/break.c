/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of breakpoints: by linear address, where that leads at the moment. Must not know how they are planted.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/log.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>

#include "core/debug/debug.h"
#include "core/exit.h"

#define VECTOR_BP 3
#define VECTOR_PF 14

/* CR3's other bits are flags, or the PCID: APM vol. 2, "CR3 Register" (5.3.2) */
#define CR3_TABLES 0x000ffffffffff000ull

const struct owner debug_owner = {.name = "debug"};

/* Where the guest is. */
struct place {
	gva_t pc;
	uint32_t code_mode; /* SEG_ATTR_L and SEG_ATTR_DB, as they count */
};

static inline struct place place_get(struct vcpu *vcpu)
{
	struct segment cs;

	if (code_is_64bit(vcpu))
		return (struct place){.pc = vcpu->rip, .code_mode = SEG_ATTR_L};
	vcpu->backend->seg_get(vcpu, SEG_CS, &cs);
	return (struct place){.pc = (uint32_t)(cs.base + vcpu->rip), .code_mode = vcpu->code_flags & SEG_ATTR_DB};
}

gva_t debug_pc(struct vcpu *vcpu)
{
	return place_get(vcpu).pc;
}

/* Outside of long mode, linear addresses have 32 bits. */
static inline bool is_planted_at(struct vcpu *vcpu, const struct breakpoint *b, const struct place *place)
{
	gva_t differs = b->address ^ place->pc;

	return b->planted && !(uint32_t)differs && (!differs || !(vcpu->backend->reg_get(vcpu, REG_EFER) & EFER_LMA));
}

struct breakpoint *debug_break_here(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	struct place place;

	if (!debug->pages_used)
		return NULL;
	place = place_get(vcpu);
	for (struct breakpoint *b = debug->breaks; b < debug->breaks + debug->breaks_end; b++) {
		if (is_planted_at(vcpu, b, &place))
			return b;
	}
	return NULL;
}

void debug_break_withdraw(struct vcpu *vcpu, struct breakpoint *b)
{
	if (b->kind > BREAK_HARD)
		debug_watch_withdraw(vcpu, b);
	if (b->planted)
		debug_unplant(vcpu, b);
}

bool debug_break_counts(struct vcpu *vcpu, const struct breakpoint *b)
{
	return !b->bound || !((b->cr3 ^ vcpu->backend->reg_get(vcpu, REG_CR3)) & CR3_TABLES);
}

/* Where a breakpoint leads now. Returns 0, or -EFAULT: nowhere. */
static int break_lookup(struct vcpu *vcpu, const struct breakpoint *b, gpa_t *gpa)
{
	struct mem_mapping mapping;
	int ret;

	if (!debug_break_counts(vcpu, b))
		return -EFAULT;
	ret = mem_lookup(vcpu, vcpu->backend->reg_get(vcpu, REG_CR3), b->address, &mapping);
	*gpa = mapping.gpa;
	return ret;
}

/* Returns 0, also for one that waits, or why it cannot be planted where it leads. */
int debug_break_resolve(struct vcpu *vcpu, struct breakpoint *b)
{
	bool mapped;
	gpa_t gpa = 0;

	if (b->slot)
		return 0;
	if (b->kind > BREAK_HARD)
		return debug_watch_resolve(vcpu, b);
	mapped = break_lookup(vcpu, b, &gpa) == 0;
	if (b->planted && mapped && b->gpa == gpa)
		return 0;
	debug_break_withdraw(vcpu, b);
	if (!mapped)
		return 0;
	return debug_plant(vcpu, b, gpa);
}

static int intercept_set(struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument, bool on)
{
	return on ? intercept_arm(vcpu, &debug_owner, kind, argument)
		  : intercept_disarm(vcpu, &debug_owner, kind, argument);
}

/* Turning off cannot fail. */
static int intercept_want(struct vcpu *vcpu, bool *armed, bool wanted, enum intercept_kind kind, uint32_t argument)
{
	int ret = *armed == wanted ? 0 : intercept_set(vcpu, kind, argument, wanted);

	if (!ret)
		*armed = wanted;
	return ret;
}

/* Exits that only breakpoints need which are there, or wait. Turning on can fail, and is tried again then. */
static int intercepts_update(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	bool follows = false, waits = false, int3 = false;
	int ret;

	for (const struct breakpoint *b = debug->breaks; b < debug->breaks + DEBUG_BREAK_MAX; b++) {
		follows |= b->used && !b->slot;
		waits |= b->used && !b->slot && !b->planted && !b->watched;
		int3 |= b->used && !b->slot && b->kind <= BREAK_HARD;
	}
	ret = intercept_want(vcpu, &debug->int3, int3, INTERCEPT_EXCEPTION, VECTOR_BP);
	if (!ret && debug->lets_pass)
		debug->follows = follows;
	else if (!ret)
		ret = intercept_want(vcpu, &debug->follows, follows, INTERCEPT_PAGING, 0);
	if (!ret)
		ret = intercept_want(vcpu, &debug->waits, waits, INTERCEPT_EXCEPTION, VECTOR_PF);
	return ret;
}

void debug_breaks_resolve(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	for (struct breakpoint *b = debug->breaks; b < debug->breaks + DEBUG_BREAK_MAX; b++) {
		int ret = b->used ? debug_break_resolve(vcpu, b) : 0;

		if (ret && !b->lost)
			log_printf(vcpu->vm->log,
				   "undercroft: debug: the breakpoint at %llx has no place now: error %d\n",
				   (unsigned long long)b->address, ret);
		b->lost = ret != 0;
	}
	(void)intercepts_update(vcpu);
}

bool debug_paging(struct vcpu *vcpu)
{
	bool cr3 = intercept_count(vcpu, INTERCEPT_CR3, 0) != 0;
	struct debug *debug = vcpu->debug;

	if (!debug || debug->lets_pass || (!debug->follows && !cr3))
		return false;
	debug->lets_pass = true;
	if (debug->follows)
		(void)intercept_set(vcpu, INTERCEPT_PAGING, 0, false);
	if (cr3)
		(void)vcpu->backend->intercept(vcpu, INTERCEPT_CR3, 0, false);
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
	if (intercept_count(vcpu, INTERCEPT_CR3, 0))
		(void)vcpu->backend->intercept(vcpu, INTERCEPT_CR3, 0, true);
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
		    (b->kind <= BREAK_HARD || b->length == request->length) && b->bound == request->bound &&
		    (!b->bound || b->cr3 == request->cr3))
			return b;
	}
	return NULL;
}

int debug_break_add(struct vcpu *vcpu, const struct break_request *request)
{
	struct debug *debug = vcpu->debug;
	struct breakpoint *b;
	int ret;

	if (request->kind > BREAK_HARD &&
	    (!request->length || request->address + request->length - 1 < request->address))
		return -EINVAL;
	b = break_find(debug, request);
	if (b)
		return debug_code_set(vcpu, b, request);
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
		.length = request->kind > BREAK_HARD ? request->length : 1,
		.code_at = debug->code_used,
	};
	if (debug->breaks_end <= b - debug->breaks)
		debug->breaks_end = (unsigned)(b - debug->breaks) + 1;
	ret = debug_code_set(vcpu, b, request);
	if (!ret && b->kind != BREAK_SOFT)
		debug_registers_update(vcpu);
	if (!ret)
		ret = debug_break_resolve(vcpu, b);
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
	debug_break_withdraw(vcpu, b);
	debug_code_remove(vcpu->debug, b);
	b->used = false;
	if (b->slot) {
		b->slot = 0;
		debug_registers_update(vcpu);
	}
	debug_plants_refresh(vcpu);
	(void)intercepts_update(vcpu);
	return 0;
}

void debug_breaks_release(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	for (struct breakpoint *b = debug->breaks; b < debug->breaks + DEBUG_BREAK_MAX; b++) {
		debug_break_withdraw(vcpu, b);
		b->used = false;
		b->slot = 0;
	}
	debug_registers_update(vcpu);
	debug->int3 = debug->follows = debug->waits = false;
	debug->code_used = debug->breaks_end = 0;
	owner_release(vcpu, &debug_owner);
}

static __attribute__((noinline)) bool stop_at(struct vcpu *vcpu, const struct breakpoint *b)
{
	static const struct {
		uint8_t kind, access;
	} stops_by[] = {
		[BREAK_SOFT] = {STOP_BREAK, 0},
		[BREAK_HARD] = {STOP_BREAK_HARD, 0},
		[WATCH_WRITE] = {STOP_WATCH, ACCESS_WRITE},
		[WATCH_READ] = {STOP_WATCH, ACCESS_READ},
		[WATCH_ACCESS] = {STOP_WATCH, ACCESS_READ | ACCESS_WRITE},
	};
	const struct stop stop = {
		.kind = vcpu->debug->code_error ? STOP_CONDITION : stops_by[b->kind].kind,
		.access = stops_by[b->kind].access,
		.address = b->address,
		.text = vcpu->debug->code_error,
	};

	vcpu->debug->code_error = NULL;
	debug_stop_request(vcpu, &stop);
	return true;
}

bool debug_break_report(struct vcpu *vcpu, const struct breakpoint *b)
{
	return debug_code_run(vcpu, b) && stop_at(vcpu, b);
}

void debug_break_arrived(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	struct place place = place_get(vcpu);

	for (struct breakpoint *b = debug->breaks; b < debug->breaks + debug->breaks_end; b++) {
		if ((is_planted_at(vcpu, b, &place) ||
		     (b->slot && b->kind == BREAK_HARD && b->address == place.pc && debug_break_counts(vcpu, b))) &&
		    debug_break_report(vcpu, b))
			return;
	}
}

/* One whose INT3 the guest has come to by another linear address than its own, or NULL. */
static __attribute__((noinline)) struct breakpoint *planted_elsewhere(struct vcpu *vcpu, gva_t pc)
{
	struct debug *debug = vcpu->debug;
	struct mem_mapping mapping;

	if (mem_lookup(vcpu, vcpu->backend->reg_get(vcpu, REG_CR3), pc, &mapping))
		return NULL;
	for (struct breakpoint *b = debug->breaks; b < debug->breaks + debug->breaks_end; b++) {
		if (b->planted && b->gpa == mapping.gpa)
			return b;
	}
	return NULL;
}

bool debug_break_hit(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	struct breakpoint *hit = NULL;
	struct place place;

	if (!debug || !debug->pages_used)
		return false;
	place = place_get(vcpu);
	/* one in a debug register has had its turn */
	for (struct breakpoint *b = debug->breaks, *end = b + debug->breaks_end; b < end; b++) {
		if (!is_planted_at(vcpu, b, &place))
			continue;
		hit = b;
		if (debug_break_report(vcpu, b))
			return true;
	}
	if (!hit)
		hit = planted_elsewhere(vcpu, place.pc);
	if (hit && debug->go == GO_FREE)
		debug_step_over(vcpu, hit, place.code_mode);
	return hit != NULL;
}
