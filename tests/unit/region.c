/* SPDX-License-Identifier: BSD-2-Clause */
/* core/region.c: lists and conflicts, port accesses across ends, pages that several regions share, moves. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/exit.h>
#include <undercroft/owner.h>
#include <undercroft/region.h>

#include "tests/fakes/fake_backend.h"

#define PAGES 128u
#define RX    (ACCESS_READ | ACCESS_EXEC)
#define RWX   (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)

static struct fake_vm fake;
static struct vcpu *const vcpu = &fake.vcpu.vcpu;
static struct vm *const vm = &fake.vm;
static const struct owner core = {"core"}, gdb = {"gdb"};

/* What the regions' functions were called with. */
struct call {
	const struct region *region;
	uint64_t offset;
	unsigned size;
	bool write;
	uint64_t value;
};

static struct call calls[16];
static unsigned call_count;

static void record(const struct region *region, uint64_t offset, unsigned size, bool write, uint64_t value)
{
	assert_true(call_count < ARRAY_SIZE(calls));
	calls[call_count++] = (struct call){region, offset, size, write, value};
}

/* Every byte reads as its offset plus 0x40; with rubbish above, which core has to cut off. */
static uint64_t pattern_read(struct vcpu *cpu, struct region *region, uint64_t offset, unsigned size)
{
	uint64_t value = ~0ull;

	assert_ptr_equal(cpu, vcpu);
	for (unsigned i = size; i-- > 0;)
		value = value << 8 | (0x40 + offset + i);
	record(region, offset, size, false, 0);
	return value;
}

static void pattern_write(struct vcpu *cpu, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	assert_ptr_equal(cpu, vcpu);
	record(region, offset, size, true, value);
}

static struct region make(const char *name, enum region_space space, uint64_t start, uint64_t length)
{
	return (struct region){.name = name,
			       .owner = &core,
			       .space = space,
			       .start = start,
			       .length = length,
			       .read = pattern_read,
			       .write = pattern_write};
}

static int setup(void **state)
{
	(void)state;
	fake_vm_init(&fake, MIB(1), PAGE_SIZE, PAGES);
	assert_int_equal(nested_view_init(vm, &vm->base, "base"), 0);
	vm->hidden[0] = (struct hidden_range){GIB(2) + 0x3000, 0x2000};
	vm->hidden_count = 1;
	assert_int_equal(nested_build_identity(vm, &vm->base, 0), 0);
	call_count = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_free(&fake);
	return 0;
}

static uint8_t access_of(gpa_t gpa)
{
	struct nested_entry entry;
	unsigned level;

	if (nested_lookup(vm, &vm->base, gpa, &entry, &level) != 0)
		return 0;
	assert_int_equal(entry.address, ALIGN_DOWN(gpa, NESTED_LEVEL_SIZE(level)));
	return entry.access;
}

static unsigned level_of(gpa_t gpa)
{
	struct nested_entry entry;
	unsigned level;

	(void)nested_lookup(vm, &vm->base, gpa, &entry, &level);
	return level;
}

/* --- lists ---------------------------------------------------------------------------------------------------------
 */

static void test_list_sorted_and_found(void **state)
{
	struct region_list list = {NULL};
	struct region m1 = make("m1", REGION_MMIO, 0x1000, 0x10), m2 = make("m2", REGION_MMIO, 0x10, 0x10);
	struct region p1 = make("p1", REGION_PORT, 0x20, 4), p2 = make("p2", REGION_PORT, 0x10, 4);

	(void)state;
	assert_int_equal(region_list_add(&list, &m1, NULL), 0);
	assert_int_equal(region_list_add(&list, &p1, NULL), 0);
	assert_int_equal(region_list_add(&list, &m2, NULL), 0);
	assert_int_equal(region_list_add(&list, &p2, NULL), 0);
	assert_ptr_equal(list.head, &p2);
	assert_ptr_equal(p2.next, &p1);
	assert_ptr_equal(p1.next, &m2);
	assert_ptr_equal(m2.next, &m1);
	assert_null(m1.next);

	assert_null(region_list_find(&list, REGION_PORT, 0xf));
	assert_ptr_equal(region_list_find(&list, REGION_PORT, 0x10), &p2);
	assert_ptr_equal(region_list_find(&list, REGION_PORT, 0x13), &p2);
	assert_null(region_list_find(&list, REGION_PORT, 0x14));
	assert_ptr_equal(region_list_find(&list, REGION_MMIO, 0x14), &m2);
	assert_ptr_equal(region_list_overlap(&list, REGION_PORT, 0, 0x100), &p2);
	assert_ptr_equal(region_list_overlap(&list, REGION_PORT, 0x14, ~0ull), &p1);
	assert_null(region_list_overlap(&list, REGION_PORT, 0x14, 0xc));
	assert_null(region_list_overlap(&list, REGION_PORT, 0x10, 0));

	assert_int_equal(region_list_remove(&list, &p1), 0);
	assert_int_equal(region_list_remove(&list, &p1), -ENOENT);
	assert_ptr_equal(p2.next, &m2);
	assert_null(p1.next);
}

