/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform_exceptions.c's snippets.
 */
#include "snippet.inc"

#define X87_UNMASKED 0x037b /* division by zero */
#define MXCSR_UNMASKED 0x1d80
#define FLOAT_ONE   0x3f800000
#define MXCSR	    0x1f80

	.text

	/* one body for both sizes of code: name32, name64 */
	.macro wide name:req, body:req
	.code32
	snippet \name\()32
	\body
	stop
	.code64
	snippet \name\()64
	\body
	stop
	.endm

	/* and name16 */
	.macro everywhere name:req, body:req
	wide \name, "\body"
	snippet16 \name\()16
	\body
	stop
	snippet16_end \name\()16
	.endm

	everywhere divide, "xorl %ecx, %ecx; divl %ecx"
	everywhere divide_byte, "movw $0x1234, %ax; movb $1, %cl; divb %cl"
	everywhere divide_signed, "movl $0x80000000, %eax; cltd; movl $-1, %ecx; idivl %ecx"
	everywhere icebp, ".byte 0xf1"
	everywhere breakpoint, ".byte 0xcc"
	everywhere int_three, ".byte 0xcd, 3"
	everywhere int_four, ".byte 0xcd, 4"
	/* overflow by addition; INTO */
	everywhere into, "movb $0x7f, %al; addb $1, %al; .byte 0xce"
	everywhere into_clear, "xorl %eax, %eax; .byte 0xce"
	everywhere ud2, "ud2"
	everywhere lock_register, ".byte 0xf0, 0x01, 0xc0"
	everywhere lock_load, ".byte 0xf0, 0x8b, 0x00"
	everywhere mov_to_cs, ".byte 0x8e, 0xc8"
	everywhere group_absent, ".byte 0xff, 0xff"
	/* AAM; 15 bytes of prefixes */
	everywhere aam_zero, ".byte 0xd4, 0"
	everywhere too_long, ".fill 15, 1, 0x66; nop"
	everywhere longest, ".fill 14, 1, 0x66; nop"
	everywhere x87, "fnop"
	everywhere x87_wait, "fwait"
	everywhere sse, "xorps %xmm0, %xmm0"

	.code32
	snippet bound_in
	pushl $20
	pushl $10
	movl $20, %eax
	bound %eax, (%esp)
	stop

	snippet bound_out
	pushl $20
	pushl $10
	movl $21, %eax
	bound %eax, (%esp)
	stop

	snippet16 bound16_out
	pushw $20
	pushw $10
	movw %sp, %si
	movw $9, %ax
	bound %ax, (%si)
	stop
	snippet16_end bound16_out

	snippet16 limit_data
	movw $0xffff, %si
	movw (%si), %ax
	stop
	snippet16_end limit_data

	snippet16 limit_stack
	movw $0xffff, %bp
	movw (%bp), %ax
	stop
	snippet16_end limit_stack

	/* x87 and SSE: registers as they were before */
	.macro numeric bits:req, sp:req
	snippet mf\bits
	fninit
	push $X87_UNMASKED
	fldcw (%\sp)
	fld1
	fldz
	fdivrp
	nop
	fwait
	stop

	/* pending, and met by an instruction that does not wait */
	snippet mf_no_wait\bits
	fninit
	push $X87_UNMASKED
	fldcw (%\sp)
	fld1
	fldz
	fdivrp
	fnclex
	fwait
	stop

	snippet xm\bits
	push $MXCSR_UNMASKED
	ldmxcsr (%\sp)
	push $FLOAT_ONE
	movss (%\sp), %xmm0
	xorps %xmm1, %xmm1
	divss %xmm1, %xmm0
	stop

	snippet x87_reset\bits
	fninit
	push $MXCSR
	ldmxcsr (%\sp)
	stop

	snippet aligned\bits
	pushf
	orl $FLAGS_AC, (%\sp)
	popf
	movl -8(%\sp), %eax
	movw -6(%\sp), %ax
	movb -5(%\sp), %al
	stop

	snippet unaligned\bits
	pushf
	orl $FLAGS_AC, (%\sp)
	popf
	movl -7(%\sp), %eax
	stop

	snippet unaligned_word\bits
	pushf
	orl $FLAGS_AC, (%\sp)
	popf
	movw %ax, -7(%\sp)
	stop
	.endm

	.code32
	numeric 32, esp
	.code64
	numeric 64, rsp

	/* macros' names do not reach into quotes */
	.set port, PORT_A20
	.set efer, MSR_EFER

	/* instructions of ring 0 */
	wide p_cli, "cli"
	wide p_sti, "sti"
	wide p_hlt, "hlt"
	wide p_in, "in $port, %al"
	wide p_out, "movb $2, %al; out %al, $port"
	wide p_insb, "mov $port, %dx; insb"
	wide p_clts, "clts"
	wide p_invd, "invd"
	wide p_wbinvd, "wbinvd"
	wide p_rdmsr, "movl $efer, %ecx; rdmsr"
	wide p_wrmsr, "movl $efer, %ecx; wrmsr"
	wide p_cr0, ".byte 0x0f, 0x22, 0xc0"
	wide p_cr0_read, ".byte 0x0f, 0x20, 0xc0"
	wide p_cr4, ".byte 0x0f, 0x22, 0xe0"
	wide p_dr7, ".byte 0x0f, 0x23, 0xf8"
	wide p_dr7_read, ".byte 0x0f, 0x21, 0xf8"
	wide p_lmsw, "lmsw %ax"
	wide p_lgdt, ".byte 0x0f, 0x01, 0x10"
	wide p_lidt, ".byte 0x0f, 0x01, 0x18"
	wide p_lldt, "lldt %ax"
	wide p_ltr, "ltr %ax"
	wide p_invlpg, ".byte 0x0f, 0x01, 0x38"
	wide p_cpuid, "xorl %eax, %eax; cpuid"
	wide p_smsw, "smsw %ax"
	wide p_rdtsc, "rdtsc"

	.code32
	/* what POPF of ring 3 changes */
	snippet popf_all32
	pushl $0x3202 | FLAGS_NT | FLAGS_AC | 0x200000
	popf
	int $0x30
	stop

	.code64
	snippet popf_all64
	pushq $0x3202 | FLAGS_NT | FLAGS_AC | 0x200000
	popfq
	int $0x30
	stop

	.code64
	.macro uncanonical name:req, insn:vararg
	snippet \name
	movq $0x800000000000, %rbx
	movq %rsp, %rbp
	\insn
	stop
	.endm
	uncanonical nc_load, movl (%rbx), %eax
	uncanonical nc_store, movl %eax, (%rbx)
	uncanonical nc_rbp, movl (%rbp, %rbx), %eax
	uncanonical nc_rsp, movl (%rsp, %rbx), %eax
	uncanonical nc_invlpg, invlpg (%rbx)
	snippet nc_push
	movq $0x800000001000, %rsp
	pushq %rax
	stop

	snippet push_es
	.byte 0x06
	stop

	snippet far_jump_direct
	.byte 0xea, 0, 0, 0, 0, 8, 0
	stop

	snippet syscall_off
	syscall
	stop

	/* page faults; edi: the page, which 64-bit code has in the second PML4 entry */
	.macro faults bits:req, di:req, window
	snippet pf_load\bits
	\window
	movl (%\di), %eax
	stop
	snippet pf_store\bits
	\window
	movl %ecx, 4(%\di)
	stop
	snippet pf_add\bits
	\window
	addl $0, 8(%\di)
	stop
	snippet pf_fetch\bits
	\window
	call *%\di
	stop
	.endm

	.code32
	faults 32, edi
	.code64
	faults 64, rdi, "btsq $39, %rdi"

	.section .note.GNU-stack, "", @progbits
