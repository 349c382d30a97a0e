/* SPDX-License-Identifier: BSD-2-Clause */

	.text
	.code32
	.globl paging_fetch
paging_fetch:
	movl 4(%esp), %eax
	movl (%eax), %eax
	call *%eax
	ret

	/* rdi: struct access64 */
	.code64
	.globl paging64_read
paging64_read:
	movq (%rdi), %rax
	movq (%rax), %rax
	movq %rax, 8(%rdi)
	ret

	.globl paging64_write
paging64_write:
	movq (%rdi), %rax
	movq 8(%rdi), %rcx
	movq %rcx, (%rax)
	ret

	.globl paging64_call
paging64_call:
	movq (%rdi), %rax
	call *%rax
	ret

	.section .note.GNU-stack, "", @progbits
