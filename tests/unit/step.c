/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/fault.c and core/step.c: hidden memory, regions, their neighbours and read-only pages, accessed by a small CPU
 * that walks the active view and exits, restarts and single-steps as a real one does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/insn.h>
#include <x86/cr.h>
#include <x86/dr.h>

#include "core/exit.h"
#include "tests/unit/spine.h"

#define HIDDEN	    (SPINE_HIDDEN + 0x10)
#define HIDDEN_LAST (SPINE_HIDDEN + MIB(1) - PAGE_SIZE)
#define DEVICE	    MIB(14)
#define RAM	    MIB(2)
#define VECTOR_DB   1

#define HIDDEN_COUNT vcpu->statistics.counter[EXIT_STATISTICS_HIDDEN].count

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static struct vm *const vm = &spine.fake.vm;
static const struct owner owner = {.name = "test"};

/* A device of four bytes: counts, keeps the last write. */
static struct device {
	unsigned reads, writes, last_size;
	uint64_t value, offset;
	uint32_t read_sizes, write_sizes; /* sums */
} device;

static uint64_t device_read(struct vcpu *v, struct region *region, uint64_t offset, unsigned size)
{
	(void)v;
	(void)region;
	assert_int_equal(offset & (size - 1), 0);
	device.reads++;
	device.read_sizes += size;
	return device.value >> 8 * (offset & 7);
}

static void device_write(struct vcpu *v, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	uint64_t mask = size == 8 ? ~0ull : (1ull << 8 * size) - 1;

	(void)v;
	(void)region;
	assert_int_equal(offset & (size - 1), 0);
	assert_int_equal(value & ~mask, 0);
	device.writes++;
	device.write_sizes += size;
	device.last_size = size;
	device.offset = offset;
	device.value = (device.value & ~(mask << 8 * offset)) | value << 8 * offset;
}

static struct region region;

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	fake->reg[REG_DR6] = 0xffff0ff0;
	fake->reg[REG_DR7] = 0x400;
	device = (struct device){0};
	region = (struct region){.name = "device",
				 .owner = &owner,
				 .space = REGION_MMIO,
				 .start = DEVICE,
				 .length = 8,
				 .trap_reads = true,
				 .read = device_read,
				 .write = device_write};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	/* whatever happened: the ones are ones, the base is the active view, and nothing is left to do */
	const uint8_t *ones = fake_memory_at(&spine.fake.platform, vcpu->step.ones, PAGE_SIZE);

	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(ones[i], 0xff);
	if (!vcpu->fatal) {
		assert_false(vcpu->step.active);
		assert_false(fake->stepping);
		assert_ptr_equal(fake->active_view, &vm->base);
		assert_true(fake->active_generation == vm->base.generation);
		assert_int_equal(vcpu->work, 0);
	}
	spine_free(&spine);
	return 0;
}

static void device_add(void)
{
	const struct region *conflict;

	assert_int_equal(region_add(vcpu, &region, &conflict), 0);
	vcpu->work = 0;
	fake_backend.nested_activate(vcpu, &vm->base);
}

/* --- the small CPU --- */

struct touch {
	gpa_t gpa;
	uint8_t access;
	bool table_walk;
	uint64_t value; /* written, or what was read */
	unsigned size;	/* at most 8 */
};

static unsigned exits;
static const struct event *delivery;

/* Finds the host address of an access, or makes the CPU exit. */
static uint8_t *view_pointer(const struct touch *touch)
{
	struct exit_detail detail = {
		.nested = {.gpa = touch->gpa, .access = touch->access, .table_walk = touch->table_walk}};
	struct nested_entry entry;
	unsigned level;

	assert_true(fake->active_generation == fake->active_view->generation);
	if (!nested_lookup(vm, fake->active_view, touch->gpa, &entry, &level)) {
		if ((entry.access & touch->access) == touch->access)
			return fake_memory_at(&spine.fake.platform,
					      entry.address + (touch->gpa & (NESTED_LEVEL_SIZE(level) - 1)),
					      touch->size);
		detail.nested.present = true;
	}
	exits++;
	assert_true(exits < 100);
	spine_exit(&spine, EXIT_NESTED, 0, &detail, delivery);
	return NULL;
}

/* All accesses in order; again from the start after each exit, as a CPU does. False: run() returned. */
static bool touch_all(struct touch *touch, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t *at = view_pointer(&touch[i]);

		if (vcpu->work & WORK_LEAVE)
			return false;
		if (!at) {
			i = ~0u;
			continue;
		}
		if (touch[i].access == ACCESS_WRITE) {
			memcpy(at, &touch[i].value, touch[i].size);
		} else {
			touch[i].value = 0;
			memcpy(&touch[i].value, at, touch[i].size);
		}
	}
	return true;
}

static void exception_exit(uint8_t vector, bool has_error, uint32_t error, uint64_t address)
{
	struct exit_detail detail = {
		.exception = {.vector = vector, .has_error = has_error, .error = error, .address = address}};

	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
}

/* The trap behind an instruction that was stepped. */
static void trap(void)
{
	if (!fake->stepping)
		return;
	assert_true(vcpu->rflags & X86_FLAGS_TF);
	fake->reg[REG_DR6] |= DR6_BS;
	exception_exit(VECTOR_DB, false, 0, 0);
}

static bool instruction(struct touch *touch, unsigned count)
{
	exits = 0;
	delivery = NULL;
	if (!touch_all(touch, count))
		return false;
	vcpu->rip++;
	trap();
	return true;
}

