/* SPDX-License-Identifier: BSD-2-Clause */
/* core/debug/run.c and space.c: stopping and going on, and what a debugger sees of memory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/a20.h>
#include <undercroft/errno.h>
#include <x86/cr.h>

#include "core/debug/debug.h"
#include "tests/unit/spine.h"

#define DEVICE MIB(14)
#define EXTRA  MIB(20)

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static struct vm *const vm = &spine.fake.vm;
static struct debug debug;
static const struct owner owner = {.name = "test"};

static unsigned stops;
static uint64_t stop_rip;

/* A client that looks and lets the guest go on. */
static void client_stopped(struct vcpu *v)
{
	assert_ptr_equal(v, vcpu);
	assert_true(debug_is_stopped(vcpu));
	stops++;
	stop_rip = vcpu->rip;
	debug_resume(vcpu);
}

static struct control control = {.stopped = client_stopped};

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	debug_init(vcpu, &debug);
	vm->control = &control;
	stops = 0;
	return 0;
}

static const struct stop request = {.kind = STOP_REQUEST, .text = "asked"};

static void test_request_stops_before_the_next_instruction(void **state)
{
	(void)state;
	assert_false(debug_is_stopped(vcpu));
	debug_stop_request(vcpu, &request);
	assert_false(debug_is_stopped(vcpu));
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(stops, 1);
	assert_true(stop_rip == SPINE_CODE + 2);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_REQUEST);
	assert_string_equal(debug_stop(vcpu)->text, "asked");
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(stops, 1);
	assert_int_equal(vcpu->work, 0);
}

static void test_first_request_counts(void **state)
{
	const struct stop other = {.kind = STOP_START};

	(void)state;
	debug_stop_request(vcpu, &request);
	debug_stop_request(vcpu, &other);
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(stops, 1);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_REQUEST);
}

/* What is on its way to the guest is not delivered before the stop, and not lost by it. */
static void test_event_is_delivered_after_the_stop(void **state)
{
	(void)state;
	debug_stop_request(vcpu, &request);
	spine_exit(&spine, EXIT_VIRT_INSN, 3, NULL, NULL);
	assert_int_equal(stops, 1);
	assert_true(stop_rip == SPINE_CODE);
	assert_int_equal(spine_injected(&spine)->vector, 6);
}

static void test_release_takes_a_request_back(void **state)
{
	(void)state;
	debug_stop_request(vcpu, &request);
	debug_release(vcpu);
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(stops, 0);
	assert_int_equal(vcpu->work, 0);
}

static void test_without_run_control_nothing_stops(void **state)
{
	(void)state;
	vcpu->debug = NULL;
	debug_stop_request(vcpu, &request);
	debug_release(vcpu);
	assert_false(debug_is_stopped(vcpu));
	assert_int_equal(vcpu->work, 0);
}

/* --- memory --- */

static const struct debug_space physical = {.kind = SPACE_PHYSICAL}, current = {.kind = SPACE_CURRENT};

static uint8_t *bytes_at(paddr_t at, size_t length)
{
	return fake_memory_at(&spine.fake.platform, at, length);
}

static int mem_get(const struct debug_space *space, uint64_t address, void *buffer, size_t length, unsigned flags,
		   size_t expected)
{
	size_t done;
	int ret = debug_mem_read(vcpu, space, address, buffer, length, flags, &done);

	assert_int_equal(done, expected);
	return ret;
}

static int mem_put(const struct debug_space *space, uint64_t address, const void *buffer, size_t length, unsigned flags,
		   size_t expected)
{
	size_t done;
	int ret = debug_mem_write(vcpu, space, address, buffer, length, flags, &done);

	assert_int_equal(done, expected);
	return ret;
}

static void test_physical_memory(void **state)
{
	uint8_t out[32];

	(void)state;
	for (unsigned i = 0; i < 32; i++)
		bytes_at(MIB(2) - 16, 32)[i] = (uint8_t)i;
	assert_int_equal(mem_get(&physical, MIB(2) - 16, out, 32, 0, 32), 0);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(out[i], i);
	assert_int_equal(mem_put(&physical, MIB(2) + 100, "abc", 3, 0, 3), 0);
	assert_memory_equal(bytes_at(MIB(2) + 100, 3), "abc", 3);
	assert_int_equal(mem_get(&physical, vm->physical_limit, out, 1, 0, 0), -EFAULT);
	assert_int_equal(mem_get(&physical, ~0ull, out, 4, 0, 0), -EFAULT);
}

