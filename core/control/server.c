/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients come and go, packets find their handlers.
 */
#include "core/control/server.h"

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/log.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>

#include "core/control/layout.h"
#include "core/control/packets.h"
#include "core/control/regs.h"

/* --- replies and arguments that are common --- */

void reply_text(struct server *server, const char *text)
{
	rsp_begin(&server->rsp);
	rsp_text(&server->rsp, text);
	rsp_end(&server->rsp);
}

void reply_ok(struct server *server)
{
	reply_text(server, "OK");
}

void reply_error(struct server *server, int error)
{
	if (!error) {
		reply_ok(server);
		return;
	}
	rsp_begin(&server->rsp);
	rsp_printf(&server->rsp, "E%02x", -error & 0xff);
	rsp_end(&server->rsp);
}

void reply_refuse(struct server *server, const char *why)
{
	rsp_begin(&server->rsp);
	rsp_text(&server->rsp, "E.croft.");
	rsp_text(&server->rsp, why);
	rsp_end(&server->rsp);
}

const char *error_words(int error)
{
	switch (-error) {
	case EFAULT:
		return "nothing is mapped there";
	case EACCES:
		return "hidden or device memory, or read-only";
	case EINVAL:
		return "a value that is not possible here";
	case ENOENT:
		return "no such thing";
	case ENOSPC:
	case ENOMEM:
		return "no room for more";
	case ENOTSUP:
		return "not possible on this machine";
	default:
		return "failed";
	}
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool take_hex(char **at, uint64_t *value)
{
	unsigned digits = 0;
	int digit;

	*value = 0;
	for (; (digit = digit_of(**at)) >= 0; (*at)++) {
		if (*value >> 60)
			return false;
		*value = *value << 4 | (unsigned)digit;
		digits++;
	}
	return digits > 0;
}

bool take_char(char **at, char character)
{
	if (**at != character)
		return false;
	(*at)++;
	return true;
}

bool take_word(char **at, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(*at, word, length) != 0)
		return false;
	*at += length;
	return true;
}

int take_bytes(char **at, uint8_t *bytes, size_t max)
{
	size_t count = 0;

	for (; digit_of(**at) >= 0; *at += 2) {
		int low = digit_of((*at)[1]);

		if (low < 0 || count == max)
			return -1;
		bytes[count++] = (uint8_t)(digit_of(**at) << 4 | low);
	}
	return (int)count;
}

bool take_space(char **at, struct debug_space *space)
{
	*space = (struct debug_space){.kind = SPACE_CURRENT};
	if (take_word(at, "current"))
		return true;
	space->kind = SPACE_PHYSICAL;
	if (take_word(at, "phys"))
		return true;
	space->kind = SPACE_CR3;
	return take_word(at, "cr3=") && take_hex(at, &space->cr3);
}

/* --- packets --- */

static const struct packet *packet_find(const struct packet *table, const char *content)
{
	for (; table->name; table++) {
		if (strncmp(content, table->name, strlen(table->name)) == 0)
			return table;
	}
	return NULL;
}

static void dispatch(struct server *server)
{
	const struct packet *const tables[] = {packets_memory, packets_run, packets_croft, packets_query};
	char *content = (char *)server->rsp.in;

	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		const struct packet *packet = packet_find(tables[i], content);

		if (packet) {
			packet->handle(server, content + strlen(packet->name));
			return;
		}
	}
	reply_text(server, "");
}

/* --- clients --- */

static void client_begin(struct server *server)
{
	link_attach(server->rsp.link);
	server->attached = true;
	log_printf(server->vcpu->vm->log, "undercroft: a debugger has attached\n");
}

static enum watch_state watch_wanted(const struct server *server)
{
	if (server->attached)
		return bulk_is_busy(&server->bulk) ? WATCH_BUSY : WATCH_ATTACHED;
	return server->listens ? WATCH_LISTENING : WATCH_OFF;
}

/* While the guest runs. */
static void watch_begin(struct server *server)
{
	watch_set(server->vcpu, &server->watch, watch_wanted(server));
}

static void client_end(struct server *server)
{
	struct vcpu *vcpu = server->vcpu;

	rsp_reset(&server->rsp);
	bulk_reset(&server->bulk);
	server->attached = server->resumed = server->pending = false;
	server->says_swbreak = server->says_hwbreak = server->device = false;
	server->space = (struct debug_space){.kind = SPACE_CURRENT};
	server->give_up_us = 0;
	debug_release(vcpu);
	watch_begin(server);
	log_printf(vcpu->vm->log, "undercroft: the debugger is gone; the guest runs on\n");
}

void server_release(struct server *server)
{
	link_reset(server->rsp.link);
	client_end(server);
}

/* Framed, the link knows. What it has behind the loss is another client's already. */
static void look_for_loss(struct server *server)
{
	link_poll(server->rsp.link);
	if (link_was_lost(server->rsp.link) && server->attached)
		client_end(server);
}

static bool starts_without(const struct server *server)
{
	struct platform *platform = server->vcpu->vm->platform;

	return !server->attached && server->give_up_us && platform->ops->now_us(platform) >= server->give_up_us;
}

static void hear(struct server *server)
{
	struct platform *platform = server->vcpu->vm->platform;

	server->heard_us = platform->ops->now_us(platform);
}

/* Framed, the link knows by itself. */
static bool has_fallen_silent(const struct server *server)
{
	struct platform *platform = server->vcpu->vm->platform;

	return server->attached && server->silence_us && !link_is_reliable(server->rsp.link) &&
	       platform->ops->now_us(platform) - server->heard_us >= server->silence_us;
}

/* One look at the link while the guest stands. */
static void serve(struct server *server)
{
	unsigned seen = server->rsp.garbage;
	enum rsp_event event;

	look_for_loss(server);
	bulk_poll(&server->bulk);
	event = rsp_poll(&server->rsp);
	if (event != RSP_NOTHING || server->rsp.garbage != seen)
		hear(server);
	switch (event) {
	case RSP_PACKET:
		if (!server->attached)
			client_begin(server);
		dispatch(server);
		break;
	case RSP_TOO_LONG:
		reply_refuse(server, "the packet is too long");
		break;
	case RSP_NEW:
		/* whoever was there before is gone; what it armed is not the new one's */
		rsp_reset(&server->rsp);
		break;
	case RSP_GARBAGE:
		if (server->attached)
			server_release(server);
		break;
	case RSP_INTERRUPT: /* it stands already */
	case RSP_NOTHING:
	default:
		if (starts_without(server)) {
			log_printf(server->vcpu->vm->log, "undercroft: no debugger came; the guest starts\n");
			debug_resume(server->vcpu);
		} else if (has_fallen_silent(server)) {
			server_release(server);
		}
		break;
	}
}

static void server_stopped(struct vcpu *vcpu)
{
	struct server *server = CONTAINER_OF(vcpu->vm->control, struct server, control);

	hear(server);
	if (server->resumed) {
		server->resumed = false;
		reply_stop(server);
	}
	if (server->pending) {
		server->pending = false;
		dispatch(server);
	}
	while (debug_is_stopped(vcpu)) {
		serve(server);
		if (vcpu->backend->admit)
			vcpu->backend->admit(vcpu);
	}
	watch_begin(server);
}

/*
 * A client that comes sends more than a device holds between two looks. So it is listened to for a moment: what is lost
 * of its first packet it sends again.
 */
static enum rsp_event look(struct server *server)
{
	struct platform *platform = server->vcpu->vm->platform;
	struct rsp *rsp = &server->rsp;
	unsigned seen = rsp->garbage;
	enum rsp_event event = rsp_poll(rsp);
	uint64_t start_us, heard_us, now_us;

