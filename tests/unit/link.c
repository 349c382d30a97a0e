/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/control/link.c over a mailbox: plain, framed, and the ways between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <undercroft/errno.h>

#include "core/control/frame.h"
#include "core/control/link.h"
#include "tests/fakes/fake_frontend.h"

struct bench {
	struct fake_platform platform;
	struct fake_frontend mailbox;
	struct link link;
};

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	fake_platform_init(&bench->platform, PAGE_SIZE);
	fake_frontend_init(&bench->mailbox, &bench->platform);
	link_init(&bench->link, &bench->mailbox.frontend);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	fake_platform_free(&bench->platform);
	free(bench);
	return 0;
}

static void pattern(uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void test_bytes_pass_unchanged(void **state)
{
	struct bench *bench = *state;
	uint8_t all[5000], got[5000];
	size_t count = 0;

	pattern(all, sizeof(all));
	fake_frontend_say(&bench->mailbox, all, sizeof(all));
	for (size_t piece = 1; count < sizeof(got); piece = piece * 3 % 1001) {
		size_t room = sizeof(got) - count < piece ? sizeof(got) - count : piece;

		if (piece % 2)
			link_poll(&bench->link);
		count += link_read(&bench->link, LINK_RSP, got + count, room);
	}
	assert_memory_equal(got, all, sizeof(all));
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, 1), 0);

	assert_int_equal(link_write(&bench->link, LINK_RSP, all, sizeof(all)), sizeof(all));
	assert_int_equal(link_flush(&bench->link), 0);
	assert_int_equal(bench->mailbox.out_count, sizeof(all));
	assert_memory_equal(bench->mailbox.out, all, sizeof(all));
}

/* A device with little memory of its own must not lose what arrives while we send. */
static void answer(struct fake_frontend *fake)
{
	assert_true(fake->in_count - fake->in_read <= FAKE_PACKET);
	fake_frontend_say(fake, "12345678", 8);
}

static void test_takes_in_while_it_sends(void **state)
{
	struct bench *bench = *state;
	uint8_t all[400] = {0}, got[400];

	bench->mailbox.on_write = answer;
	assert_int_equal(link_write(&bench->link, LINK_RSP, all, sizeof(all)), sizeof(all));
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), sizeof(got));
	for (size_t i = 0; i < sizeof(got); i++)
		assert_int_equal(got[i], '1' + i % 8);
}

static void test_full_ring_leaves_bytes_in_the_device(void **state)
{
	struct bench *bench = *state;
	uint8_t all[LINK_IN_SIZE + 100], got[sizeof(all)];

	pattern(all, sizeof(all));
	fake_frontend_say(&bench->mailbox, all, sizeof(all));
	link_poll(&bench->link);
	link_poll(&bench->link);
	assert_int_equal(bench->mailbox.in_read, LINK_IN_SIZE);
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, all, sizeof(all));
}

static void test_stuck_device_is_waited_for_once(void **state)
{
	struct bench *bench = *state;
	uint64_t start = bench->platform.clock_us, stall = bench->mailbox.frontend.stall_us;

	bench->mailbox.stuck = true;
	assert_int_equal(link_write(&bench->link, LINK_RSP, "abc", 3), 0);
	assert_in_range(bench->platform.clock_us - start, stall, stall + 20);
	start = bench->platform.clock_us;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(link_write(&bench->link, LINK_RSP, "abc", 3), 0);
	assert_true(bench->platform.clock_us - start < 1000);
	bench->mailbox.stuck = false;
	assert_int_equal(link_write(&bench->link, LINK_RSP, "0123456789", 10), 10);
	assert_memory_equal(bench->mailbox.out, "0123456789", 10);
}

static void test_reset_device_is_recovered(void **state)
{
	struct bench *bench = *state;
	uint8_t byte;

	fake_frontend_say(&bench->mailbox, "a", 1);
	assert_int_equal(link_read(&bench->link, LINK_RSP, &byte, 1), 1);
	bench->mailbox.was_reset = true;
	fake_frontend_say(&bench->mailbox, "b", 1);
	bench->platform.clock_us += LINK_CHECK_US;
	link_poll(&bench->link);
	assert_int_equal(bench->mailbox.recovered, 1);
	assert_int_equal(link_read(&bench->link, LINK_RSP, &byte, 1), 1);
	assert_int_equal(byte, 'b');

	bench->mailbox.was_reset = true;
	bench->platform.clock_us += LINK_CHECK_US;
	assert_int_equal(link_write(&bench->link, LINK_RSP, "c", 1), 1);
	assert_int_equal(bench->mailbox.recovered, 2);

	bench->mailbox.gone = true;
	bench->platform.clock_us += LINK_CHECK_US;
	link_poll(&bench->link);
	assert_int_equal(link_read(&bench->link, LINK_RSP, &byte, 1), 0);
	bench->platform.clock_us += LINK_CHECK_US;
	assert_int_equal(link_write(&bench->link, LINK_RSP, "c", 1), 0);
}

