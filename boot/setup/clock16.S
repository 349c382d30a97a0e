/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where another CPU begins: from real mode straight to 64-bit code. It runs at CLOCK_TRAMPOLINE, where setup copies it.
 * APM vol. 2, "Processor Initialization State" (14.1.3), "Long-Mode Initialization Example" (14.8)
 */
#include "boot/layout.h"
#include "clock_layout.h"

#define AT(label)	(CLOCK_TRAMPOLINE + label - clock_trampoline)

/* PG, NE, ET, MP, PE; caches on. APM vol. 2, "CR0 Register" (3.1.1) */
#define CR0_LONG	0x80000033
#define CR4_PAE		0x20
#define MSR_EFER	0xc0000080
#define EFER_LME	0x100
#define PAGE_SIZE	0x1000

	.section .rodata.clock_trampoline, "a", @progbits
	.balign	8
	.globl	clock_trampoline, clock_trampoline_end

/* Entry. In: what a startup IPI makes of a CPU; the three parameters at its end are set. Does not return. */
clock_trampoline:
	.code16
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	AT(gdtr)
	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	AT(clock_trampoline_root), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	$CR0_LONG, %eax
	movl	%eax, %cr0
	ljmpl	$SELECTOR_CODE64, $AT(code64)
	.code64
code64:
	LOAD_DATA_SEGMENTS
	xorl	%ebp, %ebp
	movq	clock_trampoline_page(%rip), %rdi
	movq	clock_trampoline_setup(%rip), %rsi
	leaq	PAGE_SIZE(%rdi), %rsp
	movabsq	$clock_main, %rax
	call	*%rax

	.globl	clock_trampoline_gdt
	.balign	8
clock_trampoline_gdt:
	.quad	0
	.quad	0x00af9b000000ffff		/* 64-bit code */
	.quad	0x00cf93000000ffff		/* data */
gdt_end:
gdtr:
	.word	gdt_end - clock_trampoline_gdt - 1
	.long	AT(clock_trampoline_gdt)
	.balign	8
	.globl	clock_trampoline_page, clock_trampoline_setup, clock_trampoline_root
clock_trampoline_page:
	.quad	0
clock_trampoline_setup:
	.quad	0
clock_trampoline_root:
	.long	0
clock_trampoline_end:

	.section .note.GNU-stack, "", @progbits
