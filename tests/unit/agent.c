/* SPDX-License-Identifier: BSD-2-Clause */
/* core/debug/agent_compile.c, agent.c: every operation, every limit, and whatever bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "core/debug/agent.h"

static char printed[AGENT_PRINT_MAX + 1];
static size_t printed_length;
static uint8_t memory[64] = "\x88\x77\x66\x55\x44\x33\x22\x81text";

#define MEMORY 0x1000

static bool reg(void *context, unsigned number, uint64_t *value)
{
	assert_ptr_equal(context, memory);
	*value = number == 0x16 ? 0xfff0 : 7;
	return number < 0x40;
}

static bool read_memory(void *context, uint64_t address, unsigned size, uint64_t *value)
{
	assert_ptr_equal(context, memory);
	if (address < MEMORY || address - MEMORY > sizeof(memory) - size)
		return false;
	*value = 0;
	memcpy(value, memory + (address - MEMORY), size);
	return true;
}

static void print(void *context, const char *text, size_t length)
{
	assert_ptr_equal(context, memory);
	assert_true(length < sizeof(printed) - printed_length);
	memcpy(printed + printed_length, text, length);
	printed_length += length;
	printed[printed_length] = 0;
}

static const uint64_t gpr[] = {11, 22};
static const uint8_t gpr_order[] = {1, 0};

static const struct agent_source source = {
	.context = memory,
	.gpr = gpr,
	.reg = reg,
	.memory = read_memory,
	.print = print,
};

/* In memory of just that size. */
static const char *evaluate(const void *code, size_t length, uint64_t *result)
{
	uint8_t *bytes = test_malloc(length + 1);
	struct agent_op *ops = test_malloc(AGENT_OPS(length) * sizeof(*ops));
	const char *error;

	memcpy(bytes + 1, code, length);
	assert_in_range(agent_compile(bytes + 1, length, gpr_order, ARRAY_SIZE(gpr_order), ops), 1, AGENT_OPS(length));
	test_free(bytes);
	error = agent_evaluate(&source, ops, result);
	test_free(ops);
	return error;
}

static uint64_t value_of(const char *code, size_t length)
{
	uint64_t result = 0xbad;
	const char *error = evaluate(code, length, &result);

	if (error)
		fail_msg("%s", error);
	return result;
}

static const char *error_of(const char *code, size_t length)
{
	uint64_t result;
	const char *error = evaluate(code, length, &result);

	return error ? error : "none";
}

#define VALUE(code)	   value_of(code, sizeof(code) - 1)
#define ERROR(code, error) assert_string_equal(error_of(code, sizeof(code) - 1), error)

#define C8(n)	      "\x22" n
#define M1	      "\x22\xff\x16\x08" /* -1 */
#define END	      "\x27"
#define BIN(a, b, op) VALUE(C8(a) C8(b) op END)

static void test_arithmetic(void **state)
{
	(void)state;
	assert_int_equal(BIN("\x09", "\x04", "\x02"), 13);
	assert_int_equal(BIN("\x09", "\x04", "\x03"), 5);
	assert_int_equal(BIN("\x09", "\x04", "\x04"), 36);
	assert_int_equal(BIN("\x09", "\x04", "\x06"), 2);
	assert_int_equal(BIN("\x09", "\x04", "\x08"), 1);
	assert_true(VALUE("\x22\xf7\x16\x08" C8("\x04") "\x05" END) == (uint64_t)-2);
	assert_true(VALUE("\x22\xf7\x16\x08" C8("\x04") "\x07" END) == (uint64_t)-1);
	assert_int_equal(BIN("\x09", "\x04", "\x09"), 0x90);
	assert_int_equal(BIN("\x90", "\x04", "\x0b"), 9);
	assert_true(VALUE(M1 C8("\x04") "\x0a" END) == ~0ull);
	assert_int_equal(BIN("\x0c", "\x0a", "\x0f"), 8);
	assert_int_equal(BIN("\x0c", "\x0a", "\x10"), 14);
	assert_int_equal(BIN("\x0c", "\x0a", "\x11"), 6);
	assert_int_equal(BIN("\x0c", "\x0c", "\x13"), 1);
	assert_int_equal(VALUE(M1 C8("\x01") "\x14" END), 1);
	assert_int_equal(VALUE(M1 C8("\x01") "\x15" END), 0);
	assert_int_equal(VALUE(C8("\x05") "\x0e" END), 0);
	assert_true(VALUE(C8("\x05") "\x12" END) == ~5ull);
	assert_true(VALUE(M1 "\x2a\x10" END) == 0xffff);
}

