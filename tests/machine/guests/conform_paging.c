/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paging: PAE with its page-directory-pointer registers, and long mode with pages of every size; accessed and dirty
 * bits, faults.
 */
#include "guest.h"

#define MSR_EFER 0xc0000080u
#define EFER_NXE 0x800u
#define CR0_NE	 0x00000020u
#define CR0_WP	 0x00010000u
#define CR0_CD	 0x40000000u
#define CR0_PG	 0x80000000u
#define CR4_PAE	 0x00000020u
#define CR4_PGE	 0x00000080u

#define PTE_P	     0x001ull
#define PTE_W	     0x002ull
#define PTE_A	     0x020ull
#define PTE_D	     0x040ull
#define PTE_PS	     0x080ull
#define PTE_RESERVED 0x2000ull /* in a large page's entry */
#define PTE_NX	     (1ull << 63)

#define WINDOW	   0xc0000000u /* linear, where the tables are tried; PAE */
#define PAGE_SIZE  4096u
#define LARGE_AT   0x01000000u /* RAM, 2 MiB aligned */
#define LARGE_SIZE 0x00200000u

static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t directory[4][512] __attribute__((aligned(4096)));
static uint64_t other_directory[512] __attribute__((aligned(4096)));
static uint64_t table[512] __attribute__((aligned(4096)));
static uint32_t page[1024] __attribute__((aligned(4096)));
static uint32_t other_page[1024] __attribute__((aligned(4096)));

struct access64 {
	uint64_t address, value;
};

/* conform_paging_code.S */
extern const uint8_t paging64_read[], paging64_write[], paging64_call[];
void paging_fetch(void *address);

static uint32_t cr0_get(void)
{
	uint32_t value;

	__asm__ volatile("movl %%cr0, %0" : "=r"(value));
	return value;
}

static void cr0_write(void *value)
{
	__asm__ volatile("movl %0, %%cr0" : : "r"(*(uint32_t *)value) : "memory");
}

static void cr0_set(uint32_t value)
{
	cr0_write(&value);
}

static void cr3_write(void *value)
{
	__asm__ volatile("movl %0, %%cr3" : : "r"(*(uint32_t *)value) : "memory");
}

static void cr4_write(void *value)
{
	cr4_set(*(uint32_t *)value);
}

static void page_invalidate(uint32_t linear)
{
	__asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory");
}

static void load(void *address)
{
	__asm__ volatile("movl (%0), %%eax" : : "r"(*(uint32_t *)address) : "eax", "memory");
}

static void store(void *address)
{
	__asm__ volatile("movl $0x11111111, (%0)" : : "r"(*(uint32_t *)address) : "memory");
}

static void outcome(const char *name, uint32_t vector)
{
	if (vector == TRAP_NONE)
		print("%s: done\n", name);
	else
		print("%s: exception %x error %x cr2 %x\n", name, vector, trap.error, vector == 14 ? trap.cr2 : 0);
}

static void linear_try(const char *name, void (*code)(void *), uint32_t linear)
{
	outcome(name, trap_call(code, &linear));
}

/* What the window's first page has: which of the two directories leads there. */
static void window_print(const char *name)
{
	uint32_t linear = WINDOW, vector = trap_call(load, &linear);

	if (vector == TRAP_NONE)
		print("%s: %x\n", name, *(volatile uint32_t *)WINDOW);
	else
		outcome(name, vector);
}

static void pae_build(void)
{
	memset(pdpt, 0, sizeof(pdpt));
	for (unsigned i = 0; i < 4; i++) {
		pdpt[i] = (uint32_t)directory[i] | PTE_P;
		for (unsigned j = 0; j < 512; j++)
			directory[i][j] = (uint64_t)(i * 512 + j) << 21 | PTE_PS | PTE_W | PTE_P;
	}
	memcpy(other_directory, directory[3], sizeof(other_directory));
	memset(table, 0, sizeof(table));
	table[0] = (uint32_t)page | PTE_W | PTE_P;
	table[1] = (uint32_t)other_page | PTE_W | PTE_P;
	directory[3][0] = (uint32_t)table | PTE_W | PTE_P;
	directory[3][1] = LARGE_AT | PTE_PS | PTE_W | PTE_P;
	other_directory[0] = LARGE_AT | PTE_PS | PTE_W | PTE_P;
	page[0] = 0xaaaaaaaa;
	*(volatile uint32_t *)LARGE_AT = 0xbbbbbbbb;
}

