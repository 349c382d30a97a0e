/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handlers that record, in every mode, and the ways into the modes.
 */
#include "record.h"

#define FLAGS_CLEAR 0x2
#define FLAGS_VM    0x20000
#define DR6_CLEAR   0xffff0ff0

/* struct record */
#define RECORD_VECTOR 0
#define RECORD_ERROR  4
#define RECORD_IP     8
#define RECORD_CS     12
#define RECORD_FLAGS  16
#define RECORD_CR2    20
#define RECORD_DR6    24
#define RECORD_ECX    28
#define RECORD_ESI    32
#define RECORD_EDI    36
#define RECORD_SIZE   40

	/* One entry a vector, 16 bytes each; those without an error code get a zero. */
	.macro stubs common:req
	.set vector, 0
	.rept RECORD_VECTORS
	.balign 16
	.if vector > 31 || !(0x60227d00 >> (vector & 31) & 1)
	push $0
	.endif
	push $vector
	jmp \common
	.set vector, vector + 1
	.endr
	.endm

	.text
	.code32
	.balign 16
	.globl record_stubs32
record_stubs32:
	stubs record32

	/* struct frame32 */
record32:
	pushal
	pushl %ds
	pushl %es
	pushl %fs
	pushl %gs
	cld
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	/* C code wants a flat stack */
	movl %ss, %ebx
	cmpl $SELECTOR_SNIPPET16_DATA, %ebx
	jne 1f
	movzwl %sp, %ecx
	addl $REAL_CODE, %ecx
	movl %eax, %ss
	movl %ecx, %esp
1:	pushl %ebx
	leal 4(%esp), %eax
	pushl %eax
	call record_event
	addl $4, %esp
	popl %ebx
	testb %al, %al
	jnz record_done
	cmpl $SELECTOR_SNIPPET16_DATA, %ebx
	jne 2f
	movl %esp, %eax
	subl $REAL_CODE, %eax
	movl %ebx, %ss
	movl %eax, %esp
2:	popl %gs
	popl %fs
	popl %es
	popl %ds
	popal
	addl $8, %esp
	iretl

	/*
	 * void record_run(void (*code)(void), uint32_t argument): cdecl
	 */
	.globl record_run, record_done
record_run:
	pushl %ebp
	pushl %ebx
	pushl %esi
	pushl %edi
	pushfl
	movl 24(%esp), %eax
	movl 28(%esp), %edi
	movl %esp, record_stack
	call *%eax
record_done:
	cli
	cld
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	movl record_stack, %esp
	popfl
	popl %edi
	popl %esi
	popl %ebx
	popl %ebp
	ret

	/* Snippets of record_run() that go on to another place: edi points to {code, argument, is_compat, flags}. */
	.globl record_user
record_user:
	movl $SELECTOR_USER_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	pushl %eax
	pushl $record_user_stack_top
	pushl 12(%edi)
	pushl $SELECTOR_USER_CODE
	pushl (%edi)
	movl 4(%edi), %edi
	iretl

	.globl record_protected16
record_protected16:
	movl $SELECTOR_SNIPPET16_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $SNIPPET16_STACK, %esp
	ljmp $SELECTOR_SNIPPET16, $(protected16 - record16)

	/* edi: the flags */
	.globl record_v86
record_v86:
	movl $REAL_CODE >> 4, %eax
	pushl %eax		/* gs, fs, ds, es */
	pushl %eax
	pushl %eax
	pushl %eax
	pushl %eax
	pushl $SNIPPET16_STACK
	orl $FLAGS_VM | FLAGS_CLEAR, %edi
	pushl %edi
	pushl %eax
	pushl $SNIPPET16_AT
	iretl

	.code64
	.balign 16
	.globl record_stubs64
record_stubs64:
	stubs record64

	/* On the stack: vector, error, rip, cs, rflags, rsp, ss. */
record64:
	pushq %rax
	pushq %rbx
	pushq %rcx
	movl 24(%rsp), %ecx
	cmpl $RECORD_END, %ecx
	je run64_done
	movl record_count(%rip), %eax
	cmpl $RECORD_MAX, %eax
	jae run64_done
	incl record_count(%rip)
	imull $RECORD_SIZE, %eax, %ebx
	addl $record, %ebx
	movl %ecx, RECORD_VECTOR(%rbx)
	movl 32(%rsp), %eax
	movl %eax, RECORD_ERROR(%rbx)
	movl 40(%rsp), %eax
	movl %eax, RECORD_IP(%rbx)
	movl 48(%rsp), %eax
	movl %eax, RECORD_CS(%rbx)
	movl 56(%rsp), %eax
	movl %eax, RECORD_FLAGS(%rbx)
	movq %cr2, %rax
	movl %eax, RECORD_CR2(%rbx)
	movq %dr6, %rax
	movl %eax, RECORD_DR6(%rbx)
	movq (%rsp), %rax
	movl %eax, RECORD_ECX(%rbx)
	movl %esi, RECORD_ESI(%rbx)
	movl %edi, RECORD_EDI(%rbx)
	cmpl $1, %ecx
	jne 1f
	movl $DR6_CLEAR, %eax
	movq %rax, %dr6
	movl record_debug_set(%rip), %eax
	orl %eax, 56(%rsp)
	movl record_debug_clear(%rip), %eax
	notl %eax
	andl %eax, 56(%rsp)
1:	cmpl $31, %ecx
	ja 2f
	btl %ecx, record_returns(%rip)
	jnc run64_done