	if (server->attached || event != RSP_NOTHING || rsp->garbage == seen)
		return event;
	start_us = heard_us = now_us = platform->ops->now_us(platform);
	while (event == RSP_NOTHING && now_us - heard_us < SERVER_SILENCE_US && now_us - start_us < SERVER_LISTEN_US) {
		seen = rsp->garbage;
		link_poll(rsp->link);
		event = rsp_poll(rsp);
		now_us = platform->ops->now_us(platform);
		if (rsp->garbage != seen)
			heard_us = now_us;
	}
	return event;
}

static void server_poll(struct vcpu *vcpu)
{
	struct server *server = CONTAINER_OF(vcpu->vm->control, struct server, control);
	static const struct stop request = {.kind = STOP_REQUEST};

	if (!watch_is_due(vcpu, &server->watch) || server->pending)
		return;
	look_for_loss(server);
	bulk_poll(&server->bulk);
	switch (look(server)) {
	case RSP_PACKET:
		/* a client that waits for a stop sends none: this is another one */
		server->resumed = false;
		/* what it has said again, because nobody listened, gets no answer of its own */
		if (!link_is_reliable(server->rsp.link))
			(void)rsp_interrupted(&server->rsp);
		if (!server->attached)
			client_begin(server);
		server->pending = true;
		debug_stop_request(vcpu, &request);
		break;
	case RSP_INTERRUPT:
		if (server->attached)
			debug_stop_request(vcpu, &request);
		break;
	case RSP_GARBAGE:
		if (server->attached)
			server_release(server);
		break;
	case RSP_NEW:
		rsp_reset(&server->rsp);
		break;
	case RSP_TOO_LONG:
	case RSP_NOTHING:
	default:
		break;
	}
	if (watch_wanted(server) != server->watch.state)
		watch_begin(server);
}

/* What a breakpoint's commands print goes to the client's console. */
static void server_print(struct vcpu *vcpu, const char *text, size_t length)
{
	struct server *server = CONTAINER_OF(vcpu->vm->control, struct server, control);

	if (!server->attached)
		return;
	rsp_begin(&server->rsp);
	rsp_char(&server->rsp, 'O');
	rsp_hex(&server->rsp, text, length < SERVER_DATA_MAX - 1 ? length : SERVER_DATA_MAX - 1);
	rsp_end(&server->rsp);
}

static bool server_is_attended(struct vcpu *vcpu)
{
	return CONTAINER_OF(vcpu->vm->control, struct server, control)->attached;
}

/* Expressions have registers of up to 64 bits. */
static bool server_reg(struct vcpu *vcpu, unsigned number, uint64_t *value)
{
	uint8_t bytes[LAYOUT_BYTES_MAX];
	unsigned size = regs_get(vcpu, number, bytes);

	if (size == 0 || size > sizeof(*value))
		return false;
	*value = 0;
	memcpy(value, bytes, size);
	return true;
}

void server_init(struct server *server, struct vcpu *vcpu, struct link *link, bool listens)
{
	memset(server, 0, sizeof(*server));
	server->control = (struct control){
		.stopped = server_stopped,
		.poll = server_poll,
		.is_attended = server_is_attended,
		.print = server_print,
		.gpr_order = layout_gpr,
		.gpr_count = ARRAY_SIZE(layout_gpr),
		.reg = server_reg,
	};
	server->vcpu = vcpu;
	server->listens = listens;
	watch_init(&server->watch);
	rsp_init(&server->rsp, link);
	bulk_init(&server->bulk, vcpu, link);
	vcpu->vm->control = &server->control;
	watch_begin(server);
}

void server_silence_limit(struct server *server, uint32_t timeout_ms)
{
	server->silence_us = (uint64_t)timeout_ms * 1000;
}

void server_wait_at_start(struct server *server, uint32_t timeout_ms)
{
	struct platform *platform = server->vcpu->vm->platform;
	static const struct stop start = {.kind = STOP_START};

	if (timeout_ms)
		server->give_up_us = platform->ops->now_us(platform) + (uint64_t)timeout_ms * 1000;
	log_printf(server->vcpu->vm->log, "undercroft: the guest waits for a debugger\n");
	debug_stop_request(server->vcpu, &start);
}