/* Up to the very byte, and nothing of what is hidden. */
static void test_hidden_memory(void **state)
{
	uint8_t out[8] = {0};

	(void)state;
	memset(bytes_at(SPINE_HIDDEN, 4), 0x55, 4);
	memset(bytes_at(SPINE_HIDDEN - 4, 4), 0x22, 4);
	assert_int_equal(mem_get(&physical, SPINE_HIDDEN - 4, out, 8, DEBUG_MEM_DEVICE, 4), -EACCES);
	assert_memory_equal(out, "\x22\x22\x22\x22\0\0\0\0", 8);
	assert_int_equal(mem_put(&physical, SPINE_HIDDEN - 4, "abcdefgh", 8, DEBUG_MEM_DEVICE, 4), -EACCES);
	assert_int_equal(bytes_at(SPINE_HIDDEN, 1)[0], 0x55);
}

static uint64_t device_value;
static unsigned device_sizes;

static uint64_t device_read(struct vcpu *v, struct region *region, uint64_t offset, unsigned size)
{
	(void)v;
	(void)region;
	device_sizes += size;
	return device_value >> 8 * offset;
}

static void device_write(struct vcpu *v, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	(void)v;
	(void)region;
	(void)offset;
	device_sizes += size;
	device_value = value;
}

static void test_device_memory_only_when_asked(void **state)
{
	struct region region = {.name = "device", .owner = &owner, .space = REGION_MMIO, .start = DEVICE, .length = 8};
	const struct region *conflict;
	uint32_t value = 0;

	(void)state;
	region.trap_reads = true;
	region.read = device_read;
	region.write = device_write;
	assert_int_equal(region_add(vcpu, &region, &conflict), 0);
	device_value = 0x8877665544332211;
	device_sizes = 0;
	assert_int_equal(mem_get(&physical, DEVICE + 4, &value, 4, 0, 0), -EACCES);
	assert_int_equal(device_sizes, 0);
	assert_int_equal(mem_get(&physical, DEVICE + 4, &value, 4, DEBUG_MEM_DEVICE, 4), 0);
	assert_int_equal(value, 0x88776655);
	assert_int_equal(device_sizes, 4); /* in one access */
	value = 0x1234;
	assert_int_equal(mem_put(&physical, DEVICE, &value, 4, DEBUG_MEM_DEVICE, 4), 0);
	assert_int_equal(device_value, 0x1234);
	/* the neighbours are memory */
	assert_int_equal(mem_get(&physical, DEVICE + 8, &value, 4, 0, 4), 0);
	assert_int_equal(region_remove(vcpu, &region), 0);
}

/* What no map calls memory: below 1 MiB the adapters', elsewhere the bus'. */
static void test_what_is_not_ram(void **state)
{
	uint32_t value = 0;

	(void)state;
	fake_memory_add(&spine.fake.platform, EXTRA, PAGE_SIZE);
	memcpy(bytes_at(EXTRA + 0x10, 4), "\x78\x56\x34\x12", 4);
	assert_int_equal(mem_get(&physical, EXTRA + 0x10, &value, 4, 0, 0), -EACCES);
	assert_int_equal(mem_get(&physical, EXTRA + 0x10, &value, 4, DEBUG_MEM_DEVICE, 4), 0);
	assert_int_equal(value, 0x12345678);
	assert_int_equal(fake_access_count(&spine.fake.platform, FAKE_MMIO_READ, EXTRA + 0x10), 1);
	/* nothing answers there */
	assert_int_equal(mem_get(&physical, GIB(2), &value, 4, DEBUG_MEM_DEVICE, 0), -EFAULT);
	/* the firmware's ROM can be read, not written */
	spine.machine.memory.range[0].length = 0xa0000;
	memcpy(bytes_at(0xf0000, 3), "BIO", 3);
	assert_int_equal(mem_get(&physical, 0xf0000, &value, 3, 0, 3), 0);
	assert_memory_equal(&value, "BIO", 3);
	assert_int_equal(mem_put(&physical, 0xf0000, "x", 1, 0, 0), -EACCES);
}

/* A table of the firmware as the guest sees it. */
static void test_replaced_page(void **state)
{
	char text[4] = "";

	(void)state;
	memcpy(bytes_at(MIB(3), 4), "real", 4);
	memcpy(bytes_at(MIB(4), 4), "copy", 4);
	assert_int_equal(nested_map(vm, &vm->base, MIB(3), PAGE_SIZE, MIB(4), ACCESS_READ, 1), 0);
	assert_int_equal(mem_get(&physical, MIB(3), text, 4, 0, 4), 0);
	assert_memory_equal(text, "copy", 4);
	assert_int_equal(mem_put(&physical, MIB(3), "new!", 4, 0, 0), -EACCES);
	assert_memory_equal(bytes_at(MIB(3), 4), "real", 4);
}

