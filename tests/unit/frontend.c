/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frontends as log sinks, on a frontend that takes a few bytes at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <undercroft/errno.h>
#include <undercroft/frontend.h>
#include <undercroft/platform.h>

struct slow_frontend {
	struct frontend frontend; /* first */
	char got[32];
	size_t length, piece, room;
	int recover;
};

static size_t slow_write(struct frontend *frontend, const void *data, size_t length)
{
	struct slow_frontend *slow = (struct slow_frontend *)frontend;
	size_t taken = length < slow->piece ? length : slow->piece;

	if (taken > slow->room - slow->length)
		taken = slow->room - slow->length;
	memcpy(slow->got + slow->length, data, taken);
	slow->length += taken;
	return taken;
}

static int slow_recover(struct frontend *frontend)
{
	return ((struct slow_frontend *)frontend)->recover;
}

static const struct frontend_ops slow_ops = {
	.name = "slow",
	.compatible = "test,slow",
	.size = sizeof(struct slow_frontend),
	.write = slow_write,
	.recover = slow_recover,
};

static const struct frontend_ops other_ops = {.name = "other", .compatible = "test,other", .size = 8};

static void slow_say(struct slow_frontend *slow, const char *text)
{
	struct frontend_sink sink;

	slow->frontend.ops = &slow_ops;
	frontend_sink_init(&sink, &slow->frontend);
	sink.sink.write(&sink.sink, text, strlen(text));
}

static void test_sink_writes_all(void **state)
{
	struct slow_frontend slow = {.piece = 3, .room = sizeof(slow.got)};

	(void)state;
	slow_say(&slow, "ten bytes!");
	assert_int_equal(slow.length, 10);
	assert_memory_equal(slow.got, "ten bytes!", 10);
}

static void test_sink_gives_up(void **state)
{
	struct slow_frontend slow = {.piece = 3, .room = 4};

	(void)state;
	slow_say(&slow, "ten bytes!");
	assert_int_equal(slow.length, 4);
}

static void test_sink_of_lost_device(void **state)
{
	struct slow_frontend slow = {.piece = 3, .room = sizeof(slow.got), .recover = -ENODEV};

	(void)state;
	slow_say(&slow, "ten bytes!");
	assert_int_equal(slow.length, 0);
}

/* A listener that takes nothing until a time; each look at the clock takes 10 us. */
static uint64_t clock_us, listens_us;

static uint64_t clock_now(struct platform *platform)
{
	(void)platform;
	return clock_us += 10;
}

static size_t late_write(struct frontend *frontend, const void *data, size_t length)
{
	return clock_us < listens_us ? 0 : slow_write(frontend, data, length);
}

static void test_sink_is_patient(void **state)
{
	static const struct platform_ops platform_ops = {.now_us = clock_now};
	static const struct frontend_ops late_ops = {.name = "late", .write = late_write, .recover = slow_recover};
	struct platform platform = {.ops = &platform_ops};
	struct slow_frontend slow = {
		.frontend = {.ops = &late_ops, .platform = &platform},
		.piece = 3,
		.room = sizeof(slow.got),
	};
	struct frontend_sink sink;

	(void)state;
	frontend_sink_init(&sink, &slow.frontend);
	clock_us = 0;
	listens_us = 900;
	sink.patience_us = 1000;
	sink.sink.write(&sink.sink, "ten bytes!", 10);
	assert_memory_equal(slow.got, "ten bytes!", 10);
	assert_int_equal(sink.patience_us, 1000);

	/* nobody listens: waited for once */
	slow.length = 0;
	listens_us = ~0ull;
	clock_us = 0;
	sink.sink.write(&sink.sink, "ten bytes!", 10);
	assert_int_equal(slow.length, 0);
	assert_in_range(clock_us, 1000, 1100);
	clock_us = 0;
	sink.sink.write(&sink.sink, "ten bytes!", 10);
	assert_int_equal(clock_us, 0);
}

static void test_find(void **state)
{
	const struct frontend_ops *const set[] = {&other_ops, &slow_ops};

	(void)state;
	assert_ptr_equal(frontend_find(set, 2, "test,slow", sizeof(struct slow_frontend)), &slow_ops);
	assert_null(frontend_find(set, 2, "test,slow", sizeof(struct slow_frontend) - 1));
	assert_null(frontend_find(set, 2, "test,none", 4096));
	assert_null(frontend_find(set, 0, "test,other", 4096));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sink_writes_all),
		cmocka_unit_test(test_sink_gives_up),
		cmocka_unit_test(test_sink_of_lost_device),
		cmocka_unit_test(test_sink_is_patient),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
