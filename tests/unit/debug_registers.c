/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/debug/registers.c: breakpoints in debug registers next to the guest's. The test is the CPU that finds matches.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <undercroft/errno.h>
#include <undercroft/quirk.h>
#include <x86/cr.h>

#include "core/debug/debug.h"
#include "core/dr.h"
#include "tests/unit/spine.h"

#define HERE	 SPINE_CODE
#define DATA	 0x5000u
#define DR7_NONE 0x400u
#define RF	 ((uint64_t)X86_FLAGS_RF)

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static struct vm *const vm = &spine.fake.vm;
static struct debug debug;
static unsigned stops, steps_left;
static uint64_t range_end;
static struct stop last;

static bool rf_at_stop;

static void client_stopped(struct vcpu *v)
{
	stops++;
	last = *debug_stop(v);
	rf_at_stop = v->rflags & RF;
	if (steps_left) {
		steps_left--;
		debug_step(v, v->rip, range_end);
	} else {
		debug_resume(v);
	}
}

static bool client_reg(struct vcpu *v, unsigned number, uint64_t *value)
{
	*value = v->gpr[number & 15];
	return number < 16;
}

static struct control control = {.stopped = client_stopped, .reg = client_reg};

/* As the guest has left them, before anything is armed. */
static const uint64_t guests[DR_COUNT] = {0x1111, 0x2222, 0x3333, 0x4444, DR6_ONES | 2, DR7_NONE};

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	spine_prot32(&spine);
	debug_init(vcpu, &debug);
	vm->control = &control;
	for (unsigned i = 0; i < DR_COUNT; i++)
		fake->reg[REG_DR0 + i] = guests[i];
	stops = steps_left = 0;
	range_end = 0;
	spine_code(&spine, "\x90", 1);
	return 0;
}

static void settle(void)
{
	vcpu_work(vcpu);
	assert_int_equal(vcpu->work & ~WORK_STOP, 0);
}

/* Whatever was armed goes, and the CPU has the guest's registers again. */
static int teardown(void **state)
{
	uint64_t seen[DR_COUNT];

	(void)state;
	assert_null(vcpu->fatal);
	for (unsigned i = 0; i < DR_COUNT; i++)
		seen[i] = dr_get(vcpu, (enum reg)(REG_DR0 + i));
	debug_release(vcpu);
	settle();
	assert_int_equal(fake_intercepts_on(fake), 0);
	assert_false(vcpu->dr.shadowed);
	for (unsigned i = 0; i < DR_COUNT; i++)
		assert_true(fake->reg[REG_DR0 + i] == seen[i]);
	spine_free(&spine);
	return 0;
}

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

static void take_out(enum break_kind kind, gva_t address, uint64_t length)
{
	const struct break_request request = request_of(kind, address, length);

	assert_int_equal(debug_break_remove(vcpu, &request), 0);
	settle();
}

/* #DB with these bits of DR6. */
static void debug_exception(uint64_t why)
{
	const struct exit_detail detail = {.exception = {.vector = 1}};

	fake->reg[REG_DR6] |= why;
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
}

/* The guest executes a MOV DR. */
static void mov(const char *bytes, size_t length)
{
	spine_code(&spine, bytes, length);
	spine_exit(&spine, EXIT_DR, 0, NULL, NULL);
}

#define MOV(bytes) mov(bytes, sizeof(bytes) - 1)
#define TO_DR0	   "\x0f\x23\xc3" /* from EBX */
#define TO_DR7	   "\x0f\x23\xfb"
#define TO_DR6	   "\x0f\x23\xf3"
#define FROM_DR0   "\x0f\x21\xc3"
#define FROM_DR6   "\x0f\x21\xf3"
#define FROM_DR7   "\x0f\x21\xfb"

static uint64_t cpu_dr7(void)
{
	return fake->reg[REG_DR7];
}

static void guest_sees_its_own(void)
{
	for (unsigned i = 0; i < DR_COUNT; i++)
		assert_true(debug_register_get(vcpu, (enum reg)(REG_DR0 + i)) == guests[i]);
}