static void test_list_errors(void **state)
{
	struct region_list list = {NULL};
	struct region r = make("r", REGION_PORT, 0, 0);

	(void)state;
	assert_int_equal(region_list_add(&list, &r, NULL), -EINVAL);
	r = make("r", REGION_PORT, 0xffff, 2);
	assert_int_equal(region_list_add(&list, &r, NULL), -EINVAL);
	r = make("r", REGION_PORT, 0x10000, 1);
	assert_int_equal(region_list_add(&list, &r, NULL), -EINVAL);
	r = make("r", REGION_PORT, 2, ~0ull);
	assert_int_equal(region_list_add(&list, &r, NULL), -EINVAL);
	r = make("r", REGION_MMIO, 1ull << 52, 1);
	assert_int_equal(region_list_add(&list, &r, NULL), -EINVAL);
	r = make("r", REGION_MMIO, ~0ull, 2);
	assert_int_equal(region_list_add(&list, &r, NULL), -EINVAL);
	r = make("r", REGION_MMIO, 1, ~0ull);
	assert_int_equal(region_list_add(&list, &r, NULL), -EINVAL);
	assert_null(list.head);
	r = make("r", REGION_PORT, 0xffff, 1);
	assert_int_equal(region_list_add(&list, &r, NULL), 0);
	r.next = NULL;
	list.head = NULL;
	r = make("r", REGION_PORT, 0, 0x10000);
	assert_int_equal(region_list_add(&list, &r, NULL), 0);
}

static void test_list_conflicts_name_both(void **state)
{
	static const struct {
		uint64_t start, length;
	} overlapping[] = {{0x2f8, 8}, {0x2f0, 9}, {0x2ff, 1}, {0x2fa, 2}, {0, 0x10000}};
	struct region_list list = {NULL};
	struct region uart = make("uart@2f8", REGION_PORT, 0x2f8, 8);

	(void)state;
	assert_int_equal(region_list_add(&list, &uart, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(overlapping); i++) {
		struct region late = make("late", REGION_PORT, overlapping[i].start, overlapping[i].length);
		const struct region *conflict = NULL;

		assert_int_equal(region_list_add(&list, &late, &conflict), -EEXIST);
		assert_string_equal(conflict->name, "uart@2f8");
		assert_int_equal(region_list_add(&list, &late, NULL), -EEXIST);
		assert_null(late.next);
	}
	assert_null(uart.next);
	/* Itself, too. */
	assert_int_equal(region_list_add(&list, &uart, NULL), -EEXIST);
}

/* --- ports -----------------------------------------------------------------------------------------------------------
 */

static void test_ports_arm_and_disarm(void **state)
{
	struct region uart = make("uart", REGION_PORT, 0x2f8, 8), late = make("late", REGION_PORT, 0x2ff, 8);
	const struct region *conflict = NULL;

	(void)state;
	assert_int_equal(region_add(vcpu, &uart, &conflict), 0);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 8);
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x2f8));
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x2ff));
	assert_int_equal(region_add(vcpu, &late, &conflict), -EEXIST);
	assert_ptr_equal(conflict, &uart);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 8);
	assert_int_equal(region_remove(vcpu, &uart), 0);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 0);
	assert_int_equal(region_remove(vcpu, &uart), -ENOENT);
	assert_int_equal(region_move(vcpu, &uart, 0x100), -ENOENT);
	assert_int_equal(uart.start, 0x2f8);
	assert_int_equal(vcpu->work, 0);
}

static void test_ports_arm_fails_whole(void **state)
{
	struct region wide = make("wide", REGION_PORT, 0x1000, INTERCEPT_ARM_MAX);

	(void)state;
	assert_int_equal(intercept_arm(vcpu, &gdb, INTERCEPT_NMI, 0), 0);
	assert_int_equal(region_add(vcpu, &wide, NULL), -ENOSPC);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 1);
	assert_null(vm->regions.head);
	fake.vcpu.intercept_result = -ENOTSUP;
	wide.length = 2;
	assert_int_equal(region_add(vcpu, &wide, NULL), -ENOTSUP);
	assert_null(vm->regions.head);
	/* Armed by the same owner already: not both. */
	fake.vcpu.intercept_result = 0;
	assert_int_equal(intercept_arm(vcpu, &core, INTERCEPT_PORT, 0x1001), 0);
	assert_int_equal(region_add(vcpu, &wide, NULL), -EEXIST);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 2);
}

static uint64_t hardware_read(void *context, uint64_t address, unsigned size)
{
	(void)context;
	(void)size;
	return 0xd3d2d1d0ull + (address & 0xf) * 0x01010101ull;
}

static void expect_hardware(unsigned index, enum fake_access_kind kind, uint64_t port, unsigned size, uint64_t value)
{
	const struct fake_access *access = &fake.platform.access[index];

	assert_true(index < fake.platform.access_count);
	assert_int_equal(access->kind, kind);
	assert_int_equal(access->address, port);
	assert_int_equal(access->size, size);
	assert_int_equal(access->value, value);
}

static void expect_call(unsigned index, const struct region *region, uint64_t offset, unsigned size, bool write,
			uint64_t value)
{
	assert_true(index < call_count);
	assert_ptr_equal(calls[index].region, region);
	assert_int_equal(calls[index].offset, offset);
	assert_int_equal(calls[index].size, size);
	assert_int_equal(calls[index].write, write);
	assert_int_equal(calls[index].value, value);
}

static void test_port_access_whole(void **state)
{
	struct region r = make("r", REGION_PORT, 0x100, 8);

	(void)state;
	assert_int_equal(region_add(vcpu, &r, NULL), 0);
	fake_port_add(&fake.platform, 0x200, 16, hardware_read, NULL, NULL);
	assert_int_equal(region_port_read(vcpu, 0x100, 1), 0x40);
	assert_int_equal(region_port_read(vcpu, 0x102, 2), 0x4342);
	assert_int_equal(region_port_read(vcpu, 0x103, 4), 0x46454443);
	region_port_write(vcpu, 0x107, 1, 0xffffffffffffff12);
	region_port_write(vcpu, 0x101, 4, 0x1122334455);
	assert_int_equal(call_count, 5);
	expect_call(2, &r, 3, 4, false, 0);
	expect_call(3, &r, 7, 1, true, 0x12);
	expect_call(4, &r, 1, 4, true, 0x22334455);
	assert_int_equal(r.accesses, 5);
	assert_int_equal(fake.platform.access_count, 0);

	/* Nobody's: the hardware's, in one piece, however it is aligned. */
	assert_int_equal(region_port_read(vcpu, 0x201, 4), 0xd4d3d2d1);
	region_port_write(vcpu, 0x205, 2, 0xabcdef);
	assert_int_equal(fake.platform.access_count, 2);
	expect_hardware(0, FAKE_PORT_IN, 0x201, 4, 0xd4d3d2d1);
	expect_hardware(1, FAKE_PORT_OUT, 0x205, 2, 0xcdef);
}

static void test_port_access_absent(void **state)
{
	struct region r = make("absent", REGION_PORT, 0x100, 4);

	(void)state;
	r.read = NULL;
	r.write = NULL;
	assert_int_equal(region_add(vcpu, &r, NULL), 0);
	assert_int_equal(region_port_read(vcpu, 0x100, 1), 0xff);
	assert_int_equal(region_port_read(vcpu, 0x100, 2), 0xffff);
	assert_int_equal(region_port_read(vcpu, 0x100, 4), 0xffffffff);
	region_port_write(vcpu, 0x100, 4, 0);
	assert_int_equal(fake.platform.access_count, 0);
	assert_int_equal(r.accesses, 4);
}

