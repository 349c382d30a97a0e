/* SPDX-License-Identifier: BSD-2-Clause */
/* core/mem.c: segments, the guest's page tables however hostile, and which memory our own code may touch. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/machine.h>
#include <undercroft/mem.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>
#include <x86/flags.h>

#include "tests/fakes/fake_backend.h"

#define MEMORY MIB(16)
#define WINDOW MIB(14) /* hidden, 2 MiB */

#define P    0x001ull
#define RW   0x002ull
#define US   0x004ull
#define A    0x020ull
#define D    0x040ull
#define PS   0x080ull
#define NX   (1ull << 63)
#define TREE (P | RW | US)

#define PML5 0x100000ull
#define PML4 0x101000ull
#define PDPT 0x102000ull
#define PD   0x103000ull
#define PT   0x104000ull
#define DATA 0x200000ull

static struct fake_vm fake;
static struct machine machine;
static struct vcpu *const vcpu = &fake.vcpu.vcpu;

static int setup(void **state)
{
	(void)state;
	fake_vm_init(&fake, MEMORY, 0, 0);
	fake_memory_add(&fake.platform, 0xffff0000, KIB(64));
	fake_memory_add(&fake.platform, 0xfee00000, PAGE_SIZE);
	machine.memory = (struct memory_map){
		.count = 5,
		.range = {{MIB(1), MIB(3), MEMORY_USABLE, 0},
			  {0, 0x9fc00, MEMORY_USABLE, 0},
			  {0x9fc00, 0x400, MEMORY_RESERVED, 0},
			  {MIB(5), MEMORY - MIB(5), MEMORY_ACPI_NVS, 0},
			  {MIB(4), MIB(1), MEMORY_ACPI_RECLAIM, 0}},
	};
	fake.vm.machine = &machine;
	fake.vm.physical_limit = 1ull << 40;
	fake.vm.hidden[0] = (struct hidden_range){WINDOW, MIB(2)};
	fake.vm.hidden_count = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_free(&fake);
	return 0;
}

static void *at(paddr_t address)
{
	return fake_memory_at(&fake.platform, address, 1);
}

static uint64_t get(paddr_t table, unsigned index)
{
	uint64_t entry;

	memcpy(&entry, fake_memory_at(&fake.platform, table + index * 8, 8), 8);
	return entry;
}

static void put(paddr_t table, unsigned index, uint64_t entry)
{
	memcpy(fake_memory_at(&fake.platform, table + index * 8, 8), &entry, 8);
}

static uint32_t get32(paddr_t table, unsigned index)
{
	uint32_t entry;

	memcpy(&entry, fake_memory_at(&fake.platform, table + index * 4, 4), 4);
	return entry;
}

static void put32(paddr_t table, unsigned index, uint32_t entry)
{
	memcpy(fake_memory_at(&fake.platform, table + index * 4, 4), &entry, 4);
}

static void set_code(uint16_t attributes)
{
	fake.vcpu.seg[SEG_CS].attributes = (uint16_t)(SEG_ATTR_PRESENT | SEG_ATTR_S | SEG_ATTR_CODE | 3 | attributes);
	vcpu->code_flags = attributes & (SEG_ATTR_L | SEG_ATTR_DB);
}

/* 64-bit kernel code; virtual 0 = DATA by a chain of tables that allow everything. */
static void long_mode(void)
{
	fake.vcpu.reg[REG_CR0] = CR0_PE | CR0_PG | CR0_WP;
	fake.vcpu.reg[REG_CR4] = CR4_PAE;
	fake.vcpu.reg[REG_EFER] = EFER_LME | EFER_LMA | EFER_NXE;
	fake.vcpu.reg[REG_CR3] = PML4;
	fake.vcpu.reg[REG_CPL] = 0;
	set_code(SEG_ATTR_L);
	put(PML5, 0, PML4 | TREE);
	put(PML4, 0, PDPT | TREE);
	put(PDPT, 0, PD | TREE);
	put(PD, 0, PT | TREE);
	put(PT, 0, DATA | TREE);
}

static void legacy_paging(uint64_t cr4, paddr_t cr3)
{
	fake.vcpu.reg[REG_CR0] = CR0_PE | CR0_PG | CR0_WP;
	fake.vcpu.reg[REG_CR4] = cr4;
	fake.vcpu.reg[REG_EFER] = 0;
	fake.vcpu.reg[REG_CR3] = cr3;
	fake.vcpu.reg[REG_CPL] = 0;
	set_code(SEG_ATTR_DB);
}

