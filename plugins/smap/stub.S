/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The resident piece of smap that answers interrupt 15h itself, from the memory map behind it. It keeps no state:
 * reentrant, and indifferent to DS, ES and the interrupt flag. Must not know the hypervisor.
 */
#include "stub.inc"

	.section .rodata.smap_stub, "a", @progbits
	.balign	16
	.code16
	.globl	smap_stub, smap_stub_end
smap_stub:
	SMAP_HEADER

/*
 * Interrupt 15h. In: as the caller of the interrupt left everything, its IP, CS and FLAGS on the stack.
 * Out: CF in the FLAGS on the stack; what the service returns; all else, the upper halves of registers included, as it
 * was. A function that is not one of ours goes to the old handler, untouched.
 */
handler:
	SMAP_DISPATCH e820, e801, e881, capped, whole

/*
 * EAX=E820h, EDX='SMAP', EBX=index, ECX=bytes the caller has room for at ES:DI.
 * Returns EAX='SMAP', EBX=next index or 0, ECX=bytes written. Wrong index, signature or room: AH=86h and CF.
 */
e820:
	addw	$2, %sp
	cmpl	$SMAP_SIGNATURE, %edx
	jne	unsupported
	cmpl	$SMAP_RANGE_SIZE, %ecx
	jb	unsupported
	pushl	%eax
	movzwl	%cs:SMAP_COUNT, %eax
	cmpl	%eax, %ebx
	popl	%eax
	jae	unsupported
	pushw	%si
	pushw	%di
	imulw	$SMAP_RANGE_SIZE, %bx, %si
	addw	%cs:SMAP_RANGES, %si
	movl	%ecx, %eax
	movl	$SMAP_RANGE_SIZE, %ecx
	cld
	rep movsb %cs:(%si), %es:(%di)		/* by bytes: DI may wrap anywhere */
	movw	$SMAP_RANGE_SIZE, %cx
	cmpl	$SMAP_RANGE_SIZE_EXT, %eax
	jb	1f
	movw	$SMAP_RANGE_SIZE_EXT, %cx
	movb	$SMAP_RANGE_ENABLED, %al
	stosb
	xorb	%al, %al
	stosb
	stosb
	stosb
1:	popw	%di
	popw	%si
	incl	%ebx
	movzwl	%cs:SMAP_COUNT, %eax
	cmpl	%eax, %ebx
	jb	2f
	xorl	%ebx, %ebx
2:	movl	%edx, %eax
	jmp	supported

/* AX=E801h. Returns AX=CX=KiB from 1 to 16 MiB, BX=DX=64 KiB units from 16 MiB. */
e801:
	addw	$2, %sp
	movw	%cs:SMAP_KIB_BELOW_16M, %ax
	movw	%cs:SMAP_64KIB_FROM_16M, %bx
	movw	%ax, %cx
	movw	%bx, %dx
	jmp	supported

/* AX=E881h. As E801h in EAX, EBX, ECX and EDX. */
e881:
	addw	$2, %sp
	movzwl	%cs:SMAP_KIB_BELOW_16M, %eax
	movzwl	%cs:SMAP_64KIB_FROM_16M, %ebx
	movl	%eax, %ecx
	movl	%ebx, %edx
	jmp	supported

/* AH=88h. Returns AX=KiB from 1 MiB, at most 63 MiB. */
capped:
	addw	$2, %sp
	movw	%cs:SMAP_KIB_CAPPED, %ax
	jmp	supported

/* AH=8Ah. Returns DX:AX=KiB from 1 MiB. */
whole:
	addw	$2, %sp
	movw	%cs:SMAP_KIB, %ax
	movw	%cs:SMAP_KIB + 2, %dx

supported:
	pushw	%bp
	movw	%sp, %bp
	andb	$0xfe, 6(%bp)			/* CF in the caller's FLAGS */
	popw	%bp
	iretw

unsupported:
	movb	$SMAP_UNSUPPORTED, %ah
	pushw	%bp
	movw	%sp, %bp
	orb	$0x01, 6(%bp)
	popw	%bp
	iretw

	.balign	4
smap_stub_end:

	.section .note.GNU-stack, "", @progbits
