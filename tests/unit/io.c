/* SPDX-License-Identifier: BSD-2-Clause */
/* core/io.c: registers in every size, strings in every address size and direction, faults, traps between elements. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <x86/cr.h>
#include <x86/dr.h>

#include "tests/unit/spine.h"

#define PORT 0x2f8
#define DATA 0x20000ull

static struct spine spine;
static struct fake_platform *const platform = &spine.fake.platform;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static const struct owner owner = {.name = "test"};

static struct {
	uint64_t in, out;
	unsigned reads, writes, size;
	uint8_t log[16]; /* low byte of each value written */
} device;

static uint64_t device_read(struct vcpu *v, struct region *region, uint64_t offset, unsigned size)
{
	(void)v;
	(void)region;
	assert_int_equal(offset, 0);
	device.size = size;
	device.reads++;
	return device.in++;
}

static void device_write(struct vcpu *v, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	(void)v;
	(void)region;
	assert_int_equal(offset, 0);
	device.size = size;
	device.out = value;
	device.log[device.writes++ % sizeof(device.log)] = (uint8_t)value;
}

static struct region region;

static int setup(void **state)
{
	const struct region *conflict;

	(void)state;
	spine_init(&spine);
	memset(&device, 0, sizeof(device));
	region = (struct region){.name = "device",
				 .owner = &owner,
				 .space = REGION_PORT,
				 .start = PORT,
				 .length = 4,
				 .read = device_read,
				 .write = device_write};
	return region_add(vcpu, &region, &conflict);
}

static void io(unsigned size, bool in, bool string)
{
	struct exit_detail detail = {.io = {.port = PORT, .size = (uint8_t)size, .in = in, .string = string}};

	spine_exit(&spine, EXIT_IO, string ? 0 : 2, &detail, NULL);
}

static uint8_t *at(paddr_t address)
{
	return fake_memory_at(platform, address, 8);
}

/* --- registers --- */

static void test_in(void **state)
{
	static const struct {
		unsigned size;
		uint64_t rax;
	} cases[] = {{1, 0xffffffffffffff44}, {2, 0xffffffffffff3344}, {4, 0x11223344}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		device.in = 0x11223344;
		vcpu->gpr[GPR_RAX] = ~0ull;
		vcpu->rip = SPINE_CODE;
		io(cases[i].size, true, false);
		assert_true(vcpu->gpr[GPR_RAX] == cases[i].rax);
		assert_int_equal(device.size, cases[i].size);
		assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	}
	assert_int_equal(device.reads, 3);
}

static void test_out(void **state)
{
	static const struct {
		unsigned size;
		uint64_t value;
	} cases[] = {{1, 0x44}, {2, 0x3344}, {4, 0x11223344}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu->gpr[GPR_RAX] = 0xaabbccdd11223344;
		vcpu->rip = SPINE_CODE;
		io(cases[i].size, false, false);
		assert_true(device.out == cases[i].value);
		assert_int_equal(device.size, cases[i].size);
		assert_int_equal(vcpu->rip, SPINE_CODE + 2);
		assert_true(vcpu->gpr[GPR_RAX] == 0xaabbccdd11223344);
	}
}

/* A port that nobody owns any more goes to the hardware. */
static void test_no_region(void **state)
{
	(void)state;
	assert_int_equal(region_remove(vcpu, &region), 0);
	vcpu->gpr[GPR_RAX] = 0x55;
	io(1, false, false);
	assert_int_equal(fake_access_count(platform, FAKE_PORT_OUT, PORT), 1);
	io(1, true, false);
	assert_int_equal(vcpu->gpr[GPR_RAX], 0xff);
}

/* --- strings --- */

/* ES at DATA, DS one page on, the others behind it; each page begins with its own number. */
static void segments(void)
{
	static const enum seg order[] = {SEG_ES, SEG_DS, SEG_SS, SEG_FS, SEG_GS};

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		fake->seg[order[i]].base = DATA + i * 0x10000;
		*at(fake->seg[order[i]].base) = (uint8_t)(0xe0 + i);
	}
}

