/* SPDX-License-Identifier: BSD-2-Clause */
#include "layout.h"

#define CR0_PE	 0x00000001
#define CR0_NE	 0x00000020
#define CR0_PG	 0x80000000
#define CR4_PAE	 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

/* The snippet's own descriptors */
#define CODE16	 0x08
#define FLAT	 0x10
#define DATA16	 0x18
#define CODE32	 0x20
#define RESULTS	 0x800
#define AT_1MIB	 0x100000
#define MAGIC_AT 0x300000
#define CYCLES	 50

	.text
	.code16
	/*
	 * struct modes16 at RESULTS; esi: the highest CPUID leaf. ES stays the snippet's segment.
	 */
	.globl modes16, modes16_end
modes16:
	movl $AT_1MIB, %ebx
	movl %fs:(%ebx), %eax
	movl %eax, RESULTS + 0
	xorl %eax, %eax
	movw %cs, %ax
	movl %eax, RESULTS + 20
	xorl %ebx, %ebx
	movw %sp, %bx
	call 1f
1:	subw %sp, %bx
	addw $2, %sp
	movl %ebx, RESULTS + 24

	/* unreal: DS is flat for good */
	lgdtl table_pointer - modes16
	movl %cr0, %eax
	orb $CR0_PE, %al
	movl %eax, %cr0
	movw $FLAT, %bx
	movw %bx, %ds
	andb $~CR0_PE, %al
	movl %eax, %cr0
	movl $AT_1MIB, %ebx
	movl (%ebx), %eax
	movl %eax, %es:RESULTS + 4
	xorl %eax, %eax
	cpuid
	movl $AT_1MIB, %ebx
	movl (%ebx), %eax
	movl %eax, %es:RESULTS + 8
	movl $CYCLES, %edi
1:	movl %cr0, %eax
	orb $CR0_PE, %al
	movl %eax, %cr0
	xorl %eax, %eax
	cpuid
	movl %cr0, %eax
	andb $~CR0_PE, %al
	movl %eax, %cr0
	xorl %eax, %eax
	cpuid
	decl %edi
	jnz 1b
	movl $AT_1MIB, %ebx
	movl (%ebx), %eax
	movl %eax, %es:RESULTS + 12
	movl $MAGIC_AT, %ebx
	movl $0x600df00d, (%ebx)
	movw $REAL_CODE >> 4, %ax
	movw %ax, %ds
	movl $AT_1MIB - REAL_CODE, %ebx
	movl (%ebx), %eax
	movl %eax, RESULTS + 16
	movl $MAGIC_AT, %ebx
	movl %fs:(%ebx), %eax
	movl %eax, RESULTS + 64

	/* 16-bit protected mode */
	movl %cr0, %eax
	orb $CR0_PE, %al
	movl %eax, %cr0
	ljmp $CODE16, $(2f - modes16)
2:	movw $DATA16, %ax
	movw %ax, %ds
	movw %ax, %es
	xorl %eax, %eax
	movw %cs, %ax
	movl %eax, RESULTS + 28
	xorl %ebx, %ebx
	movw %sp, %bx
	call 1f
1:	subw %sp, %bx
	addw $2, %sp
	movl %ebx, RESULTS + 32
	xorl %eax, %eax
	cpuid
	xorl %ecx, %ecx
	cmpl %eax, %esi
	sete %cl
	movl %ecx, RESULTS + 36
	xorl %eax, %eax
	.byte 0x40
	movl %eax, RESULTS + 40

	/* 32-bit protected mode, not flat */
	ljmp $CODE32, $(3f - modes16)
	.code32
3:	xorl %eax, %eax
	movw %cs, %ax
	movl %eax, RESULTS + 44
	movl %esp, %ebx
	call 1f
1:	subl %esp, %ebx
	addl $4, %esp
	movl %ebx, RESULTS + 48
	xorl %eax, %eax
	cpuid
	xorl %ecx, %ecx
	cmpl %eax, %esi
	sete %cl
	movl %ecx, RESULTS + 52
	xorl %eax, %eax
	.byte 0x40
	movl %eax, RESULTS + 56
	ljmp $CODE16, $(4f - modes16)
	.code16
