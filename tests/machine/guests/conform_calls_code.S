/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform_calls.c's snippets: into the kernel, where vector 31h tells the flags, and back, where 30h does. SYSENTER's
 * kernel has bytes that mean the same in 32-bit and in 64-bit code.
 */
#include "snippet.inc"
#include "conform_calls.h"

	.text

	/* ECX and EDX are where SYSEXIT goes */
	.macro enter name:req, sysexit:req
	snippet \name
	movl %esp, %ecx
	movl $1f, %edx
	sysenter
1:	int $0x30
	stop
	.globl \name\()_kernel
\name\()_kernel:
	int $0x31
	\sysexit
	.endm

	.code32
	enter enter32, sysexit

	snippet call32
	syscall
	int $0x30
	stop
	.globl call32_kernel
call32_kernel:
	int $0x31
	sysret

	.code64
	enter enter64, ".byte 0x48, 0x0f, 0x35"

	snippet call64
	syscall
	int $0x30
	stop
	.globl call64_kernel
call64_kernel:
	movl %r11d, calls_kept(%rip)
	int $0x31
	sysretq

	/* from compatibility mode */
	.globl call_compat_kernel
call_compat_kernel:
	int $0x31
	sysretl

	.section .bss
	.globl calls_kept
calls_kept:
	.skip 4

	.section .note.GNU-stack, "", @progbits
