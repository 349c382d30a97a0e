/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/debug/watch.c: memory watched by the rights to its pages, with pages that can be executed alone and without. The
 * test is a CPU that fetches, reads and writes through the active view and begins anew after each exit.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/quirk.h>
#include <x86/cr.h>
#include <x86/dr.h>

#include "core/breakpoint.h"
#include "core/debug/debug.h"
#include "core/exit.h"
#include "tests/unit/spine.h"

#define CODE	SPINE_CODE
#define DATA	0xa000u /* two pages */
#define WORD	(DATA + 0x10)
#define STACK	0xd000u
#define HANDLER 0x9000u
#define TABLE	0x20000u

#define R ACCESS_READ
#define W ACCESS_WRITE
#define X ACCESS_EXEC
/* of the guest's page tables, which counts as a write with SVM */
#define WALK 0x80u

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static struct vm *const vm = &spine.fake.vm;
static struct debug debug;
static unsigned stops, pool_before, exits;
static struct stop last;

static void client_stopped(struct vcpu *v)
{
	stops++;
	last = *debug_stop(v);
	debug_resume(v);
}

static struct control control = {.stopped = client_stopped};

static int setup(void **state)
{
	spine_init(&spine);
	spine_prot32(&spine);
	vm->caps |= *state ? BACKEND_CAP_EXEC_ONLY : 0;
	vm->quirks = QUIRK_DR7_NOT_LOADED;
	debug_init(vcpu, &debug);
	vm->control = &control;
	fake->reg[REG_DR6] = DR6_ONES;
	fake->reg[REG_DR7] = DR7_ONES;
	for (enum seg seg = SEG_ES; seg <= SEG_GS; seg++)
		fake->seg[seg].base = 0;
	memset(fake_memory_at(&spine.fake.platform, CODE, PAGE_SIZE), 0x90, PAGE_SIZE);
	vcpu->gpr[GPR_RBX] = WORD;
	vcpu->gpr[GPR_RSP] = STACK + 0x800;
	stops = 0;
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
	static const gpa_t pages[] = {CODE, DATA, DATA + PAGE_SIZE, STACK, TABLE};
	struct nested_entry entry;
	unsigned level;

	(void)state;
	assert_null(vcpu->fatal);
	debug_release(vcpu);
	settle();
	assert_int_equal(fake_intercepts_on(fake), 0);
	assert_ptr_equal(fake->active_view, &vm->base);
	assert_true(fake->active_generation == vm->base.generation);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		assert_int_equal(nested_lookup(vm, &vm->base, pages[i], &entry, &level), 0);
		assert_int_equal(entry.access, R | W | X);
	}
	assert_int_equal(debug.pieces_used | debug.pages_used, 0);
	assert_true(vm->pool.available + 12 >= pool_before);
	spine_free(&spine);
	return 0;
}

/* Is the access let through? If not, it exits. */
static bool touch(gpa_t gpa, uint8_t how)
{
	uint8_t access = how & WALK ? W : how;
	const struct exit_detail detail = {
		.nested = {.gpa = gpa, .access = access, .present = true, .table_walk = how & WALK}};
	struct nested_entry entry;
	unsigned level;

	assert_true(fake->active_generation == fake->active_view->generation);
	if (!nested_lookup(vm, fake->active_view, gpa, &entry, &level) && entry.access & access)
		return true;
	exits++;
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	return false;
}

/* What an instruction does: the first bytes of its accesses, in order. */
struct touch {
	gpa_t gpa;
	uint8_t access;
};

static void exception(uint8_t vector)
{
	const struct exit_detail detail = {.exception = {.vector = vector}};

	if (vector == 1)
		fake->reg[REG_DR6] |= DR6_BS;
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
}

static uint8_t *memory(gpa_t gpa)
{
	return fake_memory_at(&spine.fake.platform, gpa, 1);
}

/* As the CPU sees it now. */
static uint8_t *shown(gpa_t gpa)
{
	struct nested_entry entry;
	unsigned level;

	assert_int_equal(nested_lookup(vm, fake->active_view, gpa, &entry, &level), 0);
	return memory(entry.address + (gpa & (NESTED_LEVEL_SIZE(level) - 1)));
}

/* Until nothing of it exits. */
static void reach(const struct touch *touches, unsigned count)
{
	exits = 0;
	for (unsigned i = 0, tries = 0; i < count + 1;) {
		bool passes = i == 0 ? touch(vcpu->rip, X) : touch(touches[i - 1].gpa, touches[i - 1].access);

		i = passes ? i + 1 : 0;
		assert_true(tries++ < 32);
	}
}

static void execute(const char *bytes, size_t length, const struct touch *touches, unsigned count)
{
	memcpy(memory(vcpu->rip), bytes, length);
	reach(touches, count);
	for (unsigned i = 0; i < count; i++) {
		if (touches[i].access == W)
			*shown(touches[i].gpa) = 0x77;
	}
	vcpu->rip += length;
	if (fake->stepping)
		exception(1);
}

#define EXECUTE(bytes, ...)                                                                       \
	do {                                                                                      \
		const struct touch touches[] = {__VA_ARGS__};                                     \
                                                                                                  \
		execute(bytes, sizeof(bytes) - 1, touches, sizeof(touches) / sizeof(touches[0])); \
	} while (0)

#define LOAD  "\x8b\x03" /* mov eax, [ebx] */
#define STORE "\x89\x03"
#define INC   "\xff\x03"

static struct break_request request_of(enum break_kind kind, gva_t address, uint64_t length)
{
	return (struct break_request){.kind = kind, .address = address, .length = length};
}

static void add(enum break_kind kind, gva_t address, uint64_t length)
{
	const struct break_request request = request_of(kind, address, length);

	assert_int_equal(debug_break_add(vcpu, &request), 0);
	settle();
}

static void hit(enum break_kind kind, gva_t address)
{
	static const uint8_t access[] = {[WATCH_WRITE] = W, [WATCH_READ] = R, [WATCH_ACCESS] = R | W};

	assert_int_equal(stops, 1);
	assert_int_equal(last.kind, STOP_WATCH);
	assert_int_equal(last.access, access[kind]);
	assert_true(last.address == address);
	stops = 0;
}

static void none(void)
{
	assert_int_equal(stops, 0);
}

static void test_write(void **state)
{
	(void)state;
	add(WATCH_WRITE, WORD, 4);
	EXECUTE(STORE, {WORD, W});
	hit(WATCH_WRITE, WORD);
	/* the same value is written, too */
	EXECUTE(STORE, {WORD, W});
	hit(WATCH_WRITE, WORD);
	EXECUTE(INC, {WORD, R}, {WORD, W});
	hit(WATCH_WRITE, WORD);
	EXECUTE(LOAD, {WORD, R});
	assert_int_equal(exits, 0);
	none();
}

/* A debugger reads and writes what it watches, and what is next to it, without a hit. */
static void test_from_outside(void **state)
{
	static const struct debug_space space = {.kind = SPACE_CURRENT};
	uint8_t bytes[4];
	size_t done;

	(void)state;
	add(WATCH_ACCESS, WORD, 4);
	assert_int_equal(debug_mem_write(vcpu, &space, WORD, "\1\2\3\4", 4, 0, &done), 0);
	assert_int_equal(debug_mem_write(vcpu, &space, WORD + 0x100, "\5", 1, 0, &done), 0);
	assert_int_equal(debug_mem_read(vcpu, &space, WORD, bytes, 4, 0, &done), 0);
	assert_memory_equal(bytes, "\1\2\3\4", 4);
	assert_memory_equal(fake_memory_at(&spine.fake.platform, WORD, 4), "\1\2\3\4", 4);
	assert_int_equal(stops, 0);
}

static void test_read(void **state)
{
	(void)state;
	add(WATCH_READ, WORD, 4);
	EXECUTE(LOAD, {WORD, R});
	hit(WATCH_READ, WORD);
	EXECUTE(STORE, {WORD, W});
	assert_true(exits > 0);
	/* what reads and writes is a write */
	EXECUTE(INC, {WORD, R}, {WORD, W});
	none();
	assert_int_equal(*memory(WORD), 0x77);
}

static void test_access(void **state)
{
	(void)state;
	add(WATCH_ACCESS, WORD, 4);
	EXECUTE(LOAD, {WORD, R});
	hit(WATCH_ACCESS, WORD);
	EXECUTE(STORE, {WORD, W});
	hit(WATCH_ACCESS, WORD);
}

static void test_bytes(void **state)
{
	(void)state;
	add(WATCH_WRITE, WORD + 1, 2);
	vcpu->gpr[GPR_RBX] = WORD - 4;
	EXECUTE(STORE, {WORD - 4, W});
	vcpu->gpr[GPR_RBX] = WORD - 3;
	EXECUTE(STORE, {WORD - 3, W});
	vcpu->gpr[GPR_RBX] = WORD + 3;
	EXECUTE(STORE, {WORD + 3, W});
	none();
	vcpu->gpr[GPR_RBX] = WORD - 2;
	EXECUTE(STORE, {WORD - 2, W});
	hit(WATCH_WRITE, WORD + 1);
	vcpu->gpr[GPR_RBX] = WORD + 2;
	EXECUTE(STORE, {WORD + 2, W});
	hit(WATCH_WRITE, WORD + 1);
}

static void test_across_pages(void **state)
{
	const gpa_t end = DATA + PAGE_SIZE;

	(void)state;
	add(WATCH_WRITE, end - 2, 4);
	assert_int_equal(debug.pieces_used, 2);
	vcpu->gpr[GPR_RBX] = end - 1;
	EXECUTE(STORE, {end - 1, W}, {end, W});
	hit(WATCH_WRITE, end - 2);
	vcpu->gpr[GPR_RBX] = end - 6;
	EXECUTE(STORE, {end - 6, W});
	none();
	vcpu->gpr[GPR_RBX] = end - 5;
	EXECUTE(STORE, {end - 5, W});
	hit(WATCH_WRITE, end - 2);
	vcpu->gpr[GPR_RBX] = end + 2;
	EXECUTE(STORE, {end + 2, W});
	none();
}

/* A store that begins in a page that is not watched. */
static void test_access_across_pages(void **state)
{
	const gpa_t end = DATA + PAGE_SIZE;

	(void)state;
	add(WATCH_WRITE, end, 1);
	vcpu->gpr[GPR_RBX] = end - 3;
	EXECUTE(STORE, {end - 3, W}, {end, W});
	hit(WATCH_WRITE, end);
}

static void test_repeated(void **state)
{
	(void)state;
	add(WATCH_WRITE, WORD + 1, 1);
	vcpu->gpr[GPR_RCX] = 3;
	for (unsigned i = 0; i < 3; i++) {
		vcpu->rip = CODE;
		vcpu->gpr[GPR_RDI] = WORD + i;
		EXECUTE("\xf3\xaa", {WORD + i, W});
		vcpu->gpr[GPR_RCX]--;
		if (i == 1)
			hit(WATCH_WRITE, WORD + 1);
		else
			none();
	}
}

static void test_stack(void **state)
{
	(void)state;
	add(WATCH_WRITE, STACK + 0x7fc, 4);
	EXECUTE("\x50", {STACK + 0x7fc, W});
	hit(WATCH_WRITE, STACK + 0x7fc);
	EXECUTE("\xe8\x00\x00\x00\x00", {STACK + 0x7fc, W});
	hit(WATCH_WRITE, STACK + 0x7fc);
	vcpu->gpr[GPR_RSP] -= 4;
	EXECUTE("\x50", {STACK + 0x7f8, W});
	none();
}