static void test_port_access_across_two_regions(void **state)
{
	struct region a = make("a", REGION_PORT, 0x100, 2), b = make("b", REGION_PORT, 0x102, 4);

	(void)state;
	assert_int_equal(region_add(vcpu, &a, NULL), 0);
	assert_int_equal(region_add(vcpu, &b, NULL), 0);
	assert_int_equal(region_port_read(vcpu, 0x101, 2), 0x4041);
	expect_call(0, &a, 1, 1, false, 0);
	expect_call(1, &b, 0, 1, false, 0);
	call_count = 0;
	/* One byte of a, three of b: taken apart at even ports; still one access of each. */
	assert_int_equal(region_port_read(vcpu, 0x101, 4), 0x42414041);
	assert_int_equal(call_count, 3);
	expect_call(0, &a, 1, 1, false, 0);
	expect_call(1, &b, 0, 2, false, 0);
	expect_call(2, &b, 2, 1, false, 0);
	assert_int_equal(a.accesses, 2);
	assert_int_equal(b.accesses, 2);
	call_count = 0;
	region_port_write(vcpu, 0x100, 4, 0x44332211);
	assert_int_equal(call_count, 2);
	expect_call(0, &a, 0, 2, true, 0x2211);
	expect_call(1, &b, 0, 2, true, 0x4433);
	assert_int_equal(fake.platform.access_count, 0);
}

static void test_port_access_passes_neighbours(void **state)
{
	struct region r = make("r", REGION_PORT, 0x202, 1);

	(void)state;
	assert_int_equal(region_add(vcpu, &r, NULL), 0);
	fake_port_add(&fake.platform, 0x200, 16, hardware_read, NULL, NULL);
	assert_int_equal(region_port_read(vcpu, 0x200, 4), 0xd340d1d0);
	expect_hardware(0, FAKE_PORT_IN, 0x200, 2, 0xd1d0);
	expect_hardware(1, FAKE_PORT_IN, 0x203, 1, 0xd3);
	fake_access_clear(&fake.platform);
	/* Three bytes of hardware, even and odd. */
	region_port_write(vcpu, 0x202, 4, 0x44332211);
	expect_hardware(0, FAKE_PORT_OUT, 0x203, 1, 0x22);
	expect_hardware(1, FAKE_PORT_OUT, 0x204, 2, 0x4433);
	fake_access_clear(&fake.platform);
	assert_int_equal(region_move(vcpu, &r, 0x207), 0);
	region_port_write(vcpu, 0x204, 4, 0x44332211);
	expect_hardware(0, FAKE_PORT_OUT, 0x204, 2, 0x2211);
	expect_hardware(1, FAKE_PORT_OUT, 0x206, 1, 0x33);
	expect_call(call_count - 1, &r, 0, 1, true, 0x44);
	assert_int_equal(fake.platform.access_count, 2);
}

static void test_port_access_at_the_last_port(void **state)
{
	struct region r = make("last", REGION_PORT, 0xffff, 1);

	(void)state;
	/* Nobody's: the CPU knows what it does. */
	assert_int_equal(region_port_read(vcpu, 0xffff, 4), 0xffffffff);
	expect_hardware(0, FAKE_PORT_IN, 0xffff, 4, 0xffffffff);
	fake_access_clear(&fake.platform);
	/* Behind the last port there is nothing, and certainly not port 0. */
	fake_port_add(&fake.platform, 0, 16, hardware_read, NULL, NULL);
	assert_int_equal(region_add(vcpu, &r, NULL), 0);
	assert_int_equal(region_port_read(vcpu, 0xffff, 4), 0xffffff40);
	region_port_write(vcpu, 0xffff, 4, 0x44332211);
	assert_int_equal(call_count, 2);
	expect_call(1, &r, 0, 1, true, 0x11);
	assert_int_equal(fake.platform.access_count, 0);
	assert_int_equal(region_port_read(vcpu, 0xfffe, 2), 0x40ff);
	expect_hardware(0, FAKE_PORT_IN, 0xfffe, 1, 0xff);
}