/* What a CPU would raise #DE for, or C leaves open. */
static void test_arithmetic_at_its_ends(void **state)
{
	(void)state;
	ERROR(C8("\x09") C8("\x00") "\x05" END, "division by zero");
	ERROR(C8("\x09") C8("\x00") "\x08" END, "division by zero");
	assert_true(VALUE("\x25\x80\0\0\0\0\0\0\0" M1 "\x05" END) == 1ull << 63);
	assert_true(VALUE("\x25\x80\0\0\0\0\0\0\0" M1 "\x07" END) == 0);
	assert_int_equal(BIN("\x09", "\x40", "\x09"), 0);
	assert_int_equal(BIN("\x09", "\xff", "\x0b"), 0);
	assert_true(VALUE(M1 C8("\xff") "\x0a" END) == ~0ull);
	assert_true(VALUE(C8("\xff") "\x16\x00" END) == 0xff);
	assert_true(VALUE(C8("\xff") "\x16\xff" END) == 0xff);
	assert_true(VALUE(C8("\xff") "\x2a\x00" END) == 0);
	assert_true(VALUE(M1 "\x2a\xff" END) == ~0ull);
}

static void test_constants_registers_memory(void **state)
{
	(void)state;
	assert_true(VALUE("\x23\x12\x34" END) == 0x1234);
	assert_true(VALUE("\x24\x12\x34\x56\x78" END) == 0x12345678);
	assert_true(VALUE("\x25\x12\x34\x56\x78\x9a\xbc\xde\xf0" END) == 0x123456789abcdef0);
	assert_true(VALUE("\x26\x00\x16\x22\x01\x13\x27") == 0);
	ERROR("\x26\xff\xff" END, "a register that does not exist");
	assert_true(VALUE("\x26\x00\x00" END) == 22);
	assert_true(VALUE("\x26\x00\x01" END) == 11);
	assert_true(VALUE("\x26\x00\x02" END) == 7);
	assert_true(VALUE("\x23\x10\x00\x17" END) == 0x88);
	assert_true(VALUE("\x23\x10\x00\x18" END) == 0x7788);
	assert_true(VALUE("\x23\x10\x00\x19" END) == 0x55667788);
	assert_true(VALUE("\x23\x10\x00\x1a" END) == 0x8122334455667788);
	ERROR("\x23\x20\x00\x17" END, "memory that cannot be read");
}

static void test_stack(void **state)
{
	(void)state;
	assert_int_equal(VALUE(C8("\x03") "\x28\x04" END), 9);
	assert_int_equal(VALUE(C8("\x03") C8("\x04") "\x29" END), 3);
	assert_true(VALUE(C8("\x03") C8("\x04") "\x2b\x03" END) == 1);
	assert_int_equal(VALUE(C8("\x01") C8("\x02") C8("\x03") "\x32\x02" END), 1);
	assert_int_equal(VALUE(C8("\x01") C8("\x02") C8("\x03") "\x32\x00" END), 3);
	ERROR(C8("\x01") "\x32\x01" END, "too few values on the stack");
	assert_int_equal(VALUE(C8("\x01") C8("\x02") C8("\x03") "\x33" END), 2);
	assert_int_equal(VALUE(C8("\x01") C8("\x02") C8("\x03") "\x33\x29" END), 1);
	assert_int_equal(VALUE(END), 0);
	ERROR("\x02" END, "too few values on the stack");
	ERROR(C8("\x01") "\x02" END, "too few values on the stack");
	ERROR("\x29" END, "too few values on the stack");
}

static void test_jumps(void **state)
{
	(void)state;
	assert_int_equal(VALUE("\x21\x00\x05\x22\x01\x22\x02" END), 2);
	assert_int_equal(VALUE(C8("\x01") "\x20\x00\x08" C8("\x07") END C8("\x09") END), 9);
	assert_int_equal(VALUE(C8("\x00") "\x20\x00\x08" C8("\x07") END C8("\x09") END), 7);
	/* ten times round */
	assert_int_equal(VALUE(C8("\x0a") C8("\x01") "\x03\x28\x20\x00\x02" C8("\x55") END), 0x55);
	ERROR("\x21\x00\x00", "a loop without end");
	ERROR(C8("\x01") "\x20\x00\x00" END, "a loop without end");
	/* to 64 bits of 64 bits, which is nothing, and over what is never reached */
	assert_int_equal(VALUE(C8("\x01") "\x21\x00\x06\x02\x16\x40" END), 1);
	ERROR(C8("\x01") "\x21\x00\x01", "a jump to where no operation begins");
	ERROR(C8("\x01") "\x21\x00\x00", "a jump with another number of values on the stack");
	ERROR(C8("\x01") C8("\x00") "\x20\x00\x09" C8("\x05") END, "a jump with another number of values on the stack");
	ERROR("\x21\xff\xff", "the expression has no end");
}

#define BOTH(first, second, op)                   \
	assert_true(VALUE(first second op END) == \
		    VALUE(first second "\x28\x29" op END)) /* what is between keeps them from being one operation */

