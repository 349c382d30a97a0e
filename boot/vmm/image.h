/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the vmm's image begins: what setup has to know to place it.
 */
#ifndef BOOT_VMM_IMAGE_H
#define BOOT_VMM_IMAGE_H

#include <undercroft/types.h>

struct vmm_header {
	uint32_t magic;		  /* VMM_MAGIC */
	uint32_t entry;		  /* offset; rdi = handoff, rsi = its size, rdx = platform's mapped limit */
	uint32_t file_size;	  /* bytes of the image */
	uint32_t memory_size;	  /* with zeroed memory behind it */
	uint32_t relocations;	  /* offset of Elf64_Rela records */
	uint32_t relocations_end; /* offset behind them */
	/* offsets of boot/metal/clock_entry.S, for the CPU that is a clock */
	uint32_t clock_enter, clock_ignore, clock_fault;
};

/* ELF-64 Object File Format, "Relocation" */
struct elf_rela {
	uint64_t offset, info;
	int64_t addend;
};

#define ELF_R_X86_64_RELATIVE 8u

#endif
