/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one register layout of the protocol, whatever mode the CPU is in: what each number names. Numbers are frozen; new
 * registers get new ones. Both ends of the link list this file. Must not know values, a vCPU or packets.
 *
 *	0 .. 15		rax rbx rcx rdx rsi rdi rbp rsp r8 .. r15
 *	16 .. 23	rip eflags cs ss ds es fs gs		(so far: what "g" carries)
 *	24 .. 39	st0 .. st7 fctrl fstat ftag fiseg fioff foseg fooff fop
 *	40 .. 56	xmm0 .. xmm15 mxcsr
 *	64 + 4 * n	segment n of regs.def: selector (ldtr and tr), base, limit, attributes
 *	128 + n		register n of regs.def, without rip and rflags
 *	256 ..		linear_pc linear_sp cpu_mode		(read-only)
 *	272 + n		the low half of general register n of regs.def, and of rip
 */
#ifndef CORE_CONTROL_LAYOUT_H
#define CORE_CONTROL_LAYOUT_H

#include <undercroft/types.h>

/* Where the kinds begin. */
#define LAYOUT_RFLAGS  17
#define LAYOUT_CS      18
#define LAYOUT_FPU     24
#define LAYOUT_SEG     64
#define LAYOUT_REG     128
#define LAYOUT_DERIVED 256
#define LAYOUT_LOW     272

/* Numbers that are asked for. */
#define LAYOUT_RBP 6
#define LAYOUT_RSP 7
#define LAYOUT_RIP 16
#define LAYOUT_G   24 /* how many "g" carries */
#define LAYOUT_ESP 276
#define LAYOUT_EBP 277
#define LAYOUT_EIP 288
#define LAYOUT_END 289

#define LAYOUT_BYTES_MAX 16
#define LAYOUT_NAME_MAX	 20 /* with its terminator */

enum layout_kind { LAYOUT_IS_GPR, LAYOUT_IS_REG, LAYOUT_IS_SEG, LAYOUT_IS_FPU, LAYOUT_IS_DERIVED, LAYOUT_IS_LOW };

enum layout_part { PART_SELECTOR, PART_BASE, PART_LIMIT, PART_ATTRIBUTES };

/* What is no state of its own, and what is read here alone. */
enum layout_derived {
	DERIVED_LINEAR_PC,
	DERIVED_LINEAR_SP,
	DERIVED_CPU_MODE,
	DERIVED_XCR0,
	DERIVED_DEBUGCTL,
	DERIVED_COUNT
};

/* Registers of the FPU, by their index. */
#define FPU_CONTROL 8  /* fctrl fstat ftag fiseg fioff foseg fooff fop */
#define FPU_SSE	    16 /* xmm0 .. xmm15 */
#define FPU_MXCSR   32
#define FPU_COUNT   33

/* What a number names. */
struct layout_place {
	enum layout_kind kind;
	unsigned index; /* in regs.def, of the FPU or enum layout_derived; LAYOUT_IS_LOW: GPR_COUNT for rip */
	enum layout_part part;
	unsigned size; /* in bytes */
};

/* The general registers, numbers below LAYOUT_RIP: in regs.def. */
extern const uint8_t layout_gpr[LAYOUT_RIP];

/* False: there is no such register. */
bool layout_find(unsigned number, struct layout_place *place);

/* The name and GDB's type of a register that layout_find() has found. name: LAYOUT_NAME_MAX bytes. */
void layout_name(unsigned number, const struct layout_place *place, char *name);
const char *layout_type(unsigned number, const struct layout_place *place);

#endif
