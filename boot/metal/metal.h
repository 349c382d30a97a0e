/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform_ops on a real machine. Everything is identity-mapped.
 */
#ifndef METAL_METAL_H
#define METAL_METAL_H

#include <undercroft/platform.h>

struct metal {
	struct platform platform; /* first */
	uint32_t tsc_mhz;	  /* at least 1 */
	paddr_t mapped;		  /* [0, mapped) can be reached by phys_map */
	uintptr_t alias;	  /* where physical address 0 is mapped, too: there it is no null pointer; 0: nowhere */
};

/* tsc_mhz 0: measured against the PIT's second channel, which ends stopped. */
void metal_init(struct metal *metal, uint32_t tsc_mhz, paddr_t mapped);

#endif
