/* SPDX-License-Identifier: BSD-2-Clause */
/* core/log.c: the formatter against the C library's, the ring, the sinks. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/log.h>

#define CHECK_SAME(...)                                                                     \
	do {                                                                                \
		char ours[512], theirs[512];                                                \
		int expected = snprintf(theirs, sizeof(theirs), __VA_ARGS__);               \
                                                                                            \
		assert_int_equal(format_string(ours, sizeof(ours), __VA_ARGS__), expected); \
		assert_string_equal(ours, theirs);                                          \
	} while (0)

static void test_format_like_libc(void **state)
{
	static const int numbers[] = {0, 1, -1, 9, 10, -10, 12345, INT_MAX, INT_MIN};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		int n = numbers[i];

		CHECK_SAME("%d|%u|%x", n, (unsigned)n, (unsigned)n);
		CHECK_SAME("%5d|%-5d|%05d|%20u|%-20x|%020x", n, n, n, (unsigned)n, (unsigned)n, (unsigned)n);
		CHECK_SAME("%ld|%lu|%lx", (long)n, (unsigned long)(unsigned)n, (unsigned long)(unsigned)n);
	}
	CHECK_SAME("%ld %ld %lu", LONG_MAX, LONG_MIN, ULONG_MAX);
	CHECK_SAME("%lld %llu %llx", LLONG_MIN, ULLONG_MAX, ULLONG_MAX);
	CHECK_SAME("%zu %zx %016lx", (size_t)-1, (size_t)77, 0xfeed0000000000ul);
	CHECK_SAME("%p|%20p|", (void *)0x1234, (void *)~0ul);
	CHECK_SAME("%c%c|%3c|%-3c|", 'a', '%', 'b', 'c');
	CHECK_SAME("%s|%8s|%-8s|%2s", "text", "text", "text", "text");
	CHECK_SAME("%.*s|%.*s|%.2s|%8.*s", 2, "text", 9, "text", "text", 1, "text");
	CHECK_SAME("%.*s", -1, "text");
	CHECK_SAME("100%% %s%%", "sure");
	CHECK_SAME("nothing");
}

static void test_format_unterminated(void **state)
{
	char bytes[3] = {'a', 'b', 'c'}, out[8];

	(void)state;
	format_string(out, sizeof(out), "%.*s", 3, bytes);
	assert_string_equal(out, "abc");
	format_string(out, sizeof(out), "%.0s", bytes);
	assert_string_equal(out, "");
}

/* The compiler must not see these formats: it would refuse them, as it should. */
static size_t format_hostile(char *buffer, size_t size, const char *format, ...)
{
	size_t length;
	va_list args;

	va_start(args, format);
	length = format_vstring(buffer, size, format, args);
	va_end(args);
	return length;
}

static void test_format_hostile(void **state)
{
	static const char *const literal[] = {
		"%n",	 "%",	 "%5",	"%-",  "%.",	"%l",	"%z",  "%q %f",
		"%lllx", "%lzx", "%ls", "%zs", "%5.3d", "%hhx", "%.*", "%X",
	};
	char out[600];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(literal); i++) {
		assert_int_equal(format_hostile(out, sizeof(out), literal[i]), strlen(literal[i]));
		assert_string_equal(out, literal[i]);
	}
	assert_int_equal(format_hostile(out, sizeof(out), "%99999999999999999999d", 1), 255);
	assert_int_equal(format_hostile(out, sizeof(out), "%-05d|%0-5x|", -7, 0xau), 12);
	assert_string_equal(out, "-7   |a    |");
	assert_int_equal(format_hostile(out, sizeof(out), "%s", NULL), 6);
	assert_string_equal(out, "(null)");
}

