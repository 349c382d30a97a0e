/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the machine is, as found before anything was changed: flat, pointer-free and versioned, so that a recorded one
 * is a test fixture byte for byte. Filled by setup; core/plan decides from it.
 */
#ifndef UNDERCROFT_MACHINE_H
#define UNDERCROFT_MACHINE_H

#include <undercroft/types.h>
#include <undercroft/memory_type.h>
#include <undercroft/sleep.h>

#define MACHINE_VERSION	   3
#define MACHINE_MEMORY_MAX 128
#define MACHINE_CPU_MAX	   256

/* ACPI 6.4, "Address Range Types" (15.1, table 15.374) */
enum memory_type {
	MEMORY_USABLE = 1,
	MEMORY_RESERVED = 2,
	MEMORY_ACPI_RECLAIM = 3,
	MEMORY_ACPI_NVS = 4,
	MEMORY_UNUSABLE = 5,
};

struct memory_range {
	uint64_t base, length;
	uint32_t type; /* enum memory_type, or what else the firmware said */
	uint32_t reserved;
};

struct memory_map {
	uint32_t count, reserved;
	struct memory_range range[MACHINE_MEMORY_MAX];
};

enum firmware_kind { FIRMWARE_BIOS = 1 };
enum cpu_vendor { CPU_VENDOR_OTHER, CPU_VENDOR_AMD, CPU_VENDOR_INTEL };

struct framebuffer {
	uint64_t base;
	uint32_t pitch, width, height;
	uint8_t bits_per_pixel; /* 0: no framebuffer, the screen is VGA text */
	uint8_t reserved[3];
};

struct machine {
	uint32_t version, size;
	uint32_t firmware;			  /* enum firmware_kind */
	uint32_t vendor;			  /* enum cpu_vendor */
	uint8_t physical_address_bits, boot_disk; /* boot_disk: BIOS number, 0xff if not known */
	uint8_t disk_count;			  /* hard disks the BIOS counts (BDA 40:75) */
	uint8_t pages_1g;			  /* the CPU has 1 GiB pages */
	uint32_t cpu_count;			  /* enabled in the MADT or MP table, at least 1 */
	uint32_t apic_id[MACHINE_CPU_MAX];
	uint32_t boot_apic_id;
	uint32_t iommu_count;			    /* DMAR or IVRS units found */
	uint64_t acpi_rsdp, acpi_madt, mp_floating; /* guest-physical, 0: none */
	struct mtrr_set mtrr;
	struct sleep_control sleep;
	uint64_t pat;
	struct framebuffer framebuffer;
	uint16_t bios_base_memory_kib, com_port[4]; /* BDA 40:13 and 40:00 */
	uint16_t smi_command;			    /* port that raises SMIs (the FADT's SMI_CMD), 0: none */
	uint32_t tsc_mhz;			    /* measured against the PIT */
	uint32_t quirks;			    /* QUIRK_x: quirk.h */
	struct memory_map memory;
};

#endif
