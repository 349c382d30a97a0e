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

#endif
