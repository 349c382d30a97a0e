/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is watched by the rights to its pages. An access to such a page exits and is stepped with the page shown;
 * whether it touches what is watched is told
 *
 * - of an instruction by its operands, before it is executed: then its registers still say which;
 * - of the delivery of an event by the frame it has pushed;
 * - of what else the CPU does (descriptors, page tables, instructions that are not known) by the address that exited,
 *   which is the first one in its page alone, and by what has changed.
 *
 * What devices do is not seen. Must not know what happens at a hit.
 */
#include <undercroft/errno.h>
#include <undercroft/insn.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>

#include "core/debug/debug.h"
#include "core/exit.h"

/* What the CPU itself reads or writes at once: a descriptor, a pointer, an entry of a page table. */
#define IMPLICIT_SIZE 8u
/* What an instruction that is not known may: a register of AVX-512. */
#define UNKNOWN_SIZE 64u

/* Slots of an interrupt's frame. APM vol. 2, "Interrupt Control Transfers" (8.6 to 8.9) */
#define FRAME_SLOTS	 3 /* flags, CS, IP */
#define FRAME_SLOTS_LONG 5 /* and SS, SP: as with a change of privilege */
#define FRAME_SLOTS_V86	 9 /* and the data segments */

#define HASH_BASIS 0xcbf29ce484222325ull
#define HASH_PRIME 0x100000001b3ull

/* What has to be exact, by kind; reads cannot be trapped alone. */
static const uint8_t watched_access[] = {
	[WATCH_WRITE] = ACCESS_WRITE,
	[WATCH_READ] = ACCESS_READ,
	[WATCH_ACCESS] = ACCESS_READ | ACCESS_WRITE,
};

static struct watch_piece *pieces_end(struct debug *debug)
{
	return debug->pieces + WATCH_PIECE_MAX;
}

uint8_t debug_watch_trapped(const struct debug *debug, gpa_t page)
{
	uint8_t trapped = 0;

	for (unsigned i = 0, left = debug->pieces_used; left && i < WATCH_PIECE_MAX; i++) {
		const struct watch_piece *piece = &debug->pieces[i];

		if (!piece->length)
			continue;
		left--;
		if ((piece->gpa & PAGE_MASK) == page)
			trapped |= debug->breaks[piece->owner].kind == WATCH_WRITE ? ACCESS_WRITE
										   : ACCESS_READ | ACCESS_WRITE;
	}
	return trapped;
}

/* --- placing --- */

static void piece_remove(struct vcpu *vcpu, struct watch_piece *piece)
{
	piece->length = 0;
	vcpu->debug->pieces_used--;
	/* the tables are there: it takes no memory */
	(void)debug_page_map(vcpu, piece->gpa & PAGE_MASK);
}

static int piece_add(struct vcpu *vcpu, const struct watch_piece *wanted)
{
	struct debug *debug = vcpu->debug;
	struct watch_piece *piece = debug->pieces;
	int ret;

	if (!debug_page_original(vcpu, wanted->gpa & PAGE_MASK))
		return -EACCES;
	while (piece < pieces_end(debug) && piece->length)
		piece++;
	if (piece == pieces_end(debug))
		return -ENOSPC;
	*piece = *wanted;
	debug->pieces_used++;
	ret = debug_page_map(vcpu, piece->gpa & PAGE_MASK);
	if (ret)
		piece_remove(vcpu, piece);
	return ret;
}

void debug_watch_withdraw(struct vcpu *vcpu, struct breakpoint *b)
{
	struct debug *debug = vcpu->debug;

	for (struct watch_piece *piece = debug->pieces; piece < pieces_end(debug); piece++) {
		if (piece->length && piece->owner == b - debug->breaks)
			piece_remove(vcpu, piece);
	}
	b->watched = false;
	debug->access.hits &= ~(1ull << (b - debug->breaks));
}

static struct watch_piece *piece_find(struct debug *debug, unsigned owner, unsigned index)
{
	for (struct watch_piece *piece = debug->pieces; piece < pieces_end(debug); piece++) {
		if (piece->length && piece->owner == owner && piece->index == index)
			return piece;
	}
	return NULL;
}

