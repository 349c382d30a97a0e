/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The channels of a control link over a frontend.
 */
#include "core/control/link.h"

#include <undercroft/platform.h>

_Static_assert((LINK_IN_SIZE & (LINK_IN_SIZE - 1)) == 0, "positions in the ring are taken modulo its size");

static void take_in(struct link *link)
{
	while (link->in_written - link->in_read < LINK_IN_SIZE) {
		unsigned at = link->in_written % LINK_IN_SIZE, room = LINK_IN_SIZE - at;
		unsigned free = LINK_IN_SIZE - (link->in_written - link->in_read);
		size_t got = link->frontend->ops->read(link->frontend, link->in + at, room < free ? room : free);

		if (!got)
			return;
		link->in_written += (unsigned)got;
	}
}

/* Looks after a device that was reset behind our back, now and then. 0 or -ENODEV. */
static int look_after(struct link *link)
{
	struct platform *platform = link->frontend->platform;
	uint64_t now = platform->ops->now_us(platform);

	if (now - link->checked_us < LINK_CHECK_US)
		return 0;
	link->checked_us = now;
	return link->frontend->ops->recover(link->frontend);
}

static size_t write_plain(struct link *link, const uint8_t *bytes, size_t length)
{
	struct frontend *frontend = link->frontend;
	uint64_t moved_us = frontend->platform->ops->now_us(frontend->platform);
	size_t sent = 0;

	if (look_after(link))
		return 0;
	while (sent < length) {
		size_t taken = frontend->ops->write(frontend, bytes + sent, length - sent);

		sent += taken;
		take_in(link);
		if (!frontend_retry(frontend, taken, frontend->stall_us, &moved_us))
			break;
	}
	return sent;
}

static void log_write_link(struct log_sink *sink, const char *text, size_t length)
{
	link_write(CONTAINER_OF(sink, struct link, log), LINK_LOG, text, length);
}

void link_init(struct link *link, struct frontend *frontend)
{
	*link = (struct link){.log.write = log_write_link, .frontend = frontend};
}

size_t link_read(struct link *link, enum link_channel channel, void *buffer, size_t length)
{
	uint8_t *bytes = buffer;
	size_t count = 0;

	if (channel != LINK_RSP)
		return 0;
	while (count < length) {
		if (link->in_read == link->in_written)
			take_in(link);
		if (link->in_read == link->in_written)
			break;
		bytes[count++] = link->in[link->in_read++ % LINK_IN_SIZE];
	}
	return count;
}

size_t link_write(struct link *link, enum link_channel channel, const void *data, size_t length)
{
	switch (channel) {
	case LINK_RSP:
		return write_plain(link, data, length);
	case LINK_LOG:
		if (!link->attached)
			write_plain(link, data, length);
		return length;
	case LINK_BULK:
	case LINK_CHANNELS:
		break;
	}
	return 0;
}

int link_flush(struct link *link)
{
	return link->frontend->ops->flush(link->frontend);
}

void link_poll(struct link *link)
{
	if (look_after(link))
		return;
	take_in(link);
}

bool link_is_reliable(const struct link *link)
{
	(void)link;
	return false;
}

void link_attach(struct link *link)
{
	link->attached = true;
}

void link_reset(struct link *link)
{
	link->attached = false;
	link->in_read = link->in_written;
}