static void test_address_line_20(void **state)
{
	char text[3];

	(void)state;
	memcpy(bytes_at(0x10, 3), "low", 3);
	memcpy(bytes_at(MIB(1) + 0x10, 3), "top", 3);
	assert_int_equal(mem_get(&physical, MIB(1) + 0x10, text, 3, 0, 3), 0);
	assert_memory_equal(text, "top", 3);
	assert_int_equal(a20_set(vcpu, false), 0);
	assert_int_equal(mem_get(&physical, MIB(1) + 0x10, text, 3, 0, 3), 0);
	assert_memory_equal(text, "low", 3);
	assert_int_equal(mem_put(&physical, MIB(1) + 0x10, "new", 3, 0, 3), 0);
	assert_memory_equal(bytes_at(0x10, 3), "new", 3);
}

#define TABLES	 MIB(5)
#define ENTRY_P	 0x01ull
#define ENTRY_RW 0x02ull
#define ENTRY_PS 0x80ull

/* A second address space whose only page is at 16 MiB, linear: physical 6 MiB, read-only and not executable. */
static struct debug_space other_space(void)
{
	uint64_t *table = (void *)bytes_at(TABLES, 4 * PAGE_SIZE);

	table[0] = (TABLES + PAGE_SIZE) | ENTRY_P | ENTRY_RW;
	table[512] = (TABLES + 2 * PAGE_SIZE) | ENTRY_P | ENTRY_RW;
	table[1024 + 8] = (TABLES + 3 * PAGE_SIZE) | ENTRY_P | ENTRY_RW;
	table[1536] = MIB(6) | ENTRY_P | 1ull << 63;
	return (struct debug_space){.kind = SPACE_CR3, .cr3 = TABLES};
}

static void test_linear_spaces(void **state)
{
	struct debug_space space;
	struct mem_mapping mapping;
	char text[8];

	(void)state;
	spine_long64(&spine);
	fake->reg[REG_EFER] |= EFER_NXE;
	fake->reg[REG_CPL] = 3;
	space = other_space();
	memcpy(bytes_at(MIB(6) + 0x20, 8), "elsewher", 8);
	memcpy(bytes_at(MIB(3), 8), "herehere", 8);
	assert_int_equal(mem_get(&space, MIB(16) + 0x20, text, 8, 0, 8), 0);
	assert_memory_equal(text, "elsewher", 8);
	assert_int_equal(mem_get(&current, MIB(3), text, 8, 0, 8), 0);
	assert_memory_equal(text, "herehere", 8);
	/* a debugger may write what the guest may not */
	assert_int_equal(mem_put(&space, MIB(16) + 0x20, "ELSE", 4, 0, 4), 0);
	assert_memory_equal(bytes_at(MIB(6) + 0x20, 8), "ELSEwher", 8);
	/* it leaves no trace in the tables */
	assert_true(((uint64_t *)(void *)bytes_at(TABLES, 4 * PAGE_SIZE))[1536] == (MIB(6) | ENTRY_P | 1ull << 63));
	/* the page behind is not there */
	assert_int_equal(mem_get(&space, MIB(16) + PAGE_SIZE - 3, text, 8, 0, 3), -EFAULT);
	assert_int_equal(mem_get(&current, 1ull << 63, text, 8, 0, 0), -EFAULT);

	assert_int_equal(debug_translate(vcpu, &space, MIB(16) + 0x123, &mapping), 0);
	assert_true(mapping.gpa == MIB(6) + 0x123);
	assert_true(mapping.page_size == PAGE_SIZE);
	assert_false(mapping.writable);
	assert_false(mapping.user);
	assert_false(mapping.executable);
	assert_int_equal(debug_translate(vcpu, &current, MIB(3), &mapping), 0);
	assert_true(mapping.page_size == GIB(1));
	assert_true(mapping.writable);
	assert_true(mapping.user);
	assert_true(mapping.executable);
	assert_int_equal(debug_translate(vcpu, &space, 0, &mapping), -EFAULT);
}

/* Real mode has 32-bit linear addresses, and they are physical. */
static void test_unpaged(void **state)
{
	char text[4];

	(void)state;
	memcpy(bytes_at(0x7c00, 4), "boot", 4);
	assert_int_equal(mem_get(&current, 0x100007c00, text, 4, 0, 4), 0);
	assert_memory_equal(text, "boot", 4);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_prestate_setup_teardown(f, setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_request_stops_before_the_next_instruction),
		TEST(test_first_request_counts),
		TEST(test_event_is_delivered_after_the_stop),
		TEST(test_release_takes_a_request_back),
		TEST(test_without_run_control_nothing_stops),
		TEST(test_physical_memory),
		TEST(test_hidden_memory),
		TEST(test_device_memory_only_when_asked),
		TEST(test_what_is_not_ram),
		TEST(test_replaced_page),
		TEST(test_address_line_20),
		TEST(test_linear_spaces),
		TEST(test_unpaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
