/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link that carries LINK_BULK alone, in place of core/control/link.c: what a test says is read, what is written the
 * test takes. Must not know any test.
 */
#ifndef TESTS_FAKES_FAKE_LINK_H
#define TESTS_FAKES_FAKE_LINK_H

#include "core/control/link.h"
#include "tests/fakes/fake_platform.h"

#define FAKE_LINK_QUEUE (1u << 20)

struct fake_link {
	struct link link; /* first */
	struct frontend frontend;
	size_t room; /* how many bytes each write takes at most */
	size_t in_count, in_read, out_count;
	uint8_t in[FAKE_LINK_QUEUE], out[FAKE_LINK_QUEUE];
};

void fake_link_init(struct fake_link *fake, struct fake_platform *platform);

/* What the client sends. */
void fake_link_say(struct fake_link *fake, const void *bytes, size_t length);

#endif
