/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client that stops, asks and goes on.
 */
#include "tests/unit/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void client_init(struct client *c)
{
	memset(c, 0, sizeof(*c));
	spine_init(&c->spine);
	debug_init(&c->spine.fake.vcpu.vcpu, &c->debug);
	fake_frontend_init(&c->wire, &c->spine.fake.platform);
	link_init(&c->link, &c->wire.frontend);
	server_init(&c->server, &c->spine.fake.vcpu.vcpu, &c->link, true);
}

void client_free(struct client *c)
{
	spine_free(&c->spine);
}

void client_say(struct client *c, const char *text)
{
	fake_frontend_say(&c->wire, text, strlen(text));
}

void client_packet(struct client *c, const void *content, size_t length)
{
	static uint8_t frame[2 * RSP_PACKET_MAX];
	const uint8_t *bytes = content;
	uint8_t sum = 0;
	char tail[4];

	if (length + 2 > sizeof(frame))
		abort();
	frame[0] = '$';
	for (size_t i = 0; i < length; i++) {
		frame[i + 1] = bytes[i];
		sum = (uint8_t)(sum + bytes[i]);
	}
	fake_frontend_say(&c->wire, frame, length + 1);
	snprintf(tail, sizeof(tail), "#%02x", sum);
	client_say(c, tail);
}

/* WORK_STOP is a matter of exits: here is one that does nothing. */
static void work(struct client *c)
{
	struct vcpu *vcpu = &c->spine.fake.vcpu.vcpu;

	if (vcpu->work)
		vcpu_work(vcpu);
}

void client_poll(struct client *c)
{
	if (!c->server.attached)
		c->spine.fake.platform.clock_us += WATCH_LISTENING_US;
	c->server.control.poll(&c->spine.fake.vcpu.vcpu);
	work(c);
}

static unsigned digit(uint8_t d)
{
	return (unsigned)(d <= '9' ? d - '0' : d - 'a' + 10);
}

/* One packet from behind its $. Returns where it ends, or NULL. */
static const uint8_t *take_frame(struct client *c, const uint8_t *at, const uint8_t *end, size_t *used)
{
	const uint8_t *start = at;
	char *out = c->text + *used;
	uint8_t sum = 0;
	size_t length = 0;

	for (; at < end && *at != '#'; at++) {
		size_t more = 1;
		char byte = (char)*at;

		sum = (uint8_t)(sum + *at);
		if (*at == '*') {
			if (++at == end || !length || *at < 32 || *at > 126)
				abort();
			sum = (uint8_t)(sum + *at);
			more = *at - 29u;
			byte = out[length - 1];
		} else if (*at == '}') {
			if (++at == end)
				abort();
			sum = (uint8_t)(sum + *at);
			byte = (char)(*at ^ 0x20);
		}
		if (*used + length + more + 1 > sizeof(c->text))
			abort();
		memset(out + length, byte, more);
		length += more;
	}
	if (end - at < 3)
		return NULL;
	c->bad += (digit(at[1]) << 4 | digit(at[2])) != sum;
	out[length] = 0;
	if (c->frames < CLIENT_FRAMES_MAX) {
		c->frame[c->frames] = out;
		c->length[c->frames] = length;
		c->wire_length[c->frames++] = (size_t)(at - start);
	}
	*used += length + 1;
	return at + 3;
}

void client_collect(struct client *c)
{
	const uint8_t *at = c->wire.out, *end = at + c->wire.out_count;
	size_t used = 0;

	c->frames = c->acks = c->nacks = c->bad = 0;
	while (at < end) {
		uint8_t byte = *at++;

		if (byte == '+') {
			c->acks++;
		} else if (byte == '-') {
			c->nacks++;
		} else if (byte == '$') {
			at = take_frame(c, at, end, &used);
			if (!at)
				break;
		} else {
			c->bad++;
		}
	}
	c->wire.out_count = 0;
}

bool client_lets_go(const char *content, size_t length)
{
	static const char *const packets[] = {
		"c", "s",   "C05", "S05",    "vCont;c", "vCont;s", "vCont;C05:1", "vCont;s:2;c", "vCont;r1000,1010:1",
		"D", "D;1", "k",   "vKill;1"};

	for (unsigned i = 0; i < ARRAY_SIZE(packets); i++) {
		if (length == strlen(packets[i]) && memcmp(content, packets[i], length) == 0)
			return true;
	}
	return false;
}

void client_hear(struct fake_frontend *wire)
{
	struct client *c = CONTAINER_OF(wire, struct client, wire);
	size_t at = wire->out_count;

	if (at < 4 || wire->out[at - 3] != '#')
		return;
	while (at && wire->out[at - 1] != '$')
		at--;
	if (wire->out[at] == 'O' && wire->out[at + 1] != 'K')
		client_say(c, "+");
	else if (c->awaited)
		c->awaited--;
	else
		client_packet(c, "c", 1);
}

const char *client_ask_binary(struct client *c, const void *content, size_t length, size_t *reply_length)
{
	static const struct stop request = {.kind = STOP_REQUEST};
	struct vcpu *vcpu = &c->spine.fake.vcpu.vcpu;
	unsigned before = c->server.resumed;

	client_packet(c, content, length);
	c->awaited = before;
	c->wire.on_write = client_lets_go(content, length) ? NULL : client_hear;
	c->wire.out_count = 0;
	debug_stop_request(vcpu, &request);
	work(c);
	c->wire.on_write = NULL;
	c->wire.in_count = c->wire.in_read = 0;
	client_collect(c);
	if (c->frames <= before)
		return NULL;
	if (reply_length)
		*reply_length = c->length[before];
	return c->frame[before];
}

const char *client_ask(struct client *c, const char *content)
{
	return client_ask_binary(c, content, strlen(content), NULL);
}