static void test_armed(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	assert_true(fake->reg[REG_DR0] == HERE);
	assert_true(cpu_dr7() == (DR7_NONE | 2));
	assert_true(fake->reg[REG_DR6] == DR6_ONES);
	assert_true(fake_intercept_on(fake, INTERCEPT_DR, 0));
	assert_true(fake_intercept_on(fake, INTERCEPT_EXCEPTION, 1));
	/* it follows no page tables */
	assert_int_equal(fake_intercepts_on(fake), 2);
	guest_sees_its_own();
	add(WATCH_WRITE, DATA, 4);
	add(WATCH_ACCESS, DATA + 2, 2);
	add(WATCH_WRITE, DATA + 7, 1);
	assert_true(fake->reg[REG_DR1] == DATA && fake->reg[REG_DR2] == DATA + 2 && fake->reg[REG_DR3] == DATA + 7);
	assert_true(cpu_dr7() == (DR7_NONE | 0xaa | 0xd0ull << 16 | 0x7ull << 24 | 0x1ull << 28));
	take_out(WATCH_WRITE, DATA, 4);
	assert_true(fake->reg[REG_DR1] == guests[1]);
	assert_true(cpu_dr7() == (DR7_NONE | 0xa2 | 0x7ull << 24 | 0x1ull << 28));
	guest_sees_its_own();
	take_out(BREAK_HARD, HERE, 1);
	take_out(WATCH_ACCESS, DATA + 2, 2);
	take_out(WATCH_WRITE, DATA + 7, 1);
	assert_int_equal(fake_intercepts_on(fake), 0);
	assert_true(fake->reg[REG_DR6] == guests[4]);
}

static void test_hit(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	debug_exception(1);
	assert_int_equal(stops, 1);
	assert_int_equal(last.kind, STOP_BREAK_HARD);
	assert_true(last.address == HERE);
	assert_null(spine_injected(&spine));
	/* it goes on at once, with RF, which the debugger has not seen */
	assert_false(rf_at_stop);
	assert_true(vcpu->rflags & RF);
	assert_int_equal(fake->steps_on, 0);
	assert_int_equal(vcpu->work, 0);
	guest_sees_its_own();
}

static void condition(enum break_kind kind, uint8_t value)
{
	const uint8_t bytes[] = {0x22, value, 0x27};
	const struct break_code code = {bytes, sizeof(bytes)};
	struct break_request request = request_of(kind, kind == BREAK_HARD ? HERE : DATA, 4);

	request.condition = &code;
	request.condition_count = 1;
	assert_int_equal(debug_break_add(vcpu, &request), 0);
}

static void test_condition(void **state)
{
	(void)state;
	condition(BREAK_HARD, 0);
	debug_exception(1);
	assert_int_equal(stops, 0);
	assert_true(vcpu->rflags & RF);
	assert_null(spine_injected(&spine));
	assert_int_equal(vcpu->work, 0);
	condition(BREAK_HARD, 1);
	debug_exception(1);
	assert_int_equal(stops, 1);
}

static void test_condition_of_a_watch(void **state)
{
	(void)state;
	condition(WATCH_WRITE, 0);
	debug_exception(1);
	assert_int_equal(stops, 0);
	assert_false(vcpu->rflags & RF);
	condition(WATCH_WRITE, 1);
	debug_exception(1);
	assert_int_equal(stops, 1);
	assert_int_equal(last.kind, STOP_WATCH);
	assert_int_equal(last.access, ACCESS_WRITE);
	assert_true(last.address == DATA);
	assert_false(vcpu->rflags & RF);
}

static void test_bound(void **state)
{
	struct break_request request = request_of(BREAK_HARD, HERE, 1);

	(void)state;
	request.bound = true;
	request.cr3 = 0x7000;
	assert_int_equal(debug_break_add(vcpu, &request), 0);
	debug_exception(1);
	assert_int_equal(stops, 0);
	assert_true(vcpu->rflags & RF);
	fake->reg[REG_CR3] = 0x7018;
	debug_exception(1);
	assert_int_equal(stops, 1);
}

/* The guest has one of its own, at the same place. */
static void test_both_hit(void **state)
{
	(void)state;
	fake->reg[REG_DR0] = HERE;
	fake->reg[REG_DR7] |= 1;
	condition(BREAK_HARD, 0);
	assert_true(fake->reg[REG_DR0] == HERE && fake->reg[REG_DR1] == HERE);
	assert_true(cpu_dr7() == (DR7_NONE | 9));
	debug_exception(3);
	assert_int_equal(stops, 0);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(dr_get(vcpu, REG_DR6) == (DR6_ONES | 1));
	/* one that is the CPU's at a fault */
	assert_false(vcpu->rflags & RF);
	assert_true(fake->reg[REG_DR6] == DR6_ONES);
	debug_exception(1);
	assert_int_equal(spine_injected(&spine)->vector, 1);
}

