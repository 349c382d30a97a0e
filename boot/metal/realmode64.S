/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way to real mode from long mode (the setup tier).
 */
#include "realmode.h"

/* APM vol. 2, "CR0 Register" (3.1.1), "Extended Feature Enable Register" (3.1.7) */
#define CR0_WITHOUT_PG		0x7fffffff
#define MSR_EFER		0xc0000080
#define EFER_WITHOUT_LME_NXE	0xfffff6ff

	.text
	.code64

/*
 * void realmode_jump(uint32_t segment, uint32_t offset): see realmode.h. In: EDI = segment, ESI = offset.
 * Does not return.
 * Source: APM vol. 2, "Leaving Long Mode" (14.7).
 */
	.globl	realmode_jump
realmode_jump:
	cli
	cld
	movl	%edi, %ebx
	shll	$16, %ebx
	movw	%si, %bx
	leaq	realmode_tail(%rip), %rsi
	movl	$REALMODE_TAIL_SIZE, %ecx
	movl	$REALMODE_TAIL, %edi
	rep movsb
	lgdt	realmode_tail_gdtr
	leaq	compatibility(%rip), %rax
	pushq	$0x08
	pushq	%rax
	lretq
	.code32
compatibility:
	movl	%cr0, %eax
	andl	$CR0_WITHOUT_PG, %eax
	movl	%eax, %cr0
	movl	$MSR_EFER, %ecx
	rdmsr
	andl	$EFER_WITHOUT_LME_NXE, %eax
	wrmsr
	xorl	%eax, %eax
	movl	%eax, %cr4
	ljmpl	$0x08, $REALMODE_TAIL

	.section .note.GNU-stack, "", @progbits
