/* SPDX-License-Identifier: BSD-2-Clause */

	.text
	.code64
	/* rdi: struct cpuid64_result, with the leaf; the upper halves are ones before */
	.globl cpuid64
cpuid64:
	movq %rdi, %r8
	movabsq $0xffffffff00000000, %rax
	orq (%r8), %rax
	movq $-1, %rcx
	movq %rcx, %rbx
	movq %rcx, %rdx
	cpuid
	movq %rax, 0(%r8)
	movq %rbx, 8(%r8)
	movq %rcx, 16(%r8)
	movq %rdx, 24(%r8)
	ret

	.code16
	/* leaves struct cpuid at 100h */
	.globl cpuid16, cpuid16_end
cpuid16:
	xorl %eax, %eax
	xorl %ecx, %ecx
	cpuid
	movl %eax, 0x100
	movl %ebx, 0x104
	movl %ecx, 0x108
	movl %edx, 0x10c
	lretw
cpuid16_end:

	.section .note.GNU-stack, "", @progbits
