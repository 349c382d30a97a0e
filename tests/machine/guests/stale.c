/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that exit, in a page that their own code has just taken out of the page tables: the CPU goes on by what
 * its TLB has, and a hypervisor that reads them by the tables finds nothing. The CPU may forget at any time: so a page
 * fault there is as right as none.
 */
#include "guest.h"

#define PTE_PRESENT 0x01u
#define PTE_WRITE   0x02u
#define PTE_LARGE   0x80u
#define CR4_PSE	    0x10u
#define VECTOR_PF   14
#define PAGE	    0x40000000u /* where the code runs */
#define PORT	    0x2ff	/* not the guest's */

static uint32_t directory[1024] __attribute__((aligned(4096))), table[1024] __attribute__((aligned(4096)));
static uint8_t code[4096] __attribute__((aligned(4096)));

static void paging(bool on)
{
	for (unsigned i = 0; i < 1024; i++)
		directory[i] = i << 22 | PTE_LARGE | PTE_WRITE | PTE_PRESENT;
	directory[PAGE >> 22] = (uint32_t)table | PTE_WRITE | PTE_PRESENT;
	__asm__ volatile("movl %0, %%cr3" : : "r"(directory) : "memory");
	cr4_set(cr4_get() | CR4_PSE);
	paging_set(on);
}

/* pushl %ebx; pushl %esi; movl $code, %esi; movw $PORT, %dx; movl $0, table; the instruction; popl %esi; popl %ebx; ret
 */
static unsigned code_write(const void *instruction, unsigned length)
{
	static const uint8_t begin[] = {0x53, 0x56, 0xbe}, port[] = {0x66, 0xba, PORT & 0xff, PORT >> 8, 0xc7, 0x05};
	static const uint8_t end[] = {0x5e, 0x5b, 0xc3};
	uint32_t from = (uint32_t)code, entry = (uint32_t)table, absent = 0;
	uint8_t *at = code;
	unsigned where;

	at = (uint8_t *)memcpy(at, begin, sizeof(begin)) + sizeof(begin);
	at = (uint8_t *)memcpy(at, &from, 4) + 4;
	at = (uint8_t *)memcpy(at, port, sizeof(port)) + sizeof(port);
	at = (uint8_t *)memcpy(at, &entry, 4) + 4;
	at = (uint8_t *)memcpy(at, &absent, 4) + 4;
	where = (unsigned)(at - code);
	at = (uint8_t *)memcpy(at, instruction, length) + length;
	memcpy(at, end, sizeof(end));
	return where;
}

static void try(const char *name, const void *instruction, unsigned length)
{
	unsigned where = code_write(instruction, length);
	uint32_t vector;

	table[0] = (uint32_t)code | PTE_WRITE | PTE_PRESENT;
	__asm__ volatile("invlpg %0" : : "m"(*(const uint8_t *)PAGE) : "memory");
	vector = trap_call((void (*)(void *))PAGE, NULL);
	print("guest: %s: vector %x\n", name, vector);
	/* there or behind it */
	check(vector == TRAP_NONE || (vector == VECTOR_PF && trap.ip == trap.cr2 && trap.cr2 - PAGE - where <= length),
	      name);
}

void guest_main(void)
{
	paging(true);
	for (unsigned i = 0; i < 3; i++) {
		try("CPUID", "\x0f\xa2", 2);
		try("a prefix and CPUID", "\x2e\x0f\xa2", 3);
		try("OUTS", "\x6e", 1);
		try("IN", "\xec", 1);
	}
	paging(false);
}
