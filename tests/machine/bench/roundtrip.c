// SPDX-License-Identifier: BSD-2-Clause
/*
 * The other half of the bench program: page tables, and the results on the first serial port, a line each:
 * "bench: MODE ROW least most", and the time stamp counter at the program's start.
 */
#include <stddef.h>
#include <stdint.h>

#include "roundtrip.h"

#define COM1 0x3f8

#define PTE_PRESENT_WRITE 3u
#define PTE_LARGE	  0x80u

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length,
		mmap_addr;
};

struct multiboot_mmap {
	uint32_t size;
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

extern const uint8_t low_code[], low_code_end[];
extern uint32_t hidden_address;

void bench_main(const struct multiboot_info *info);
void bench_protected(void);
void bench_real(void);
void bench_long(const void *page_tables, void (*measure)(void));
void bench_long_2m(void);
void bench_long_4k(void);

/* 4 GiB, 1:1; entries of 2 MiB, and of 4 KiB */
static uint64_t large[6][512] __attribute__((aligned(4096)));
static uint64_t small[6][512] __attribute__((aligned(4096)));
static uint64_t pages[4 * 512][512] __attribute__((aligned(4096)));

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* 115200 8N1: a boot loader that never wrote to it leaves it as the reset did */
static void serial_init(void)
{
	out8(COM1 + 3, 0x83);
	out8(COM1, 1);
	out8(COM1 + 1, 0);
	out8(COM1 + 3, 0x03);
}

static void put(char c)
{
	while (!(in8(COM1 + 5) & 0x20))
		continue;
	out8(COM1, (uint8_t)c);
}

static void print(const char *text)
{
	while (*text)
		put(*text++);
}

static void print_number(uint64_t value)
{
	char digits[21], *at = digits + sizeof(digits) - 1;

	*at = 0;
	do {
		uint32_t rest = (uint32_t)(value >> 32) % 10, low = (uint32_t)value, quotient;

		/* 64 bits by 10 without the compiler's library */
		__asm__("divl %2" : "=a"(quotient), "+d"(rest) : "r"(10), "0"(low));
		value = (uint64_t)((uint32_t)(value >> 32) / 10) << 32 | quotient;
		*--at = (char)('0' + rest);
	} while (value);
	print(at);
}

/* Behind the end of the memory that begins at 1 MiB: the hypervisor's, or the firmware's without one. */
static uint32_t memory_end(const struct multiboot_info *info)
{
	uint32_t at = info->mmap_addr;

	while (at < info->mmap_addr + info->mmap_length) {
		const struct multiboot_mmap *entry = (const void *)(uintptr_t)at;

		if (entry->type == 1 && entry->base == 0x100000)
			return (uint32_t)(entry->base + entry->length);
		at += entry->size + (uint32_t)sizeof(entry->size);
	}
	return 0;
}

static void page_tables_build(void)
{
	large[0][0] = (uintptr_t)large[1] | PTE_PRESENT_WRITE;
	small[0][0] = (uintptr_t)small[1] | PTE_PRESENT_WRITE;
	for (unsigned i = 0; i < 4; i++) {
		large[1][i] = (uintptr_t)large[2 + i] | PTE_PRESENT_WRITE;
		small[1][i] = (uintptr_t)small[2 + i] | PTE_PRESENT_WRITE;
	}
	for (unsigned i = 0; i < 4 * 512; i++) {
		large[2 + i / 512][i % 512] = (uint64_t)i << 21 | PTE_PRESENT_WRITE | PTE_LARGE;
		small[2 + i / 512][i % 512] = (uintptr_t)pages[i] | PTE_PRESENT_WRITE;
		for (unsigned j = 0; j < 512; j++)
			pages[i][j] = (uint64_t)i << 21 | (uint64_t)j << 12 | PTE_PRESENT_WRITE;
	}
}

static void report(void)
{
	static const char *const modes[MODE_COUNT] = {"real", "protected", "long-2m", "long-4k"};
	static const char *const rows[ROW_COUNT] = {
		"nothing", "cpuid", "cpuid-filtered", "rdmsr-efer", "wrmsr-efer", "rdmsr-far", "port", "memory", "eoi",
	};

	for (unsigned mode = 0; mode < MODE_COUNT; mode++) {
		for (unsigned row = 0; row < ROW_COUNT; row++) {
			const uint32_t *result = (const uint32_t *)RESULTS + SLOT(mode, row) * ROUNDS;
			uint32_t least = result[0], most = result[0];

			if (mode == MODE_REAL && row >= ROW_MEMORY)
				continue;
			for (unsigned i = 1; i < ROUNDS; i++) {
				least = result[i] < least ? result[i] : least;
				most = result[i] > most ? result[i] : most;
			}
			print("bench: ");
			print(modes[mode]);
			put(' ');
			print(rows[row]);
			put(' ');
			print_number(least);
			put(' ');
			print_number(most);
			put('\n');
		}
	}
	print("bench: end\n");
}

void bench_main(const struct multiboot_info *info)
{
	uint64_t start = __builtin_ia32_rdtsc();

	hidden_address = memory_end(info);
	page_tables_build();
	for (size_t i = 0; i < (size_t)(low_code_end - low_code); i++)
		((volatile uint8_t *)LOW_CODE)[i] = low_code[i];
	bench_protected();
	bench_long(large, bench_long_2m);
	bench_long(small, bench_long_4k);
	bench_real();
	serial_init();
	print("bench: start ");
	print_number(start);
	put('\n');
	report();
}
