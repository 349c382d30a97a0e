/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one register layout of the protocol, whatever mode the CPU is in: numbers, sizes, values, and the description
 *that a debugger reads. Numbers are frozen; new registers get new ones. Must not know packets.
 *
 *	0 .. 15		rax rbx rcx rdx rsi rdi rbp rsp r8 .. r15
 *	16 .. 23	rip eflags cs ss ds es fs gs		(so far: what "g" carries)
 *	24 .. 39	st0 .. st7 fctrl fstat ftag fiseg fioff foseg fooff fop
 *	40 .. 56	xmm0 .. xmm15 mxcsr
 *	64 + 4 * n	segment n of regs.def: selector (ldtr and tr), base, limit, attributes
 *	128 + n		register n of regs.def, without rip, rflags and cpl
 *	256 ..		linear_pc linear_sp cpu_mode		(read-only)
 *	272 + n		the low half of general register n of regs.def, and of rip
 */
#ifndef CORE_CONTROL_REGS_H
#define CORE_CONTROL_REGS_H

#include <undercroft/types.h>

struct vcpu;
struct window;

/* Numbers other files ask for. */
#define REGS_RBP 6
#define REGS_RSP 7
#define REGS_RIP 16
#define REGS_G	 24 /* how many "g" carries */
#define REGS_EIP 288
#define REGS_ESP 276
#define REGS_EBP 277

#define REGS_BYTES_MAX 16

/* The value, in the CPU's byte order. Returns its size in bytes, 0 if there is no such register. */
unsigned regs_get(struct vcpu *vcpu, unsigned number, void *value);

/*
 * Sets one. Returns 0, -ENOENT (no such register), -EINVAL (not its size, or a value or a combination with the others
 * that no CPU can be in), or -EACCES: read-only.
 */
int regs_set(struct vcpu *vcpu, unsigned number, const void *value, unsigned size);

/* Sizes, without a CPU: 0 if there is no such register. */
unsigned regs_size(unsigned number);

/*
 * The description, in XML.
 * Source: "Debugging with GDB", "Target Description Format" (G.2) and "i386 Features" (G.5.4).
 */
void regs_describe(struct window *w);

#endif
