/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers and containers made from regs.def. Must not know how a vendor stores any of it.
 */
#ifndef UNDERCROFT_REGS_H
#define UNDERCROFT_REGS_H

#include <undercroft/types.h>

enum gpr {
#define GPR(symbol, name) GPR_##symbol,
#include <undercroft/regs.def>
	GPR_COUNT
};

enum reg {
#define REG(symbol, name, bytes) REG_##symbol,
#include <undercroft/regs.def>
	REG_COUNT
};

enum seg {
#define SEG(symbol, name) SEG_##symbol,
#include <undercroft/regs.def>
	SEG_COUNT
};

/*
 * Segment attributes as bytes 5 and 6 of a descriptor hold them, closed up: APM vol. 2, "VMCB State Save Area"
 * (appendix B, table B-2). A segment without SEG_ATTR_PRESENT is unusable.
 */
#define SEG_ATTR_TYPE	 0x00fu
#define SEG_ATTR_CODE	 0x008u
#define SEG_ATTR_S	 0x010u
#define SEG_ATTR_DPL	 0x060u
#define SEG_ATTR_PRESENT 0x080u
#define SEG_ATTR_L	 0x200u
#define SEG_ATTR_DB	 0x400u
#define SEG_ATTR_G	 0x800u

struct segment {
	uint64_t base;
	uint32_t limit; /* in bytes, expanded */
	uint16_t selector;
	uint16_t attributes;
};

/* A vCPU's whole guest state; what the handoff carries for the first entry. */
struct guest_state {
	uint64_t gpr[GPR_COUNT];
	uint64_t reg[REG_COUNT];
	struct segment seg[SEG_COUNT];
};

#endif
