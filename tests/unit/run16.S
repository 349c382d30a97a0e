/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs 16-bit code on the test's own CPU, in 16-bit protected mode: between the real-mode forms and these only the
 * meaning of a segment register differs. Must not know the code it runs.
 */
#include "run16.h"

#define USER_CODE64	0x33
#define USER_DATA	0x2b

	.text
	.code64
/*
 * void run16(uint32_t base): see run16.h. The C calling convention; clobbers DS and ES as that allows.
 */
	.globl	run16
run16:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushfq
	movq	%rsp, saved_rsp(%rip)
	movl	%edi, %edi
	leaq	back(%rip), %rax
	movq	%rax, RUN16_LEAVE + run16_leave_target - run16_leave(%rdi)
	leal	RUN16_LEAVE(%rdi), %eax
	movl	%eax, RUN16_ENTER + run16_leave_offset - run16_code(%rdi)
	ljmpl	*enter(%rip)
back:
	movl	$USER_DATA, %eax
	movl	%eax, %ss
	movq	saved_rsp(%rip), %rsp
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	popfq
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.section .rodata
enter:
	.long	RUN16_ENTER
	.word	RUN16_CODE

	.balign	16
	.globl	run16_code, run16_code_end, run16_old
	.code16
run16_code:
	movw	$RUN16_DATA, %ax
	movw	%ax, %ss
	movl	$RUN16_STACK, %esp
	movw	%ax, %ds
	movw	%ax, %es
	movl	RUN16_REGS + RUN16_EAX, %eax
	movl	RUN16_REGS + RUN16_EBX, %ebx
	movl	RUN16_REGS + RUN16_ECX, %ecx
	movl	RUN16_REGS + RUN16_EDX, %edx
	movl	RUN16_REGS + RUN16_ESI, %esi
	movl	RUN16_REGS + RUN16_EDI, %edi
	movl	RUN16_REGS + RUN16_EBP, %ebp
	pushw	RUN16_REGS + RUN16_FLAGS
	pushw	$0
	popw	%ds
	popfw
	pushfw
	lcallw	$RUN16_CODE, $0
	pushfw
	pushw	%ss
	popw	%ds
	popw	RUN16_REGS + RUN16_FLAGS
	cld
	movl	%eax, RUN16_REGS + RUN16_EAX
	movl	%ebx, RUN16_REGS + RUN16_EBX
	movl	%ecx, RUN16_REGS + RUN16_ECX
	movl	%edx, RUN16_REGS + RUN16_EDX
	movl	%esi, RUN16_REGS + RUN16_ESI
	movl	%edi, RUN16_REGS + RUN16_EDI
	movl	%ebp, RUN16_REGS + RUN16_EBP
	movl	%esp, RUN16_REGS + RUN16_ESP
	movw	%es, RUN16_REGS + RUN16_ES
	.byte	0x66, 0xea			/* ljmpl $USER_CODE64, $RUN16_LEAVE + base */
run16_leave_offset:
	.long	0
	.word	USER_CODE64

run16_old:
	pushfw
	popw	%ss:RUN16_REGS + RUN16_AT_CALL
	incw	%ss:RUN16_REGS + RUN16_CALLS
	iretw
run16_code_end:

	.globl	run16_leave, run16_leave_end
	.code64
run16_leave:
	.byte	0x48, 0xb8			/* movabsq $back, %rax */
run16_leave_target:
	.quad	0
	jmp	*%rax
run16_leave_end:

	.section .bss
	.balign	8
saved_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits
