/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/debug/break.c and plant.c: software breakpoints, with pages that can be executed alone and without. The test is
 * a CPU that fetches, reads and writes through the active view and exits as a real one does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/errno.h>
#include <x86/cr.h>
#include <x86/dr.h>

#include "core/debug/debug.h"
#include "core/exit.h"
#include "tests/unit/spine.h"

#define PAGE	  SPINE_CODE /* where the code is */
#define BREAK	  (PAGE + 0x10)
#define OTHER	  0xa000u
#define INT3	  0xcc
#define MANY	  64
#define VECTOR_BP 3

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static struct vm *const vm = &spine.fake.vm;
static struct debug debug;
static unsigned stops, steps_left, pool_before;
static uint64_t range_end;

static void client_stopped(struct vcpu *v)
{
	stops++;
	if (steps_left) {
		steps_left--;
		debug_step(v, v->rip, range_end);
	} else {
		debug_resume(v);
	}
}

static char printed[64];

static void client_print(struct vcpu *v, const char *text, size_t length)
{
	(void)v;
	strncat(printed, text, length);
}

static bool client_reg(struct vcpu *v, unsigned number, uint64_t *value)
{
	*value = v->gpr[number & 15];
	return number < 16;
}

static struct control control = {.stopped = client_stopped, .print = client_print, .reg = client_reg};

static int setup(void **state)
{
	uint32_t caps = *state ? BACKEND_CAP_EXEC_ONLY : 0;

	spine_init(&spine);
	vm->caps |= caps;
	debug_init(vcpu, &debug);
	vm->control = &control;
	fake->reg[REG_DR6] = 0xffff0ff0;
	fake->reg[REG_DR7] = 0x400;
	stops = steps_left = 0;
	range_end = 0;
	for (unsigned i = 0; i < 3 * PAGE_SIZE; i++)
		*(uint8_t *)fake_memory_at(&spine.fake.platform, PAGE + i, 1) = 0x90;
	pool_before = vm->pool.available;
	return 0;
}

static void settle(void)
{
	vcpu_work(vcpu);
	assert_int_equal(vcpu->work & ~WORK_STOP, 0);
}

/* Whatever was armed goes, and everything is as before. */
static int teardown(void **state)
{
	struct nested_entry entry;
	unsigned level;

	(void)state;
	assert_null(vcpu->fatal);
	debug_release(vcpu);
	settle();
	assert_int_equal(fake_intercepts_on(fake), 0);
	assert_ptr_equal(fake->active_view, &vm->base);
	assert_true(fake->active_generation == vm->base.generation);
	assert_int_equal(nested_lookup(vm, &vm->base, PAGE, &entry, &level), 0);
	assert_int_equal(entry.access, ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC);
	assert_int_equal(debug.pages_used, 0);
	/* the views of steps and of code stay */
	assert_true(vm->pool.available + 12 >= pool_before);
	spine_free(&spine);
	return 0;
}

static unsigned exits;

/* The byte as the CPU gets to see it, after as many exits as that takes. */
static uint8_t *touch(gpa_t gpa, uint8_t access)
{
	const struct exit_detail detail = {.nested = {.gpa = gpa, .access = access, .present = true}};
	struct nested_entry entry;
	unsigned level;

	for (exits = 0; exits < 8; exits++) {
		assert_true(fake->active_generation == fake->active_view->generation);
		if (!nested_lookup(vm, fake->active_view, gpa, &entry, &level) && entry.access & access)
			return fake_memory_at(&spine.fake.platform,
					      entry.address + (gpa & (NESTED_LEVEL_SIZE(level) - 1)), 1);
		spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	}
	fail_msg("no progress");
	return NULL;
}

static void trap(void)
{
	const struct exit_detail detail = {.exception = {.vector = 1}};

	if (!fake->stepping)
		return;
	fake->reg[REG_DR6] |= DR6_BS;
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
}

static uint8_t fetch(gpa_t gpa)
{
	vcpu->rip = gpa;
	return *touch(gpa, ACCESS_EXEC);
}

/* One instruction at RIP that reads a byte: fetched again after each exit, as a CPU does. */
static uint8_t *instruction(gpa_t at, gpa_t gpa, uint8_t access)
{
	uint8_t *byte = NULL;

	vcpu->rip = at;
	for (unsigned i = 0; i < 8; i++) {
		(void)touch(at, ACCESS_EXEC);
		byte = touch(gpa, access);
		if (exits == 0)
			return byte;
	}
	fail_msg("no progress");
	return NULL;
}

static uint8_t load(gpa_t at, gpa_t gpa)
{
	uint8_t value = *instruction(at, gpa, ACCESS_READ);

	trap();
	return value;
}

static void store(gpa_t at, gpa_t gpa, uint8_t value)
{
	*instruction(at, gpa, ACCESS_WRITE) = value;
	trap();
}

static uint8_t *own(gpa_t gpa)
{
	return fake_memory_at(&spine.fake.platform, gpa, 1);
}

static struct break_request soft(gva_t address)
{
	return (struct break_request){.kind = BREAK_SOFT, .address = address};
}

static void add(gva_t address)
{
	const struct break_request request = soft(address);

	assert_int_equal(debug_break_add(vcpu, &request), 0);
	settle();
}

static void take_out(gva_t address)
{
	const struct break_request request = soft(address);

	assert_int_equal(debug_break_remove(vcpu, &request), 0);
	settle();
}

/* The CPU executes what it fetched at RIP. */
static void execute_int3(void)
{
	const struct exit_detail detail = {.exception = {.vector = VECTOR_BP, .length = 1}};

	assert_true(fake_intercept_on(fake, INTERCEPT_EXCEPTION, VECTOR_BP));
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
}

static void test_executed_not_read(void **state)
{
	(void)state;
	add(BREAK);
	assert_int_equal(fetch(BREAK), INT3);
	assert_int_equal(fetch(BREAK + 1), 0x90);
	assert_int_equal(load(OTHER, BREAK), 0x90);
	assert_int_equal(fetch(BREAK), INT3);
	assert_int_equal(*own(BREAK), 0x90);
}

static void test_writes(void **state)
{
	(void)state;
	add(BREAK);
	(void)fetch(BREAK);
	store(OTHER, BREAK, 0x55);
	store(OTHER, BREAK + 1, 0x66);
	assert_int_equal(*own(BREAK), 0x55);
	assert_int_equal(fetch(BREAK), INT3);
	assert_int_equal(fetch(BREAK + 1), 0x66);
	assert_int_equal(load(OTHER, BREAK), 0x55);
}

/* Code that writes to its own page. */
static void test_writes_from_the_page_itself(void **state)
{
	(void)state;
	add(BREAK);
	store(PAGE, BREAK + 1, 0x66);
	store(PAGE, BREAK, 0x55);
	assert_int_equal(*own(BREAK), 0x55);
	assert_int_equal(fetch(BREAK), INT3);
	assert_int_equal(fetch(BREAK + 1), 0x66);
}

static void test_reads_from_the_page_itself(void **state)
{
	(void)state;
	add(BREAK);
	/* without execute-only pages it reads the copy */
	assert_int_equal(load(PAGE, BREAK), vm->caps & BACKEND_CAP_EXEC_ONLY ? 0x90 : INT3);
	assert_int_equal(load(PAGE, BREAK + 1), 0x90);
}

/* A device writes what is executed next: the boot sector. */
static void test_device_writes_code(void **state)
{
	(void)state;
	add(BREAK);
	*own(BREAK + 1) = 0x77;
	assert_int_equal(fetch(BREAK + 1), 0x77);
	assert_int_equal(fetch(BREAK), INT3);
}

static void test_hit(void **state)
{
	(void)state;
	add(BREAK);
	(void)fetch(BREAK);
	execute_int3();
	assert_int_equal(stops, 1);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_BREAK);
	assert_true(debug_stop(vcpu)->address == BREAK);
	assert_true(vcpu->rip == BREAK);
	assert_null(spine_injected(&spine));
	/* on: the instruction itself, once */
	assert_true(fake->stepping);
	assert_int_equal(fetch(BREAK), 0x90);
	assert_int_equal(exits, 0);
	vcpu->rip++;
	trap();
	assert_int_equal(stops, 1);
	assert_int_equal(vcpu->work, 0);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
	/* and again */
	assert_int_equal(fetch(BREAK), INT3);
	execute_int3();
	assert_int_equal(stops, 2);
	vcpu->rip++;
	trap();
}

static void test_step_over(void **state)
{
	(void)state;
	add(BREAK);
	(void)fetch(BREAK);
	steps_left = 1;
	execute_int3();
	assert_int_equal(fetch(BREAK), 0x90);
	vcpu->rip++;
	trap();
	assert_int_equal(stops, 2);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_STEP);
}

/* The instruction that was stepped over writes to its own page. */
static void test_step_over_a_write(void **state)
{
	(void)state;
	add(BREAK);
	(void)fetch(BREAK);
	execute_int3();
	*instruction(BREAK, BREAK + 1, ACCESS_WRITE) = 0x66;
	trap();
	assert_int_equal(fetch(BREAK + 1), 0x66);
	assert_int_equal(fetch(BREAK), INT3);
}

static void test_breakpoint_in_a_stepped_range(void **state)
{
	(void)state;
	add(BREAK + 1);
	steps_left = 1;
	range_end = ~0ull;
	vcpu->rip = BREAK;
	debug_stop_request(vcpu, &(struct stop){.kind = STOP_REQUEST});
	vcpu_work(vcpu);
	assert_int_equal(fetch(BREAK), 0x90);
	vcpu->rip++;
	trap();
	assert_int_equal(stops, 2);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_BREAK);
	trap();
}

/* An instruction from one page into the next, either with something planted. */
static void test_instruction_across_pages(void **state)
{
	const gpa_t first = PAGE + PAGE_SIZE - 2, second = PAGE + PAGE_SIZE;

	(void)state;
	*own(first) = 0xb8; /* mov ax, imm16 */
	add(BREAK);
	(void)instruction(first, second, ACCESS_EXEC);
	trap();
	add(second + 0x10);
	(void)instruction(first, second, ACCESS_EXEC);
	trap();
	take_out(BREAK);
	(void)instruction(first, second, ACCESS_EXEC);
	trap();
	assert_int_equal(fetch(second + 0x10), INT3);
}

static void test_int3_of_the_guest(void **state)
{
	(void)state;
	*own(PAGE) = INT3;
	add(BREAK);
	(void)fetch(PAGE);
	execute_int3();
	assert_int_equal(stops, 0);
	assert_int_equal(spine_injected(&spine)->type, EVENT_SOFT_EXCEPT);
	assert_int_equal(spine_injected(&spine)->vector, VECTOR_BP);
	assert_int_equal(spine_injected(&spine)->length, 1);
}

static void test_int_n_that_exits(void **state)
{
	const struct exit_detail detail = {.exception = {.vector = 0x21, .length = 2, .is_interrupt = true}};

	(void)state;
	add(BREAK);
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->type, EVENT_SOFT_INTR);
	assert_int_equal(spine_injected(&spine)->vector, 0x21);
	assert_int_equal(spine_injected(&spine)->length, 2);
}

static void test_several_in_a_page(void **state)
{
	(void)state;
	add(BREAK);
	add(BREAK + 2);
	add(BREAK + 2); /* the same */
	assert_int_equal(fetch(BREAK), INT3);
	assert_int_equal(fetch(BREAK + 2), INT3);
	take_out(BREAK);
	assert_int_equal(fetch(BREAK), 0x90);
	assert_int_equal(fetch(BREAK + 2), INT3);
	take_out(BREAK + 2);
	assert_int_equal(fetch(BREAK + 2), 0x90);
	assert_int_equal(exits, 0);
	assert_int_equal(debug_break_remove(vcpu, &(struct break_request){.kind = BREAK_SOFT, .address = BREAK}),
			 -ENOENT);
}

static void test_debugger_sees_the_guests_bytes(void **state)
{
	const struct debug_space space = {.kind = SPACE_CURRENT};
	uint8_t byte = 0;
	size_t done;

	(void)state;
	add(BREAK);
	(void)fetch(BREAK);
	assert_int_equal(debug_mem_read(vcpu, &space, BREAK, &byte, 1, 0, &done), 0);
	assert_int_equal(byte, 0x90);
	assert_int_equal(debug_mem_write(vcpu, &space, BREAK, "\x41\x42", 2, 0, &done), 0);
	settle();
	(void)fetch(OTHER);
	assert_int_equal(fetch(BREAK), INT3);
	assert_int_equal(fetch(BREAK + 1), 0x42);
	assert_int_equal(*own(BREAK), 0x41);
}

static void test_rom(void **state)
{
	(void)state;
	spine.machine.memory.range[0].length = 0xa0000;
	*own(0xf0010) = 0x90;
	add(0xf0010);
	assert_int_equal(fetch(0xf0010), INT3);
	assert_int_equal(load(OTHER, 0xf0010), 0x90);
}

static void test_refused(void **state)
{
	struct break_request request = soft(SPINE_HIDDEN + 4);

	(void)state;
	assert_int_equal(debug_break_add(vcpu, &request), -EACCES);
	assert_int_equal(fake_intercepts_on(fake), 0);
	for (unsigned i = 0; i < DEBUG_PAGE_MAX; i++)
		add(0x20000 + i * PAGE_SIZE);
	request = soft(0x20000 + DEBUG_PAGE_MAX * PAGE_SIZE);
	assert_int_equal(debug_break_add(vcpu, &request), -ENOSPC);
	for (unsigned i = DEBUG_PAGE_MAX; i < DEBUG_BREAK_MAX; i++)
		add(0x20000 + i);
	request = soft(0x20100);
	assert_int_equal(debug_break_add(vcpu, &request), -ENOSPC);
	pool_before += 12; /* what splitting took, before it is merged */
}

static void test_no_memory(void **state)
{
	const struct break_request request = soft(BREAK);
	uint32_t available = vm->pool.available;

	(void)state;
	for (uint32_t left = 0; left < 2; left++) {
		vm->pool.available = left;
		assert_int_equal(debug_break_add(vcpu, &request), -ENOMEM);
		assert_int_equal(fake_intercepts_on(fake), 0);
	}
	vm->pool.available = available - 1;
}

/* --- following the page tables --- */

#define TABLE (SPINE_TABLES + 8 * PAGE_SIZE)

static void map(uint64_t root, gva_t linear, gpa_t gpa)
{
	uint64_t *table = fake_memory_at(&spine.fake.platform, root, 4 * PAGE_SIZE);

	table[linear >> 39 & 511] = (root + PAGE_SIZE) | 7;
	table[512 + (linear >> 30 & 511)] = (root + 2 * PAGE_SIZE) | 7;
	table[1024 + (linear >> 21 & 511)] = (root + 3 * PAGE_SIZE) | 7;
	table[1536 + (linear >> 12 & 511)] = gpa ? gpa | 7 : 0;
}

#define LINEAR 0xffffffff81000000ull

static void test_waits_until_mapped(void **state)
{
	(void)state;
	spine_long64(&spine);
	fake->reg[REG_CR3] = TABLE;
	map(TABLE, LINEAR, 0);
	add(LINEAR + 0x10);
	assert_int_equal(debug.pages_used, 0);
	map(TABLE, LINEAR, PAGE);
	debug_breaks_resolve(vcpu);
	settle();
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), INT3);
	/* it moves */
	map(TABLE, LINEAR, PAGE + PAGE_SIZE);
	debug_breaks_resolve(vcpu);
	settle();
	vcpu->rip = LINEAR + 0x10;
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), 0x90);
	assert_int_equal(*touch(BREAK + PAGE_SIZE, ACCESS_EXEC), INT3);
	execute_int3();
	assert_int_equal(stops, 1);
	assert_true(debug_stop(vcpu)->address == LINEAR + 0x10);
	trap();
}

static void test_bound_to_an_address_space(void **state)
{
	struct break_request request = soft(LINEAR + 0x10);

	(void)state;
	spine_long64(&spine);
	map(TABLE, LINEAR, PAGE);
	map(TABLE + MIB(1), LINEAR, PAGE + PAGE_SIZE);
	request.bound = true;
	request.cr3 = TABLE;
	fake->reg[REG_CR3] = TABLE + MIB(1);
	assert_int_equal(debug_break_add(vcpu, &request), 0);
	settle();
	assert_int_equal(debug.pages_used, 0);
	fake->reg[REG_CR3] = TABLE | 5; /* with a PCID */
	debug_breaks_resolve(vcpu);
	settle();
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), INT3);
	fake->reg[REG_CR3] = TABLE + MIB(1);
	debug_breaks_resolve(vcpu);
	settle();
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), 0x90);
	/* the same address in any space is another one */
	add(LINEAR + 0x10);
	assert_int_equal(*touch(BREAK + PAGE_SIZE, ACCESS_EXEC), INT3);
	assert_int_equal(debug_break_remove(vcpu, &request), 0);
	assert_int_equal(debug_break_remove(vcpu, &request), -ENOENT);
}

/* PAGE is at LINEAR, and at the page behind it. */
static void map_twice(void)
{
	spine_long64(&spine);
	fake->reg[REG_CR3] = TABLE;
	map(TABLE, LINEAR, PAGE);
	map(TABLE, LINEAR + PAGE_SIZE, PAGE);
}

/* The same memory at another linear address, as a library is in another program: its instruction is the guest's own. */
static void test_by_another_address(void **state)
{
	(void)state;
	map_twice();
	add(LINEAR + 0x10);
	vcpu->rip = LINEAR + PAGE_SIZE + 0x10;
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), INT3);
	execute_int3();
	assert_int_equal(stops, 0);
	assert_null(spine_injected(&spine));
	assert_true(fake->stepping);
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), 0x90);
	vcpu->rip++;
	trap();
	settle();
	assert_int_equal(stops, 0);
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), INT3);
	/* at its own address it is one */
	vcpu->rip = LINEAR + 0x10;
	execute_int3();
	assert_int_equal(stops, 1);
	vcpu->rip++;
	trap();
}

/* What is above 4 GiB: outside of long mode there is nothing, in 32-bit code of long mode it is another address. */
static void test_upper_half_of_an_address(void **state)
{
	(void)state;
	spine_prot32(&spine);
	add(BREAK | GIB(4));
	assert_int_equal(fetch(BREAK), INT3);
	execute_int3();
	assert_int_equal(stops, 1);
	vcpu->rip++;
	trap();
	take_out(BREAK | GIB(4));

	map_twice();
	map(TABLE, (uint32_t)LINEAR, PAGE);
	add(LINEAR + 0x10);
	fake->seg[SEG_CS].attributes &= (uint16_t)~SEG_ATTR_L;
	vcpu->rip = (uint32_t)LINEAR + 0x10;
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), INT3);
	execute_int3();
	assert_int_equal(stops, 1);
	assert_null(spine_injected(&spine));
	vcpu->rip++;
	trap();
	/* and above the selector's base */
	add((uint32_t)LINEAR + 0x10);
	fake->seg[SEG_CS].base = LINEAR & 0xff000000;
	vcpu->rip = ((uint32_t)LINEAR & 0xffffff) + 0x10;
	execute_int3();
	assert_int_equal(stops, 2);
	vcpu->rip++;
	trap();
}

/* A change of CR3 happens in the CPU, and the breakpoint is where it leads afterwards. */
static void test_follows_paging(void **state)
{
	(void)state;
	spine_long64(&spine);
	map(TABLE, LINEAR, PAGE);
	fake->reg[REG_CR3] = SPINE_TABLES;
	add(LINEAR + 0x10);
	assert_int_equal(debug.pages_used, 0);
	assert_true(fake_intercept_on(fake, INTERCEPT_PAGING, 0));
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	assert_false(fake_intercept_on(fake, INTERCEPT_PAGING, 0));
	assert_true(fake->stepping);
	fake->reg[REG_CR3] = TABLE;
	trap();
	assert_true(fake_intercept_on(fake, INTERCEPT_PAGING, 0));
	assert_false(fake->stepping);
	assert_int_equal(vcpu->work, 0);
	assert_int_equal(stops, 0);
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), INT3);
}

/* A task switch that we carried out. */
static void test_follows_cr3_of_ours(void **state)
{
	(void)state;
	debug_space_changed(vcpu);
	assert_int_equal(debug.pages_used, 0);
	spine_long64(&spine);
	map(TABLE, LINEAR, PAGE);
	fake->reg[REG_CR3] = SPINE_TABLES;
	add(LINEAR + 0x10);
	assert_int_equal(debug.pages_used, 0);
	fake->reg[REG_CR3] = TABLE;
	debug_space_changed(vcpu);
	vcpu_work(vcpu);
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), INT3);
}

static void test_paging_instruction_that_faults(void **state)
{
	const struct exit_detail detail = {.exception = {.vector = 13, .has_error = true}};

	(void)state;
	spine_long64(&spine);
	add(BREAK);
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_true(fake_intercept_on(fake, INTERCEPT_PAGING, 0));
	assert_int_equal(vcpu->work, 0);
}

/* The debugger steps that very instruction. */
static void test_stepped_paging_instruction(void **state)
{
	(void)state;
	spine_long64(&spine);
	add(BREAK);
	steps_left = 1;
	debug_stop_request(vcpu, &(struct stop){.kind = STOP_REQUEST});
	vcpu_work(vcpu);
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	assert_true(fake->stepping);
	assert_int_equal(fake->steps_on, 1);
	trap();
	assert_int_equal(stops, 2);
	assert_true(fake_intercept_on(fake, INTERCEPT_PAGING, 0));
}

static void test_release_while_it_passes(void **state)
{
	(void)state;
	add(BREAK);
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	debug_release(vcpu);
	trap();
	assert_int_equal(fake_intercepts_on(fake), 0);
	assert_int_equal(vcpu->work, 0);
}

static void test_page_fault_of_one_that_waits(void **state)
{
	const struct exit_detail detail = {.exception = {.vector = 14, .has_error = true, .address = LINEAR}};

	(void)state;
	spine_long64(&spine);
	fake->reg[REG_CR3] = TABLE;
	map(TABLE, LINEAR, 0);
	add(LINEAR + 0x10);
	assert_true(fake_intercept_on(fake, INTERCEPT_EXCEPTION, 14));
	map(TABLE, LINEAR, PAGE);
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 14);
	assert_true(spine_injected(&spine)->address == LINEAR);
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), INT3);
	assert_false(fake_intercept_on(fake, INTERCEPT_EXCEPTION, 14));
}

static void test_paging_exit_that_nobody_asked_for(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	assert_non_null(vcpu->fatal);
	vcpu->fatal = NULL;
	vcpu->work = 0;
}

/* No room for an intercept: nothing stays. */
static void test_intercept_refused(void **state)
{
	const struct break_request request = soft(BREAK);

	(void)state;
	fake->intercept_result = -ENOTSUP;
	assert_int_equal(debug_break_add(vcpu, &request), -ENOTSUP);
	fake->intercept_result = 0;
	assert_int_equal(debug_break_remove(vcpu, &request), -ENOENT);
}

/* --- conditions and commands --- */

#define CODE(text)                                                           \
	{                                                                    \
		.bytes = (const uint8_t *)(text), .length = sizeof(text) - 1 \
	}

/* register 0 == 5 */
static const struct break_code is_five = CODE("\x26\x00\x00\x22\x05\x13\x27"),
			       faults = CODE("\x22\x01\x22\x00\x05\x27"),
			       says = CODE("\x26\x00\x00\x22\x00\x22\x00\x34\x01\x00\x06"
					   "a=%d\n\0\x27");

static void add_code(const struct break_code *condition, const struct break_code *command)
{
	struct break_request request = soft(BREAK);

	request.condition = condition;
	request.condition_count = condition != NULL;
	request.command = command;
	request.command_count = command != NULL;
	assert_int_equal(debug_break_add(vcpu, &request), 0);
	settle();
}

/* The guest comes to the breakpoint, and goes on. */
static void pass(uint64_t rax)
{
	vcpu->gpr[GPR_RAX] = rax;
	assert_int_equal(fetch(BREAK), INT3);
	execute_int3();
	assert_true(fake->stepping);
	assert_int_equal(fetch(BREAK), *own(BREAK));
	vcpu->rip++;
	trap();
	assert_int_equal(vcpu->work, 0);
}

static void test_condition(void **state)
{
	(void)state;
	add_code(&is_five, NULL);
	pass(4);
	pass(6);
	assert_int_equal(stops, 0);
	pass(5);
	assert_int_equal(stops, 1);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_BREAK);
	/* given anew without one */
	add(BREAK);
	pass(4);
	assert_int_equal(stops, 2);
}

/* Whose condition is false, and whose instruction does not just end. */
static void come_false(void)
{
	spine_long64(&spine);
	add_code(&is_five, NULL);
	vcpu->gpr[GPR_RAX] = 4;
	assert_int_equal(fetch(BREAK), INT3);
	execute_int3();
	assert_true(fake->stepping);
	assert_int_equal(fetch(BREAK), 0x90);
}

static void test_false_condition_before_a_fault(void **state)
{
	const struct exit_detail detail = {.exception = {.vector = 13, .has_error = true}};

	(void)state;
	come_false();
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_false(fake->stepping);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
	assert_int_equal(stops, 0);
	/* the handler returns to it */
	pass(5);
	assert_int_equal(stops, 1);
}

static void test_false_condition_before_a_paging_instruction(void **state)
{
	(void)state;
	come_false();
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	assert_false(fake_intercept_on(fake, INTERCEPT_PAGING, 0));
	assert_true(fake->stepping);
	vcpu->rip++;
	trap();
	assert_true(fake_intercept_on(fake, INTERCEPT_PAGING, 0));
	assert_int_equal(vcpu->work, 0);
	pass(5);
	assert_int_equal(stops, 1);
}

/* The client asks for a stop meanwhile: it comes behind the instruction. */
static void test_stop_while_a_false_condition_is_passed(void **state)
{
	(void)state;
	come_false();
	debug_stop_request(vcpu, &(struct stop){.kind = STOP_REQUEST});
	vcpu_work(vcpu);
	assert_int_equal(stops, 0);
	vcpu->rip++;
	trap();
	assert_int_equal(stops, 1);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_REQUEST);
	assert_true(vcpu->rip == BREAK + 1);
}

/* The client wants something: the guest stops before the instruction. */
static void test_false_condition_with_a_stop_that_waits(void **state)
{
	(void)state;
	add_code(&is_five, NULL);
	vcpu->gpr[GPR_RAX] = 4;
	assert_int_equal(fetch(BREAK), INT3);
	steps_left = 1;
	debug_stop_request(vcpu, &(struct stop){.kind = STOP_REQUEST});
	execute_int3();
	assert_int_equal(stops, 1);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_REQUEST);
	assert_true(vcpu->rip == BREAK);
	assert_int_equal(fetch(BREAK), 0x90);
	vcpu->rip++;
	trap();
	assert_int_equal(stops, 2);
}

/* One in a debug register is at the same instruction, and has had its turn. */
static void test_false_condition_with_a_register(void **state)
{
	const struct break_request hard = {.kind = BREAK_HARD, .address = BREAK};

	(void)state;
	add_code(&is_five, NULL);
	assert_int_equal(debug_break_add(vcpu, &hard), 0);
	settle();
	vcpu->gpr[GPR_RAX] = 4;
	assert_int_equal(fetch(BREAK), INT3);
	vcpu->rflags &= ~(uint64_t)X86_FLAGS_RF;
	execute_int3();
	assert_true(fake->stepping);
	assert_true(vcpu->rflags & X86_FLAGS_RF);
	vcpu->rip++;
	trap();
}

