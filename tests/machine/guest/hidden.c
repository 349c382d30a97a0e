// SPDX-License-Identifier: BSD-2-Clause
/*
 * Inside the guest: hidden memory through a mapping of /dev/mem. Each access is one instruction; how many there were is
 * printed, and has to be what the hypervisor counted.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW_SIZE 0x400000ull

static unsigned accesses, failed;

/* The reserved range of the window's size below the end of RAM. 0: none. */
static uint64_t window_find(void)
{
	FILE *iomem = fopen("/proc/iomem", "r");
	char line[128], name[64];
	uint64_t start, end;

	while (iomem && fgets(line, sizeof(line), iomem)) {
		if (sscanf(line, "%lx-%lx : %63[^\n]", &start, &end, name) == 3 && !strcmp(name, "Reserved") &&
		    end - start + 1 == WINDOW_SIZE)
			return start;
	}
	return 0;
}

static void expect(const char *what, uint64_t offset, uint64_t got, uint64_t wanted)
{
	accesses++;
	if (got == wanted)
		return;
	failed++;
	printf("FAIL %s at +%lx: %lx\n", what, offset, got);
}

static void try_at(volatile uint8_t *window, uint64_t offset)
{
	volatile void *at = window + offset;
	uint64_t vector[2], old = 0;

	expect("1 byte", offset, *(volatile uint8_t *)at, 0xff);
	expect("2 bytes", offset, *(volatile uint16_t *)at, 0xffff);
	expect("4 bytes", offset, *(volatile uint32_t *)at, 0xffffffff);
	expect("8 bytes", offset, *(volatile uint64_t *)at, ~0ull);
	__asm__ volatile("movups (%1), %%xmm0\n movups %%xmm0, (%0)" : : "r"(vector), "r"(at) : "xmm0", "memory");
	expect("16 bytes", offset, vector[0] & vector[1], ~0ull);
	*(volatile uint64_t *)at = 0x1122334455667788;
	accesses++;
	expect("8 bytes behind a store", offset, *(volatile uint64_t *)at, ~0ull);
	__asm__ volatile("xchgq %0, (%1)" : "+r"(old) : "r"(at) : "memory");
	expect("XCHG", offset, old, ~0ull);
	__asm__ volatile("lock addq $1, (%0)" : : "r"(at) : "memory");
	accesses++;
	expect("8 bytes behind LOCK ADD", offset, *(volatile uint64_t *)at, ~0ull);
}

int main(void)
{
	static const uint64_t offsets[] = {0, 0x1230, 0x200000, WINDOW_SIZE - 16};
	uint64_t start = window_find();
	int memory = open("/dev/mem", O_RDWR | O_SYNC);
	volatile uint8_t *window;

	if (!start || memory < 0) {
		printf("FAIL no window in /proc/iomem, or no /dev/mem\n");
		return 1;
	}
	window = mmap(NULL, WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, (off_t)start);
	if (window == MAP_FAILED) {
		perror("FAIL mmap");
		return 1;
	}
	for (unsigned i = 0; i < sizeof(offsets) / sizeof(*offsets); i++)
		try_at(window, offsets[i]);
	printf("hidden: %u accesses, %u failed\n", accesses, failed);
	return failed != 0;
}
