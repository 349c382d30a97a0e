/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a proxy's debugger asks is passed on; memory that it reads is kept while the VM stands.
 */
#include <stdlib.h>
#include <string.h>

#include "client/libcroft/proxy.h"

/* What is read for a debugger at once, aligned: those ask byte by byte. */
#define BLOCK 256u

/* Bytes of memory in one answer. */
#define READ_MAX 2048u

enum croft_status proxy_prepare(struct croft_proxy *p, struct croft_error *error)
{
	struct croft_vm *vm = p->vm;
	enum croft_status status = vm_check_stopped(vm, error);

	if (!status)
		status = cpu_flush_all(vm, error);
	if (!status)
		status = memory_use_space(vm, p->space, error);
	if (!status && p->thread[0] && vm->selected) {
		status = session_ask(vm, p->thread, strlen(p->thread), error);
		vm->selected = NULL;
	}
	return status;
}

/* The answer is in vm->answer. */
static enum croft_status ask(struct croft_proxy *p, const char *content, size_t length, struct croft_error *error)
{
	enum croft_status status = proxy_prepare(p, error);

	return status ? status : raw_ask(p->vm, content, length, proxy_put_output, p, error);
}

enum croft_status proxy_pass_on(struct croft_proxy *p, const char *content, size_t length, struct croft_error *error)
{
	enum croft_status status = ask(p, content, length, error);

	if (status)
		return proxy_failed(p, status);
	proxy_put_packet(p, p->vm->answer.content, p->vm->answer.length);
	return CROFT_OK;
}

static enum croft_status set_thread(struct croft_proxy *p, const char *content, size_t length,
				    struct croft_error *error)
{
	enum croft_status status = proxy_pass_on(p, content, length, error);

	if (!status && answer_is(p->vm, "OK") && length < sizeof(p->thread))
		memcpy(p->thread, content, length + 1);
	return status;
}

static enum croft_status set_space(struct croft_proxy *p, const struct request *r, const char *content, size_t length,
				   struct croft_error *error)
{
	enum croft_status status = proxy_pass_on(p, content, length, error);

	if (!status && answer_is(p->vm, "OK"))
		p->space = r->space;
	return status;
}

/* Behind a monitor's command addresses may mean something else. */
static enum croft_status command(struct croft_proxy *p, const char *content, size_t length, struct croft_error *error)
{
	enum croft_status status = proxy_pass_on(p, content, length, error);
	struct croft_vm *vm = p->vm;

	if (status || !vm->is_undercroft)
		return status;
	status = raw_ask(vm, "qcroft.as", 9, NULL, NULL, error);
	if (status || !request_take_space(vm->answer.content, &vm->space))
		return status;
	vm->space_known = true;
	p->space = vm->space;
	return CROFT_OK;
}

/* The proxy's own features; some of the other end's are not for clients of a proxy. */
static enum croft_status supported(struct croft_proxy *p, const char *content, struct croft_error *error)
{
	char offer[QUESTION_MAX], *answer;
	size_t length = request_offer(content, offer, sizeof(offer), &p->abilities);
	enum croft_status status = ask(p, offer, length, error);

	if (status)
		return proxy_failed(p, status);
	answer = malloc(p->vm->answer.length + REQUEST_ANSWER_MORE);
	if (!answer)
		return proxy_failed(p, error_memory(error));
	memcpy(answer, p->vm->answer.content, p->vm->answer.length);
	proxy_put_packet(p, answer, request_answer(answer, p->vm->answer.length));
	free(answer);
	return CROFT_OK;
}

/* --- memory --- */

static void put_memory(struct croft_proxy *p, const struct request *r, const uint8_t *bytes, size_t length)
{
	char digits[2 * READ_MAX + 1];

	if (r->is_binary) {
		proxy_put_packet(p, bytes, length);
		return;
	}
	hex_make(digits, bytes, length);
	proxy_put_packet(p, digits, 2 * length);
}

/* Does an error say that there is no memory, and not that nothing was heard? */
static bool is_about_memory(enum croft_status status)
{
	return status == CROFT_ERROR_UNMAPPED || status == CROFT_ERROR_DENIED || status == CROFT_ERROR_REFUSED;
}

/*
 * Undercroft touches no device unless it is told to: so what it gives is memory, and it can be asked for what is around
 * it. Of other stubs neither is known.
 */
static enum croft_status read_memory(struct croft_proxy *p, const struct request *r, const char *content, size_t length,
				     struct croft_error *error)
{
	struct croft_vm *vm = p->vm;
	size_t piece = vm->packet_max / 2 < READ_MAX ? vm->packet_max / 2 : READ_MAX, count, done, before;
	uint64_t first = r->address & ~(uint64_t)(BLOCK - 1), last;
	uint8_t bytes[READ_MAX];
	enum croft_status status;

	p->counters.reads++;
	if (!vm->is_undercroft || p->space.device)
		return proxy_pass_on(p, content, length, error);
	count = r->length < piece ? (size_t)r->length : piece;
	if (cache_get(&p->cache, r->address, bytes, count)) {
		p->counters.reads_known++;
		put_memory(p, r, bytes, count);
		return CROFT_OK;
	}
	last = (r->address + count - 1) | (BLOCK - 1);
	if (last - first >= piece) {
		first = r->address;
		last = r->address + count - 1;
	}
	status = croft_memory_read(vm, p->space, first, bytes, (size_t)(last - first) + 1, &done, error);
	if (status && !is_about_memory(status))
		return proxy_failed(p, status);
	cache_put(&p->cache, first, bytes, done);
	before = (size_t)(r->address - first);
	/* what is in front of it cannot be read, or nothing of it: its own words for that */
	if (done <= before)
		return proxy_pass_on(p, content, length, error);
	put_memory(p, r, bytes + before, done - before < count ? done - before : count);
	return CROFT_OK;
}

enum croft_status proxy_ask(struct croft_proxy *p, const struct request *r, const char *content, size_t length,
			    struct croft_error *error)
{
	switch (r->kind) {
	case REQUEST_READ:
		return read_memory(p, r, content, length, error);
	case REQUEST_BREAK:
		return proxy_set_break(p, r, content, length, error);
	case REQUEST_THREAD:
		return set_thread(p, content, length, error);
	case REQUEST_SPACE:
		return set_space(p, r, content, length, error);
	case REQUEST_COMMAND:
		return command(p, content, length, error);
	case REQUEST_SUPPORTED:
		return supported(p, content, error);
	case REQUEST_ASK:
	case REQUEST_GO:
	case REQUEST_NO_ACK:
	case REQUEST_DETACH:
	case REQUEST_KILL:
	case REQUEST_UNKNOWN:
	default:
		return proxy_pass_on(p, content, length, error);
	}
}
