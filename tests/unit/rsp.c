/* SPDX-License-Identifier: BSD-2-Clause */
/* core/control/rsp.c: packets cut, damaged, too long, acknowledged or not; replies in few characters. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "core/control/rsp.h"
#include "tests/fakes/fake_frontend.h"

static struct fake_platform platform;
static struct fake_frontend wire;
static struct link line;
static struct rsp rsp;

static int setup(void **state)
{
	(void)state;
	fake_platform_init(&platform, PAGE_SIZE);
	fake_frontend_init(&wire, &platform);
	link_init(&line, &wire.frontend);
	rsp_init(&rsp, &line);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_platform_free(&platform);
	return 0;
}

static void say(const char *text)
{
	fake_frontend_say(&wire, text, strlen(text));
}

/* What came out, and nothing else. */
static void expect_out(const char *text)
{
	assert_int_equal(wire.out_count, strlen(text));
	assert_memory_equal(wire.out, text, wire.out_count);
	wire.out_count = 0;
}

static void test_packet_is_taken_and_acknowledged(void **state)
{
	(void)state;
	say("$m1000,4#8e");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	assert_string_equal(rsp.in, "m1000,4");
	assert_int_equal(rsp.in_length, 7);
	expect_out("+");
	assert_int_equal(rsp_poll(&rsp), RSP_NOTHING);
}

static void test_packet_cut_at_each_byte(void **state)
{
	static const char packet[] = "$X100,3:a}\x03"
				     "b#c5";

	(void)state;
	for (size_t cut = 1; cut < sizeof(packet) - 1; cut++) {
		fake_frontend_say(&wire, packet, cut);
		assert_int_equal(rsp_poll(&rsp), RSP_NOTHING);
		fake_frontend_say(&wire, packet + cut, sizeof(packet) - 1 - cut);
		assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
		assert_int_equal(rsp.in_length, 10);
		assert_memory_equal(rsp.in, "X100,3:a#b", 10);
		expect_out("+");
	}
}

static void test_wrong_checksum_is_refused(void **state)
{
	(void)state;
	say("$m1000,4#8f$g#6x$g#x7");
	assert_int_equal(rsp_poll(&rsp), RSP_NOTHING);
	expect_out("---");
	say("$g#67");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	expect_out("+");
}

static void test_capital_checksum_digits(void **state)
{
	(void)state;
	say("$m1000,4#8E");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
}

static void test_new_start_inside_a_packet(void **state)
{
	(void)state;
	say("$m10$g#67");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	assert_string_equal(rsp.in, "g");
	say("$m#$g#67");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	say("$m#6$g#67");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	expect_out("+++");
}

static void test_two_packets_at_once(void **state)
{
	(void)state;
	say("$g#67$?#3f");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	assert_string_equal(rsp.in, "g");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	assert_string_equal(rsp.in, "?");
}

static void test_interrupt_between_packets_only(void **state)
{
	(void)state;
	say("\x03");
	assert_int_equal(rsp_poll(&rsp), RSP_INTERRUPT);
	say("$a\x03"
	    "b#c6");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	assert_int_equal(rsp.in_length, 3);
}

/* length characters of content */
static void say_long(size_t length)
{
	static char content[2 * RSP_PACKET_MAX + 8];
	char tail[5] = "#00";
	uint8_t sum = (uint8_t)(length * 'a');

	content[0] = '$';
	memset(content + 1, 'a', length);
	fake_frontend_say(&wire, content, length + 1);
	tail[1] = "0123456789abcdef"[sum >> 4];
	tail[2] = "0123456789abcdef"[sum & 15];
	say(tail);
}

/* The line keeps 512 bytes: a packet comes in several looks. */
static enum rsp_event poll_long(void)
{
	enum rsp_event event = RSP_NOTHING;

	for (unsigned i = 0; i < 100 && event == RSP_NOTHING; i++)
		event = rsp_poll(&rsp);
	return event;
}

static void test_exact_packet_size(void **state)
{
	(void)state;
	say_long(RSP_PACKET_MAX);
	assert_int_equal(poll_long(), RSP_PACKET);
	assert_int_equal(rsp.in_length, RSP_PACKET_MAX);
	say_long(RSP_PACKET_MAX + 1);
	assert_int_equal(poll_long(), RSP_TOO_LONG);
	say("$g#67");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
}

static void test_garbage_is_counted(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * RSP_GARBAGE_MAX / 64; i++) {
		char noise[64];

		memset(noise, i & 1 ? '$' : 'x', sizeof(noise));
		fake_frontend_say(&wire, noise, sizeof(noise));
		seen += rsp_poll(&rsp) == RSP_GARBAGE;
	}
	assert_int_equal(seen, 2);
	say("#");
	say("$g#67");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
}

static void test_half_a_packet_is_given_up(void **state)
{
	(void)state;
	say("$m1000");
	assert_int_equal(rsp_poll(&rsp), RSP_NOTHING);
	platform.clock_us += RSP_STALE_US;
	say("\x03");
	assert_int_equal(rsp_poll(&rsp), RSP_INTERRUPT);
}

static void reply(const char *text)
{
	rsp_begin(&rsp);
	rsp_text(&rsp, text);
	rsp_end(&rsp);
}

static void test_reply_is_framed(void **state)
{
	(void)state;
	reply("OK");
	expect_out("$OK#9a");
	reply("");
	assert_int_equal(rsp.out_length, 4);
}

static void test_refused_reply_is_sent_again(void **state)
{
	(void)state;
	reply("OK");
	wire.out_count = 0;
	say("-");
	assert_int_equal(rsp_poll(&rsp), RSP_NOTHING);
	expect_out("$OK#9a");
	say("+-");
	assert_int_equal(rsp_poll(&rsp), RSP_NOTHING);
	expect_out("");
	/* not for ever */
	reply("OK");
	wire.out_count = 0;
	for (unsigned i = 0; i < 3 * RSP_RESEND_MAX; i++)
		say("-");
	assert_int_equal(rsp_poll(&rsp), RSP_NOTHING);
	assert_int_equal(wire.out_count, 6 * RSP_RESEND_MAX);
}

static void test_second_reply_waits_for_the_first(void **state)
{
	uint64_t start = platform.clock_us;

	(void)state;
	reply("O41");
	say("-\x03+");
	reply("O42");
	/* the first, again, the second; the interrupt is not lost */
	expect_out("$O41#b4$O41#b4$O42#b5");
	assert_int_equal(rsp_poll(&rsp), RSP_INTERRUPT);
	assert_in_range(platform.clock_us - start, 0, RSP_ACK_US / 2);
	/* nobody acknowledges: bounded */
	reply("O43");
	assert_in_range(platform.clock_us - start, RSP_ACK_US, 2 * RSP_ACK_US);
}

static void test_no_acknowledgements(void **state)
{
	(void)state;
	say("$QStartNoAckMode#b0");
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	reply("OK");
	rsp.no_ack = true;
	say("+$g#67$g#68");
	wire.out_count = 0;
	assert_int_equal(rsp_poll(&rsp), RSP_PACKET);
	assert_int_equal(rsp_poll(&rsp), RSP_NOTHING);
	expect_out("");
	/* who acknowledges now has not heard of it */
	say("+");
	assert_int_equal(rsp_poll(&rsp), RSP_NEW);
}

static void test_runs_of_each_length(void **state)
{
	(void)state;
	for (unsigned length = 1; length < 400; length++) {
		unsigned total = 0;

		rsp_begin(&rsp);
		for (unsigned i = 0; i < length; i++)
			rsp_char(&rsp, '0');
		rsp_end(&rsp);
		assert_int_equal(rsp.out[1], '0');
		for (size_t i = 1; i < rsp.out_length - 3; i++) {
			if (rsp.out[i] != '*') {
				assert_int_equal(rsp.out[i], '0');
				total++;
				continue;
			}
			i++;
			assert_in_range(rsp.out[i], 32, 126);
			assert_int_not_equal(rsp.out[i], '#');
			assert_int_not_equal(rsp.out[i], '$');
			total += rsp.out[i] - 29u;
		}
		assert_int_equal(total, length);
		assert_true(rsp.out_length <= 4 + length);
		rsp.unacked = false;
		wire.out_count = 0;
	}
	/* the sum of a zero page of digits */
	rsp_begin(&rsp);
	for (unsigned i = 0; i < 4096; i++)
		rsp_char(&rsp, '0');
	rsp_end(&rsp);
	assert_true(rsp.out_length < 140);
}

static void test_binary_is_escaped(void **state)
{
	static const uint8_t bytes[] = {'#', '$', '}', '*', 0, '}', ']', ']', ']', ']', ']', 0xff};

	(void)state;
	rsp_begin(&rsp);
	rsp_binary(&rsp, bytes, sizeof(bytes));
	rsp_end(&rsp);
	/* the run behind the escaped } begins with a character that is not part of the escape */
	assert_memory_equal(rsp.out, "$}\x03}\x04}]}\x0a\0}]]*!\xff#", 17);
	assert_int_equal(rsp.out_length, 19);
}

static void test_reply_that_does_not_fit(void **state)
{
	(void)state;
	rsp_begin(&rsp);
	for (unsigned i = 0; i < RSP_PACKET_MAX; i++)
		rsp_char(&rsp, i & 1 ? 'a' : 'b');
	rsp_end(&rsp);
	assert_int_equal(rsp.out_length, RSP_PACKET_MAX + 4);
	wire.out_count = 0;
	rsp.unacked = false;
	rsp_begin(&rsp);
	for (unsigned i = 0; i <= RSP_PACKET_MAX; i++)
		rsp_char(&rsp, i & 1 ? 'a' : 'b');
	rsp_end(&rsp);
	assert_memory_equal(wire.out, "$E.croft.", 9);
}

static void test_long_work_is_interrupted(void **state)
{
	(void)state;
	assert_false(rsp_interrupted(&rsp));
	say("+x\x03");
	assert_true(rsp_interrupted(&rsp));
	assert_false(rsp_interrupted(&rsp));
}

/* A wire that always has something more. */
static void chatter(struct fake_frontend *fake)
{
	fake->in_read = fake->in_count = 0;
	fake_frontend_say(fake, "xxxxxxxx", FAKE_PACKET);
}

static void test_long_work_under_noise(void **state)
{
	(void)state;
	wire.on_silence = chatter;
	assert_false(rsp_interrupted(&rsp));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_packet_is_taken_and_acknowledged),
		T(test_packet_cut_at_each_byte),
		T(test_wrong_checksum_is_refused),
		T(test_capital_checksum_digits),
		T(test_new_start_inside_a_packet),
		T(test_two_packets_at_once),
		T(test_interrupt_between_packets_only),
		T(test_exact_packet_size),
		T(test_garbage_is_counted),
		T(test_half_a_packet_is_given_up),
		T(test_reply_is_framed),
		T(test_refused_reply_is_sent_again),
		T(test_second_reply_waits_for_the_first),
		T(test_no_acknowledgements),
		T(test_runs_of_each_length),
		T(test_binary_is_escaped),
		T(test_reply_that_does_not_fit),
		T(test_long_work_is_interrupted),
		T(test_long_work_under_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