4:	movl %cr0, %eax
	andb $~CR0_PE, %al
	movl %eax, %cr0
	ljmp $REAL_CODE >> 4, $(5f - modes16)
5:	movw $REAL_CODE >> 4, %ax
	movw %ax, %ds
	movw %ax, %es
	xorl %eax, %eax
	movw %cs, %ax
	movl %eax, RESULTS + 60
	lretw

	.balign 8
table:
	.quad 0
	.quad 0x00009b020000ffff	/* CODE16: base REAL_CODE */
	.quad 0x00cf93000000ffff	/* FLAT */
	.quad 0x000093020000ffff	/* DATA16: base REAL_CODE */
	.quad 0x00409b020000ffff	/* CODE32: base REAL_CODE */
table_end:
table_pointer:
	.word table_end - table - 1
	.long REAL_CODE + table - modes16
modes16_end:

	/* a data segment of 64 KiB, as protected mode loads it, keeps its limit */
	.globl modes16_limit, modes16_limit_end
modes16_limit:
	lgdtl limit_pointer - modes16_limit
	movl %cr0, %eax
	orb $CR0_PE, %al
	movl %eax, %cr0
	movw $8, %bx
	movw %bx, %ds
	andb $~CR0_PE, %al
	movl %eax, %cr0
	xorl %eax, %eax
	cpuid
	movl 0xfffc, %eax
	movl $0x10000, %ebx
	movl (%ebx), %eax
	lretw
	.balign 8
limit_table:
	.quad 0
	.quad 0x000093020000ffff
limit_pointer:
	.word 15
	.long REAL_CODE + limit_table - modes16_limit
modes16_limit_end:

	/* rdi: struct compat */
	.code64
	.globl modes64
modes64:
	pushq %rbx
	movq %rdi, %rsi
	movq %rsp, %rbp
	lcall *compat_pointer(%rip)
	xorl %eax, %eax
	movw %cs, %ax
	movl %eax, 20(%rsi)
	xorl %eax, %eax
	.byte 0x40	/* REX here */
	nop
	movl %eax, 24(%rsi)
	popq %rbx
	ret
	.code32
compat:
	movl %ebp, %eax
	subl %esp, %eax
	movl %eax, 16(%esi)
	xorl %eax, %eax
	movw %cs, %ax
	movl %eax, 0(%esi)
	movl $MSR_EFER, %ecx
	rdmsr
	movl %eax, 4(%esi)
	xorl %eax, %eax
	.byte 0x40
	nop
	movl %eax, 8(%esi)
	xorl %eax, %eax
	cpuid
	movl %eax, 12(%esi)
	lretl

	/* void modes_pg(void *cr0) */
	.globl modes_pg
modes_pg:
	movl 4(%esp), %eax
	movl (%eax), %eax
	movl %eax, %cr0
	ret

	/* struct long_cycle: from 32-bit code into compatibility mode and back; more: bits of CR0 that come and go with PG */
	.macro cycle name:req, more:req
	.globl \name
\name:
	pushl %ebx
	pushl %esi
	movl 12(%esp), %esi
	movl %cr4, %eax
	pushl %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $long_pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	movl %eax, 0(%esi)
	orl $EFER_LME, %eax
	wrmsr
	rdmsr
	movl %eax, 4(%esi)
	movl %cr0, %eax
	orl $CR0_PG | \more, %eax
	movl %eax, %cr0
	rdmsr
	movl %eax, 8(%esi)
	movl %cr0, %eax
	movl %eax, 24(%esi)
	xorl %eax, %eax
	cpuid
	cmpl %eax, 20(%esi)
	sete %al
	movzbl %al, %eax
	movl %eax, 20(%esi)
	movl %cr0, %eax
	andl $~(CR0_PG | \more), %eax
	movl %eax, %cr0
	movl $MSR_EFER, %ecx
	rdmsr
	movl %eax, 12(%esi)
	andl $~EFER_LME, %eax
	wrmsr
	rdmsr
	movl %eax, 16(%esi)
	popl %eax
	movl %eax, %cr4
	popl %esi
	popl %ebx
	ret
	.endm

	cycle modes_cycle, 0
	cycle modes_cycle_ne, CR0_NE

	.section .data
compat_pointer:
	.long compat
	.word SELECTOR_CODE32

	.section .note.GNU-stack, "", @progbits
