/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plugins/kbd and core/a20.c: a guest that switches address line 20 in every way, over a keyboard controller that is
 * simulated as far as it matters. Whatever it does, the machine's line stays on.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/plugin.h>
#include <x86/cr.h>

#include "core/plugin.h"
#include "tests/unit/spine.h"

#define OUTPUT_RESET 0x01
#define OUTPUT_A20   0x02

/* The linker set, of which this program has the one member. */
extern const struct plugin *const __start_plugins[], *const __stop_plugins[];

/* The machine's devices. */
struct board {
	uint8_t port_a, output, command; /* command: the one that waits for its byte, 0: none */
	uint8_t queue[8];		 /* what will be read from 60h */
	unsigned queued, resets, other_data;
	bool line_was_off;
};

static struct board board;
static struct spine spine;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static struct vm *const vm = &spine.fake.vm;
static struct fake_vcpu *const fake = &spine.fake.vcpu;

static void board_check(void)
{
	if (!(board.port_a & 2) || !(board.output & OUTPUT_A20))
		board.line_was_off = true;
}

static void board_queue(uint8_t value)
{
	if (board.queued < sizeof(board.queue))
		board.queue[board.queued++] = value;
}

static uint64_t board_read(void *context, uint64_t port, unsigned size)
{
	uint8_t value;

	(void)context;
	(void)size;
	if (port == 0x92)
		return board.port_a;
	if (port == 0x64)
		return board.queued != 0;
	if (port != 0x60)
		return 0xff;
	value = board.queue[0];
	if (board.queued != 0) {
		board.queued--;
		memmove(board.queue, board.queue + 1, board.queued);
	}
	return value;
}

static void board_write(void *context, uint64_t port, unsigned size, uint64_t wide)
{
	uint8_t value = (uint8_t)wide;

	(void)context;
	if (port == 0x60 || port == 0x64 || port == 0x92)
		assert_int_equal(size, 1);
	if (port == 0x92) {
		board.resets += value & 1;
		board.port_a = value;
	} else if (port == 0x60) {
		if (board.command == 0xd1) {
			board.output = value;
			board.resets += !(value & OUTPUT_RESET);
		} else {
			board.other_data++;
		}
		board.command = 0;
	} else if (port == 0x64) {
		board.command = 0;
		if (value == 0xd1 || value == 0xd3 || value == 0x60)
			board.command = value;
		else if (value == 0xd0)
			board_queue(board.output);
		else if (value == 0xdd)
			board.output &= (uint8_t)~OUTPUT_A20;
		else if (value == 0xdf)
			board.output |= OUTPUT_A20;
		else if (value >= 0xf0 && !(value & OUTPUT_A20))
			board.line_was_off = true;
		if (value >= 0xf0 && !(value & OUTPUT_RESET))
			board.resets++;
	}
	board_check();
}

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	board = (struct board){.port_a = 2, .output = OUTPUT_A20 | OUTPUT_RESET};
	fake_port_add(&spine.fake.platform, 0x60, 0x40, board_read, board_write, NULL);
	assert_int_equal(plugin_registry_init(vcpu, __start_plugins, (size_t)(__stop_plugins - __start_plugins), NULL),
			 0);
	assert_int_equal(vcpu->work, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_false(board.line_was_off);
	spine_free(&spine);
	return 0;
}

/* An access of the guest: exits if a port of it is intercepted, else goes to the machine. */
static uint32_t io(uint16_t port, unsigned size, bool in, uint32_t value)
{
	const struct exit_detail detail = {.io = {.port = port, .size = (uint8_t)size, .in = in}};
	bool exits = false;

	for (unsigned i = 0; i < size; i++)
		exits |= fake_intercept_on(fake, INTERCEPT_PORT, port + i);
	if (!exits) {
		if (in)
			return (uint32_t)board_read(NULL, port, size);
		board_write(NULL, port, size, value);
		return 0;
	}
	vcpu->gpr[GPR_RAX] = value;
	vcpu->rip = SPINE_CODE;
	spine_exit(&spine, EXIT_IO, 2, &detail, NULL);
	assert_null(vcpu->fatal);
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	return (uint32_t)vcpu->gpr[GPR_RAX];
}