/* It is stepped where it is: nothing is shown for that. */
static void test_false_condition_changes_no_view(void **state)
{
	unsigned activations;

	(void)state;
	add_code(&is_five, NULL);
	(void)fetch(BREAK);
	activations = fake->activations;
	pass(4);
	pass(4);
	assert_int_equal(fake->activations, activations);
	assert_int_equal(fetch(BREAK), INT3);
}

/* Another one is planted inside of it: the instruction is the guest's all the same. */
static void test_false_condition_with_another_in_it(void **state)
{
	(void)state;
	memcpy(own(BREAK), "\xb8\x34\x12", 3); /* mov ax, imm16 */
	add_code(&is_five, NULL);
	for (unsigned i = 0; i < 2; i++) {
		add(BREAK + 2);
		vcpu->gpr[GPR_RAX] = 4;
		assert_int_equal(fetch(BREAK), INT3);
		execute_int3();
		assert_true(fake->stepping);
		assert_int_equal(fetch(BREAK), 0xb8);
		assert_int_equal(fetch(BREAK + 2), 0x12);
		assert_int_equal(exits, 0);
		vcpu->rip = BREAK + 3;
		trap();
		assert_int_equal(vcpu->work, 0);
		assert_int_equal(fetch(BREAK + 2), INT3);
		/* without it, it is stepped in place */
		take_out(BREAK + 2);
		pass(4);
	}
	assert_int_equal(stops, 0);
}

/* A device has written its last byte: what is executed is what is there. */
static void test_false_condition_of_what_a_device_wrote(void **state)
{
	(void)state;
	memcpy(own(BREAK), "\xb8\x34\x12", 3);
	add_code(&is_five, NULL);
	pass(4);
	*own(BREAK + 2) = 0x56;
	vcpu->gpr[GPR_RAX] = 4;
	assert_int_equal(fetch(BREAK), INT3);
	execute_int3();
	assert_int_equal(fetch(BREAK + 2), 0x56);
	vcpu->rip = BREAK + 3;
	trap();
	assert_int_equal(vcpu->work, 0);
}

static void test_false_condition_in_another_mode(void **state)
{
	(void)state;
	memcpy(own(BREAK), "\x40\x9c", 2); /* inc ax; pushf, or, in 64-bit code, pushf with a prefix */
	add_code(&is_five, NULL);
	pass(4);
	spine_long64(&spine);
	vcpu->gpr[GPR_RSP] = OTHER + 8;
	vcpu->gpr[GPR_RAX] = 4;
	assert_int_equal(fetch(BREAK), INT3);
	execute_int3();
	assert_int_equal(vcpu->single.next, BREAK + 2);
	memcpy(own(OTHER + 8), &vcpu->rflags, 8);
	assert_true(*own(OTHER + 9) & X86_FLAGS_TF >> 8);
	vcpu->rip = BREAK + 2;
	trap();
	assert_false(*own(OTHER + 9) & X86_FLAGS_TF >> 8);
}

/* The client goes while the INT3 is out. */
static void test_release_while_a_false_condition_is_passed(void **state)
{
	paddr_t page;

	(void)state;
	come_false();
	debug_release(vcpu);
	vcpu_work(vcpu);
	/* where the copy was */
	page = page_pool_alloc(vm);
	vcpu->rip++;
	trap();
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(*own(page + i), 0);
	page_pool_free(vm, page);
	assert_int_equal(fetch(BREAK), 0x90);
	assert_int_equal(vcpu->work, 0);
}

/* One of two in a page has its address elsewhere now. */
static void test_one_of_two_goes(void **state)
{
	(void)state;
	map_twice();
	add(LINEAR + 0x10);
	add(LINEAR + PAGE_SIZE + 0x12);
	vcpu->rip = LINEAR;
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), INT3);
	assert_int_equal(*touch(BREAK + 2, ACCESS_EXEC), INT3);
	map(TABLE, LINEAR, 0);
	debug_breaks_resolve(vcpu);
	settle();
	vcpu->rip = LINEAR + PAGE_SIZE;
	assert_int_equal(*touch(BREAK, ACCESS_EXEC), 0x90);
	assert_int_equal(*touch(BREAK + 2, ACCESS_EXEC), INT3);
}

/* An instruction that is fetched anew is one with its step: the client's stop waits. */
static void test_stop_while_it_is_fetched_anew(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_REFETCH, 0, NULL, NULL);
	assert_true(fake->stepping);
	debug_stop_request(vcpu, &(struct stop){.kind = STOP_REQUEST});
	vcpu_work(vcpu);
	assert_int_equal(stops, 0);
	vcpu->rip++;
	trap();
	assert_int_equal(stops, 1);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
}

