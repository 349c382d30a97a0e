/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last steps to real mode, which have to run below 1 MiB: whoever goes there copies the
 * REALMODE_TAIL_SIZE bytes at realmode_tail to REALMODE_TAIL. Must not know which mode the processor came from.
 */
#include "realmode.h"

/* CR0 as firmware has it: ET, and caching as it was (CD, NW). APM vol. 2, "CR0 Register" (3.1.1) */
#define CR0_KEPT	0x60000010

#define AT(label)	(REALMODE_TAIL + label - realmode_tail)

	.section .rodata.realmode_tail, "a", @progbits
	.balign	8
	.globl	realmode_tail

/*
 * Entry, at its copy. In: 32-bit protected mode, paging off, interrupts off, GDTR loaded from the copy's
 * realmode_tail_gdtr, CS = 08h; EBX = segment << 16 | offset to jump to. Does not return.
 * Source: APM vol. 2, "Switching from Protected Mode to Real Mode" in "Initializing Protected Mode" (14.4);
 * SDM vol. 3, "Switching Back to Real-Address Mode" (9.9.2).
 */
realmode_tail:
	.code32
	movw	$0x18, %ax			/* limits that real mode keeps */
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	ljmpl	$0x10, $AT(code16)
code16:
	.code16
	movl	%cr0, %eax
	andl	$CR0_KEPT, %eax
	movl	%eax, %cr0
	ljmpw	$0, $AT(real)
real:
	lidtw	AT(idtr)
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	movl	$0x7c00, %esp
	pushl	%ebx				/* offset below segment, as a far return takes them */
	lretw

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff		/* 08h: 32-bit code, 4 GiB */
	.quad	0x00009b000000ffff		/* 10h: 16-bit code, 64 KiB */
	.quad	0x000093000000ffff		/* 18h: 16-bit data, 64 KiB */
realmode_tail_gdtr_place:
	.word	realmode_tail_gdtr_place - gdt - 1
	.long	AT(gdt), 0			/* the second half for long mode's form */
idtr:
	.word	0x3ff
	.long	0
	.org	realmode_tail + REALMODE_TAIL_SIZE

	.globl	realmode_tail_gdtr		/* absolute: where the copy's GDTR image is */
	.set	realmode_tail_gdtr, AT(realmode_tail_gdtr_place)

	.section .note.GNU-stack, "", @progbits