#define STRING(size, in, bytes)                               \
	do {                                                  \
		vcpu->rip = SPINE_CODE;                       \
		spine_code(&spine, bytes, sizeof(bytes) - 1); \
		io(size, in, true);                           \
		assert_null(vcpu->fatal);                     \
	} while (0)

static void test_outs_sizes(void **state)
{
	(void)state;
	segments();
	memcpy(at(DATA + 0x10004), "\x11\x22\x33\x44", 4);
	vcpu->gpr[GPR_RSI] = 0xaaaabbbbcccc0004;
	STRING(1, false, "\x6e");
	assert_int_equal(device.out, 0x11);
	assert_true(vcpu->gpr[GPR_RSI] == 0xaaaabbbbcccc0005);
	assert_int_equal(vcpu->rip, SPINE_CODE + 1);
	vcpu->gpr[GPR_RSI] = 4;
	STRING(2, false, "\x6f");
	assert_int_equal(device.out, 0x2211);
	assert_int_equal(vcpu->gpr[GPR_RSI], 6);
	vcpu->gpr[GPR_RSI] = 4;
	STRING(4, false, "\x66\x6f");
	assert_int_equal(device.out, 0x44332211);
	assert_int_equal(vcpu->gpr[GPR_RSI], 8);
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	/* down */
	vcpu->rflags |= X86_FLAGS_DF;
	vcpu->gpr[GPR_RSI] = 4;
	STRING(4, false, "\x66\x6f");
	assert_int_equal(vcpu->gpr[GPR_RSI], 0);
	assert_int_equal(device.writes, 4);
}

static void test_ins_sizes(void **state)
{
	(void)state;
	segments();
	memset(at(DATA), 0, 8);
	device.in = 0x44332211;
	vcpu->gpr[GPR_RDI] = 0;
	STRING(4, true, "\x66\x6d");
	assert_memory_equal(at(DATA), "\x11\x22\x33\x44\0\0\0\0", 8);
	assert_int_equal(vcpu->gpr[GPR_RDI], 4);
	device.in = 0x5566;
	STRING(2, true, "\x6d");
	assert_memory_equal(at(DATA), "\x11\x22\x33\x44\x66\x55\0\0", 8);
	device.in = 0x77;
	vcpu->rflags |= X86_FLAGS_DF;
	vcpu->gpr[GPR_RDI] = 0;
	STRING(1, true, "\x6c");
	assert_memory_equal(at(DATA), "\x77\x22\x33\x44\x66\x55\0\0", 8);
	assert_int_equal(vcpu->gpr[GPR_RDI], 0xffff);
	assert_int_equal(device.reads, 3);
}

static void test_overrides(void **state)
{
	(void)state;
	segments();
	*at(0) = 0xc5; /* CS */
	vcpu->gpr[GPR_RSI] = vcpu->gpr[GPR_RDI] = 0;
#define OVERRIDE(bytes, expected) \
	vcpu->gpr[GPR_RSI] = 0;   \
	STRING(1, false, bytes);  \
	assert_int_equal(device.out, expected)
	OVERRIDE("\x6e", 0xe1);
	OVERRIDE("\x26\x6e", 0xe0);
	OVERRIDE("\x2e\x6e", 0xc5);
	OVERRIDE("\x36\x6e", 0xe2);
	OVERRIDE("\x3e\x6e", 0xe1);
	OVERRIDE("\x64\x6e", 0xe3);
	OVERRIDE("\x65\x6e", 0xe4);
	OVERRIDE("\x65\x26\x6e", 0xe0); /* the last one counts */
	/* 64-bit code has FS and GS alone */
	spine_long64(&spine);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		if (i != SEG_FS && i != SEG_GS)
			fake->seg[i].base = 0;
	*at(0) = 0xc5;
	OVERRIDE("\x26\x6e", 0xc5);
	OVERRIDE("\x36\x6e", 0xc5);
	OVERRIDE("\x64\x6e", 0xe3);
	OVERRIDE("\x65\x6e", 0xe4);
	OVERRIDE("\x65\x26\x6e", 0xe4);
#undef OVERRIDE
	/* INS always stores to ES */
	vcpu->gpr[GPR_RDI] = 0x40;
	device.in = 0x99;
	STRING(1, true, "\x64\x6c");
	assert_int_equal(*at(0x40), 0x99);
}

