/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frontend as a log sink, and how one is found. Must not know which frontends there are.
 */
#include <string.h>

#include <undercroft/frontend.h>
#include <undercroft/platform.h>

bool frontend_retry(struct frontend *frontend, size_t taken, uint64_t limit_us, uint64_t *moved_us)
{
	uint64_t now = frontend->platform->ops->now_us(frontend->platform);

	if (taken) {
		frontend->stuck = false;
		*moved_us = now;
		return true;
	}
	if (!frontend->stuck && now - *moved_us < limit_us)
		return true;
	frontend->stuck = true;
	return false;
}

static void frontend_sink_write(struct log_sink *base, const char *text, size_t length)
{
	struct frontend_sink *sink = CONTAINER_OF(base, struct frontend_sink, sink);
	struct frontend *frontend = sink->frontend;
	uint64_t moved_us = frontend->platform->ops->now_us(frontend->platform);
	uint64_t limit_us = frontend->stall_us;

	if (frontend->ops->recover(frontend))
		return;
	if (sink->patience_us) {
		limit_us = sink->patience_us;
		frontend->stuck = false;
	}
	while (length) {
		size_t sent = frontend->ops->write(frontend, text, length);

		text += sent;
		length -= sent;
		if (!frontend_retry(frontend, sent, limit_us, &moved_us)) {
			sink->patience_us = 0;
			return;
		}
	}
}

void frontend_sink_init(struct frontend_sink *sink, struct frontend *frontend)
{
	*sink = (struct frontend_sink){.sink.write = frontend_sink_write, .frontend = frontend};
}

const struct frontend_ops *frontend_find(const struct frontend_ops *const *set, size_t count, const char *compatible,
					 size_t room)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(set[i]->compatible, compatible) == 0 && set[i]->size <= room)
			return set[i];
	}
	return NULL;
}
