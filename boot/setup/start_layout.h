/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the start stub begins, for assembler and C: offsets from its first byte.
 */
#ifndef BOOT_SETUP_START_LAYOUT_H
#define BOOT_SETUP_START_LAYOUT_H

#define START_MODE	       4 /* enum guest_start */
#define START_DISK	       5
#define START_BOOT_DISK	       6
#define START_PRESENT_AS_FIRST 7
#define START_NATIVE	       8
#define START_GUEST_CALL       10
#define START_HEADER_SIZE      12

#define START_MODE_DISK	 0
#define START_MODE_INT18 1
#define START_MODE_INT19 2

#endif