static void test_address_sizes(void **state)
{
	(void)state;
	fake->seg[SEG_DS].base = 0;
	fake->seg[SEG_DS].limit = 0xffffffff;
	memset(at(0x18000), 0xb1, 1); /* beyond 16 bits */
	memset(at(0x8100), 0xa1, 1);
	/* 16-bit code; 67 makes it 32 */
	vcpu->gpr[GPR_RSI] = 0x1111111100018100;
	STRING(1, false, "\x6e");
	assert_int_equal(device.out, 0xa1);
	assert_true(vcpu->gpr[GPR_RSI] == 0x1111111100018101);
	vcpu->gpr[GPR_RSI] = 0x1111111100018000;
	STRING(1, false, "\x67\x6e");
	assert_int_equal(device.out, 0xb1);
	assert_true(vcpu->gpr[GPR_RSI] == 0x18001);
	/* 32-bit code; 67 makes it 16 */
	spine_prot32(&spine);
	fake->seg[SEG_DS].base = 0;
	fake->seg[SEG_DS].attributes |= SEG_ATTR_PRESENT;
	vcpu->gpr[GPR_RSI] = 0x1111111100018000;
	STRING(1, false, "\x6e");
	assert_int_equal(device.out, 0xb1);
	assert_true(vcpu->gpr[GPR_RSI] == 0x18001);
	vcpu->gpr[GPR_RSI] = 0x1111111100018100;
	STRING(1, false, "\x67\x6e");
	assert_int_equal(device.out, 0xa1);
	assert_true(vcpu->gpr[GPR_RSI] == 0x1111111100018101);
	/* legacy code with L set is no 64-bit code */
	fake->seg[SEG_CS].attributes |= SEG_ATTR_L;
	vcpu->gpr[GPR_RSI] = 0x1111111100018000;
	STRING(1, false, "\x6e");
	assert_int_equal(device.out, 0xb1);
	assert_true(vcpu->gpr[GPR_RSI] == 0x18001);
	/* nor is 32-bit code in long mode */
	fake->seg[SEG_CS].attributes &= (uint16_t)~SEG_ATTR_L;
	spine_long64(&spine);
	fake->seg[SEG_CS].attributes &= (uint16_t)~SEG_ATTR_L;
	vcpu->gpr[GPR_RSI] = 0x1111111100018000;
	STRING(1, false, "\x6e");
	assert_int_equal(device.out, 0xb1);
	assert_true(vcpu->gpr[GPR_RSI] == 0x18001);
	/* 64-bit code; 67 makes it 32 */
	fake->seg[SEG_CS].attributes &= (uint16_t)~SEG_ATTR_DB;
	spine_long64(&spine);
	vcpu->gpr[GPR_RSI] = 0x18000;
	STRING(1, false, "\x6e");
	assert_int_equal(device.out, 0xb1);
	vcpu->gpr[GPR_RSI] = 0x1111111100018000;
	STRING(1, false, "\x67\x6e");
	assert_int_equal(device.out, 0xb1);
	assert_true(vcpu->gpr[GPR_RSI] == 0x18001);
}

static void test_rep(void **state)
{
	(void)state;
	segments();
	memcpy(at(DATA + 0x10000), "abc", 3);
	vcpu->gpr[GPR_RSI] = 0;
	vcpu->gpr[GPR_RCX] = 0x10003;
	/* element by element: each is an exit of its own, interrupts get in between */
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_int_equal(vcpu->gpr[GPR_RCX], 0x10002);
	assert_null(spine_injected(&spine));
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(vcpu->rip, SPINE_CODE);
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	assert_int_equal(vcpu->gpr[GPR_RCX], 0x10000);
	assert_int_equal(vcpu->gpr[GPR_RSI], 3);
	assert_memory_equal(device.log, "abc", 3);
	/* nothing to do, whatever is above the count */
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	assert_int_equal(device.writes, 3);
	assert_int_equal(vcpu->gpr[GPR_RSI], 3);
	/* REPNE repeats, too */
	vcpu->gpr[GPR_RCX] = 2;
	STRING(1, true, "\xf2\x6c");
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_int_equal(vcpu->gpr[GPR_RCX], 1);
	/* without REP, RCX is none of its business */
	STRING(1, true, "\x6c");
	assert_int_equal(vcpu->gpr[GPR_RCX], 1);
}

