/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way to real mode from 32-bit protected mode without paging (the loader).
 */
#include "realmode.h"

	.text
	.code32

/*
 * void realmode_jump(uint32_t segment, uint32_t offset): see realmode.h. In: the C calling convention of i386.
 * Does not return.
 */
	.globl	realmode_jump
realmode_jump:
	cli
	cld
	movl	4(%esp), %ebx
	shll	$16, %ebx
	movw	8(%esp), %bx
	movl	$realmode_tail, %esi
	movl	$REALMODE_TAIL, %edi
	movl	$REALMODE_TAIL_SIZE, %ecx
	rep movsb
	xorl	%eax, %eax
	movl	%eax, %cr4
	lgdtl	realmode_tail_gdtr
	ljmpl	$0x08, $REALMODE_TAIL

	.section .note.GNU-stack, "", @progbits
