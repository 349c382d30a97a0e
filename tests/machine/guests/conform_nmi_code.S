/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform_nmi.c's snippets. The NMI handler sends the next NMI and returns to behind "target".
 */
#include "snippet.inc"

	.text
	.code32

	/* edi: the place where the APIC takes commands; the first NMI comes somewhere in the loop */
	.macro send name:req, insn:vararg
	snippet \name
	call nmi_send
1:	cmpl $0, record_count
	je 1b
	stop
	.balign 16
	.globl \name\()_target
\name\()_target:
	\insn
	nop
	stop
	.endm

	send nmi_nop, nop
	send nmi_cpuid, xorl %eax, %eax; cpuid
	send nmi_in, inb $PORT_A20, %al
	send nmi_invd, invd

	/* blocked, and not given up by the exits of these */
	.macro exits
	xorl %eax, %eax
	cpuid
	inb $PORT_A20, %al
	movl $MSR_EFER, %ecx
	rdmsr
	wrmsr
	invd
	.endm

	.globl nmi_exits
nmi_exits:
	pushal
	movl $100, %esi
1:	exits
	decl %esi
	jnz 1b
	popal
	ret

	/* while NMIs are blocked: sent, not delivered, and delivered behind IRET */
	snippet blocked
	call nmi_send
	call nmi_exits
	pushl $2
	pushl $SELECTOR_CODE32
	pushl $1f
	iretl
1:	cpuid
	stop

	/* the IRET of another exception's handler ends it, too */
	snippet blocked_int
	call nmi_send
	call nmi_exits
	int $0x30
	nop
	stop

	/* popf and far jumps do not */
	snippet blocked_others
	call nmi_send
	pushf
	popf
	ljmp $SELECTOR_CODE32, $1f
1:	pushl %cs
	call 2f
	call nmi_exits
	pushl $2
	pushl $SELECTOR_CODE32
	pushl $3f
	iretl
2:	lret
3:	nop
	stop

	/* MOV SS behind it */
	snippet blocked_shadow
	call nmi_send
	movl %ss, %eax
	pushl $2
	pushl $SELECTOR_CODE32
	pushl $1f
	iretl
1:	movl %eax, %ss
	cpuid
	stop

	.code64
	snippet blocked64
	movl $0xfee00300, %edx
	movl $0x400, (%rdx)
	movl $100, %esi
1:	exits
	decl %esi
	jnz 1b
	movq %rsp, %rax
	movl %ss, %ebx
	pushq %rbx
	pushq %rax
	pushq $2
	movl %cs, %ebx
	pushq %rbx
	movl $2f, %ebx
	pushq %rbx
	iretq
2:	cpuid
	stop

	snippet16 blocked16
	movl $0xfee00300, %edx
	movl $0x400, %eax
	movl %eax, %fs:(%edx)
	movw $100, %si
1:	exits
	decw %si
	jnz 1b
	pushfw
	pushw %cs
	pushw $SNIPPET16_AT + 2f - blocked16
	iretw
2:	cpuid
	stop
	snippet16_end blocked16

	.section .note.GNU-stack, "", @progbits
