/* SPDX-License-Identifier: BSD-2-Clause */
/* core/alarm.c: NMIs of another CPU's, NMIs of the guest's, and HLTs that the former end. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <undercroft/alarm.h>
#include <undercroft/debug.h>
#include <undercroft/insn.h>
#include <undercroft/quirk.h>
#include <x86/cr.h>

#include "core/debug/debug.h"
#include "core/exit.h"
#include "core/single.h"
#include "tests/unit/spine.h"

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

static struct alarm alarm;
static struct debug debug;
static unsigned polls;

static void poll(struct vcpu *v)
{
	(void)v;
	polls++;
}

static void stopped(struct vcpu *v)
{
	debug_resume(v);
}

static struct control control = {.poll = poll, .stopped = stopped};

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	debug_init(vcpu, &debug);
	spine.fake.vm.control = &control;
	spine.fake.vm.caps = (spine.fake.vm.caps & ~BACKEND_CAP_NMI_EXITS) | BACKEND_CAP_TIMER;
	spine.fake.vm.alarm = &alarm;
	alarm = (struct alarm){.state = ALARM_RUNS};
	polls = 0;
	vcpu->rflags |= X86_FLAGS_IF;
	assert_true(alarm_arm(vcpu, true));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	spine_free(&spine);
	return 0;
}

static uint64_t exits(enum exit_kind kind)
{
	return vcpu->statistics.counter[kind].count;
}

static void look(void)
{
	alarm.due = 1;
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_false(alarm_is_due(&alarm));
}

static void test_timer(void **state)
{
	(void)state;
	look();
	assert_int_equal(polls, 1);
	assert_int_equal(fake->admits, 1);
	assert_int_equal(exits(EXIT_NMI), 0);
	assert_int_equal(exits(EXIT_TIMER), 1);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_true(fake_intercept_on(fake, INTERCEPT_NMI, 0));
	assert_false(fake_intercept_on(fake, INTERCEPT_NMI_WINDOW, 0));
}

/* The guest's own is left to the CPU, which delivers and blocks it, until its IRET. */
static void test_guests_own(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_int_equal(polls, 0);
	assert_int_equal(fake->admits, 0);
	assert_int_equal(exits(EXIT_NMI), 1);
	assert_null(spine_injected(&spine));
	assert_false(fake_intercept_on(fake, INTERCEPT_NMI, 0));
	assert_true(fake_intercept_on(fake, INTERCEPT_NMI_WINDOW, 0));
	assert_true(alarm.held);
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_false(alarm.held);
	assert_true(fake_intercept_on(fake, INTERCEPT_NMI, 0));
	assert_false(fake_intercept_on(fake, INTERCEPT_NMI_WINDOW, 0));
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_null(vcpu->fatal);
	look();
	assert_int_equal(polls, 1);
	/* nothing else makes such an exit */
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_non_null(vcpu->fatal);
}

