/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frontend as a log sink, and how one is found. Must not know which frontends there are.
 */
#include <string.h>

#include <undercroft/frontend.h>

static void frontend_sink_write(struct log_sink *sink, const char *text, size_t length)
{
	struct frontend *frontend = CONTAINER_OF(sink, struct frontend_sink, sink)->frontend;

	if (frontend->ops->recover(frontend))
		return;
	while (length) {
		size_t sent = frontend->ops->write(frontend, text, length);

		if (!sent)
			return;
		text += sent;
		length -= sent;
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
