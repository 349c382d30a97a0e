/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the CPU that is the hypervisor's clock comes into its code, and into its exceptions.
 */
	.section .text
	.code64
	/* In: rdi = its page; long mode, interrupts off, the stack at the page's end. Does not return. */
	.globl clock_enter
	.hidden clock_enter
clock_enter:
	xorl %ebp, %ebp
	call clock_run

	/* The timer's interrupt, which has done all it has to, and an NMI: one of the machine's is for the guest's CPU. */
	.globl clock_ignore
	.hidden clock_ignore
clock_ignore:
	iretq

	/* Any exception: the stack is in the page. */
	.globl clock_fault
	.hidden clock_fault
clock_fault:
	movq %rsp, %rdi
	andq $-4096, %rdi
	andq $-16, %rsp
	call clock_fail