static void test_condition_that_faults(void **state)
{
	(void)state;
	add_code(&faults, NULL);
	pass(0);
	assert_int_equal(stops, 1);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_CONDITION);
	assert_string_equal(debug_stop(vcpu)->text, "division by zero");
}

static void test_command(void **state)
{
	(void)state;
	printed[0] = 0;
	add_code(&is_five, &says);
	pass(4);
	assert_string_equal(printed, "");
	pass(5);
	assert_string_equal(printed, "a=5\n");
	assert_int_equal(stops, 0);
	add_code(NULL, &faults);
	pass(5);
	assert_int_equal(stops, 1);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_CONDITION);
}

/* The room is shared, and given back. */
static void test_expressions_have_limits(void **state)
{
	static uint8_t long_code[DEBUG_CODE_MAX] = {0x22, 1};
	const struct break_code half = {long_code, DEBUG_CODE_MAX / 2}, all = {long_code, DEBUG_CODE_MAX};
	struct break_request request = soft(OTHER);

	(void)state;
	memset(long_code + 2, 0x0e, sizeof(long_code) - 2);
	request.condition = &half;
	request.condition_count = 1;
	assert_int_equal(debug_break_add(vcpu, &request), 0);
	add_code(&is_five, NULL);
	request.address = OTHER + 1;
	assert_int_equal(debug_break_add(vcpu, &request), -E2BIG);
	assert_int_equal(debug_break_remove(vcpu, &request), -ENOENT);
	request.address = OTHER;
	assert_int_equal(debug_break_remove(vcpu, &request), 0);
	/* what lay behind it has moved */
	settle();
	pass(4);
	assert_int_equal(stops, 0);
	pass(5);
	assert_int_equal(stops, 1);
	request.condition = &all;
	assert_int_equal(debug_break_add(vcpu, &request), -E2BIG);
	take_out(BREAK);
	assert_int_equal(debug.code_used, 0);
}

/* Other bytes or another mode are another instruction. */
static void test_remembered_instruction(void **state)
{
	(void)state;
	add_code(&is_five, NULL);
	pass(4);
	*own(BREAK) = 0xf4;
	vcpu->gpr[GPR_RAX] = 4;
	assert_int_equal(fetch(BREAK), INT3);
	execute_int3();
	/* HLT is done at once */
	assert_true(vcpu->rip == BREAK + 1);
	assert_false(fake->stepping);
	assert_int_equal(vcpu->work, 0);
}

int main(void)
{
	static bool exec_only = true;
#define TEST(f)                                                 \
	cmocka_unit_test_setup_teardown(f, setup, teardown),    \
	{                                                       \
#f "_exec_only", f, setup, teardown, &exec_only \
	}
	const struct CMUnitTest tests[] = {
		TEST(test_executed_not_read),
		TEST(test_writes),
		TEST(test_writes_from_the_page_itself),
		TEST(test_reads_from_the_page_itself),
		TEST(test_device_writes_code),
		TEST(test_hit),
		TEST(test_step_over),
		TEST(test_step_over_a_write),
		TEST(test_breakpoint_in_a_stepped_range),
		TEST(test_instruction_across_pages),
		TEST(test_int3_of_the_guest),
		TEST(test_int_n_that_exits),
		TEST(test_several_in_a_page),
		TEST(test_debugger_sees_the_guests_bytes),
		TEST(test_rom),
		TEST(test_refused),
		TEST(test_no_memory),
		TEST(test_waits_until_mapped),
		TEST(test_bound_to_an_address_space),
		TEST(test_by_another_address),
		TEST(test_upper_half_of_an_address),
		TEST(test_follows_paging),
		TEST(test_follows_cr3_of_ours),
		TEST(test_paging_instruction_that_faults),
		TEST(test_stepped_paging_instruction),
		TEST(test_release_while_it_passes),
		TEST(test_page_fault_of_one_that_waits),
		TEST(test_paging_exit_that_nobody_asked_for),
		TEST(test_intercept_refused),
		TEST(test_condition),
		TEST(test_false_condition_before_a_fault),
		TEST(test_false_condition_before_a_paging_instruction),
		TEST(test_stop_while_a_false_condition_is_passed),
		TEST(test_false_condition_with_a_stop_that_waits),
		TEST(test_false_condition_with_a_register),
		TEST(test_false_condition_changes_no_view),
		TEST(test_false_condition_with_another_in_it),
		TEST(test_false_condition_of_what_a_device_wrote),
		TEST(test_false_condition_in_another_mode),
		TEST(test_release_while_a_false_condition_is_passed),
		TEST(test_one_of_two_goes),
		TEST(test_stop_while_it_is_fetched_anew),
		TEST(test_condition_that_faults),
		TEST(test_command),
		TEST(test_expressions_have_limits),
		TEST(test_remembered_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
