/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiboot entry: 32-bit protected mode without paging.
 */
#include "boot/layout.h"

	.section .multiboot, "a"
	.balign 4
	/* page-aligned modules, memory information, and text mode if the boot loader can choose */
	.set FLAGS, 0x00000007
	.long MULTIBOOT_HEADER_MAGIC
	.long FLAGS
	.long -(MULTIBOOT_HEADER_MAGIC + FLAGS)
	.long 0, 0, 0, 0, 0
	.long 1, 80, 25, 0

	.text
	.code32
	/*
	 * In: eax = multiboot magic, ebx = struct multiboot_info; flat 4 GiB segments of the boot loader's.
	 * Does not return.
	 */
	.globl loader_entry
loader_entry:
	cli
	cld
	movl $loader_stack_top, %esp
	pushl $0
	popfl
	/* a GDT of our own: the boot loader's may lie anywhere */
	lgdt loader_gdtr
	ljmp $SELECTOR_CODE32, $1f
1:	movl $SELECTOR_DATA, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	movl %ecx, %fs
	movl %ecx, %gs
	movl %ecx, %ss
	pushl %ebx
	pushl %eax
	call loader_main
2:	cli
	hlt
	jmp 2b

	/*
	 * void loader_enter_long(uint32_t cr3, uint32_t entry, uint32_t info): cdecl, does not return.
	 * Turns paging and long mode on and jumps to entry with edi = info.
	 * APM vol. 2, "Long-Mode Initialization Example" (14.8)
	 */
	.globl loader_enter_long
loader_enter_long:
	movl 4(%esp), %eax
	movl 8(%esp), %esi
	movl 12(%esp), %edi
	movl %eax, %cr3
	movl $0x20, %eax			/* CR4.PAE */
	movl %eax, %cr4
	movl $0xc0000080, %ecx			/* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	/* PG, WP, NE, ET, PE; CD and NW cleared: some firmware leaves the caches off */
	movl $0x80010031, %eax
	movl %eax, %cr0
	ljmp $SELECTOR_CODE64, $3f
	.code64
3:	movl %esi, %esi
	movl %edi, %edi
	jmp *%rsi

	.section .data
	.balign 8
	.globl loader_gdtr
loader_gdtr:
	.word loader_gdt_end - loader_gdt - 1
	.long loader_gdt
	.balign 8
loader_gdt:
	.quad 0
	.quad 0x00af9b000000ffff		/* 64-bit code */
	.quad 0x00cf93000000ffff		/* data */
	.quad 0x00cf9b000000ffff		/* 32-bit code */
	.quad 0x00009b000000ffff		/* 16-bit code */
	.quad 0x000093000000ffff		/* 16-bit data */
loader_gdt_end:

	.section .bss
	.balign 16
	.skip 8192
loader_stack_top:
