/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another debugger on the same VM: its packets, acknowledgements and interrupts end here; who is to answer. Must not
 * know where its bytes come from; they are not trusted.
 */
#include "client/libcroft/proxy.h"

#include <stdlib.h>
#include <string.h>

/* --- going on, stopping, leaving --- */

static enum croft_status go(struct croft_proxy *p, const char *content, size_t length, struct croft_error *error)
{
	enum croft_status status = proxy_prepare(p, error);

	p->before = p->vm->stop;
	if (!status)
		status = run_go(p->vm, content, length, error);
	if (status)
		return proxy_failed(p, status);
	p->waiting = true;
	return CROFT_OK;
}

bool proxy_wants_output(const struct croft_proxy *p)
{
	return p->waiting;
}

static bool is_stop_reply(const char *content, size_t length)
{
	return length && content[0] && strchr("TSWX", content[0]);
}

bool proxy_take_stop(struct croft_proxy *p, const char *content, size_t length, struct croft_stop *stop)
{
	char *kept = malloc(length + 1);

	free(p->stop);
	p->stop = kept;
	p->stop_length = kept ? length : 0;
	if (kept)
		memcpy(kept, content, length + 1);
	if (!p->waiting || is_stop_reply(content, length))
		return true;
	*stop = p->before;
	return false;
}

/* What it waits for has come. */
static void put_stop(struct croft_proxy *p)
{
	p->waiting = false;
	if (p->stop)
		proxy_put_packet(p, p->stop, request_stop(p->stop, p->stop_length, &p->abilities));
	else
		proxy_put_text(p, ANSWER_FAILED);
}

static enum croft_status interrupt(struct croft_proxy *p, struct croft_error *error)
{
	if (!p->vm->running || p->vm->stop_is_kept)
		return CROFT_OK;
	return session_byte(p->vm, PACKET_INTERRUPT, error);
}

static enum croft_status detach(struct croft_proxy *p, bool answers, struct croft_error *error)
{
	enum croft_status status = proxy_take_up_breaks(p, error);

	p->waiting = false;
	p->over = true;
	if (!status)
		status = croft_vm_run(p->vm, error);
	if (answers)
		proxy_put_text(p, status ? ANSWER_FAILED : "OK");
	return status;
}

/* --- requests --- */

/* While the VM runs. One who lets it go on has nothing to wait for but its stop. */
static void answer_running(struct croft_proxy *p, const struct request *r, const char *content)
{
	bool goes = r->kind == REQUEST_GO && (content[0] == 'c' || strncmp(content, "vCont;c", 7) == 0);

	if (goes && !p->waiting)
		p->waiting = true;
	else
		proxy_put_text(p, ANSWER_RUNNING);
}

static enum croft_status answer_stopped(struct croft_proxy *p, const struct request *r, const char *content,
					size_t length, struct croft_error *error)
{
	struct croft_vm *vm = p->vm;
	enum croft_status status;

	if (!r->keeps_memory || vm->wire.counters.packets_sent != p->packets_sent)
		cache_drop(&p->cache);
	status = r->kind == REQUEST_GO ? go(p, content, length, error) : proxy_ask(p, r, content, length, error);
	p->packets_sent = vm->wire.counters.packets_sent;
	return status;
}

/* The first packet attaches: the VM stops. */
static enum croft_status begin(struct croft_proxy *p, struct croft_error *error)
{
	enum croft_status status = croft_vm_stop(p->vm, NULL, error);

	p->begun = true;
	p->over |= status != CROFT_OK;
	return status;
}

static enum croft_status handle(struct croft_proxy *p, struct croft_error *error)
{
	const char *content = p->reader.content;
	size_t length = p->reader.length;
	enum croft_status status = CROFT_OK;
	struct request request;

	p->counters.packets++;
	request_parse(content, length, &request);
	switch (request.kind) {
	case REQUEST_NO_ACK:
		proxy_put_text(p, "OK");
		p->acks_off = true;
		return CROFT_OK;
	case REQUEST_UNKNOWN:
		proxy_put_text(p, "");
		return CROFT_OK;
	case REQUEST_DETACH:
		return detach(p, true, error);
	case REQUEST_KILL:
		return detach(p, false, error);
	case REQUEST_ASK:
	case REQUEST_READ:
	case REQUEST_GO:
	case REQUEST_BREAK:
	case REQUEST_THREAD:
	case REQUEST_SPACE:
	case REQUEST_COMMAND:
	case REQUEST_SUPPORTED:
	default:
		break;
	}
	if (!p->begun)
		status = begin(p, error);
	if (status)
		return status;
	if (packet_size(content, length) > p->vm->packet_max)
		proxy_put_text(p, "E.croft.the packet is too long");
	else if (p->vm->running)
		answer_running(p, &request, content);
	else
		status = answer_stopped(p, &request, content, length, error);
	return status;
}

