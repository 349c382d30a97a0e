/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits while a table of the hypervisor's is spoiled from outside, then makes the CPU look at it: reads memory that
 * nothing has touched, and enters the VM once more.
 */
#include "guest.h"

#define UNTOUCHED 0x1200000u

void guest_main(void)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	mark("ready");
	(void)*(const volatile uint8_t *)UNTOUCHED;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
}
