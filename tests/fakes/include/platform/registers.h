/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control and debug registers in hosted builds: the test that is the CPU has them. The tiers find
 * boot/metal/include/platform/registers.h instead.
 */
#ifndef PLATFORM_REGISTERS_H
#define PLATFORM_REGISTERS_H

#include <undercroft/types.h>

#define FAKE_CR_COUNT 9
#define FAKE_DR_COUNT 8

extern uint64_t fake_cr[FAKE_CR_COUNT], fake_dr[FAKE_DR_COUNT];

static inline uint64_t cpu_cr_get(unsigned number)
{
	return fake_cr[number];
}

static inline void cpu_cr_set(unsigned number, uint64_t value)
{
	fake_cr[number] = value;
}

static inline uint64_t cpu_dr_get(unsigned index)
{
	return fake_dr[index];
}

static inline void cpu_dr_set(unsigned index, uint64_t value)
{
	fake_dr[index] = value;
}

#endif
