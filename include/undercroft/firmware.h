/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware's tables: finding them, reading them, hiding all CPUs but one in them, and what they say about sleep and
 * SMIs. Pure: memory is read through a callback, tables are edited in the caller's buffers. Every table is taken for
 * hostile until its lengths and its checksum have been verified. Sources: ACPI 6.4; MultiProcessor Specification 1.4.
 */
#ifndef UNDERCROFT_FIRMWARE_H
#define UNDERCROFT_FIRMWARE_H

#include <undercroft/types.h>
#include <undercroft/sleep.h>

/* No table of the kinds below comes near this; a longer one is taken for damaged. */
#define FIRMWARE_TABLE_MAX KIB(64)

/* How the finders see memory. */
struct firmware_memory {
	/* Copies length bytes from a physical address. Returns 0, or a negative errno: nothing is there. */
	int (*read)(struct firmware_memory *memory, paddr_t address, void *to, size_t length);
};

/*
 * The ACPI root pointer, in the first KiB of the extended BIOS data area and in 0xe0000..0xfffff.
 * Returns 0 with its address, or -ENOENT.
 */
int firmware_find_rsdp(struct firmware_memory *memory, paddr_t *rsdp);

/*
 * An ACPI table, by its four letters ("APIC" is the MADT), through the XSDT or else the RSDT of a root pointer.
 * Returns 0 with its address and its length of at most FIRMWARE_TABLE_MAX bytes, or -ENOENT.
 */
int firmware_find_table(struct firmware_memory *memory, paddr_t rsdp, const char *signature, paddr_t *table,
			uint32_t *length);

/* The same for one of several: nth others come before it. What is in both root tables is counted twice. */
int firmware_find_table_nth(struct firmware_memory *memory, paddr_t rsdp, const char *signature, unsigned nth,
			    paddr_t *table, uint32_t *length);

/* Is there a whole table of these four letters and of at most max bytes? Then *length is its length. */
bool firmware_table_at(struct firmware_memory *memory, paddr_t address, const char *signature, uint32_t max,
		       uint32_t *length);

/*
 * The Intel MP floating pointer, in the first KiB of the extended BIOS data area, the last KiB of conventional memory
 * and 0xf0000..0xfffff, and the configuration table it points to; *table is 0 if it names a default configuration
 * instead. Returns 0 or -ENOENT.
 */
int firmware_find_mp(struct firmware_memory *memory, paddr_t *floating, paddr_t *table, uint32_t *length);

/*
 * What the firmware says about sleep: the control ports of the FADT and the sleep types of the DSDT and the SSDTs,
 * found by their names. Returns 0 with *out, or -ENOENT: no FADT or no control port in I/O space. States that were not
 * found have no types.
 */
int firmware_find_sleep(struct firmware_memory *memory, paddr_t rsdp, struct sleep_control *out);

/*
 * The port whose writes raise SMIs, by the FADT; 0 if there is none.
 */
uint16_t firmware_find_smi_command(struct firmware_memory *memory, paddr_t rsdp);

/*
 * Where a PCI function (as port CF8h wants it) has its page of configuration space, by a whole MCFG of length bytes; 0:
 * it has none.
 */
uint64_t mcfg_config_page(const void *table, size_t length, uint32_t function);

/* Adds the sleep types that length bytes of AML name to *out. */
void sleep_scan(const void *aml, size_t length, struct sleep_control *out);

/*
 * Lists the enabled CPUs of a whole table of length bytes. The first max APIC ids, each once, go to apic_id. Returns
 * how many CPUs there are (those not listed may be counted twice), or -EINVAL: damaged.
 */
int madt_list_cpus(const void *table, size_t length, uint32_t *apic_id, size_t max);
int mp_list_cpus(const void *table, size_t length, uint32_t *apic_id, size_t max);

/*
 * Makes every CPU but boot_apic_id unusable, for good, in a whole table of length bytes, and corrects its checksum.
 * Returns how many entries were changed, or, with nothing changed, -EINVAL (damaged) or -ENOENT (the boot CPU is not
 * an enabled one of this table).
 */
int madt_hide_cpus(void *table, size_t length, uint32_t boot_apic_id);
int mp_hide_cpus(void *table, size_t length, uint32_t boot_apic_id);

#endif
