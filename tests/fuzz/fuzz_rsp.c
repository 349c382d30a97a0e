/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control server on anything a wire may carry: no crash, no endless loop, and the guest runs when the client is
 * lost. Input: bytes as they come; checksums that are only nearly right are put right, so that more of them get
 * through.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/client.h"

#define CLOCK_STEP_US 500
#define POLLS_MAX     400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts the checksum of each packet right unless its digits are capitals. */
static void repair(uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '$')
			sum = 0;
		else if (bytes[i] != '#')
			sum = (uint8_t)(sum + bytes[i]);
		else if (i + 2 < size && !(bytes[i + 1] >= 'A' && bytes[i + 1] <= 'F')) {
			bytes[i + 1] = (uint8_t)digits[sum >> 4];
			bytes[i + 2] = (uint8_t)digits[sum & 15];
		}
	}
}

/* Whatever came before, a guest that stands is released by what is no client. */
static void make_noise(struct fake_frontend *wire)
{
	static const uint8_t noise[FAKE_PACKET] = {'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'};
	struct client *client = CONTAINER_OF(wire, struct client, wire);

	if (!debug_is_stopped(&client->spine.fake.vcpu.vcpu))
		return;
	wire->in_read = wire->in_count = 0;
	fake_frontend_say(wire, noise, sizeof(noise));
}

/* Nobody counts what is answered. */
static void forget(struct fake_frontend *wire)
{
	wire->out_count = 0;
}

static bool is_heard(const struct client *client)
{
	return client->wire.in_read == client->wire.in_count && client->link.in_read == client->link.in_written;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct exit_detail trap = {.exception = {.vector = 1}};
	static struct client client;
	static uint8_t bytes[16384];

	if (size > sizeof(bytes))
		return 0;
	client_init(&client);
	client.wire.busy_us = 0;
	client.wire.on_write = forget;
	client.wire.on_silence = make_noise;
	/* waits for acknowledgements that never come are long, and each look at the clock is one of the loop's */
	client.spine.fake.platform.clock_step_us = CLOCK_STEP_US;
	memcpy(bytes, data, size);
	repair(bytes, size);
	fake_frontend_say(&client.wire, bytes, size);
	for (unsigned i = 0; i < POLLS_MAX && !is_heard(&client); i++) {
		client_poll(&client);
		/* what is stepped comes to its end */
		if (client.spine.fake.vcpu.vcpu.single.active)
			spine_exit(&client.spine, EXIT_EXCEPTION, 0, &trap, NULL);
	}
	if (debug_is_stopped(&client.spine.fake.vcpu.vcpu))
		abort();
	client_free(&client);
	return 0;
}