static void check_maps(gva_t address, unsigned access, gpa_t expected)
{
	struct mem_fault fault = {0};
	gpa_t gpa = ~0ull;

	if (mem_translate(vcpu, address, access, &gpa, &fault))
		fail_msg("%lx: fault %u, error %x", address, fault.vector, fault.error);
	assert_int_equal(gpa, expected);
}

static void check_faults(gva_t address, unsigned access, uint32_t error)
{
	struct mem_fault fault = {0};
	gpa_t gpa;

	assert_int_equal(mem_translate(vcpu, address, access, &gpa, &fault), -EFAULT);
	assert_int_equal(fault.vector, 14);
	assert_int_equal(fault.error, error);
	assert_true(fault.address == address);
}

static void test_pointer(void **state)
{
	struct vm *vm = &fake.vm;

	(void)state;
	assert_ptr_equal(mem_gpa_pointer(vm, 0, 1), at(0));
	assert_ptr_equal(mem_gpa_pointer(vm, MIB(1), 4096), at(MIB(1)));
	/* The EBDA is memory, whatever the map calls it; video memory, ROM and holes are not. */
	assert_non_null(mem_gpa_pointer(vm, 0x9fbff, 0x401));
	assert_null(mem_gpa_pointer(vm, 0x9ffff, 2));
	assert_null(mem_gpa_pointer(vm, 0xa0000, 1));
	assert_null(mem_gpa_pointer(vm, 0xb8000, 1));
	assert_null(mem_gpa_pointer(vm, 0xf0000, 1));
	assert_null(mem_gpa_pointer(vm, 0xfffff, 2));
	assert_null(mem_gpa_pointer(vm, 0xfee00000, 1));
	assert_null(mem_gpa_pointer(vm, 0xffff0000, 1));
	assert_null(mem_gpa_pointer(vm, MEMORY, 1));
	/* ACPI memory is memory; an access may lie in ranges of several kinds, in whatever order they are listed. */
	assert_non_null(mem_gpa_pointer(vm, MIB(4) - 1, 2));
	assert_non_null(mem_gpa_pointer(vm, MIB(5) - 1, 2));
	/* The window. */
	assert_non_null(mem_gpa_pointer(vm, WINDOW - 8, 8));
	assert_null(mem_gpa_pointer(vm, WINDOW - 8, 9));
	assert_null(mem_gpa_pointer(vm, WINDOW, 1));
	assert_null(mem_gpa_pointer(vm, WINDOW + MIB(2) - 1, 1));
	/* Wrapping, and beyond what the CPU can address. */
	assert_null(mem_gpa_pointer(vm, ~0ull, 2));
	assert_null(mem_gpa_pointer(vm, ~0ull - 8, 8));
	assert_null(mem_gpa_pointer(vm, 1ull << 40, 8));
}

static void test_pointer_overlapping_map(void **state)
{
	(void)state;
	machine.memory.range[machine.memory.count++] = (struct memory_range){MIB(2), 0x1000, MEMORY_RESERVED, 0};
	assert_non_null(mem_gpa_pointer(&fake.vm, MIB(2) - 8, 8));
	assert_null(mem_gpa_pointer(&fake.vm, MIB(2) - 8, 9));
	assert_null(mem_gpa_pointer(&fake.vm, MIB(2) + 0xfff, 8));
	assert_non_null(mem_gpa_pointer(&fake.vm, MIB(2) + 0x1000, 8));
	/* A range that wraps around covers nothing twice and ends nowhere. */
	machine.memory.range[0] = (struct memory_range){MIB(1), ~0ull, MEMORY_USABLE, 0};
	assert_non_null(mem_gpa_pointer(&fake.vm, MIB(1), 8));
}

static void test_readable(void **state)
{
	struct vm *vm = &fake.vm;

	(void)state;
	assert_ptr_equal(mem_gpa_readable(vm, 0xf0000, 16), at(0xf0000));
	assert_non_null(mem_gpa_readable(vm, 0xc0000, 16));
	assert_non_null(mem_gpa_readable(vm, 0xffff0, 16));
	assert_null(mem_gpa_readable(vm, 0xffff0, 17));
	assert_null(mem_gpa_readable(vm, 0xa0000, 1));
	assert_null(mem_gpa_readable(vm, 0xbffff, 2));
	assert_non_null(mem_gpa_readable(vm, 0xfffffff0, 16));
	assert_null(mem_gpa_readable(vm, 0xfffffff0, 17));
	assert_null(mem_gpa_readable(vm, 0xfee00000, 4));
	assert_non_null(mem_gpa_readable(vm, MIB(1), 16));
	assert_null(mem_gpa_readable(vm, WINDOW, 1));
	fake.vm.hidden[1] = (struct hidden_range){0xf0000, 0x1000};
	fake.vm.hidden_count = 2;
	assert_null(mem_gpa_readable(vm, 0xf0000, 16));
}

