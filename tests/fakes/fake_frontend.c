/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mailbox.
 */
#include "tests/fakes/fake_frontend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/region.h>

static struct fake_frontend *to_fake(struct frontend *frontend)
{
	return CONTAINER_OF(frontend, struct fake_frontend, frontend);
}

static uint64_t now_us(struct frontend *frontend)
{
	return frontend->platform->ops->now_us(frontend->platform);
}

static int mailbox_probe(struct frontend *frontend)
{
	return to_fake(frontend)->gone ? -ENODEV : 0;
}

static int mailbox_recover(struct frontend *frontend)
{
	struct fake_frontend *fake = to_fake(frontend);

	if (fake->gone)
		return -ENODEV;
	fake->recovered += fake->was_reset;
	fake->was_reset = false;
	return 0;
}

static size_t mailbox_read(struct frontend *frontend, void *buffer, size_t length)
{
	struct fake_frontend *fake = to_fake(frontend);
	size_t count;

	if (fake->in_count == fake->in_read && fake->on_silence)
		fake->on_silence(fake);
	count = fake->in_count - fake->in_read;
	if (fake->gone || fake->was_reset || !count || now_us(frontend) < fake->next_us)
		return 0;
	fake->next_us = now_us(frontend) + fake->pace_us;
	if (count > length)
		count = length;
	if (count > FAKE_PACKET)
		count = FAKE_PACKET;
	memcpy(buffer, fake->in + fake->in_read, count);
	fake->in_read += count;
	return count;
}

static size_t mailbox_write(struct frontend *frontend, const void *data, size_t length)
{
	struct fake_frontend *fake = to_fake(frontend);
	uint64_t now = now_us(frontend);
	size_t count = length < FAKE_PACKET ? length : FAKE_PACKET;

	if (fake->gone || fake->was_reset || fake->stuck || now < fake->idle_at_us || !count)
		return 0;
	if (fake->out_count + count > sizeof(fake->out)) {
		fprintf(stderr, "fake_frontend: the peer's memory is full\n");
		abort();
	}
	memcpy(fake->out + fake->out_count, data, count);
	fake->out_count += count;
	fake->idle_at_us = now + fake->busy_us;
	if (fake->on_write)
		fake->on_write(fake);
	return count;
}

static int mailbox_flush(struct frontend *frontend)
{
	struct fake_frontend *fake = to_fake(frontend);
	uint64_t start = now_us(frontend);

	while (fake->stuck || now_us(frontend) < fake->idle_at_us) {
		if (now_us(frontend) - start > frontend->stall_us)
			return -ETIMEDOUT;
	}
	return 0;
}

static int mailbox_open(struct frontend *frontend)
{
	struct fake_frontend *fake = to_fake(frontend);

	if (fake->gone)
		return -ENODEV;
	frontend->stall_us = 2 * fake->busy_us + 100;
	fake->was_reset = false;
	return mailbox_flush(frontend);
}

static unsigned mailbox_regions(struct frontend *frontend, struct region *out, unsigned max)
{
	if (max)
		*out = (struct region){.name = "mailbox",
				       .space = REGION_MMIO,
				       .start = frontend->config.address,
				       .length = 2 * FAKE_PACKET,
				       .trap_reads = true};
	return 1;
}

static size_t mailbox_export(struct frontend *frontend, void *state, size_t size)
{
	if (size < sizeof(frontend->stall_us))
		return 0;
	memcpy(state, &frontend->stall_us, sizeof(frontend->stall_us));
	return sizeof(frontend->stall_us);
}

static int mailbox_adopt(struct frontend *frontend, const void *state, size_t size)
{
	if (size != sizeof(frontend->stall_us))
		return -EINVAL;
	memcpy(&frontend->stall_us, state, size);
	return 0;
}

static const struct frontend_ops mailbox_ops = {
	.name = "mailbox",
	.compatible = "test,mailbox",
	.size = sizeof(struct fake_frontend),
	.probe = mailbox_probe,
	.open = mailbox_open,
	.read = mailbox_read,
	.write = mailbox_write,
	.flush = mailbox_flush,
	.recover = mailbox_recover,
	.regions = mailbox_regions,
	.export = mailbox_export,
	.adopt = mailbox_adopt,
};

void fake_frontend_init(struct fake_frontend *fake, struct fake_platform *platform)
{
	memset(fake, 0, sizeof(*fake));
	fake->frontend = (struct frontend){
		.ops = &mailbox_ops,
		.platform = &platform->platform,
		.config = {.compatible = "test,mailbox", .address = 0xfe030000},
	};
	fake->busy_us = 20;
	if (mailbox_open(&fake->frontend))
		abort();
}

void fake_frontend_say(struct fake_frontend *fake, const void *bytes, size_t length)
{
	if (fake->in_count + length > sizeof(fake->in)) {
		fprintf(stderr, "fake_frontend: the peer says too much\n");
		abort();
	}
	memcpy(fake->in + fake->in_count, bytes, length);
	fake->in_count += length;
}
