/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware's tables of CPUs, found, read and edited. The tables are the firmware's and may be damaged: nothing is
 * believed before lengths and checksum agree. Must not know how memory is reached, nor who is shown the result.
 */
#include <undercroft/firmware.h>

#include <string.h>

#include <undercroft/errno.h>

#define BDA_EBDA_SEGMENT 0x40eu
#define BDA_BASE_MEMORY	 0x413u
#define ROM_START	 0xe0000u
#define ROM_START_MP	 0xf0000u
#define ROM_END		 0x100000u
#define SEARCH_STEP	 16u /* both root structures are aligned to it */

/* ACPI 6.4, "Root System Description Pointer (RSDP) Structure" (5.2.5.3) */
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length; /* from here on: revision 2 */
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_rsdp) == 36 && offsetof(struct acpi_rsdp, xsdt) == 24, "RSDP layout");
#define ACPI_RSDP_V1_SIZE 20u

/* ACPI 6.4, "System Description Table Header" (5.2.6) */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI table header layout");

/* ACPI 6.4, "Multiple APIC Description Table (MADT)" (5.2.12) */
struct acpi_madt {
	struct acpi_header header;
	uint32_t local_apic, flags;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_madt) == 44, "MADT layout");

/* ACPI 6.4, "Processor Local APIC Structure" (5.2.12.2) */
struct madt_apic {
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_apic) == 8, "MADT local APIC layout");
#define MADT_APIC 0

/* ACPI 6.4, "Processor Local x2APIC Structure" (5.2.12.12) */
struct madt_x2apic {
	uint8_t type, length;
	uint16_t reserved;
	uint32_t x2apic_id, flags, uid;
} __attribute__((packed));
_Static_assert(sizeof(struct madt_x2apic) == 16, "MADT local x2APIC layout");
#define MADT_X2APIC 9

#define MADT_ENABLED	    0x1u
#define MADT_ONLINE_CAPABLE 0x2u
#define MADT_ENTRY_MIN	    2u

/* MP 1.4, "MP Floating Pointer Structure" (4.1) */
struct mp_floating {
	char signature[4];
	uint32_t table;
	uint8_t length; /* in 16 bytes */
	uint8_t revision, checksum;
	uint8_t feature[5]; /* [0]: number of a default configuration, 0 if there is a table */
} __attribute__((packed));
_Static_assert(sizeof(struct mp_floating) == SEARCH_STEP, "MP floating pointer layout");

/* MP 1.4, "MP Configuration Table Header" (4.2) */
struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem_id[8], product_id[12];
	uint32_t oem_table;
	uint16_t oem_length, entry_count;
	uint32_t local_apic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct mp_header) == 44, "MP configuration table layout");

/* MP 1.4, "Processor Entries" (4.3.1); all other kinds of entry have 8 bytes */
struct mp_processor {
	uint8_t type, apic_id, apic_version, flags;
	uint32_t signature, features, reserved[2];
} __attribute__((packed));
_Static_assert(sizeof(struct mp_processor) == 20, "MP processor entry layout");
#define MP_PROCESSOR	0
#define MP_ENTRY_LAST	4
#define MP_ENTRY_SIZE	8u
#define MP_PROCESSOR_EN 0x01u

/* One CPU as a table has it. */
struct cpu_entry {
	uint32_t apic_id;
	uint32_t flags; /* with the bits that make it usable, and no others */
	bool enabled;
};

/*
 * Looks at the entry at *offset of a verified table, moves *offset behind it, and, if it is a CPU, fills *cpu. With
 * hide, the bits that make the CPU usable are cleared. Returns 1: a CPU, 0: something else, or -EINVAL: not within
 * length.
 */
typedef int (*entry_fn)(uint8_t *table, size_t length, size_t *offset, bool hide, struct cpu_entry *cpu);

/* --- tables in a buffer ----------------------------------------------------------------------------------------- */

static uint8_t sum(const uint8_t *bytes, size_t length)
{
	uint8_t total = 0;

	while (length--)
		total = (uint8_t)(total + *bytes++);
	return total;
}