static void test_no_paging(void **state)
{
	(void)state;
	check_maps(0x12345, ACCESS_WRITE, 0x12345);
	check_maps(0xffffffff12345678, ACCESS_READ, 0x12345678);
}

static void test_32bit(void **state)
{
	(void)state;
	legacy_paging(0, 0x100000 | 0x18);
	put32(0x100000, 1, 0x101000 | 7);
	put32(0x101000, 2, 0xdeadb000 | 7);
	check_maps(0x402123, ACCESS_READ, 0xdeadb123);
	assert_int_equal(get32(0x100000, 1), 0x101000 | 7 | 0x20);
	assert_int_equal(get32(0x101000, 2), 0xdeadb000 | 7 | 0x20);
	check_maps(0x402123, ACCESS_WRITE, 0xdeadb123);
	assert_int_equal(get32(0x101000, 2), 0xdeadb000 | 7 | 0x60);
	check_faults(0x403000, ACCESS_READ, 0);
	check_faults(0x800000, ACCESS_WRITE, 2);
	check_faults(0x800000, ACCESS_EXEC, 0);

	/* Without PSE, bit 7 of a directory entry means nothing. */
	put32(0x100000, 1, 0x101000 | 0x87);
	check_maps(0x402123, ACCESS_READ, 0xdeadb123);
	/* With it, bits 20..13 are the address' bits 39..32, and bit 21 is reserved. */
	fake.vcpu.reg[REG_CR4] = CR4_PSE;
	put32(0x100000, 1, 0x01c00000 | 0x12 << 13 | 0x1000 | 0x87);
	check_maps(0x7fffff, ACCESS_WRITE, 0x1201ffffff);
	assert_int_equal(get32(0x100000, 1), 0x01c00000 | 0x12 << 13 | 0x1000 | 0xe7);
	put32(0x100000, 1, 1u << 21 | 0x87);
	check_faults(0x400000, ACCESS_READ, 9);
	fake.vm.physical_limit = 1ull << 36;
	put32(0x100000, 1, 0x10 << 13 | 0x87);
	check_faults(0x400000, ACCESS_READ, 9);
	put32(0x100000, 1, 0x0f << 13 | 0x87);
	check_maps(0x400000, ACCESS_READ, 0xf00000000);
}

static void test_pae(void **state)
{
	(void)state;
	legacy_paging(CR4_PAE, PDPT + 0x20);
	put(PDPT + 0x20, 3, PD | P);
	put(PD, 511, PT | TREE);
	put(PT, 511, 0x123456000 | TREE);
	check_maps(0xffffffff, ACCESS_WRITE, 0x123456fff);
	assert_true(get(PDPT + 0x20, 3) == (PD | P));
	assert_true(get(PD, 511) == (PT | TREE | A));
	assert_true(get(PT, 511) == (0x123456000 | TREE | A | D));
	check_faults(0x0, ACCESS_READ, 0);

	put(PD, 511, DATA | TREE | PS);
	check_maps(0xffffffff, ACCESS_WRITE, DATA + MIB(2) - 1);
	put(PD, 511, DATA | 0x2000 | TREE | PS);
	check_faults(0xffffffff, ACCESS_READ, 9);

	/* No-execute is reserved until it is on. */
	put(PD, 511, DATA | TREE | PS | NX);
	check_faults(0xffffffff, ACCESS_READ, 9);
	fake.vcpu.reg[REG_EFER] = EFER_NXE;
	check_maps(0xffffffff, ACCESS_READ, DATA + MIB(2) - 1);
	check_faults(0xffffffff, ACCESS_EXEC, 0x11);
	put(PD, 511, DATA | TREE | PS | 1ull << 52);
	check_faults(0xffffffff, ACCESS_READ, 9);

	for (unsigned bit = 1; bit < 64; bit++) {
		/* 5, too, but an emulator sets it */
		bool reserved = bit == 1 || bit == 2 || (bit >= 6 && bit <= 8) || bit >= 40;

		put(PD, 511, DATA | TREE | PS);
		if (bit >= 12 && bit < 40)
			continue;
		put(PDPT + 0x20, 3, PD | P | 1ull << bit);
		if (reserved)
			check_faults(0xffffffff, ACCESS_READ, 9);
		else
			check_maps(0xffffffff, ACCESS_READ, DATA + MIB(2) - 1);
	}
}

