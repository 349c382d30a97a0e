/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways to switch tasks, and what runs in the tasks.
 */
#include "conform_task.h"

#define FLAGS_NT 0x4000

	.text
	.code32

	/* void task_run(void (*code)(void)): cdecl. A fault's task goes on at task_recover. */
	.globl task_run, task_recover
task_run:
	pushal
	pushfl
	movl %esp, task_stack
	call *40(%esp)
task_recover:
	movl task_stack, %esp
	popfl
	popal
	ret

	/* what task_run() is given: the switch, and its place behind it */
	.globl task_jmp, task_call, task_int, task_ud, task_iret, task_double
	.balign 16
task_jmp:
	ljmp *task_target
	ret
	.balign 16
task_call:
	lcall *task_target
	ret
	.balign 16
task_int:
	int $VECTOR_GATE
	ret
	.balign 16
task_ud:
	ud2
	ret
	.balign 16
task_iret:
	pushfl
	orl $FLAGS_NT, (%esp)
	popfl
	iretl
	ret
	/* a #GP that cannot be delivered */
	.balign 16
task_double:
	movl $0xfff8, %eax
	movl %eax, %fs
	ret

	/* The task that is switched to: tells what it has, and goes back. */
	.globl task_other
task_other:
	pushfl
	pushal
	pushl %esp
	call task_seen
	testl %eax, %eax
	popl %eax
	popal
	jnz 1f
	popfl
	iretl
	jmp task_other
1:	popfl
	ljmp $TSS_MAIN, $0
	jmp task_other

	/* The same behind an error code. */
	.globl task_other_error
task_other_error:
	popl task_error
	jmp task_other

	/* A task between two others. */
	.globl task_between
task_between:
	lcall $TSS_OTHER, $0
	incl task_between_count
	iretl
	jmp task_between

	/* The same as task_other from a 16-bit TSS, which says nothing about the upper half of ESP. Copied to LOW_CODE. */
	.globl task_low, task_low_end
task_low:
	movzwl %sp, %esp
	pushl $task_other
	ret
task_low_end:

	/* Faults: a task for each vector, which takes the main task to task_recover. */
	.macro fault vector:req
	.globl task_fault\vector
task_fault\vector:
	pushl $\vector
	call task_fault
	addl $8, %esp
	iretl
	.endm
	fault 8
	fault 10
	fault 11
	fault 12
	fault 13
	fault 14

	/* Virtual-8086 code, copied to LOW_CODE: HLT is #GP there. */
	.code16
	.globl task_v8086, task_v8086_end
task_v8086:
	movw %cs, %bx
	movw %ds:0, %cx
	hlt
task_v8086_end:

	.section .note.GNU-stack, "", @progbits
