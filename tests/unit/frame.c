/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/control/frame.c: two ends on a line that loses, changes, repeats and cuts, and the examples of docs/protocol.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/control/frame.h"
#include "tests/fakes/fake_noise.h"

#define BYTE_US	 87u /* on the line, at 115200 bits per second */
#define RETRY_US 150000u
#define FAULTS	 100000u

struct end {
	struct frame frame;
	uint32_t written[FRAME_CHANNELS], read[FRAME_CHANNELS];
};

struct bench {
	struct end end[2];
	uint64_t now_us;
	struct fake_noise noise;
	unsigned rate; /* one fault in so many bytes; 0: none */
};

static uint32_t next_random(struct bench *bench)
{
	return fake_noise_random(&bench->noise);
}

/* What each byte of a channel has to be. */
static uint8_t content(unsigned from, unsigned channel, uint32_t position)
{
	uint32_t mixed = (position + 1) * 2654435761u ^ (channel * 4 + from) * 40503u;

	return (uint8_t)(position % 97 < 20 ? 0 : mixed >> 13);
}

static struct bench *bench_make(uint32_t seed)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	bench->noise.random = seed;
	bench->now_us = 1000;
	for (unsigned i = 0; i < 2; i++)
		frame_init(&bench->end[i].frame, RETRY_US, bench->now_us);
	return bench;
}

/* One byte over the line, which does what it does to it. */
static void carry(struct bench *bench, struct frame *to, uint8_t byte)
{
	uint8_t out[2] = {byte};
	unsigned count = 1;

	if (fake_noise_cuts(&bench->noise))
		return;
	if (bench->rate && next_random(bench) % bench->rate == 0)
		count = fake_noise_damage(&bench->noise, byte, out);
	for (unsigned i = 0; i < count; i++)
		frame_receive(to, &out[i], 1, bench->now_us);
}

static void read_all(struct bench *bench, unsigned who, size_t most)
{
	struct end *end = &bench->end[who];
	uint8_t bytes[300];

	for (unsigned channel = 0; channel < FRAME_CHANNELS; channel++) {
		size_t count = frame_read(&end->frame, channel, bytes, most < sizeof(bytes) ? most : sizeof(bytes));

		for (size_t i = 0; i < count; i++)
			assert_int_equal(bytes[i], content(1 - who, channel, end->read[channel]++));
	}
}

static void write_some(struct bench *bench, unsigned who, size_t length)
{
	struct end *end = &bench->end[who];
	unsigned channel = next_random(bench) % FRAME_CHANNELS;
	uint8_t bytes[1000];

	for (size_t i = 0; i < length; i++)
		bytes[i] = content(who, channel, end->written[channel] + (uint32_t)i);
	end->written[channel] += (uint32_t)frame_write(&end->frame, channel, bytes, length);
}

/* Both ends put up to 16 bytes on the line. */
static void step(struct bench *bench)
{
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *bytes;
		size_t length = frame_output(&bench->end[i].frame, &bytes, bench->now_us);

		if (length > 16)
			length = 16;
		for (size_t j = 0; j < length; j++)
			carry(bench, &bench->end[1 - i].frame, bytes[j]);
		frame_sent(&bench->end[i].frame, length, bench->now_us);
	}
	bench->now_us += 16 * BYTE_US;
}

static bool all_arrived(const struct bench *bench)
{
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned channel = 0; channel < FRAME_CHANNELS; channel++) {
			if (bench->end[i].written[channel] != bench->end[1 - i].read[channel])
				return false;
		}
	}
	return true;
}

/* Everything is acknowledged, and nothing half received. */
static bool is_settled(const struct frame *frame)
{
	return frame_has_left(frame) && frame->unacknowledged == frame->end && !frame->code;
}

/* Without faults everything is there within a bounded time, and both ends know it. */
static void expect_settles(struct bench *bench)
{
	unsigned steps = 0;

	bench->rate = 0;
	bench->noise.cut = 0;
	while (!all_arrived(bench) || !is_settled(&bench->end[0].frame) || !is_settled(&bench->end[1].frame)) {
		step(bench);
		read_all(bench, 0, 300);
		read_all(bench, 1, 300);
		assert_true(++steps < 20000);
	}
}

static void run_faults(enum fault fault)
{
	struct bench *bench = bench_make(0x1234567 + (uint32_t)fault);
	uint64_t delivered = 0;

	bench->noise.fault = fault;
	while (bench->noise.faults < FAULTS) {
		/* a bad stretch, then a better one, so that something gets through */
		bench->rate = next_random(bench) % 2 ? 20 + next_random(bench) % 60 : 200 + next_random(bench) % 2000;
		for (unsigned i = 0; i < 500; i++) {
			if (next_random(bench) % 8 == 0)
				write_some(bench, next_random(bench) % 2, next_random(bench) % 120);
			step(bench);
			if (next_random(bench) % 4 == 0)
				read_all(bench, next_random(bench) % 2, 1 + next_random(bench) % 300);
		}
		assert_false(frame_is_over(&bench->end[0].frame));
		assert_false(frame_is_over(&bench->end[1].frame));
	}
	expect_settles(bench);
	for (unsigned channel = 0; channel < FRAME_CHANNELS; channel++)
		delivered += bench->end[0].read[channel] + bench->end[1].read[channel];
	print_message("%u faults, %llu bytes delivered, %llu frames damaged, %llu repeated\n", bench->noise.faults,
		      (unsigned long long)delivered,
		      (unsigned long long)(bench->end[0].frame.bad + bench->end[1].frame.bad),
		      (unsigned long long)(bench->end[0].frame.repeated + bench->end[1].frame.repeated));
	assert_true(delivered > 100000);
	assert_true(bench->end[0].frame.bad + bench->end[1].frame.bad > FAULTS / 100);
	free(bench);
}

static void test_bit_errors(void **state)
{
	(void)state;
	run_faults(FAULT_BIT);
}

static void test_drops(void **state)
{
	(void)state;
	run_faults(FAULT_DROP);
}

static void test_duplicates(void **state)
{
	(void)state;
	run_faults(FAULT_DUPLICATE);
}

static void test_cuts(void **state)
{
	(void)state;
	run_faults(FAULT_CUT);
}

static void test_invented_bytes(void **state)
{
	(void)state;
	run_faults(FAULT_INVENT);
}

/* A good line: nothing is sent twice, and little beside the content. */
static void test_good_line(void **state)
{
	struct bench *bench = bench_make(99);
	uint64_t bytes = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		write_some(bench, 0, 900);
		step(bench);
		read_all(bench, 1, 300);
	}
	for (unsigned channel = 0; channel < FRAME_CHANNELS; channel++)
		bytes += bench->end[1].read[channel];
	assert_int_equal(bench->end[0].frame.repeated, 0);
	assert_int_equal(bench->end[0].frame.bad + bench->end[1].frame.bad, 0);
	assert_true(bytes > 20000ull * 16 * 96 / 100);
	expect_settles(bench);
	free(bench);
}

/* Who does not read is not overrun, and holds up no other channel. */
static void test_credit(void **state)
{
	struct bench *bench = bench_make(5);
	uint8_t bytes[600] = {0}, got[600];
	size_t taken = 0;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		taken += frame_write(&bench->end[0].frame, 2, bytes, sizeof(bytes));
		step(bench);
	}
	assert_int_equal(taken, FRAME_BUFFER);
	assert_int_equal(frame_write(&bench->end[0].frame, 0, "abc", 3), 3);
	for (unsigned i = 0; i < 10; i++)
		step(bench);
	assert_int_equal(frame_read(&bench->end[1].frame, 0, got, sizeof(got)), 3);
	assert_memory_equal(got, "abc", 3);
	/* room makes it go on */
	for (taken = 0; taken < FRAME_BUFFER / 2;)
		taken += frame_read(&bench->end[1].frame, 2, got, sizeof(got));
	for (unsigned i = 0; i < 10; i++)
		step(bench);
	assert_true(frame_write(&bench->end[0].frame, 2, bytes, sizeof(bytes)) > 0);
	assert_int_equal(frame_write(&bench->end[0].frame, FRAME_CHANNELS, bytes, 1), 0);
	assert_int_equal(frame_read(&bench->end[0].frame, FRAME_CHANNELS, bytes, 1), 0);
	free(bench);
}

/* Counts run over many times. */
static void test_long_session(void **state)
{
	struct bench *bench = bench_make(7);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct frame *frame = &bench->end[i].frame;

		/* as after nearly 4 GiB */
		for (unsigned channel = 0; channel < FRAME_CHANNELS; channel++) {
			frame->sent[channel] = frame->limit[channel] = 0xffffff00u;
			frame->buffer[channel].read = frame->buffer[channel].written = 0xffffff00u;
			frame->buffer[channel].announced = 0xffffff00u;
		}
	}
	for (unsigned i = 0; i < 30000; i++) {
		write_some(bench, i % 2, 500);
		step(bench);
		read_all(bench, 0, 300);
		read_all(bench, 1, 300);
	}
	expect_settles(bench);
	assert_true(bench->end[0].read[0] > 20000);
	free(bench);
}

