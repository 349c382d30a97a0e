/* SPDX-License-Identifier: BSD-2-Clause */
/* The vmm's image, as linked. */
	.section .rodata
	.balign 16
	.globl vmm_image, vmm_image_end
vmm_image:
	.incbin VMM_BIN
vmm_image_end:
