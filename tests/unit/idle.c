/* SPDX-License-Identifier: BSD-2-Clause */
/* core/idle.c: interrupts and HLT while somebody looks in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <undercroft/debug.h>
#include <x86/cr.h>
#include <x86/dr.h>

#include "core/debug/debug.h"
#include "tests/unit/spine.h"

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

static const struct owner owner = {.name = "idle"};
static const struct stop stop = {.kind = STOP_REQUEST};
static struct debug debug;
static unsigned polls, stops, stop_at, release_at;

static void poll(struct vcpu *v)
{
	polls++;
	if (polls == stop_at)
		debug_stop_request(v, &stop);
	if (polls == release_at)
		owner_release(v, &owner);
}

static void stopped(struct vcpu *v)
{
	stops++;
	debug_resume(v);
}

static struct control control = {.poll = poll, .stopped = stopped};

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	debug_init(vcpu, &debug);
	spine.fake.vm.control = &control;
	fake->reg[REG_CR0] = CR0_PE;
	polls = stops = stop_at = release_at = 0;
	vcpu->rflags |= X86_FLAGS_IF;
	assert_int_equal(intercept_arm(vcpu, &owner, INTERCEPT_INTR, 0), 0);
	assert_int_equal(intercept_arm(vcpu, &owner, INTERCEPT_IDLE, 0), 0);
	return 0;
}

static void test_interrupt(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_int_equal(polls, 1);
	assert_int_equal(fake->interrupt_passes, 1);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_int_equal(vcpu->work, 0);
}

/* A guest that stops leaves the interrupt where it is. */
static void test_interrupt_stop(void **state)
{
	(void)state;
	stop_at = 1;
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_int_equal(stops, 1);
	assert_int_equal(fake->interrupt_passes, 0);
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_int_equal(fake->interrupt_passes, 1);
}

/* The last one to look went away: nothing has to be let through. */
static void test_interrupt_released(void **state)
{
	(void)state;
	release_at = 1;
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_int_equal(fake->interrupt_passes, 0);
	assert_null(vcpu->fatal);
}

/* It waits at its HLT, behind the shadow of STI, until an interrupt comes. */
static void test_halted(void **state)
{
	(void)state;
	fake->reg[REG_INTERRUPT_SHADOW] = 1;
	for (unsigned i = 1; i < 4; i++) {
		spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
		assert_int_equal(fake->interrupt_passes, i);
		assert_int_equal(polls, i);
		assert_int_equal(vcpu->rip, SPINE_CODE);
		assert_int_equal(fake->reg[REG_INTERRUPT_SHADOW], 0);
		assert_true(fake_intercept_on(fake, INTERCEPT_NMI, 0));
	}
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_int_equal(vcpu->rip, SPINE_CODE + 1);
	assert_int_equal(fake->interrupt_passes, 4);
	assert_false(fake_intercept_on(fake, INTERCEPT_NMI, 0));
	/* another one is none of its business */
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_int_equal(vcpu->rip, SPINE_CODE + 1);
}

static void test_halted_nmi(void **state)
{
	(void)state;
	spine.fake.vm.caps &= ~BACKEND_CAP_NMI_EXITS;
	vcpu->rflags &= ~(uint64_t)X86_FLAGS_IF;
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_int_equal(vcpu->rip, SPINE_CODE + 1);
	assert_false(fake_intercept_on(fake, INTERCEPT_NMI, 0));
	assert_null(vcpu->fatal);
	/* now nothing intercepts one */
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_non_null(vcpu->fatal);
}

/* Stopped meanwhile, and going on: it waits on. Sent elsewhere: it does not. */
static void test_halted_stop(void **state)
{
	(void)state;
	stop_at = 2;
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	assert_int_equal(stops, 1);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	vcpu->rip = SPINE_CODE + 0x100;
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_int_equal(vcpu->rip, SPINE_CODE + 0x100);
}

/* A single step over HLT does not wait. */
static void test_halted_stepping(void **state)
{
	(void)state;
	vcpu->rflags |= X86_FLAGS_TF;
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	assert_int_equal(polls, 0);
	assert_int_equal(vcpu->rip, SPINE_CODE + 1);
	assert_int_equal(spine_injected(&spine)->vector, 1);
}

