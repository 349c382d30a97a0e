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

/* Called before and after each write, if set: what can come between two instructions. */
extern void (*fake_vmcs_writing)(uint64_t field);

static inline uint64_t vmcs_read(uint64_t field)
{
	return fake_vmcs[field % FAKE_VMCS_FIELDS];
}

static inline void vmcs_write(uint64_t field, uint64_t value)
{
	if (fake_vmcs_writing)
		fake_vmcs_writing(field);
	fake_vmcs[field % FAKE_VMCS_FIELDS] = value;
	if (fake_vmcs_writing)
		fake_vmcs_writing(field);
}

#endif
