/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMREAD and VMWRITE in hosted builds: an array with an element per field encoding, in tests/fakes/fake_vmcs.c. The
 * tiers find boot/metal/include/platform/vmcs.h instead.
 */
#ifndef PLATFORM_VMCS_H
#define PLATFORM_VMCS_H

#include <undercroft/types.h>

#define FAKE_VMCS_FIELDS 0x8000

extern uint64_t fake_vmcs[FAKE_VMCS_FIELDS];

static inline uint64_t vmcs_read(uint64_t field)
{
	return fake_vmcs[field % FAKE_VMCS_FIELDS];
}

static inline void vmcs_write(uint64_t field, uint64_t value)
{
	fake_vmcs[field % FAKE_VMCS_FIELDS] = value;
}

#endif