static uint64_t load(gpa_t gpa, unsigned size)
{
	struct touch touch = {.gpa = gpa, .access = ACCESS_READ, .size = size};

	assert_true(instruction(&touch, 1));
	return touch.value;
}

static void store(gpa_t gpa, unsigned size, uint64_t value)
{
	struct touch touch = {.gpa = gpa, .access = ACCESS_WRITE, .size = size, .value = value};

	assert_true(instruction(&touch, 1));
}

static void poke(paddr_t address, uint64_t value)
{
	memcpy(fake_memory_at(&spine.fake.platform, address, 8), &value, 8);
}

static uint64_t peek(paddr_t address)
{
	uint64_t value;

	memcpy(&value, fake_memory_at(&spine.fake.platform, address, 8), 8);
	return value;
}

/* 8b 07: mov (r)ax, [..]; 89 07: mov [..], ax; 01 07: add [..], ax */
#define MOV_LOAD    "\x8b\x07"
#define MOV_STORE   "\x89\x07"
#define ADD_STORE   "\x01\x07"
#define CODE(bytes) spine_code(&spine, bytes, sizeof(bytes) - 1)

/* --- hidden memory --- */

static void test_hidden_read(void **state)
{
	(void)state;
	poke(HIDDEN, 0x1122334455667788);
	assert_true(load(HIDDEN, 8) == ~0ull);
	assert_int_equal(exits, 1);
	assert_int_equal(HIDDEN_COUNT, 1);
	assert_int_equal(fake->steps_on, 1);
	assert_int_equal(fake->steps_off, 1);
	assert_true(load(HIDDEN_LAST, 8) == ~0ull);
	assert_int_equal(HIDDEN_COUNT, 2);
	assert_true(spine_logged(&spine, "hidden memory: read of c00010 from 0000:8000 (1 so far)"));
}

static void test_hidden_write(void **state)
{
	(void)state;
	poke(HIDDEN, 0x1122334455667788);
	store(HIDDEN, 8, 0);
	assert_true(peek(HIDDEN) == 0x1122334455667788);
	assert_true(load(HIDDEN, 8) == ~0ull);
	assert_int_equal(HIDDEN_COUNT, 2);
	assert_true(spine_logged(&spine, "write to c00010"));
}

/* A CPU that loads first and stores then: the exit says read, and the store must not be forgotten. */
static void test_hidden_read_modify_write(void **state)
{
	struct touch touch[] = {{.gpa = HIDDEN, .access = ACCESS_READ, .size = 4},
				{.gpa = HIDDEN, .access = ACCESS_WRITE, .size = 4, .value = 0x12345678}};

	(void)state;
	poke(HIDDEN, 7);
	CODE(ADD_STORE);
	assert_true(instruction(touch, 2));
	assert_int_equal(touch[0].value, 0xffffffff);
	assert_true(peek(HIDDEN) == 7);
	assert_int_equal(HIDDEN_COUNT, 1);
	assert_true(load(HIDDEN, 4) == 0xffffffff);
}

static void test_hidden_fetch(void **state)
{
	struct touch touch = {.gpa = HIDDEN, .access = ACCESS_EXEC, .size = 2};

	(void)state;
	poke(HIDDEN, 0x9090);
	vcpu->rip = HIDDEN & 0xffff;
	fake->seg[SEG_CS].base = HIDDEN & ~0xffffull;
	assert_true(instruction(&touch, 1));
	assert_int_equal(touch.value, 0xffff);
	assert_true(spine_logged(&spine, "fetch at c00010"));
	assert_int_equal(HIDDEN_COUNT, 1);
}

static void test_hidden_table_walk(void **state)
{
	struct touch touch = {.gpa = HIDDEN, .access = ACCESS_WRITE, .size = 8, .table_walk = true};

	(void)state;
	assert_true(instruction(&touch, 1));
	assert_int_equal(HIDDEN_COUNT, 1);
}

static void test_hidden_log_is_bounded(void **state)
{
	const char *at = spine.log;
	unsigned lines = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		load(HIDDEN, 1);
	while ((at = strstr(at, "hidden memory:")) != NULL) {
		lines++;
		at++;
	}
	assert_int_equal(lines, 8 + 3); /* 1..8, 16, 32, 64 */
	assert_int_equal(HIDDEN_COUNT, 64);
}

/* --- more than one page --- */

static void test_two_hidden_pages(void **state)
{
	struct touch touch[] = {{.gpa = HIDDEN, .access = ACCESS_READ, .size = 8},
				{.gpa = HIDDEN_LAST, .access = ACCESS_READ, .size = 8},
				{.gpa = HIDDEN_LAST, .access = ACCESS_WRITE, .size = 8, .value = 1}};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	poke(HIDDEN_LAST, 0x55);
	assert_true(instruction(touch, 3));
	assert_true(touch[0].value == ~0ull);
	assert_true(touch[1].value == ~0ull);
	assert_true(peek(HIDDEN_LAST) == 0x55);
	assert_int_equal(HIDDEN_COUNT, 1);
	assert_int_not_equal(nested_lookup(vm, &vm->base, HIDDEN_LAST, &entry, &level), 0);
	assert_true(load(HIDDEN_LAST, 8) == ~0ull);
}

