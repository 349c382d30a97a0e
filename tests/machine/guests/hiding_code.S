/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hiding.c's accesses that C cannot make.
 */
#define FLAGS_TF     0x100
#define PAGE	     0x1000

	.text
	.code32
	/* Each takes the stack to use. */
	.globl hiding_push_pop
hiding_push_pop:
	movl 4(%esp), %eax
	movl %esp, %edx
	movl %eax, %esp
	pushl $0
	popl %eax
	movl %edx, %esp
	ret
	.globl hiding_call
hiding_call:
	movl 4(%esp), %eax
	movl %esp, %edx
	movl %eax, %esp
	call 2f
	hlt
2:	movl %edx, %esp
	movl $1, %eax
	ret

	.globl hiding32_trap, hiding32_trap_next
hiding32_trap:
	movl 4(%esp), %edx
	pushfl
	orl $FLAGS_TF, (%esp)
	popfl
	movl (%edx), %eax
hiding32_trap_next:
	nop
	nop
	ret

	/* rdi = struct hiding64_result */
	.code64
	.globl hiding64_loads, hiding64_stack, hiding64_crossing, hiding64_table
hiding64_loads:
	movq (%rdi), %rsi
	movq (%rsi), %rax
	movq %rax, 8(%rdi)
	movdqu 32(%rsi), %xmm0
	movdqu %xmm0, 24(%rdi)
	movq $0, 64(%rsi)
	lock incq 72(%rsi)
	ret
hiding64_stack:
	movq (%rdi), %rsi
	movq %rsp, %rdx
	leaq 0x800(%rsi), %rsp
	pushq $0
	popq 16(%rdi)
	call 4f
	hlt
4:	movq %rdx, %rsp
	movq $1, 48(%rdi)
	ret
hiding64_crossing:
	movq (%rdi), %rsi
	movq PAGE - 3(%rsi), %rax
	movq %rax, 40(%rdi)
	ret
hiding64_table:
	movq $0x8000123000, %rax
	movl (%rax), %eax
	ret

	/* esi = address; results at 100h */
	.code16
	.globl hiding16_access, hiding16_access_end
hiding16_access:
	movl %fs:(%esi), %eax
	movl %eax, %ds:0x100
	movb $0, %fs:1(%esi)
	lock incl %fs:(%esi)
	movl $0, %edi
	movw $0x200, %di
	.byte 0x64, 0x67, 0xa4			/* movsb %fs:(%esi), %es:(%edi), which clang does not assemble here */
	pushl $0
	popl %fs:4(%esi)
	lret
hiding16_access_end:

	.section .note.GNU-stack, "", @progbits
