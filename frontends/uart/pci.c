/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A UART that is a PCI function: where it is, and how its configuration space is kept from the guest, which would look
 * at its base address registers and move them. Must not know the UART's registers.
 * Source: PCI Local Bus Specification 3.0, "Software Generation of Configuration Transactions" (3.2.2.3.2) and
 * "Configuration Space Organization" (6.1).
 */
#include "frontends/uart/uart.h"

#include <undercroft/errno.h>
#include <undercroft/owner.h>
#include <undercroft/platform.h>

#define CONFIG_ADDRESS	   0xcf8
#define CONFIG_DATA	   0xcfc
#define CONFIG_DATA_LENGTH 4u
/* enable, bus, device and function; the bits between select registers beyond 255 on some chipsets */
#define CONFIG_FUNCTION 0x80ffff00u

#define PCI_ID	    0x00
#define PCI_COMMAND 0x04
#define PCI_CLASS   0x08
#define PCI_HEADER  0x0c
#define PCI_BAR0    0x10
#define PCI_BAR1    0x14

#define PCI_COMMAND_IO	   0x1u
#define PCI_COMMAND_MEMORY 0x2u
#define PCI_COMMAND_STATUS 0xffff0000u /* bits that are cleared by writing ones */
#define PCI_CLASS_SERIAL   0x0700u     /* base class and subclass */
#define PCI_HEADER_TYPE	   0x7f0000u
#define PCI_BAR_IO	   0x1u
#define PCI_BAR_TYPE	   0x6u
#define PCI_BAR_64	   0x4u

#define UART_REGISTERS 8u

static const struct owner pci_owner = {.name = "uart"};

static uint32_t config_read(struct frontend *frontend, uint32_t reg)
{
	struct platform *platform = frontend->platform;
	uint32_t before = platform->ops->port_in(platform, CONFIG_ADDRESS, 4), value;

	platform->ops->port_out(platform, CONFIG_ADDRESS, 4, frontend->config.pci | reg);
	value = platform->ops->port_in(platform, CONFIG_DATA, 4);
	platform->ops->port_out(platform, CONFIG_ADDRESS, 4, before);
	return value;
}

static void config_write(struct frontend *frontend, uint32_t reg, uint32_t value)
{
	struct platform *platform = frontend->platform;
	uint32_t before = platform->ops->port_in(platform, CONFIG_ADDRESS, 4);

	platform->ops->port_out(platform, CONFIG_ADDRESS, 4, frontend->config.pci | reg);
	platform->ops->port_out(platform, CONFIG_DATA, 4, value);
	platform->ops->port_out(platform, CONFIG_ADDRESS, 4, before);
}

void uart_pci_command(struct frontend *frontend, uint32_t command)
{
	config_write(frontend, PCI_COMMAND, command & ~PCI_COMMAND_STATUS);
}

int uart_pci_locate(struct frontend *frontend, uint32_t *command)
{
	struct frontend_config *config = &frontend->config;
	uint32_t bar;

	if (config_read(frontend, PCI_ID) == ~0u || config_read(frontend, PCI_CLASS) >> 16 != PCI_CLASS_SERIAL ||
	    config_read(frontend, PCI_HEADER) & PCI_HEADER_TYPE)
		return -ENODEV;
	bar = config_read(frontend, PCI_BAR0);
	*command = config_read(frontend, PCI_COMMAND);
	config->is_port = bar & PCI_BAR_IO;
	config->address = bar & (bar & PCI_BAR_IO ? ~0x3u : ~0xfu);
	config->length = UART_REGISTERS << config->reg_shift;
	if (!config->address || (config->is_port && config->address > 0x10000 - config->length))
		return -ENODEV;
	/* all of ours lies below 4 GiB, and the firmware put it there or not */
	if (!config->is_port && (bar & PCI_BAR_TYPE) == PCI_BAR_64 && config_read(frontend, PCI_BAR1) != 0)
		return -ENODEV;
	uart_pci_command(frontend, *command | (config->is_port ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY));
	return 0;
}

/* Does the guest's next access to the data port go to our function? The address port is its own, and can be read. */
static bool is_ours(const struct frontend *frontend)
{
	struct platform *platform = frontend->platform;

	return (platform->ops->port_in(platform, CONFIG_ADDRESS, 4) & CONFIG_FUNCTION) == frontend->config.pci;
}

static uint64_t data_read(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size)
{
	const struct frontend *frontend = region->context;
	struct platform *platform = frontend->platform;

	(void)vcpu;
	return is_ours(frontend) ? ~0ull : platform->ops->port_in(platform, (uint16_t)(CONFIG_DATA + offset), size);
}

static void data_write(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	const struct frontend *frontend = region->context;
	struct platform *platform = frontend->platform;

	(void)vcpu;
	if (!is_ours(frontend))
		platform->ops->port_out(platform, (uint16_t)(CONFIG_DATA + offset), size, (uint32_t)value);
}

unsigned uart_pci_regions(struct frontend *frontend, struct region *out)
{
	out[0] = (struct region){
		.name = "pci configuration of the uart, by ports",
		.owner = &pci_owner,
		.space = REGION_PORT,
		.start = CONFIG_DATA,
		.length = CONFIG_DATA_LENGTH,
		.read = data_read,
		.write = data_write,
		.context = frontend,
	};
	if (!frontend->config.config_page)
		return 1;
	out[1] = (struct region){
		.name = "pci configuration of the uart, in memory",
		.owner = &pci_owner,
		.space = REGION_MMIO,
		.start = frontend->config.config_page,
		.length = PAGE_SIZE,
		.trap_reads = true,
	};
	return 2;
}
