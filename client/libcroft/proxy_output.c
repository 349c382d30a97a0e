/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a proxy's debugger is to be sent, until somebody sends it.
 */
#include <stdlib.h>
#include <string.h>

#include "client/libcroft/proxy.h"

/* Whoever lets more pile up does not read at all. */
#define OUTPUT_MAX (4u << 20)

/* Room for more bytes at the end. NULL: there is none, and it is hung up on. */
static uint8_t *out_room(struct croft_proxy *p, size_t more)
{
	size_t room = p->out_room ? p->out_room : 4096;
	uint8_t *larger;

	if (p->out_sent == p->out_length)
		p->out_sent = p->out_length = 0;
	while (room < p->out_length + more)
		room *= 2;
	larger = p->out_length + more <= OUTPUT_MAX ? realloc(p->out, room) : NULL;
	if (!larger) {
		p->over = true;
		return NULL;
	}
	p->out = larger;
	p->out_room = room;
	return p->out + p->out_length;
}

void proxy_put_bytes(struct croft_proxy *p, const void *bytes, size_t length)
{
	uint8_t *room = length ? out_room(p, length) : NULL;

	if (room) {
		memcpy(room, bytes, length);
		p->out_length += length;
	}
}

void proxy_put_packet(struct croft_proxy *p, const void *content, size_t length)
{
	uint8_t *packet = realloc(p->last, PACKET_WIRE_MAX(length));

	if (!packet) {
		p->over = true;
		return;
	}
	p->last = packet;
	p->last_length = packet_make(packet, content, length);
	proxy_put_bytes(p, p->last, p->last_length);
}

void proxy_put_text(struct croft_proxy *p, const char *text)
{
	proxy_put_packet(p, text, strlen(text));
}

void proxy_put_output(void *data, enum croft_stream stream, const char *text, size_t length)
{
	char *content = malloc(2 * length + 2);

	(void)stream;
	if (!content)
		return;
	content[0] = 'O';
	hex_make(content + 1, text, length);
	proxy_put_packet(data, content, 2 * length + 1);
	free(content);
}

void proxy_put_again(struct croft_proxy *p)
{
	proxy_put_bytes(p, p->last, p->last_length);
}

enum croft_status proxy_failed(struct croft_proxy *p, enum croft_status status)
{
	proxy_put_text(p, ANSWER_FAILED);
	p->over |= status == CROFT_ERROR_LOST;
	return status;
}