static void test_log_text_between_clients(void **state)
{
	struct bench *bench = *state;
	struct log log = {0};

	assert_int_equal(log_sink_add(&log, &bench->link.log), 0);
	log_printf(&log, "one\n");
	link_attach(&bench->link);
	log_printf(&log, "two\n");
	assert_int_equal(link_write(&bench->link, LINK_LOG, "three", 5), 5);
	assert_int_equal(link_write(&bench->link, LINK_RSP, "$OK#9a", 6), 6);
	link_reset(&bench->link);
	log_printf(&log, "four\n");
	assert_int_equal(bench->mailbox.out_count, 15);
	assert_memory_equal(bench->mailbox.out, "one\n$OK#9afour\n", 15);
}

static void test_plain_has_one_channel(void **state)
{
	struct bench *bench = *state;
	uint8_t byte;

	fake_frontend_say(&bench->mailbox, "a", 1);
	assert_int_equal(link_read(&bench->link, LINK_LOG, &byte, 1), 0);
	assert_int_equal(link_read(&bench->link, LINK_BULK, &byte, 1), 0);
	assert_int_equal(link_write(&bench->link, LINK_BULK, "x", 1), 0);
	assert_int_equal(bench->mailbox.out_count, 0);
	assert_false(link_is_reliable(&bench->link));
	link_poll(&bench->link);
	link_reset(&bench->link);
	assert_int_equal(link_read(&bench->link, LINK_RSP, &byte, 1), 1);
}

/* --- framed: the test is the client ---------------------------------------------------------------------------- */

struct client {
	struct frame frame;
	size_t heard; /* of what the link has sent */
};

/* Takes what the link sent. */
static void client_hear(struct bench *bench, struct client *client)
{
	struct fake_frontend *mailbox = &bench->mailbox;

	frame_receive(&client->frame, mailbox->out + client->heard, mailbox->out_count - client->heard,
		      bench->platform.clock_us);
	client->heard = mailbox->out_count;
}

/* The same, and gives what it is due. */
static void client_turn(struct bench *bench, struct client *client)
{
	struct fake_frontend *mailbox = &bench->mailbox;
	const uint8_t *bytes;
	size_t length;

	client_hear(bench, client);
	while ((length = frame_output(&client->frame, &bytes, bench->platform.clock_us)) != 0) {
		fake_frontend_say(mailbox, bytes, length);
		frame_sent(&client->frame, length, bench->platform.clock_us);
	}
	if (mailbox->out_count > FAKE_QUEUE / 2)
		mailbox->out_count = client->heard = 0;
	if (mailbox->in_read == mailbox->in_count)
		mailbox->in_count = mailbox->in_read = 0;
}

static void wait_for(struct bench *bench, uint64_t time_us)
{
	for (uint64_t end = bench->platform.clock_us + time_us; bench->platform.clock_us < end;) {
		bench->platform.clock_us += 10000;
		link_poll(&bench->link);
	}
}

static struct client *client_make(struct bench *bench)
{
	struct client *client = calloc(1, sizeof(*client));

	link_frame(&bench->link);
	frame_init(&client->frame, 100000, bench->platform.clock_us);
	return client;
}

static struct client *turning;
static struct bench *turning_bench;

static void client_on_write(struct fake_frontend *fake)
{
	(void)fake;
	client_turn(turning_bench, turning);
}

