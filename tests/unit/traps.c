/* SPDX-License-Identifier: BSD-2-Clause */
/* boot/metal/traps.c: a #GP at a place that is in the table goes on behind it; everything else is reported. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "boot/metal/traps.h"

/* Two places with their continuations, in the format that the metal platform's macro makes. */
__asm__(".pushsection .text\n"
	"trap_stubs: .skip 512\n"
	"first_place: nop\n first_resume: nop\n"
	"second_resume: nop\n second_place: nop\n"
	".popsection\n"
	".pushsection .rodata\n .balign 4\n"
	"fixups_start:\n"
	".long first_place - ., first_resume - .\n"
	".long second_place - ., second_resume - .\n"
	"fixups_end:\n"
	".long other_place - ., first_resume - .\n" /* beyond the end */
	".popsection\n"
	".pushsection .text\n other_place: nop\n .popsection\n"
	".globl trap_stubs, fixups_start, fixups_end\n");

extern const uint8_t first_place[], first_resume[], second_place[], second_resume[], other_place[];

static jmp_buf reported;
static const struct trap_frame *report;

void trap_report(const struct trap_frame *frame)
{
	report = frame;
	longjmp(reported, 1);
}

static unsigned taken;

/* As the vmm does: an NMI always; the machine check here is one that cannot go on. */
bool trap_take(const struct trap_frame *frame)
{
	if (frame->vector != TRAP_NMI)
		return false;
	taken++;
	return true;
}

/* The continuation, or 0 if the exception was reported. */
static uint64_t handle(uint64_t vector, const uint8_t *place)
{
	static struct trap_frame frame;

	frame = (struct trap_frame){
		.vector = vector, .error = 5, .rip = (uintptr_t)place, .rax = 1, .rsp = 0x1000, .rflags = 2};
	report = NULL;
	if (setjmp(reported)) {
		assert_ptr_equal(report, &frame);
		assert_true(frame.rip == (uintptr_t)place);
		return 0;
	}
	trap_handle(&frame);
	/* nothing but RIP moves: the instruction's registers say that it failed */
	assert_int_equal(frame.rax, 1);
	assert_int_equal(frame.rsp, 0x1000);
	assert_int_equal(frame.rflags, 2);
	return frame.rip;
}

static void test_fixups(void **state)
{
	(void)state;
	assert_true(handle(13, first_place) == (uintptr_t)first_resume);
	assert_true(handle(13, second_place) == (uintptr_t)second_resume);
}

static void test_other_places(void **state)
{
	(void)state;
	assert_true(handle(13, first_place - 1) == 0);
	assert_true(handle(13, first_resume) == 0);
	assert_true(handle(13, other_place) == 0);
	assert_true(handle(13, NULL) == 0);
}

static void test_other_vectors(void **state)
{
	(void)state;
	for (uint64_t vector = 0; vector < TRAP_COUNT; vector++) {
		if (vector != 13 && vector != TRAP_NMI)
			assert_true(handle(vector, first_place) == 0);
	}
}

/* What is nobody's fault interrupts nothing. */
static void test_taken(void **state)
{
	(void)state;
	taken = 0;
	assert_true(handle(TRAP_NMI, other_place) == (uintptr_t)other_place);
	assert_int_equal(taken, 1);
	assert_true(handle(TRAP_MC, other_place) == 0);
	assert_int_equal(taken, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixups),
		cmocka_unit_test(test_other_places),
		cmocka_unit_test(test_other_vectors),
		cmocka_unit_test(test_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