static void test_gather(void **state)
{
	struct touch touch[STEP_EXTRA_MAX + 2];

	(void)state;
	for (unsigned i = 0; i < STEP_EXTRA_MAX + 2; i++)
		touch[i] = (struct touch){.gpa = SPINE_HIDDEN + i * PAGE_SIZE, .access = ACCESS_READ, .size = 4};
	assert_true(instruction(touch, STEP_EXTRA_MAX + 1));
	for (unsigned i = 0; i <= STEP_EXTRA_MAX; i++)
		assert_int_equal(touch[i].value, 0xffffffff);
	/* one more than any instruction can: said, not looped */
	assert_false(instruction(touch, STEP_EXTRA_MAX + 2));
	assert_non_null(vcpu->fatal);
}

/* From a device to hidden memory: the write is none to the device. */
static void test_device_to_hidden(void **state)
{
	struct touch touch[] = {{.gpa = DEVICE, .access = ACCESS_READ, .size = 4},
				{.gpa = HIDDEN, .access = ACCESS_WRITE, .size = 4, .value = 0x1234}};

	(void)state;
	device_add();
	device.value = 0xabcd;
	CODE("\x66\xa5"); /* movsd */
	assert_true(instruction(touch, 2));
	assert_int_equal(touch[0].value, 0xabcd);
	assert_int_equal(device.reads, 1);
	assert_int_equal(device.writes, 0);
	assert_int_equal(region.accesses, 1);
	assert_int_equal(load(HIDDEN, 1), 0xff);
}

/* From hidden memory to a device's neighbour: the neighbour is written. */
static void test_hidden_to_neighbour(void **state)
{
	struct touch touch[] = {{.gpa = HIDDEN, .access = ACCESS_READ, .size = 4},
				{.gpa = DEVICE + 0x100, .access = ACCESS_READ, .size = 4},
				{.gpa = DEVICE + 0x100, .access = ACCESS_WRITE, .size = 4, .value = 0x1234}};

	(void)state;
	device_add();
	poke(DEVICE + 0x100, 0x99);
	assert_true(instruction(touch, 3));
	assert_int_equal(touch[1].value, 0x99);
	assert_int_equal(peek(DEVICE + 0x100), 0x1234);
	assert_true(load(DEVICE + 0x100, 4) == 0x1234);
	assert_int_equal(device.reads + device.writes, 0);
}

/* --- regions --- */

static void test_device_read(void **state)
{
	(void)state;
	device_add();
	device.value = 0x8877665544332211;
	poke(DEVICE, 0);
	CODE("\x66" MOV_LOAD);
	assert_int_equal(load(DEVICE, 4), 0x44332211);
	assert_int_equal(device.reads, 1);
	assert_int_equal(device.read_sizes, 4);
	assert_int_equal(device.writes, 0);
	assert_int_equal(region.accesses, 1);
	CODE("\x8a\x07");
	assert_int_equal(load(DEVICE + 3, 1), 0x44);
	assert_int_equal(device.read_sizes, 5);
	assert_int_equal(region.accesses, 2);
}

static void test_device_write(void **state)
{
	(void)state;
	device_add();
	CODE("\x66" MOV_STORE);
	store(DEVICE + 4, 4, 0xcafebabe);
	assert_int_equal(device.writes, 1);
	assert_int_equal(device.reads, 0);
	assert_int_equal(device.offset, 4);
	assert_int_equal(device.last_size, 4);
	assert_true(device.value == 0xcafebabe00000000);
	assert_true(peek(DEVICE) == 0);
	assert_int_equal(region.accesses, 1);
}

static void test_device_read_modify_write(void **state)
{
	struct touch touch[] = {{.gpa = DEVICE, .access = ACCESS_READ, .size = 2},
				{.gpa = DEVICE, .access = ACCESS_WRITE, .size = 2, .value = 0x4321}};

	(void)state;
	device_add();
	device.value = 0x1000;
	CODE(ADD_STORE);
	assert_true(instruction(touch, 2));
	assert_int_equal(touch[0].value, 0x1000);
	assert_int_equal(device.reads, 1);
	assert_int_equal(device.writes, 1);
	assert_int_equal(device.value, 0x4321);
	assert_int_equal(region.accesses, 1);
}

/* Reads of such a region reach the hardware; only a write exits, and one that also reads sees the read function. */
static void test_device_write_trapped_only(void **state)
{
	struct touch touch[] = {{.gpa = DEVICE, .access = ACCESS_READ, .size = 2},
				{.gpa = DEVICE, .access = ACCESS_WRITE, .size = 2, .value = 0x4321}};

	(void)state;
	region.trap_reads = false;
	device_add();
	device.value = 0x1000;
	poke(DEVICE, 0x77);
	assert_int_equal(load(DEVICE, 2), 0x77);
	assert_int_equal(exits, 0);
	CODE(ADD_STORE);
	assert_true(instruction(touch, 2));
	assert_int_equal(touch[0].value, 0x1000);
	assert_int_equal(device.value, 0x4321);
	assert_int_equal(device.reads, 1);
}

static void test_device_absent(void **state)
{
	(void)state;
	region.read = NULL;
	region.write = NULL;
	device_add();
	poke(DEVICE, 0);
	CODE("\x66" MOV_LOAD);
	assert_true(load(DEVICE, 4) == 0xffffffff);
	CODE("\x66" MOV_STORE);
	store(DEVICE, 4, 0);
	assert_true(peek(DEVICE) == 0);
	assert_true(load(DEVICE, 4) == 0xffffffff);
	assert_int_equal(region.accesses, 3);
}