static void out(uint16_t port, uint8_t value)
{
	io(port, 1, false, value);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)io(port, 1, true, 0);
}

/* What the guest's memory looks like now, by the nested tables in use and by our own eyes. */
static void expect_line(bool on)
{
	uint8_t *low = fake_memory_at(&spine.fake.platform, 0, MIB(2));
	struct nested_entry entry;
	unsigned level;

	assert_int_equal(vm->a20_off, !on);
	assert_int_equal(fake->active_generation, vm->base.generation);
	for (gpa_t gpa = 0; gpa < MIB(2); gpa += PAGE_SIZE) {
		gpa_t wanted = !on && gpa >= MIB(1) && gpa < MIB(1) + KIB(64) ? gpa - MIB(1) : gpa;

		assert_int_equal(nested_lookup(vm, &vm->base, gpa, &entry, &level), 0);
		assert_true(entry.address + (gpa & (NESTED_LEVEL_SIZE(level) - 1)) == wanted);
		assert_int_equal(entry.access, ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC);
		assert_ptr_equal(mem_gpa_pointer(vm, gpa, PAGE_SIZE), low + wanted);
	}
}

static void test_port_a(void **state)
{
	(void)state;
	expect_line(true);
	assert_int_equal(in(0x92), 2);
	out(0x92, 0);
	expect_line(false);
	assert_int_equal(in(0x92), 0);
	assert_int_equal(board.port_a, 2);
	/* other bits are the machine's */
	out(0x92, 0xc0);
	assert_int_equal(in(0x92), 0xc0);
	assert_int_equal(board.port_a, 0xc2);
	out(0x92, 2);
	expect_line(true);
	assert_int_equal(in(0x92), 2);
	out(0x92, 1);
	assert_int_equal(board.resets, 1);
}

static void test_output_port(void **state)
{
	(void)state;
	assert_false(fake_intercept_on(fake, INTERCEPT_PORT, 0x60));
	out(0x64, 0xd1);
	assert_true(fake_intercept_on(fake, INTERCEPT_PORT, 0x60));
	out(0x60, 0xdd);
	assert_false(fake_intercept_on(fake, INTERCEPT_PORT, 0x60));
	expect_line(false);
	assert_int_equal(board.output, 0xdf);
	assert_int_equal(in(0x92), 0);
	out(0x64, 0xd0);
	assert_int_equal(in(0x60), 0xdd);
	assert_false(fake_intercept_on(fake, INTERCEPT_PORT, 0x60));
	out(0x64, 0xd1);
	out(0x60, 0xdf);
	expect_line(true);
	out(0x64, 0xd0);
	assert_int_equal(in(0x60), 0xdf);
	/* reset by the output port */
	assert_int_equal(board.resets, 0);
	out(0x64, 0xd1);
	out(0x60, 0x00);
	assert_int_equal(board.resets, 1);
	assert_int_equal(board.output, OUTPUT_A20);
}

static void test_commands(void **state)
{
	(void)state;
	out(0x64, 0xdd);
	expect_line(false);
	out(0x64, 0xdf);
	expect_line(true);
	out(0x64, 0xfe);
	assert_int_equal(board.resets, 1);
	out(0x64, 0xff);
	assert_int_equal(board.resets, 1);
	for (unsigned command = 0xf0; command <= 0xff; command++)
		out(0x64, (uint8_t)command);
	assert_int_equal(board.resets, 9);
	expect_line(true);
}

/* The other controller commands and the keyboard's bytes pass as they are. */
static void test_neighbours(void **state)
{
	uint32_t exits = (uint32_t)vcpu->statistics.counter[EXIT_IO].count;

	(void)state;
	out(0x60, 0xed);
	out(0x60, 0x07);
	assert_int_equal(board.other_data, 2);
	board_queue(0x1c);
	assert_int_equal(in(0x60), 0x1c);
	assert_int_equal(vcpu->statistics.counter[EXIT_IO].count, exits);
	assert_int_equal(in(0x64), 0);
	out(0x64, 0x60);
	assert_int_equal(board.command, 0x60);
	out(0x60, 0x00);
	assert_int_equal(board.other_data, 3);
	out(0x64, 0xd3);
	out(0x60, 0x00);
	assert_int_equal(board.other_data, 4);
	expect_line(true);
}