static void pae_on(void)
{
	uint32_t root = (uint32_t)pdpt;

	cr4_set(CR4_PAE);
	cr3_write(&root);
	cr0_set(cr0_get() | CR0_PG);
}

static void pae_off(void)
{
	cr0_set(cr0_get() & ~CR0_PG);
}

/* SDM vol. 3A, "PDPTE Registers" (4.4.1): what loads them, and that nothing else does. */
static void pdptes(void)
{
	uint32_t root = (uint32_t)pdpt, cr0 = cr0_get(), value, vector;
	const uint64_t first = (uint32_t)directory[3] | PTE_P, second = (uint32_t)other_directory | PTE_P;

	mark("pdpte");
	pae_build();
	pae_on();
	cr0 |= CR0_PG;
	window_print("PAE on");
	pdpt[3] = second;
	page_invalidate(WINDOW);
	window_print("PDPTE changed in memory");
	cr0_set(cr0 | CR0_NE);
	page_invalidate(WINDOW);
	window_print("CR0.NE changed");
	cr0_set(cr0);
	cr3_write(&root);
	window_print("MOV CR3");
	pdpt[3] = first;
	cr4_set(CR4_PAE | CR4_PGE);
	window_print("CR4.PGE changed");
	pdpt[3] = second;
	cr0_set(cr0 | CR0_CD);
	page_invalidate(WINDOW);
	window_print("CR0.CD changed");
	pdpt[3] = first;
	cr0_set(cr0 | CR0_NE);
	cr0_set(cr0 & ~CR0_PG);
	cr0_set(cr0 | CR0_NE);
	page_invalidate(WINDOW);
	window_print("PG and NE turned on together");
	pdpt[3] = 0;
	cr3_write(&root);
	window_print("PDPTE not present");
	pdpt[3] = first | PTE_W; /* reserved here */
	vector = trap_call(cr3_write, &root);
	outcome("PDPTE with a reserved bit, MOV CR3", vector);
	value = CR4_PAE;
	vector = trap_call(cr4_write, &value);
	outcome("PDPTE with a reserved bit, CR4.PGE changed", vector);
	print("CR4.PGE changed: %x\n", (cr4_get() & CR4_PGE) == 0);
	value = cr0_get() ^ CR0_CD;
	vector = trap_call(cr0_write, &value);
	outcome("PDPTE with a reserved bit, CR0.CD changed", vector);
	pae_off();
	cr0_set(cr0 & ~CR0_PG);
	value = cr0 | CR0_NE;
	vector = trap_call(cr0_write, &value);
	outcome("PDPTE with a reserved bit, PG and NE turned on", vector);
	cr0_set(cr0 & ~CR0_PG);
	cr4_set(0);
}

/* A and D of an entry, as digits. */
static void bits_print(const char *name, uint64_t entry)
{
	print(" %s %s%s", name, entry & PTE_A ? "A" : "-", entry & PTE_D ? "D" : "-");
}

static void pae_pages(void)
{
	mark("pae");
	pae_build();
	pae_on();
	linear_try("4 KiB, load", load, WINDOW);
	bits_print("PDE", directory[3][0]);
	bits_print("PTE", table[0]);
	linear_try("\n4 KiB, store", store, WINDOW);
	bits_print("PDE", directory[3][0]);
	bits_print("PTE", table[0]);
	linear_try("\n2 MiB, load", load, WINDOW + LARGE_SIZE);
	bits_print("PDE", directory[3][1]);
	linear_try("\n2 MiB, store", store, WINDOW + LARGE_SIZE);
	bits_print("PDE", directory[3][1]);
	print("\n");
	linear_try("not present, load", load, WINDOW + 2 * PAGE_SIZE);
	linear_try("not present, store", store, WINDOW + 2 * PAGE_SIZE + 4);
	table[1] &= ~PTE_W;
	linear_try("read-only, store without WP", store, WINDOW + PAGE_SIZE);
	cr0_set(cr0_get() | CR0_WP);
	linear_try("read-only, store with WP", store, WINDOW + PAGE_SIZE);
	cr0_set(cr0_get() & ~CR0_WP);
	directory[3][2] = LARGE_AT | PTE_RESERVED | PTE_PS | PTE_P;
	linear_try("2 MiB, reserved bit", load, WINDOW + 2 * LARGE_SIZE);
	*(volatile uint8_t *)(LARGE_AT + 16) = 0xc3; /* RET */
	linear_try("2 MiB, fetch", paging_fetch, WINDOW + LARGE_SIZE + 16);
	directory[3][1] |= PTE_NX;
	page_invalidate(WINDOW + LARGE_SIZE);
	linear_try("2 MiB, NX without EFER.NXE, load", load, WINDOW + LARGE_SIZE);
	msr_write(MSR_EFER, EFER_NXE);
	linear_try("2 MiB, NX, load", load, WINDOW + LARGE_SIZE);
	linear_try("2 MiB, NX, fetch", paging_fetch, WINDOW + LARGE_SIZE + 16);
	pae_off();
	msr_write(MSR_EFER, 0);
	cr4_set(0);
}

