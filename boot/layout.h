/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the image lies in memory before setup moves the vmm. Included by C, assembly and linker scripts.
 */
#ifndef BOOT_LAYOUT_H
#define BOOT_LAYOUT_H

#define LOADER_BASE 0x100000
#define SETUP_BASE  0x200000
#define SETUP_SIZE  0x0c0000 /* code, data, the vmm's image and setup's own zeroed memory */

/* The vmm's image header; struct vmm_header in boot/vmm/image.h */
#define VMM_MAGIC 0x4d4d5655 /* "UVMM" */

/* Multiboot Specification 0.6.96, "The layout of Multiboot header" (3.1.1) */
#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_BOOT_MAGIC   0x2badb002

#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA	0x10
#define SELECTOR_TSS	0x18 /* the vmm's, 16 bytes */
#define SELECTOR_CODE32 0x18
#define SELECTOR_CODE16 0x20
#define SELECTOR_DATA16 0x28

/* Assembly: what 64-bit code wants in DS, ES, SS, FS and GS. Changes EAX. */
/* clang-format off */
#define LOAD_DATA_SEGMENTS \
	movl $SELECTOR_DATA, %eax; \
	movl %eax, %ds; \
	movl %eax, %es; \
	movl %eax, %ss; \
	xorl %eax, %eax; \
	movl %eax, %fs; \
	movl %eax, %gs
/* clang-format on */

#endif