static void test_heartbeat_and_loss(void **state)
{
	struct bench *bench = bench_make(11);
	const uint8_t *bytes;
	uint64_t said;

	(void)state;
	/* nobody has anything to say, for a minute */
	for (unsigned i = 0; i < 60 * 1000000 / (16 * BYTE_US); i++)
		step(bench);
	assert_false(frame_is_over(&bench->end[0].frame));
	assert_in_range(bench->end[0].frame.good, 55, 65);
	/* nobody asked for a minute: that is not the other end's silence */
	bench->now_us += 60000000;
	(void)frame_output(&bench->end[0].frame, &bytes, bench->now_us);
	assert_false(frame_is_over(&bench->end[0].frame));
	for (unsigned i = 0; i < 1000; i++)
		step(bench);
	/* the cable is pulled */
	said = bench->now_us;
	while (!frame_is_over(&bench->end[0].frame)) {
		frame_sent(&bench->end[0].frame, frame_output(&bench->end[0].frame, &bytes, bench->now_us),
			   bench->now_us);
		bench->now_us += 1000;
	}
	assert_in_range(bench->now_us - said, FRAME_LOST_US - FRAME_HEARTBEAT_US, FRAME_LOST_US + 2000);
	free(bench);
}

/* An end that is slow to answer is not told the same more often than it can hear it. */
static void test_a_late_acknowledgement(void **state)
{
	struct bench *bench = bench_make(17);
	struct frame *frame = &bench->end[0].frame;
	const uint8_t *bytes;
	uint64_t repeated;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		step(bench);
	for (unsigned round = 0; round < 2; round++) {
		repeated = frame->repeated;
		write_some(bench, 0, 100);
		/* 0, 1, 3, 7, 15 times RETRY_US, and then each 8 of them */
		for (uint64_t end_us = bench->now_us + 63 * RETRY_US; bench->now_us < end_us; bench->now_us += 1000) {
			size_t length = frame_output(frame, &bytes, bench->now_us);

			if (length)
				frame_sent(frame, length, bench->now_us);
		}
		assert_in_range(frame->repeated - repeated, 9, 10);
		/* it has heard it: from then on as before */
		expect_settles(bench);
	}
	free(bench);
}

static void test_bye(void **state)
{
	struct bench *bench = bench_make(13);

	(void)state;
	assert_false(frame_is_over(&bench->end[0].frame));
	frame_receive(&bench->end[0].frame, "$garbage", 8, bench->now_us);
	frame_receive(&bench->end[0].frame, frame_bye, sizeof(frame_bye), bench->now_us);
	assert_true(frame_is_over(&bench->end[0].frame));
	/* to a plain server it is noise: no packet, no acknowledgement, no break */
	assert_null(memchr(frame_bye, '$', sizeof(frame_bye)));
	assert_null(memchr(frame_bye, '+', sizeof(frame_bye)));
	assert_null(memchr(frame_bye, '-', sizeof(frame_bye)));
	assert_null(memchr(frame_bye, 3, sizeof(frame_bye)));
	free(bench);
}

/* Frames that are whole, but that no end of ours would send. */
static void test_hostile_frames(void **state)
{
	struct bench *bench = bench_make(17), *other = bench_make(18);
	struct frame *victim = &bench->end[0].frame, *liar = &other->end[0].frame;
	uint8_t got[8];

	(void)state;
	/* far more than there is room for: the bytes that were allowed stay what they were */
	for (unsigned i = 0; i < FRAME_CHANNELS; i++)
		liar->limit[i] = 0x80000000u;
	assert_int_equal(frame_write(liar, 0, "abcd", 4), 4);
	for (unsigned i = 0; i < 100; i++) {
		const uint8_t *bytes;
		uint8_t more[FRAME_PAYLOAD_MAX] = {0};
		size_t length = frame_output(liar, &bytes, other->now_us += 100);

		frame_receive(victim, bytes, length, bench->now_us += 100);
		frame_sent(liar, length, other->now_us);
		/* and acknowledges itself */
		liar->unacknowledged = liar->next;
		(void)frame_write(liar, 0, more, sizeof(more));
	}
	assert_true(victim->buffer[0].written - victim->buffer[0].read <= FRAME_BUFFER);
	assert_int_equal(frame_read(victim, 0, got, 4), 4);
	assert_memory_equal(got, "abcd", 4);
	free(bench);
	free(other);
}

