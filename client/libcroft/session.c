/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions and answers: acknowledgements, repetitions, limits on time. Must not know what is asked.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <undercroft/log.h>

#include "client/libcroft/proxy.h"
#include "client/libcroft/vm.h"

/* As long as an answer keeps coming in, it may take so many timeouts; with output in between, so many. */
#define SLOW_FACTOR   10u
#define OUTPUT_FACTOR 100u

/* Packets in a row that arrive damaged, and times that a question is said again. */
#define DAMAGED_MAX  8u
#define REPEATED_MAX 8u

/* Without frames: what does not come for so long after an answer was given up will not come. */
#define STALE_US 300000u

/* How long an answer may take that somebody has interrupted. */
#define INTERRUPTED_US 1000000u

/* How far an answer is waited for. */
struct patience {
	uint64_t silence_us; /* may last so long at a time */
	uint64_t until_us;   /* silence ends then */
	uint64_t last_us;    /* all ends then */
	uint64_t repeat_us;  /* with acknowledgements: the question is said again then */
	uint64_t interval_us;
	unsigned damaged, repeated;
	bool interrupted;
};

enum croft_status vm_check_stopped(struct croft_vm *vm, struct croft_error *error)
{
	if (vm->stop.kind == CROFT_STOP_GONE)
		return error_set(error, CROFT_ERROR_LOST, "%s: the machine is gone", vm->target);
	if (vm->running)
		return error_set(error, CROFT_ERROR_RUNNING, "the VM is running: stop it first");
	return CROFT_OK;
}

enum croft_status vm_check_nested(struct croft_vm *vm, struct croft_error *error)
{
	if (vm->nested)
		return error_set(error, CROFT_ERROR_NESTED, "a callback cannot run, stop or wait for the VM");
	return CROFT_OK;
}

unsigned session_depth(const struct croft_vm *vm)
{
	return vm->wire.framed ? QUESTIONS_MAX : 1;
}

enum croft_status session_byte(struct croft_vm *vm, uint8_t byte, struct croft_error *error)
{
	return wire_write(&vm->wire, WIRE_RSP, &byte, 1, vm->timeout_ms, error);
}