/* What a device cannot take in one go comes in pieces that it can. */
static void test_device_misaligned(void **state)
{
	(void)state;
	device_add();
	device.value = 0x8877665544332211;
	CODE("\x66" MOV_LOAD);
	assert_int_equal(load(DEVICE + 1, 4), 0x55443322);
	assert_int_equal(device.reads, 3); /* 1, 2, 1 */
	assert_int_equal(device.read_sizes, 4);
	CODE("\x66" MOV_STORE);
	store(DEVICE + 2, 4, 0);
	assert_int_equal(device.writes, 2);
	assert_true(device.value == 0x8877000000002211);
}

/* An access that begins in the region and ends behind it gives the region its part. */
static void test_device_end(void **state)
{
	(void)state;
	device_add();
	device.value = 0x8877665544332211;
	CODE("\x66" MOV_LOAD);
	assert_true(load(DEVICE + 5, 4) == 0xff887766);
	assert_int_equal(device.read_sizes, 3);
	CODE("\x66" MOV_STORE);
	store(DEVICE + 5, 4, 0);
	assert_int_equal(device.write_sizes, 3);
	assert_true(device.value == 0x0000005544332211);
}

static void test_device_page_end(void **state)
{
	(void)state;
	region.start = DEVICE + PAGE_SIZE - 8;
	region.length = 16;
	device_add();
	device.value = 0x8877665544332211;
	CODE("\x66" MOV_LOAD);
	assert_int_equal(load(region.start + 6, 2), 0x8877);
	assert_int_equal(device.read_sizes, 2);
}

/* A wide access is the region's as a whole. */
static void test_device_wide(void **state)
{
	(void)state;
	region.length = 64;
	device_add();
	device.value = 0x8877665544332211;
	CODE("\x0f\x10\x07"); /* movups xmm0, [bx] */
	assert_true(load(DEVICE, 8) == 0x8877665544332211);
	assert_int_equal(device.reads, 2);
	assert_int_equal(device.read_sizes, 16);
}

static void test_device_unknown_instruction(void **state)
{
	(void)state;
	device_add();
	device.value = 0x8877665544332211;
	CODE("\x0f\x0a"); /* none that is known: four bytes are read */
	assert_true(load(DEVICE, 8) == 0xffffffff44332211);
	assert_int_equal(device.reads, 1);
}

static void test_device_table_walk(void **state)
{
	struct touch touch = {.gpa = DEVICE, .access = ACCESS_READ, .size = 8, .table_walk = true};

	(void)state;
	device_add();
	assert_true(instruction(&touch, 1));
	assert_true(touch.value == ~0ull);
	assert_int_equal(device.reads, 0);
}

static void test_neighbour(void **state)
{
	(void)state;
	device_add();
	poke(DEVICE + 8, 0x1234);
	assert_int_equal(load(DEVICE + 8, 8), 0x1234);
	assert_int_equal(exits, 1);
	store(DEVICE + 8, 8, 0x4321);
	assert_int_equal(peek(DEVICE + 8), 0x4321);
	assert_int_equal(device.reads + device.writes, 0);
	assert_int_equal(region.accesses, 0);
}

/* Writes a neighbour that it has only read before: the page is shown again, with access. */
static void test_neighbour_read_modify_write(void **state)
{
	struct touch touch[] = {{.gpa = DEVICE + 8, .access = ACCESS_READ, .size = 2},
				{.gpa = DEVICE + 8, .access = ACCESS_WRITE, .size = 2, .value = 0x4321}};

	(void)state;
	device_add();
	poke(DEVICE + 8, 0x1234);
	assert_true(instruction(touch, 2));
	assert_int_equal(touch[0].value, 0x1234);
	assert_int_equal(peek(DEVICE + 8), 0x4321);
}

/* --- read-only memory and demand --- */

static void test_read_only_copy(void **state)
{
	struct touch touch[] = {{.gpa = 0xf0000, .access = ACCESS_READ, .size = 8},
				{.gpa = 0xf0000, .access = ACCESS_WRITE, .size = 8, .value = 0},
				{.gpa = 0xf0000, .access = ACCESS_READ, .size = 8}};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	poke(RAM, 0x1234);
	poke(0xf0000, 0x9999);
	assert_int_equal(nested_map(vm, &vm->base, 0xf0000, PAGE_SIZE, RAM, ACCESS_READ | ACCESS_EXEC, 1), 0);
	fake_backend.nested_activate(vcpu, &vm->base);
	assert_true(instruction(touch, 3));
	assert_int_equal(touch[0].value, 0x1234);
	assert_int_equal(touch[2].value, 0); /* within the instruction, the write is seen */
	assert_int_equal(peek(RAM), 0x1234);
	assert_int_equal(peek(0xf0000), 0x9999);
	assert_int_equal(load(0xf0000, 8), 0x1234);
	assert_int_equal(exits, 0);
	assert_null(vcpu->fatal);

	/* as the second page of an instruction it is lost, too, and the copy stays in place */
	touch[0] = (struct touch){.gpa = HIDDEN, .access = ACCESS_READ, .size = 8};
	assert_true(instruction(touch, 2));
	assert_int_equal(peek(RAM), 0x1234);
	assert_int_equal(nested_lookup(vm, &vm->base, 0xf0000, &entry, &level), 0);
	assert_true(entry.address == RAM);
	assert_int_equal(entry.access, ACCESS_READ | ACCESS_EXEC);
}

static void test_fill_on_demand(void **state)
{
	struct exit_detail detail = {.nested = {.gpa = GIB(8) + 0x1000, .access = ACCESS_READ}};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_int_equal(nested_lookup(vm, &vm->base, GIB(8), &entry, &level), 0);
	assert_false(vcpu->step.active);
	assert_null(vcpu->fatal);
	/* the same again: it is mapped, nothing forbids it, and the CPU does not go there */
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_true(spine_logged(&spine, "#GP: the guest cannot reach guest-physical 200001000 (1 so far)"));
	assert_null(vcpu->fatal);
}

