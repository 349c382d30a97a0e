/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offsets for the assembly: the build turns each "#define" that the compiler prints here into a header.
 */
#include "backends/svm/svm.h"

#define OFFSET(name, type, member) __asm__("\n#define " #name " %c0" : : "i"(offsetof(type, member)))

void svm_offsets(void);
void svm_offsets(void)
{
	OFFSET(SVM_VMCB, struct svm_vcpu, vmcb);
}