static int madt_entry(uint8_t *table, size_t length, size_t *offset, bool hide, struct cpu_entry *cpu)
{
	uint8_t *at = table + *offset;
	size_t room = length - *offset, size, flags_offset;

	if (room < MADT_ENTRY_MIN)
		return -EINVAL;
	size = at[1];
	if (size < MADT_ENTRY_MIN || size > room)
		return -EINVAL;
	*offset += size;
	if (at[0] == MADT_APIC) {
		struct madt_apic entry;

		if (size < sizeof(entry))
			return -EINVAL;
		memcpy(&entry, at, sizeof(entry));
		cpu->apic_id = entry.apic_id;
		cpu->flags = entry.flags;
		flags_offset = offsetof(struct madt_apic, flags);
	} else if (at[0] == MADT_X2APIC) {
		struct madt_x2apic entry;

		if (size < sizeof(entry))
			return -EINVAL;
		memcpy(&entry, at, sizeof(entry));
		cpu->apic_id = entry.x2apic_id;
		cpu->flags = entry.flags;
		flags_offset = offsetof(struct madt_x2apic, flags);
	} else {
		return 0;
	}
	if (hide) {
		uint32_t flags = cpu->flags & ~(MADT_ENABLED | MADT_ONLINE_CAPABLE);

		memcpy(at + flags_offset, &flags, sizeof(flags));
	}
	cpu->flags &= MADT_ENABLED | MADT_ONLINE_CAPABLE;
	cpu->enabled = cpu->flags & MADT_ENABLED;
	return 1;
}

static int mp_entry(uint8_t *table, size_t length, size_t *offset, bool hide, struct cpu_entry *cpu)
{
	uint8_t *at = table + *offset;
	size_t room = length - *offset;
	size_t size = room && at[0] == MP_PROCESSOR ? sizeof(struct mp_processor) : MP_ENTRY_SIZE;

	if (size > room || at[0] > MP_ENTRY_LAST)
		return -EINVAL;
	*offset += size;
	if (at[0] != MP_PROCESSOR)
		return 0;
	cpu->apic_id = at[offsetof(struct mp_processor, apic_id)];
	cpu->flags = at[offsetof(struct mp_processor, flags)] & MP_PROCESSOR_EN;
	cpu->enabled = cpu->flags;
	if (hide)
		at[offsetof(struct mp_processor, flags)] &= (uint8_t)~MP_PROCESSOR_EN;
	return 1;
}

/* Counts and lists the enabled CPUs in [start, length) of a table. */
static int list_cpus(const void *table, size_t start, size_t length, entry_fn entry, uint32_t *apic_id, size_t max)
{
	size_t offset = start, listed = 0;
	int count = 0;

	while (offset < length) {
		struct cpu_entry cpu;
		/* Without hide, the entry functions only read. */
		int is_cpu = entry((uint8_t *)(uintptr_t)table, length, &offset, false, &cpu);
		size_t i = 0;

		if (is_cpu < 0)
			return is_cpu;
		if (!is_cpu || !cpu.enabled)
			continue;
		/* A CPU may have both kinds of MADT entry. */
		while (i < listed && apic_id[i] != cpu.apic_id)
			i++;
		if (i < listed)
			continue;
		if (listed < max)
			apic_id[listed++] = cpu.apic_id;
		count++;
	}
	return count;
}

/* Clears all CPUs but one in [start, length) of a table, in two passes: damage is seen before anything is changed. */
static int hide_cpus(uint8_t *table, size_t start, size_t length, size_t checksum, entry_fn entry,
		     uint32_t boot_apic_id)
{
	bool boot_seen = false;
	int hidden = 0;
	struct cpu_entry cpu;

	for (size_t offset = start; offset < length;) {
		int is_cpu = entry(table, length, &offset, false, &cpu);

		if (is_cpu < 0)
			return is_cpu;
		if (is_cpu && cpu.enabled && cpu.apic_id == boot_apic_id)
			boot_seen = true;
	}
	if (!boot_seen)
		return -ENOENT;

	for (size_t offset = start; offset < length;) {
		size_t here = offset;

		if (entry(table, length, &offset, false, &cpu) == 1 && cpu.apic_id != boot_apic_id && cpu.flags) {
			entry(table, length, &here, true, &cpu);
			hidden++;
		}
	}
	table[checksum] = (uint8_t)(table[checksum] - sum(table, length));
	return hidden;
}

