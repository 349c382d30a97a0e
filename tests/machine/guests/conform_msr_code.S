/* SPDX-License-Identifier: BSD-2-Clause */
#include "layout.h"

#define CR4_OSXSAVE 0x40000
#define MSR_EFER    0xc0000080
#define MSR_STAR    0xc0000081
#define EFER_SCE    0x1

#define SELECTOR_USER_CODE 0x33
#define SELECTOR_USER_DATA 0x3b

	.text
	.code32
	/* struct access: index at 0, value at 4 */
	.globl msr_xsetbv
msr_xsetbv:
	pushl %ebx
	movl 8(%esp), %ebx
	movl (%ebx), %ecx
	movl 4(%ebx), %eax
	movl 8(%ebx), %edx
	xsetbv
	popl %ebx
	ret

	.globl msr_xgetbv
msr_xgetbv:
	pushl %ebx
	movl 8(%esp), %ebx
	movl (%ebx), %ecx
	xgetbv
	movl %eax, 4(%ebx)
	movl %edx, 8(%ebx)
	popl %ebx
	ret

	.macro with_flags name:req, insn:req
	.globl \name
\name:
	movl 4(%esp), %ecx
	pushl (%ecx)
	popfl
	\insn
	pushfl
	popl (%ecx)
	ret
	.endm

	with_flags msr_wbinvd, wbinvd
	with_flags msr_invd, invd

	/* void user_enter(void *code): to ring 3 */
	.globl user_enter
user_enter:
	movl 4(%esp), %ecx
	movl $SELECTOR_USER_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	pushl %eax
	pushl $user_stack_top
	pushl $2
	pushl $SELECTOR_USER_CODE
	pushl %ecx
	iretl

	.macro user name:req, insn:vararg
	.globl user_\name
user_\name:
	xorl %ecx, %ecx
	xorl %edx, %edx
	movl $1, %eax
	\insn
	int3
	.endm

	user cpuid, cpuid
	user rdmsr, rdmsr
	user wrmsr, wrmsr
	user xsetbv, xsetbv
	user xgetbv, xgetbv
	user wbinvd, wbinvd
	user invd, invd
	user hlt, hlt
	user cr0_read, movl %cr0, %eax
	user cr0_write, movl %eax, %cr0
	user cr4_read, movl %cr4, %eax
	user lmsw, lmsw %ax
	user smsw, smsw %ax
	user clts, clts
	user dr7_read, movl %dr7, %eax
	user invlpg, invlpg (%eax)
	user lgdt, lgdt gdt_pointer

	/* rdi: rcx, rax, rdx */
	.code64
	.globl msr64_write
msr64_write:
	movq (%rdi), %rcx
	movq 8(%rdi), %rax
	movq 16(%rdi), %rdx
	wrmsr
	ret

	.globl msr64_read
msr64_read:
	movq (%rdi), %rcx
	movq $-1, %rax
	movq $-1, %rdx
	rdmsr
	movq %rax, 8(%rdi)
	movq %rdx, 16(%rdi)
	ret

	/* rdi: struct access */
	.globl msr64_xsetbv
msr64_xsetbv:
	movl (%rdi), %ecx
	movl 4(%rdi), %eax
	xorl %edx, %edx
	movabsq $0xffffffff00000000, %rdx
	xsetbv
	movq $-1, %rax
	movq $-1, %rdx
	xgetbv
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, 4(%rdi)
	ret

	.globl msr64_caches
msr64_caches:
	movl $0x11, (%rdi)
	wbinvd
	incl (%rdi)
	wbinvd
	invd
	.byte 0x66, 0x0f, 0x09 /* with a prefix */
	ret

	.code16
	/* results from 200h on */
	.globl msr16_test, msr16_test_end
msr16_test:
	movl $MSR_STAR, %ecx
	movl $0x11223344, %eax
	movl $0x55667788, %edx
	wrmsr
	xorl %eax, %eax
	xorl %edx, %edx
	rdmsr
	movl %eax, 0x200
	movl %edx, 0x204
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_SCE, %eax
	wrmsr
	rdmsr
	movl %eax, 0x208
	movl %cr4, %ebx
	movl %ebx, %eax
	orl $CR4_OSXSAVE, %eax
	movl %eax, %cr4
	xorl %ecx, %ecx
	xorl %edx, %edx
	movl $3, %eax
	xsetbv
	xorl %eax, %eax
	movl $-1, %edx
	xgetbv
	movl %eax, 0x20c
	movl %edx, 0x210
	movl $1, %eax
	xsetbv
	movl %ebx, %cr4
	movl $0x77, 0x214
	wbinvd
	invd
	incl 0x214
	lretw
msr16_test_end:

	.section .bss
	.balign 16
	.skip 1024
	.globl user_stack_top
user_stack_top:

	.section .note.GNU-stack, "", @progbits
