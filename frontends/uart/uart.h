/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the UART share.
 */
#ifndef FRONTENDS_UART_UART_H
#define FRONTENDS_UART_UART_H

#include <undercroft/frontend.h>
#include <undercroft/region.h>

#define UART_PCI_REGIONS 2u

/*
 * Finds the registers of a PCI function's first base address register and writes to the configuration where they are.
 * *command gets the function's command register; what it answers to is turned on. 0 or -ENODEV.
 */
int uart_pci_locate(struct frontend *frontend, uint32_t *command);

/* Writes the command register. */
void uart_pci_command(struct frontend *frontend, uint32_t command);

/* What hides the function's configuration space: up to UART_PCI_REGIONS regions. Returns how many. */
unsigned uart_pci_regions(struct frontend *frontend, struct region *out);

#endif