static void test_4_level(void **state)
{
	const gva_t high = 0xffffffffffffffff;

	(void)state;
	long_mode();
	check_maps(0x123, ACCESS_READ, DATA + 0x123);
	assert_true(get(PML4, 0) == (PDPT | TREE | A));
	assert_true(get(PDPT, 0) == (PD | TREE | A));
	assert_true(get(PD, 0) == (PT | TREE | A));
	assert_true(get(PT, 0) == (DATA | TREE | A));
	check_maps(0x123, ACCESS_EXEC, DATA + 0x123);
	assert_true(get(PT, 0) == (DATA | TREE | A));
	check_maps(0x123, ACCESS_WRITE, DATA + 0x123);
	assert_true(get(PT, 0) == (DATA | TREE | A | D));
	assert_true(get(PD, 0) == (PT | TREE | A));

	put(PML4, 511, PDPT | TREE);
	put(PDPT, 511, PD | TREE);
	put(PD, 511, PT | TREE);
	put(PT, 511, DATA | TREE);
	check_maps(high, ACCESS_READ, DATA + 0xfff);

	/* Large pages; PAT lies in bit 12 of theirs. */
	put(PD, 1, DATA | 0x1000 | TREE | PS);
	check_maps(MIB(2) + 0x12345, ACCESS_WRITE, DATA + 0x12345);
	assert_true(get(PD, 1) == (DATA | 0x1000 | TREE | PS | A | D));
	put(PDPT, 1, GIB(3) | TREE | PS);
	check_maps(GIB(1) + 0x3fffffff, ACCESS_READ, GIB(4) - 1);
	put(PD, 1, DATA | 0x2000 | TREE | PS);
	check_faults(MIB(2), ACCESS_READ, 9);
	put(PDPT, 1, GIB(3) | 0x20000000 | TREE | PS);
	check_faults(GIB(1), ACCESS_READ, 9);
	put(PML4, 1, PDPT | TREE | PS);
	check_faults(1ull << 39, ACCESS_READ, 9);

	check_faults(0x5000, ACCESS_WRITE, 2);
	put(PT, 5, 1ull << 40 | TREE);
	check_faults(0x5000, ACCESS_WRITE, 0xb);
	fake.vm.physical_limit = 1ull << 41;
	check_maps(0x5000, ACCESS_WRITE, 1ull << 40);
	/* Bits 52..58 belong to the software. */
	put(PT, 5, DATA | TREE | 0x7full << 52);
	check_maps(0x5000, ACCESS_WRITE, DATA);
}

static void test_5_level(void **state)
{
	struct mem_fault fault;
	gpa_t gpa;

	(void)state;
	long_mode();
	fake.vcpu.reg[REG_CR4] |= CR4_LA57;
	fake.vcpu.reg[REG_CR3] = PML5 | 0xfff;
	check_maps(0x42, ACCESS_READ, DATA + 0x42);
	assert_true(get(PML5, 0) == (PML4 | TREE | A));
	put(PML5, 255, PML4 | TREE);
	check_maps(0x00ff000000000042, ACCESS_READ, DATA + 0x42);
	put(PML5, 255, PML4 | TREE | PS);
	check_faults(0x00ff000000000042, ACCESS_READ, 9);
	assert_int_equal(mem_translate(vcpu, 0x0100000000000000, ACCESS_READ, &gpa, &fault), -EFAULT);
	assert_int_equal(fault.vector, 13);
}

static void test_canonical(void **state)
{
	struct mem_fault fault = {.error = 99};
	gpa_t gpa;

	(void)state;
	long_mode();
	check_faults(0x00007fffffffffff, ACCESS_READ, 0);
	check_faults(0xffff800000000000, ACCESS_READ, 0);
	assert_int_equal(mem_translate(vcpu, 0x0000800000000000, ACCESS_READ, &gpa, &fault), -EFAULT);
	assert_int_equal(fault.vector, 13);
	assert_int_equal(fault.error, 0);
	assert_int_equal(mem_translate(vcpu, 0xffff7fffffffffff, ACCESS_READ, &gpa, &fault), -EFAULT);
	assert_int_equal(fault.vector, 13);
}

