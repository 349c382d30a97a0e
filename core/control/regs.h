/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of a vCPU by their number in the protocol (layout.h), and the description that a debugger reads. Must not
 * know packets.
 */
#ifndef CORE_CONTROL_REGS_H
#define CORE_CONTROL_REGS_H

#include <undercroft/types.h>

struct vcpu;
struct window;

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
