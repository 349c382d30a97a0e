/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader's own functions.
 */
#ifndef BOOT_LOADER_LOADER_H
#define BOOT_LOADER_LOADER_H

#include <undercroft/types.h>

/* Entered from entry.S with what the boot loader left in eax and ebx. Returns only to stop. */
void loader_main(uint32_t magic, uint32_t info);

/* See entry.S. */
_Noreturn void loader_enter_long(uint32_t cr3, uint32_t entry, uint32_t info);

#endif
