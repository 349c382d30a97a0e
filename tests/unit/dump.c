/* SPDX-License-Identifier: BSD-2-Clause */
/* core/dump.c: everything there is to know about a vCPU is on the log, whatever state it is in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <x86/cr.h>

#include "tests/unit/spine.h"

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

static void check(const char *name, uint64_t value)
{
	char text[64];

	snprintf(text, sizeof(text), "%s=%llx", name, (unsigned long long)value);
	assert_true(spine_logged(&spine, text));
}

static void test_everything(void **state)
{
	(void)state;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		vcpu->gpr[i] = 0xaa00000000 + i;
	for (unsigned i = 0; i < REG_COUNT; i++)
		fake->reg[i] = i == REG_CR0 || i == REG_CR4 || i == REG_EFER ? 0 : 0xbb00000000 + i;
	for (unsigned i = 0; i < SEG_COUNT; i++)
		fake->seg[i].base = 0x7700 + i * 0x10;
	spine_code(&spine, "\x0f\xa2\xf4", 3);
	vcpu->exit.kind = EXIT_CPUID;
	vcpu_dump(vcpu);
	assert_true(spine_logged(&spine, "exit cpuid, "));
	assert_true(spine_logged(&spine, "mode real, at 0000:8000"));
	assert_true(spine_logged(&spine, "code: 0f a2 f4 90 90 90 90 90 90 90 90 90 90 90 90\n"));
#define GPR(symbol, name)	 check(name, 0xaa00000000 + GPR_##symbol);
#define REG(symbol, name, bytes) check(name, fake_backend.reg_get(vcpu, REG_##symbol));
#define SEG(symbol, name)	 check("base", 0x7700 + SEG_##symbol * 0x10);
#include <undercroft/regs.def>
	assert_int_equal(fake->dumps, 1);
}

/* Lines that an 80-column screen holds. */
static void test_lines(void **state)
{
	(void)state;
	memset(vcpu->gpr, 0xff, sizeof(vcpu->gpr));
	vcpu_dump(vcpu);
	for (const char *line = spine.log, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
		assert_in_range(end - line, 1, 80);
	assert_int_equal(spine.log[strlen(spine.log) - 1], '\n');
}

static void test_code_cannot_be_read(void **state)
{
	(void)state;
	fake->reg[REG_CR0] = CR0_PE | CR0_PG;
	fake->reg[REG_CR3] = 0x300000;
	vcpu_dump(vcpu);
	assert_true(spine_logged(&spine, "code: cannot be read\n"));
	assert_true(spine_logged(&spine, "mode prot16"));
	assert_int_equal(fake->dumps, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, spine_setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_everything),
		TEST(test_lines),
		TEST(test_code_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
