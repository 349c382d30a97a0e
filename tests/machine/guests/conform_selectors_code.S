/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform_selectors.c's snippets.
 */
#include "snippet.inc"

	.text

	/* edi: a selector, or a frame; where it leads is told by vector 30h */
	.code32
	snippet load_ds32
	movl %edi, %ds
	stop

	snippet load_fs32
	movl %edi, %fs
	stop

	snippet load_ss32
	movl %edi, %ss
	stop

	snippet lldt32
	lldt %di
	stop

	snippet ltr32
	ltr %di
	stop

	snippet far_jump32
	pushl %edi
	pushl $1f
	ljmp *(%esp)
1:	int $0x30
	stop

	snippet far_call32
	xorl %ecx, %ecx
	xorl %esi, %esi
	pushl $0x22222222	/* parameters, for gates that copy them */
	pushl $0x11111111
	pushl %edi
	pushl $1f
	lcall *(%esp)
1:	int $0x30
	stop

	/* the stack is one for an outer ring, too; so is IRET's */
	snippet far_ret32
	movl %esp, %eax
	pushl $SELECTOR_USER_DATA
	pushl %eax
	pushl %edi
	pushl $1f
	lret
1:	int $0x30
	stop

	/* edi: EIP, CS, EFLAGS, ESP, SS */
	snippet iret_frame32
	movl $5, %ecx
1:	pushl -4(%edi, %ecx, 4)
	loop 1b
	iretl

	.globl landing32
landing32:
	int $0x30
	stop

	snippet undefined32
	ud2
	stop

	snippet int_33_back
	xorl %ecx, %ecx
	xorl %esi, %esi
	int $0x33
	int $0x30
	stop

	/* edi: a gate; afterwards DS is in ECX, in ESI what is gone of the stack but for the parameters */
	snippet gate_call32
	pushl %edi
	pushl $0
	movl %esp, %ebp
	pushl $0x22222222
	pushl $0x11111111
	xorl %ecx, %ecx
	xorl %esi, %esi
	lcall *(%ebp)
	movl %ds, %ecx
	movl %esp, %esi
	subl %ebp, %esi
	int $0x30
	stop

	/* called by gates: parameters in ESI and EDI; DS of ring 0 is nothing for ring 3 */
	.globl callee2, callee0, callee16, ring1_handler, ring1_fault
callee2:
	movl 8(%esp), %edi
	movl 12(%esp), %esi
	movl %ss, %ecx
	int $0x31
	movl $SELECTOR_DATA, %eax	/* ring 3 must not keep it */
	movl %cs, %ecx
	testl $3, %ecx
	jnz 1f
	movl %eax, %ds
1:	lret $8
callee0:
	movl %ss, %ecx
	int $0x31
	lret
callee16:
	movzwl 2(%esp), %edi
	movl 4(%esp), %esi
	movl %ss, %ecx
	int $0x31
	stop
ring1_fault:
	movl %ss, %ecx
	int $0x31
	stop
ring1_handler:
	movl %ss, %ecx
	int $0x31
	iretl

	.code64
	snippet load_ds64
	movl %edi, %ds
	stop

	snippet load_fs64
	movl %edi, %fs
	stop

	snippet load_ss64
	movl %edi, %ss
	stop

	snippet far_jump64
	pushq %rdi
	shlq $32, (%rsp)
	movl $1f, %eax
	orq %rax, (%rsp)
	ljmpl *(%rsp)
1:	int $0x30
	stop

	snippet far_call64
	xorl %ecx, %ecx
	xorl %esi, %esi
	pushq %rdi
	shlq $32, (%rsp)
	movl $1f, %eax
	orq %rax, (%rsp)
	lcalll *(%rsp)
1:	int $0x30
	stop

	snippet far_ret64
	movq %rsp, %rax
	pushq $SELECTOR_USER_DATA
	pushq %rax
	pushq %rdi
	movl $1f, %eax
	pushq %rax
	lretq
1:	int $0x30
	stop

	/* called by gates: SS of the inner ring is told in ECX */
	.globl callee64
callee64:
	movl %ss, %ecx
	int $0x31
	lretq

	.section .note.GNU-stack, "", @progbits