/* Its single step, and one of our watches with it. */
static void test_guest_steps_itself(void **state)
{
	(void)state;
	add(WATCH_WRITE, DATA, 4);
	debug_exception(1 | DR6_BS);
	assert_int_equal(stops, 1);
	assert_int_equal(last.kind, STOP_WATCH);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(dr_get(vcpu, REG_DR6) == (DR6_ONES | DR6_BS));
}

/* INT1, where it is an exception as others: DR6 says nothing. */
static void test_without_a_reason(void **state)
{
	(void)state;
	add(WATCH_WRITE, DATA, 4);
	debug_exception(0);
	assert_int_equal(stops, 0);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(dr_get(vcpu, REG_DR6) == guests[4]);
}

static void test_matches_that_are_not_enabled(void **state)
{
	(void)state;
	add(WATCH_WRITE, DATA, 4);
	debug_exception(0xc | 1);
	assert_int_equal(stops, 1);
	assert_null(spine_injected(&spine));
	assert_true(dr_get(vcpu, REG_DR6) == guests[4]);
}

static void test_mov(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	vcpu->gpr[GPR_RBX] = 0xabcd1234;
	MOV(TO_DR0);
	assert_true(vcpu->rip == HERE + 3);
	assert_true(dr_get(vcpu, REG_DR0) == 0xabcd1234);
	/* ours, until the guest uses it */
	assert_true(fake->reg[REG_DR0] == HERE);
	vcpu->rip = HERE;
	vcpu->gpr[GPR_RBX] = 0xffff1803;
	MOV(TO_DR7);
	assert_true(dr_get(vcpu, REG_DR7) == 0xffff0c03);
	assert_true(fake->reg[REG_DR0] == 0xabcd1234);
	assert_true(fake->reg[REG_DR1] == HERE);
	assert_true(cpu_dr7() == 0xff0f0c0b);
	vcpu->rip = HERE;
	vcpu->gpr[GPR_RBX] = 0x10000;
	MOV(TO_DR6);
	assert_true(dr_get(vcpu, REG_DR6) == DR6_ONES);
	vcpu->rip = HERE;
	MOV(FROM_DR0);
	assert_true(vcpu->gpr[GPR_RBX] == 0xabcd1234);
	vcpu->rip = HERE;
	MOV("\x0f\x21\xeb"); /* DR5 */
	assert_true(vcpu->gpr[GPR_RBX] == 0xffff0c03);
	vcpu->rip = HERE;
	fake->reg[REG_CR4] |= CR4_DE;
	MOV("\x0f\x21\xeb");
	assert_int_equal(spine_injected(&spine)->vector, 6);
	MOV(FROM_DR6);
	assert_true(vcpu->gpr[GPR_RBX] == DR6_ONES);
}

static void test_mov_in_64_bit_code(void **state)
{
	(void)state;
	spine_long64(&spine);
	add(BREAK_HARD, HERE, 1);
	vcpu->gpr[GPR_R9] = 0xffff800012345678;
	MOV("\x41\x0f\x23\xd1"); /* DR2, R9 */
	assert_true(dr_get(vcpu, REG_DR2) == 0xffff800012345678);
	vcpu->rip = HERE;
	MOV("\x66\x0f\x21\xd0"); /* RAX, DR2 */
	assert_true(vcpu->gpr[GPR_RAX] == 0xffff800012345678);
	vcpu->rip = HERE;
	MOV("\x44\x0f\x21\xd0"); /* DR10 */
	assert_int_equal(spine_injected(&spine)->vector, 6);
	vcpu->gpr[GPR_RBX] = 1ull << 32 | DR7_NONE;
	MOV(TO_DR7);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_true(vcpu->rip == HERE);
	MOV(TO_DR6);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	MOV(TO_DR0);
	assert_true(dr_get(vcpu, REG_DR0) == (1ull << 32 | DR7_NONE));
}

/* Another CPU's, or a device's, bytes by now. */
static void test_mov_that_is_none(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	MOV("\x0f\x22\xc3");
	assert_true(vcpu->rip == HERE);
	assert_int_equal(fake->flushes, 1);
	assert_null(spine_injected(&spine));
	debug_exception(DR6_BS);
}

static void test_mov_of_a_program(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	fake->reg[REG_CPL] = 3;
	MOV(FROM_DR0);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_true(vcpu->rip == HERE);
	fake->reg[REG_CPL] = 0;
}

