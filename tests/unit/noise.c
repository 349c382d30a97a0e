/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control server and a client of plain RSP on a line that changes, loses, repeats and cuts. A checksum of eight
 * bits and packets without numbers do not promise as much as frames do (tests/unit/frame.c); what they do promise is
 * here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fakes/fake_noise.h"
#include "tests/unit/client.h"

#define FAULTS	    100000u
#define PATIENCE    4 /* looks without a byte: whoever was to speak has not */
#define PATIENCE_US 300000u
#define BUFFER	    0x2000u
#define BUFFER_SIZE 64u
/* What a fault makes of a packet is another good one in one of 256 cases: the checksum has eight bits. Twice that
 * fails. */
#define WRONG_IN    128u
#define FAULT_EVERY 100 /* bytes */

/* A packet of the client's, its answer, and what is on the line. */
static struct client client;
static struct vcpu *const vcpu = &client.spine.fake.vcpu.vcpu;

static struct {
	struct fake_noise noise;
	bool had_one; /* since the last packet began */
	unsigned asked, last, answered, wrong, wrong_before, repeated;
	bool lost;  /* what the buffer holds is not known */
	bool quiet; /* the last requests, without faults */
	char request[160], reply[160];
	bool waits; /* for the reply */
	unsigned silent;
	/* of what arrives */
	char packet[1024];
	size_t length;
	unsigned state, sum, high;
	bool leaving;
} line;

static uint32_t next_random(void)
{
	return fake_noise_random(&line.noise);
}

/* Up to two bytes for one, and one fault a packet, which its checksum can tell. Returns how many. */
static unsigned carry(uint8_t byte, uint8_t out[2])
{
	out[0] = byte;
	if (byte == '$')
		line.had_one = false;
	if (fake_noise_cuts(&line.noise))
		return 0;
	if (line.had_one || line.quiet || next_random() % FAULT_EVERY)
		return 1;
	line.had_one = true;
	return fake_noise_damage(&line.noise, byte, out);
}

static void send(const char *bytes, size_t length)
{
	uint8_t out[2];

	for (size_t i = 0; i < length; i++)
		fake_frontend_say(&client.wire, out, carry((uint8_t)bytes[i], out));
}

static void send_request(void)
{
	char frame[sizeof(line.request) + 4];
	uint8_t sum = 0;

	for (const char *at = line.request; *at; at++)
		sum = (uint8_t)(sum + (uint8_t)*at);
	send(frame, (size_t)sprintf(frame, "$%s#%02x", line.request, sum));
	line.waits = true;
	line.silent = 0;
}

/* What the buffer holds is changed and asked for in turn. */
static void next_request(void)
{
	static uint8_t content[BUFFER_SIZE];
	unsigned at, length;
	char *out;

	at = line.lost ? 0 : next_random() % BUFFER_SIZE;
	length = line.lost ? BUFFER_SIZE : 1 + next_random() % (BUFFER_SIZE - at);
	if (line.asked++ % 2 && !line.lost) {
		sprintf(line.request, "m%x,%x", BUFFER + at, length);
		out = line.reply;
	} else {
		for (unsigned i = 0; i < length; i++)
			content[at + i] = (uint8_t)next_random();
		strcpy(line.reply, "OK");
		out = line.request + sprintf(line.request, "M%x,%x:", BUFFER + at, length);
	}
	for (unsigned i = 0; i < length; i++)
		out += sprintf(out, "%02x", content[at + i]);
	send_request();
}

/* With runs expanded; replies with binary data are none of these. */
static void take_reply(void)
{
	char text[sizeof(line.packet)];
	size_t length = 0;

	for (size_t i = 0; i < line.length && length < sizeof(text) - 1; i++) {
		unsigned count = 1;
		char c = line.packet[i];

		if (c == '*' && i + 1 < line.length && length) {
			c = text[length - 1];
			count = (uint8_t)line.packet[++i] - 29u;
		}
		while (count-- && length < sizeof(text) - 1)
			text[length++] = c;
	}
	text[length] = 0;
	if (!line.waits)
		return; /* one that came twice */
	line.waits = false;
	line.answered++;
	line.lost = strcmp(text, line.reply) != 0;
	line.wrong += line.lost;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void take(char c)
{
	if (c == '$') {
		line.state = 1;
		line.length = line.sum = 0;
		return;
	}
	switch (line.state) {
	case 1:
		if (c == '#') {
			line.state = 2;
		} else {
			line.sum = (line.sum + (uint8_t)c) & 0xff;
			if (line.length < sizeof(line.packet))
				line.packet[line.length++] = c;
		}
		return;
	case 2:
		line.high = (unsigned)digit(c);
		line.state = 3;
		return;
	case 3:
		line.state = 0;
		if (digit(c) >= 0 && (line.high << 4 | (unsigned)digit(c)) == line.sum) {
			take_reply();
			send("+", 1);
		} else {
			send("-", 1);
		}
		return;
	default:
		break;
	}
	if (c == '-' && line.waits) {
		line.repeated++;
		send_request();
	}
}

/* The server has read all there is: the client's turn. */
static void turn(struct fake_frontend *wire)
{
	static uint8_t heard[FAKE_QUEUE];
	size_t count = wire->out_count;
	uint8_t out[2];

	wire->in_read = wire->in_count = 0;
	memcpy(heard, wire->out, count);
	wire->out_count = 0;
	line.silent = count ? 0 : line.silent + 1;
	for (size_t i = 0; i < count; i++) {
		unsigned copies = carry(heard[i], out);

		for (unsigned j = 0; j < copies; j++)
			take((char)out[j]);
	}
	if (line.silent < PATIENCE)
		return;
	line.silent = 0;
	client.spine.fake.platform.clock_us += PATIENCE_US;
	line.state = 0;
	if (line.waits) {
		line.repeated++;
		send_request();
	} else if (line.noise.faults < FAULTS) {
		next_request();
	} else if (!line.quiet || line.asked < line.last) {
		if (!line.quiet) {
			line.quiet = line.lost = true;
			line.last = line.asked + 10;
			line.wrong_before = line.wrong;
			client.spine.fake.platform.clock_us += RSP_STALE_US;
		}
		next_request();
	} else {
		client_packet(&client, "c", 1);
	}
}

static int setup(void **state)
{
	(void)state;
	client_init(&client);
	client.wire.busy_us = 0;
	memset(&line, 0, sizeof(line));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	client_free(&client);
	return 0;
}

static void run_faults(enum fault fault)
{
	static const struct stop request = {.kind = STOP_REQUEST};

	line.noise.fault = fault;
	line.noise.random = 0x9876542u + (uint32_t)fault;
	client.wire.on_silence = turn;
	debug_stop_request(vcpu, &request);
	vcpu_work(vcpu);
	print_message("%u faults, %u requests, %u repeated, %u wrong\n", line.noise.faults, line.asked, line.repeated,
		      line.wrong);
	assert_int_equal(line.answered, line.asked);
	assert_true(line.quiet);
	assert_true(line.wrong < line.noise.faults / WRONG_IN);
	assert_int_equal(line.wrong, line.wrong_before);
	assert_true(client.server.attached);
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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_bit_errors),
		T(test_drops),
		T(test_duplicates),
		T(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
