/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What emulators do differently from machines. The one place for it; each entry says which emulator and why.
 */
#ifndef METAL_QUIRKS_H
#define METAL_QUIRKS_H

/*
 * The "DISPI" graphics adapter of Bochs, QEMU and VirtualBox ignores the VGA registers while its own extension is
 * enabled. Disables the extension if the adapter is there, so that text mode shows.
 */
void quirk_dispi_disable(void);

#endif