2:	popq %rcx
	popq %rbx
	popq %rax
	addq $16, %rsp
	iretq

	/* edi: struct iret64 */
	.balign 16
	.globl iret_frame64
iret_frame64:
	movl $5, %ecx
1:	pushq -8(%rdi, %rcx, 8)
	loop 1b
	movl 40(%rdi), %edi
	iretq

	/* Code for long_call(): rdi points to {code, argument, is_compat}. */
	.globl record_run64
record_run64:
	pushq %rbx
	pushq %rbp
	lidt record_idt64_pointer(%rip)
	movl $SELECTOR_TSS64, %eax
	ltr %ax
	movq %rsp, record_stack64(%rip)
	movl (%rdi), %eax
	cmpl $0, 8(%rdi)
	movl 4(%rdi), %edi
	jne 1f
	call *%rax
	jmp run64_done
1:	lcall *compat_pointer(%rip)
run64_done:
	cli
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	movq record_stack64(%rip), %rsp
	pushq $FLAGS_CLEAR
	popfq
	popq %rbp
	popq %rbx
	ret

	.code32
compat:
	call *%eax
	lretl

	/*
	 * Copied to REAL_CODE, before the snippet: code for real_call(), and what is 16 bit in protected mode.
	 */
	.code16
	.balign 16
	.globl record16, record16_end
record16:
	pushw %es
	xorw %ax, %ax
	movw %ax, %es
	movw $(vectors_saved - record16), %di
	xorw %bx, %bx
	movw $(stubs16 - record16), %ax
1:	movl %es:(%bx), %edx
	movl %edx, (%di)
	movw %ax, %es:(%bx)
	movw %cs, %es:2(%bx)
	addw $8, %ax
	addw $4, %bx
	addw $4, %di
	cmpw $RECORD_VECTORS * 4, %bx
	jne 1b
	popw %es
	movw %ss, stack16 - record16 + 2
	movw %sp, stack16 - record16
	movw %ds, %ax
	movw %ax, %ss
	movw $SNIPPET16_STACK, %sp
	movw $SNIPPET16_AT, %ax
	call *%ax
real_done:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	lssw stack16 - record16, %sp
	xorw %ax, %ax
	movw %ax, %es
	movw $(vectors_saved - record16), %si
	xorw %di, %di
	movw $RECORD_VECTORS, %cx
	rep movsl
	lret

protected16:
	movw $SNIPPET16_AT, %ax
	call *%ax
	ljmpl $SELECTOR_CODE32, $record_done

	.balign 8
stubs16:
	.set vector, 0
	.rept RECORD_VECTORS
	.balign 8
	pushw $vector
	jmp event16
	.set vector, vector + 1
	.endr

	/* On the stack: vector, ip, cs, flags. FS is flat. */
event16:
	pushal
	movw %sp, %bp
	movzwl 32(%bp), %ecx
	cmpw $RECORD_END, %cx
	je real_done
	movl $record_count, %esi
	movl %fs:(%esi), %eax
	cmpl $RECORD_MAX, %eax
	jae real_done
	incl %fs:(%esi)
	imull $RECORD_SIZE, %eax, %ebx
	addl $record, %ebx
	movl %ecx, %fs:RECORD_VECTOR(%ebx)
	movl $0, %fs:RECORD_ERROR(%ebx)
	movzwl 34(%bp), %eax
	movl %eax, %fs:RECORD_IP(%ebx)
	movzwl 36(%bp), %eax
	movl %eax, %fs:RECORD_CS(%ebx)
	movzwl 38(%bp), %eax
	movl %eax, %fs:RECORD_FLAGS(%ebx)
	movl %dr6, %eax
	movl %eax, %fs:RECORD_DR6(%ebx)
	movl 24(%bp), %eax
	movl %eax, %fs:RECORD_ECX(%ebx)
	movl 4(%bp), %eax
	movl %eax, %fs:RECORD_ESI(%ebx)
	movl (%bp), %eax
	movl %eax, %fs:RECORD_EDI(%ebx)
	cmpw $1, %cx
	jne 1f
	movl $DR6_CLEAR, %eax
	movl %eax, %dr6
	movl %fs:record_debug_set - record_count(%esi), %eax
	orw %ax, 38(%bp)
	movl %fs:record_debug_clear - record_count(%esi), %eax
	notw %ax
	andw %ax, 38(%bp)
1:	cmpw $31, %cx
	ja 2f
	movl %fs:record_returns - record_count(%esi), %eax
	btl %ecx, %eax
	jnc real_done
2:	popal
	addw $2, %sp
	iretw

	.balign 4
stack16:
	.long 0
vectors_saved:
	.skip RECORD_VECTORS * 4
	/* the snippet's place */
	.org record16 + SNIPPET16_AT
record16_end:

	.section .data
	.balign 4
	.globl record_returns, record_debug_set, record_debug_clear
record_returns:
	.long 0x1e
record_debug_set:
	.long 0
record_debug_clear:
	.long 0
	.globl record_count
record_count:
	.long 0
record_stack:
	.long 0
record_stack64:
	.quad 0
compat_pointer:
	.long compat
	.word SELECTOR_CODE32
	.balign 4
record_idt64_pointer:
	.word RECORD_VECTORS * 16 - 1
	.long record_idt64, 0

	.section .bss
	.balign 4096
	.globl record_user_stack_top
	.skip 4096
record_user_stack_top:

	.section .note.GNU-stack, "", @progbits