static void test_rep_count_by_address_size(void **state)
{
	(void)state;
	spine_long64(&spine);
	vcpu->gpr[GPR_RSI] = 0x18000;
	vcpu->gpr[GPR_RCX] = 0x100000000;
	STRING(1, false, "\x67\xf3\x6e");
	assert_int_equal(device.writes, 0);
	assert_int_equal(vcpu->rip, SPINE_CODE + 3);
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(device.writes, 1);
	assert_true(vcpu->gpr[GPR_RCX] == 0xffffffff);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	vcpu->gpr[GPR_RCX] = 0x1100000002;
	STRING(1, false, "\x67\xf3\x6e");
	assert_int_equal(vcpu->gpr[GPR_RCX], 1);
}

static void test_index_wraps(void **state)
{
	(void)state;
	segments();
	*at(DATA + 0x1ffff) = 0x5a;
	*at(DATA + 0x10000) = 0x5b;
	vcpu->gpr[GPR_RSI] = 0x1ffff;
	vcpu->gpr[GPR_RCX] = 2;
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(device.out, 0x5a);
	assert_int_equal(vcpu->gpr[GPR_RSI], 0x10000);
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(device.out, 0x5b);
	assert_int_equal(vcpu->gpr[GPR_RSI], 0x10001);
	/* an element across the end of the segment is a fault */
	vcpu->gpr[GPR_RSI] = 0xffff;
	STRING(2, false, "\x6f");
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_int_equal(device.writes, 2);
}

static void test_trap_between_elements(void **state)
{
	(void)state;
	segments();
	vcpu->rflags |= X86_FLAGS_TF;
	vcpu->gpr[GPR_RSI] = 0;
	vcpu->gpr[GPR_RCX] = 2;
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(fake->reg[REG_DR6] & DR6_BS);
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	assert_int_equal(spine_injected(&spine)->vector, 1);
}

static void test_shadow_between_elements(void **state)
{
	(void)state;
	segments();
	fake->reg[REG_INTERRUPT_SHADOW] = 1;
	vcpu->gpr[GPR_RSI] = 0;
	vcpu->gpr[GPR_RCX] = 2;
	STRING(1, false, "\xf3\x6e");
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_int_equal(fake->reg[REG_INTERRUPT_SHADOW], 0);
}

/* --- breakpoints --- */

#define DR7_G(n)	     (2ull << 2 * (n))
#define DR7_TYPE(n, rw, len) ((uint64_t)((len) << 2 | (rw)) << (16 + 4 * (n)))

static void check_hits(uint64_t dr6)
{
	const struct event *event = spine_injected(&spine);

	assert_int_equal(fake->reg[REG_DR6] & (DR6_B | DR6_BS), dr6);
	assert_int_equal(event && event->vector == 1, dr6 != 0);
	fake->reg[REG_DR6] = 0xffff0ff0;
}

static void test_port_breakpoint(void **state)
{
	(void)state;
	segments();
	fake->reg[REG_DR6] = 0xffff0ff0;
	fake->reg[REG_CR4] |= CR4_DE;
	fake->reg[REG_DR2] = PORT;
	fake->reg[REG_DR7] = DR7_G(2) | DR7_TYPE(2, DR7_RW_PORT, 0);
	io(1, true, false);
	check_hits(4);
	io(2, false, false);
	check_hits(4);
	vcpu->rflags |= X86_FLAGS_TF;
	io(1, true, false);
	check_hits(4 | DR6_BS);
	vcpu->rflags &= ~(uint64_t)X86_FLAGS_TF;
	/* the byte before it, and a word that reaches it */
	fake->reg[REG_DR2] = PORT + 1;
	io(1, true, false);
	check_hits(0);
	io(2, true, false);
	check_hits(4);
	/* the address is taken as aligned */
	fake->reg[REG_DR2] = PORT + 3;
	fake->reg[REG_DR7] = DR7_G(2) | DR7_TYPE(2, DR7_RW_PORT, 3);
	io(1, true, false);
	check_hits(4);
	/* disabled, without CR4.DE */
	fake->reg[REG_DR7] = DR7_TYPE(2, DR7_RW_PORT, 3);
	io(1, true, false);
	check_hits(0);
	fake->reg[REG_DR7] = DR7_G(2) | DR7_TYPE(2, DR7_RW_PORT, 3);
	fake->reg[REG_CR4] &= ~(uint64_t)CR4_DE;
	io(1, true, false);
	check_hits(0);
}