/*
 * What a debugger says first; a frame's zero is a client of ours who takes leave of its predecessor. Anything else is
 * nobody who is to have the machine: a browser, which a page from elsewhere has sent to all ports of this computer.
 */
static bool may_begin(uint8_t byte)
{
	return byte == '+' || byte == '-' || byte == '$' || byte == PACKET_INTERRUPT || byte == 0;
}

static enum croft_status take_byte(struct croft_proxy *p, uint8_t byte, struct croft_error *error)
{
	if (!p->heard && !may_begin(byte)) {
		p->over = true;
		return error_set(error, CROFT_ERROR_PROTOCOL, "what connected is no debugger");
	}
	p->heard = true;
	if (byte == PACKET_INTERRUPT && !packet_is_begun(&p->reader))
		return interrupt(p, error);
	switch (packet_take(&p->reader, byte)) {
	case PACKET_WHOLE:
		if (!p->acks_off)
			proxy_put_bytes(p, "+", 1);
		return handle(p, error);
	case PACKET_DAMAGED:
		if (!p->acks_off)
			proxy_put_bytes(p, "-", 1);
		break;
	case PACKET_NO_ROOM:
		if (!p->acks_off)
			proxy_put_bytes(p, "+", 1);
		proxy_put_text(p, "E.croft.the packet is too long");
		break;
	case PACKET_NACK:
		if (!p->acks_off)
			proxy_put_again(p);
		break;
	case PACKET_ACK:
	case PACKET_NOISE:
	case PACKET_NOTHING:
		break;
	}
	return CROFT_OK;
}

/* --- for programs --- */

enum croft_status croft_proxy_open(struct croft_vm *vm, struct croft_proxy **proxy, struct croft_error *error)
{
	*proxy = NULL;
	if (vm->proxy)
		return error_set(error, CROFT_ERROR_BUSY, "there is another debugger");
	*proxy = calloc(1, sizeof(**proxy));
	if (!*proxy)
		return error_memory(error);
	(*proxy)->vm = vm;
	(*proxy)->space = croft_current();
	packet_init(&(*proxy)->reader);
	cache_init(&(*proxy)->cache);
	vm->proxy = *proxy;
	return error_none(error);
}

void proxy_free(struct croft_proxy *p)
{
	if (!p)
		return;
	p->vm->proxy = NULL;
	proxy_drop_breaks(p);
	packet_free(&p->reader);
	cache_free(&p->cache);
	free(p->stop);
	free(p->out);
	free(p->last);
	free(p);
}

enum croft_status croft_proxy_close(struct croft_proxy *proxy, struct croft_error *error)
{
	enum croft_status status;

	if (!proxy)
		return error_none(error);
	proxy->waiting = false;
	status = proxy_take_up_breaks(proxy, error);
	proxy_free(proxy);
	return status ? status : error_none(error);
}

enum croft_status croft_proxy_take(struct croft_proxy *proxy, const void *data, size_t length,
				   struct croft_error *error)
{
	enum croft_status status = vm_check_nested(proxy->vm, error);
	struct croft_error now;
	const uint8_t *bytes = data;

	if (status)
		return status;
	error_none(error);
	for (size_t i = 0; i < length && !proxy->over && status != CROFT_ERROR_LOST; i++) {
		/* one question that fails is no reason not to ask the next */
		if (take_byte(proxy, bytes[i], &now)) {
			status = now.status;
			if (error)
				*error = now;
		}
	}
	return status;
}

const void *croft_proxy_output(struct croft_proxy *proxy, size_t *length)
{
	if (proxy->waiting && !proxy->vm->running)
		put_stop(proxy);
	*length = proxy->out_length - proxy->out_sent;
	return *length ? proxy->out + proxy->out_sent : NULL;
}

void croft_proxy_sent(struct croft_proxy *proxy, size_t length)
{
	proxy->out_sent += length;
}

bool croft_proxy_is_over(const struct croft_proxy *proxy)
{
	return proxy->over;
}

bool croft_proxy_is_waiting(const struct croft_proxy *proxy)
{
	return proxy->waiting;
}

void croft_proxy_counters(const struct croft_proxy *proxy, struct croft_proxy_counters *counters)
{
	*counters = proxy->counters;
}