/* With a constant or a register behind it, a binary operation is one with that. */
static void test_joined(void **state)
{
	(void)state;
#define EACH(op)                                      \
	BOTH(C8("\x09"), C8("\x04"), op);             \
	BOTH(C8("\x04"), "\x24\xff\xff\xff\xff", op); \
	BOTH(M1, C8("\x09"), op);                     \
	BOTH(C8("\x16"), C8("\x16"), op);             \
	BOTH(C8("\x09"), "\x26\x00\x01", op);         \
	BOTH(M1, "\x26\x00\x01", op);                 \
	BOTH(C8("\x16"), "\x26\x00\x00", op)
	EACH("\x02");
	EACH("\x03");
	EACH("\x04");
	EACH("\x0f");
	EACH("\x10");
	EACH("\x11");
	EACH("\x13");
	EACH("\x14");
	EACH("\x15");
#undef EACH
	/* unless a jump leads to the operation: forward, or back */
	assert_int_equal(VALUE(C8("\x09") C8("\x04") C8("\x01") "\x20\x00\x0c\x29" C8("\x05") "\x03" END), 5);
	assert_int_equal(VALUE(C8("\x09") C8("\x04") C8("\x00") "\x20\x00\x0c\x29" C8("\x05") "\x03" END), 4);
	assert_int_equal(
		VALUE(C8("\x09") C8("\x04") "\x03\x28" C8("\x03") "\x14\x20\x00\x11" C8("\x02") "\x21\x00\x04" END), 1);
	/* the same with what is nothing */
	assert_int_equal(VALUE(C8("\x02") "\x16\x40" C8("\x01") "\x03\x28\x20\x00\x02" END), 0);
}

static void test_damaged(void **state)
{
	uint8_t deep[AGENT_STACK_MAX * 2 + 4];
	uint64_t result;

	(void)state;
	ERROR("", "the expression has no end");
	ERROR(C8("\x01"), "the expression has no end");
	ERROR("\x25\x01", "the expression ends too early");
	ERROR("\x26\x01", "the expression ends too early");
	ERROR("\x34\x00\x00", "too few values on the stack");
	ERROR("\x00" END, "an operation that does not exist");
	ERROR("\x01" END, "an operation that does not exist");
	ERROR("\x1b" END, "an operation that does not exist");
	ERROR("\xff" END, "an operation that does not exist");
	for (size_t i = 0; i < sizeof(deep); i += 2) {
		deep[i] = 0x22;
		deep[i + 1] = 1;
	}
	deep[AGENT_STACK_MAX * 2] = 0x27;
	assert_null(evaluate(deep, sizeof(deep), &result));
	deep[AGENT_STACK_MAX * 2] = 0x22;
	assert_string_equal(evaluate(deep, sizeof(deep), &result), "too many values on the stack");
}

static void test_printf(void **state)
{
	(void)state;
	printed_length = 0;
	VALUE(C8("\x0a") C8("\x00") C8("\x00") "\x34\x01\x00\x0ax=%d %%\\n\0" END);
	assert_string_equal(printed, "x=10 %\n");
	printed_length = 0;
	VALUE(M1 "\x23\x10\x08" M1 C8("\xab") C8("\x00") C8("\x00") "\x34\x04\x00\x12%#08lx %d %s %u\\t\0" END);
	assert_string_equal(printed, "ab -1 text 18446744073709551615\t");
	printed_length = 0;
	VALUE(C8("A") C8("\x10") C8("\x00") C8("\x00") "\x34\x02\x00\x05%p%c\0" END);
	assert_string_equal(printed, "0x10A");
	ERROR(C8("\x00") C8("\x00") "\x34\x00\x00\x03%d\0" END, "a format with more conversions than arguments");
	ERROR(C8("\x01") C8("\x00") C8("\x00") "\x34\x01\x00\x02%\0" END, "a format that ends in a conversion");
	ERROR(C8("\x00") C8("\x00") "\x34\x01\x00\x03%d\0" END, "too few values on the stack");
	ERROR(C8("\x00") C8("\x00") "\x34\x00\x01\x03%d\0" END, "the expression ends too early");
	/* text without end, by a loop */
	printed_length = 0;
	ERROR(C8("\x00") C8("\x00") "\x34\x00\x00\x04xyz\0\x21\x00\x00", "a loop without end");
	assert_int_equal(printed_length, AGENT_PRINT_MAX);
	/* arguments that no conversion takes go as well */
	assert_int_equal(VALUE(C8("\x07") C8("\x01") C8("\x00") C8("\x00") "\x34\x01\x00\x01\0" END), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_arithmetic_at_its_ends),
		cmocka_unit_test(test_constants_registers_memory),
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_printf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