/* MOVS and PUSH: what the second access does is known before the first. */
static void test_second_access(void **state)
{
	(void)state;
	add(WATCH_READ, DATA, 4);
	vcpu->gpr[GPR_RSI] = DATA + 0x100;
	vcpu->gpr[GPR_RDI] = DATA;
	EXECUTE("\xa5", {DATA + 0x100, R}, {DATA, W});
	none();
	vcpu->gpr[GPR_RSI] = DATA;
	vcpu->gpr[GPR_RDI] = DATA + 0x100;
	EXECUTE("\xa5", {DATA, R}, {DATA + 0x100, W});
	hit(WATCH_READ, DATA);
	add(WATCH_WRITE, STACK + 0x7fc, 4);
	EXECUTE("\xff\x33", {WORD, R}, {STACK + 0x7fc, W});
	hit(WATCH_WRITE, STACK + 0x7fc);
}

static void test_several_in_a_page(void **state)
{
	struct break_request request = request_of(WATCH_READ, WORD, 4);

	(void)state;
	add(WATCH_READ, WORD, 4);
	add(WATCH_WRITE, WORD, 4);
	add(WATCH_WRITE, WORD, 2);
	add(WATCH_WRITE, WORD, 2); /* the same */
	assert_int_equal(debug.pieces_used, 3);
	EXECUTE(LOAD, {WORD, R});
	hit(WATCH_READ, WORD);
	assert_int_equal(debug_break_remove(vcpu, &request), 0);
	settle();
	EXECUTE(LOAD, {WORD, R});
	assert_int_equal(exits, 0);
	EXECUTE(STORE, {WORD, W});
	hit(WATCH_WRITE, WORD);
	request = request_of(WATCH_WRITE, WORD, 1);
	assert_int_equal(debug_break_remove(vcpu, &request), -ENOENT);
}

/* An instruction that faults has done nothing. */
static void test_fault(void **state)
{
	(void)state;
	add(WATCH_ACCESS, WORD, 4);
	memcpy(memory(vcpu->rip), STORE, 2);
	reach((const struct touch[]){{WORD, W}}, 1);
	assert_true(fake->stepping);
	exception(13);
	none();
	assert_int_equal(spine_injected(&spine)->vector, 13);
}

static uint64_t device_value;
static unsigned device_writes;

static void device_write(struct vcpu *v, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	(void)v;
	(void)region;
	assert_int_equal(offset, 4);
	assert_int_equal(size, 4);
	device_value = value;
	device_writes++;
}

/* What is watched is copied to a device that is ours: it gets the value. */
static void test_to_a_region(void **state)
{
	static const struct owner owner = {.name = "test"};
	struct region region = {.name = "device",
				.owner = &owner,
				.space = REGION_MMIO,
				.start = TABLE,
				.length = 16,
				.trap_reads = true,
				.write = device_write};
	const struct region *conflict;

	(void)state;
	device_writes = 0;
	assert_int_equal(region_add(vcpu, &region, &conflict), 0);
	add(WATCH_ACCESS, WORD, 4);
	settle();
	vcpu->gpr[GPR_RSI] = WORD;
	vcpu->gpr[GPR_RDI] = TABLE + 4;
	EXECUTE("\xa5", {WORD, R}, {TABLE + 4, W});
	hit(WATCH_ACCESS, WORD);
	assert_int_equal(device_writes, 1);
	assert_int_equal(device_value & 0xff, 0x77);
	assert_int_equal(region_remove(vcpu, &region), 0);
	settle();
}

/* It is stepped by the debugger, too. */
static void test_stepped(void **state)
{
	(void)state;
	add(WATCH_WRITE, WORD, 4);
	debug_stop_request(vcpu, &(struct stop){.kind = STOP_REQUEST});
	vcpu_work(vcpu);
	stops = 0;
	debug.stopped = true;
	debug_step(vcpu, 0, 0);
	vcpu->work |= WORK_STOP;
	vcpu_work(vcpu);
	assert_true(fake->stepping);
	EXECUTE(STORE, {WORD, W});
	hit(WATCH_WRITE, WORD);
}

