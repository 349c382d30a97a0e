/* SPDX-License-Identifier: BSD-2-Clause */
/* The setup tier, at its place. */
	.section .setup, "a"
	.globl setup_image
setup_image:
	.incbin SETUP_BIN
