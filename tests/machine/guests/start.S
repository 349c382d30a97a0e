/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiboot entry of a bare guest, its exceptions in every mode, and the ways into long mode and real mode.
 */
#include "layout.h"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000003

#define CR0_PE	 0x00000001
#define CR0_PG	 0x80000000
#define CR4_PAE	 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define FLAGS_TF 0x100

/* struct trap */
#define TRAP_VECTOR	 0
#define TRAP_ERROR	 4
#define TRAP_IP		 8
#define TRAP_CR2	 12
#define TRAP_DEBUG_COUNT 16
#define TRAP_DEBUG_IP	 20
#define TRAP_DEBUG_DR6	 24

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
	lgdt gdt_pointer
	ljmp $SELECTOR_CODE32, $1f
1:	movl $SELECTOR_DATA, %ecx
	movl %ecx, %ds
	movl %ecx, %es
	movl %ecx, %fs
	movl %ecx, %gs
	movl %ecx, %ss
	pushl %ebx
	call guest_start
2:	hlt
	jmp 2b

	/*
	 * Vectors 0 to 31, 16 bytes each; those without an error code get a zero.
	 */
	.macro stubs common:req
	.set vector, 0
	.rept 32
	.balign 16
	.if !(0x60227d00 >> vector & 1)
	push $0
	.endif
	push $vector
	jmp \common
	.set vector, vector + 1
	.endr
	.endm

	.balign 16
	.globl trap_stubs32
trap_stubs32:
	stubs trap32

	/* On the stack: vector, error, eip, cs, eflags. */
trap32:
	pushl %eax
	cmpl $1, 4(%esp)
	je debug32
	movl 4(%esp), %eax
	movl %eax, trap + TRAP_VECTOR
	movl 8(%esp), %eax
	movl %eax, trap + TRAP_ERROR
	movl 12(%esp), %eax
	movl %eax, trap + TRAP_IP
	movl %cr2, %eax
	movl %eax, trap + TRAP_CR2
	movl trap_stack, %esp
	testl %esp, %esp
	jz trap_stray
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl trap + TRAP_VECTOR, %eax
	jmp trap_done
debug32:
	incl trap + TRAP_DEBUG_COUNT
	movl 12(%esp), %eax
	movl %eax, trap + TRAP_DEBUG_IP
	movl %dr6, %eax
	movl %eax, trap + TRAP_DEBUG_DR6
	andl $~FLAGS_TF, 20(%esp)
	popl %eax
	addl $8, %esp
	iretl
trap_stray:
	movl $stack_top, %esp
	call guest_stray

	/*
	 * uint32_t trap_call_code(void (*code)(void *), void *argument): cdecl
	 */
	.globl trap_call_code
trap_call_code:
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	pushfl
	movl %esp, trap_stack
	pushl 28(%esp)
	call *28(%esp)
	movl $0xffffffff, %eax
	movl trap_stack, %esp
trap_done:
	movl $0, trap_stack
	popfl
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret

	/*
	 * uint32_t long_call_code(const void *code, void *argument): cdecl. The IDT is the 64-bit one meanwhile.
	 * APM vol. 2, "Long-Mode Initialization Example" (14.8), "Leaving Long Mode" (14.7)
	 */
	.globl long_call_code
long_call_code:
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	pushfl
	movl 24(%esp), %esi
	movl 28(%esp), %edi
	movl %esp, trap_stack
	movl %cr4, %eax
	pushl %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $long_pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_PG, %eax
	movl %eax, %cr0
	lidt idt64_pointer
	ljmp $SELECTOR_CODE64, $1f
	.code64
1:	movl %esi, %eax
	movl %edi, %edi
	movl %esp, %esp
	movl %esp, trap_stack64(%rip)
	call *%rax
	movl $0xffffffff, %ebp
long_done:
	movl trap_stack64(%rip), %esp
	movl $0, trap_stack64(%rip)
	ljmpl *long_return(%rip)
	.code32
2:	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %cr0, %eax
	andl $~CR0_PG, %eax
	movl %eax, %cr0
	movl $MSR_EFER, %ecx
	rdmsr
	andl $~EFER_LME, %eax
	wrmsr
	popl %eax
	movl %eax, %cr4
	movl %ebp, %eax
	jmp trap_done

	.code64
	.balign 16
	.globl trap_stubs64
trap_stubs64:
	stubs trap64

	/* On the stack: vector, error, rip, cs, rflags, rsp, ss. */
trap64:
	pushq %rax
	cmpl $1, 8(%rsp)
	je debug64
	movl 8(%rsp), %eax
	movl %eax, trap + TRAP_VECTOR(%rip)
	movl 16(%rsp), %eax
	movl %eax, trap + TRAP_ERROR(%rip)
	movl 24(%rsp), %eax
	movl %eax, trap + TRAP_IP(%rip)
	movq %cr2, %rax
	movl %eax, trap + TRAP_CR2(%rip)
	movl trap + TRAP_VECTOR(%rip), %ebp
	jmp long_done
debug64:
	incl trap + TRAP_DEBUG_COUNT(%rip)
	movl 24(%rsp), %eax
	movl %eax, trap + TRAP_DEBUG_IP(%rip)
	movq %dr6, %rax
	movl %eax, trap + TRAP_DEBUG_DR6(%rip)
	andl $~FLAGS_TF, 40(%rsp)
	popq %rax
	addq $16, %rsp
	iretq

	/*
	 * uint32_t real_call_code(uint32_t argument): cdecl. The code is at REAL_CODE, real_switch's copy at REAL_SWITCH.
	 */
	.code32
	.globl real_call_code
real_call_code:
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	pushfl
	movl 24(%esp), %esi
	movl %esp, trap_stack
	movl $SELECTOR_DATA16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	ljmp $SELECTOR_CODE16, $(real_enter - real_switch)
real_back:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %ss
	movl trap_stack, %esp
	movl REAL_SWITCH + real_vector - real_switch, %eax
	movl %eax, trap + TRAP_VECTOR
	movl REAL_SWITCH + real_ip - real_switch, %ecx
	movl %ecx, trap + TRAP_IP
	movl REAL_SWITCH + real_debug_count - real_switch, %ecx
	movl %ecx, trap + TRAP_DEBUG_COUNT
	movl REAL_SWITCH + real_debug_ip - real_switch, %ecx
	movl %ecx, trap + TRAP_DEBUG_IP
	movl REAL_SWITCH + real_debug_dr6 - real_switch, %ecx
	movl %ecx, trap + TRAP_DEBUG_DR6
	jmp trap_done

	/* Everything below is copied to REAL_SWITCH. */
	.code16
	.balign 16
	.globl real_switch, real_switch_end
real_switch:
real_enter:
	lidtl real_idt - real_switch
	movl %cr0, %eax
	andb $~CR0_PE, %al
	movl %eax, %cr0
	ljmp $REAL_SWITCH >> 4, $(1f - real_switch)
1:	movw $REAL_CODE >> 4, %ax
	movw %ax, %ds
	movw %ax, %es
	movw $REAL_SWITCH >> 4, %ax
	movw %ax, %ss
	movl $0xfff0, %esp
	xorl %ebp, %ebp
	lcall $REAL_CODE >> 4, $0
	movl $0xffffffff, %ecx
real_done:
	cli
	cld
	movw $REAL_SWITCH >> 4, %ax
	movw %ax, %ds
	movl %ecx, real_vector - real_switch
	lgdtl real_gdt - real_switch
	movl %cr0, %eax
	orb $CR0_PE, %al
	movl %eax, %cr0
	ljmpl $SELECTOR_CODE32, $real_back

	/* On the stack: ip, cs, flags. */
	.globl real_trap0d, real_trap06, real_trap01
real_trap0d:
	movl $0x0d, %ecx
	jmp 1f
real_trap06:
	movl $0x06, %ecx
1:	popw %ax
	movw $REAL_SWITCH >> 4, %dx
	movw %dx, %ss
	movl $0xfff0, %esp
	movw %ax, %ss:(real_ip - real_switch)
	jmp real_done
real_trap01:
	pushw %bp
	pushl %eax
	movw %sp, %bp
	incl %cs:(real_debug_count - real_switch)
	movzwl 6(%bp), %eax
	movl %eax, %cs:(real_debug_ip - real_switch)
	movl %dr6, %eax
	movl %eax, %cs:(real_debug_dr6 - real_switch)
	andw $~FLAGS_TF, 10(%bp)
	popl %eax
	popw %bp
	iretw

	.balign 4
real_vector:
	.long 0
	.globl real_results
real_results:
real_ip:
	.long 0
real_debug_count:
	.long 0
real_debug_ip:
	.long 0
real_debug_dr6:
	.long 0
real_idt:
	.word 0x3ff
	.long 0
real_gdt:
	.word gdt_end - gdt - 1
	.long gdt
real_switch_end:

	.section .data
	.balign 8
	.globl gdt
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff	/* 32-bit code */
	.quad 0x00cf93000000ffff	/* data */
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00009b010000ffff	/* 16-bit code at REAL_SWITCH */
	.quad 0x000093010000ffff	/* 16-bit data at REAL_SWITCH */
	.skip (GDT_COUNT - GDT_FREE) * 8
gdt_end:
	.globl gdt_pointer
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
	.globl idt64_pointer
idt64_pointer:
	.word 32 * 16 - 1
	.long idt64, 0
long_return:
	.long 2b
	.word SELECTOR_CODE32
trap_stack:
	.long 0
trap_stack64:
	.long 0

	.section .bss
	.balign 4096
	.globl long_pml4, long_pdpt
long_pml4:
	.skip 4096
long_pdpt:
	.skip 4096
	.globl idt64
idt64:
	.skip 32 * 16
	.skip 16384
stack_top:

	.section .note.GNU-stack, "", @progbits
