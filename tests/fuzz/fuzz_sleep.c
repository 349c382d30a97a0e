/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/plan/sleep.c on tables full of anything: AML alone, and a FADT, a DSDT and an SSDT with correct headers around
 * the input. No crash, nothing read outside of the tables' memory, no type without its name.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/firmware.h>

#define ROOT_AT	  0xe0000u
#define RSDT_AT	  0xe0100u
#define FADT_AT	  0xe1000u
#define AML_AT	  0xe2000u
#define SSDT_AT	  0xea000u
#define BASE	  0xe0000u
#define SIZE	  0x10000u
#define FADT_SIZE 276u
#define AML_MAX	  0x7000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t bytes[SIZE];

static int read_memory(struct firmware_memory *memory, paddr_t address, void *to, size_t length)
{
	(void)memory;
	if (address < BASE || address - BASE > SIZE || length > SIZE - (address - BASE))
		return -EFAULT;
	memcpy(to, bytes + (address - BASE), length);
	return 0;
}

static void checksum(uint32_t at, uint32_t length, uint32_t where)
{
	uint8_t sum = 0;

	bytes[at - BASE + where] = 0;
	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + bytes[at - BASE + i]);
	bytes[at - BASE + where] = (uint8_t)-sum;
}

static void table_put(uint32_t at, const char *signature, const void *content, uint32_t length)
{
	uint32_t whole = 36 + length;

	memcpy(bytes + (at - BASE), signature, 4);
	memcpy(bytes + (at - BASE) + 4, &whole, 4);
	memcpy(bytes + (at - BASE) + 36, content, length);
	checksum(at, whole, 9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t pointers[] = {FADT_AT, SSDT_AT}, rsdt = RSDT_AT, dsdt = AML_AT;
	struct firmware_memory memory = {.read = read_memory};
	struct sleep_control direct = {0}, found;
	uint8_t fadt[FADT_SIZE] = {0};
	uint32_t aml = size < AML_MAX ? (uint32_t)size : AML_MAX;

	sleep_scan(data, size, &direct);

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, "RSD PTR ", 8);
	memcpy(bytes + 16, &rsdt, 4);
	checksum(ROOT_AT, 20, 8);
	memcpy(fadt, data, size < sizeof(fadt) ? size : sizeof(fadt));
	memcpy(fadt + 4, &dsdt, 4);
	table_put(RSDT_AT, "RSDT", pointers, sizeof(pointers));
	table_put(FADT_AT, "FACP", fadt, sizeof(fadt));
	table_put(AML_AT, "DSDT", data, aml);
	table_put(SSDT_AT, "SSDT", data, aml / 4);
	if (firmware_find_sleep(&memory, ROOT_AT, &found) != 0)
		return 0;
	if (found.control_port[0] == 0)
		abort();
	/* found piece by piece is found in one piece, too */
	for (unsigned i = 0; aml == size && i < sizeof(found.types); i++) {
		if (((uint8_t *)found.types)[i] & ~((uint8_t *)direct.types)[i])
			abort();
	}
	return 0;
}
