/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform_events.c's snippets.
 */
#include "snippet.inc"

/* where the firmware leaves the local APIC; interrupts.h */
#define APIC_ICR 0xfee00300
#define ICR_SELF 0x00040000

	.text
	.code32

	/* an interrupt waits, and IF is clear */
	.macro shadow name:req, insn:vararg
	snippet \name
	movl $MSR_EFER, %ecx
	rdmsr
	movl $PORT_A20, %edx
	sti
	\insn
	nop
	cli
	stop
	.endm

	shadow sti_nop, nop
	shadow sti_cpuid, cpuid
	shadow sti_rdmsr, rdmsr
	shadow sti_in, inb %dx, %al
	shadow sti_invd, invd
	shadow sti_hlt, hlt
	shadow sti_cli, cli
	shadow sti_int3, int3
	shadow sti_int, int $0x30
	shadow sti_vmmcall, vmmcall

	snippet sti_cr0_ne
	movl %cr0, %ebx
	movl %ebx, %eax
	xorl $CR0_NE, %eax
	sti
	movl %eax, %cr0
	nop
	cli
	movl %ebx, %cr0
	stop

	snippet sti_xsetbv
	movl %cr4, %ebx
	movl %ebx, %eax
	orl $CR4_OSXSAVE, %eax
	movl %eax, %cr4
	xorl %ecx, %ecx
	xgetbv
	sti
	xsetbv
	nop
	cli
	movl %ebx, %cr4
	stop

	snippet sti_rep_insb
	movl $PORT_A20, %edx
	movl $PAGED, %edi
	movl $3, %ecx
	sti
	rep insb
	cli
	stop

	snippet popf_cpuid
	xorl %ecx, %ecx
	pushl $FLAGS_IF | 2
	popf
	cpuid
	cli
	stop

	snippet popf_rep_insb
	movl $PORT_A20, %edx
	movl $PAGED, %edi
	movl $3, %ecx
	pushl $FLAGS_IF | 2
	popf
	rep insb
	cli
	stop

	/* TF and the interrupt: the trap comes first, and the interrupt before the next instruction */
	snippet popf_step
	xorl %ecx, %ecx
	pushl $FLAGS_IF | FLAGS_TF | 2
	popf
	cpuid
	stop

	snippet iret_cpuid
	xorl %ecx, %ecx
	pushl $FLAGS_IF | 2
	pushl $SELECTOR_CODE32
	pushl $1f
	iretl
1:	cpuid
	cli
	stop

	/* two interrupts of the local APIC wait: the higher vector first */
	snippet sti_two
	sti
	cpuid
	cpuid
	cli
	stop

	/* faults of a delivery */
	snippet int_33
	int $0x33
	stop

	snippet int_beyond
	int $RECORD_VECTORS + 1
	stop

	snippet int_kernel
	int $0x22
	stop

	snippet irq
	sti
	nop
	cli
	stop

	snippet undefined
	ud2
	stop

	snippet divide
	xorl %ecx, %ecx
	divl %ecx
	stop

	snippet breakpoint3
	int3
	stop

	snippet null_load
	movl $0xfff8, %eax
	movl %eax, %fs
	stop

	snippet absent_load
	movl $SELECTOR_ABSENT_DATA, %eax
	movl %eax, %fs
	stop

	snippet page_touch
	movl PAGED + 0x3000, %eax
	stop

	.code64
	.macro shadow64 name:req, insn:vararg
	snippet \name
	movl $MSR_EFER, %ecx
	rdmsr
	movl $PORT_A20, %edx
	sti
	\insn
	nop
	cli
	stop
	.endm

	shadow64 sti64_nop, nop
	shadow64 sti64_cpuid, cpuid
	shadow64 sti64_rdmsr, rdmsr
	shadow64 sti64_in, inb %dx, %al
	shadow64 sti64_hlt, hlt

	/* masked by CR8, until it is lowered: vector 31h has priority 3 */
	snippet cr8
	movl $3, %eax
	movq %rax, %cr8
	movl $APIC_ICR, %edx
	movl $ICR_SELF | 0x31, (%rdx)
	sti
	nop
	cpuid
	movl $2, %eax
	movq %rax, %cr8
	nop
	cli
	xorl %eax, %eax
	movq %rax, %cr8
	stop

	.macro shadow16 name:req, insn:vararg
	snippet16 \name
	movw $PORT_A20, %dx
	sti
	\insn
	nop
	cli
	stop
	snippet16_end \name
	.endm

	shadow16 sti16_nop, nop
	shadow16 sti16_cpuid, cpuid
	shadow16 sti16_in, inb %dx, %al
	shadow16 sti16_hlt, hlt

	.section .note.GNU-stack, "", @progbits
