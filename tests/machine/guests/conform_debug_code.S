/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform_debug.c's snippets.
 */
#include "snippet.inc"

#define DR7_FIXED   0x400
#define DR7_G0	    0x002
#define DR7_G1	    0x008
#define DR7_GD	    0x2000
#define DR7_WRITE0  0x10000
#define DR7_IO0	    0x20000
#define DR7_ACCESS0 0x30000
#define DR7_LONG0   0xc0000

	.text
	.code32

	/* setup, then a single step over one instruction */
	.macro step name:req, insn:vararg
	snippet \name
	xorl %eax, %eax
	xorl %ecx, %ecx
	tf_on
	\insn
	stop
	.endm

	.macro step_port name:req, insn:vararg
	snippet \name
	movl $PORT_A20, %edx
	inb %dx, %al
	movb %al, %ah
	movw %ax, buffer
	movw %ax, buffer + 2
	movl $3, %ecx
	movl $buffer, %esi
	movl $buffer + 4, %edi
	tf_on
	\insn
	stop
	.endm

	.macro step_msr name:req, msr:req, insn:vararg
	snippet \name
	movl \msr, %ecx
	rdmsr
	tf_on
	\insn
	stop
	.endm

	.macro step_cr name:req, reg:req, xor:req, insn:vararg
	snippet \name
	movl %\reg, %ebx
	movl %ebx, %eax
	xorl \xor, %eax
	tf_on
	\insn
	movl %ebx, %\reg
	stop
	.endm

	step step_nop, nop
	step step_cpuid, cpuid
	step step_cpuid_prefix, .byte 0x66, 0xf3, 0x2e, 0x0f, 0xa2
	step step_cpuid_cpuid, .byte 0x0f, 0xa2, 0x31, 0xc9, 0x0f, 0xa2
	step step_rdtsc, rdtsc
	step_msr step_rdmsr, $MSR_EFER, rdmsr
	step_msr step_wrmsr, $MSR_EFER, wrmsr
	step_msr step_rdmsr_own, $0x174, rdmsr
	step_port step_in, inb %dx, %al
	step_port step_in_immediate, inb $PORT_A20, %al
	step_port step_in_word, inw %dx, %ax
	step_port step_in_long, inl %dx, %eax
	step_port step_out, outb %al, %dx
	step_port step_out_immediate, outb %al, $PORT_A20
	step_port step_in_own, inb $0x80, %al
	step_port step_insb, insb
	step_port step_rep_insb, rep insb
	step_port step_rep_outsb, rep outsb
	step_port step_rep_movsb, rep movsb
	step step_rep_insb_none, rep insb
	step step_invd, invd
	step step_wbinvd, wbinvd
	step_cr step_cr0_ne, cr0, $CR0_NE, movl %eax, %cr0
	step_cr step_cr0_ts, cr0, $CR0_TS, movl %eax, %cr0
	step_cr step_lmsw, cr0, $CR0_TS, lmsw %ax
	step step_clts, clts
	step_cr step_cr4, cr4, $CR4_DE, movl %eax, %cr4
	step step_sti_cli, .byte 0xfb, 0xfa
	step step_int3, int3
	step step_int, int $0x30
	step step_vmmcall, vmmcall
	step step_ud, ud2
	step step_far_jump, ljmp $SELECTOR_CODE32, $. + 7

	snippet step_xsetbv
	movl %cr4, %ebx
	movl %ebx, %eax
	orl $CR4_OSXSAVE, %eax
	movl %eax, %cr4
	xorl %ecx, %ecx
	xgetbv
	tf_on
	xsetbv
	movl %ebx, %cr4
	stop

	/* a fault does not trap: bit 0, which has to be set, is clear */
	snippet step_xsetbv_bad
	movl %cr4, %eax
	orl $CR4_OSXSAVE, %eax
	movl %eax, %cr4
	xorl %eax, %eax
	xorl %ecx, %ecx
	cltd
	tf_on
	xsetbv
	stop

	snippet step_mov_ss
	movl %ss, %eax
	tf_on
	movl %eax, %ss
	nop
	nop
	stop

	snippet step_mov_ss_cpuid
	movl %ss, %eax
	xorl %ecx, %ecx
	tf_on
	movl %eax, %ss
	cpuid
	nop
	stop

	snippet step_pop_ss_in
	pushl %ss
	tf_on
	popl %ss
	inb $PORT_A20, %al
	nop
	stop

	snippet step_mov_ss_int3
	movl %ss, %eax
	tf_on
	movl %eax, %ss
	int3
	stop

	snippet step_pushf
	tf_on
	pushf
	popf
	stop

	/* popf that clears TF is the last one that traps */
	snippet step_popf
	pushf
	tf_on
	popf
	nop
	stop

	/* the trap comes behind the first instruction of the new place */
	snippet step_iret
	pushl $FLAGS_TF | 2
	pushl $SELECTOR_CODE32
	pushl $1f
	iretl
