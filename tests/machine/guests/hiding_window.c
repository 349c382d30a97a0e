/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding hidden memory.
 */
#include "hiding.h"

#define MIB		  0x100000u
#define WINDOW_ALIGN	  (2 * MIB)
#define FLASH		  0xff000000u
#define CPUID_EXT_ECX_SVM (1u << 2)

uint32_t window, window_end;
unsigned accesses;
uint8_t ones[PAGE];

/* The reserved range of whole 2 MiB in which everything is ones. */
static bool window_find(void)
{
	for (unsigned i = 0; i < memory_range_count; i++) {
		const struct memory_range *range = &memory_range[i];

		if (range->type == 1 || range->base < MIB || range->base >= FLASH || range->length > FLASH ||
		    range->base % WINDOW_ALIGN || range->length % WINDOW_ALIGN)
			continue;
		if (*(volatile uint32_t *)(uint32_t)range->base != 0xffffffff)
			continue;
		accesses++;
		window = (uint32_t)range->base;
		window_end = (uint32_t)(range->base + range->length);
		return true;
	}
	return false;
}

void check_untouched(uint32_t at, const char *name)
{
	bool same = true;

	for (uint32_t i = 0; i < PAGE; i += 256, accesses++)
		same &= *(volatile uint32_t *)(at + i) == 0xffffffff;
	check(same, name);
}

bool hiding_start(void)
{
	memset(ones, 0xff, sizeof(ones));
	if (!check(!(cpuid(0x80000001, 0).ecx & CPUID_EXT_ECX_SVM), "inside Undercroft") ||
	    !check(window_find(), "hidden memory is in the memory map"))
		return false;
	print("guest: hidden memory %x..%x\n", window, window_end - 1);
	return true;
}
