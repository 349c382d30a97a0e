/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hiding.c's accesses that C cannot make.
 */
#define VECTOR_TEST  0x30
#define APIC_ICR_LOW 0xfee00300
/* to itself, fixed, edge */
#define ICR_TO_SELF  0x00044000
#define FLAGS_TF     0x100
#define PAGE	     0x1000

	.text
	.code32
	/* The handler of VECTOR_TEST + 1, with a stack that may be anywhere: counts and goes to hiding_return. */
	.globl hiding_handler
hiding_handler:
	movl hiding_stack, %esp
	incl hiding_handled
	movl hiding_handled, %eax
	ret

	/* Each takes the stack to use; the first two return what the handler counted. */
	.globl hiding_interrupt_with_stack
hiding_interrupt_with_stack:
	movl 4(%esp), %eax
	movl %esp, hiding_stack
	movl %eax, %esp
	int $VECTOR_TEST + 1
	hlt
	.globl hiding_apic_with_stack
hiding_apic_with_stack:
	movl 4(%esp), %eax
	movl %esp, hiding_stack
	movl $ICR_TO_SELF | (VECTOR_TEST + 1), APIC_ICR_LOW
	movl %eax, %esp
	sti
	nop
1:	jmp 1b
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

	.globl hiding_interrupt, hiding_apic_interrupt
hiding_interrupt:
	int $VECTOR_TEST
	ret
hiding_apic_interrupt:
	movl $ICR_TO_SELF | VECTOR_TEST, APIC_ICR_LOW
	sti
	nop
3:	jmp 3b

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

	.section .data
	.globl hiding_handled
hiding_handled:
	.long 0
hiding_stack:
	.long 0

	.section .note.GNU-stack, "", @progbits
