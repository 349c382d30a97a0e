/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's breakpoints at accesses that we carry out for it: the CPU does not see them.
 */
#ifndef CORE_BREAKPOINT_H
#define CORE_BREAKPOINT_H

#include <undercroft/vcpu.h>

/* The instruction accessed size bytes of memory, by their linear address, or of ports: asks for its trap. */
void breakpoint_data(struct vcpu *vcpu, gva_t linear, unsigned size, bool write);
void breakpoint_port(struct vcpu *vcpu, uint16_t port, unsigned size);

/* DR6.B0 to B3 for what the instruction hit; the next one begins with none. */
static inline uint64_t breakpoint_hits(struct vcpu *vcpu)
{
	uint64_t hits = vcpu->breakpoint_hits;

	vcpu->breakpoint_hits = 0;
	return hits;
}

#endif
