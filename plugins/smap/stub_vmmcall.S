/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The resident piece of smap that hands interrupt 15h to the hypervisor. Reentrant. Must not know the answers.
 */
#include "stub.inc"

	.section .rodata.smap_stub, "a", @progbits
	.balign	16
	.code16
	.globl	smap_stub, smap_stub_end
smap_stub:
	SMAP_HEADER	"guest_call - smap_stub"

/*
 * Interrupt 15h. In: as the caller of the interrupt left everything, its IP, CS and FLAGS on the stack.
 * Out: as the service returns; a function that is not one of ours goes to the old handler, untouched.
 */
handler:
	SMAP_DISPATCH serve, serve, serve, serve, serve

/* The hypervisor finds the caller's frame at SS:SP and the header at CS:0; it returns behind the instruction. */
serve:
	addw	$2, %sp
guest_call:
	.byte	0x0f, 0x01, 0xd9		/* VMMCALL; setup makes it VMCALL for an Intel CPU */
	iretw

	.balign	4
smap_stub_end:

	.section .note.GNU-stack, "", @progbits
