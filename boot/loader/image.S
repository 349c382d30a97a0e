/* SPDX-License-Identifier: BSD-2-Clause */
/* The setup tier, packed: a boot loader reads through the BIOS, which takes longer than unpacking. */
	.section .rodata
	.globl setup_packed, setup_packed_end
setup_packed:
	.incbin SETUP_PACKED
setup_packed_end:
