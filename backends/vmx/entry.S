/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way into the guest and out of it.
 */
#include <generated/vmx-offsets.h>

#include "backends/vmx/vmcs.h"

#define RAX 0
#define RCX 8
#define RDX 16
#define RBX 24
#define RSP 32
#define RBP 40
#define RSI 48
#define RDI 56
#define R8  64
#define R9  72
#define R10 80
#define R11 88
#define R12 96
#define R13 104
#define R14 112
#define R15 120

	.text
	/*
	 * void vmx_enter(struct vmx_vcpu *vmx)
	 * In: rdi = vmx; interrupts off; the VMCS is current and its rsp, rip and rflags are the guest's, the other general
	 *     registers are in vmx->vcpu.gpr. Returns when vmx_exit() or vmx_entry_failed() returned non-zero. Keeps what
	 *     the ABI says a call keeps. An exit loads the rest of the host's state from the VMCS and clears RFLAGS.
	 * SDM vol. 3, "VM Entries" (26) and "Loading Host State" (27.5)
	 */
	.globl vmx_enter
	.hidden vmx_enter
	.type vmx_enter, @function
vmx_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdi
	movl $VMCS_HOST_RSP, %eax
	vmwrite %rsp, %rax
	.balign 16
1:	movq (%rsp), %rdi
	movq RAX(%rdi), %rax
	movq RCX(%rdi), %rcx
	movq RDX(%rdi), %rdx
	movq RBX(%rdi), %rbx
	movq RBP(%rdi), %rbp
	movq RSI(%rdi), %rsi
	movq R8(%rdi), %r8
	movq R9(%rdi), %r9
	movq R10(%rdi), %r10
	movq R11(%rdi), %r11
	movq R12(%rdi), %r12
	movq R13(%rdi), %r13
	movq R14(%rdi), %r14
	movq R15(%rdi), %r15
	cmpb $0, VMX_LAUNCHED(%rdi)
	movq RDI(%rdi), %rdi
	je 2f
	vmresume
	jmp 3f
2:	vmlaunch
3:	movq (%rsp), %rdi
	call vmx_entry_failed
	jmp 4f
	.balign 16
	.globl vmx_exit_entry
	.hidden vmx_exit_entry
vmx_exit_entry:
	pushq %rdi
	movq 8(%rsp), %rdi
	movq %rax, RAX(%rdi)
	movq %rcx, RCX(%rdi)
	movq %rdx, RDX(%rdi)
	movq %rbx, RBX(%rdi)
	movq %rbp, RBP(%rdi)
	movq %rsi, RSI(%rdi)
	popq RDI(%rdi)
	movq %r8, R8(%rdi)
	movq %r9, R9(%rdi)
	movq %r10, R10(%rdi)
	movq %r11, R11(%rdi)
	movq %r12, R12(%rdi)
	movq %r13, R13(%rdi)
	movq %r14, R14(%rdi)
	movq %r15, R15(%rdi)
	call vmx_exit
4:	testl %eax, %eax
	jz 1b
	popq %rdi
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
	.size vmx_enter, . - vmx_enter
