/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offsets for the assembly: the build turns each "#define" that the compiler prints here into a header.
 */
#include "backends/vmx/vmx.h"

#define OFFSET(name, type, member) __asm__("\n#define " #name " %c0" : : "i"(offsetof(type, member)))

void vmx_offsets(void);
void vmx_offsets(void)
{
	OFFSET(VMX_LAUNCHED, struct vmx_vcpu, launched);
}
