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

	at DEBUGGED_NEXT
	movl $1, WORD + 4
	movb $2, WORD - 1
	movl WORD + 4, %eax
	ret

	at DEBUGGED_CROSS
	movl $0x11223344, DEBUGGED_DATA + DEBUGGED_ACROSS - 3
	ret

	at DEBUGGED_REP
	pushl %edi
	movl $DEBUGGED_DATA + DEBUGGED_STRING, %edi
	movl $16, %ecx
	movb $0x5a, %al
	rep stosb
	popl %edi
	ret

	at DEBUGGED_RMW
	incl DEBUGGED_DATA + DEBUGGED_OTHER
	movl DEBUGGED_DATA + DEBUGGED_OTHER, %eax
	ret

	/* ECX is for whoever calls */
	at DEBUGGED_STACK
	movl %esp, %ecx
	movl $DEBUGGED_DATA + DEBUGGED_SP, %esp
	pushl $7
	call 1f
1:	movl %ecx, %esp
	ret

	at DEBUGGED_FRAME
	movl %esp, %ecx
	movl $DEBUGGED_DATA + DEBUGGED_SP, %esp
	int $DEBUGGED_VECTOR
	movl %ecx, %esp
	ret

	/* the same, by an exception: EDX is where it goes on */
	at DEBUGGED_FAULT
	movl %esp, %ecx
	movl $DEBUGGED_DATA + DEBUGGED_SP, %esp
	ud2
	movl %ecx, %esp
	ret

	at DEBUGGED_MOVE
	pushl %esi
	pushl %edi
	movl $DEBUGGED_DATA + DEBUGGED_FROM, %esi
	movl $DEBUGGED_DATA + DEBUGGED_TO, %edi
	movsl
	popl %edi
	popl %esi
	ret

	at DEBUGGED_WALK
	movl %cr4, %eax
	orl $0x10, %eax
	movl %eax, %cr4
	movl $DEBUGGED_TABLE, %eax
	movl %eax, %cr3
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	movl DEBUGGED_FAR, %edx
	movl $1, DEBUGGED_FAR
	andl $0x7fffffff, %eax
	movl %eax, %cr0
	ret

	.code64
	at DEBUGGED_LONG
	movabsq $0x1122334455667788, %rax
	incq DEBUGGED_DATA + DEBUGGED_QUAD
	movq %rax, %r8
	ret
	.code32

	at DEBUGGED_HALT
	sti
	hlt
	cli
	ret

	at DEBUGGED_END
debugged_code_end:

	.globl debugged_interrupt, debugged_exception
debugged_interrupt:
	iret
debugged_exception:
	addl $2, (%esp)
	iret

	.code16
	.globl debugged16, debugged16_end
debugged16:
	nop
	nop
	lret
debugged16_end:

	.section .note.GNU-stack, "", @progbits
