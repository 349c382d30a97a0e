/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Breakpoints of a proxy's debugger, apart from the program's.
 */
#include <stdlib.h>
#include <string.h>

#include "client/libcroft/proxy.h"

#define BREAKS_MAX 1024u

static struct proxy_break **find_break(struct croft_proxy *p, const struct croft_break *what)
{
	struct proxy_break **at = &p->breaks;

	while (*at && !breakpoint_is_same(&(*at)->what, what))
		at = &(*at)->next;
	return at;
}

static void drop_break(struct croft_proxy *p, struct proxy_break **at)
{
	struct proxy_break *gone = *at;

	if (!gone)
		return;
	*at = gone->next;
	p->break_count--;
	free(gone);
}

/* Remembers one, as it was said last. */
static enum croft_status keep_break(struct croft_proxy *p, const struct croft_break *what, const char *content,
				    size_t length, struct croft_error *error)
{
	struct proxy_break *kept = malloc(sizeof(*kept) + length);

	if (!kept)
		return error_memory(error);
	drop_break(p, find_break(p, what));
	kept->what = *what;
	kept->length = length;
	memcpy(kept->content, content, length);
	kept->next = p->breaks;
	p->breaks = kept;
	p->break_count++;
	return CROFT_OK;
}

/* A breakpoint that the program has at the same place stays as it is; the debugger's then is on paper only. */
enum croft_status proxy_set_break(struct croft_proxy *p, const struct request *r, const char *content, size_t length,
				  struct croft_error *error)
{
	struct croft_break what = {
		.kind = (enum croft_break_kind)r->type, .address = r->address, .length = r->length, .space = p->space};
	enum croft_status status;

	if (r->inserts && p->break_count >= BREAKS_MAX) {
		proxy_put_text(p, ANSWER_FULL);
		return CROFT_OK;
	}
	if (breakpoint_has_same(p->vm, &what)) {
		proxy_put_text(p, "OK");
	} else {
		status = proxy_pass_on(p, content, length, error);
		if (status || !answer_is(p->vm, "OK"))
			return status;
	}
	if (r->inserts)
		return keep_break(p, &what, content, length, error);
	drop_break(p, find_break(p, &what));
	return CROFT_OK;
}

enum croft_status proxy_replant(struct croft_proxy *p, const struct croft_break *what, struct croft_error *error)
{
	struct proxy_break *here = *find_break(p, what);
	enum croft_status status;

	if (!here)
		return CROFT_OK;
	status = memory_use_space(p->vm, here->what.space, error);
	return status ? status : session_ask(p->vm, here->content, here->length, error);
}

static enum croft_status lift_breaks(struct croft_proxy *p, struct croft_error *error)
{
	enum croft_status status = CROFT_OK;

	while (p->breaks && !status) {
		const struct croft_break *what = &p->breaks->what;

		if (!breakpoint_has_same(p->vm, what)) {
			status = memory_use_space(p->vm, what->space, error);
			if (!status)
				status = session_askf(p->vm, error, "z%u,%llx,%llx", (unsigned)what->kind,
						      (unsigned long long)what->address,
						      (unsigned long long)what->length);
		}
		drop_break(p, &p->breaks);
	}
	return status;
}

enum croft_status proxy_take_up_breaks(struct croft_proxy *p, struct croft_error *error)
{
	bool running = p->vm->running;
	enum croft_status status = CROFT_OK;

	if (!p->breaks)
		return CROFT_OK;
	if (running)
		status = croft_vm_stop(p->vm, NULL, error);
	if (!status)
		status = lift_breaks(p, error);
	/* whatever else has stopped it is somebody's business */
	if (!status && running && p->vm->stop.kind == CROFT_STOP_REQUEST)
		status = croft_vm_run(p->vm, error);
	return status;
}

void proxy_drop_breaks(struct croft_proxy *p)
{
	while (p->breaks)
		drop_break(p, &p->breaks);
}
