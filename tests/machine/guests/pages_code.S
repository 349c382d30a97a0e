/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ticks of pages.c.
 */
	.globl pages_interrupt
pages_interrupt:
	iretl

	.globl pages_wait
pages_wait:
	sti
	hlt
	cli
	ret

	.section .note.GNU-stack, "", @progbits
