/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * insn.c's instructions, byte by byte where an assembler would have it otherwise.
 */
#define FLAGS_TF 0x100
#define COM2	 0x2f8
#define MSR_EFER 0xc0000080

	/* Stores the vendor's first word by a CPUID that is given in bytes. eax and ecx are zero before it. */
	.macro vendor at:req, bytes:vararg
	xorl %eax, %eax
	xorl %ecx, %ecx
	xorl %ebx, %ebx
	.byte \bytes
	movl %ebx, \at
	.endm

	.text
	.code32
	.globl insn32_prefixes
insn32_prefixes:
	pushl %ebx
	movl 8(%esp), %edi
	vendor (%edi), 0x66, 0x0f, 0xa2
	vendor 4(%edi), 0xf3, 0x0f, 0xa2
	vendor 8(%edi), 0x2e, 0x0f, 0xa2
	vendor 12(%edi), 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0xa2
	popl %ebx
	ret
	.globl insn32_too_long
insn32_too_long:
	.byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0xa2
	ret

	.macro tf32
	pushfl
	orl $FLAGS_TF, (%esp)
	popfl
	.endm
	.globl insn32_trap_cpuid, insn32_trap_cpuid_next
insn32_trap_cpuid:
	xorl %eax, %eax
	tf32
	cpuid
insn32_trap_cpuid_next:
	nop
	nop
	ret
	.globl insn32_trap_rdmsr, insn32_trap_rdmsr_next
insn32_trap_rdmsr:
	movl $MSR_EFER, %ecx
	tf32
	rdmsr
insn32_trap_rdmsr_next:
	nop
	nop
	ret
	.globl insn32_trap_wrmsr, insn32_trap_wrmsr_next
insn32_trap_wrmsr:
	movl $MSR_EFER, %ecx
	rdmsr
	tf32
	wrmsr
insn32_trap_wrmsr_next:
	nop
	nop
	ret
	.globl insn32_trap_in, insn32_trap_in_next
insn32_trap_in:
	movl $COM2, %edx
	tf32
	inb %dx, %al
insn32_trap_in_next:
	nop
	nop
	ret
	.globl insn32_trap_insb, insn32_trap_insb_at
insn32_trap_insb:
	movl 4(%esp), %edi
	movl $COM2, %edx
	movl $3, %ecx
	tf32
insn32_trap_insb_at:
	rep insb
	nop
	ret

	.macro one name:req, insn:vararg
	.globl \name
\name:
	xorl %eax, %eax
	\insn
	ret
	.endm
	one insn32_vmrun, vmrun %eax
	one insn32_vmmcall, vmmcall
	one insn32_vmload, vmload %eax
	one insn32_vmsave, vmsave %eax
	one insn32_stgi, stgi
	one insn32_clgi, clgi
	one insn32_skinit, skinit %eax
	one insn32_invlpga, invlpga %eax, %ecx

	.code64
	.globl insn64_cpuid
insn64_cpuid:
	vendor (%rdi), 0x0f, 0xa2
	vendor 4(%rdi), 0x48, 0x0f, 0xa2
	vendor 8(%rdi), 0x66, 0x48, 0x0f, 0xa2
	vendor 12(%rdi), 0xf3, 0x0f, 0xa2
	vendor 16(%rdi), 0x64, 0x0f, 0xa2
	vendor 20(%rdi), 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x48, 0x0f, 0xa2
	ret
	.globl insn64_too_long
insn64_too_long:
	.byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x48, 0x0f, 0xa2
	ret

	.macro tf64
	pushfq
	orl $FLAGS_TF, (%rsp)
	popfq
	.endm
	.globl insn64_trap_cpuid, insn64_trap_cpuid_next
insn64_trap_cpuid:
	xorl %eax, %eax
	tf64
	.byte 0x48, 0x0f, 0xa2
insn64_trap_cpuid_next:
	nop
	nop
	ret
	.globl insn64_trap_rdmsr, insn64_trap_rdmsr_next
insn64_trap_rdmsr:
	movl $MSR_EFER, %ecx
	tf64
	rdmsr
insn64_trap_rdmsr_next:
	nop
	nop
	ret
	one insn64_vmrun, vmrun %rax
	one insn64_stgi, stgi
	one insn64_vmmcall, vmmcall
	.globl insn64_insb
insn64_insb:
	movl $COM2 + 1, %edx
	movl $5, %ecx
	rep insb
	ret

	.code16
	.balign 16
	.globl insn16_cpuid, insn16_cpuid_end
insn16_cpuid:
	jmp 1f
	.balign 16
1:	vendor %ds:0, 0x0f, 0xa2
	vendor %ds:4, 0x66, 0x0f, 0xa2
	lret
insn16_cpuid_end:

	.globl insn16_wrap, insn16_wrap_end
insn16_wrap:
	jmp 2f			/* at offset 0, where IP wraps to, when the flag in BP is clear */
2:	testw %bp, %bp
	jnz 3f
	movw $1, %bp
	xorl %eax, %eax
	xorl %ecx, %ecx
	movw $0xfffe, %dx
	jmp *%dx
3:	movl %ebx, %ds:0x100
	lret
insn16_wrap_end:

	.globl insn16_trap, insn16_trap_end
insn16_trap:
	movw $(4f - insn16_trap), %ds:0
	xorl %eax, %eax
	pushfw
	movw %sp, %bp
	orw $FLAGS_TF, (%bp)
	popfw
	cpuid
4:	nop
	nop
	lret
insn16_trap_end:

	.globl insn16_insb, insn16_insb_end
insn16_insb:
	movw $0x200, %di
	movw $8, %cx
	xorb %al, %al
	rep stosb
	movw $0x200, %di
	movw $COM2, %dx
	movw $5, %cx
	rep insb
	lret
insn16_insb_end:

	.globl insn16_vmmcall, insn16_vmmcall_end
insn16_vmmcall:
	vmmcall
	lret
insn16_vmmcall_end:

	.section .note.GNU-stack, "", @progbits