static void test_framed_channels(void **state)
{
	struct bench *bench = *state;
	struct client *client = client_make(bench);
	struct log log = {0};
	char got[32];

	log_sink_add(&log, &bench->link.log);
	assert_true(link_is_reliable(&bench->link));
	for (unsigned i = 0; i < 10; i++) {
		client_turn(bench, client);
		wait_for(bench, 10000);
	}
	assert_int_equal(link_write(&bench->link, LINK_RSP, "$OK#9a", 6), 6);
	log_printf(&log, "said\n");
	assert_int_equal(link_write(&bench->link, LINK_BULK, "bulk", 4), 4);
	assert_int_equal(link_flush(&bench->link), 0);
	client_turn(bench, client);
	assert_int_equal(frame_read(&client->frame, LINK_RSP, got, sizeof(got)), 6);
	assert_memory_equal(got, "$OK#9a", 6);
	assert_int_equal(frame_read(&client->frame, LINK_LOG, got, sizeof(got)), 5);
	assert_memory_equal(got, "said\n", 5);
	assert_int_equal(frame_read(&client->frame, LINK_BULK, got, sizeof(got)), 4);
	assert_int_equal(frame_write(&client->frame, LINK_RSP, "$g#67", 5), 5);
	assert_int_equal(frame_write(&client->frame, LINK_BULK, "image", 5), 5);
	client_turn(bench, client);
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), 5);
	assert_memory_equal(got, "$g#67", 5);
	assert_int_equal(link_read(&bench->link, LINK_BULK, got, sizeof(got)), 5);
	assert_int_equal(link_read(&bench->link, LINK_LOG, got, sizeof(got)), 0);
	free(client);
}

/* Large contents take what room there is, and no time: neither for a client that reads nothing nor for the device. */
static void test_framed_bulk_does_not_wait(void **state)
{
	struct bench *bench = *state;
	struct client *client = client_make(bench);
	static uint8_t all[20000], got[sizeof(all)];
	size_t sent = 0, count = 0;

	pattern(all, sizeof(all));
	wait_for(bench, 10000);
	client_turn(bench, client);
	wait_for(bench, 20000);
	while (sent < sizeof(all)) {
		uint64_t start_us = bench->platform.clock_us;

		sent += link_write(&bench->link, LINK_BULK, all + sent, sizeof(all) - sent);
		assert_in_range(bench->platform.clock_us - start_us, 0, 1000);
		assert_in_range(sent - count, 1, FRAME_WINDOW * FRAME_PAYLOAD_MAX + FRAME_BUFFER);
		wait_for(bench, 10000);
		client_turn(bench, client);
		count += frame_read(&client->frame, LINK_BULK, got + count, sizeof(got) - count);
	}
	while (count < sizeof(all)) {
		wait_for(bench, 10000);
		client_turn(bench, client);
		count += frame_read(&client->frame, LINK_BULK, got + count, sizeof(got) - count);
	}
	assert_memory_equal(got, all, sizeof(all));
	free(client);
}

/* More than a window and a buffer hold: the write waits for the client. */
static void test_framed_long_write(void **state)
{
	struct bench *bench = *state;
	struct client *client = client_make(bench);
	static uint8_t all[20000], got[sizeof(all)];
	size_t count = 0, sent = 0;

	pattern(all, sizeof(all));
	turning = client;
	turning_bench = bench;
	bench->mailbox.on_write = client_on_write;
	while (sent < sizeof(all)) {
		size_t taken = link_write(&bench->link, LINK_RSP, all + sent, sizeof(all) - sent);

		/* short only because nobody reads */
		assert_true(taken > 0);
		sent += taken;
		count += frame_read(&client->frame, LINK_RSP, got + count, sizeof(got) - count);
	}
	for (unsigned i = 0; i < 20; i++) {
		link_poll(&bench->link);
		client_turn(bench, client);
		count += frame_read(&client->frame, LINK_RSP, got + count, sizeof(got) - count);
	}
	assert_int_equal(count, sizeof(all));
	assert_memory_equal(got, all, sizeof(all));
	assert_int_equal(link_flush(&bench->link), 0);
	free(client);
}

static void test_framed_writes_are_bounded(void **state)
{
	struct bench *bench = *state;
	struct client *client = client_make(bench);
	uint64_t start = bench->platform.clock_us;
	static uint8_t all[20000];

	/* it does not even give credit */
	assert_int_equal(link_write(&bench->link, LINK_RSP, "abc", 3), 0);
	assert_in_range(bench->platform.clock_us - start, LINK_WRITE_US, LINK_WRITE_US + 2000);
	start = bench->platform.clock_us;
	assert_int_equal(link_write(&bench->link, LINK_LOG, "abc", 3), 0);
	assert_true(bench->platform.clock_us - start < 2000);
	/* it does, but the device takes nothing */
	client_turn(bench, client);
	link_poll(&bench->link);
	bench->mailbox.stuck = true;
	start = bench->platform.clock_us;
	assert_true(link_write(&bench->link, LINK_RSP, all, sizeof(all)) <= FRAME_BUFFER);
	assert_true(bench->platform.clock_us - start < LINK_WRITE_US + 2000);
	assert_int_equal(link_flush(&bench->link), -ETIMEDOUT);
	free(client);
}