static void test_format_sizes(void **state)
{
	char out[6];

	(void)state;
	memset(out, 'x', sizeof(out));
	assert_int_equal(format_string(out, 0, "hello"), 5);
	assert_int_equal(out[0], 'x');
	assert_int_equal(format_string(out, 1, "hello"), 5);
	assert_string_equal(out, "");
	assert_int_equal(out[1], 'x');
	assert_int_equal(format_string(out, 5, "hello"), 5);
	assert_string_equal(out, "hell");
	assert_int_equal(out[5], 'x');
	assert_int_equal(format_string(out, 6, "hello"), 5);
	assert_string_equal(out, "hello");
	assert_int_equal(format_string(NULL, 0, "hello %d", 1), 7);
}

struct test_sink {
	struct log_sink sink;
	char text[4096];
	size_t used;
	unsigned calls;
};

static void test_sink_write(struct log_sink *sink, const char *text, size_t length)
{
	struct test_sink *s = CONTAINER_OF(sink, struct test_sink, sink);

	assert_true(length > 0 && length <= sizeof(s->text) - s->used);
	memcpy(s->text + s->used, text, length);
	s->used += length;
	s->calls++;
}

static void test_sinks(void **state)
{
	static struct test_sink s[LOG_SINK_MAX + 1];
	struct log log = {0};

	(void)state;
	for (unsigned i = 0; i <= LOG_SINK_MAX; i++)
		s[i].sink.write = test_sink_write;
	for (unsigned i = 0; i < LOG_SINK_MAX; i++)
		assert_int_equal(log_sink_add(&log, &s[i].sink), 0);
	assert_int_equal(log_sink_add(&log, &s[LOG_SINK_MAX].sink), -ENOSPC);

	log_printf(&log, "one %d\n", 1);
	assert_int_equal(s[0].calls, 1);
	log_sink_remove(&log, &s[1].sink);
	log_sink_remove(&log, &s[1].sink);
	log_printf(&log, "two\n");
	log_printf(&log, "%s", "");
	assert_int_equal(s[0].used, 10);
	assert_memory_equal(s[0].text, "one 1\ntwo\n", 10);
	assert_int_equal(s[1].used, 6);
	assert_int_equal(s[2].used, 10);
	assert_int_equal(s[LOG_SINK_MAX].used, 0);
	assert_int_equal(log.written, 10);

	assert_int_equal(log_sink_add(&log, &s[LOG_SINK_MAX].sink), 0);
	log_printf(&log, "x");
	assert_int_equal(s[LOG_SINK_MAX].used, 1);
}

static void test_long_line(void **state)
{
	static struct test_sink s;
	struct log log = {0};
	char text[1001];

	(void)state;
	s.sink.write = test_sink_write;
	assert_int_equal(log_sink_add(&log, &s.sink), 0);
	for (size_t i = 0; i < 1000; i++)
		text[i] = (char)('a' + i % 26);
	text[1000] = '\0';
	log_printf(&log, "<%s>", text);
	assert_int_equal(s.used, 1002);
	assert_memory_equal(s.text + 1, text, 1000);
	assert_int_equal(s.text[0], '<');
	assert_int_equal(s.text[1001], '>');
}

static void test_ring(void **state)
{
	char ring[10] = "........#";
	struct log log = {.ring = ring, .ring_size = 8};

	(void)state;
	log_printf(&log, "abc");
	assert_string_equal(ring, "abc.....#");
	log_printf(&log, "defgh");
	assert_string_equal(ring, "abcdefgh#");
	log_printf(&log, "ij");
	assert_string_equal(ring, "ijcdefgh#");
	assert_int_equal(log.written, 10);
	/* More than the ring holds: its last eight, where they would lie had each been written alone. */
	log_printf(&log, "0123456789");
	assert_int_equal(log.written, 20);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(ring[(12 + i) % 8], "23456789"[i]);
	assert_int_equal(ring[8], '#');

	log.ring_size = 0;
	log_printf(&log, "x");
	assert_int_equal(log.written, 21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format_like_libc),
		cmocka_unit_test(test_format_unterminated),
		cmocka_unit_test(test_format_hostile),
		cmocka_unit_test(test_format_sizes),
		cmocka_unit_test(test_sinks),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_ring),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