/* What the decoder does not know, AVX-512's: by the address that exited, and by what has changed. */
static void test_unknown(void **state)
{
	const gpa_t word = DATA + 0x100;

	(void)state;
	add(WATCH_WRITE, word, 4);
	EXECUTE("\x62\xf1\x7c\x48\x29\x03", {word - 0x30, W});
	hit(WATCH_WRITE, word);
	EXECUTE("\x62\xf1\x7c\x48\x29\x03", {word - 0x40, W});
	none();
	/* a scatter */
	*memory(word) = 0;
	EXECUTE("\x62\xf2\x7d\x49\xa0\x04\x03", {DATA + 0x800, W}, {word, W});
	hit(WATCH_WRITE, word);
}

/* A descriptor that the CPU reads, and marks as accessed. */
static void test_descriptor(void **state)
{
	(void)state;
	add(WATCH_ACCESS, WORD, 8);
	EXECUTE("\x8e\xd8", {WORD, R});
	hit(WATCH_ACCESS, WORD);
	EXECUTE("\x8e\xd8", {WORD - 8, R}, {WORD - 8, W});
	none();
}

static void tables(void)
{
	uint32_t *directory = fake_memory_at(&spine.fake.platform, TABLE, PAGE_SIZE);

	for (unsigned i = 0; i < 1024; i++)
		directory[i] = i << 22 | 0xa3;
	fake->reg[REG_CR0] |= CR0_PG;
	fake->reg[REG_CR4] |= CR4_PSE;
	fake->reg[REG_CR3] = TABLE;
}

/* Walks of page tables: writes of A and D, which with SVM each walk counts as. */
static void test_walk(void **state)
{
	(void)state;
	tables();
	add(WATCH_WRITE, TABLE, 4);
	EXECUTE(LOAD, {TABLE, WALK}, {WORD, R});
	none();
	/* the CPU sets D when it is let through */
	memcpy(memory(vcpu->rip), STORE, 2);
	reach((const struct touch[]){{TABLE, WALK}, {WORD, W}}, 2);
	*memory(TABLE) |= 0x40;
	exception(1);
	hit(WATCH_WRITE, TABLE);
	*memory(TABLE) &= 0xbf;
	/* so it does for one that faults */
	memcpy(memory(vcpu->rip), STORE, 2);
	reach((const struct touch[]){{TABLE, WALK}, {WORD, W}}, 2);
	*memory(TABLE) |= 0x40;
	exception(13);
	hit(WATCH_WRITE, TABLE);
}

static void test_walk_reads(void **state)
{
	(void)state;
	tables();
	add(WATCH_READ, TABLE, 4);
	EXECUTE(LOAD, {TABLE, WALK}, {WORD, R});
	hit(WATCH_READ, TABLE);
	EXECUTE(LOAD, {TABLE + 8, WALK}, {WORD, R});
	none();
}

/* An event is delivered: at the first fetch of its handler the frame is there. */
static void deliver(unsigned pushed, const struct event *event)
{
	const struct exit_detail write = {
		.nested = {.gpa = STACK + 0x800 - 4, .access = ACCESS_WRITE, .present = true}};
	const struct exit_detail fetch = {.nested = {.gpa = HANDLER, .access = ACCESS_EXEC, .present = true}};

	spine_exit(&spine, EXIT_NESTED, 0, &write, event);
	assert_true(touch(STACK + 0x800 - 4, W));
	assert_false(fake->stepping);
	vcpu->rip = HANDLER;
	vcpu->gpr[GPR_RSP] = STACK + 0x800 - pushed;
	spine_exit(&spine, EXIT_NESTED, 0, &fetch, NULL);
}

