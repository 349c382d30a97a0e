/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control and debug registers on metal: those that host and guest share, and the host's own. Hosted builds find
 * tests/fakes/include/platform/registers.h instead. SDM vol. 3, "Control Registers" (2.5), "Debug Registers" (17.2);
 * APM vol. 2, "System-Control Registers" (3.1), "Software-Debug Resources" (13.1)
 */
#ifndef PLATFORM_REGISTERS_H
#define PLATFORM_REGISTERS_H

#include <undercroft/types.h>

/* number: 0, 2, 3, 4 or 8 */
static inline uint64_t cpu_cr_get(unsigned number)
{
	uint64_t value;

	switch (number) {
	case 0:
		__asm__ volatile("movq %%cr0, %0" : "=r"(value));
		break;
	case 2:
		__asm__ volatile("movq %%cr2, %0" : "=r"(value));
		break;
	case 3:
		__asm__ volatile("movq %%cr3, %0" : "=r"(value));
		break;
	case 4:
		__asm__ volatile("movq %%cr4, %0" : "=r"(value));
		break;
	default:
		__asm__ volatile("movq %%cr8, %0" : "=r"(value));
		break;
	}
	return value;
}

static inline void cpu_cr_set(unsigned number, uint64_t value)
{
	switch (number) {
	case 0:
		__asm__ volatile("movq %0, %%cr0" : : "r"(value) : "memory");
		break;
	case 2:
		__asm__ volatile("movq %0, %%cr2" : : "r"(value));
		break;
	case 3:
		__asm__ volatile("movq %0, %%cr3" : : "r"(value) : "memory");
		break;
	case 4:
		__asm__ volatile("movq %0, %%cr4" : : "r"(value) : "memory");
		break;
	default:
		__asm__ volatile("movq %0, %%cr8" : : "r"(value));
		break;
	}
}

/* index: 0..3 or 6 */
static inline uint64_t cpu_dr_get(unsigned index)
{
	uint64_t value;

	switch (index) {
	case 0:
		__asm__ volatile("movq %%dr0, %0" : "=r"(value));
		break;
	case 1:
		__asm__ volatile("movq %%dr1, %0" : "=r"(value));
		break;
	case 2:
		__asm__ volatile("movq %%dr2, %0" : "=r"(value));
		break;
	case 3:
		__asm__ volatile("movq %%dr3, %0" : "=r"(value));
		break;
	default:
		__asm__ volatile("movq %%dr6, %0" : "=r"(value));
		break;
	}
	return value;
}

static inline void cpu_dr_set(unsigned index, uint64_t value)
{
	switch (index) {
	case 0:
		__asm__ volatile("movq %0, %%dr0" : : "r"(value));
		break;
	case 1:
		__asm__ volatile("movq %0, %%dr1" : : "r"(value));
		break;
	case 2:
		__asm__ volatile("movq %0, %%dr2" : : "r"(value));
		break;
	case 3:
		__asm__ volatile("movq %0, %%dr3" : : "r"(value));
		break;
	default:
		__asm__ volatile("movq %0, %%dr6" : : "r"(value));
		break;
	}
}

#endif