/* DR7.GD */
static void test_general_detection(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	vcpu->gpr[GPR_RBX] = DR7_NONE | DR7_GD;
	MOV(TO_DR7);
	assert_true(cpu_dr7() == (DR7_NONE | 2));
	MOV(FROM_DR7);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(dr_get(vcpu, REG_DR6) == (DR6_ONES | DR6_BD));
	assert_true(dr_get(vcpu, REG_DR7) == DR7_NONE);
	MOV(FROM_DR7);
	assert_true(vcpu->gpr[GPR_RBX] == DR7_NONE);
}

/* The CPU clears it for each of the guest's #DB. */
static void test_general_detection_ends(void **state)
{
	(void)state;
	add(WATCH_WRITE, DATA, 4);
	vcpu->gpr[GPR_RBX] = DR7_NONE | DR7_GD;
	MOV(TO_DR7);
	debug_exception(1);
	assert_true(dr_get(vcpu, REG_DR7) == (DR7_NONE | DR7_GD));
	debug_exception(DR6_BS);
	assert_true(dr_get(vcpu, REG_DR7) == DR7_NONE);
}

/* The guest takes all four, and gives them back. */
static void test_no_register_left(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	vcpu->gpr[GPR_RBX] = DR7_NONE | 0x55;
	MOV(TO_DR7);
	settle();
	assert_false(vcpu->dr.shadowed);
	assert_true(cpu_dr7() == (DR7_NONE | 0x55));
	assert_true(fake->reg[REG_DR0] == guests[0]);
	assert_int_equal(debug.pages_used, 1);
	assert_true(fake_intercept_on(fake, INTERCEPT_EXCEPTION, 3));
	vcpu->rip = HERE;
	spine_code(&spine, "\x90", 1);
	spine_exit(&spine, EXIT_EXCEPTION, 0, &(struct exit_detail){.exception = {.vector = 3, .length = 1}}, NULL);
	assert_int_equal(stops, 1);
	assert_int_equal(last.kind, STOP_BREAK_HARD);
	assert_true(fake->stepping);
	debug_exception(DR6_BS);
	assert_int_equal(vcpu->work, 0);
	/* another one looks again */
	fake->reg[REG_DR7] = DR7_NONE;
	add(WATCH_WRITE, DATA, 4);
	assert_int_equal(debug.pages_used, 0);
	assert_true(cpu_dr7() == (DR7_NONE | 0xa | 0xd << 20));
}

static void test_moves_aside(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	add(BREAK_HARD, HERE + 1, 1);
	vcpu->gpr[GPR_RBX] = DR7_NONE | 0x17;
	MOV(TO_DR7);
	settle();
	/* DR0 to DR2 are the guest's */
	assert_true(fake->reg[REG_DR3] == HERE);
	assert_int_equal(debug.pages_used, 1);
	vcpu->rip = HERE;
	vcpu->gpr[GPR_RBX] = DR7_NONE | 0x3;
	MOV(TO_DR7);
	settle();
	assert_true(fake->reg[REG_DR3] == HERE && fake->reg[REG_DR1] == HERE + 1);
	assert_int_equal(debug.pages_used, 0);
}

static void test_set_by_the_client(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	debug_register_set(vcpu, REG_DR0, 0x9000);
	debug_register_set(vcpu, REG_DR7, DR7_NONE | 1);
	settle();
	assert_true(fake->reg[REG_DR0] == 0x9000 && fake->reg[REG_DR1] == HERE);
	assert_true(debug_register_get(vcpu, REG_DR7) == (DR7_NONE | 1));
	debug_register_set(vcpu, REG_CR2, 0x1234);
	assert_true(debug_register_get(vcpu, REG_CR2) == 0x1234);
}

static void stop_and_step(unsigned steps)
{
	steps_left = steps;
	debug_stop_request(vcpu, &(struct stop){.kind = STOP_REQUEST});
	vcpu_work(vcpu);
}

static void test_stepped(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE, 1);
	stop_and_step(1);
	assert_true(fake->stepping && vcpu->rflags & RF);
	vcpu->rip++;
	vcpu->rflags &= ~RF;
	debug_exception(DR6_BS);
	assert_int_equal(stops, 2);
	assert_int_equal(last.kind, STOP_STEP);
	guest_sees_its_own();
}