static void frame(gva_t address, unsigned pushed, const struct event *event, bool expected)
{
	struct break_request request = request_of(WATCH_WRITE, address, 1);

	vcpu->rip = CODE;
	vcpu->gpr[GPR_RSP] = STACK + 0x800;
	add(WATCH_WRITE, address, 1);
	deliver(pushed, event);
	if (expected)
		hit(WATCH_WRITE, address);
	else
		none();
	assert_int_equal(debug_break_remove(vcpu, &request), 0);
	settle();
}

static void test_frame(void **state)
{
	const struct event interrupt = {.type = EVENT_INTR, .vector = 0x20};
	const struct event fault = {.type = EVENT_EXCEPTION, .vector = 13, .has_error = true};

	(void)state;
	frame(STACK + 0x7ff, 12, &interrupt, true);
	frame(STACK + 0x7f4, 12, &interrupt, true);
	frame(STACK + 0x7f3, 12, &interrupt, false);
	frame(STACK + 0x800, 12, &interrupt, false);
	frame(STACK + 0x7f0, 16, &fault, true);
	frame(STACK + 0x7ff, 16, &fault, true);
	frame(STACK + 0x800, 16, &fault, false);
	frame(STACK + 0x7ef, 16, &fault, false);
}

static void test_frame_in_real_mode(void **state)
{
	const struct event interrupt = {.type = EVENT_INTR, .vector = 0x20, .has_error = true};

	(void)state;
	fake->reg[REG_CR0] = 0;
	fake->seg[SEG_SS].attributes &= (uint16_t)~SEG_ATTR_DB;
	fake->seg[SEG_SS].base = 0x1000;
	vcpu->gpr[GPR_RSP] = STACK + 0x800 - 0x1000;
	add(WATCH_WRITE, STACK + 0x7fa, 1);
	spine_exit(&spine, EXIT_NESTED, 0,
		   &(struct exit_detail){.nested = {.gpa = STACK + 0x7fe, .access = ACCESS_WRITE, .present = true}},
		   &interrupt);
	vcpu->rip = HANDLER;
	vcpu->gpr[GPR_RSP] = STACK + 0x7fa - 0x1000;
	spine_exit(&spine, EXIT_NESTED, 0,
		   &(struct exit_detail){.nested = {.gpa = HANDLER, .access = ACCESS_EXEC, .present = true}}, NULL);
	hit(WATCH_WRITE, STACK + 0x7fa);
}

/* In 64-bit code, with another privilege, from virtual-8086 mode: how much is pushed. */
static void test_frame_sizes(void **state)
{
	const struct event interrupt = {.type = EVENT_INTR, .vector = 0x20};
	static const struct {
		bool v8086, crosses;
		unsigned pushed;
	} cases[] = {{false, true, 20}, {true, true, 36}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct exit_detail fetch = {.nested = {.gpa = HANDLER, .access = ACCESS_EXEC, .present = true}};
		const struct exit_detail write = {
			.nested = {.gpa = STACK + 0x7fc, .access = ACCESS_WRITE, .present = true}};
		gva_t top = STACK + 0x800 - 1;
		struct break_request request = request_of(WATCH_WRITE, top, 1);

		vcpu->rip = CODE;
		fake->reg[REG_CPL] = 3;
		vcpu->rflags = cases[i].v8086 ? vcpu->rflags | X86_FLAGS_VM : vcpu->rflags & ~(uint64_t)X86_FLAGS_VM;
		add(WATCH_WRITE, top, 1);
		spine_exit(&spine, EXIT_NESTED, 0, &write, &interrupt);
		fake->reg[REG_CPL] = 0;
		vcpu->rflags &= ~(uint64_t)X86_FLAGS_VM;
		vcpu->rip = HANDLER;
		vcpu->gpr[GPR_RSP] = STACK + 0x800 - cases[i].pushed;
		spine_exit(&spine, EXIT_NESTED, 0, &fetch, NULL);
		hit(WATCH_WRITE, top);
		assert_int_equal(debug_break_remove(vcpu, &request), 0);
		settle();
	}
}

