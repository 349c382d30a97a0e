/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way into the guest and out of it.
 */
#include <generated/svm-offsets.h>

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
	 * void svm_enter(struct svm_vcpu *svm)
	 * In: rdi = svm; GIF = 0; the VMCB's rax, rsp, rip and rflags are the guest's, the other general registers are in
	 *     svm->vcpu.gpr. Returns when svm_exit() returned non-zero. Keeps what the ABI says a call keeps.
	 * VMRUN saves and restores by itself what the host needs (CS, SS, DS, ES, GDTR, IDTR, EFER, CR0, CR3, CR4, RFLAGS,
	 * RIP, RSP, RAX); FS, GS, LDTR, TR and the SYSCALL and SYSENTER registers stay the guest's while our code runs, which
	 * uses none of them. APM vol. 2, "VMRUN Instruction" (15.5.1)
	 */
	.globl svm_enter
	.hidden svm_enter
	.type svm_enter, @function
svm_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdi
	leaq SVM_VMCB(%rdi), %rax
	vmload %rax
	.balign 16
1:	movq (%rsp), %rdi
	leaq SVM_VMCB(%rdi), %rax
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
	movq RDI(%rdi), %rdi
	vmrun %rax
	/* rax is the VMCB again */
	movq %rcx, RCX - SVM_VMCB(%rax)
	movq %rdx, RDX - SVM_VMCB(%rax)
	movq %rbx, RBX - SVM_VMCB(%rax)
	movq %rbp, RBP - SVM_VMCB(%rax)
	movq %rsi, RSI - SVM_VMCB(%rax)
	movq %rdi, RDI - SVM_VMCB(%rax)
	movq %r8, R8 - SVM_VMCB(%rax)
	movq %r9, R9 - SVM_VMCB(%rax)
	movq %r10, R10 - SVM_VMCB(%rax)
	movq %r11, R11 - SVM_VMCB(%rax)
	movq %r12, R12 - SVM_VMCB(%rax)
	movq %r13, R13 - SVM_VMCB(%rax)
	movq %r14, R14 - SVM_VMCB(%rax)
	movq %r15, R15 - SVM_VMCB(%rax)
	leaq -SVM_VMCB(%rax), %rdi
	call svm_exit
	testl %eax, %eax
	jz 1b
	popq %rdi
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
	.size svm_enter, . - svm_enter
