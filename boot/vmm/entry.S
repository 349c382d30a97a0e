/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vmm's header and entry.
 */
#include "boot/layout.h"

	.section .header, "a"
	.globl vmm_header
vmm_header:
	.long VMM_MAGIC
	.long vmm_entry - vmm_header
	.long vmm_file_end - vmm_header
	.long vmm_memory_end - vmm_header
	.long vmm_relocations - vmm_header
	.long vmm_relocations_end - vmm_header
	.long clock_enter - vmm_header
	.long clock_ignore - vmm_header
	.long clock_fault - vmm_header

	.text
	/*
	 * In: rdi = handoff, rsi = its size, rdx = how much memory is mapped 1:1; long mode, interrupts off, page tables of
	 * the vmm's own. Does not return.
	 */
	.globl vmm_entry
	.hidden vmm_entry
vmm_entry:
	leaq vmm_stack_top(%rip), %rsp
	leaq vmm_gdt(%rip), %rax
	movq %rax, vmm_gdtr+2(%rip)
	lgdt vmm_gdtr(%rip)
	LOAD_DATA_SEGMENTS
	/* the TSS' base, in three pieces */
	leaq vmm_tss(%rip), %rax
	movw %ax, vmm_gdt+SELECTOR_TSS+2(%rip)
	shrq $16, %rax
	movb %al, vmm_gdt+SELECTOR_TSS+4(%rip)
	movb %ah, vmm_gdt+SELECTOR_TSS+7(%rip)
	shrq $16, %rax
	movl %eax, vmm_gdt+SELECTOR_TSS+8(%rip)
	movl $SELECTOR_TSS, %eax
	ltr %ax
	leaq 1f(%rip), %rax
	pushq $SELECTOR_CODE64
	pushq %rax
	lretq
1:	xorl %ebp, %ebp
	call vmm_main
2:	cli
	hlt
	jmp 2b

	.section .data
	.balign 8
vmm_gdt:
	.quad 0
	.quad 0x00af9b000000ffff		/* 64-bit code */
	.quad 0x00cf93000000ffff		/* data */
	.quad 0x0000890000000067, 0		/* 64-bit TSS; an exit of VMX wants one, though nothing uses it */
vmm_gdt_end:
	.balign 8
	.skip 6
vmm_gdtr:
	.word vmm_gdt_end - vmm_gdt - 1
	.quad 0

	.section .bss
	.balign 16
vmm_tss:
	.skip 0x68
	.balign 16
	.skip 32768
vmm_stack_top:
