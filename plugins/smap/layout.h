/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the resident piece of smap begins: offsets from its first byte, for assembler and C. Behind the header comes the
 * code, behind the code the guest's memory map. Must not know where it is planted.
 */
#ifndef SMAP_LAYOUT_H
#define SMAP_LAYOUT_H

#define SMAP_ENTER_SEGMENT  4
#define SMAP_OLD_VECTOR	    8
#define SMAP_COUNT	    12
#define SMAP_RANGES	    14
#define SMAP_KIB_BELOW_16M  16
#define SMAP_64KIB_FROM_16M 18
#define SMAP_KIB_CAPPED	    20
#define SMAP_KIB	    24
#define SMAP_HEADER_SIZE    28

/* ACPI 6.4, "INT 15H, E820H - Query System Address Map" (15.1) */
#define SMAP_SIGNATURE	    0x534d4150 /* 'SMAP' */
#define SMAP_RANGE_SIZE	    20
#define SMAP_RANGE_SIZE_EXT 24
#define SMAP_RANGE_ENABLED  1

/* What an unknown or wrong call returns in AH. */
#define SMAP_UNSUPPORTED 0x86

#endif
