/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single instructions that the SVM backend needs; see insn.h. Its own file so that hosted tests can replace it.
 */
#include "backends/svm/insn.h"

void svm_insn_vmload(paddr_t vmcb)
{
	__asm__ volatile("vmload %%rax" : : "a"(vmcb) : "memory");
}

void svm_insn_vmsave(paddr_t vmcb)
{
	__asm__ volatile("vmsave %%rax" : : "a"(vmcb) : "memory");
}

void svm_insn_stgi(void)
{
	__asm__ volatile("stgi" : : : "memory");
}

void svm_insn_clgi(void)
{
	__asm__ volatile("clgi" : : : "memory");
}