/* The CPU's own accesses. SDM vol. 3, "Access Rights" (4.6) */
static void test_implicit(void **state)
{
	struct mem_fault fault;
	uint32_t value = 0x12345678;

	(void)state;
	long_mode();
	put(PML4, 0, PDPT | TREE);
	put(PDPT, 0, PD | TREE);
	put(PD, 0, PT | TREE);
	/* a supervisor's page, from CPL 3 */
	put(PT, 0, DATA | P | RW);
	fake.vcpu.reg[REG_CPL] = 3;
	check_faults(0x10, ACCESS_READ, 5);
	check_maps(0x10, ACCESS_READ | MEM_IMPLICIT, DATA + 0x10);
	assert_int_equal(mem_write(vcpu, 0x10, &value, sizeof(value), &fault), -EFAULT);
	assert_int_equal(mem_write_implicit(vcpu, 0x10, &value, sizeof(value), &fault), 0);
	value = 0;
	assert_int_equal(mem_read(vcpu, 0x10, &value, sizeof(value), ACCESS_READ | MEM_IMPLICIT, &fault), 0);
	assert_int_equal(value, 0x12345678);
	/* a user's, with SMAP: AC does not help */
	put(PT, 0, DATA | P | RW | US);
	fake.vcpu.reg[REG_CPL] = 0;
	fake.vcpu.reg[REG_CR4] |= CR4_SMAP;
	vcpu->rflags |= X86_FLAGS_AC;
	check_maps(0x10, ACCESS_READ, DATA + 0x10);
	check_faults(0x10, ACCESS_READ | MEM_IMPLICIT, 1);
	check_faults(0x10, ACCESS_WRITE | MEM_IMPLICIT, 3);
}

/* Every permission at every level against every kind of access; the rule is written here once more, as a sentence. */
static void test_permissions(void **state)
{
	static const paddr_t table[] = {PML4, PDPT, PD, PT}, next[] = {PDPT, PD, PT, DATA};
	static const unsigned kinds[] = {ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC};

	(void)state;
	long_mode();
	for (unsigned n = 0; n < 4 * 8 * 3 * 2 * 16 * 2; n++) {
		unsigned level = n & 3, bits = n >> 2 & 7, kind = kinds[(n >> 5) % 3], user = (n >> 5) / 3 & 1;
		unsigned mode = (n >> 5) / 6 & 15, ac = (n >> 5) / 96;
		bool wp = mode & 1, smep = mode & 2, smap = mode & 4, nxe = mode & 8;
		bool rw = bits & 1, us = bits & 2, nx = bits & 4, allowed;
		uint32_t error = 1;

		for (unsigned i = 0; i < 4; i++)
			put(table[i], 0, next[i] | TREE);
		put(table[level], 0, next[level] | P | (rw ? RW : 0) | (us ? US : 0) | (nx ? NX : 0));
		fake.vcpu.reg[REG_CR0] = CR0_PE | CR0_PG | (wp ? CR0_WP : 0);
		fake.vcpu.reg[REG_CR4] = CR4_PAE | (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0);
		fake.vcpu.reg[REG_EFER] = EFER_LME | EFER_LMA | (nxe ? EFER_NXE : 0);
		fake.vcpu.reg[REG_CPL] = user ? 3 : 0;
		vcpu->rflags = X86_FLAGS_FIXED | (ac ? X86_FLAGS_AC : 0);

		if (user)
			allowed = us && (kind == ACCESS_READ || (kind == ACCESS_WRITE ? rw : !nx));
		else if (kind == ACCESS_EXEC)
			allowed = !nx && !(us && smep);
		else
			allowed = !(us && smap && !ac) && (kind == ACCESS_READ || rw || !wp);
		if (nx && !nxe) {
			allowed = false;
			error |= 8;
		}
		if (kind == ACCESS_WRITE)
			error |= 2;
		if (user)
			error |= 4;
		if (kind == ACCESS_EXEC && (nxe || smep))
			error |= 16;
		if (allowed) {
			check_maps(0x10, kind, DATA + 0x10);
			assert_true(get(PML4, 0) & A);
		} else {
			check_faults(0x10, kind, error);
			/* Nothing was accessed. */
			assert_false(get(PML4, 0) & A);
			assert_false(get(PT, 0) & (A | D));
		}
	}
}