1:	cpuid
	stop

	/* Breakpoints: DR0 and DR1 at addresses, then DR7. */
	.macro breakpoint dr0:req, dr1:req, dr7:req
	movl \dr0, %eax
	movl %eax, %dr0
	movl \dr1, %eax
	movl %eax, %dr1
	movl \dr7, %eax
	movl %eax, %dr7
	.endm

	/* at an instruction and at the next one */
	.macro execute name:req, insn:vararg
	snippet \name
	breakpoint $1f, $2f, $DR7_FIXED | DR7_G0 | DR7_G1
	xorl %eax, %eax
	movl $MSR_EFER, %ecx
1:	\insn
2:	nop
	stop
	.endm

	execute execute_nop, nop
	execute execute_cpuid, cpuid
	execute execute_rdmsr, rdmsr
	execute execute_in, inb $PORT_A20, %al

	/* RF holds for one instruction only */
	snippet execute_loop
	breakpoint $1f, $0, $DR7_FIXED | DR7_G0
	movl $2, %esi
1:	cpuid
	decl %esi
	jnz 1b
	stop

	snippet execute_iret_rf
	breakpoint $1f, $0, $DR7_FIXED | DR7_G0
	pushl $FLAGS_RF | 2
	pushl $SELECTOR_CODE32
	pushl $1f
	iretl
1:	cpuid
	stop

	snippet execute_popf_rf
	breakpoint $1f, $0, $DR7_FIXED | DR7_G0
	pushl $FLAGS_RF | 2
	popf
