/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds out what the machine is, from the boot loader, the BIOS data area, CPUID and MSRs. Changes nothing.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <undercroft/quirk.h>
#include <x86/cpuid.h>
#include <x86/msr.h>

#include "boot/setup/multiboot.h"
#include "boot/setup/setup.h"

/* BIOS data area: IBM PS/2 and PC BIOS Interface Technical Reference, "BIOS Data Area" */
#define BDA_COM_PORTS	0x400
#define BDA_BASE_MEMORY 0x413
#define BDA_DISK_COUNT	0x475

static uint16_t bda16(uint32_t address)
{
	uint16_t value;

	memcpy(&value, (const void *)(uintptr_t)address, sizeof(value));
	return value;
}

static int read_memory_map(struct machine *machine, const struct multiboot_info *info, const char **why)
{
	struct memory_map raw = {0};
	uint32_t at = info->mmap_addr, end = info->mmap_addr + info->mmap_length;

	*why = "The boot loader gave no memory map. GRUB's \"multiboot\" command does.";
	if (!(info->flags & MULTIBOOT_INFO_MMAP) || end < at)
		return -EINVAL;
	while (end - at >= sizeof(struct multiboot_mmap)) {
		struct multiboot_mmap entry;

		memcpy(&entry, (const void *)(uintptr_t)at, sizeof(entry));
		if (raw.count == MACHINE_MEMORY_MAX || entry.size < sizeof(entry) - sizeof(entry.size) ||
		    entry.size > end - at - sizeof(entry.size))
			break;
		raw.range[raw.count++] =
			(struct memory_range){.base = entry.base, .length = entry.length, .type = entry.type};
		at += entry.size + (uint32_t)sizeof(entry.size);
	}
	*why = "The firmware's memory map has too many ranges.";
	return memory_map_normalise(&raw, &machine->memory);
}

static void read_cpu(struct setup *setup)
{
	struct platform *platform = &setup->metal.platform;
	struct machine *machine = &setup->machine;
	struct cpuid_regs regs, features;

	platform->ops->cpuid(platform, CPUID_VENDOR, 0, &regs);
	machine->vendor = CPU_VENDOR_OTHER;
	if (cpuid_vendor_is(&regs, CPUID_VENDOR_AMD) || cpuid_vendor_is(&regs, CPUID_VENDOR_HYGON))
		machine->vendor = CPU_VENDOR_AMD;
	else if (cpuid_vendor_is(&regs, CPUID_VENDOR_INTEL))
		machine->vendor = CPU_VENDOR_INTEL;
	platform->ops->cpuid(platform, CPUID_EXT_FEATURES, 0, &regs);
	machine->pages_1g = (regs.edx & CPUID_EXT_EDX_PAGE1GB) != 0;
	machine->physical_address_bits = 36;
	platform->ops->cpuid(platform, CPUID_EXT_MAX, 0, &regs);
	if (regs.eax >= CPUID_SIZES) {
		platform->ops->cpuid(platform, CPUID_SIZES, 0, &regs);
		machine->physical_address_bits = regs.eax & 0xff;
	}
	platform->ops->cpuid(platform, CPUID_FEATURES, 0, &features);
	machine->boot_apic_id = features.ebx >> 24;
	machine->tsc_mhz = setup->metal.tsc_mhz;
	if (features.edx & CPUID_1_EDX_PAT)
		platform->ops->msr_read(platform, MSR_PAT, &machine->pat);
	mtrr_set_read(platform, &machine->mtrr);
}

/* The firmware's tables lie below 4 GiB, which is what is mapped. */
int firmware_memory_read(struct firmware_memory *memory, paddr_t address, void *to, size_t length)
{
	(void)memory;
	if (address >= GIB(4) || length > GIB(4) - address)
		return -EFAULT;
	memcpy(to, (const void *)(uintptr_t)address, length);
	return 0;
}

static void read_firmware(struct setup *setup)
{
	struct machine *machine = &setup->machine;
	struct firmware_memory memory = {.read = firmware_memory_read};
	paddr_t table;
	uint32_t length;
	int count = 0;

	if (!firmware_find_rsdp(&memory, &machine->acpi_rsdp)) {
		if (!firmware_find_table(&memory, machine->acpi_rsdp, "APIC", &table, &length)) {
			machine->acpi_madt = table;
			count = madt_list_cpus((const void *)(uintptr_t)table, length, machine->apic_id,
					       MACHINE_CPU_MAX);
		}
		if (!firmware_find_table(&memory, machine->acpi_rsdp, "DMAR", &table, &length) ||
		    !firmware_find_table(&memory, machine->acpi_rsdp, "IVRS", &table, &length))
			machine->iommu_count = 1;
	}
	if (machine->acpi_rsdp)
		(void)firmware_find_sleep(&memory, machine->acpi_rsdp, &machine->sleep);
	if (!firmware_find_mp(&memory, &machine->mp_floating, &table, &length) && table && count <= 0)
		count = mp_list_cpus((const void *)(uintptr_t)table, length, machine->apic_id, MACHINE_CPU_MAX);
	machine->smi_command = firmware_find_smi_command(&memory, machine->acpi_rsdp);
	machine->quirks = quirks_find(&setup->metal.platform, &memory, machine->acpi_rsdp, machine->vendor);
	machine->cpu_count = count > 1 ? (uint32_t)count : 1;
}

bool framebuffer_read(const struct multiboot_info *info, struct framebuffer *out)
{
	*out = (struct framebuffer){0};
	if (!(info->flags & MULTIBOOT_INFO_FRAMEBUFFER) || info->framebuffer_type != MULTIBOOT_FRAMEBUFFER_RGB)
		return false;
	if (info->framebuffer_addr >= GIB(4) || info->framebuffer_bpp < 16 || info->framebuffer_bpp > 32 ||
	    (uint64_t)info->framebuffer_pitch * info->framebuffer_height > GIB(4) - info->framebuffer_addr)
		return true;
	*out = (struct framebuffer){
		.base = info->framebuffer_addr,
		.pitch = info->framebuffer_pitch,
		.width = info->framebuffer_width,
		.height = info->framebuffer_height,
		.bits_per_pixel = info->framebuffer_bpp,
	};
	return true;
}

int machine_discover(struct setup *setup, const struct multiboot_info *info, const char **why)
{
	struct machine *machine = &setup->machine;
	int error = read_memory_map(machine, info, why);

	if (error)
		return error;
	machine->version = MACHINE_VERSION;
	machine->size = sizeof(*machine);
	machine->firmware = FIRMWARE_BIOS;
	machine->boot_disk = info->flags & MULTIBOOT_INFO_BOOT_DEVICE ? (uint8_t)(info->boot_device >> 24) : 0xff;
	if (info->flags & MULTIBOOT_INFO_LOADER_NAME &&
	    quirk_boot_disk_is_invented((const char *)(uintptr_t)info->boot_loader_name))
		machine->boot_disk = 0xff;
	machine->disk_count = *(const uint8_t *)BDA_DISK_COUNT;
	machine->bios_base_memory_kib = bda16(BDA_BASE_MEMORY);
	for (unsigned i = 0; i < ARRAY_SIZE(machine->com_port); i++)
		machine->com_port[i] = bda16(BDA_COM_PORTS + 2 * i);
	framebuffer_read(info, &machine->framebuffer);
	read_cpu(setup);
	read_firmware(setup);
	return 0;
}
