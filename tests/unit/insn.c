/* SPDX-License-Identifier: BSD-2-Clause */
/* core/insn.c: fetching at every kind of edge, lengths with and without the decoder, what instructions do. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#include <undercroft/errno.h>
#include <undercroft/insn.h>
#include <undercroft/machine.h>

#include "tests/fakes/fake_backend.h"

#define MEMORY MIB(16)
#define WINDOW MIB(14)
#define PML4   0x100000ull
#define PDPT   0x101000ull
#define PD     0x102000ull
#define PT     0x103000ull
#define CODE   0x200000ull
#define TREE   7ull

static struct fake_vm fake;
static struct machine machine;
static struct vcpu *const vcpu = &fake.vcpu.vcpu;

static int setup(void **state)
{
	(void)state;
	fake_vm_init(&fake, MEMORY, 0, 0);
	machine.memory = (struct memory_map){
		.count = 2,
		.range = {{0, 0xa0000, MEMORY_USABLE, 0}, {MIB(1), MEMORY - MIB(1), MEMORY_USABLE, 0}},
	};
	fake.vm.machine = &machine;
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

static void set_code(uint64_t base, uint32_t limit, uint16_t attributes)
{
	fake.vcpu.seg[SEG_CS] = (struct segment){
		.base = base,
		.limit = limit,
		.attributes = (uint16_t)(SEG_ATTR_PRESENT | SEG_ATTR_S | SEG_ATTR_CODE | 3 | attributes),
	};
	fake.vcpu.seg[SEG_SS].attributes = (uint16_t)(SEG_ATTR_PRESENT | SEG_ATTR_S | 3 | (attributes & SEG_ATTR_DB));
	vcpu->code_flags = attributes & (SEG_ATTR_L | SEG_ATTR_DB);
}

static void place(paddr_t address, const void *bytes, size_t length)
{
	memcpy(fake_memory_at(&fake.platform, address, length), bytes, length);
}

static void put(paddr_t table, unsigned index, uint64_t entry)
{
	place(table + index * 8, &entry, 8);
}

enum code { REAL16, PROT16, PROT32, LONG64, CODES };

/* Code of that kind at CODE (real mode: at 0x8000), with room behind it. */
static void enter(enum code code)
{
	fake.vcpu.reg[REG_CR0] = code == REAL16 ? 0 : CR0_PE;
	fake.vcpu.reg[REG_CR4] = 0;
	fake.vcpu.reg[REG_EFER] = 0;
	vcpu->rip = CODE;
	switch (code) {
	case REAL16:
		set_code(0, 0xffff, 0);
		vcpu->rip = 0x8000;
		break;
	case PROT16:
		set_code(0, 0xffffffff, 0);
		break;
	case PROT32:
		set_code(0, 0xffffffff, SEG_ATTR_DB);
		break;
	case LONG64:
	case CODES:
	default:
		set_code(0x1000, 0, SEG_ATTR_L);
		fake.vcpu.reg[REG_CR0] = CR0_PE | CR0_PG;
		fake.vcpu.reg[REG_CR4] = CR4_PAE;
		fake.vcpu.reg[REG_EFER] = EFER_LME | EFER_LMA;
		fake.vcpu.reg[REG_CR3] = PML4;
		put(PML4, 0, PDPT | TREE);
		put(PDPT, 0, PD | TREE);
		put(PD, 1, CODE | TREE | 0x80);
		put(PD, 0, PT | TREE);
		break;
	}
}

static unsigned length_of(enum code code, const char *bytes, size_t count)
{
	uint8_t filled[INSN_LENGTH_MAX];

	enter(code);
	memset(filled, 0x90, sizeof(filled));
	memcpy(filled, bytes, count);
	place(vcpu->rip, filled, sizeof(filled));
	return vcpu_insn_length(vcpu);
}

#define LENGTH(code, bytes) length_of(code, bytes, sizeof(bytes) - 1)

