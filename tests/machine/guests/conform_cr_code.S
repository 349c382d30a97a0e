/* SPDX-License-Identifier: BSD-2-Clause */
#define CR0_PE 0x00000001
#define CR0_TS 0x00000008
#define CR0_NE 0x00000020
#define CR0_PG 0x80000000
#define CR4_OSFXSR 0x200

	.text
	.code32
	.globl cr_lmsw_register
cr_lmsw_register:
	movl 4(%esp), %eax
	movl (%eax), %eax
	lmsw %ax
	ret

	.globl cr_lmsw_memory
cr_lmsw_memory:
	movl 4(%esp), %eax
	lmsw (%eax)
	ret

	/* mod is ignored: register 0 of memory would be here */
	.globl cr_mod
cr_mod:
	movl 4(%esp), %eax
	movl (%eax), %eax
	.byte 0x0f, 0x22, 0x00
	ret

	.globl cr_prefixed
cr_prefixed:
	movl 4(%esp), %eax
	movl (%eax), %eax
	.byte 0xf3, 0x66, 0x0f, 0x22, 0xc0
	ret

	.globl cr_cr1_read
cr_cr1_read:
	.byte 0x0f, 0x20, 0xc8
	ret

	.globl cr_cr5_write
cr_cr5_write:
	.byte 0x0f, 0x22, 0xe8
	ret

	/* rdi: struct wide */
	.code64
	.globl cr64_cr0_read
cr64_cr0_read:
	movq $-1, %rax
	movq %cr0, %rax
	movq %rax, 8(%rdi)
	ret

	.globl cr64_cr0_write
cr64_cr0_write:
	movq (%rdi), %rax
	movq %rax, %cr0
	movq %cr0, %rax
	movq %rax, 8(%rdi)
	ret

	.globl cr64_cr3_write
cr64_cr3_write:
	movq (%rdi), %rax
	movq %cr3, %rcx
	orq %rcx, %rax
	movq %rax, %cr3
	movq %cr3, %rax
	movq %rax, 8(%rdi)
	ret

	.globl cr64_cr4_write
cr64_cr4_write:
	movq (%rdi), %rax
	movq %rax, %cr4
	movq %cr4, %rax
	movq %rax, 8(%rdi)
	ret

	.globl cr64_cr8_write
cr64_cr8_write:
	movq (%rdi), %rax
	movq %rax, %cr8
	movq %cr8, %rax
	movq %rax, 8(%rdi)
	ret

	/* the value is CR0's while SMSW looks */
	.macro smsw_try name:req, insn:vararg
	.globl \name
\name:
	movq (%rdi), %rax
	movq %rax, %cr0
	movq 8(%rdi), %rax
	\insn
	movq %rax, 8(%rdi)
	ret
	.endm

	smsw_try cr64_smsw16, smsw %ax
	smsw_try cr64_smsw32, smsw %eax
	smsw_try cr64_smsw64, smsw %rax

	/* REX.W: a word all the same */
	.globl cr64_smsw_memory
cr64_smsw_memory:
	movq (%rdi), %rax
	movq %rax, %cr0
	.byte 0x48, 0x0f, 0x01, 0x67, 0x08
	ret

	.globl cr64_lmsw
cr64_lmsw:
	movq (%rdi), %rax
	lmsw %ax
	movq %cr0, %rax
	movq %rax, 8(%rdi)
	ret

	.globl cr64_clts
cr64_clts:
	movq (%rdi), %rax
	movq %rax, %cr0
	clts
	movq %cr0, %rax
	movq %rax, 8(%rdi)
	ret

	.globl cr64_cr0_flip
cr64_cr0_flip:
	movq (%rdi), %rcx
1:	movq %cr0, %rax
	xorq $CR0_NE, %rax
	movq %rax, %cr0
	movq %cr0, %rdx
	cmpq %rax, %rdx
	jne 2f
	decq %rcx
	jnz 1b
2:	movq %rcx, 8(%rdi)
	ret

	.code16
	/* results from 200h on; esi: leave PG without PE out */
	.globl cr16_test, cr16_test_end
cr16_test:
	xorl %eax, %eax
	movl %cr0, %eax
	movl %eax, %ebx
	movl %eax, 0x200

	xorb $CR0_NE, %al
	movl %eax, %cr0
	movl %cr0, %eax
	movl %eax, 0x204
	movl %ebx, %cr0

	movl $-1, 0x208
	testl %esi, %esi
	jnz 4f
	/* #GP comes here, by a vector of our own */
	xorw %ax, %ax
	movw %ax, %gs
	movl %gs:0x34, %edi
	call 1f
1:	popw %bx
	movl %cs, %eax
	shll $16, %eax
	movw %bx, %ax
	addw $(2f - 1b), %ax
	movl %eax, %gs:0x34
	movl %cr0, %ebx
	movl %ebx, %eax
	orl $CR0_PG, %eax
	movl $0x12345678, 0x208
	movl %eax, %cr0
	movl $0, 0x208
	jmp 3f
2:	addw $6, %sp
	movl $0xd, 0x208
3:	movl %edi, %gs:0x34
4:

	movl $0xa5a5a5a5, %eax
	smsw %ax
	movl %eax, 0x20c
	movl $0xa5a5a5a5, %eax
	smsw %eax
	movzwl %ax, %eax
	movl %eax, 0x210

	movl %ebx, %eax
	orb $CR0_TS, %al
	movl %eax, %cr0
	clts
	movl %cr0, %eax
	movl %eax, 0x214

	movw $0xa, %ax
	lmsw %ax
	movl %cr0, %eax
	movl %eax, 0x218
	movl %ebx, %cr0

	movl %cr4, %edx
	movl %edx, %eax
	orl $CR4_OSFXSR, %eax
	movl %eax, %cr4
	movl %cr4, %eax
	movl %eax, 0x21c
	movl %edx, %cr4
	lretw
cr16_test_end:

	.section .note.GNU-stack, "", @progbits
