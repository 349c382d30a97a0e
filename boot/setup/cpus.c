/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the other CPUs out of the firmware's tables, as the guest sees them. Tables in RAM are edited where they are;
 * tables in ROM are copied into the hidden window, and the guest sees the copy's page.
 */
#include <string.h>

#include <undercroft/errno.h>

#include "boot/setup/setup.h"

/* What is not RAM keeps its content: written and read back. */
static bool is_writable(volatile uint8_t *at)
{
	uint8_t old = *at, other = old ^ 0xff;
	bool took;

	*at = other;
	took = *at == other;
	*at = old;
	return took;
}

/* A page of the window with a page's content, shown to the guest instead of it. */
static uint8_t *page_shadow(struct setup *setup, paddr_t page)
{
	for (unsigned i = 0; i < setup->remap_count; i++) {
		if (setup->remap[i].gpa == page)
			return (uint8_t *)(uintptr_t)setup->remap[i].copy;
	}
	if (setup->remap_count == SETUP_REMAP_MAX || setup->next >= setup->window_end)
		return NULL;
	setup->remap[setup->remap_count++] = (struct handoff_remap){.gpa = page, .copy = setup->next};
	memcpy((void *)(uintptr_t)setup->next, (const void *)(uintptr_t)page, PAGE_SIZE);
	setup->next += PAGE_SIZE;
	return (uint8_t *)(uintptr_t)(setup->next - PAGE_SIZE);
}

static int table_store(struct setup *setup, paddr_t table, const uint8_t *content, uint32_t length)
{
	if (is_writable((volatile uint8_t *)(uintptr_t)table)) {
		memcpy((void *)(uintptr_t)table, content, length);
		return 0;
	}
	for (uint32_t done = 0; done < length;) {
		paddr_t at = table + done;
		uint32_t piece = (uint32_t)(PAGE_SIZE - (at & ~PAGE_MASK));
		uint8_t *copy = page_shadow(setup, at & PAGE_MASK);

		if (!copy)
			return -ENOMEM;
		if (piece > length - done)
			piece = length - done;
		memcpy(copy + (at & ~PAGE_MASK), content + done, piece);
		done += piece;
	}
	return 0;
}

int cpus_hide(struct setup *setup, const char **why)
{
	static uint8_t buffer[FIRMWARE_TABLE_MAX];
	struct firmware_memory memory = {.read = firmware_memory_read};
	const struct machine *machine = &setup->machine;
	paddr_t table, floating;
	uint32_t length;
	int changed;

	*why = "The firmware's table of CPUs (MADT) is damaged or does not list this CPU.";
	if (machine->acpi_madt && !firmware_find_table(&memory, machine->acpi_rsdp, "APIC", &table, &length)) {
		memcpy(buffer, (const void *)(uintptr_t)table, length);
		changed = madt_hide_cpus(buffer, length, machine->boot_apic_id);
		if (changed < 0)
			return changed;
		if (changed && table_store(setup, table, buffer, length))
			return -ENOMEM;
	}
	*why = "The firmware's table of CPUs (MP configuration) is damaged or does not list this CPU.";
	if (machine->mp_floating && !firmware_find_mp(&memory, &floating, &table, &length) && table) {
		memcpy(buffer, (const void *)(uintptr_t)table, length);
		changed = mp_hide_cpus(buffer, length, machine->boot_apic_id);
		if (changed < 0)
			return changed;
		if (changed && table_store(setup, table, buffer, length))
			return -ENOMEM;
	}
	return 0;
}
