/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * debugged.c's code, copied to where a debugger expects it: position-independent.
 */
#include "debugged.h"

#define WORD DEBUGGED_DATA + DEBUGGED_WORD

	.macro at offset:req
	.org debugged_code + \offset, 0x90
	.endm

	.text
	.code32
	.globl debugged_code, debugged_code_end
	.balign 16
debugged_code:

	/* the least of eight times */
	at DEBUGGED_HITS
	pushl %esi
	pushl %edi
	movl $-1, %esi
	movl $8, %ecx
1:	rdtsc
	movl %eax, %edi
	at 0x20
	nop
	rdtsc
	subl %edi, %eax
	cmpl %esi, %eax
	jae 2f
	movl %eax, %esi
2:	loop 1b
	movl %esi, %eax
	popl %edi
	popl %esi
	ret

	at DEBUGGED_BREAK
	nop
	ret

	at DEBUGGED_STORE
	incl WORD
	ret

	at DEBUGGED_LOAD
	movl WORD, %eax
	ret
debugged_code_end:

	.code16
	.globl debugged16, debugged16_end
debugged16:
	nop
	nop
	lret
debugged16_end:

	.section .note.GNU-stack, "", @progbits