/* Code in a page whose reads are watched: INT3s next to it still work, and its instructions are none. */
static void test_code_in_the_page(void **state)
{
	(void)state;
	add(WATCH_READ, CODE + 0x800, 4);
	EXECUTE("\x90", {CODE, X});
	none();
	vcpu->gpr[GPR_RBX] = CODE + 0x800;
	EXECUTE(LOAD, {CODE + 0x800, R});
	hit(WATCH_READ, CODE + 0x800);
	vcpu->gpr[GPR_RBX] = CODE + 0x804;
	EXECUTE(LOAD, {CODE + 0x804, R});
	none();
}

static void test_breakpoint_in_the_page(void **state)
{
	const struct exit_detail int3 = {.exception = {.vector = 3, .length = 1}};

	(void)state;
	add(WATCH_ACCESS, CODE + 0x800, 4);
	add(BREAK_SOFT, CODE + 4, 1);
	EXECUTE("\x90", {CODE, X});
	none();
	vcpu->rip = CODE + 4;
	if (vm->caps & BACKEND_CAP_EXEC_ONLY) {
		while (!touch(vcpu->rip, X))
			;
		spine_exit(&spine, EXIT_EXCEPTION, 0, &int3, NULL);
	} else {
		(void)touch(vcpu->rip, X);
	}
	assert_int_equal(stops, 1);
	assert_int_equal(last.kind, STOP_BREAK);
	stops = 0;
	/* the instruction under it touches what is watched */
	vcpu->gpr[GPR_RBX] = CODE + 0x800;
	EXECUTE(STORE, {CODE + 0x800, W});
	hit(WATCH_ACCESS, CODE + 0x800);
	assert_int_equal(*memory(CODE + 0x800), 0x77);
}

static void test_write_watch_and_breakpoint(void **state)
{
	(void)state;
	add(BREAK_SOFT, CODE + 0x100, 1);
	add(WATCH_WRITE, CODE + 0x800, 4);
	vcpu->gpr[GPR_RBX] = CODE + 0x800;
	EXECUTE(LOAD, {CODE + 0x800, R});
	none();
	EXECUTE(STORE, {CODE + 0x800, W});
	hit(WATCH_WRITE, CODE + 0x800);
	vcpu->gpr[GPR_RBX] = CODE + 0x804;
	EXECUTE(STORE, {CODE + 0x804, W});
	none();
	assert_int_equal(*memory(CODE + 0x804), 0x77);
}

/* The page is mapped elsewhere, not at all, and again. */
static void test_follows_page_tables(void **state)
{
	uint32_t *directory = fake_memory_at(&spine.fake.platform, TABLE, PAGE_SIZE);

	(void)state;
	tables();
	directory[2] = 0xa3; /* 8 MiB: an alias of the first 4 */
	add(WATCH_WRITE, 0x800000 + WORD, 4);
	EXECUTE(STORE, {WORD, W});
	hit(WATCH_WRITE, 0x800000 + WORD);
	assert_true(fake_intercept_on(fake, INTERCEPT_PAGING, 0));
	directory[2] = 0;
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	exception(1);
	EXECUTE(STORE, {WORD, W});
	assert_int_equal(exits, 0);
	assert_true(fake_intercept_on(fake, INTERCEPT_EXCEPTION, 14));
	directory[2] = 0x4000a3;
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	exception(1);
	assert_false(fake_intercept_on(fake, INTERCEPT_EXCEPTION, 14));
	vcpu->gpr[GPR_RBX] = 0x400000 + WORD;
	EXECUTE(STORE, {0x400000 + WORD, W});
	hit(WATCH_WRITE, 0x800000 + WORD);
}

static void test_bound(void **state)
{
	struct break_request request = request_of(WATCH_WRITE, WORD, 4);

	(void)state;
	request.bound = true;
	request.cr3 = 0x7000;
	assert_int_equal(debug_break_add(vcpu, &request), 0);
	settle();
	EXECUTE(STORE, {WORD, W});
	assert_int_equal(exits, 0);
	fake->reg[REG_CR3] = 0x7000;
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	exception(1);
	EXECUTE(STORE, {WORD, W});
	hit(WATCH_WRITE, WORD);
}

