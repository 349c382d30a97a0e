/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions in our own code: the #GP fixup, and a readable end for everything else.
 */
#ifndef METAL_TRAPS_H
#define METAL_TRAPS_H

#include <undercroft/types.h>

#define TRAP_COUNT 32

#define TRAP_NMI 2
#define TRAP_MC	 18

/* What the entry code saves; offsets are its business alone. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* APM vol. 2, "Gate Descriptors in Long Mode" (4.8.4) */
struct trap_gate {
	uint16_t offset_low, selector, flags, offset_middle;
	uint32_t offset_high, reserved;
};

_Static_assert(sizeof(struct trap_gate) == 16, "gate layout");

/* present, DPL 0, 64-bit interrupt gate, no stack switch: the guest's TR is loaded while the vmm runs */
#define TRAP_GATE_INTERRUPT 0x8e00u

/* Fills an IDT for the exceptions and loads it. It must stay where it is. */
void traps_init(struct trap_gate idt[TRAP_COUNT]);

/* From traps_entry.S: finds a fixup for #GP, else asks trap_take(), else calls trap_report(). */
void trap_handle(struct trap_frame *frame);

/*
 * The tier's own: what is no fault of ours, but of the machine's doing, and may come anywhere: an NMI, a machine check;
 * or what an emulator makes up (QUIRK_STRAY_DEBUG_TRAP).
 * True: the interrupted code goes on; IRET lets the next NMI come.
 */
bool trap_take(const struct trap_frame *frame);

/* The tier's own: an exception nobody expected. Says so and stops. */
_Noreturn void trap_report(const struct trap_frame *frame);

#endif