/* MOV DR exits, and is part of the step. */
static void test_mov_dr_while_stepped(void **state)
{
	(void)state;
	add(WATCH_WRITE, DATA, 4);
	spine_code(&spine, TO_DR6, 3);
	vcpu->gpr[GPR_RBX] = DR6_BS;
	stop_and_step(1);
	assert_true(fake->stepping);
	spine_exit(&spine, EXIT_DR, 0, NULL, NULL);
	assert_int_equal(stops, 2);
	assert_int_equal(last.kind, STOP_STEP);
	assert_true(dr_get(vcpu, REG_DR6) == (DR6_ONES | DR6_BS));
	assert_null(spine_injected(&spine));
}

static void test_general_detection_while_stepped(void **state)
{
	(void)state;
	fake->reg[REG_DR7] |= DR7_GD;
	add(WATCH_WRITE, DATA, 4);
	spine_code(&spine, TO_DR6, 3);
	stop_and_step(1);
	spine_exit(&spine, EXIT_DR, 0, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(dr_get(vcpu, REG_DR6) == (DR6_ONES | DR6_BD));
	assert_true(dr_get(vcpu, REG_DR7) == DR7_NONE);
}

static void test_hit_while_stepped(void **state)
{
	(void)state;
	add(WATCH_WRITE, DATA, 4);
	stop_and_step(1);
	vcpu->rip++;
	debug_exception(DR6_BS | 1);
	assert_int_equal(stops, 2);
	assert_int_equal(last.kind, STOP_WATCH);
	assert_null(spine_injected(&spine));
	guest_sees_its_own();
}

/* One of the guest's at an instruction that is stepped. */
static void test_guests_while_stepped(void **state)
{
	(void)state;
	fake->reg[REG_DR1] = HERE;
	fake->reg[REG_DR7] |= 4;
	add(BREAK_HARD, HERE, 1);
	stop_and_step(1);
	assert_false(vcpu->rflags & RF);
	debug_exception(3);
	assert_false(fake->stepping);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(dr_get(vcpu, REG_DR6) == (DR6_ONES | 2));
}

static void test_in_a_stepped_range(void **state)
{
	(void)state;
	add(BREAK_HARD, HERE + 1, 1);
	range_end = ~0ull;
	stop_and_step(1);
	assert_false(vcpu->rflags & RF);
	vcpu->rip++;
	debug_exception(DR6_BS);
	assert_int_equal(stops, 2);
	assert_int_equal(last.kind, STOP_BREAK_HARD);
}

static void test_emulator_without(void **state)
{
	(void)state;
	vm->quirks = QUIRK_DR7_NOT_LOADED;
	add(BREAK_HARD, HERE, 1);
	assert_int_equal(debug.pages_used, 1);
	assert_false(vcpu->dr.shadowed);
	assert_true(cpu_dr7() == DR7_NONE);
}

static void test_no_intercepts(void **state)
{
	const struct break_request request = request_of(BREAK_HARD, HERE, 1);

	(void)state;
	fake->intercept_result = -ENOTSUP;
	assert_int_equal(debug_break_add(vcpu, &request), -ENOTSUP);
	fake->intercept_result = 0;
	settle();
	assert_false(vcpu->dr.shadowed);
	assert_true(cpu_dr7() == DR7_NONE);
	assert_int_equal(debug.pages_used, 0);
}

static void test_refused(void **state)
{
	struct break_request request = request_of(WATCH_WRITE, DATA, 0);

	(void)state;
	assert_int_equal(debug_break_add(vcpu, &request), -EINVAL);
	request = request_of(WATCH_WRITE, ~0ull - 2, 4);
	assert_int_equal(debug_break_add(vcpu, &request), -EINVAL);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_armed),
		TEST(test_hit),
		TEST(test_condition),
		TEST(test_condition_of_a_watch),
		TEST(test_bound),
		TEST(test_both_hit),
		TEST(test_guest_steps_itself),
		TEST(test_without_a_reason),
		TEST(test_matches_that_are_not_enabled),
		TEST(test_mov),
		TEST(test_mov_in_64_bit_code),
		TEST(test_mov_that_is_none),
		TEST(test_mov_of_a_program),
		TEST(test_general_detection),
		TEST(test_general_detection_ends),
		TEST(test_no_register_left),
		TEST(test_moves_aside),
		TEST(test_set_by_the_client),
		TEST(test_stepped),
		TEST(test_mov_dr_while_stepped),
		TEST(test_general_detection_while_stepped),
		TEST(test_hit_while_stepped),
		TEST(test_guests_while_stepped),
		TEST(test_in_a_stepped_range),
		TEST(test_emulator_without),
		TEST(test_no_intercepts),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