/* Without the quirk: what fits goes into a register, the rest here. */
static void test_registers_first(void **state)
{
	(void)state;
	vm->quirks = 0;
	add(WATCH_WRITE, WORD, 4);
	assert_int_equal(debug.pieces_used, 0);
	add(WATCH_WRITE, WORD, 3);
	add(WATCH_READ, WORD, 4);
	add(WATCH_WRITE, WORD + 1, 2);
	add(WATCH_WRITE, WORD, 8); /* for long mode */
	assert_int_equal(debug.pieces_used, 4);
	/* the guest takes them all */
	debug_register_set(vcpu, REG_DR7, DR7_ONES | 0xff);
	settle();
	assert_int_equal(debug.pieces_used, 5);
	EXECUTE(STORE, {WORD, W});
	hit(WATCH_WRITE, WORD);
}

/* INS to what is watched, by us. */
static void test_emulated(void **state)
{
	(void)state;
	add(WATCH_WRITE, WORD, 4);
	breakpoint_data(vcpu, WORD + 3, 2, true);
	settle();
	hit(WATCH_WRITE, WORD);
	breakpoint_data(vcpu, WORD + 4, 2, true);
	breakpoint_data(vcpu, WORD, 2, false);
	settle();
	none();
}

static void test_condition(void **state)
{
	static const uint8_t zero[] = {0x22, 0, 0x27};
	const struct break_code code = {zero, sizeof(zero)};
	struct break_request request = request_of(WATCH_WRITE, WORD, 4);

	(void)state;
	request.condition = &code;
	request.condition_count = 1;
	assert_int_equal(debug_break_add(vcpu, &request), 0);
	settle();
	EXECUTE(STORE, {WORD, W});
	none();
}

static void test_refused(void **state)
{
	struct break_request request = request_of(WATCH_READ, SPINE_HIDDEN, 4);

	(void)state;
	assert_int_equal(debug_break_add(vcpu, &request), -EACCES);
	request = request_of(WATCH_READ, DATA, WATCH_PIECE_MAX * PAGE_SIZE + 1);
	assert_int_equal(debug_break_add(vcpu, &request), -ENOSPC);
	request = request_of(WATCH_READ, SPINE_HIDDEN - 2, 4);
	assert_int_equal(debug_break_add(vcpu, &request), -EACCES);
	assert_int_equal(debug.pieces_used, 0);
	settle();
	assert_int_equal(fake_intercepts_on(fake), 0);
}

int main(void)
{
	static bool exec_only = true;
#define TEST(function)                                                             \
	cmocka_unit_test_prestate_setup_teardown(function, setup, teardown, NULL), \
		cmocka_unit_test_prestate_setup_teardown(function, setup, teardown, &exec_only)
	const struct CMUnitTest tests[] = {
		TEST(test_write),
		TEST(test_from_outside),
		TEST(test_read),
		TEST(test_access),
		TEST(test_bytes),
		TEST(test_across_pages),
		TEST(test_access_across_pages),
		TEST(test_repeated),
		TEST(test_stack),
		TEST(test_second_access),
		TEST(test_several_in_a_page),
		TEST(test_fault),
		TEST(test_to_a_region),
		TEST(test_stepped),
		TEST(test_unknown),
		TEST(test_descriptor),
		TEST(test_walk),
		TEST(test_walk_reads),
		TEST(test_frame),
		TEST(test_frame_in_real_mode),
		TEST(test_frame_sizes),
		TEST(test_code_in_the_page),
		TEST(test_breakpoint_in_the_page),
		TEST(test_write_watch_and_breakpoint),
		TEST(test_follows_page_tables),
		TEST(test_bound),
		TEST(test_registers_first),
		TEST(test_emulated),
		TEST(test_condition),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