static uint64_t min_us(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct patience patience_make(const struct croft_vm *vm, unsigned factor)
{
	uint64_t now = wire_now_us(), timeout = vm->timeout_ms * 1000ull;
	uint64_t line = wire_time_us(&vm->wire, vm->question_length);

	return (struct patience){
		.silence_us = timeout + line,
		.until_us = now + timeout + line,
		.last_us = now + factor * timeout + line + wire_time_us(&vm->wire, 2 * vm->packet_max),
		.interval_us = timeout / 3 + line,
		.repeat_us = now + timeout / 3 + line,
	};
}

/* Something has come: an answer that keeps coming is waited for. */
static void patience_renew(struct patience *p)
{
	uint64_t now = wire_now_us();

	p->until_us = min_us(now + p->silence_us, p->last_us);
	p->repeat_us = now + p->interval_us;
}

static enum croft_status repeat(struct croft_vm *vm, struct patience *p, struct croft_error *error)
{
	if (p->repeated++ >= REPEATED_MAX)
		return error_set(error, CROFT_ERROR_PROTOCOL,
				 "%s: the other end does not understand: another speed, or a bad line?", vm->target);
	vm->wire.counters.packets_repeated++;
	p->repeat_us = wire_now_us() + p->interval_us;
	if (vm->acknowledged)
		return session_byte(vm, '-', error);
	return wire_write(&vm->wire, WIRE_RSP, vm->question, vm->question_length, vm->timeout_ms, error);
}

/* A packet has come whose checksum is wrong. */
static enum croft_status damaged(struct croft_vm *vm, struct patience *p, struct croft_error *error)
{
	if (vm->acks_off || p->damaged++ >= DAMAGED_MAX)
		return error_set(error, CROFT_ERROR_PROTOCOL,
				 "%s: what comes is damaged: another speed, or a bad line?", vm->target);
	return session_byte(vm, '-', error);
}

/* One byte. *whole: a packet is there. */
static enum croft_status take_byte(struct croft_vm *vm, struct patience *p, uint8_t byte, bool *whole,
				   struct croft_error *error)
{
	*whole = false;
	switch (packet_take(&vm->answer, byte)) {
	case PACKET_WHOLE:
		vm->acknowledged = true; /* whoever answers has heard */
		vm->wire.counters.packets_received++;
		*whole = true;
		return vm->acks_off ? CROFT_OK : session_byte(vm, '+', error);
	case PACKET_DAMAGED:
		return damaged(vm, p, error);
	case PACKET_ACK:
		vm->acknowledged = true;
		return CROFT_OK;
	case PACKET_NACK:
		if (vm->acks_off)
			return CROFT_OK;
		vm->acknowledged = false;
		return repeat(vm, p, error);
	case PACKET_NO_ROOM:
		return error_set(error, CROFT_ERROR_PROTOCOL, "%s: a packet is too long", vm->target);
	case PACKET_NOISE:
	case PACKET_NOTHING:
		break;
	}
	return CROFT_OK;
}

/* Time has passed, or something else than an answer has come of waiting. */
static enum croft_status waited(struct croft_vm *vm, struct patience *p, enum croft_status status,
				struct croft_error *error)
{
	uint64_t now = wire_now_us();

	if (status == CROFT_ERROR_INTERRUPTED && !p->interrupted) {
		/* a search ends with that; everything else is answered as it was asked */
		p->interrupted = true;
		p->until_us = p->last_us = min_us(p->until_us, now + INTERRUPTED_US);
		return session_byte(vm, PACKET_INTERRUPT, error);
	}
	if (status != CROFT_ERROR_TIMEOUT || now >= p->until_us)
		return status;
	if (now < p->repeat_us || vm->acks_off)
		return CROFT_OK;
	/* if it was heard and is only slow, there will be two answers, or the same one twice */
	vm->stale++;
	return repeat(vm, p, error);
}

/* The next packet, whatever it is. */
static enum croft_status next_packet(struct croft_vm *vm, struct patience *p, struct croft_error *error)
{
	enum croft_status status = CROFT_OK;
	bool whole = false;
	uint8_t byte;

	while (!status) {
		bool some = false;

		while (!status && !whole && wire_read(&vm->wire, &byte)) {
			status = take_byte(vm, p, byte, &whole, error);
			some = true;
		}
		if (whole || status)
			break;
		if (some && packet_is_begun(&vm->answer))
			patience_renew(p);
		status = wire_wait(&vm->wire, WIRE_RSP, vm->acks_off ? p->until_us : min_us(p->until_us, p->repeat_us),
				   error);
		if (status)
			status = waited(vm, p, status, error);
	}
	return status;
}

/* Answers that were given up come first. */
static enum croft_status forget_stale(struct croft_vm *vm, struct croft_error *error)
{
	struct patience p = patience_make(vm, 1);
	enum croft_status status = CROFT_OK;

	if (!vm->acks_off)
		p.until_us = p.last_us = wire_now_us() + STALE_US;
	while (vm->stale && !status) {
		status = next_packet(vm, &p, error);
		if (!status)
			vm->stale--;
	}
	if (status != CROFT_ERROR_TIMEOUT)
		return status;
	if (vm->acks_off)
		return error_set(error, CROFT_ERROR_TIMEOUT, "%s: still no answer to an earlier question", vm->target);
	/* it was lost */
	vm->stale = 0;
	return error_none(error);
}

enum croft_status session_send(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error)
{
	enum croft_status status;
	uint8_t *wire;

	if (vm->stale) {
		status = forget_stale(vm, error);
		if (status)
			return status;
	}
	wire = realloc(vm->question, PACKET_WIRE_MAX(length));
	if (!wire)
		return error_memory(error);
	vm->question = wire;
	vm->question_length = packet_make(wire, content, length);
	vm->acknowledged = false;
	vm->asked = true;
	vm->wire.counters.packets_sent++;
	return wire_write(&vm->wire, WIRE_RSP, wire, vm->question_length, vm->timeout_ms, error);
}

/* An answer did not come: it may do so later. */
static enum croft_status give_up(struct croft_vm *vm, const struct patience *p, enum croft_status status,
				 struct croft_error *error)
{
	if (status != CROFT_ERROR_TIMEOUT)
		return status;
	vm->stale++;
	return p->interrupted ? error_set(error, CROFT_ERROR_INTERRUPTED, "interrupted") : status;
}

static enum croft_status answered(const struct patience *p, struct croft_error *error)
{
	return p->interrupted ? error_set(error, CROFT_ERROR_INTERRUPTED, "interrupted") : CROFT_OK;
}

/* Answers to questions that were asked together are one round trip, in however many pieces they come. */
static void count_wait(struct croft_vm *vm)
{
	if (!vm->asked || vm->wire.in_read != vm->wire.in_written)
		return;
	vm->wire.counters.waits++;
	vm->asked = false;
}

enum croft_status session_answer(struct croft_vm *vm, struct croft_error *error)
{
	struct patience p = patience_make(vm, SLOW_FACTOR);
	enum croft_status status;

	count_wait(vm);
	status = next_packet(vm, &p, error);
	return status ? give_up(vm, &p, status, error) : answered(&p, error);
}

enum croft_status session_ask(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error)
{
	enum croft_status status = session_send(vm, content, length, error);

	return status ? status : session_answer(vm, error);
}

enum croft_status session_askf(struct croft_vm *vm, struct croft_error *error, const char *format, ...)
{
	char text[QUESTION_MAX];
	va_list args;
	size_t length;

	va_start(args, format);
	length = format_vstring(text, sizeof(text), format, args);
	va_end(args);
	if (length >= sizeof(text))
		return error_set(error, CROFT_ERROR_ARGUMENT, "too long: %s", text);
	return session_ask(vm, text, length, error);
}

/* --- output --- */

/* "O" and digits, but not "OK". */
static bool is_output(const struct packet_reader *answer)
{
	return answer->length >= 1 && answer->content[0] == 'O' && answer->length % 2 == 1;
}

static void hand_on(const struct packet_reader *answer, croft_text_fn *handler, void *data)
{
	char text[128];

	for (size_t at = 1; at < answer->length; at += 2 * sizeof(text)) {
		size_t left = answer->length - at;
		long count = hex_bytes(answer->content + at, left < 2 * sizeof(text) ? left : 2 * sizeof(text), text,
				       sizeof(text));

		if (count < 0)
			return;
		handler(data, CROFT_STREAM_OUTPUT, text, (size_t)count);
	}
}

enum croft_status session_answer_output(struct croft_vm *vm, croft_text_fn *handler, void *data,
					struct croft_error *error)
{
	struct patience p = patience_make(vm, OUTPUT_FACTOR);
	enum croft_status status;

	count_wait(vm);
	for (;;) {
		status = next_packet(vm, &p, error);
		if (status)
			return give_up(vm, &p, status, error);
		if (!is_output(&vm->answer))
			return answered(&p, error);
		if (handler)
			hand_on(&vm->answer, handler, data);
		patience_renew(&p);
	}
}

/* --- running --- */

enum croft_status session_go(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error)
{
	enum croft_status status = session_send(vm, content, length, error);
	struct patience p = patience_make(vm, 1);
	uint8_t byte;

	while (!status && !vm->acks_off && !vm->acknowledged) {
		bool whole = false;

		/* the byte behind the acknowledgement may begin the stop reply already */
		if (wire_read(&vm->wire, &byte))
			status = take_byte(vm, &p, byte, &whole, error);
		else if ((status = wire_wait(&vm->wire, WIRE_RSP, min_us(p.until_us, p.repeat_us), error)) != 0)
			status = waited(vm, &p, status, error);
		if (whole)
			return error_set(error, CROFT_ERROR_PROTOCOL, "%s: an answer that nobody asked for",
					 vm->target);
	}
	return status;
}

enum croft_status session_stop(struct croft_vm *vm, uint64_t until_us, struct croft_error *error)
{
	struct patience p = {.until_us = until_us, .last_us = until_us, .repeat_us = UINT64_MAX};
	enum croft_status status = CROFT_OK;
	bool whole = false;
	uint8_t byte;

	for (;;) {
		while (!status && !whole && wire_read(&vm->wire, &byte))
			status = take_byte(vm, &p, byte, &whole, error);
		if (status)
			return status;
		if (whole && !is_output(&vm->answer))
			return CROFT_OK;
		if (whole && vm->proxy && proxy_wants_output(vm->proxy))
			hand_on(&vm->answer, proxy_put_output, vm->proxy);
		else if (whole && vm->text)
			hand_on(&vm->answer, vm->text, vm->text_data);
		if (!whole)
			status = wire_wait(&vm->wire, WIRE_RSP, until_us, error);
		whole = false;
		if (status)
			return status;
	}
}

/* --- answers --- */

bool answer_is(const struct croft_vm *vm, const char *text)
{
	return vm->answer.length == strlen(text) && memcmp(vm->answer.content, text, vm->answer.length) == 0;
}

bool answer_begins(const struct croft_vm *vm, const char *text)
{
	size_t length = strlen(text);

	return vm->answer.length >= length && memcmp(vm->answer.content, text, length) == 0;
}

/* Two digits: an error number; the text forms have a dot. "Debugging with GDB", "Standard Replies" (E.3). */
static bool is_error(const struct croft_vm *vm)
{
	const char *content = vm->answer.content;

	if (answer_begins(vm, "E."))
		return true;
	return vm->answer.length == 3 && content[0] == 'E' && hex_digit(content[1]) >= 0 && hex_digit(content[2]) >= 0;
}

/* What errno's numbers in a packet mean. QEMU's stub writes EFAULT in decimal. */
static enum croft_status meaning(const char *content, const char **words)
{
	switch (hex_digit(content[1]) << 4 | hex_digit(content[2])) {
	case 0x02:
		*words = "there is no such thing";
		return CROFT_ERROR_NOT_FOUND;
	case 0x0b:
		*words = "interrupted";
		return CROFT_ERROR_INTERRUPTED;
	case 0x0d:
		*words = "hidden, device or read-only memory";
		return CROFT_ERROR_DENIED;
	case 0x0e:
	case 0x14:
		*words = "nothing is mapped there";
		return CROFT_ERROR_UNMAPPED;
	case 0x16:
		*words = "not a possible value";
		return CROFT_ERROR_REFUSED;
	case 0x1c:
		*words = "there is no room for more";
		return CROFT_ERROR_FULL;
	default:
		*words = NULL;
		return CROFT_ERROR_REFUSED;
	}
}

enum croft_status answer_content(struct croft_vm *vm, const char *what, struct croft_error *error)
{
	static const char ours[] = "E.croft.";
	enum croft_status status;
	const char *words;

	if (!vm->answer.length)
		return error_set(error, CROFT_ERROR_UNSUPPORTED, "%s: %s does not support that", what, vm->target);
	if (!is_error(vm))
		return CROFT_OK;
	if (answer_begins(vm, ours))
		words = vm->answer.content + sizeof(ours) - 1;
	else if (vm->answer.content[1] == '.')
		words = vm->answer.content + 2;
	else if ((status = meaning(vm->answer.content, &words)) != CROFT_OK && words)
		return error_set(error, status, "%s: %s", what, words);
	else
		words = vm->answer.content;
	/* the text of what a translation says of itself is known */
	status = strcmp(words, "nothing is mapped there") == 0 ? CROFT_ERROR_UNMAPPED : CROFT_ERROR_REFUSED;
	return error_set(error, status, "%s: %.160s", what, words);
}

enum croft_status answer_ok(struct croft_vm *vm, const char *what, struct croft_error *error)
{
	enum croft_status status = answer_content(vm, what, error);

	if (status || answer_is(vm, "OK"))
		return status;
	return error_set(error, CROFT_ERROR_PROTOCOL, "%s: not an answer to that: %.80s", what, vm->answer.content);
}