/* A guest that looks everywhere: each address is there when it is touched, and a step finds its pages. */
static void test_fill_everywhere(void **state)
{
	struct exit_detail detail = {.nested = {.access = ACCESS_READ}};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	vm->caps &= ~BACKEND_CAP_PAGES_1G;
	for (unsigned i = 0; i < 2000; i++) {
		detail.nested.gpa = GIB(8) + i * (GIB(100) + MIB(2) + PAGE_SIZE);
		spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
		assert_null(vcpu->fatal);
		assert_null(spine_injected(&spine));
		assert_int_equal(nested_lookup(vm, &vm->base, detail.nested.gpa, &entry, &level), 0);
		assert_ptr_equal(fake->active_view, &vm->base);
		assert_true(fake->active_generation == vm->base.generation);
		assert_true(vm->pool.available >= 60);
	}
	assert_int_equal(nested_lookup(vm, &vm->base, GIB(4) - 1, &entry, &level), 0);
	assert_true(load(HIDDEN, 8) == ~0ull);
}

static void test_fill_without_memory(void **state)
{
	struct exit_detail detail = {.nested = {.gpa = 1ull << 47, .access = ACCESS_READ}};

	(void)state;
	vm->pool.available = 0;
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_non_null(strstr(vcpu->fatal, "reserved-size"));
}

static void test_beyond_physical_limit(void **state)
{
	struct exit_detail detail = {.nested = {.gpa = 1ull << 48, .access = ACCESS_READ}};
	const struct event contributory = {.type = EVENT_EXCEPTION, .vector = 13};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
		assert_int_equal(spine_injected(&spine)->vector, 13);
		/* a CPU with more */
		vm->physical_limit = 1ull << 52;
	}
	/* the descriptor table of what is delivered */
	spine_exit(&spine, EXIT_NESTED, 0, &detail, &contributory);
	assert_int_equal(spine_injected(&spine)->vector, 8);
	assert_null(vcpu->fatal);
	/* in the middle of a step */
	detail.nested.gpa = HIDDEN;
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_true(vcpu->step.active);
	detail.nested.gpa = 1ull << 48;
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_false(vcpu->step.active);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_null(vcpu->fatal);
}

/* The base changes while a step is under way: the view follows. */
static void test_fill_in_step(void **state)
{
	struct exit_detail detail = {.nested = {.gpa = GIB(8), .access = ACCESS_READ}};
	struct touch touch = {.gpa = DEVICE + 8, .access = ACCESS_READ, .size = 8};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	device_add();
	poke(DEVICE + 8, 0x1234);
	exits = 0;
	assert_null(view_pointer(&touch));
	assert_true(vcpu->step.active);
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_true(vcpu->step.active);
	assert_ptr_equal(fake->active_view, &vcpu->step.view);
	assert_int_equal(nested_lookup(vm, fake->active_view, GIB(8), &entry, &level), 0);
	assert_true(touch_all(&touch, 1));
	assert_int_equal(touch.value, 0x1234);
	trap();
}

static void test_no_memory_for_view(void **state)
{
	struct exit_detail detail = {.nested = {.gpa = HIDDEN, .access = ACCESS_READ}};

	(void)state;
	vm->pool.available = 0;
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_non_null(vcpu->fatal);
}

static void test_init_without_memory(void **state)
{
	(void)state;
	vm->pool.available = 1;
	assert_int_not_equal(step_init(vcpu), 0);
	/* what the other tests' end looks at */
	fake_backend.nested_activate(vcpu, &vm->base);
	vcpu->step.ones = vcpu->step.scratch = RAM;
	memset(fake_memory_at(&spine.fake.platform, RAM, PAGE_SIZE), 0xff, PAGE_SIZE);
}

/* --- how a step ends --- */

static void begin(gpa_t gpa, uint8_t access)
{
	struct exit_detail detail = {.nested = {.gpa = gpa, .access = access}};

	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_true(vcpu->step.active);
	assert_true(fake->stepping);
	assert_true(vcpu->rflags & X86_FLAGS_TF);
}

static void test_ends_with_exception(void **state)
{
	const struct event *event;

	(void)state;
	device_add();
	CODE("\x66" MOV_STORE);
	begin(DEVICE, ACCESS_WRITE);
	fake->reg[REG_CR0] = CR0_PE;
	exception_exit(14, true, 6, 0xdead000);
	event = spine_injected(&spine);
	assert_non_null(event);
	assert_int_equal(event->vector, 14);
	assert_int_equal(event->error, 6);
	assert_true(event->address == 0xdead000);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff0);
	assert_int_equal(device.writes, 0);
}

static void test_nmi_gives_up(void **state)
{
	(void)state;
	device_add();
	CODE("\x66" MOV_STORE);
	begin(DEVICE, ACCESS_WRITE);
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_false(vcpu->step.active);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff0);
	assert_int_equal(device.writes, 0);
	/* the instruction tries again */
	store(DEVICE, 4, 5);
	assert_int_equal(device.writes, 1);
	assert_int_equal(device.value, 5);
}