static void wide_try(const char *name, const uint8_t *code, uint64_t address)
{
	struct access64 access = {.address = address, .value = 0x2222222233333333};

	outcome(name, long_call(code, &access));
}

/* PML4 entry 1: 512 GiB. */
#define LONG_WINDOW 0x0000008000000000ull
#define GIB	    0x40000000ull

static void long_pages(void)
{
	mark("long");
	memset(pdpt, 0, sizeof(pdpt));
	memset(directory, 0, sizeof(directory));
	memset(table, 0, sizeof(table));
	long_pml4[1] = (uint32_t)pdpt | PTE_W | PTE_P;
	pdpt[0] = (uint32_t)directory[0] | PTE_W | PTE_P;
	pdpt[1] = PTE_PS | PTE_W | PTE_P; /* 1 GiB at 0 */
	pdpt[2] = PTE_RESERVED | PTE_PS | PTE_W | PTE_P;
	directory[0][0] = (uint32_t)table | PTE_W | PTE_P;
	directory[0][1] = LARGE_AT | PTE_PS | PTE_W | PTE_P;
	table[0] = (uint32_t)page | PTE_W | PTE_P;
	check(cpuid(0x80000001, 0).edx >> 26 & 1, "the CPU has 1 GiB pages");

	wide_try("64 bit, 4 KiB, load", paging64_read, LONG_WINDOW);
	bits_print("PML4E", long_pml4[1]);
	bits_print("PDPTE", pdpt[0]);
	bits_print("PDE", directory[0][0]);
	bits_print("PTE", table[0]);
	wide_try("\n64 bit, 4 KiB, store", paging64_write, LONG_WINDOW + 8);
	bits_print("PDE", directory[0][0]);
	bits_print("PTE", table[0]);
	print("\nin memory %x %x\n", page[2], page[3]);
	wide_try("64 bit, 2 MiB, load", paging64_read, LONG_WINDOW + LARGE_SIZE);
	bits_print("PDE", directory[0][1]);
	wide_try("\n64 bit, 2 MiB, store", paging64_write, LONG_WINDOW + LARGE_SIZE + 8);
	bits_print("PDE", directory[0][1]);
	wide_try("\n64 bit, 1 GiB, load", paging64_read, LONG_WINDOW + GIB + LARGE_AT);
	bits_print("PDPTE", pdpt[1]);
	wide_try("\n64 bit, 1 GiB, store", paging64_write, LONG_WINDOW + GIB + LARGE_AT + 16);
	bits_print("PDPTE", pdpt[1]);
	print("\nin memory %x %x\n", *(volatile uint32_t *)(LARGE_AT + 8), *(volatile uint32_t *)(LARGE_AT + 16));
	wide_try("64 bit, 4 KiB, not present", paging64_write, LONG_WINDOW + PAGE_SIZE);
	wide_try("64 bit, 1 GiB, reserved bit", paging64_read, LONG_WINDOW + 2 * GIB);
	wide_try("64 bit, not canonical", paging64_read, 0x0000800000000000ull);
	wide_try("64 bit, not canonical, fetch", paging64_call, 0x0000800000000000ull);
	*(volatile uint8_t *)(LARGE_AT + 32) = 0xc3; /* RET */
	wide_try("64 bit, 1 GiB, fetch", paging64_call, LONG_WINDOW + GIB + LARGE_AT + 32);
	pdpt[1] |= PTE_NX;
	wide_try("64 bit, NX without EFER.NXE", paging64_call, LONG_WINDOW + GIB + LARGE_AT + 32);
	msr_write(MSR_EFER, EFER_NXE);
	wide_try("64 bit, NX, fetch", paging64_call, LONG_WINDOW + GIB + LARGE_AT + 32);
	wide_try("64 bit, NX, load", paging64_read, LONG_WINDOW + GIB + LARGE_AT + 32);
	msr_write(MSR_EFER, 0);
	long_pml4[1] = 0;
}

void guest_main(void)
{
	cr0_set(0x11);
	pae_pages();
	long_pages();
	pdptes();
}
