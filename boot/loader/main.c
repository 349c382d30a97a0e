/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader: checks what the later tiers take for granted, builds 1:1 page tables and enters setup in long mode.
 * 32-bit. Must not know virtualisation, links or the configuration.
 */
#include <x86/cr.h>

#include "boot/layout.h"
#include "boot/loader/loader.h"
#include "boot/metal/cpu.h"
#include "boot/metal/realmode.h"
#include "boot/metal/screen.h"
#include "boot/setup/start.h"

#define PTE_PRESENT 0x01u
#define PTE_WRITE   0x02u
#define PTE_LARGE   0x80u

/* free after boot loaders, clear of boot records and their stacks */
#define NATIVE_START 0x8000

#define COM2		  0x2f8
#define UART_THR	  0
#define UART_LSR	  5
#define UART_SCR	  7
#define UART_LSR_THRE	  0x20u
#define UART_ABSENT_TRIES 100000u

/* 4 GiB in 2 MiB pages */
static uint64_t page_tables[6][512] __attribute__((aligned(4096)));

/* COM2 as the firmware set it up, for messages before there is a frontend; every wait is counted. */
static void serial_write(struct log_sink *sink, const char *text, size_t length)
{
	(void)sink;
	cpu_out8(COM2 + UART_SCR, 0x5a);
	if (cpu_in8(COM2 + UART_SCR) != 0x5a)
		return;
	for (size_t i = 0; i < length; i++) {
		unsigned tries = UART_ABSENT_TRIES;

		while (tries && !(cpu_in8(COM2 + UART_LSR) & UART_LSR_THRE))
			tries--;
		if (!tries)
			return;
		cpu_out8(COM2 + UART_THR, (uint8_t)text[i]);
	}
}

static void say(const char *text)
{
	struct log_sink serial = {.write = serial_write};
	struct screen screen;
	size_t length = 0;

	while (text[length])
		length++;
	screen_init(&screen, NULL, NULL);
	screen.sink.write(&screen.sink, text, length);
	screen_leave(&screen);
	serial.write(&serial, text, length);
}

static bool cpu_has_long_mode(void)
{
	uint32_t regs[4];

	cpu_cpuid(0x80000000, 0, regs);
	if (regs[0] < 0x80000001)
		return false;
	cpu_cpuid(0x80000001, 0, regs);
	return regs[3] & 1u << 29;
}

static uint32_t page_tables_build(void)
{
	uint64_t *pml4 = page_tables[0], *pdpt = page_tables[1];

	pml4[0] = (uintptr_t)pdpt | PTE_PRESENT | PTE_WRITE;
	for (unsigned i = 0; i < 4; i++) {
		pdpt[i] = (uintptr_t)page_tables[2 + i] | PTE_PRESENT | PTE_WRITE;
		for (unsigned j = 0; j < 512; j++)
			page_tables[2 + i][j] =
				((uint64_t)i << 30 | (uint64_t)j << 21) | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	}
	return (uint32_t)(uintptr_t)pml4;
}

/* Back to the BIOS, and to the first disk that is not the one we came from. */
static _Noreturn void loader_leave(void)
{
	const struct start_request request = {.start = GUEST_START_DISK, .boot_disk = 0x80, .native = true};

	start_write((void *)NATIVE_START, &request);
	realmode_jump(NATIVE_START >> 4, 0);
}

void loader_main(uint32_t magic, uint32_t info)
{
	if (magic != MULTIBOOT_BOOT_MAGIC) {
		say("undercroft: not started by a multiboot boot loader (the magic number is wrong). "
		    "With GRUB use \"multiboot /undercroft.elf\", not \"multiboot2\" or \"linux\". Stopped.\n");
		return;
	}
	if (!cpu_has_long_mode()) {
		say("undercroft: this CPU has no 64-bit mode, which Undercroft needs. Starting the next disk without "
		    "it.\n");
		loader_leave();
	}
	loader_enter_long(page_tables_build(), SETUP_BASE, info);
}
