/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Undercroft started inside its own virtual machine: notices, and has the one that runs log why this one does not.
 */
#include <string.h>

#include "boot/setup/inside.h"
#include "boot/setup/start.h"
#include "boot/setup/start_layout.h"

#define BDA_BASE_MEMORY 0x413
#define BASE_KIB_MAX	640u

/* where the log service takes its line from: below 64 KiB, free after boot loaders */
#define LINE_PLACE 0x7000

/* The resident low memory of the one that runs, or NULL. */
static const uint8_t *resident(void)
{
	const uint8_t *low;
	uint16_t base_kib;

	memcpy(&base_kib, (const void *)BDA_BASE_MEMORY, sizeof(base_kib));
	low = (const uint8_t *)(uintptr_t)(base_kib * KIB(1));
	return base_kib < BASE_KIB_MAX && memcmp(low, INSIDE_SIGNATURE, sizeof(INSIDE_SIGNATURE)) == 0 ? low : NULL;
}

bool inside_itself(void)
{
	return resident() != NULL;
}

void inside_say(const char *line)
{
	const uint8_t *stub = resident() + ALIGN_UP(sizeof(INSIDE_SIGNATURE), START_ALIGN), *call;
	char *place = (char *)LINE_PLACE;
	uint16_t offset;

	memcpy(&offset, stub + START_GUEST_CALL, sizeof(offset));
	call = stub + offset;
	/* VMMCALL or VMCALL, then RET: the same bytes in 64-bit code */
	if (call[0] != 0x0f || call[1] != 0x01 || call[3] != 0xc3)
		return;
	memset(place, 0, START_LINE_MAX);
	strncpy(place, line, START_LINE_MAX - 1);
	__asm__ volatile("call *%0" : : "r"(call), "S"(place) : "memory");
}