static void test_hostile_tables(void **state)
{
	(void)state;
	long_mode();
	/* A table that is its own entry, all the way down: the "page" is the table. */
	put(PML4, 0, PML4 | TREE);
	check_maps(0x18, ACCESS_READ, PML4 + 0x18);
	/* All of it in one self-map at the top of the address space. */
	put(PML4, 511, PML4 | TREE);
	check_maps(0xffffffffffffffff, ACCESS_WRITE, PML4 + 0xfff);
	/* The walk itself sets D in an entry that it has read as a table before. */
	assert_true(get(PML4, 511) & A);

	/* Tables in hidden memory read as all ones, nothing there changes. */
	memset(at(WINDOW), 0, PAGE_SIZE);
	put(PML4, 1, WINDOW | TREE);
	put(WINDOW, 0, PD | TREE);
	check_faults(1ull << 39, ACCESS_READ, 9);
	assert_true(get(WINDOW, 0) == (PD | TREE));
	fake.vcpu.reg[REG_CR3] = WINDOW;
	check_faults(0, ACCESS_READ, 9);
	/* Beyond memory, and at the end of what can be addressed. */
	fake.vcpu.reg[REG_CR3] = MEMORY + MIB(1);
	check_faults(0, ACCESS_READ, 9);
	fake.vcpu.reg[REG_CR3] = ~0ull;
	check_faults(0, ACCESS_EXEC, 0x19);
	fake.vm.physical_limit = 1ull << 52;
	check_faults(0, ACCESS_READ, 9);

	/* A 32-bit one: without large pages all ones are a table in ROM, whose entries are zero here. */
	legacy_paging(0, WINDOW);
	check_faults(0, ACCESS_READ, 0);
	fake.vcpu.reg[REG_CR4] = CR4_PSE;
	check_faults(0, ACCESS_READ, 9);

	/* Tables in ROM can be walked, but not written. */
	legacy_paging(0, 0xf0000);
	put32(0xf0000, 0, 0xf1000 | 7);
	put32(0xf1000, 0, (uint32_t)DATA | 7);
	check_maps(0x123, ACCESS_WRITE, DATA + 0x123);
	assert_int_equal(get32(0xf1000, 0), DATA | 7);
	/* Device memory is neither. */
	fake.vcpu.reg[REG_CR3] = 0xfee00000;
	check_faults(0, ACCESS_READ, 0);
}

static void test_copy(void **state)
{
	struct mem_fault fault;
	uint8_t out[64], in[64];

	(void)state;
	long_mode();
	put(PT, 1, (DATA + 0x5000) | TREE);
	put(PT, 2, WINDOW | TREE);
	put(PT, 3, 0xfee00000 | TREE);
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i + 1);

	assert_int_equal(mem_write(vcpu, 0xff0, in, 64, &fault), 0);
	assert_memory_equal(at(DATA + 0xff0), in, 16);
	assert_memory_equal(at(DATA + 0x5000), in + 16, 48);
	assert_int_equal(mem_read(vcpu, 0xff0, out, 64, ACCESS_READ, &fault), 0);
	assert_memory_equal(out, in, 64);
	assert_int_equal(mem_read(vcpu, 0xff0, out, 0, ACCESS_READ, &fault), 0);

	/* Hidden and device memory: all ones, and nothing arrives. */
	memset(at(WINDOW), 0x55, 64);
	memset(at(0xfee00000), 0x55, 64);
	assert_int_equal(mem_write(vcpu, 0x1ff0, in, 64, &fault), 0);
	assert_int_equal(mem_write(vcpu, 0x3000, in, 64, &fault), 0);
	assert_memory_equal(at(DATA + 0x5ff0), in, 16);
	assert_int_equal(*(uint8_t *)at(WINDOW), 0x55);
	assert_int_equal(*(uint8_t *)at(0xfee00000), 0x55);
	assert_int_equal(mem_read(vcpu, 0x1ff0, out, 64, ACCESS_READ, &fault), 0);
	assert_memory_equal(out, in, 16);
	for (unsigned i = 16; i < 64; i++)
		assert_int_equal(out[i], 0xff);

	/* The second page is refused: the first one keeps its content. */
	put(PT, 1, (DATA + 0x5000) | P);
	memset(at(DATA), 0, PAGE_SIZE);
	assert_int_equal(mem_write(vcpu, 0xfff, in, 2, &fault), -EFAULT);
	assert_int_equal(fault.vector, 14);
	assert_int_equal(fault.error, 3);
	assert_true(fault.address == 0x1000);
	assert_int_equal(*(uint8_t *)at(DATA + 0xfff), 0);
	assert_int_equal(mem_write(vcpu, 0xfff, in, 1, &fault), 0);
	assert_int_equal(*(uint8_t *)at(DATA + 0xfff), 1);
}