static void assert_lost(struct bench *bench)
{
	uint8_t byte;

	assert_false(link_is_reliable(&bench->link));
	/* nothing gets from one client to the next */
	assert_int_equal(link_write(&bench->link, LINK_RSP, "$late#00", 8), 0);
	assert_int_equal(link_read(&bench->link, LINK_RSP, &byte, 1), 0);
	assert_true(link_was_lost(&bench->link));
	assert_false(link_was_lost(&bench->link));
}

static void test_framed_client_dies(void **state)
{
	struct bench *bench = *state;
	struct client *client = client_make(bench);
	char got[16];

	client_turn(bench, client);
	wait_for(bench, FRAME_LOST_US - 100000);
	assert_true(link_is_reliable(&bench->link));
	wait_for(bench, 200000);
	assert_lost(bench);
	/* if it was only held up, it is to know */
	client_hear(bench, client);
	assert_true(client->frame.over);
	/* the next one is plain */
	fake_frontend_say(&bench->mailbox, "+$g#67", 6);
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), 6);
	assert_memory_equal(got, "+$g#67", 6);
	free(client);
}

static void test_framed_client_leaves(void **state)
{
	struct bench *bench = *state;
	struct client *client = client_make(bench);

	client_turn(bench, client);
	link_poll(&bench->link);
	fake_frontend_say(&bench->mailbox, frame_bye, sizeof(frame_bye));
	link_poll(&bench->link);
	link_poll(&bench->link);
	assert_lost(bench);
	client_hear(bench, client);
	assert_false(client->frame.over);
	free(client);
}

/* A plain debugger on the same wire, soon after our own client was killed. */
static void test_plain_client_takes_over(void **state)
{
	static const char packet[] = "$qSupported:multiprocess+;swbreak+#1b";
	struct bench *bench = *state;
	struct client *client = client_make(bench);
	char got[64];

	client_turn(bench, client);
	wait_for(bench, 1000000);
	/* too soon: it could be a part of a damaged frame */
	fake_frontend_say(&bench->mailbox, packet, strlen(packet));
	wait_for(bench, 20000);
	assert_true(link_is_reliable(&bench->link));
	wait_for(bench, LINK_PLAIN_US - 900000);
	/* a wrong checksum, a frame's end within, one without an end */
	fake_frontend_say(&bench->mailbox, "$g#68$m0,\0004#fd$x$", 17);
	wait_for(bench, 20000);
	assert_true(link_is_reliable(&bench->link));
	fake_frontend_say(&bench->mailbox, packet, strlen(packet));
	fake_frontend_say(&bench->mailbox, "\003", 1);
	wait_for(bench, 20000);
	assert_lost(bench);
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), strlen(packet) + 1);
	assert_memory_equal(got, packet, strlen(packet));
	free(client);
}

/* A framed client that was held up, though not for too long, asks: what its frame carries is no plain client's. */
static void test_framed_client_was_held_up(void **state)
{
	struct bench *bench = *state;
	struct client *client = client_make(bench);
	char got[16];

	client_turn(bench, client);
	wait_for(bench, 50000);
	client_hear(bench, client);
	wait_for(bench, LINK_PLAIN_US + 500000);
	/* the sign of life that goes before it is lost */
	client->frame.said_us = bench->platform.clock_us;
	client->frame.status_due = false;
	assert_int_equal(frame_write(&client->frame, LINK_RSP, "$g#67", 5), 5);
	client_turn(bench, client);
	wait_for(bench, 20000);
	assert_true(link_is_reliable(&bench->link));
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), 5);
	assert_memory_equal(got, "$g#67", 5);
	free(client);
}

