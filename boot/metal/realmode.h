/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Back to real mode, for good. For C and assembler.
 */
#ifndef METAL_REALMODE_H
#define METAL_REALMODE_H

/*
 * Where the last instructions before real mode are copied to, with their descriptor table: behind the BIOS data area,
 * below boot records.
 */
#define REALMODE_TAIL	   0x600
#define REALMODE_TAIL_SIZE 0x100

#ifndef __ASSEMBLER__

#include <undercroft/types.h>

/*
 * Leaves long mode (the setup tier) or protected mode without paging (the loader) and jumps to segment:offset in real
 * mode: interrupts off, vector table at 0, data segments 0 with limits of 64 KiB, stack at 0:7C00, CR4 zero, EFER
 * without LME, LMA and NXE; A20, PICs and memory as they are, but for REALMODE_TAIL_SIZE bytes at REALMODE_TAIL. The
 * caller's code, stack and tables lie below 4 GiB, identity-mapped. segment and offset have 16 bits.
 */
_Noreturn void realmode_jump(uint32_t segment, uint32_t offset);

#endif

#endif
