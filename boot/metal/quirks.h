/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What emulators do differently from machines. The one place for it; each entry says which emulator and why.
 */
#ifndef METAL_QUIRKS_H
#define METAL_QUIRKS_H

#include <undercroft/types.h>

/*
 * The "DISPI" graphics adapter of Bochs, QEMU and VirtualBox ignores the VGA registers while its own extension is
 * enabled. Disables the extension if the adapter is there, so that text mode shows.
 */
void quirk_dispi_disable(void);

/*
 * QEMU's own multiboot loader (-kernel) boots from no disk, but says that it booted from the first one. True if this is
 * the name it gives itself.
 */
bool quirk_boot_disk_is_invented(const char *boot_loader_name);

/*
 * Bochs' SVM keeps the single-step trap of a guest's instruction that exits, and raises it in the hypervisor. True if
 * an exception in our own code, with these RFLAGS, is one: a machine raises none, for nothing of ours is stepped and an
 * exit disables the breakpoints.
 */
bool quirk_debug_trap_is_stray(uint64_t vector, uint64_t rflags);

#endif