static void test_port_move(void **state)
{
	struct region r = make("r", REGION_PORT, 0x100, 8), wall = make("wall", REGION_PORT, 0x110, 8);

	(void)state;
	assert_int_equal(region_add(vcpu, &r, NULL), 0);
	assert_int_equal(region_add(vcpu, &wall, NULL), 0);
	fake.vcpu.intercept_calls = 0;
	/* Over itself: four ports change. */
	assert_int_equal(region_move(vcpu, &r, 0x104), 0);
	assert_int_equal(fake.vcpu.intercept_calls, 8);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 16);
	assert_false(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x103));
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x104));
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x10b));

	assert_int_equal(region_move(vcpu, &r, 0x10c), -EEXIST);
	assert_int_equal(region_move(vcpu, &r, 0xfffc), -EINVAL);
	fake.vcpu.intercept_result = -ENOTSUP;
	assert_int_equal(region_move(vcpu, &r, 0x108), -ENOTSUP);
	fake.vcpu.intercept_result = 0;
	assert_int_equal(r.start, 0x104);
	assert_ptr_equal(region_list_find(&vm->regions, REGION_PORT, 0x104), &r);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 16);
	assert_true(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x104));
	assert_false(fake_intercept_on(&fake.vcpu, INTERCEPT_PORT, 0x10c));

	/* Beyond the other one: the list stays sorted. */
	assert_int_equal(region_move(vcpu, &r, 0x200), 0);
	assert_ptr_equal(vm->regions.head, &wall);
	assert_ptr_equal(wall.next, &r);
	assert_int_equal(region_move(vcpu, &r, 0x200), 0);
	assert_int_equal(fake_intercepts_on(&fake.vcpu), 16);
}

/* --- device memory -------------------------------------------------------------------------------------------------
 */

static void test_mmio_protects_and_restores(void **state)
{
	struct region apic = make("apic", REGION_MMIO, 0xfee00300, 0x20);
	struct region gone = make("gone", REGION_MMIO, 0xfed00000, 0x400);
	uint32_t available = vm->pool.available;

	(void)state;
	gone.trap_reads = true;
	assert_int_equal(region_add(vcpu, &apic, NULL), 0);
	assert_int_equal(vcpu->work, WORK_VIEW);
	assert_int_equal(access_of(0xfee00000), RX);
	assert_int_equal(access_of(0xfedff000), RWX);
	assert_int_equal(access_of(0xfee01000), RWX);
	vcpu->work = 0;
	assert_int_equal(region_add(vcpu, &gone, NULL), 0);
	assert_int_equal(vcpu->work, WORK_VIEW);
	assert_int_equal(access_of(0xfed00000), 0);
	assert_int_equal(access_of(0xfed01000), RWX);

	vcpu->work = 0;
	assert_int_equal(region_remove(vcpu, &apic), 0);
	assert_int_equal(vcpu->work, WORK_VIEW);
	assert_int_equal(access_of(0xfee00000), RWX);
	/* The pages are large again as far as the other region allows. */
	assert_int_equal(level_of(0xfee00000), 2);
	assert_int_equal(region_remove(vcpu, &gone), 0);
	assert_int_equal(access_of(0xfed00000), RWX);
	assert_int_equal(level_of(0xfed00000), 3);
	assert_int_equal(vm->pool.available, available);
}

static void test_mmio_neighbours_share_a_page(void **state)
{
	struct region a = make("a", REGION_MMIO, 0xf0000ff0, 0x20); /* two pages */
	struct region b = make("b", REGION_MMIO, 0xf0001800, 0x10);
	struct region c = make("c", REGION_MMIO, 0xf0001900, 0x2000);

	(void)state;
	b.trap_reads = true;
	assert_int_equal(region_add(vcpu, &a, NULL), 0);
	assert_int_equal(access_of(0xf0000000), RX);
	assert_int_equal(access_of(0xf0001000), RX);
	assert_int_equal(region_add(vcpu, &b, NULL), 0);
	assert_int_equal(access_of(0xf0000000), RX);
	assert_int_equal(access_of(0xf0001000), 0);
	assert_int_equal(region_add(vcpu, &c, NULL), 0);
	assert_int_equal(access_of(0xf0001000), 0);
	assert_int_equal(access_of(0xf0002000), RX);
	assert_int_equal(access_of(0xf0003000), RX);
	assert_int_equal(access_of(0xf0004000), RWX);

	vcpu->work = 0;
	assert_int_equal(region_remove(vcpu, &a), 0);
	assert_int_equal(access_of(0xf0000000), RWX);
	assert_int_equal(access_of(0xf0001000), 0);
	assert_int_equal(region_remove(vcpu, &b), 0);
	assert_int_equal(access_of(0xf0001000), RX);
	assert_int_equal(region_remove(vcpu, &c), 0);
	assert_int_equal(access_of(0xf0001000), RWX);
	assert_int_equal(level_of(0xf0001000), 3);
	assert_int_equal(vcpu->work, WORK_VIEW);

	/* A neighbour that adds nothing changes nothing. */
	assert_int_equal(region_add(vcpu, &a, NULL), 0);
	vcpu->work = 0;
	b = make("b", REGION_MMIO, 0xf0001800, 0x10);
	assert_int_equal(region_add(vcpu, &b, NULL), 0);
	assert_int_equal(vcpu->work, 0);
}