static void test_data_breakpoint(void **state)
{
	(void)state;
	segments();
	fake->reg[REG_DR6] = 0xffff0ff0;
	fake->reg[REG_DR0] = DATA + 0x10002;
	fake->reg[REG_DR1] = DATA + 3;
	fake->reg[REG_DR3] = DATA + 0x10001;
	fake->reg[REG_DR7] = DR7_G(0) | DR7_TYPE(0, DR7_RW_ACCESS, 0) | DR7_G(1) | DR7_TYPE(1, DR7_RW_WRITE, 0) |
			     DR7_G(3) | DR7_TYPE(3, DR7_RW_WRITE, 0);
	/* reads: the element that was watched, and no other one */
	vcpu->gpr[GPR_RSI] = 1;
	vcpu->gpr[GPR_RCX] = 3;
	STRING(1, false, "\xf3\x6e");
	check_hits(0);
	STRING(1, false, "\xf3\x6e");
	check_hits(1);
	STRING(1, false, "\xf3\x6e");
	check_hits(0);
	/* writes */
	vcpu->gpr[GPR_RDI] = 0;
	STRING(2, true, "\x6d");
	check_hits(0);
	STRING(4, true, "\x66\x6d");
	check_hits(2);
}

/* --- faults --- */

/* 32-bit paging with one table: the first 2 MiB identical, one page of them absent. */
static void paging(paddr_t absent)
{
	uint32_t *directory = (void *)at(0x100000), *table = (void *)at(0x101000);

	directory[0] = 0x101000 | 7;
	for (unsigned i = 0; i < 512; i++)
		table[i] = i * (uint32_t)PAGE_SIZE | (i * PAGE_SIZE == absent ? 6 : 7);
	fake->reg[REG_CR3] = 0x100000;
	spine_prot32(&spine);
	fake->reg[REG_CR0] = CR0_PE | CR0_PG;
	for (unsigned i = 0; i <= SEG_GS; i++)
		fake->seg[i].base = 0;
}

static void check_page_fault(uint32_t error, uint64_t address)
{
	const struct event *event = spine_injected(&spine);

	assert_non_null(event);
	assert_int_equal(event->vector, 14);
	assert_int_equal(event->error, error);
	assert_true(event->address == address);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_int_equal(device.reads + device.writes, 0);
	assert_int_equal(vcpu->gpr[GPR_RCX], 3);
}

static void test_page_faults(void **state)
{
	(void)state;
	paging(0x30000);
	vcpu->gpr[GPR_RCX] = 3;
	vcpu->gpr[GPR_RSI] = vcpu->gpr[GPR_RDI] = 0x30010;
	STRING(1, false, "\xf3\x6e");
	check_page_fault(0, 0x30010);
	assert_int_equal(vcpu->gpr[GPR_RSI], 0x30010);
	STRING(1, true, "\xf3\x6c");
	check_page_fault(2, 0x30010);
	assert_int_equal(vcpu->gpr[GPR_RDI], 0x30010);
	/* the second page of an element: nothing is taken from the device that could not be stored */
	vcpu->gpr[GPR_RDI] = 0x2fffe;
	memset(at(0x2fff8), 0xcc, 8);
	STRING(4, true, "\xf3\x6d");
	check_page_fault(2, 0x30001);
	assert_memory_equal(at(0x2fff8), "\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc", 8);
	vcpu->gpr[GPR_RSI] = 0x2fffe;
	STRING(4, false, "\xf3\x6f");
	check_page_fault(0, 0x30000);
}