static void test_copy_around_the_top(void **state)
{
	struct mem_fault fault;
	uint8_t out[4];

	(void)state;
	/* 32-bit: the page behind the last one is the first one. */
	legacy_paging(0, 0x100000);
	put32(0x100000, 1023, 0x101000 | 7);
	put32(0x101000, 1023, (uint32_t)DATA | 7);
	put32(0x100000, 0, 0x102000 | 7);
	put32(0x102000, 0, (uint32_t)DATA + 0x1000 + 7);
	assert_int_equal(mem_write(vcpu, 0xfffffffe, "abcd", 4, &fault), 0);
	assert_memory_equal(at(DATA + 0xffe), "ab", 2);
	assert_memory_equal(at(DATA + 0x1000), "cd", 2);

	/* 64-bit likewise. */
	long_mode();
	put(PML4, 511, PDPT | TREE);
	put(PDPT, 511, PD | TREE);
	put(PD, 511, PT | TREE);
	put(PT, 511, (DATA + 0x3000) | TREE);
	memcpy(at(DATA + 0x3ffe), "wx", 2);
	memcpy(at(DATA), "yz", 2);
	assert_int_equal(mem_read(vcpu, 0xfffffffffffffffe, out, 4, ACCESS_READ, &fault), 0);
	assert_memory_equal(out, "wxyz", 4);

	/* The end of the lower half is no way into the hole. */
	put(PML4, 255, PDPT | TREE);
	assert_int_equal(mem_read(vcpu, 0x00007ffffffffffe, out, 2, ACCESS_READ, &fault), 0);
	assert_int_equal(mem_read(vcpu, 0x00007ffffffffffe, out, 4, ACCESS_READ, &fault), -EFAULT);
	assert_int_equal(fault.vector, 13);
}

static void linear_ok(enum seg seg, uint64_t offset, size_t length, unsigned access, gva_t expected)
{
	struct mem_fault fault;
	gva_t linear = 0x5555;

	assert_int_equal(mem_linear(vcpu, seg, offset, length, access, &linear, &fault), 0);
	assert_true(linear == expected);
}

static void linear_faults(enum seg seg, uint64_t offset, size_t length, unsigned access)
{
	struct mem_fault fault = {.error = 99};
	gva_t linear;

	assert_int_equal(mem_linear(vcpu, seg, offset, length, access, &linear, &fault), -EFAULT);
	assert_int_equal(fault.vector, seg == SEG_SS ? 12 : 13);
	assert_int_equal(fault.error, 0);
}

static void test_linear_real(void **state)
{
	(void)state;
	fake.vcpu.seg[SEG_ES].base = 0xffff0;
	linear_ok(SEG_CS, 0xfff0, 16, ACCESS_EXEC, 0xffff0);
	linear_faults(SEG_CS, 0xfff0, 17, ACCESS_EXEC);
	linear_ok(SEG_ES, 0xffff, 1, ACCESS_WRITE, 0x10ffef);
	linear_faults(SEG_ES, 0xffff, 2, ACCESS_WRITE);
	linear_faults(SEG_SS, 0x10000, 1, ACCESS_READ);
	/* Code may be written: there are no types. */
	linear_ok(SEG_CS, 0, 2, ACCESS_WRITE, 0xf0000);
	/* A cached limit of 4 GiB ("unreal"), and a descriptor that protected mode would refuse. */
	fake.vcpu.seg[SEG_DS] = (struct segment){.limit = 0xffffffff, .attributes = 0};
	linear_ok(SEG_DS, 0xfee00000, 4, ACCESS_WRITE, 0xfee00000);
	linear_ok(SEG_DS, 0xffffffff, 1, ACCESS_READ, 0xffffffff);
	linear_faults(SEG_DS, 0xffffffff, 2, ACCESS_READ);
	/* Expand-down is a type, too. */
	fake.vcpu.seg[SEG_DS] = (struct segment){.limit = 0xffff, .attributes = SEG_ATTR_PRESENT | SEG_ATTR_S | 7};
	linear_ok(SEG_DS, 0x1000, 2, ACCESS_READ, 0x1000);

	fake.vcpu.reg[REG_CR0] = CR0_PE;
	vcpu->rflags |= X86_FLAGS_VM;
	linear_ok(SEG_CS, 0, 2, ACCESS_WRITE, 0xf0000);
	linear_faults(SEG_ES, 0xffff, 2, ACCESS_WRITE);
}

