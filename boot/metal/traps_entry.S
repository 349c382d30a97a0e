/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exception entries: each stub leaves vector and error code behind what the CPU pushed.
 */
	.section .text
	.code64
	.balign 16
	.globl trap_stubs
	.hidden trap_stubs
trap_stubs:
	.set vector, 0
	.rept 32
	.balign 16
	/* 8, 10-14, 17, 21, 29 and 30 push an error code. APM vol. 2, "Error Codes" (8.4) */
	.if !((0x60227d00 >> vector) & 1)
	pushq $0
	.endif
	pushq $vector
	jmp trap_entry
	.set vector, vector + 1
	.endr

trap_entry:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	movq %rsp, %rbp
	andq $-16, %rsp
	call trap_handle
	movq %rbp, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq
