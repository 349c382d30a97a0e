/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the CPU that becomes a clock begins: a page of conventional memory that is put back as it was. For C and
 * assembler.
 */
#ifndef BOOT_SETUP_CLOCK_LAYOUT_H
#define BOOT_SETUP_CLOCK_LAYOUT_H

#define CLOCK_TRAMPOLINE 0x8000

#endif
