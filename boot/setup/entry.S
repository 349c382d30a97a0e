/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Setup's entry, at SETUP_BASE.
 */
#include "boot/layout.h"

	.section .entry, "ax"
	.code64
	/* In: rdi = struct multiboot_info; long mode, 4 GiB mapped 1:1, interrupts off. Does not return. */
	.globl setup_entry
setup_entry:
	leaq setup_stack_top(%rip), %rsp
	LOAD_DATA_SEGMENTS
	xorl %ebp, %ebp
	/* nobody zeroed this memory: the image ends before it */
	movq %rdi, %rdx
	leaq setup_bss_start(%rip), %rdi
	leaq setup_bss_end(%rip), %rcx
	subq %rdi, %rcx
	xorl %eax, %eax
	cld
	rep stosb
	movq %rdx, %rdi
	call setup_main
1:	cli
	hlt
	jmp 1b

	.text
	/*
	 * void setup_enter_vmm(paddr_t cr3, uint64_t entry, paddr_t handoff, uint64_t handoff_size, uint64_t mapped)
	 * Does not return: the vmm's tables map this code 1:1 as well.
	 */
	.globl setup_enter_vmm
setup_enter_vmm:
	movq %rdi, %cr3
	movq %rsi, %rax
	movq %rdx, %rdi
	movq %rcx, %rsi
	movq %r8, %rdx
	jmp *%rax

	.section .stack, "aw", @nobits
	.balign 16
	.skip 32768
setup_stack_top:
