/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform_v8086.c's snippets. INT3 tells what is in ECX, whatever IOPL is; HLT ends.
 */
#include "snippet.inc"
#include "conform_v8086.h"

#define FLAGS_MOST   0x7ed7   /* all of the lower half but TF */
#define FLAGS_MOST32 0x3c7ed7 /* and AC, VIF, VIP, ID */

	.text

	/* macros' names do not reach into quotes */
	.set efer, MSR_EFER
	.set most32, FLAGS_MOST32
	.set port_at, PORT_AT

	.macro v8086 name:req
	snippet16 \name
	xorl %ecx, %ecx
	xorl %esi, %esi
	xorl %edi, %edi
	.endm
	.macro v8086_end name:req
	hlt
	snippet16_end \name
	.endm

	.macro v8086_one name:req, insn:req
	v8086 \name
	\insn
	v8086_end \name
	.endm

	/* IRET to what is behind it */
	.macro v8086_iret name:req, flags:req, push:req, iret:req
	v8086 \name
	\push $\flags
	\push $REAL_CODE >> 4
	\push $SNIPPET16_AT + (1f - \name)
	\iret
1:	int3
	v8086_end \name
	.endm

	.macro v8086_popf name:req, flags:req
	v8086 \name
	pushw $\flags
	popfw
	int3
	v8086_end \name
	.endm

	v8086_one v_cli, "cli; int3"
	v8086_one v_sti, "sti; int3"
	v8086_one v_pushf, "pushfw; popw %cx; int3"
	v8086_one v_pushf32, "pushfl; popl %ecx; int3"
	v8086_popf v_popf, FLAGS_MOST
	v8086_popf v_popf_if, FLAGS_IF
	v8086_popf v_popf_tf, FLAGS_TF
	v8086_one v_popf32, "pushl $most32; popfl; int3"
	v8086_iret v_iret, FLAGS_MOST, pushw, iretw
	v8086_iret v_iret_if, FLAGS_IF, pushw, iretw
	v8086_iret v_iret_tf, FLAGS_TF, pushw, iretw
	v8086_iret v_iret32, FLAGS_MOST32, pushl, iretl

	/* and what its handler in the program finds: flags */
	.globl v_int_handler
	v8086 v_int
	int $0x33
	int3
	hlt
v_int_handler:
	movw %sp, %bp
	movzwl 4(%bp), %ecx
	int3
	iretw
	v8086_end v_int

	v8086_one v_int_kernel, "int $0x21"
	v8086_one v_int3, "int3"
	v8086_one v_into, "movb $0x7f, %al; addb $1, %al; into"
	v8086_one v_icebp, ".byte 0xf1"

	/* HLT by itself would be the end */
	v8086_one v_hlt, ".byte 0x66, 0xf4"
	v8086_one v_clts, "clts"
	v8086_one v_invd, "invd"
	v8086_one v_wbinvd, "wbinvd"
	v8086_one v_lmsw, "lmsw %ax"
	v8086_one v_cr0, ".byte 0x0f, 0x22, 0xc0"
	v8086_one v_cr0_read, ".byte 0x0f, 0x20, 0xc0"
	v8086_one v_dr7, ".byte 0x0f, 0x23, 0xf8"
	v8086_one v_rdmsr, "movl $efer, %ecx; rdmsr"
	v8086_one v_wrmsr, "movl $efer, %ecx; wrmsr"
	v8086_one v_lgdt, "lgdtw (%si)"
	v8086_one v_lidt, "lidtw (%si)"
	v8086_one v_invlpg, "invlpg (%si)"
	v8086_one v_rdtsc, "rdtsc"
	v8086_one v_lldt, "lldt %cx"
	v8086_one v_ltr, "ltr %cx"
	v8086_one v_sldt, "sldt %cx"
	v8086_one v_str, "str %cx"
	v8086_one v_lar, "lar %cx, %ax"
	v8086_one v_verr, "verr %cx"
	v8086_one v_arpl, ".byte 0x63, 0xc8"
	v8086_one v_vmcall, "vmcall"
	v8086_one v_vmmcall, "vmmcall"
	v8086_one v_smsw, "smsw %cx; andw $1, %cx; int3"
	v8086_one v_sgdt, "sgdtw 0x4000; movw 0x4000, %cx; int3"
	v8086_one v_cpuid, "xorl %eax, %eax; cpuid; xorl %ecx, %ecx; int3"

	/* the port is where C code put it */
	v8086_one v_in, "movw port_at, %dx; inb %dx, %al; int3"
	v8086_one v_in_word, "movw port_at, %dx; inw %dx, %ax; int3"
	v8086_one v_out, "movw port_at, %dx; movb $2, %al; outb %al, %dx; int3"
	v8086_one v_in_direct, ".byte 0xe4, 0x92; int3"

	.macro v8086_string name:req, count:req, at:req, insn:req
	v8086 \name
	movw port_at, %dx
	movw $\count, %cx
	movl $\at, %edi
	movl %edi, %esi
	\insn
	int3
	v8086_end \name
	.endm

	/* string instructions with the address size of 32 bits: 67h */
	v8086_string v_insb, 1, 0x4000, "insb"
	v8086_string v_insw, 1, 0x4000, "insw"
	v8086_string v_rep_insb, 3, 0x4000, "rep insb"
	v8086_string v_insb_32, 3, 0xfffe, ".byte 0x67; rep insb"
	v8086_string v_insb_limit, 1, 0xffff, "insw"
	v8086_string v_outsb, 1, 0x4000, "outsb"
	v8086_string v_outsb_limit, 2, 0xffff, ".byte 0x67; rep outsb"

	v8086_one v_divide, "divl %ecx"
	v8086_one v_ud2, "ud2"
	v8086_one v_bound, "pushl $0; movw %sp, %si; incw %cx; bound %cx, (%si)"
	v8086_one v_limit, "movw 0xffff, %ax"
	v8086_one v_limit_stack, "movw $0xffff, %bp; movw (%bp), %ax"
	v8086_one v_limit_32, "movl $0x10000, %ebx; movb (%ebx), %al"
	v8086_one v_unaligned, "movw 0x4001, %ax"

	v8086 v_far
	pushw $(REAL_CODE >> 4) + 0x10
	pushw $SNIPPET16_AT - 0x100 + (1f - v_far)
	lretw
1:	int3
	v8086_end v_far

	v8086 v_step
	nop
	movw %ss, %ax
	movw %ax, %ss
	nop
	pushfw
	nop
	v8086_end v_step

	v8086 v_step_exits
	nop
	cpuid
	in $PORT_A20, %al
	movw $PORT_A20, %dx
	movw $0x4000, %di
	movw $2, %cx
	rep insb
	movw %ss, %ax
	movw %ax, %ss
	cpuid
	nop
	v8086_end v_step_exits

	v8086_one v_load, "movw 0x4000, %cx"
	v8086_one v_store, "movw %cx, 0x4ffe"

	.macro v8086_irq name:req, insn:req
	v8086 \name
	nop
	\insn
	nop
	nop
	v8086_end \name
	.endm
	v8086_irq v_irq_cpuid, "cpuid"
	v8086_irq v_irq_in, ".byte 0xe4, 0x92"
	v8086_irq v_irq_nop, "nop"
	v8086_irq v_irq_sti, "sti; nop"
	v8086_irq v_irq_sti_cpuid, "sti; cpuid"

	.code32
	.macro protected name:req, insn:req
	snippet \name
	xorl %ecx, %ecx
	xorl %esi, %esi
	\insn
	int $0x30
	stop
	.endm
	protected p_cli, "cli"
	protected p_sti, "sti"
	protected p_pushf, "pushf; popl %ecx"
	protected p_popf, "pushl $most32; popf"

	/* ring 3 cannot turn it on */
	snippet iret_vm
	xorl %ecx, %ecx
	xorl %esi, %esi
	pushl $FLAGS_VM | 2
	pushl $SELECTOR_USER_CODE
	pushl $1f
	iretl
1:	int $0x30
	stop

	.section .note.GNU-stack, "", @progbits
