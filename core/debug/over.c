/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction under a breakpoint, where the guest is not to stop. One like most is stepped in the copy that has the
 * INT3, which is taken out for it: no view changes, and run control has nothing to do with it. Others are left to run
 * control. Every instruction here is paid for at each hit.
 */
#include <string.h>

#include <undercroft/insn.h>
#include <undercroft/vcpu.h>

#include "core/debug/debug.h"
#include "core/single.h"

/* They do not end where they begin: what is behind MOV SS comes with it. */
#define INSN_OTHERS (INSN_HALT | INSN_INTERRUPT | INSN_LOADS_SS)

typedef uint64_t unaligned64 __attribute__((aligned(1), may_alias));

/* Is the instruction what it was, in the page itself? Devices write there, too. */
static bool is_as_seen(const struct breakpoint *b)
{
	const unaligned64 *now = (const unaligned64 *)(const void *)b->original;

	return now[0] == b->seen[0] && now[1] == b->seen[1];
}

/* The copy was made anew, or this is another instruction: can it be executed there, with nothing else planted in it? */
static __attribute__((noinline)) bool in_place_find(struct vcpu *vcpu, struct breakpoint *b, uint32_t code_mode)
{
	const uint8_t *bytes = b->insn.bytes;

	b->in_place = false;
	/* it could end in the next page */
	if ((b->gpa & ~PAGE_MASK) > PAGE_SIZE - sizeof(b->seen))
		return false;
	if (!b->insn.length || b->code_mode != code_mode || !is_as_seen(b)) {
		memcpy(b->seen, b->original, sizeof(b->seen));
		b->code_mode = code_mode;
		if (insn_decode(vcpu, &b->insn))
			b->insn.length = 0;
	}
	b->in_place = b->insn.length && !(b->insn.flags & INSN_OTHERS) && !memcmp(b->seen, bytes, b->insn.length) &&
		      !memcmp(b->int3 + 1, bytes + 1, b->insn.length - 1u);
	return b->in_place;
}

void debug_step_over(struct vcpu *vcpu, struct breakpoint *here, uint32_t code_mode)
{
	bool in_place = here->in_place && here->code_mode == code_mode && is_as_seen(here);

	if (vcpu->work & ~WORK_POLL || (!in_place && !in_place_find(vcpu, here, code_mode))) {
		vcpu->debug->go = GO_OVER;
		vcpu->work |= WORK_STOP;
		return;
	}
	vcpu->single.int3 = here->int3;
	*vcpu->single.int3 = here->insn.bytes[0];
	if (vcpu->debug->registers)
		debug_registers_pass(vcpu);
	single_begin(vcpu, &here->insn);
}