/* The length a MADT claims, 0 if it is damaged. */
static size_t madt_length(const void *table, size_t length)
{
	struct acpi_header header;

	if (length < sizeof(struct acpi_madt))
		return 0;
	memcpy(&header, table, sizeof(header));
	if (memcmp(header.signature, "APIC", sizeof(header.signature)) != 0 ||
	    header.length < sizeof(struct acpi_madt) || header.length > length || sum(table, header.length) != 0)
		return 0;
	return header.length;
}

/* The length of the base part of an MP configuration table, 0 if it is damaged. */
static size_t mp_length(const void *table, size_t length)
{
	struct mp_header header;

	if (length < sizeof(header))
		return 0;
	memcpy(&header, table, sizeof(header));
	if (memcmp(header.signature, "PCMP", sizeof(header.signature)) != 0 || header.length < sizeof(header) ||
	    header.length > length || sum(table, header.length) != 0)
		return 0;
	return header.length;
}

int madt_list_cpus(const void *table, size_t length, uint32_t *apic_id, size_t max)
{
	length = madt_length(table, length);
	return length ? list_cpus(table, sizeof(struct acpi_madt), length, madt_entry, apic_id, max) : -EINVAL;
}

int mp_list_cpus(const void *table, size_t length, uint32_t *apic_id, size_t max)
{
	length = mp_length(table, length);
	return length ? list_cpus(table, sizeof(struct mp_header), length, mp_entry, apic_id, max) : -EINVAL;
}

int madt_hide_cpus(void *table, size_t length, uint32_t boot_apic_id)
{
	length = madt_length(table, length);
	return length ? hide_cpus(table, sizeof(struct acpi_madt), length, offsetof(struct acpi_header, checksum),
				  madt_entry, boot_apic_id)
		      : -EINVAL;
}

int mp_hide_cpus(void *table, size_t length, uint32_t boot_apic_id)
{
	length = mp_length(table, length);
	return length ? hide_cpus(table, sizeof(struct mp_header), length, offsetof(struct mp_header, checksum),
				  mp_entry, boot_apic_id)
		      : -EINVAL;
}

/* --- tables in memory ------------------------------------------------------------------------------------------- */

/* Do length bytes in memory add up to 0? */
static bool memory_sums_up(struct firmware_memory *memory, paddr_t address, size_t length)
{
	uint8_t piece[64], total = 0;

	while (length) {
		size_t part = length < sizeof(piece) ? length : sizeof(piece);

		if (memory->read(memory, address, piece, part))
			return false;
		total = (uint8_t)(total + sum(piece, part));
		address += part;
		length -= part;
	}
	return total == 0;
}

/* Where the extended BIOS data area starts, 0 if nowhere sensible. */
static paddr_t find_ebda(struct firmware_memory *memory)
{
	uint16_t segment;
	paddr_t start;

	if (memory->read(memory, BDA_EBDA_SEGMENT, &segment, sizeof(segment)))
		return 0;
	start = (paddr_t)segment << 4;
	return start >= KIB(64) && start < KIB(640) ? start : 0;
}

static bool is_rsdp(struct firmware_memory *memory, paddr_t address, struct acpi_rsdp *rsdp)
{
	memset(rsdp, 0, sizeof(*rsdp));
	if (memory->read(memory, address, rsdp, ACPI_RSDP_V1_SIZE) || memcmp(rsdp->signature, "RSD PTR ", 8) != 0 ||
	    sum((const uint8_t *)rsdp, ACPI_RSDP_V1_SIZE) != 0)
		return false;
	if (rsdp->revision < 2)
		return true;
	return memory->read(memory, address, rsdp, sizeof(*rsdp)) == 0 && rsdp->length >= sizeof(*rsdp) &&
	       rsdp->length <= FIRMWARE_TABLE_MAX && memory_sums_up(memory, address, rsdp->length);
}

static bool search_rsdp(struct firmware_memory *memory, paddr_t start, paddr_t end, paddr_t *found)
{
	struct acpi_rsdp rsdp;

	for (paddr_t at = start; at < end; at += SEARCH_STEP) {
		if (is_rsdp(memory, at, &rsdp)) {
			*found = at;
			return true;
		}
	}
	return false;
}

int firmware_find_rsdp(struct firmware_memory *memory, paddr_t *rsdp)
{
	paddr_t ebda = find_ebda(memory);

	if (ebda && search_rsdp(memory, ebda, ebda + KIB(1), rsdp))
		return 0;
	return search_rsdp(memory, ROM_START, ROM_END, rsdp) ? 0 : -ENOENT;
}