/* NMIs that are ours: one that arrives, or that the guest can take now, ends the step and goes first. */
static void test_our_nmi_goes_first(void **state)
{
	(void)state;
	spine.fake.vm.caps |= BACKEND_CAP_NMI_EXITS;
	device_add();
	CODE("\x66" MOV_STORE);
	begin(DEVICE, ACCESS_WRITE);
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_false(vcpu->step.active);
	assert_int_equal(spine_injected(&spine)->type, EVENT_NMI);
	/* another one while the guest blocks it: the step happens, the NMI does not get lost */
	fake->reg[REG_NMI_BLOCKED] = 1;
	begin(DEVICE, ACCESS_WRITE);
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_null(spine_injected(&spine));
	store(DEVICE, 4, 5);
	assert_int_equal(device.writes, 1);
	begin(DEVICE, ACCESS_WRITE);
	fake->reg[REG_NMI_BLOCKED] = 0;
	spine_exit(&spine, EXIT_WINDOW, 0, NULL, NULL);
	assert_false(vcpu->step.active);
	assert_int_equal(spine_injected(&spine)->type, EVENT_NMI);
	assert_int_equal(device.writes, 1);
	assert_null(vcpu->fatal);
}

/* An interrupt that exits is the CPU's to deliver still: nothing is queued for it. */
static void test_interrupt_gives_up(void **state)
{
	(void)state;
	spine.fake.vm.caps |= BACKEND_CAP_NMI_EXITS;
	device_add();
	CODE("\x66" MOV_STORE);
	begin(DEVICE, ACCESS_WRITE);
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_false(vcpu->step.active);
	assert_int_equal(vcpu->events.nmi, 0);
	assert_null(spine_injected(&spine));
	assert_null(vcpu->fatal);
	store(DEVICE, 4, 5);
	assert_int_equal(device.writes, 1);
}

static void test_nmi_without_step_is_an_error(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_non_null(vcpu->fatal);
}

/* One that the guest blocks waits, and lets the step happen. */
static void test_blocked_nmi_waits(void **state)
{
	(void)state;
	fake->reg[REG_INTERRUPT_SHADOW] = 1;
	event_queue_nmi(vcpu);
	assert_true(load(HIDDEN, 4) == 0xffffffff);
	assert_int_equal(exits, 1);
	assert_true(vcpu->events.nmi);
	fake->reg[REG_INTERRUPT_SHADOW] = 0;
	assert_int_equal(vcpu->work, WORK_EVENT);
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->type, EVENT_NMI);
}

static void test_guest_steps_itself(void **state)
{
	const struct event *event;

	(void)state;
	vcpu->rflags |= X86_FLAGS_TF;
	load(HIDDEN, 4);
	event = spine_injected(&spine);
	assert_non_null(event);
	assert_int_equal(event->vector, VECTOR_DB);
	assert_true(vcpu->rflags & X86_FLAGS_TF);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff0 | DR6_BS);
}

static void test_guest_does_not_step_itself(void **state)
{
	(void)state;
	load(HIDDEN, 4);
	assert_null(spine_injected(&spine));
	assert_false(vcpu->rflags & X86_FLAGS_TF);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff0);
}

/* DR6 as the guest left it, with bits that it never cleared. */
static void test_dr6_restored(void **state)
{
	(void)state;
	fake->reg[REG_DR6] = 0xffff0ff5 | DR6_BS;
	load(HIDDEN, 4);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff5 | DR6_BS);
	assert_null(spine_injected(&spine));
	begin(HIDDEN, ACCESS_READ);
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff5 | DR6_BS);
	/* nor has the guest's own TF earned a trap */
	vcpu->rflags |= X86_FLAGS_TF;
	begin(HIDDEN, ACCESS_READ);
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff5 | DR6_BS);
	assert_null(spine_injected(&spine));
	assert_true(vcpu->rflags & X86_FLAGS_TF);
}

/* DR7.RWn of all four */
#define WRITES 0x11110000u

static void watch_hit(uint64_t dr6, uint64_t dr7, uint64_t hit)
{
	fake->reg[REG_DR6] = dr6;
	fake->reg[REG_DR7] = dr7;
	begin(HIDDEN, ACCESS_READ);
	fake->reg[REG_DR6] |= hit | DR6_BS;
	exception_exit(VECTOR_DB, false, 0, 0);
}

static void test_guest_watchpoint(void **state)
{
	(void)state;
	watch_hit(0xffff0ff0, 0x401 | 0x10 | WRITES, 5);
	assert_int_equal(spine_injected(&spine)->vector, VECTOR_DB);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff5);
	/* a hit that DR6 shows already is one again */
	watch_hit(0xffff0ff5, 0x401 | 0x10 | WRITES, 1);
	assert_int_equal(spine_injected(&spine)->vector, VECTOR_DB);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff1);
	/* a match of one that is not enabled is none */
	watch_hit(0xffff0ff8, 0x401 | 0x20 | WRITES, 2);
	assert_null(spine_injected(&spine));
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff8);
	/* together with TF, it is one #DB with both */
	vcpu->rflags |= X86_FLAGS_TF;
	watch_hit(0xffff0ff0, 0x480 | WRITES, 8);
	assert_int_equal(spine_injected(&spine)->vector, VECTOR_DB);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff8 | DR6_BS);
}

/* POPF and IRET load TF: what they loaded stays. */
static void loads_flags(const char *bytes, size_t length)
{
	for (unsigned loaded = 0; loaded < 2; loaded++) {
		spine_code(&spine, bytes, length);
		begin(HIDDEN, ACCESS_READ);
		vcpu->rflags = loaded ? vcpu->rflags | X86_FLAGS_TF : vcpu->rflags & ~(uint64_t)X86_FLAGS_TF;
		fake->reg[REG_DR6] |= DR6_BS;
		exception_exit(VECTOR_DB, false, 0, 0);
		assert_int_equal((vcpu->rflags & X86_FLAGS_TF) != 0, loaded);
		assert_null(spine_injected(&spine));
		vcpu->rflags = X86_FLAGS_FIXED;
	}
}

