/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data and I/O breakpoints. APM vol. 2, "Breakpoints" (13.1.3); SDM vol. 3, "Breakpoint Field Recognition" (17.2.5)
 */
#include "core/breakpoint.h"

#include <undercroft/debug.h>
#include <x86/cr.h>
#include <x86/dr.h>

#include "core/dr.h"

#define BREAKPOINT_COUNT 4

/* by DR7.LENn */
static const uint8_t lengths[] = {1, 2, 8, 4};

uint64_t dr_enabled(struct vcpu *vcpu, uint64_t dr6)
{
	uint64_t dr7 = vcpu->backend->reg_get(vcpu, REG_DR7);

	for (unsigned i = 0; i < BREAKPOINT_COUNT; i++) {
		if (!(dr7 & DR7_IS_ENABLED(i)))
			dr6 &= ~(1ull << i);
	}
	return dr6 & DR6_B;
}

uint64_t dr_traps(struct vcpu *vcpu, uint64_t hits)
{
	uint64_t dr7 = vcpu->backend->reg_get(vcpu, REG_DR7);

	for (unsigned i = 0; i < BREAKPOINT_COUNT; i++) {
		if (DR7_RW(dr7, i) == DR7_RW_EXEC)
			hits &= ~(1ull << i);
	}
	return hits;
}

static void match(struct vcpu *vcpu, uint64_t dr7, uint64_t at, unsigned size, unsigned types)
{
	for (unsigned i = 0; i < BREAKPOINT_COUNT; i++) {
		uint64_t length = lengths[DR7_LEN(dr7, i)], start;

		if (!(dr7 & DR7_IS_ENABLED(i)) || !(types >> DR7_RW(dr7, i) & 1))
			continue;
		start = dr_get(vcpu, (enum reg)(REG_DR0 + i)) & ~(length - 1);
		if (at - start < length || start - at < size) {
			vcpu->breakpoint_hits |= (uint8_t)(1u << i);
			vcpu->work |= WORK_TRAP;
		}
	}
}

void breakpoint_data(struct vcpu *vcpu, gva_t linear, unsigned size, bool write)
{
	uint64_t dr7 = dr_get(vcpu, REG_DR7);

	debug_access_emulated(vcpu, linear, size, write);
	if (dr7 & DR7_ENABLED)
		match(vcpu, dr7, linear, size, 1u << DR7_RW_ACCESS | (write ? 1u << DR7_RW_WRITE : 0));
}

void breakpoint_port(struct vcpu *vcpu, uint16_t port, unsigned size)
{
	uint64_t dr7 = dr_get(vcpu, REG_DR7);

	if (dr7 & DR7_ENABLED && vcpu->backend->reg_get(vcpu, REG_CR4) & CR4_DE)
		match(vcpu, dr7, port, size, 1u << DR7_RW_PORT);
}
