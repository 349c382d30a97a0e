/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a multiboot boot loader leaves. Multiboot Specification 0.6.96, "Boot information format" (3.3).
 */
#ifndef BOOT_SETUP_MULTIBOOT_H
#define BOOT_SETUP_MULTIBOOT_H

#include <undercroft/types.h>

#define MULTIBOOT_INFO_BOOT_DEVICE 0x0002u
#define MULTIBOOT_INFO_MODULES	   0x0008u
#define MULTIBOOT_INFO_MMAP	   0x0040u
#define MULTIBOOT_INFO_LOADER_NAME 0x0200u
#define MULTIBOOT_INFO_FRAMEBUFFER 0x1000u

#define MULTIBOOT_FRAMEBUFFER_RGB 1

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
	uint32_t vbe_control_info, vbe_mode_info;
	uint16_t vbe_mode, vbe_interface_seg, vbe_interface_off, vbe_interface_len;
	uint64_t framebuffer_addr;
	uint32_t framebuffer_pitch, framebuffer_width, framebuffer_height;
	uint8_t framebuffer_bpp, framebuffer_type, color_info[6];
} __attribute__((packed));

struct multiboot_module {
	uint32_t start, end, cmdline, reserved;
};

struct multiboot_mmap {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

_Static_assert(offsetof(struct multiboot_info, framebuffer_addr) == 88, "multiboot layout");
_Static_assert(sizeof(struct multiboot_mmap) == 24, "multiboot layout");

#endif