static void test_linear_protected(void **state)
{
	const uint16_t data = SEG_ATTR_PRESENT | SEG_ATTR_S, code = data | SEG_ATTR_CODE;

	(void)state;
	for (unsigned compatibility = 0; compatibility < 2; compatibility++) {
		if (compatibility) {
			long_mode();
			set_code(SEG_ATTR_DB);
		} else {
			fake.vcpu.reg[REG_CR0] = CR0_PE;
		}
		fake.vcpu.seg[SEG_DS] = (struct segment){.base = 0xfffff000, .limit = 0x1fff, .attributes = data | 2};
		linear_ok(SEG_DS, 0x1ffc, 4, ACCESS_WRITE, 0x0ffc);
		linear_ok(SEG_DS, 0x100001ffc, 4, ACCESS_READ, 0x0ffc);
		linear_faults(SEG_DS, 0x1ffd, 4, ACCESS_READ);
		linear_faults(SEG_DS, 0, 1, ACCESS_EXEC);
		fake.vcpu.seg[SEG_DS].attributes = data;
		linear_ok(SEG_DS, 0, 1, ACCESS_READ, 0xfffff000);
		linear_faults(SEG_DS, 0, 1, ACCESS_WRITE);
		fake.vcpu.seg[SEG_DS].attributes = code;
		linear_faults(SEG_DS, 0, 1, ACCESS_READ);
		linear_faults(SEG_DS, 0, 1, ACCESS_WRITE);
		linear_ok(SEG_DS, 0, 1, ACCESS_EXEC, 0xfffff000);
		fake.vcpu.seg[SEG_DS].attributes = code | 2;
		linear_ok(SEG_DS, 0, 1, ACCESS_READ, 0xfffff000);
		linear_faults(SEG_DS, 0, 1, ACCESS_WRITE);
		/* Conforming code is not expand-down. */
		fake.vcpu.seg[SEG_DS].attributes = code | 6;
		linear_ok(SEG_DS, 0x1fff, 1, ACCESS_READ, 0xfff);
		/* Null selectors, and system descriptors. */
		fake.vcpu.seg[SEG_DS].attributes = 0;
		linear_faults(SEG_DS, 0, 1, ACCESS_READ);
		fake.vcpu.seg[SEG_DS].attributes = SEG_ATTR_PRESENT | 2;
		linear_faults(SEG_DS, 0, 1, ACCESS_READ);

		/* Expand-down: from behind the limit to 64 KiB or 4 GiB. */
		fake.vcpu.seg[SEG_SS] = (struct segment){.limit = 0xfff, .attributes = data | 6};
		linear_faults(SEG_SS, 0xfff, 1, ACCESS_WRITE);
		linear_faults(SEG_SS, 0xffe, 4, ACCESS_WRITE);
		linear_ok(SEG_SS, 0x1000, 4, ACCESS_WRITE, 0x1000);
		linear_ok(SEG_SS, 0xffff, 1, ACCESS_WRITE, 0xffff);
		linear_faults(SEG_SS, 0xffff, 2, ACCESS_WRITE);
		fake.vcpu.seg[SEG_SS].attributes |= SEG_ATTR_DB;
		linear_ok(SEG_SS, 0xffff, 2, ACCESS_WRITE, 0xffff);
		linear_faults(SEG_SS, 0xffffffff, 2, ACCESS_WRITE);
	}
}

static void test_linear_long(void **state)
{
	(void)state;
	long_mode();
	for (unsigned i = 0; i < SEG_COUNT; i++)
		fake.vcpu.seg[i] = (struct segment){.base = 0x1000, .limit = 0, .attributes = 0};
	linear_ok(SEG_DS, 0x123456789, 8, ACCESS_WRITE, 0x123456789);
	linear_ok(SEG_CS, 0xffffffff81000000, 15, ACCESS_EXEC, 0xffffffff81000000);
	linear_ok(SEG_FS, 0x10, 8, ACCESS_READ, 0x1010);
	linear_ok(SEG_GS, (uint64_t)-0x1000, 8, ACCESS_READ, 0);
	linear_ok(SEG_SS, 0x7ffffffffff8, 8, ACCESS_WRITE, 0x7ffffffffff8);
	linear_faults(SEG_SS, 0x7ffffffffff9, 8, ACCESS_WRITE);
	linear_faults(SEG_DS, 0x800000000000, 1, ACCESS_READ);
	linear_faults(SEG_GS, 0x7ffffffff000, 1, ACCESS_READ);
	linear_ok(SEG_DS, ~0ull, 1, ACCESS_READ, ~0ull);
	fake.vcpu.reg[REG_CR4] |= CR4_LA57;
	linear_ok(SEG_DS, 0x800000000000, 1, ACCESS_READ, 0x800000000000);
	linear_faults(SEG_DS, 0x100000000000000, 1, ACCESS_READ);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pointer),	TEST(test_pointer_overlapping_map),
		TEST(test_readable),	TEST(test_no_paging),
		TEST(test_32bit),	TEST(test_pae),
		TEST(test_4_level),	TEST(test_5_level),
		TEST(test_canonical),	TEST(test_permissions),
		TEST(test_implicit),	TEST(test_hostile_tables),
		TEST(test_copy),	TEST(test_copy_around_the_top),
		TEST(test_linear_real), TEST(test_linear_protected),
		TEST(test_linear_long),
	};

	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