static void test_mmio_removal_respects_hidden_memory(void **state)
{
	struct region r = make("r", REGION_MMIO, GIB(2) + 0x2800, 0x4000);

	(void)state;
	for (unsigned trap = 0; trap < 2; trap++) {
		r.trap_reads = trap != 0;
		assert_int_equal(region_add(vcpu, &r, NULL), 0);
		assert_int_equal(access_of(GIB(2) + 0x2000), trap ? 0 : RX);
		assert_int_equal(access_of(GIB(2) + 0x3000), 0);
		assert_int_equal(access_of(GIB(2) + 0x4000), 0);
		assert_int_equal(access_of(GIB(2) + 0x5000), trap ? 0 : RX);
		assert_int_equal(access_of(GIB(2) + 0x6000), trap ? 0 : RX);
		assert_int_equal(region_remove(vcpu, &r), 0);
		assert_int_equal(access_of(GIB(2) + 0x2000), RWX);
		assert_int_equal(access_of(GIB(2) + 0x3000), 0);
		assert_int_equal(access_of(GIB(2) + 0x4000), 0);
		assert_int_equal(access_of(GIB(2) + 0x5000), RWX);
	}
}

static void test_mmio_large(void **state)
{
	struct region r = make("r", REGION_MMIO, GIB(3) - MIB(1), MIB(64));
	uint32_t available = vm->pool.available;

	(void)state;
	r.trap_reads = true;
	assert_int_equal(region_add(vcpu, &r, NULL), 0);
	assert_int_equal(access_of(GIB(3) - MIB(1) - 1), RWX);
	assert_int_equal(access_of(GIB(3) - MIB(1)), 0);
	assert_int_equal(access_of(GIB(3) + MIB(32)), 0);
	assert_int_equal(access_of(GIB(3) + MIB(63) - 1), 0);
	assert_int_equal(access_of(GIB(3) + MIB(63)), RWX);
	assert_int_equal(region_remove(vcpu, &r), 0);
	assert_int_equal(access_of(GIB(3) + MIB(32)), RWX);
	assert_int_equal(level_of(GIB(3) + MIB(32)), 3);
	assert_int_equal(vm->pool.available, available);

	/* A whole space is no work to speak of either. */
	r.start = GIB(8);
	r.length = (1ull << 48) - GIB(8);
	assert_int_equal(region_add(vcpu, &r, NULL), 0);
	assert_int_equal(access_of(GIB(9)), 0);
	assert_int_equal(region_list_remove(&vm->regions, &r), 0);
}

static void test_mmio_above_the_map(void **state)
{
	struct region r = make("r", REGION_MMIO, GIB(40) + 0x10, 4);

	(void)state;
	assert_int_equal(region_add(vcpu, &r, NULL), 0);
	assert_int_equal(access_of(GIB(40)), RX);
	assert_int_equal(nested_fill(vm, &vm->base, GIB(40) + 0x1000), 0);
	assert_int_equal(access_of(GIB(40)), RX);
	assert_int_equal(access_of(GIB(40) + 0x1000), RWX);
	assert_int_equal(region_remove(vcpu, &r), 0);
	assert_int_equal(access_of(GIB(40)), RWX);

	vm->physical_limit = GIB(64);
	r.start = GIB(64) - 2;
	assert_int_equal(region_add(vcpu, &r, NULL), -EINVAL);
	r.start = GIB(64);
	assert_int_equal(region_add(vcpu, &r, NULL), -EINVAL);
	assert_null(vm->regions.head);
}

static void test_mmio_merging_spares_other_regions(void **state)
{
	struct region low = make("low", REGION_MMIO, GIB(3), MIB(1));
	struct region high = make("high", REGION_MMIO, GIB(3) + MIB(1), MIB(1));
	struct region beside = make("beside", REGION_MMIO, GIB(3) + MIB(2), 8);

	(void)state;
	assert_int_equal(region_add(vcpu, &low, NULL), 0);
	assert_int_equal(region_add(vcpu, &high, NULL), 0);
	assert_int_equal(region_add(vcpu, &beside, NULL), 0);
	assert_int_equal(region_remove(vcpu, &beside), 0);
	assert_int_equal(level_of(GIB(3) + MIB(2)), 2);
	/* Both together could be one large page, which one of them would have to split again. */
	assert_int_equal(level_of(GIB(3)), 1);
	vm->pool.available = 0;
	assert_int_equal(region_remove(vcpu, &low), 0);
	assert_int_equal(access_of(GIB(3)), RWX);
	assert_int_equal(access_of(GIB(3) + MIB(1)), RX);
}