static void test_segment_faults(void **state)
{
	(void)state;
	spine_prot32(&spine);
	fake->seg[SEG_DS].limit = 0xfff;
	vcpu->gpr[GPR_RSI] = 0x1000;
	STRING(1, false, "\x6e");
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_true(spine_injected(&spine)->has_error);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	fake->seg[SEG_SS].limit = 0xfff;
	STRING(1, false, "\x36\x6e");
	assert_int_equal(spine_injected(&spine)->vector, 12);
	/* read-only */
	fake->seg[SEG_ES].attributes = (uint16_t)((fake->seg[SEG_ES].attributes & ~SEG_ATTR_TYPE) | 1);
	vcpu->gpr[GPR_RDI] = 0;
	STRING(1, true, "\x6c");
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_int_equal(device.reads + device.writes, 0);
}

static void test_hidden_memory(void **state)
{
	(void)state;
	spine_prot32(&spine);
	*at(SPINE_HIDDEN) = 0x12;
	vcpu->gpr[GPR_RSI] = vcpu->gpr[GPR_RDI] = SPINE_HIDDEN;
	STRING(1, false, "\x6e");
	assert_int_equal(device.out, 0xff);
	STRING(1, true, "\x6c");
	assert_int_equal(*at(SPINE_HIDDEN), 0x12);
}

/* An IN or INS that cannot be read. */
static void io_lost(bool string)
{
	struct exit_detail detail = {.io = {.port = PORT, .size = 1, .in = true, .string = string}};

	spine_exit(&spine, EXIT_IO, 0, &detail, NULL);
	assert_null(vcpu->fatal);
}

/*
 * The CPU executed it by a translation that is gone, or what is there now is none: it loses the translation and tries
 * again, once. What comes back lies in no memory.
 */
static void test_refetch(void **state)
{
	const struct exit_detail fault = {
		.exception = {.vector = 14, .has_error = true, .error = 0x10, .address = SPINE_CODE}};

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		bool string = i & 1;

		vcpu->rip = SPINE_CODE;
		spine_code(&spine, string ? "\x0f\xa2" : "\x0f\x0a", 2);
		io_lost(string);
		assert_int_equal(fake->flushes, 2 * i + 1);
		assert_null(spine_injected(&spine));
		assert_true(fake->stepping);
		/* the guest's own fault, and the next time is another one */
		spine_exit(&spine, EXIT_EXCEPTION, 0, &fault, NULL);
		assert_int_equal(spine_injected(&spine)->vector, 14);
		assert_int_equal(spine_injected(&spine)->address, SPINE_CODE);
		assert_false(fake->stepping);
		io_lost(string);
		assert_int_equal(fake->flushes, 2 * i + 2);
		assert_null(spine_injected(&spine));
		/* it came back */
		io_lost(string);
		assert_int_equal(fake->flushes, 2 * i + 2);
		assert_int_equal(spine_injected(&spine)->vector, 13);
		assert_false(fake->stepping);
		assert_int_equal(vcpu->rip, SPINE_CODE);
		assert_false(vcpu->rflags & X86_FLAGS_TF);
	}
	assert_int_equal(device.reads, 0);
	assert_true(spine_logged(&spine, "#GP: an instruction that exits lies in a device, at 8000 (8 so far)"));
	assert_false(spine_logged(&spine, "(7 so far)"));
}

/* What can be read when it comes back is carried out. */
static void test_refetch_succeeds(void **state)
{
	(void)state;
	spine_code(&spine, "\x0f\x0a", 2);
	io_lost(true);
	STRING(1, true, "\x6c");
	assert_int_equal(device.reads, 1);
	assert_false(fake->stepping);
	assert_null(spine_injected(&spine));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_in),
		TEST(test_out),
		TEST(test_no_region),
		TEST(test_outs_sizes),
		TEST(test_ins_sizes),
		TEST(test_overrides),
		TEST(test_address_sizes),
		TEST(test_rep),
		TEST(test_rep_count_by_address_size),
		TEST(test_index_wraps),
		TEST(test_trap_between_elements),
		TEST(test_shadow_between_elements),
		TEST(test_port_breakpoint),
		TEST(test_data_breakpoint),
		TEST(test_page_faults),
		TEST(test_segment_faults),
		TEST(test_hidden_memory),
		TEST(test_refetch),
		TEST(test_refetch_succeeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
