/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hiding_delivery.c's events.
 */
#define VECTOR_TEST  0x30
#define APIC_ICR_LOW 0xfee00300
/* to itself, fixed, edge */
#define ICR_TO_SELF  0x00044000

	.text
	.code32
	/*
	 * The handler of VECTOR_TEST + 1, with a stack that may be anywhere: counts and returns
	 * to the code that made the event.
	 */
	.globl hiding_handler
hiding_handler:
	movl hiding_stack, %esp
	incl hiding_handled
	movl hiding_handled, %eax
	ret

	/* Each takes the stack to use and returns what the handler counted. */
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

	.globl hiding_interrupt, hiding_apic_interrupt
hiding_interrupt:
	int $VECTOR_TEST
	ret
hiding_apic_interrupt:
	movl $ICR_TO_SELF | VECTOR_TEST, APIC_ICR_LOW
	sti
	nop
3:	jmp 3b

	.section .data
	.globl hiding_handled
hiding_handled:
	.long 0
hiding_stack:
	.long 0

	.section .note.GNU-stack, "", @progbits
