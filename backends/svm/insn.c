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

uint64_t svm_insn_cr8_get(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr8, %0" : "=r"(value));
	return value;
}

void svm_insn_cr8_set(uint64_t value)
{
	__asm__ volatile("movq %0, %%cr8" : : "r"(value));
}

uint64_t svm_insn_dr_get(unsigned index)
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
	default:
		__asm__ volatile("movq %%dr3, %0" : "=r"(value));
		break;
	}
	return value;
}

void svm_insn_dr_set(unsigned index, uint64_t value)
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
	default:
		__asm__ volatile("movq %0, %%dr3" : : "r"(value));
		break;
	}
}
