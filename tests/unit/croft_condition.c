/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/croft/condition.c: what people write, evaluated by the hypervisor's own evaluator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <undercroft/types.h>

#include "client/croft/condition.h"
#include "core/debug/agent.h"
#include "tests/fakes/fake_stub.h"

static const struct fake_line script[] = {
	{"qSupported*", "PacketSize=1000;qXfer:croft.log:read+;ConditionalBreakpoints+"},
	{"?", "T05thread:1;"},
	{"Qcroft.as:*", "OK"},
	{"D", "OK"},
	{NULL, NULL},
};

static struct fake_stub stub;
static struct shell shell;

static int set_up(void **state)
{
	static const char names[] = "0000000000001000 D there\n0000000000001010 D al_is_no_register\n";
	char path[] = "/tmp/croft-condition-XXXXXX";
	int file = mkstemp(path);
	struct croft_error error;
	(void)state;

	assert_int_equal(write(file, names, sizeof(names) - 1), sizeof(names) - 1);
	close(file);
	stub.script = script;
	fake_stub_start(&stub);
	shell.out.to = stdout;
	shell.target = stub.target;
	shell.symbols = symbols_new();
	assert_int_equal(shell_attach(&shell, CROFT_OPEN_PLAIN, 60000), OUTCOME_DONE);
	assert_int_equal(symbols_load(shell.symbols, path, &error), CROFT_OK);
	unlink(path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	shell_detach(&shell);
	fake_stub_end(&stub);
	symbols_free(shell.symbols);
	return 0;
}

/* rax, rbx, rcx ... in RSP's order; all others have their number's square. */
static bool reg(void *context, unsigned number, uint64_t *value)
{
	static const uint64_t values[] = {0x8877665544332211, 3, ~0ull, 0x1000, 0, 1};

	(void)context;
	*value = number < ARRAY_SIZE(values) ? values[number] : (uint64_t)number * number;
	return true;
}

static bool memory(void *context, uint64_t address, unsigned size, uint64_t *value)
{
	static const uint8_t bytes[16] = {0x55, 0xaa, 0xff, 0xff, 1,	0,    0,    0,
					  0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	(void)context;
	*value = 0;
	if (address < 0x1000 || address + size > 0x1000 + sizeof(bytes))
		return false;
	memcpy(value, bytes + address - 0x1000, size);
	return true;
}

static const char *evaluate(const char *text, uint64_t *value)
{
	const struct agent_source source = {.reg = reg, .memory = memory};
	struct agent_op ops[AGENT_OPS(CONDITION_MAX)];
	uint8_t code[CONDITION_MAX];
	struct croft_error error;
	size_t length;

	if (condition_compile(&shell, text, code, &length, &error))
		fail_msg("%s", error.text);
	agent_compile(code, length, NULL, 0, ops);
	return agent_evaluate(&source, ops, value);
}

static void test_values(void **state)
{
	/* what C makes of the same, with the registers as variables of unsigned 64 bits */
	static const struct {
		const char *text;
		uint64_t value;
	} cases[] = {
		{"1", 1},
		{"0x123456789abcdef0", 0x123456789abcdef0},
		{"4K", 4096},
		{"65536", 65536},
		{"rax", 0x8877665544332211},
		{"$rbx", 3},
		{"eax", 0x44332211},
		{"ax", 0x2211},
		{"al", 0x11},
		{"ah", 0x22},
		{"there", 0x1000},
		{"al_is_no_register", 0x1010},
		{"rip", 16 * 16},
		{"cs", 18 * 18},
		/* precedence */
		{"1+2*3", 7},
		{"(1+2)*3", 9},
		{"7-2-1", 4},
		{"1<<2+1", 8},
		{"1|2^3&1", 1 | (2 ^ (3 & 1))},
		{"6&3==3", 6 & (3 == 3)},
		{"2<3==1", 1},
		{"1==1&&2==2||0", 1},
		{"1||0&&0", 1},
		{"-1+2", 1},
		{"!0+1", 2},
		{"~0", ~0ull},
		{"- -3", 3},
		{"17%5*2", 4},
		{"100/7/2", 7},
		/* operators, both ways */
		{"3<4", 1},
		{"4<3", 0},
		{"3<3", 0},
		{"3<=3", 1},
		{"4<=3", 0},
		{"3>=3", 1},
		{"3>=4", 0},
		{"4>3", 1},
		{"3>4", 0},
		{"3!=4", 1},
		{"3!=3", 0},
		{"!3", 0},
		{"rbx==3", 1},
		/* signs */
		{"-1<0", 1},
		{"rcx<0", 0},
		{"-1<rbx", 0},
		{"i64(rcx)<0", 1},
		{"-7/2", (uint64_t)-3},
		{"-7%2", (uint64_t)-1},
		{"rcx/2", ~0ull / 2},
		{"-8>>1", (uint64_t)-4},
		{"rcx>>63", 1},
		{"i64(rcx)>>rbx", ~0ull},
		{"(rcx<0)-1", ~0ull},
		{"u8(-1)", 0xff},
		{"i8(0xff)", ~0ull},
		{"u32(rax)", 0x44332211},
		{"i16(u16[there])", 0xffffffffffffaa55},
		/* memory */
		{"u8[0x1000]", 0x55},
		{"u16[there]==0xaa55", 1},
		{"i16[there]", 0xffffffffffffaa55},
		{"u32[rdx+4]", 1},
		{"u32[there+2]", 0x1ffff},
		{"i64[there+8]", (uint64_t)-2},
		{"i64[there+8]<0", 1},
		{"u64[there+8]<0", 0},
		{"u8[ there + u32[there+4] ]", 0xaa},
		/* the right side is not looked at */
		{"0 && u8[0]", 0},
		{"1 || u8[0]", 1},
		{"5 && 7", 1},
		{"0 || 7", 1},
		{"0 || 0", 0},
		{"rbx == 3 && (al == 0x11 || u8[0]) && !(rcx == 0)", 1},
	};
	(void)state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 0;
		const char *error = evaluate(cases[i].text, &value);

		if (error || value != cases[i].value)
			fail_msg("%s: %llx, not %llx (%s)", cases[i].text, (unsigned long long)value,
				 (unsigned long long)cases[i].value, error ? error : "no error");
	}
}

static void test_errors_of_the_guest(void **state)
{
	uint64_t value;
	(void)state;

	assert_string_equal(evaluate("u8[0]", &value), "memory that cannot be read");
	assert_string_equal(evaluate("1/(rbx-3)", &value), "division by zero");
}

static void test_errors(void **state)
{
	static const char *const texts[] = {"",
					    "1+",
					    "(1",
					    "1)",
					    "u8[1",
					    "u8[1)",
					    "i64(1]",
					    "nowhere==1",
					    "1 2",
					    "rax = 1",
					    "&rax",
					    "1 <",
					    "u8",
					    "u9[1]",
					    "%",
					    "0x",
					    "1 &&",
					    "$nowhere",
					    "((((((((((((((((((((((((((((1))))))))))))))))))))))))))))",
					    "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!1",
					    "xmm0",
					    "\x80"};
	uint8_t code[CONDITION_MAX];
	struct croft_error error;
	char many[2000] = "1";
	size_t length;
	(void)state;

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		length = 1;
		if (condition_compile(&shell, texts[i], code, &length, &error) != CROFT_ERROR_ARGUMENT || length)
			fail_msg("%s: %zu bytes", texts[i], length);
		assert_true(strlen(error.text) > 3);
	}
	for (unsigned i = 0; i < 300; i++)
		strcat(many, "+rax");
	assert_int_equal(condition_compile(&shell, many, code, &length, &error), CROFT_ERROR_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors_of_the_guest),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