1:	cpuid
	stop

	snippet write_mov
	breakpoint $buffer, $0, $DR7_FIXED | DR7_G0 | DR7_WRITE0 | DR7_LONG0
	movl buffer, %eax
	movl %eax, buffer
	cpuid
	movb $0, buffer + 3
	movb $0, buffer + 4
	stop

	snippet access_mov
	breakpoint $buffer, $0, $DR7_FIXED | DR7_G0 | DR7_ACCESS0 | DR7_LONG0
	movl buffer, %eax
	nop
	movl %eax, buffer
	stop

	snippet write_rep_stosb
	breakpoint $buffer + 2, $0, $DR7_FIXED | DR7_G0 | DR7_WRITE0
	xorl %eax, %eax
	movl $4, %ecx
	movl $buffer, %edi
	rep stosb
	movl %ecx, %ebx
	stop

	/* emulated: the element that was watched, then the end */
	snippet write_insb
	breakpoint $buffer, $0, $DR7_FIXED | DR7_G0 | DR7_WRITE0
	movl $PORT_A20, %edx
	movl $buffer, %edi
	insb
	nop
	stop

	snippet write_rep_insb
	breakpoint $buffer + 1, $0, $DR7_FIXED | DR7_G0 | DR7_WRITE0
	movl $PORT_A20, %edx
	movl $buffer, %edi
	movl $3, %ecx
	rep insb
	stop

	snippet access_outsb
	movl $PORT_A20, %edx
	inb %dx, %al
	movb %al, buffer
	breakpoint $buffer, $0, $DR7_FIXED | DR7_G0 | DR7_ACCESS0
	movl $buffer, %esi
	outsb
	nop
	stop

	/* it waits for what is behind MOV SS */
	.macro access_ss name:req, insn:req
	snippet \name
	movw %ss, buffer
	breakpoint $buffer, $0, $DR7_FIXED | DR7_G0 | DR7_ACCESS0
	xorl %eax, %eax
	movw buffer, %ss
	\insn
	nop
	stop
	.endm

	access_ss access_mov_ss, nop
	access_ss access_mov_ss_cpuid, cpuid

	/* Ports: with CR4.DE */
	.macro port name:req, port:req, insn:vararg
	snippet \name
	movl %cr4, %eax
	orl $CR4_DE, %eax
	movl %eax, %cr4
	inb $PORT_A20, %al
	movb %al, %bl
	breakpoint \port, $0, $DR7_FIXED | DR7_G0 | DR7_IO0
	movb %bl, %al
	movl $buffer, %edi
	movl $2, %ecx
	movl $PORT_A20, %edx
	\insn
	nop
	stop
	.endm

	port port_in_own, $0x80, inb $0x80, %al
	port port_out_own, $0x80, outb %al, $0x80
	port port_in, $PORT_A20, inb %dx, %al
	port port_in_other, $PORT_A20, inb $0x64, %al
	port port_out, $PORT_A20, outb %al, %dx
	port port_insb, $PORT_A20, insb
	port port_rep_insb, $PORT_A20, rep insb

	snippet port_step
	movl %cr4, %eax
	orl $CR4_DE, %eax
	movl %eax, %cr4
	breakpoint $PORT_A20, $0, $DR7_FIXED | DR7_G0 | DR7_IO0
	tf_on
	inb $PORT_A20, %al
	stop

	snippet general_detect
	breakpoint $0, $0, $DR7_FIXED | DR7_GD
	movl %dr7, %eax
	movl %eax, debug_value
	stop

	snippet icebp
	.byte 0xf1
	nop
	stop

	snippet dr4_de
	movl %cr4, %eax
	orl $CR4_DE, %eax
	movl %eax, %cr4
	movl %dr4, %eax
	stop

	snippet dr4_alias
	movl $0xffff0ff1, %eax
	movl %eax, %dr6
	movl %dr4, %eax
	movl %eax, debug_value
	stop

	snippet dr6_zero
	xorl %eax, %eax
	movl %eax, %dr6
	movl %dr6, %eax
	movl %eax, debug_value
	stop

	snippet dr7_zero
	xorl %eax, %eax
	movl %eax, %dr7
	movl %dr7, %eax
	movl %eax, debug_value
	stop

	/* what is in DR6 stays there: both bits after the second trap, since the handler is not told to clear them */
	snippet dr6_sticky
	movl $0xffff0ff8, %eax
	movl %eax, %dr6
	tf_on
	cpuid
	stop

	.code64
	.macro step64 name:req, insn:vararg
	snippet \name
	movl $MSR_EFER, %ecx
	rdmsr
	movl $PORT_A20, %edx
	movl $buffer, %edi
	tf_on64
	\insn
	stop
	.endm

	step64 step64_nop, nop
	step64 step64_cpuid, cpuid
	step64 step64_rdmsr, rdmsr
	step64 step64_in, inb %dx, %al
	step64 step64_insb, insb
	step64 step64_cr8, movq %cr8, %rbx
	step64 step64_invd, invd
	step64 step64_vmmcall, vmmcall

	snippet step64_rep_insb
	movl $PORT_A20, %edx
	movl $2, %ecx
	movl $buffer, %edi
	tf_on64
	rep insb
	stop

	snippet step64_cr0_ne
	movq %cr0, %rbx
	movq %rbx, %rax
	xorl $CR0_NE, %eax
	tf_on64
	movq %rax, %cr0
	movq %rbx, %cr0
	stop

	snippet step64_mov_ss_cpuid
	movl %ss, %eax
	tf_on64
	movl %eax, %ss
	cpuid
	nop
	stop

	snippet execute64_cpuid
	movl $1f, %eax
	movq %rax, %dr0
	movl $2f, %eax
	movq %rax, %dr1
	movl $DR7_FIXED | DR7_G0 | DR7_G1, %eax
	movq %rax, %dr7
1:	cpuid
2:	nop
	stop

	.code32
	/* in compatibility mode */
	snippet step_compat
	tf_on
	cpuid
	inb $PORT_A20, %al
	stop

	.macro step16 name:req, insn:vararg
	snippet16 \name
	xorl %ecx, %ecx
	movw $0x8000, %di
	movw $PORT_A20, %dx
	tf_on16
	\insn
	stop
	snippet16_end \name
	.endm

	step16 step16_nop, nop
	step16 step16_cpuid, cpuid
	step16 step16_in, inb $PORT_A20, %al
	step16 step16_insb, insb
	step16 step16_invd, invd
	step16 step16_int3, int3

	snippet16 step16_mov_ss_cpuid
	movw %ss, %ax
	tf_on16
	movw %ax, %ss
	cpuid
	nop
	stop
	snippet16_end step16_mov_ss_cpuid

	snippet16 step16_cr0_ne
	movl %cr0, %ebx
	movl %ebx, %eax
	xorb $CR0_NE, %al
	tf_on16
	movl %eax, %cr0
	movl %ebx, %cr0
	stop
	snippet16_end step16_cr0_ne

	.section .data
	.balign 8
buffer:
	.skip 16
	.globl debug_value
debug_value:
	.long 0

	.section .note.GNU-stack, "", @progbits