static void test_common_lengths(void **state)
{
	static const char *const prefixes[] = {"", "\x66", "\x67\xf2", "\xf3\x26\x2e\x36\x3e\x64\x65"};
	static const struct {
		const char *bytes;
		unsigned length;
	} bare[] = {
		{"\x0f\xa2", 2}, {"\x0f\x30", 2}, {"\x0f\x32", 2}, {"\x0f\x01\xc1", 3}, {"\x0f\x01\xd9", 3},
	};

	(void)state;
	for (enum code code = 0; code < CODES; code++) {
		for (unsigned i = 0; i < ARRAY_SIZE(bare); i++) {
			for (unsigned j = 0; j < ARRAY_SIZE(prefixes); j++) {
				char bytes[INSN_LENGTH_MAX + 1];
				size_t count = strlen(prefixes[j]);

				memcpy(bytes, prefixes[j], count);
				memcpy(bytes + count, bare[i].bytes, bare[i].length);
				assert_int_equal(length_of(code, bytes, count + bare[i].length),
						 count + bare[i].length);
			}
		}
	}
	assert_int_equal(LENGTH(LONG64, "\x48\x0f\xa2"), 3);
	/* REX is an instruction of its own elsewhere: DEC EAX. */
	assert_int_equal(LENGTH(PROT32, "\x48\x0f\xa2"), 1);
	/* Fifteen bytes are an instruction, sixteen are none. */
	assert_int_equal(LENGTH(PROT32, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f\xa2"), 15);
	assert_int_equal(LENGTH(PROT32, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x0f"), 0);
	assert_int_equal(LENGTH(PROT32, "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"), 0);
}

static void test_decoded_lengths(void **state)
{
	(void)state;
	assert_int_equal(LENGTH(REAL16, "\xb8\x34\x12"), 3);
	assert_int_equal(LENGTH(PROT16, "\xb8\x34\x12"), 3);
	assert_int_equal(LENGTH(REAL16, "\x66\xb8\x78\x56\x34\x12"), 6);
	assert_int_equal(LENGTH(PROT32, "\xb8\x78\x56\x34\x12"), 5);
	assert_int_equal(LENGTH(LONG64, "\x48\xb8\x08\x07\x06\x05\x04\x03\x02\x01"), 10);
	assert_int_equal(LENGTH(REAL16, "\xcd\x15"), 2);
	assert_int_equal(LENGTH(REAL16, "\xf3\x6d"), 2);
	assert_int_equal(LENGTH(PROT32, "\x0f\x22\xc0"), 3);
	assert_int_equal(LENGTH(LONG64, "\x0f\x01\xd8"), 3);
	assert_int_equal(LENGTH(LONG64, "\x0f\x01\xf8"), 3);
	/* A vector instruction. */
	assert_int_equal(LENGTH(LONG64, "\xc5\xfe\x6f\x07"), 4);
	/* No instructions. */
	assert_int_equal(LENGTH(LONG64, "\x06"), 0);
	assert_int_equal(LENGTH(PROT32, "\xff\xff"), 0);
	/* L alone does not make 64-bit code: here it is 16-bit code. */
	enter(PROT16);
	set_code(0, 0xffffffff, SEG_ATTR_L);
	place(CODE, "\x48\x0f\xa2", 3);
	assert_int_equal(vcpu_insn_length(vcpu), 1);
}

static void fetch(unsigned count)
{
	uint8_t bytes[INSN_LENGTH_MAX];
	struct mem_fault fault;
	unsigned length = 99;

	memset(bytes, 0x77, sizeof(bytes));
	assert_int_equal(insn_fetch(vcpu, bytes, &length, &fault), 0);
	assert_int_equal(length, count);
	for (unsigned i = length; i < INSN_LENGTH_MAX; i++)
		assert_int_equal(bytes[i], 0x77);
}

static void test_fetch_ends_with_the_segment(void **state)
{
	uint8_t bytes[INSN_LENGTH_MAX];
	struct mem_fault fault;
	unsigned length;

	(void)state;
	enter(REAL16);
	vcpu->rip = 0xffff - 14;
	fetch(15);
	vcpu->rip = 0xfffe;
	fetch(2);
	place(0xfffe, "\x0f\xa2", 2);
	assert_int_equal(vcpu_insn_length(vcpu), 2);
	assert_true(mode_rip_after(vcpu->rip, 2, false, false) == 0);
	place(0xfffe, "\xb8\x01", 2);
	assert_int_equal(vcpu_insn_length(vcpu), 0);
	vcpu->rip = 0xffff;
	fetch(1);
	vcpu->rip = 0x10000;
	assert_int_equal(insn_fetch(vcpu, bytes, &length, &fault), -EFAULT);
	assert_int_equal(fault.vector, 13);

	/* At 4 GiB, the code of a flat segment ends. */
	enter(PROT32);
	vcpu->rip = 0xfffffffd;
	fetch(3);

	/* The reset vector: CS.base in the ROM below 4 GiB. */
	enter(REAL16);
	fake_memory_add(&fake.platform, 0xffff0000, KIB(64));
	set_code(0xffff0000, 0xffff, 0);
	vcpu->rip = 0xfff0;
	place(0xfffffff0, "\xea\x5b\xe0\x00\xf0", 5);
	assert_int_equal(vcpu_insn_length(vcpu), 5);
	/* The one below 1 MiB. */
	set_code(0xf0000, 0xffff, 0);
	place(0xffff0, "\x0f\xa2", 2);
	assert_int_equal(vcpu_insn_length(vcpu), 2);
}

static void test_fetch_across_pages(void **state)
{
	uint8_t bytes[INSN_LENGTH_MAX];
	struct mem_fault fault;
	unsigned length;

	(void)state;
	enter(LONG64);
	put(PT, 0, 0x300000 | TREE);
	put(PT, 1, 0x400000 | TREE);
	place(0x300ffe, "\x48\xb8", 2);
	place(0x400000, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	vcpu->rip = 0xffe;
	fetch(15);
	assert_int_equal(vcpu_insn_length(vcpu), 10);
	/* Without the second page there is no such instruction, but there may be a shorter one. */
	put(PT, 1, 0);
	fetch(2);
	assert_int_equal(vcpu_insn_length(vcpu), 0);
	place(0x300ffe, "\x0f\xa2", 2);
	assert_int_equal(vcpu_insn_length(vcpu), 2);
	vcpu->rip = 0x1000;
	assert_int_equal(insn_fetch(vcpu, bytes, &length, &fault), -EFAULT);
	assert_int_equal(fault.vector, 14);
	assert_true(fault.address == 0x1000);
	assert_int_equal(vcpu_insn_length(vcpu), 0);

	/* Around the top of the address space, and at the end of its lower half. */
	put(PML4, 511, PDPT | TREE);
	put(PDPT, 511, PD | TREE);
	put(PD, 511, PT | TREE);
	put(PT, 511, 0x500000 | TREE);
	put(PT, 0, 0x300000 | TREE);
	place(0x500fff, "\x0f", 1);
	place(0x300000, "\xa2", 1);
	vcpu->rip = ~0ull;
	fetch(15);
	assert_int_equal(vcpu_insn_length(vcpu), 2);
	put(PML4, 255, PDPT | TREE);
	vcpu->rip = 0x7ffffffffffe;
	fetch(2);
	vcpu->rip = 0x800000000000;
	assert_int_equal(insn_fetch(vcpu, bytes, &length, &fault), -EFAULT);
	assert_int_equal(fault.vector, 13);

	/* Hidden memory is full of ones, which are no instruction. */
	put(PT, 0, WINDOW | TREE);
	place(WINDOW, "\x0f\xa2", 2);
	vcpu->rip = 0;
	assert_int_equal(vcpu_insn_length(vcpu), 0);
}

static void test_decode(void **state)
{
	const uint32_t reads = INSN_READS_MEMORY, writes = INSN_WRITES_MEMORY;
	static const uint32_t strings = INSN_STRING;
	const struct {
		enum code code;
		const char *bytes;
		uint8_t length;
		uint16_t size;
		uint32_t flags;
	} cases[] = {
		{PROT32, "\x90", 1, 0, 0},
		{PROT32, "\x8b\x07", 2, 4, reads},
		{PROT32, "\x66\x8b\x07", 3, 2, reads},
		{PROT32, "\x8a\x07", 2, 1, reads},
		{REAL16, "\x8b\x07", 2, 2, reads},
		{LONG64, "\x48\x8b\x07", 3, 8, reads},
		{LONG64, "\x48\x89\x07", 3, 8, writes},
		{LONG64, "\xc6\x07\x55", 3, 1, writes},
		{LONG64, "\xf0\x83\x07\x01", 4, 4, reads | writes},
		{LONG64, "\x87\x07", 2, 4, reads | writes},
		{LONG64, "\x0f\xc7\x0f", 3, 8, reads | writes},
		{LONG64, "\x48\x0f\xc7\x0f", 4, 16, reads | writes},
		{LONG64, "\x0f\x28\x07", 3, 16, reads},
		{LONG64, "\xc5\xfc\x29\x07", 4, 32, writes},
		{LONG64, "\x0f\xae\x07", 3, 512, writes},
		/* An address is not an access. */
		{LONG64, "\x48\x8d\x07", 3, 0, 0},
		{LONG64, "\x0f\x0b", 2, 0, 0},
		/* Strings: one element. */
		{LONG64, "\xf3\xa4", 2, 1, strings | INSN_REP | reads | writes},
		{LONG64, "\x48\xa5", 2, 8, strings | reads | writes},
		{LONG64, "\xf2\xae", 2, 1, strings | INSN_REP | reads},
		{PROT32, "\xf3\xab", 2, 4, strings | INSN_REP | writes},
		{PROT32, "\xac", 1, 1, strings | reads},
		{REAL16, "\xf3\x6d", 2, 2, strings | INSN_REP | writes},
		{REAL16, "\x6e", 1, 1, strings | reads},
		/* F3 means something else there. */
		{LONG64, "\xf3\x0f\xb8\x07", 4, 4, reads},
		/* The stack is memory, too. */
		{PROT32, "\x50", 1, 4, writes},
		{LONG64, "\x58", 1, 8, reads},
		{REAL16, "\x58", 1, 2, reads},
		{PROT32, "\xff\x37", 2, 4, reads | writes},
		/* Flags. */
		{PROT32, "\x9d", 1, 4, INSN_LOADS_FLAGS | reads},
		{LONG64, "\x9d", 1, 8, INSN_LOADS_FLAGS | reads},
		{REAL16, "\x9d", 1, 2, INSN_LOADS_FLAGS | reads},
		{REAL16, "\x66\x9d", 2, 4, INSN_LOADS_FLAGS | reads},
		{LONG64, "\x9c", 1, 8, INSN_STORES_FLAGS | writes},
		/* What blocks the next instruction's traps. */
		{PROT32, "\x0f\x21\xf3", 3, 0, INSN_MOVES_DR},
		{LONG64, "\x41\x0f\x23\xf8", 4, 0, INSN_MOVES_DR},
		{PROT32, "\x8e\xd0", 2, 0, INSN_LOADS_SS},
		{PROT32, "\x8e\x17", 2, 2, INSN_LOADS_SS | reads},
		{PROT32, "\x8c\xd0", 2, 0, 0},
		{PROT32, "\x8e\xd8", 2, 0, 0},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t filled[INSN_LENGTH_MAX];
		struct insn insn;

		enter(cases[i].code);
		memset(filled, 0x90, sizeof(filled));
		memcpy(filled, cases[i].bytes, cases[i].length);
		place(vcpu->rip, filled, sizeof(filled));
		assert_int_equal(insn_decode(vcpu, &insn), 0);
		if (insn.length != cases[i].length || insn.memory_size != cases[i].size || insn.flags != cases[i].flags)
			fail_msg("case %u: length %u, size %u, flags %x", i, insn.length, insn.memory_size, insn.flags);
		assert_memory_equal(insn.bytes, cases[i].bytes, insn.length);
	}
}

static void test_decode_flags_without_operands(void **state)
{
	static const struct {
		enum code code;
		const char *bytes;
		uint8_t length;
		uint32_t flag;
	} cases[] = {
		{REAL16, "\xcf", 1, INSN_LOADS_FLAGS},
		{PROT32, "\xcf", 1, INSN_LOADS_FLAGS},
		{LONG64, "\x48\xcf", 2, INSN_LOADS_FLAGS},
		{LONG64, "\x48\x0f\x07", 3, INSN_LOADS_FLAGS | INSN_SYSTEM_CALL},
		{REAL16, "\x0f\xaa", 2, INSN_LOADS_FLAGS},
		{REAL16, "\xcd\x15", 2, INSN_STORES_FLAGS | INSN_INTERRUPT},
		{PROT32, "\xcc", 1, INSN_STORES_FLAGS | INSN_INTERRUPT},
		{PROT32, "\xce", 1, INSN_STORES_FLAGS | INSN_INTERRUPT},
		{PROT32, "\xf4", 1, INSN_HALT},
		{LONG64, "\x0f\x05", 2, INSN_STORES_FLAGS | INSN_SYSTEM_CALL},
		{PROT32, "\x17", 1, INSN_LOADS_SS},
	};
	static const struct {
		enum code code;
		const char *bytes;
		unsigned length;
	} harmless[] = {
		{PROT32, "\x0f\xb2\x07", 3}, {LONG64, "\x0f\x05", 2}, {LONG64, "\x48\xcf", 2}, {PROT32, "\xcb", 1}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct insn insn;

		enter(cases[i].code);
		place(vcpu->rip, cases[i].bytes, cases[i].length);
		assert_int_equal(insn_decode(vcpu, &insn), 0);
		assert_int_equal(insn.length, cases[i].length);
		if (!(insn.flags & cases[i].flag))
			fail_msg("case %u: flags %x", i, insn.flags);
	}
	/* they load SS, and block nothing */
	for (unsigned i = 0; i < ARRAY_SIZE(harmless); i++) {
		struct insn insn;

		enter(harmless[i].code);
		place(vcpu->rip, harmless[i].bytes, harmless[i].length);
		assert_int_equal(insn_decode(vcpu, &insn), 0);
		assert_int_equal(insn.flags & INSN_LOADS_SS, 0);
	}
}

static void test_decode_refuses(void **state)
{
	struct insn insn;

	(void)state;
	enter(LONG64);
	place(vcpu->rip, "\x06", 1);
	assert_int_equal(insn_decode(vcpu, &insn), -EINVAL);
	/* vmovups zmm0, [rdi]: the decoder is built without AVX-512 */
	place(vcpu->rip, "\x62\xf1\x7c\x48\x10\x07", 6);
	assert_int_equal(insn_decode(vcpu, &insn), -EINVAL);
	vcpu->rip = 0x5000;
	assert_int_equal(insn_decode(vcpu, &insn), -EFAULT);
}

/* The direct path needs memory at its own address; this much of it, here. */
#define DIRECT	    0x10000000ull
#define DIRECT_SIZE MIB(4)

static unsigned quick(void)
{
	const uint8_t *byte = insn_byte_quick(vcpu, fake.vcpu.seg[SEG_CS].base, fake.vcpu.reg[REG_CR0],
					      fake.vcpu.reg[REG_CR3], fake.vcpu.reg[REG_CR4], fake.vcpu.reg[REG_EFER]);

	return byte && *byte == INSN_QUICK_OPCODE ? 2 : 0;
}

static void test_quick(void **state)
{
	uint8_t *direct = mmap((void *)DIRECT, DIRECT_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	uint64_t *pml4, *pdpt, *pd, *pt;
	const gva_t top = 0xffffffff80000000;

	(void)state;
	assert_ptr_equal(direct, (void *)DIRECT);
	pml4 = (uint64_t *)(void *)direct;
	pdpt = pml4 + 512;
	pd = pdpt + 512;
	pt = pd + 512;

	/* Unpaged: base and offset, modulo 4 GiB. */
	enter(REAL16);
	direct[0x8000] = 0x0f;
	set_code(DIRECT, 0xffff, 0);
	vcpu->rip = 0x8000;
	assert_int_equal(quick(), 0);
	fake.vm.direct_limit = DIRECT + DIRECT_SIZE;
	assert_int_equal(quick(), 2);
	set_code(DIRECT + 0x9000, 0xffffffff, SEG_ATTR_DB);
	vcpu->rip = 0xfffff000;
	assert_int_equal(quick(), 2);
	vcpu->rip = 0xfffff001;
	assert_int_equal(quick(), 0);
	vcpu->rip = DIRECT_SIZE - 0x9000 - 1;
	direct[DIRECT_SIZE - 1] = 0x0f;
	assert_int_equal(quick(), 2);
	vcpu->rip++;
	assert_int_equal(quick(), 0);
	/* Legacy paging is not known here, not even to code with L set. */
	vcpu->rip = 0xfffff000;
	fake.vcpu.reg[REG_CR0] = CR0_PE | CR0_PG;
	assert_int_equal(quick(), 0);
	vcpu->code_flags |= SEG_ATTR_L;
	fake.vcpu.reg[REG_CR3] = DIRECT;
	assert_int_equal(quick(), 0);

	/* 64-bit code; its base, if any is left, does not count. */
	set_code(0x1000, 0, SEG_ATTR_L);
	fake.vcpu.reg[REG_EFER] = EFER_LME | EFER_LMA;
	fake.vcpu.reg[REG_CR4] = CR4_PAE;
	fake.vcpu.reg[REG_CR3] = DIRECT | 0x18;
	pml4[511] = (DIRECT + 0x1000) | TREE | 1ull << 63;
	pdpt[510] = (DIRECT + 0x2000) | TREE;
	pd[1] = (DIRECT + MIB(2)) | 0x1000 | TREE | 0x80;
	pd[2] = (DIRECT + 0x3000) | TREE;
	pt[3] = (DIRECT + MIB(2) + 0x5000) | TREE;
	direct[MIB(2) + 0x5432] = 0x0f;
	vcpu->rip = top + MIB(2) + 0x5432;
	assert_int_equal(quick(), 2);
	vcpu->rip = top + MIB(4) + 0x3432;
	assert_int_equal(quick(), 2);
	/* With a prefix: somebody else has to look. */
	direct[MIB(2) + 0x5432] = 0x66;
	assert_int_equal(quick(), 0);
	direct[MIB(2) + 0x5432] = 0x0f;
	pdpt[511] = 0 | TREE | 0x80;
	vcpu->rip = top + GIB(1) + DIRECT + MIB(2) + 0x5432;
	assert_int_equal(quick(), 2);
	fake.vcpu.reg[REG_CR4] |= CR4_LA57;
	assert_int_equal(quick(), 0);
	fake.vcpu.reg[REG_CR4] = CR4_PAE;

	/* Anything absent, anything beyond the limit, at any level. */
	{
		uint64_t *const entry[] = {&pml4[511], &pdpt[510], &pd[2], &pt[3]};

		vcpu->rip = top + MIB(4) + 0x3432;
		for (unsigned i = 0; i < ARRAY_SIZE(entry); i++) {
			uint64_t good = *entry[i];

			assert_int_equal(quick(), 2);
			*entry[i] = good & ~1ull;
			assert_int_equal(quick(), 0);
			*entry[i] = (DIRECT + DIRECT_SIZE) | TREE;
			assert_int_equal(quick(), 0);
			*entry[i] = ~0x80ull;
			assert_int_equal(quick(), 0);
			*entry[i] = good;
		}
		fake.vcpu.reg[REG_CR3] = DIRECT + DIRECT_SIZE;
		assert_int_equal(quick(), 0);
		fake.vcpu.reg[REG_CR3] = ~0ull;
		assert_int_equal(quick(), 0);
	}
	assert_int_equal(munmap(direct, DIRECT_SIZE), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

struct access_case {
	enum code code;
	const char *bytes;
	unsigned length;
	int count;
	struct insn_access access[2];
};

#define R ACCESS_READ
#define W ACCESS_WRITE

/* clang-format off */
#define CASE(code, bytes, count, ...) {code, bytes, sizeof(bytes) - 1, count, {__VA_ARGS__}}
static const struct access_case access_cases[] = {
	/* RAX = 1000h, RCX = 2, RDX = 3000h, RBX = 4000h, RSP = 5000h, RBP = 6000h, RSI = 7000h, RDI = 8000h */
	CASE(LONG64, "\x8b\x00", 1, {0x1000, 4, R}), /* mov eax, [rax] */
	CASE(LONG64, "\x89\x44\x8b\x10", 1, {0x4018, 4, W}), /* mov [rbx + rcx * 4 + 10h], eax */
	CASE(LONG64, "\xff\x00", 1, {0x1000, 4, W}), /* inc dword [rax] */
	CASE(LONG64, "\x8b\x05\x10\x00\x00\x00", 1, {CODE + 0x16, 4, R}), /* mov eax, [rip + 10h] */
	CASE(LONG64, "\x67\x8b\x80\x00\x00\x00\xf0", 1, {0xf0001000, 4, R}), /* [eax - 10000000h] */
	CASE(LONG64, "\x65\x8b\x00", 1, {0x9001000, 4, R}), /* gs:[rax] */
	CASE(LONG64, "\x48\xa1\x10\x20\x00\x00\x01\x00\x00\x00", 1, {0x100002010, 8, R}),
	CASE(LONG64, "\x8d\x00", 0), /* lea */
	CASE(LONG64, "\x0f\x1f\x00", 0), /* nop */
	CASE(LONG64, "\x0f\x18\x08", 0), /* prefetch */
	CASE(LONG64, "\x0f\x01\x38", 0), /* invlpg */
	CASE(LONG64, "\x50", 1, {0x4ff8, 8, W}), /* push */
	CASE(LONG64, "\x66\x50", 1, {0x4ffe, 2, W}),
	CASE(LONG64, "\xff\x30", 2, {0x1000, 8, R}, {0x4ff8, 8, W}), /* push [rax] */
	CASE(LONG64, "\x58", 1, {0x5000, 8, R}), /* pop */
	CASE(LONG64, "\xe8\x00\x00\x00\x00", 1, {0x4ff8, 8, W}), /* call */
	CASE(LONG64, "\xff\x10", 2, {0x1000, 8, R}, {0x4ff8, 8, W}), /* call [rax] */
	CASE(LONG64, "\xc3", 1, {0x5000, 8, R}), /* ret */
	CASE(LONG64, "\x48\xcf", 1, {0x5000, 40, R}), /* iretq */
	CASE(LONG64, "\xc9", 1, {0x6000, 8, R}), /* leave */
	CASE(LONG64, "\xa4", 2, {0x8000, 1, W}, {0x7000, 1, R}), /* movsb */
	CASE(LONG64, "\xf3\x48\xab", 1, {0x8000, 8, W}), /* rep stosq */
	CASE(LONG64, "\xf0\x0f\xb1\x10", 1, {0x1000, 4, W}), /* lock cmpxchg */
	CASE(LONG64, "\x48\x0f\xab\x10", 1, {0x1600, 8, W}), /* bts [rax], rdx */
	CASE(LONG64, "\x0f\xba\x28\x05", 1, {0x1000, 4, W}), /* bts [rax], 5 */
	CASE(LONG64, "\x0f\xae\x00", 1, {0x1000, 512, W}), /* fxsave */
	CASE(LONG64, "\x0f\x01\x00", 1, {0x1000, 10, W}), /* sgdt */
	CASE(LONG64, "\x66\x0f\xe7\x00", 1, {0x1000, 16, W}), /* movntdq */
	CASE(LONG64, "\x62\xf1\x7c\x48\x28\x00", -EINVAL), /* vmovaps zmm0, [rax]: not known */
	CASE(PROT32, "\x60", 1, {0x4fe0, 32, W}), /* pusha */
	CASE(PROT32, "\x9a\x00\x00\x00\x00\x08\x00", 1, {0x4ff8, 8, W}), /* call far */
	CASE(PROT32, "\xcf", 1, {0x5000, 12, R}), /* iretd */
	CASE(REAL16, "\xcf", 1, {0x25000, 6, R}),
	CASE(PROT32, "\xcb", 1, {0x5000, 8, R}), /* retf */
	CASE(PROT32, "\xd7", 1, {0x4000, 1, R}), /* xlat */
	CASE(PROT32, "\xa1\x10\x20\x00\x00", 1, {0x2010, 4, R}),
	CASE(PROT32, "\x67\x8b\x00", 1, {0xb000, 4, R}), /* [bx + si] */
	CASE(REAL16, "\x8b\x46\x02", 1, {0x26002, 2, R}), /* mov ax, [bp + 2] */
	CASE(REAL16, "\x50", 1, {0x24ffe, 2, W}),
	CASE(REAL16, "\x26\x88\x07", 1, {0x4000, 1, W}),
};
/* clang-format on */

static void test_accesses(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(access_cases); i++) {
		const struct access_case *c = &access_cases[i];
		struct insn_access out[INSN_ACCESS_MAX];

		enter(c->code);
		for (unsigned n = 0; n < 8; n++)
			vcpu->gpr[n] = n == GPR_RCX ? 2 : (n + 1) * 0x1000;
		fake.vcpu.seg[SEG_GS].base = 0x9000000;
		fake.vcpu.seg[SEG_SS].base = c->code == REAL16 ? 0x20000 : 0;
		for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++) {
			if (seg != SEG_CS)
				fake.vcpu.seg[seg].limit = c->code == REAL16 ? 0xffff : 0xffffffff;
		}
		place(vcpu->rip, c->bytes, c->length);
		assert_int_equal(insn_accesses(vcpu, out), c->count);
		for (int n = 0; n < c->count; n++) {
			assert_true(out[n].linear == c->access[n].linear);
			assert_int_equal(out[n].size, c->access[n].size);
			assert_int_equal(out[n].access, c->access[n].access);
		}
	}
	/* nothing is left to be done */
	enter(LONG64);
	vcpu->gpr[GPR_RCX] = 0;
	place(CODE, "\xf3\xa4", 2);
	assert_int_equal(insn_accesses(vcpu, (struct insn_access[INSN_ACCESS_MAX]){{0}}), 0);
	/* beyond the limit: #GP */
	enter(PROT32);
	fake.vcpu.seg[SEG_DS].limit = 0xfff;
	vcpu->gpr[GPR_RAX] = 0x1000;
	place(CODE, "\x8b\x00", 2);
	assert_int_equal(insn_accesses(vcpu, (struct insn_access[INSN_ACCESS_MAX]){{0}}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_common_lengths),     TEST(test_decoded_lengths), TEST(test_fetch_ends_with_the_segment),
		TEST(test_fetch_across_pages), TEST(test_decode),	   TEST(test_decode_flags_without_operands),
		TEST(test_decode_refuses),     TEST(test_quick),	   TEST(test_accesses),
	};

	return cmocka_run_group_tests_name("insn", tests, NULL, NULL);
}