static void test_popf_and_iret(void **state)
{
	(void)state;
	loads_flags("\x9d", 1);
	loads_flags("\xcf", 1);
	/* given up before it happened: TF is the guest's */
	CODE("\x9d");
	begin(HIDDEN, ACCESS_READ);
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
}

/* An instruction that is carried out for the guest while it is stepped, its bytes lying beside a device. */
static void test_emulated_in_step(void **state)
{
	(void)state;
	device_add();
	begin(DEVICE + 8, ACCESS_EXEC);
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
	assert_null(spine_injected(&spine));

	vcpu->rflags |= X86_FLAGS_TF;
	begin(DEVICE + 8, ACCESS_EXEC);
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->vector, VECTOR_DB);
	assert_true(vcpu->rflags & X86_FLAGS_TF);
	vcpu->rflags = X86_FLAGS_FIXED;

	/* one that faults */
	begin(DEVICE + 8, ACCESS_EXEC);
	spine_exit(&spine, EXIT_VIRT_INSN, 3, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 6);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
}

/* PUSHF, its bytes lying beside a device or its stack in one: what is pushed has no TF of ours. */
static void pushf(uint64_t rip, gpa_t exits_at, uint8_t access)
{
	spine_prot32(&spine);
	vcpu->rip = rip;
	device_add();
	CODE("\x9c");
	vcpu->rflags |= X86_FLAGS_IF;
	begin(exits_at, access);
}

static void test_pushf_beside_a_device(void **state)
{
	(void)state;
	pushf(DEVICE + 0x100, DEVICE + 0x100, ACCESS_EXEC);
	vcpu->gpr[GPR_RSP] = RAM;
	poke(RAM, vcpu->rflags);
	fake->reg[REG_DR6] |= DR6_BS;
	exception_exit(VECTOR_DB, false, 0, 0);
	assert_int_equal(peek(RAM), X86_FLAGS_IF | X86_FLAGS_FIXED);
}

static void test_pushf_to_a_device(void **state)
{
	(void)state;
	pushf(RAM, DEVICE + 4, ACCESS_WRITE);
	vcpu->gpr[GPR_RSP] = DEVICE + 4;
	memcpy(fake_memory_at(&spine.fake.platform, vcpu->step.scratch, PAGE_SIZE) + 4, &vcpu->rflags, 4);
	fake->reg[REG_DR6] |= DR6_BS;
	exception_exit(VECTOR_DB, false, 0, 0);
	assert_true(device.value >> 32 == (X86_FLAGS_IF | X86_FLAGS_FIXED));
}

/* Nor does what INT n pushes: it is delivered instead, and nothing is stepped. */
static void test_int_n_beside_a_device(void **state)
{
	const struct exit_detail detail = {.nested = {.gpa = DEVICE + 0x100, .access = ACCESS_EXEC}};

	(void)state;
	spine_prot32(&spine);
	vcpu->rip = DEVICE + 0x100;
	device_add();
	CODE("\xcd\x30");
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->type, EVENT_SOFT_INTR);
	assert_int_equal(spine_injected(&spine)->vector, 0x30);
	assert_false(vcpu->step.active);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
}

/* --- while an event is being delivered --- */

static const struct event interrupt = {.type = EVENT_INTR, .vector = 0x20};

static void deliver(struct touch *touch, unsigned count)
{
	struct touch fetch = {.gpa = RAM, .access = ACCESS_EXEC, .size = 1};

	exits = 0;
	delivery = &interrupt;
	assert_true(touch_all(touch, count));
	assert_int_equal(fake->steps_on, 0);
	assert_int_equal(spine_injected(&spine)->vector, 0x20);
	/* it is delivered: the handler's first fetch is what ends the step */
	assert_true(vcpu->step.active);
	delivery = NULL;
	assert_null(view_pointer(&fetch));
	assert_false(vcpu->step.active);
	assert_null(spine_injected(&spine));
	assert_non_null(view_pointer(&fetch));
}

static void test_delivery_hidden(void **state)
{
	struct touch touch[] = {{.gpa = HIDDEN, .access = ACCESS_READ, .size = 4},
				{.gpa = HIDDEN, .access = ACCESS_WRITE, .size = 4, .value = 0},
				{.gpa = HIDDEN_LAST, .access = ACCESS_WRITE, .size = 4, .value = 0}};

	(void)state;
	vcpu->rflags |= X86_FLAGS_TF;
	deliver(touch, 3);
	assert_int_equal(touch[0].value, 0xffffffff);
	assert_int_equal(HIDDEN_COUNT, 1);
	assert_true(vcpu->rflags & X86_FLAGS_TF);
	assert_int_equal(fake->reg[REG_DR6], 0xffff0ff0);
}

static void test_delivery_device(void **state)
{
	struct touch touch[] = {{.gpa = DEVICE, .access = ACCESS_READ, .size = 4},
				{.gpa = DEVICE, .access = ACCESS_WRITE, .size = 4, .value = 0}};

	(void)state;
	device_add();
	deliver(touch, 2);
	assert_int_equal(touch[0].value, 0xffffffff);
	assert_int_equal(device.reads + device.writes, 0);
}