static void test_mmio_move(void **state)
{
	struct region r = make("r", REGION_MMIO, 0xe0000000, 0x2000), wall = make("wall", REGION_MMIO, 0xe0008000, 4);

	(void)state;
	assert_int_equal(region_add(vcpu, &r, NULL), 0);
	assert_int_equal(region_add(vcpu, &wall, NULL), 0);
	vcpu->work = 0;
	assert_int_equal(region_move(vcpu, &r, 0xe0001000), 0);
	assert_int_equal(vcpu->work, WORK_VIEW);
	assert_int_equal(access_of(0xe0000000), RWX);
	assert_int_equal(access_of(0xe0001000), RX);
	assert_int_equal(access_of(0xe0002000), RX);
	assert_int_equal(access_of(0xe0003000), RWX);

	vcpu->work = 0;
	assert_int_equal(region_move(vcpu, &r, 0xe0007000), -EEXIST);
	assert_int_equal(region_move(vcpu, &r, vm->physical_limit - 0x1000), -EINVAL);
	assert_int_equal(vcpu->work, 0);
	assert_int_equal(r.start, 0xe0001000);
	assert_int_equal(access_of(0xe0001000), RX);
	assert_int_equal(access_of(0xe0007000), RWX);
	assert_int_equal(region_move(vcpu, &r, 0x1000), 0);
	assert_int_equal(access_of(0xe0001000), RWX);
	assert_int_equal(access_of(0x1000), RX);
	assert_ptr_equal(vm->regions.head, &r);
}

static void test_mmio_exhaustion(void **state)
{
	struct region r = make("r", REGION_MMIO, GIB(1) - 0x2000, 0x4000),
		      moved = make("m", REGION_MMIO, GIB(3), 0x1000);
	unsigned failures = 0;

	(void)state;
	assert_int_equal(region_add(vcpu, &moved, NULL), 0);
	for (uint32_t pages = 0;; pages++) {
		int ret;

		vm->pool.available = pages;
		ret = region_add(vcpu, &r, NULL);
		if (ret == 0)
			break;
		failures++;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(access_of(GIB(1) - 0x2000), RWX);
		assert_int_equal(access_of(GIB(1)), RWX);
		assert_int_equal(level_of(GIB(1)), 3);
		assert_int_equal(vm->pool.available, pages);
		assert_ptr_equal(vm->regions.head, &moved);

		ret = region_move(vcpu, &moved, GIB(1) - 0x800);
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(moved.start, GIB(3));
		assert_int_equal(access_of(GIB(3)), RX);
		assert_int_equal(access_of(GIB(1)), RWX);
		assert_int_equal(vm->pool.available, pages);
	}
	assert_int_equal(failures, 4);
	/* Removing needs no memory at all. */
	vm->pool.available = 0;
	assert_int_equal(region_remove(vcpu, &r), 0);
	assert_int_equal(access_of(GIB(1)), RWX);
	assert_int_equal(level_of(GIB(1)), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
		TEST(test_list_sorted_and_found),
		TEST(test_list_errors),
		TEST(test_list_conflicts_name_both),
		TEST(test_ports_arm_and_disarm),
		TEST(test_ports_arm_fails_whole),
		TEST(test_port_access_whole),
		TEST(test_port_access_absent),
		TEST(test_port_access_across_two_regions),
		TEST(test_port_access_passes_neighbours),
		TEST(test_port_access_at_the_last_port),
		TEST(test_port_move),
		TEST(test_mmio_protects_and_restores),
		TEST(test_mmio_neighbours_share_a_page),
		TEST(test_mmio_removal_respects_hidden_memory),
		TEST(test_mmio_large),
		TEST(test_mmio_above_the_map),
		TEST(test_mmio_merging_spares_other_regions),
		TEST(test_mmio_move),
		TEST(test_mmio_exhaustion),
	};

	return cmocka_run_group_tests_name("region", tests, NULL, NULL);
}
