/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the firmware says about sleep. The sleep types are in AML; to read them no interpreter is needed, because they
 * have to be packages of constants with a fixed name: they are looked for wherever they are. Tables may be damaged or
 * hostile. Must not know how memory is reached, nor what the answer is for.
 */
#include <undercroft/firmware.h>

#include <string.h>

#include <undercroft/errno.h>

/* ACPI 6.4, "Fixed ACPI Description Table (FADT)" (5.2.9), table 5.34 */
#define FADT_DSDT	    40
#define FADT_SMI_COMMAND    48
#define FADT_PM1A_EVENT	    56
#define FADT_PM1B_EVENT	    60
#define FADT_PM1A_CONTROL   64
#define FADT_PM1B_CONTROL   68
#define FADT_X_DSDT	    140
#define FADT_X_PM1A_EVENT   148
#define FADT_X_PM1B_EVENT   160
#define FADT_X_PM1A_CONTROL 172
#define FADT_X_PM1B_CONTROL 184
#define FADT_SIZE_MIN	    72	/* what ACPI 1.0 has of it */
#define FADT_SIZE_MAX	    512 /* what is read of it */

/* ACPI 6.4, "Generic Address Structure (GAS)" (5.2.3.2): space, width, offset, access size, address */
#define GAS_ADDRESS  4
#define GAS_SPACE_IO 1

/* ACPI 6.4, "AML Grammar Definition" (20.2): encodings */
#define AML_ZERO    0x00
#define AML_ONE	    0x01
#define AML_NAME    0x08
#define AML_BYTE    0x0a
#define AML_WORD    0x0b
#define AML_DWORD   0x0c
#define AML_PACKAGE 0x12
#define AML_ROOT    '\\'

#define AML_TABLE_MAX MIB(1)
#define AML_HEADER    36
#define SSDT_MAX      32 /* how many are looked at */
#define WINDOW	      512
#define NAME_MAX      32 /* a name with its package up to the second number is shorter */

/* One constant of a package. Returns how many bytes it has, 0 if it is none or does not fit. */
static size_t constant_read(const uint8_t *at, size_t room, uint32_t *value)
{
	size_t size;

	if (room == 0)
		return 0;
	*value = at[0];
	if (at[0] == AML_ZERO || at[0] == AML_ONE)
		return 1;
	size = at[0] == AML_BYTE ? 1 : at[0] == AML_WORD ? 2 : at[0] == AML_DWORD ? 4 : 0;
	if (size == 0 || room < 1 + size)
		return 0;
	*value = 0;
	memcpy(value, at + 1, size);
	return 1 + size;
}

/* A sleep type as a bit; 0: none that a register could hold. */
static uint8_t type_bit(uint32_t value)
{
	return (uint8_t)(value < 8 ? 1u << value : 0);
}

/* Is this Name(_Sx_, Package(){a, b, ...})? Then a and b are added. */
static void name_read(const uint8_t *at, size_t room, struct sleep_control *out)
{
	size_t i = 1, size;
	uint32_t value[SLEEP_BLOCKS];
	unsigned state, count;

	if (room > i && at[i] == AML_ROOT)
		i++;
	if (room < i + 7 || at[i] != '_' || at[i + 1] != 'S' || at[i + 2] < '0' || at[i + 2] >= '0' + SLEEP_STATES ||
	    at[i + 3] != '_' || at[i + 4] != AML_PACKAGE)
		return;
	state = (unsigned)(at[i + 2] - '0');
	i += 5;
	i += 1u + (at[i] >> 6); /* "Package Length Encoding" (20.2.4): the first byte says how many follow */
	if (i >= room)
		return;
	count = at[i++];
	size = constant_read(at + i, room - i, &value[0]);
	if (size == 0 || count == 0)
		return;
	if (count == 1) {
		/* from before ACPI had an element for each */
		value[1] = value[0] >> 8 & 0xff;
		value[0] &= 0xff;
	} else if (constant_read(at + i + size, room - i - size, &value[1]) == 0) {
		return;
	}
	for (unsigned block = 0; block < SLEEP_BLOCKS; block++)
		out->types[state][block] |= type_bit(value[block]);
}

void sleep_scan(const void *aml, size_t length, struct sleep_control *out)
{
	const uint8_t *bytes = aml;

	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == AML_NAME)
			name_read(bytes + i, length - i, out);
	}
}

/* The AML of a table in memory, piece by piece; each piece ends with what the next one begins with. */
static void table_scan(struct firmware_memory *memory, paddr_t table, uint32_t length, struct sleep_control *out)
{
	uint8_t window[WINDOW];

	for (uint32_t at = AML_HEADER; at < length; at += WINDOW - NAME_MAX) {
		uint32_t piece = length - at < WINDOW ? length - at : WINDOW;

		if (memory->read(memory, table + at, window, piece))
			return;
		sleep_scan(window, piece, out);
	}
}

static uint64_t number_at(const uint8_t *fadt, size_t offset, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, fadt + offset, size);
	return value;
}

/* A register block's port, by the extended field if that has one, else by the old one; 0: none that has two bytes. */
static uint16_t port_at(const uint8_t *fadt, size_t old, size_t extended)
{
	uint64_t port = number_at(fadt, extended + GAS_ADDRESS, 8);

	if (port == 0 || fadt[extended] != GAS_SPACE_IO)
		port = number_at(fadt, old, 4);
	return port < 0xffff ? (uint16_t)port : 0;
}

uint16_t firmware_find_smi_command(struct firmware_memory *memory, paddr_t rsdp)
{
	uint32_t length, port;
	paddr_t table;

	if (rsdp == 0 || firmware_find_table(memory, rsdp, "FACP", &table, &length) || length < FADT_SIZE_MIN ||
	    memory->read(memory, table + FADT_SMI_COMMAND, &port, sizeof(port)))
		return 0;
	return port <= 0xffff ? (uint16_t)port : 0;
}

int firmware_find_sleep(struct firmware_memory *memory, paddr_t rsdp, struct sleep_control *out)
{
	uint8_t fadt[FADT_SIZE_MAX] = {0}; /* what an older one does not have is zero */
	uint32_t length;
	paddr_t table;

	*out = (struct sleep_control){0};
	if (firmware_find_table(memory, rsdp, "FACP", &table, &length) || length < FADT_SIZE_MIN ||
	    memory->read(memory, table, fadt, length < FADT_SIZE_MAX ? length : FADT_SIZE_MAX))
		return -ENOENT;
	out->control_port[0] = port_at(fadt, FADT_PM1A_CONTROL, FADT_X_PM1A_CONTROL);
	out->control_port[1] = port_at(fadt, FADT_PM1B_CONTROL, FADT_X_PM1B_CONTROL);
	out->status_port[0] = port_at(fadt, FADT_PM1A_EVENT, FADT_X_PM1A_EVENT);
	out->status_port[1] = port_at(fadt, FADT_PM1B_EVENT, FADT_X_PM1B_EVENT);
	if (out->control_port[0] == 0) {
		*out = (struct sleep_control){0};
		return -ENOENT;
	}
	table = number_at(fadt, FADT_X_DSDT, 8);
	if (!firmware_table_at(memory, table, "DSDT", AML_TABLE_MAX, &length))
		table = number_at(fadt, FADT_DSDT, 4);
	if (firmware_table_at(memory, table, "DSDT", AML_TABLE_MAX, &length))
		table_scan(memory, table, length, out);
	for (unsigned i = 0; i < SSDT_MAX; i++) {
		if (firmware_find_table_nth(memory, rsdp, "SSDT", i, &table, &length))
			break;
		table_scan(memory, table, length, out);
	}
	return 0;
}