/* The delivery begins within a stepped instruction: INT n beside a device, its stack hidden. */
static void test_delivery_in_step(void **state)
{
	struct exit_detail detail = {.nested = {.gpa = HIDDEN, .access = ACCESS_WRITE}};
	const struct event soft = {.type = EVENT_SOFT_INTR, .vector = 0x21, .length = 2};

	(void)state;
	device_add();
	begin(DEVICE + 8, ACCESS_EXEC);
	spine_exit(&spine, EXIT_NESTED, 0, &detail, &soft);
	/* delivered anew, without our TF in its frame, and from the base */
	assert_int_equal(spine_injected(&spine)->vector, 0x21);
	assert_false(vcpu->step.active);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
}

/* A write to the page of all ones is not forgotten when the instruction goes on elsewhere. */
static void test_written_then_read(void **state)
{
	struct touch touch[] = {{.gpa = HIDDEN, .access = ACCESS_READ, .size = 8},
				{.gpa = HIDDEN + PAGE_SIZE, .access = ACCESS_WRITE, .size = 8, .value = 1},
				{.gpa = HIDDEN + 2 * PAGE_SIZE, .access = ACCESS_READ, .size = 4}};

	(void)state;
	assert_true(instruction(touch, 3));
	assert_true(load(HIDDEN, 8) == ~0ull);
	/* nor when the page it began with is a neighbour that it writes, too */
	device_add();
	touch[0] = (struct touch){.gpa = DEVICE + 8, .access = ACCESS_READ, .size = 8};
	touch[2] = (struct touch){.gpa = DEVICE + 8, .access = ACCESS_WRITE, .size = 8, .value = 2};
	assert_true(instruction(touch, 3));
	assert_int_equal(peek(DEVICE + 8), 2);
	assert_true(load(HIDDEN, 8) == ~0ull);
}

static void test_flags_kept(void **state)
{
	(void)state;
	vcpu->rflags = X86_FLAGS_FIXED | X86_FLAGS_IF | X86_FLAGS_DF;
	load(HIDDEN, 4);
	assert_int_equal(vcpu->rflags, X86_FLAGS_FIXED | X86_FLAGS_IF | X86_FLAGS_DF);
	begin(HIDDEN, ACCESS_READ);
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_int_equal(vcpu->rflags, X86_FLAGS_FIXED | X86_FLAGS_IF | X86_FLAGS_DF);
}

/* A page that is filled in while an event is delivered: the event is delivered all the same. */
static void test_fill_in_delivery(void **state)
{
	struct exit_detail detail = {.nested = {.gpa = GIB(8), .access = ACCESS_WRITE}};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	spine_exit(&spine, EXIT_NESTED, 0, &detail, &interrupt);
	assert_int_equal(spine_injected(&spine)->vector, interrupt.vector);
	assert_false(vcpu->step.active);
	assert_int_equal(nested_lookup(vm, &vm->base, GIB(8), &entry, &level), 0);
}

/* A read of what can be read is no reason to exit. */
static void test_read_only_read(void **state)
{
	struct exit_detail detail = {.nested = {.gpa = 0xf0000, .access = ACCESS_READ}};

	(void)state;
	assert_int_equal(nested_map(vm, &vm->base, 0xf0000, PAGE_SIZE, RAM, ACCESS_READ | ACCESS_EXEC, 1), 0);
	fake_backend.nested_activate(vcpu, &vm->base);
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_true(spine_logged(&spine, "the guest cannot reach guest-physical f0000"));
	assert_null(vcpu->fatal);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_hidden_read),
		TEST(test_hidden_write),
		TEST(test_hidden_read_modify_write),
		TEST(test_hidden_fetch),
		TEST(test_hidden_table_walk),
		TEST(test_hidden_log_is_bounded),
		TEST(test_two_hidden_pages),
		TEST(test_gather),
		TEST(test_device_to_hidden),
		TEST(test_hidden_to_neighbour),
		TEST(test_device_read),
		TEST(test_device_write),
		TEST(test_device_read_modify_write),
		TEST(test_device_write_trapped_only),
		TEST(test_device_absent),
		TEST(test_device_misaligned),
		TEST(test_device_end),
		TEST(test_device_page_end),
		TEST(test_device_wide),
		TEST(test_device_unknown_instruction),
		TEST(test_device_table_walk),
		TEST(test_neighbour),
		TEST(test_neighbour_read_modify_write),
		TEST(test_read_only_copy),
		TEST(test_fill_on_demand),
		TEST(test_fill_everywhere),
		TEST(test_fill_without_memory),
		TEST(test_beyond_physical_limit),
		TEST(test_fill_in_step),
		TEST(test_no_memory_for_view),
		TEST(test_init_without_memory),
		TEST(test_ends_with_exception),
		TEST(test_nmi_gives_up),
		TEST(test_our_nmi_goes_first),
		TEST(test_interrupt_gives_up),
		TEST(test_nmi_without_step_is_an_error),
		TEST(test_blocked_nmi_waits),
		TEST(test_guest_steps_itself),
		TEST(test_guest_does_not_step_itself),
		TEST(test_dr6_restored),
		TEST(test_guest_watchpoint),
		TEST(test_popf_and_iret),
		TEST(test_emulated_in_step),
		TEST(test_pushf_beside_a_device),
		TEST(test_pushf_to_a_device),
		TEST(test_int_n_beside_a_device),
		TEST(test_delivery_hidden),
		TEST(test_delivery_device),
		TEST(test_delivery_in_step),
		TEST(test_written_then_read),
		TEST(test_flags_kept),
		TEST(test_fill_in_delivery),
		TEST(test_read_only_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