/* A command in between takes the byte's meaning away, for us as for the controller. */
static void test_interrupted_commands(void **state)
{
	(void)state;
	out(0x64, 0xd1);
	out(0x64, 0xd3);
	assert_false(fake_intercept_on(fake, INTERCEPT_PORT, 0x60));
	out(0x60, 0x00);
	expect_line(true);
	assert_int_equal(board.resets, 0);
	out(0x64, 0xd1);
	out(0x64, 0xd1);
	out(0x60, 0x01);
	expect_line(false);
	/* reading 60h in between does not */
	out(0x64, 0xd1);
	board_queue(0x55);
	assert_int_equal(in(0x60), 0x55);
	out(0x60, 0x03);
	expect_line(true);
	/* D0h that nobody reads, then a byte for the keyboard */
	out(0x64, 0xdd);
	out(0x64, 0xd0);
	out(0x60, 0xf4);
	assert_false(fake_intercept_on(fake, INTERCEPT_PORT, 0x60));
	assert_int_equal(board.other_data, 2);
}

/* A key was waiting before the output port was asked for: it comes first and stays as it is. */
static void test_stale_byte(void **state)
{
	(void)state;
	out(0x64, 0xdd);
	board_queue(0x3b);
	out(0x64, 0xd0);
	assert_int_equal(in(0x60), 0x3b);
	assert_int_equal(in(0x60), 0x01);
	assert_false(fake_intercept_on(fake, INTERCEPT_PORT, 0x60));
	/* too early: nothing is there yet */
	out(0x64, 0xd0);
	board.queued = 0;
	in(0x60);
	assert_true(fake_intercept_on(fake, INTERCEPT_PORT, 0x60));
	board_queue(0x03);
	assert_int_equal(in(0x60), 0x01);
}

/* One access over several ports, and by string instructions. */
static void test_wide_accesses(void **state)
{
	uint8_t *memory = fake_memory_at(&spine.fake.platform, 0x4000, 4);
	const struct exit_detail detail = {.io = {.port = 0x64, .size = 1, .string = true, .rep = true}};

	(void)state;
	io(0x91, 2, false, 0x0000);
	expect_line(false);
	io(0x92, 4, false, 0xffffff02);
	expect_line(true);
	assert_int_equal(board.port_a, 2);
	io(0x63, 2, false, 0xdd00);
	expect_line(false);
	io(0x61, 4, false, 0xdf000000);
	expect_line(true);

	memcpy(memory, (const uint8_t[]){0xd1, 0xdd, 0xdf, 0xdd}, 4);
	vcpu->rip = SPINE_CODE;
	spine_code(&spine, (const uint8_t[]){0xf3, 0x6e}, 2);
	vcpu->gpr[GPR_RSI] = 0x4000;
	vcpu->gpr[GPR_RDX] = 0x64;
	vcpu->gpr[GPR_RCX] = 4;
	for (unsigned i = 0; i < 4; i++)
		spine_exit(&spine, EXIT_IO, 0, &detail, NULL);
	assert_null(vcpu->fatal);
	assert_int_equal(vcpu->gpr[GPR_RCX], 0);
	expect_line(false);
}

/* Anything at all, and the machine's line stays on; the guest's is what the alias and port 92h say. */
static void test_hostile_sequences(void **state)
{
	static const uint16_t port[] = {0x60, 0x60, 0x64, 0x64, 0x92, 0x61, 0x63, 0x91};
	static const uint8_t value[] = {0xd0, 0xd1, 0xd1, 0xd3, 0xdd, 0xdf, 0xfe, 0xfd, 0x00, 0x02, 0xff, 0x60};
	uint64_t random = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned size, at;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		at = (unsigned)(random >> 33) % ARRAY_SIZE(port);
		size = (random >> 40) % 8 == 0 && port[at] != 0x61 ? 2 : 1;
		if (size == 2 && !fake_intercept_on(fake, INTERCEPT_PORT, port[at]) &&
		    !fake_intercept_on(fake, INTERCEPT_PORT, port[at] + 1u))
			size = 1;
		io(port[at], size, (random >> 50) % 4 == 0, value[(random >> 54) % 12] * 0x0101u);
		assert_false(board.line_was_off);
		assert_int_equal(!(in(0x92) & 2), vm->a20_off);
		if (i % 500 == 0)
			expect_line(!vm->a20_off);
	}
	assert_true(fake_intercepts_on(fake) <= 3);
}

/* A trapped page in the first 64 KiB cannot be reached through the alias, whichever came first. */
static void test_alias_and_regions(void **state)
{
	static const struct owner owner = {.name = "test"};
	struct region region = {.name = "test",
				.owner = &owner,
				.space = REGION_MMIO,
				.start = 0x3000,
				.length = 0x1000,
				.trap_reads = true};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		if (first == 0)
			out(0x92, 0);
		assert_int_equal(region_add(vcpu, &region, NULL), 0);
		if (first == 1)
			out(0x92, 0);
		assert_int_equal(nested_lookup(vm, &vm->base, MIB(1) + 0x3000, &entry, &level), -ENOENT);
		assert_int_equal(nested_lookup(vm, &vm->base, MIB(1) + 0x2000, &entry, &level), 0);
		assert_true(entry.address == 0x2000);
		assert_int_equal(region_remove(vcpu, &region), 0);
		assert_int_equal(nested_lookup(vm, &vm->base, MIB(1) + 0x3000, &entry, &level), 0);
		assert_true(entry.address == 0x3000);
		out(0x92, 2);
		expect_line(true);
	}
	/* and one that lies across both of the alias' borders shows as itself when the line is on again */
	region.start = MIB(1) - PAGE_SIZE;
	region.length = KIB(64) + 2 * PAGE_SIZE;
	out(0x92, 0);
	assert_int_equal(region_add(vcpu, &region, NULL), 0);
	assert_int_equal(nested_lookup(vm, &vm->base, MIB(1), &entry, &level), 0);
	assert_true(entry.address == 0);
	assert_int_equal(nested_lookup(vm, &vm->base, MIB(1) + KIB(64), &entry, &level), -ENOENT);
	out(0x92, 2);
	assert_int_equal(nested_lookup(vm, &vm->base, MIB(1), &entry, &level), -ENOENT);
	assert_int_equal(region_remove(vcpu, &region), 0);
	(void)in(0x64); /* an exit, behind which the view is activated */
	expect_line(true);
}

/* A stepped access through the alias sees what is there. */
static void test_alias_is_memory(void **state)
{
	uint8_t *low = fake_memory_at(&spine.fake.platform, 0, KIB(64));
	struct mem_fault fault;
	uint32_t value = 0;

	(void)state;
	memcpy(low + 0x500, "low!", 4);
	out(0x92, 0);
	assert_int_equal(mem_read(vcpu, MIB(1) + 0x500, &value, 4, ACCESS_READ, &fault), 0);
	assert_memory_equal(&value, "low!", 4);
	assert_int_equal(mem_write(vcpu, MIB(1) + 0x500, "high", 4, &fault), 0);
	assert_memory_equal(low + 0x500, "high", 4);
}

static void test_without_memory(void **state)
{
	(void)state;
	while (page_pool_alloc(vm) != 0)
		continue;
	out(0x92, 0);
	assert_true(spine_logged(&spine, "no memory to switch"));
	expect_line(true);
	assert_int_equal(in(0x92), 2);
	assert_int_equal(board.port_a, 2);
}

/* No arms left for port 60h: the command that would need it is not sent. */
static void test_without_arms(void **state)
{
	static const struct owner other = {.name = "other"};

	(void)state;
	for (unsigned i = 0; intercept_arm(vcpu, &other, INTERCEPT_PORT, 0x1000 + i) == 0; i++)
		continue;
	out(0x64, 0xd1);
	assert_true(spine_logged(&spine, "cannot be watched"));
	out(0x60, 0x00);
	assert_int_equal(board.resets, 0);
	expect_line(true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_port_a),	    TEST(test_output_port),	     TEST(test_commands),
		TEST(test_neighbours),	    TEST(test_interrupted_commands), TEST(test_stale_byte),
		TEST(test_wide_accesses),   TEST(test_hostile_sequences),    TEST(test_alias_and_regions),
		TEST(test_alias_is_memory), TEST(test_without_memory),	     TEST(test_without_arms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