/* --- the examples ----------------------------------------------------------------------------------------------- */

static size_t parse_bytes(const char *text, uint8_t *bytes, size_t size)
{
	size_t count = 0;
	unsigned value;
	int used;

	while (sscanf(text, "%2x%n", &value, &used) == 1) {
		assert_true(count < size);
		bytes[count++] = (uint8_t)value;
		text += used;
	}
	return count;
}

/* Lines "    KIND WORDS: BYTES" of docs/protocol.md are what the code makes, and what it understands. */
static void check_example(const char *kind, const char *words, const uint8_t *bytes, size_t length)
{
	struct bench *bench = bench_make(1);
	struct frame *frame = &bench->end[0].frame, *peer = &bench->end[1].frame;
	const uint8_t *made;
	char text[16], got[16];
	unsigned channel, number, credit[3];

	frame->status_due = false;
	if (sscanf(words, "channel %u number %u \"%15[^\"]\"", &channel, &number, text) == 3) {
		frame->unacknowledged = frame->next = frame->top = frame->end = (uint8_t)number;
		frame->limit[channel] = 4096;
		assert_int_equal(frame_write(frame, channel, text, strlen(text)), strlen(text));
	} else if (sscanf(words, "next %u credit %u %u %u", &number, &credit[0], &credit[1], &credit[2]) == 4) {
		frame->expected = (uint8_t)number;
		for (unsigned i = 0; i < 3; i++)
			frame->buffer[i].read = frame->buffer[i].written = credit[i] - FRAME_BUFFER;
		frame->status_due = true;
		frame->repeat_due = strcmp(kind, "REPEAT") == 0;
	} else {
		assert_string_equal(kind, "BYE");
		assert_int_equal(length, sizeof(frame_bye));
		assert_memory_equal(bytes, frame_bye, length);
		free(bench);
		return;
	}
	assert_int_equal(frame_output(frame, &made, bench->now_us), length);
	assert_memory_equal(made, bytes, length);

	peer->expected = (uint8_t)number;
	frame_receive(peer, bytes, length, bench->now_us);
	assert_int_equal(peer->good, 1);
	if (strcmp(kind, "DATA") == 0) {
		assert_int_equal(frame_read(peer, channel, got, sizeof(got)), strlen(text));
		assert_memory_equal(got, text, strlen(text));
	}
	free(bench);
}

static void test_examples(void **state)
{
	FILE *file = fopen("docs/protocol.md", "r");
	unsigned count[4] = {0};
	char line[200];

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		static const char *const kinds[] = {"DATA", "STATUS", "REPEAT", "BYE"};
		char kind[8], *colon = strchr(line, ':');
		uint8_t bytes[64];
		unsigned known;

		if (strncmp(line, "    ", 4) != 0 || !colon || sscanf(line, " %7[A-Z]", kind) != 1)
			continue;
		*colon = 0;
		for (known = 0; known < 4 && strcmp(kind, kinds[known]) != 0; known++)
			;
		/* what the frames carry has examples of its own */
		if (known == 4)
			continue;
		count[known]++;
		check_example(kind, line + 4 + strlen(kind) + (line[4 + strlen(kind)] == ' '), bytes,
			      parse_bytes(colon + 1, bytes, sizeof(bytes)));
	}
	fclose(file);
	for (unsigned i = 0; i < 4; i++)
		assert_true(count[i] > 0);
}

static void test_crc(void **state)
{
	(void)state;
	/* RFC 3720, "CRC Examples" (B.4) */
	uint8_t bytes[32] = {0};

	assert_int_equal(frame_crc(bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(frame_crc(bytes, sizeof(bytes)), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(frame_crc(bytes, sizeof(bytes)), 0x46dd794e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_good_line),
		cmocka_unit_test(test_credit),
		cmocka_unit_test(test_long_session),
		cmocka_unit_test(test_heartbeat_and_loss),
		cmocka_unit_test(test_a_late_acknowledgement),
		cmocka_unit_test(test_bye),
		cmocka_unit_test(test_hostile_frames),
		cmocka_unit_test(test_bit_errors),
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_invented_bytes),
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
