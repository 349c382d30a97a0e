/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that starts Undercroft, its module, as a boot loader that does not speak multiboot would: with a wrong
 * magic number. Copies the module's segments to where they belong and jumps in.
 */
#define MULTIBOOT_MAGIC	0x1badb002
#define MULTIBOOT_FLAGS	0x00000003
#define WRONG_MAGIC	0x36d76289	/* multiboot2's */

/* struct multiboot_info */
#define INFO_MODS_ADDR 24

/* ELF32 header and program header */
#define ELF_ENTRY      24
#define ELF_PHOFF      28
#define ELF_PHENTSIZE  42
#define ELF_PHNUM      44
#define PH_TYPE	       0
#define PH_OFFSET      4
#define PH_PADDR       12
#define PH_FILESZ      16
#define PH_MEMSZ       20
#define PT_LOAD	       1

	.section .multiboot, "ax"
	.balign 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.code32
	.globl start
start:
	cli
	cld
	movl $stack_top, %esp
	movl INFO_MODS_ADDR(%ebx), %eax
	movl (%eax), %ebp		/* where the module begins */
	movl ELF_PHOFF(%ebp), %edx
	addl %ebp, %edx
	movzwl ELF_PHNUM(%ebp), %eax
1:	cmpl $PT_LOAD, PH_TYPE(%edx)
	jne 2f
	movl PH_OFFSET(%edx), %esi
	addl %ebp, %esi
	movl PH_PADDR(%edx), %edi
	movl PH_FILESZ(%edx), %ecx
	rep movsb
	movl PH_MEMSZ(%edx), %ecx
	subl PH_FILESZ(%edx), %ecx
	pushl %eax
	xorl %eax, %eax
	rep stosb
	popl %eax
2:	movzwl ELF_PHENTSIZE(%ebp), %ecx
	addl %ecx, %edx
	decl %eax
	jnz 1b
	movl ELF_ENTRY(%ebp), %edx
	movl $WRONG_MAGIC, %eax
	jmp *%edx

	.section .bss
	.skip 1024
stack_top:

	.section .note.GNU-stack, "", @progbits