/* As long as the framed client is heard, RSP inside and outside of frames changes nothing. */
static void test_framed_client_keeps_the_line(void **state)
{
	struct bench *bench = *state;
	struct client *client = client_make(bench);
	char got[16];

	for (unsigned i = 0; i < 1000; i++) {
		bench->platform.clock_us += 10000;
		if (i % 10 == 0)
			fake_frontend_say(&bench->mailbox, "$g#67", 5);
		if (i % 100 == 5)
			assert_int_equal(frame_write(&client->frame, LINK_RSP, "$g#67", 5), 5);
		client_turn(bench, client);
		link_poll(&bench->link);
		assert_true(link_is_reliable(&bench->link));
		if (i % 100 == 99) {
			assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), 5);
			assert_memory_equal(got, "$g#67", 5);
		}
	}
	link_reset(&bench->link);
	assert_false(link_is_reliable(&bench->link));
	assert_false(link_was_lost(&bench->link));
	free(client);
}

/* A device of 8 bytes, looked at seldom: a frame that has begun is waited for. */
static void test_framed_stays_for_a_frame(void **state)
{
	struct bench *bench = *state;
	struct client *client = client_make(bench);
	char got[64];
	uint64_t start;

	for (unsigned i = 0; i < 10; i++) {
		client_turn(bench, client);
		wait_for(bench, 10000);
	}
	assert_int_equal(frame_write(&client->frame, LINK_RSP, "$qSupported:multiprocess+;swbreak+#1b", 37), 37);
	client_turn(bench, client);
	bench->mailbox.pace_us = 700;
	start = bench->platform.clock_us;
	link_poll(&bench->link);
	assert_in_range(bench->platform.clock_us - start, 3000, 6000);
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), 37);
	/* nothing is expected: nothing is waited for */
	wait_for(bench, 100000);
	start = bench->platform.clock_us;
	link_poll(&bench->link);
	assert_true(bench->platform.clock_us - start < 100);
	free(client);
}

static void test_framed_does_not_stay_for_silence(void **state)
{
	struct bench *bench = *state;
	uint64_t start;

	link_frame(&bench->link);
	fake_frontend_say(&bench->mailbox, "\0\002\020", 3);
	start = bench->platform.clock_us;
	link_poll(&bench->link);
	assert_in_range(bench->platform.clock_us - start, LINK_GAP_US, LINK_GAP_US + 1000);
}

/* Noise keeps nobody from running. */
static void test_framed_noise_costs_a_tenth(void **state)
{
	static const char *const noise[] = {"noise without an end", "noise\0with\0an\0end\0"};
	struct bench *bench = *state;

	for (unsigned kind = 0; kind < 2; kind++) {
		uint64_t spent = 0, start = bench->platform.clock_us, end = start + 2000000;

		link_frame(&bench->link);
		bench->mailbox.pace_us = 500;
		while (bench->platform.clock_us < end) {
			uint64_t before;

			bench->platform.clock_us += 5000;
			bench->mailbox.in_count = bench->mailbox.in_read = 0;
			bench->mailbox.out_count = 0;
			for (unsigned i = 0; i < 20; i++)
				fake_frontend_say(&bench->mailbox, noise[kind], 18);
			before = bench->platform.clock_us;
			link_poll(&bench->link);
			spent += bench->platform.clock_us - before;
			assert_true(bench->platform.clock_us - before <= LINK_LINGER_US + 1000);
		}
		assert_true(spent < (bench->platform.clock_us - start) / 7);
		assert_true(spent > 1000);
	}
}

/* What the client sends right behind its request. */
static void test_frames_behind_the_request(void **state)
{
	struct bench *bench = *state;
	struct client *client = calloc(1, sizeof(*client));
	char got[32];

	frame_init(&client->frame, 100000, bench->platform.clock_us);
	for (unsigned i = 0; i < FRAME_CHANNELS; i++)
		client->frame.limit[i] = FRAME_BUFFER;
	fake_frontend_say(&bench->mailbox, "$Qcroft.frame:1#c7", 18);
	assert_int_equal(frame_write(&client->frame, LINK_RSP, "$g#67", 5), 5);
	client_turn(bench, client);
	link_poll(&bench->link);
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, 18), 18);
	link_frame(&bench->link);
	assert_int_equal(link_read(&bench->link, LINK_RSP, got, sizeof(got)), 5);
	assert_memory_equal(got, "$g#67", 5);
	free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes_pass_unchanged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_takes_in_while_it_sends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_ring_leaves_bytes_in_the_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stuck_device_is_waited_for_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_device_is_recovered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_text_between_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain_has_one_channel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_channels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_long_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_bulk_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_writes_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_client_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_client_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain_client_takes_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_client_was_held_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_client_keeps_the_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frames_behind_the_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_stays_for_a_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_does_not_stay_for_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_framed_noise_costs_a_tenth, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