/* One page of a watch. *waits: it is not mapped. */
static int page_resolve(struct vcpu *vcpu, struct breakpoint *b, struct watch_piece *wanted, gva_t linear, bool *waits)
{
	struct watch_piece *piece = piece_find(vcpu->debug, wanted->owner, wanted->index);
	struct mem_mapping mapping;
	bool mapped = debug_break_counts(vcpu, b) &&
		      mem_lookup(vcpu, vcpu->backend->reg_get(vcpu, REG_CR3), linear, &mapping) == 0;

	if (piece && mapped && piece->gpa == mapping.gpa)
		return 0;
	if (piece)
		piece_remove(vcpu, piece);
	*waits |= !mapped;
	if (!mapped)
		return 0;
	wanted->gpa = mapping.gpa;
	return piece_add(vcpu, wanted);
}

int debug_watch_resolve(struct vcpu *vcpu, struct breakpoint *b)
{
	struct watch_piece wanted = {.owner = (uint8_t)(b - vcpu->debug->breaks)};
	bool waits = false;
	uint64_t room;
	int ret = 0;

	if (b->length > WATCH_PIECE_MAX * PAGE_SIZE)
		return -ENOSPC;
	for (uint64_t done = 0; done < b->length && !ret; done += wanted.length) {
		room = PAGE_SIZE - ((b->address + done) & ~PAGE_MASK);
		wanted.length = (uint16_t)(b->length - done < room ? b->length - done : room);
		ret = page_resolve(vcpu, b, &wanted, b->address + done, &waits);
		wanted.index++;
	}
	if (ret)
		debug_watch_withdraw(vcpu, b);
	else
		b->watched = !waits;
	return ret;
}

/* --- accesses --- */

static void hits_add(struct debug *debug, gpa_t gpa, uint64_t size, uint8_t access)
{
	for (const struct watch_piece *piece = debug->pieces; piece < pieces_end(debug); piece++) {
		if (piece->length && watched_access[debug->breaks[piece->owner].kind] & access &&
		    (gpa - piece->gpa < piece->length || piece->gpa - gpa < size))
			debug->access.hits |= 1ull << piece->owner;
	}
}

/* Returns whether the address that exited is part of it. */
static bool linear_add(struct vcpu *vcpu, const struct insn_access *access, gpa_t exited)
{
	uint64_t cr3 = vcpu->backend->reg_get(vcpu, REG_CR3);
	bool covers = false;
	uint64_t piece;

	for (uint64_t done = 0; done < access->size; done += piece) {
		gva_t linear = access->linear + done;
		struct mem_mapping mapping;

		piece = PAGE_SIZE - (linear & ~PAGE_MASK);
		if (piece > access->size - done)
			piece = access->size - done;
		if (mem_lookup(vcpu, cr3, linear, &mapping))
			continue;
		hits_add(vcpu->debug, mapping.gpa, piece, access->access);
		covers |= exited - mapping.gpa < piece;
	}
	return covers;
}

/* FNV-1a, of what a watch watches. */
static uint64_t content(struct vcpu *vcpu, const struct breakpoint *b)
{
	struct platform *platform = vcpu->vm->platform;
	struct debug *debug = vcpu->debug;
	uint64_t hash = HASH_BASIS;

	for (const struct watch_piece *piece = debug->pieces; piece < pieces_end(debug); piece++) {
		const uint8_t *bytes;

		if (!piece->length || piece->owner != b - debug->breaks)
			continue;
		bytes = platform->ops->phys_map(platform, piece->gpa, piece->length);
		for (unsigned i = 0; i < piece->length; i++)
			hash = (hash ^ bytes[i]) * HASH_PRIME;
	}
	return hash;
}

static bool sees_writes(const struct breakpoint *b)
{
	return b->used && b->watched && b->kind != WATCH_READ;
}

