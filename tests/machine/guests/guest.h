/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a bare guest of the machine tests has: a console, exceptions as values, and code in other modes. The guest runs
 * in 32-bit protected mode without paging, interrupts off, all memory mapped 1:1 there and in long mode.
 */
#ifndef TESTS_MACHINE_GUESTS_GUEST_H
#define TESTS_MACHINE_GUESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* Every guest defines this; when it returns, the verdict is printed and the CPU halts. */
void guest_main(void);

/* The serial port, and numbers in it: %s, %u (decimal), %x (hexadecimal), %q (hexadecimal, 64 bits). */
void print(const char *format, ...);

/* Waits until all of it has left the port: a reset would lose the last characters. */
void print_drain(void);

/*
 * Prints "mark NAME" and waits until something is typed: meanwhile the exits so far are counted from outside. A guest
 * of the conformance suite begins each topic with one.
 */
void mark(const char *name);

/* One line, "ok NAME" or "FAIL NAME"; failures are counted in the verdict. Returns ok. */
bool check(bool ok, const char *name);

/* check() for a value, which a failure prints. */
bool check_equal(uint32_t value, uint32_t expected, const char *name);

/* The memory map the boot loader gave. */
struct memory_range {
	uint64_t base, length;
	uint32_t type; /* 1: usable, anything else is not */
};

#define MEMORY_RANGE_MAX 64
extern struct memory_range memory_range[MEMORY_RANGE_MAX];
extern unsigned memory_range_count;

/* The first FADT that the RSDT lists, or NULL. ACPI, "Finding the RSDP on IA-PC Systems" (5.2.5.1) */
const uint8_t *fadt_find(void);

/* The last exception, whatever the mode; debug traps are counted besides, and go on with TF cleared. */
struct trap {
	uint32_t vector, error, ip, cr2;
	uint32_t debug_count, debug_ip, debug_dr6;
};

extern struct trap trap;

#define TRAP_NONE 0xffffffffu

/* Calls code(argument). Returns the vector of the exception that ended it, or TRAP_NONE. Clears trap before. */
uint32_t trap_call(void (*code)(void *), void *argument);

/*
 * Calls 64-bit code (assembly) with rdi = argument, paging on, and an IDT like the one here. Returns the vector of the
 * exception that ended it, or TRAP_NONE. Clears trap before. PML4 entry 1 is long_pml4[1], free for the guest's use.
 */
uint32_t long_call(const void *code, void *argument);
extern uint64_t long_pml4[512];

/*
 * Copies position-independent 16-bit code to REAL_CODE and calls it in real mode with esi = argument; DS and ES are
 * REAL_CODE's segment, FS is flat with a 4 GiB limit, the stack is elsewhere. It returns far. Returns the
 * vector of the exception that ended it, or TRAP_NONE. Clears trap before.
 */
uint32_t real_call(const void *code, const void *code_end, uint32_t argument);

/* The IDT of 32-bit code, for guests that change it: vectors from 0x20 on are free. */
struct idt_gate {
	uint16_t offset_low, selector;
	uint8_t zero, type;
	uint16_t offset_high;
};

struct descriptor_table {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

extern struct idt_gate idt[256];
void idt_set(struct idt_gate *table, unsigned vector, void (*handler)(void));
void idt_load(const struct idt_gate *table);
extern const struct descriptor_table gdt_pointer;
extern uint64_t gdt[GDT_COUNT];

void *memcpy(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *a, const void *b, size_t length);

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t cr4_get(void)
{
	uint32_t value;

	__asm__ volatile("movl %%cr4, %0" : "=r"(value));
	return value;
}

static inline void cr4_set(uint32_t value)
{
	__asm__ volatile("movl %0, %%cr4" : : "r"(value) : "memory");
}

/* CR0.PG */
static inline void paging_set(bool on)
{
	__asm__ volatile("movl %%cr0, %%eax\n\t"
			 "andl $0x7fffffff, %%eax\n\t"
			 "orl %0, %%eax\n\t"
			 "movl %%eax, %%cr0"
			 :
			 : "r"(on ? 0x80000000u : 0)
			 : "eax", "memory");
}

static inline uint64_t msr_read(uint32_t index)
{
	uint64_t value;

	__asm__ volatile("rdmsr" : "=A"(value) : "c"(index));
	return value;
}

static inline void msr_write(uint32_t index, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "A"(value), "c"(index) : "memory");
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid out;

	__asm__ volatile("cpuid"
			 : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
			 : "a"(leaf), "c"(subleaf));
	return out;
}

#endif
