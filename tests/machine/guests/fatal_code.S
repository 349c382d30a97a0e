/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BIOS' video services for the fatal guests.
 */
	.text
	.code16
	/* esi = BX << 16 | AX */
	.globl fatal_video, fatal_video_end
fatal_video:
	movl %esi, %eax
	movl %esi, %ebx
	shrl $16, %ebx
	int $0x10
	lret
fatal_video_end:

	.section .note.GNU-stack, "", @progbits
