/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address line 20 as the guest has it. The machine's own stays on: with it off, our accesses would be masked, too. Off
 * shows the first 64 KiB at 1 MiB, which is all that real mode can tell. Must not know which devices switch it.
 */
#ifndef UNDERCROFT_A20_H
#define UNDERCROFT_A20_H

#include <undercroft/types.h>
#include <undercroft/vm.h>

#define A20_WINDOW	MIB(1)
#define A20_WINDOW_SIZE KIB(64)

/*
 * Switches the guest's address line 20. What traps in the first 64 KiB cannot be reached through the alias. Returns 0,
 * or -ENOMEM (no page to split a nested table): then it stays as it was.
 */
int a20_set(struct vcpu *vcpu, bool on);

/* The address that a guest-physical one stands for. */
static inline gpa_t a20_address(const struct vm *vm, gpa_t gpa)
{
	return vm->a20_off && gpa - A20_WINDOW < A20_WINDOW_SIZE ? gpa - A20_WINDOW : gpa;
}

#endif