/* While the CPU may halt: it does, and the interrupt that wakes it arms the next. */
static void test_sleeps(void **state)
{
	static const enum exit_kind kinds[] = {EXIT_HLT, EXIT_MWAIT};

	(void)state;
	vcpu->idle.sleeps = true;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		vcpu->rip = SPINE_CODE;
		spine_exit(&spine, kinds[i], 1, NULL, NULL);
		assert_int_equal(vcpu->rip, SPINE_CODE);
		assert_false(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
		/* the CPU was woken by it, or had not begun to wait: RIP is behind in either case */
		vcpu->rip += i;
		spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
		assert_true(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
		assert_int_equal(vcpu->rip, SPINE_CODE + 1);
	}
	/* not if no interrupt can end it */
	vcpu->rflags &= ~(uint64_t)X86_FLAGS_IF;
	polls = 0;
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	assert_int_equal(polls, 1);
	assert_true(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
	/* the one who armed it went while the CPU slept */
	vcpu->rflags |= X86_FLAGS_IF;
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	release_at = polls + 1;
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_false(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
}

static void test_timer(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_TIMER, 0, NULL, NULL);
	assert_int_equal(polls, 1);
	stop_at = 2;
	spine_exit(&spine, EXIT_TIMER, 0, NULL, NULL);
	assert_int_equal(stops, 1);
	spine.fake.vm.control = NULL;
	spine_exit(&spine, EXIT_TIMER, 0, NULL, NULL);
	assert_int_equal(polls, 2);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_null(vcpu->fatal);
}

/* The CPU carries out what changes the address space, behind a look, and the next one exits again. */
static void test_cr3_write(void **state)
{
	const struct exit_detail trap = {.exception = {.vector = 1}};

	(void)state;
	owner_release(vcpu, &owner);
	assert_int_equal(intercept_arm(vcpu, &owner, INTERCEPT_CR3, 0), 0);
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	assert_int_equal(polls, 1);
	assert_true(fake->stepping);
	assert_false(fake_intercept_on(fake, INTERCEPT_CR3, 0));
	fake->reg[REG_DR6] |= DR6_BS;
	vcpu->rip += 3;
	spine_exit(&spine, EXIT_EXCEPTION, 0, &trap, NULL);
	assert_false(fake->stepping);
	assert_true(fake_intercept_on(fake, INTERCEPT_CR3, 0));
	assert_int_equal(vcpu->work, 0);
	assert_int_equal(vcpu->rip, SPINE_CODE + 3);
	/* a guest that stops has not executed it yet */
	stop_at = 2;
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	assert_int_equal(stops, 1);
	assert_false(fake->stepping);
	assert_true(fake_intercept_on(fake, INTERCEPT_CR3, 0));
	/* the one who armed it goes */
	release_at = 3;
	spine_exit(&spine, EXIT_PAGING, 0, NULL, NULL);
	assert_int_equal(fake_intercepts_on(fake), 0);
	assert_false(fake->stepping);
	assert_null(vcpu->fatal);
}

static void test_mwait(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_MWAIT, 3, NULL, NULL);
	assert_int_equal(polls, 1);
	assert_int_equal(vcpu->rip, SPINE_CODE + 3);
}

/* An exit of these that nobody armed. */
static void test_unexpected(void **state)
{
	static const enum exit_kind kinds[] = {EXIT_INTR, EXIT_HLT, EXIT_MWAIT, EXIT_PAGING};

	(void)state;
	owner_release(vcpu, &owner);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		vcpu->work = 0;
		spine_exit(&spine, kinds[i], 1, NULL, NULL);
		assert_true(vcpu->work & WORK_LEAVE);
	}
}

#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_interrupt),  TEST(test_interrupt_stop), TEST(test_interrupt_released), TEST(test_halted),
		TEST(test_halted_nmi), TEST(test_halted_stop),	  TEST(test_halted_stepping),	 TEST(test_timer),
		TEST(test_sleeps),     TEST(test_mwait),	  TEST(test_unexpected),	 TEST(test_cr3_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
