/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMREAD and VMWRITE on metal: the instructions themselves, for they are most of what an exit costs. Hosted builds find
 * tests/fakes/include/platform/vmcs.h instead. SDM vol. 3, "VMREAD" and "VMWRITE" (30.3)
 */
#ifndef PLATFORM_VMCS_H
#define PLATFORM_VMCS_H

#include <undercroft/types.h>

/* A field of the current VMCS; one that does not exist reads as garbage. */
static inline uint64_t vmcs_read(uint64_t field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
	return value;
}

static inline void vmcs_write(uint64_t field, uint64_t value)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc");
}

#endif