/* What is asked for anew meanwhile takes nothing from the guest's NMI; what is off watches no HLT. */
static void test_armed_again(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_true(alarm_arm(vcpu, true));
	assert_false(fake_intercept_on(fake, INTERCEPT_NMI, 0));
	assert_true(alarm_arm(vcpu, false));
	assert_false(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
	assert_true(fake_intercept_on(fake, INTERCEPT_NMI_WINDOW, 0));
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_true(fake_intercept_on(fake, INTERCEPT_NMI, 0));
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	assert_non_null(vcpu->fatal);
}

/* A HLT exits once. From then on it is known, and goes on when a look has ended it. */
static void test_halt(void **state)
{
	static const uint8_t code[] = {0xf4};

	(void)state;
	spine_code(&spine, code, sizeof(code));
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	assert_int_equal(polls, 0);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_false(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
	for (unsigned i = 0; i < 3; i++) {
		vcpu->rip = SPINE_CODE + 1;
		fake->reg[REG_INTERRUPT_SHADOW] = 0;
		look();
		assert_int_equal(vcpu->rip, SPINE_CODE);
		assert_int_equal(fake->reg[REG_INTERRUPT_SHADOW], 1);
		assert_true(vcpu->rflags & X86_FLAGS_RF);
		assert_false(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
		assert_false(fake_intercept_on(fake, INTERCEPT_INTR, 0));
	}
	assert_int_equal(polls, 3);
}

/* Elsewhere it does not go back on the byte alone: the next HLT exits, and then that place is known. */
static void test_other_place(void **state)
{
	static const uint8_t code[] = {0xb0, 0xf4, 0xf4};

	(void)state;
	spine_code(&spine, code, sizeof(code));
	vcpu->rip = SPINE_CODE + 2;
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	assert_false(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
	/* MOV AL, 0F4h */
	look();
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	assert_true(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	/* what was known is code no more */
	*(uint8_t *)fake_memory_at(&spine.fake.platform, SPINE_CODE + 2, 1) = 0x90;
	vcpu->rip = SPINE_CODE + 3;
	look();
	assert_int_equal(vcpu->rip, SPINE_CODE + 3);
	assert_false(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
	/* programs cannot halt */
	fake->reg[REG_CPL] = 3;
	vcpu->rip = SPINE_CODE + 2;
	look();
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	assert_false(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
}

/* The same offset in another segment is another place. */
static void test_linear(void **state)
{
	static const uint8_t code[] = {0xf4};

	(void)state;
	spine_code(&spine, code, sizeof(code));
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	fake->seg[SEG_CS].base = 0x100;
	*(uint8_t *)fake_memory_at(&spine.fake.platform, SPINE_CODE + 0x100, 1) = 0xf4;
	vcpu->rip = SPINE_CODE + 1;
	look();
	assert_int_equal(vcpu->rip, SPINE_CODE + 1);
	assert_true(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
	vcpu->rip = SPINE_CODE - 0x100 + 1;
	look();
	assert_int_equal(vcpu->rip, SPINE_CODE - 0x100);
}

/* Where VMRUN loads no shadow, an interrupt that comes before the HLT exits, and ends it. */
static void test_halt_without_a_shadow(void **state)
{
	static const uint8_t code[] = {0xf4};

	(void)state;
	spine.fake.vm.quirks |= QUIRK_SHADOW_NOT_LOADED;
	spine_code(&spine, code, sizeof(code));
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
	assert_int_equal(vcpu->rip, SPINE_CODE + 1);
	for (unsigned behind = 0; behind < 2; behind++) {
		vcpu->rip = SPINE_CODE + 1;
		look();
		assert_int_equal(vcpu->rip, SPINE_CODE);
		assert_true(fake_intercept_on(fake, INTERCEPT_INTR, 0));
		assert_false(vcpu->rflags & X86_FLAGS_RF);
		/* the CPU has halted, or it has not */
		vcpu->rip = SPINE_CODE + behind;
		spine_exit(&spine, EXIT_INTR, 0, NULL, NULL);
		assert_int_equal(vcpu->rip, SPINE_CODE + 1);
		assert_false(fake_intercept_on(fake, INTERCEPT_INTR, 0));
		assert_int_equal(fake->interrupt_passes, 0);
	}
	/* nothing but an NMI ends it */
	vcpu->rflags &= ~(uint64_t)X86_FLAGS_IF;
	look();
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_false(fake_intercept_on(fake, INTERCEPT_INTR, 0));
}

static void test_mwait(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_MWAIT, 3, NULL, NULL);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_false(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
	assert_false(vcpu->idle.site_known);
}

/* A step over a known HLT does not wait, and a look in the middle of it leaves it alone. */
static void test_step(void **state)
{
	static const uint8_t code[] = {0xf4};
	struct insn insn;

	(void)state;
	spine_code(&spine, code, sizeof(code));
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	assert_int_equal(insn_decode(vcpu, &insn), 0);
	single_begin(vcpu, &insn);
	assert_true(fake_intercept_on(fake, INTERCEPT_IDLE, 0));
	look();
	assert_true(fake->stepping);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	spine_exit(&spine, EXIT_HLT, 1, NULL, NULL);
	assert_int_equal(vcpu->rip, SPINE_CODE + 1);
	assert_false(fake->stepping);
}

static void test_lost(void **state)
{
	(void)state;
	alarm_lose(vcpu);
	assert_int_equal(fake_intercepts_on(fake), 0);
	assert_false(spine.fake.vm.caps & BACKEND_CAP_TIMER);
	assert_true(spine_logged(&spine, "the clock has failed"));
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_non_null(vcpu->fatal);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_timer),	     T(test_guests_own), T(test_armed_again),		T(test_halt),
		T(test_other_place), T(test_linear),	 T(test_halt_without_a_shadow), T(test_mwait),
		T(test_step),	     T(test_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
