/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two queues.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fakes/fake_link.h"

void fake_link_init(struct fake_link *fake, struct fake_platform *platform)
{
	memset(fake, 0, sizeof(*fake));
	fake->frontend.platform = &platform->platform;
	fake->link.frontend = &fake->frontend;
	fake->room = FAKE_LINK_QUEUE;
}

void fake_link_say(struct fake_link *fake, const void *bytes, size_t length)
{
	if (length > FAKE_LINK_QUEUE - fake->in_count) {
		fprintf(stderr, "fake_link: the queue is full\n");
		abort();
	}
	memcpy(fake->in + fake->in_count, bytes, length);
	fake->in_count += length;
}

size_t link_read(struct link *link, enum link_channel channel, void *buffer, size_t length)
{
	struct fake_link *fake = CONTAINER_OF(link, struct fake_link, link);
	size_t left = fake->in_count - fake->in_read;

	if (channel != LINK_BULK)
		return 0;
	if (length > left)
		length = left;
	memcpy(buffer, fake->in + fake->in_read, length);
	fake->in_read += length;
	return length;
}

size_t link_write(struct link *link, enum link_channel channel, const void *data, size_t length)
{
	struct fake_link *fake = CONTAINER_OF(link, struct fake_link, link);

	if (channel != LINK_BULK)
		return 0;
	if (length > fake->room)
		length = fake->room;
	if (length > FAKE_LINK_QUEUE - fake->out_count)
		length = FAKE_LINK_QUEUE - fake->out_count;
	memcpy(fake->out + fake->out_count, data, length);
	fake->out_count += length;
	return length;
}
