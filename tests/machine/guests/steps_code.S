/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a debugger steps through. Handlers collect the flags that were pushed in steps_flags: somebody's TF would be in
 * them.
 */
#include "snippet.inc"
#include "steps.h"

	.text
	.code32
	snippet steps_plain
	pushfl
	popl %eax
	orl %eax, steps_flags
	pushfl
	popfl
	movl %ss, %eax
	movl %eax, %ss
	pushfl
	movl $3, %ecx
	movl $steps_buffer, %edi
	rep stosb
	popl %eax
	orl %eax, steps_flags
	ret

	snippet steps_traps
	int $STEPS_INT
	int3
	movb $0x7f, %al
	incb %al
	into
	ud2
	ret

	/* MOV SS holds the trap back until they are done */
	snippet steps_shadow
	movl %ss, %eax
	movl %eax, %ss
	int $STEPS_INT
	.globl steps_shadow_int3
steps_shadow_int3:
	movl %eax, %ss
	int3
	ret

	/* the handler of all but the last of them */
	.globl steps_trap
steps_trap:
	pushl %eax
	movl 12(%esp), %eax
	orl %eax, steps_flags
	popl %eax
	incl steps_trap_count
	iretl

	.globl steps_undefined
steps_undefined:
	addl $2, (%esp)
	jmp steps_trap

	/* one waits already */
	snippet steps_interrupt
	sti
	nop
	nop
	nop
	.globl steps_interruptible
steps_interruptible:
	nop
	cli
	ret

	snippet steps_halt
	sti
	hlt
	.globl steps_halted
steps_halted:
	cli
	ret

	/* ring 3 */
	snippet steps_sysenter
	movl %esp, %ecx
	movl $1f, %edx
	sysenter
1:	pushfl
	popl %eax
	orl %eax, steps_flags
	incl steps_trap_count
	stop

	.globl steps_sysenter_entry
steps_sysenter_entry:
	pushfl
	popl %eax
	orl %eax, steps_flags
	sysexit

	/* five times */
	snippet steps_loop
	movl $5, %ecx
	.globl steps_loop_body
steps_loop_body:
	incl steps_loop_count
	loop steps_loop_body
	ret

	snippet steps_cpuid
	movl $4, %esi
	.globl steps_cpuid_here
steps_cpuid_here:
	cpuid
	incl steps_cpuid_count
	decl %esi
	jnz steps_cpuid_here
	ret

	/* to another task and back */
	snippet steps_task
	lcall $SELECTOR_TASK, $0
	clts
	ret

	.globl steps_task_entry
steps_task_entry:
	pushfl
	popl %eax
	orl %eax, steps_flags
	incl steps_trap_count
	iretl

	/* real mode; DS is its segment */
	snippet16 steps_real
	pushfw
	popw %ax
	orw %ax, STEPS_REAL_FLAGS
	lretw
	snippet16_end steps_real

	/* to ring 3 by SYSRET, and back */
	.code64
	snippet steps_syscall
	leaq 1f(%rip), %rcx
	pushfq
	popq %r11
	sysretq
1:	syscall
	nop
	ret

	.globl steps_syscall_entry
steps_syscall_entry:
	pushfq
	popq %rax
	orl %eax, steps_flags(%rip)
	orl %r11d, steps_flags(%rip)
	pushq %r11
	popfq
	incl steps_trap_count(%rip)
	jmp *%rcx

	.section .bss
steps_buffer:
	.skip 8
	.globl steps_flags, steps_trap_count, steps_loop_count, steps_cpuid_count
steps_flags:
	.skip 4
steps_trap_count:
	.skip 4
steps_loop_count:
	.skip 4
steps_cpuid_count:
	.skip 4

	.section .note.GNU-stack, "", @progbits