bool firmware_table_at(struct firmware_memory *memory, paddr_t address, const char *signature, uint32_t max,
		       uint32_t *length)
{
	struct acpi_header header;

	if (!address || memory->read(memory, address, &header, sizeof(header)) ||
	    memcmp(header.signature, signature, sizeof(header.signature)) != 0 || header.length < sizeof(header) ||
	    header.length > max || !memory_sums_up(memory, address, header.length))
		return false;
	*length = header.length;
	return true;
}

/* Looks through a root table whose entries have pointer_size bytes, for the first match behind *skip others. */
static int search_root(struct firmware_memory *memory, paddr_t root, const char *root_signature, size_t pointer_size,
		       const char *signature, unsigned *skip, paddr_t *table, uint32_t *length)
{
	uint32_t root_length;

	if (!firmware_table_at(memory, root, root_signature, FIRMWARE_TABLE_MAX, &root_length))
		return -ENOENT;
	for (size_t offset = sizeof(struct acpi_header); offset + pointer_size <= root_length; offset += pointer_size) {
		uint64_t pointer = 0;

		if (memory->read(memory, root + offset, &pointer, pointer_size))
			return -ENOENT;
		if (!firmware_table_at(memory, pointer, signature, FIRMWARE_TABLE_MAX, length))
			continue;
		if (*skip == 0) {
			*table = pointer;
			return 0;
		}
		--*skip;
	}
	return -ENOENT;
}

int firmware_find_table_nth(struct firmware_memory *memory, paddr_t rsdp, const char *signature, unsigned nth,
			    paddr_t *table, uint32_t *length)
{
	struct acpi_rsdp root;

	if (!is_rsdp(memory, rsdp, &root))
		return -ENOENT;
	if (root.revision >= 2 && search_root(memory, root.xsdt, "XSDT", 8, signature, &nth, table, length) == 0)
		return 0;
	return search_root(memory, root.rsdt, "RSDT", 4, signature, &nth, table, length);
}

int firmware_find_table(struct firmware_memory *memory, paddr_t rsdp, const char *signature, paddr_t *table,
			uint32_t *length)
{
	return firmware_find_table_nth(memory, rsdp, signature, 0, table, length);
}

static bool is_mp_floating(struct firmware_memory *memory, paddr_t address, struct mp_floating *mp)
{
	return memory->read(memory, address, mp, sizeof(*mp)) == 0 && memcmp(mp->signature, "_MP_", 4) == 0 &&
	       mp->length == 1 && sum((const uint8_t *)mp, sizeof(*mp)) == 0;
}

static bool search_mp(struct firmware_memory *memory, paddr_t start, paddr_t end, paddr_t *found,
		      struct mp_floating *mp)
{
	for (paddr_t at = start; at < end; at += SEARCH_STEP) {
		if (is_mp_floating(memory, at, mp)) {
			*found = at;
			return true;
		}
	}
	return false;
}

int firmware_find_mp(struct firmware_memory *memory, paddr_t *floating, paddr_t *table, uint32_t *length)
{
	paddr_t ebda = find_ebda(memory), base_end = KIB(640);
	struct mp_floating mp;
	struct mp_header header;
	uint16_t base_kib;

	if (memory->read(memory, BDA_BASE_MEMORY, &base_kib, sizeof(base_kib)) == 0 && base_kib > 64 && base_kib <= 640)
		base_end = KIB(base_kib);
	if (!(ebda && search_mp(memory, ebda, ebda + KIB(1), floating, &mp)) &&
	    !search_mp(memory, base_end - KIB(1), base_end, floating, &mp) &&
	    !search_mp(memory, ROM_START_MP, ROM_END, floating, &mp))
		return -ENOENT;
	*table = 0;
	*length = 0;
	if (mp.feature[0])
		return 0;
	if (!mp.table || memory->read(memory, mp.table, &header, sizeof(header)) ||
	    memcmp(header.signature, "PCMP", sizeof(header.signature)) != 0 || header.length < sizeof(header) ||
	    !memory_sums_up(memory, mp.table, header.length))
		return -ENOENT;
	*table = mp.table;
	*length = header.length;
	return 0;
}