static void access_begin(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	const struct event *delivery = &vcpu->events.delivery;

	debug->access = (struct watch_access){.active = true, .delivery = delivery->type != EVENT_NONE};
	debug->access.error = delivery->has_error;
	debug->access.v8086 = vcpu->rflags & X86_FLAGS_VM;
	debug->access.cpl = (uint8_t)vcpu->backend->reg_get(vcpu, REG_CPL);
	for (struct breakpoint *b = debug->breaks; b < debug->breaks + debug->breaks_end; b++) {
		if (sees_writes(b))
			b->content = content(vcpu, b);
	}
}

void debug_watch_begin(struct vcpu *vcpu, bool exited)
{
	struct debug *debug = vcpu->debug;
	struct insn_access accesses[INSN_ACCESS_MAX];
	bool explained = !exited || vcpu->detail.nested.access & ACCESS_EXEC, read;
	int count = 0;

	if (!vcpu->step.active || !debug->access.active)
		access_begin(vcpu);
	if (!debug->access.delivery)
		count = insn_accesses(vcpu, accesses);
	for (int i = 0; i < count; i++)
		explained |= linear_add(vcpu, &accesses[i], exited ? vcpu->detail.nested.gpa : ~0ull);
	if (explained)
		return;
	/* the walk of page tables counts as a write with SVM, even if it writes nothing */
	read = vcpu->detail.nested.table_walk || vcpu->detail.nested.access == ACCESS_READ;
	/* what a delivery pushes is in its frame */
	if (!read && debug->access.delivery)
		return;
	hits_add(debug, vcpu->detail.nested.gpa, count < 0 ? UNKNOWN_SIZE : IMPLICIT_SIZE,
		 read ? ACCESS_READ : ACCESS_WRITE);
}

/* What the delivery of an event has pushed. */
static void frame_add(struct vcpu *vcpu)
{
	const struct watch_access *access = &vcpu->debug->access;
	struct insn_access frame = {.linear = vcpu->gpr[GPR_RSP], .size = 4, .access = ACCESS_WRITE};
	bool crossed = access->cpl != vcpu->backend->reg_get(vcpu, REG_CPL);
	unsigned slots = access->v8086 ? FRAME_SLOTS_V86 : crossed ? FRAME_SLOTS_LONG : FRAME_SLOTS;
	struct segment ss;

	vcpu->backend->seg_get(vcpu, SEG_SS, &ss);
	if (vcpu->backend->reg_get(vcpu, REG_EFER) & EFER_LMA) {
		frame.size = 8;
		slots = FRAME_SLOTS_LONG;
	} else {
		frame.linear = (uint32_t)(ss.base + (frame.linear & (ss.attributes & SEG_ATTR_DB ? ~0u : 0xffffu)));
	}
	if (vcpu->backend->reg_get(vcpu, REG_CR0) & CR0_PE)
		slots += access->error;
	else
		frame.size = 2;
	frame.size *= slots;
	(void)linear_add(vcpu, &frame, ~0ull);
}

void debug_access_done(struct vcpu *vcpu, bool completed)
{
	struct debug *debug = vcpu->debug;

	if (!debug || !debug->access.active)
		return;
	debug->access.active = false;
	if (!completed)
		debug->access.hits = 0;
	else if (debug->access.delivery)
		frame_add(vcpu);
	for (const struct breakpoint *b = debug->breaks; b < debug->breaks + debug->breaks_end; b++) {
		/* walks write A and D bits for an instruction that faults, too */
		if (debug->access.hits >> (b - debug->breaks) & 1 || (sees_writes(b) && content(vcpu, b) != b->content))
			(void)debug_break_report(vcpu, b);
	}
}

void debug_access_emulated(struct vcpu *vcpu, gva_t linear, unsigned size, bool write)
{
	struct debug *debug = vcpu->debug;

	for (const struct breakpoint *b = debug ? debug->breaks : NULL; debug && b < debug->breaks + debug->breaks_end;
	     b++) {
		if (b->used && b->kind > BREAK_HARD && watched_access[b->kind] & (write ? ACCESS_WRITE : ACCESS_READ) &&
		    (linear - b->address < b->length || b->address - linear < size) && debug_break_counts(vcpu, b))
			(void)debug_break_report(vcpu, b);
	}
}
