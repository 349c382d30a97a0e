/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Says where it runs: the next disk of the tests in which Undercroft cannot start.
 */
#include "guest.h"

#define COM2_SCRATCH 0x2ff

void guest_main(void)
{
	out8(COM2_SCRATCH, 0x5a);
	print("guest: %s\n", in8(COM2_SCRATCH) == 0x5a ? "native" : "inside Undercroft");
}
