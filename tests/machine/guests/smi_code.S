/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smi.c's real-mode half: esi = command << 16 | how often.
 */
#define SMI_COMMAND 0xb2

	.text
	.code16
	.globl smi16, smi16_end
smi16:
	movl $0, %ds:0x100
	movl %esi, %eax
	shrl $16, %eax
	movzwl %si, %ecx
1:	outb %al, $SMI_COMMAND
	incl %ds:0x100
	loop 1b
	movl %cr0, %eax
	movl %eax, %ds:0x104
	lret
smi16_end:

	.section .note.GNU-stack, "", @progbits
