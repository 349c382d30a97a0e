/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What emulators do differently from machines. The one place for it; each entry says which emulator and why.
 */
#include <string.h>

#include <x86/flags.h>

#include "boot/metal/cpu.h"
#include "boot/metal/quirks.h"

#define VECTOR_DB 1

#define DISPI_INDEX	   0x1ce
#define DISPI_DATA	   0x1cf
#define DISPI_INDEX_ID	   0
#define DISPI_INDEX_ENABLE 4

void quirk_dispi_disable(void)
{
	cpu_out16(DISPI_INDEX, DISPI_INDEX_ID);
	if ((cpu_in16(DISPI_DATA) & 0xfff0) != 0xb0c0)
		return;
	cpu_out16(DISPI_INDEX, DISPI_INDEX_ENABLE);
	cpu_out16(DISPI_DATA, 0);
}

bool quirk_debug_trap_is_stray(uint64_t vector, uint64_t rflags)
{
	return vector == VECTOR_DB && !(rflags & X86_FLAGS_TF);
}

bool quirk_boot_disk_is_invented(const char *boot_loader_name)
{
	return strcmp(boot_loader_name, "qemu") == 0;
}
