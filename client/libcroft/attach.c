/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attaching and detaching: finds out who is at the other end, and whether there are frames.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <undercroft/types.h>

#include "client/libcroft/proxy.h"
#include "client/libcroft/vm.h"

/* How often somebody who says nothing is asked whether he is there. */
#define KNOCK_US 1000000u

/* Where it stands: docs/protocol.md, "Register numbers". Whoever attaches wants to know that. */
#define PLACE	     0x100u
#define PLACE_DIGITS 16u

/* How long a goodbye to somebody who has not answered may take. */
#define ABANDON_MS 200u

/* Questions that are asked at once are no longer than that: there is room for them anywhere. */
#define PACKET_SIZE_MIN	    256u
#define PACKET_SIZE_MAX	    65536u
#define PACKET_SIZE_DEFAULT 400u /* what GDB takes for granted */

#define SUPPORTED "qSupported:swbreak+;hwbreak+;vContSupported+;xmlRegisters=i386"

/* --- the first answer --- */

/*
 * Asks for frames until there is an answer, whatever it is. It follows its acknowledgement at once: what does not was
 * on its way to a client before us, in frames.
 */
static enum croft_status knock(struct croft_vm *vm, struct croft_error *error)
{
	static const char frames[] = "Qcroft.frame:1", nothing[] = "?";
	const char *question = vm->wants_plain ? nothing : frames;
	uint64_t until_us = wire_now_us() + vm->timeout_ms * 1000ull, noise = 0;
	enum croft_status status;
	uint8_t wire[PACKET_WIRE_MAX(sizeof(frames))];
	size_t length = packet_make(wire, question, strlen(question));
	uint8_t byte = 0, last;
	unsigned knocks = 0;

	/*
	 * Whoever was here before may have left frames behind, or an answer that nobody acknowledged. This is said
	 * once: the answer may only be late, and then it would end the session that the answer begins.
	 */
	status = wire_write(&vm->wire, WIRE_RSP, frame_bye, sizeof(frame_bye), vm->timeout_ms, error);
	if (!status)
		status = wire_write(&vm->wire, WIRE_RSP, "+", 1, vm->timeout_ms, error);
	if (status)
		return status;
	status = CROFT_ERROR_TIMEOUT;
	while (status == CROFT_ERROR_TIMEOUT) {
		uint64_t again_us = wire_now_us() + KNOCK_US + wire_time_us(&vm->wire, length);
		enum packet_event event = PACKET_NOTHING;

		if (wire_now_us() >= until_us)
			break;
		status = wire_write(&vm->wire, WIRE_RSP, wire, length, vm->timeout_ms, error);
		knocks++;
		vm->wire.counters.packets_sent++;
		vm->wire.counters.waits++;
		while (!status && event != PACKET_WHOLE) {
			last = byte;
			if (!wire_read(&vm->wire, &byte)) {
				status = wire_wait(&vm->wire, WIRE_RSP, again_us < until_us ? again_us : until_us,
						   error);
				continue;
			}
			if (byte == '$' && last != '+') {
				noise++;
				continue;
			}
			event = packet_take(&vm->answer, byte);
			noise += event == PACKET_NOISE || event == PACKET_DAMAGED;
		}
	}
	if (status == CROFT_ERROR_TIMEOUT && noise)
		return error_set(error, CROFT_ERROR_PROTOCOL,
				 "%s: what comes is not a debugger's protocol: another speed, or another port?",
				 vm->target);
	if (status == CROFT_ERROR_TIMEOUT)
		return error_set(error, status,
				 vm->wire.transport.is_socket
					 ? "%s: connected, but no answer in %u ms: another client has the wire, or "
					   "nobody is at its other end"
					 : "%s: no answer in %u ms: another port or speed, or nobody there?",
				 vm->target, vm->timeout_ms);
	if (!status)
		vm->wire.counters.packets_received++;
	/* each knock may be answered */
	vm->stale = knocks ? knocks - 1 : 0;
	return status;
}

/* The answer to an offer of frames decides. */
static enum croft_status agree(struct croft_vm *vm, unsigned flags, struct croft_error *error)
{
	enum croft_status status = knock(vm, error);

	if (status)
		return status;
	if (!vm->wants_plain && answer_is(vm, "OK")) {
		wire_frame(&vm->wire);
		vm->stale = 0;
		vm->acks_off = vm->is_undercroft = true;
		return CROFT_OK;
	}
	/* it is acknowledged, as all that is plain */
	status = session_byte(vm, '+', error);
	if (!status && (flags & CROFT_OPEN_FRAMED))
		status = error_set(error, CROFT_ERROR_UNSUPPORTED, "%s does not know frames", vm->target);
	return status;
}

/* --- what it can do --- */

/* Is a word in "WORD;WORD=VALUE;..."? Returns what stands behind it, or NULL. */
static const char *find_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; at; at = strchr(at, ';')) {
		at += *at == ';';
		if (strncmp(at, word, length) == 0)
			return at + length;
	}
	return NULL;
}

static void take_supported(struct croft_vm *vm, bool *has_description, bool *offers_no_ack)
{
	const char *list = vm->answer.content, *at = find_word(list, "PacketSize=");
	uint64_t size = 0;

	vm->packet_max = PACKET_SIZE_DEFAULT;
	if (at && hex_take(&at, &size) && size >= PACKET_SIZE_MIN)
		vm->packet_max = size < PACKET_SIZE_MAX ? (size_t)size : PACKET_SIZE_MAX;
	*has_description = find_word(list, "qXfer:features:read+") != NULL;
	*offers_no_ack = find_word(list, "QStartNoAckMode+") != NULL;
	vm->has_conditions = find_word(list, "ConditionalBreakpoints+") != NULL;
	if (find_word(list, "qXfer:croft."))
		vm->is_undercroft = true;
}

static void take_vcont(struct croft_vm *vm)
{
	const char *list = vm->answer.content;
	bool has_c = find_word(list, "c") != NULL, has_s = find_word(list, "s") != NULL;

	if (!answer_begins(vm, "vCont"))
		return;
	/* without threads the short forms say the same */
	vm->has_vcont = !vm->is_undercroft && has_c && has_s;
	vm->has_step_range = find_word(list, "r") != NULL;
}

/* A reliable line needs no acknowledgements. */
static enum croft_status stop_acks(struct croft_vm *vm, struct croft_error *error)
{
	enum croft_status status = session_ask(vm, "QStartNoAckMode", 15, error);

	if (!status && answer_is(vm, "OK"))
		vm->acks_off = true;
	return status;
}

/* "m" and names, "l": no more. Names that do not fit end the list. */
static enum croft_status take_threads(struct croft_vm *vm, char (*thread)[THREAD_MAX], unsigned *count,
				      struct croft_error *error)
{
	enum croft_status status = session_ask(vm, "qfThreadInfo", 12, error);

	for (*count = 0; !status && answer_begins(vm, "m") && *count < CPU_MAX;) {
		const char *at = vm->answer.content + 1;

		while (*at && *count < CPU_MAX) {
			size_t length = strcspn(at, ",");

			if (length >= THREAD_MAX)
				return CROFT_OK;
			memcpy(thread[*count], at, length);
			thread[(*count)++][length] = 0;
			at += length + (at[length] == ',');
		}
		status = session_ask(vm, "qsThreadInfo", 12, error);
	}
	return status;
}

static enum croft_status find_cpus(struct croft_vm *vm, struct croft_error *error)
{
	char(*thread)[THREAD_MAX] = calloc(CPU_MAX, sizeof(*thread));
	enum croft_status status = CROFT_OK;
	unsigned count = 0;

	if (!thread)
		return error_memory(error);
	/* Undercroft has one, which needs no name */
	if (!vm->is_undercroft)
		status = take_threads(vm, thread, &count, error);
	if (!status)
		status = cpu_make(vm, count ? count : 1, error);
	for (unsigned i = 0; !status && i < count; i++)
		memcpy(vm->cpu[i].thread, thread[i], THREAD_MAX);
	free(thread);
	return status;
}

/* The answer to "p100", which may be an error. */
static void take_place(struct croft_vm *vm, char *place)
{
	if (vm->answer.length == PLACE_DIGITS)
		memcpy(place, vm->answer.content, PLACE_DIGITS);
}

/* The questions of a client that begins: with frames, all on their way at once. */
static enum croft_status ask_first(struct croft_vm *vm, char **stop, char *place, bool *has_description,
				   struct croft_error *error)
{
	enum croft_status status = session_send(vm, SUPPORTED, sizeof(SUPPORTED) - 1, error);
	bool ahead = session_depth(vm) > 4, no_ack = false;

	if (!status && ahead)
		status = session_send(vm, "vCont?", 6, error);
	if (!status && ahead)
		status = session_send(vm, "?", 1, error);
	/* a client that died may have meant others */
	if (!status && ahead)
		status = session_send(vm, "Qcroft.as:current", 17, error);
	if (!status && ahead)
		status = session_send(vm, "p100", 4, error);
	if (!status)
		status = session_answer(vm, error);
	if (!status)
		take_supported(vm, has_description, &no_ack);
	if (!status && no_ack && !vm->acks_off)
		status = stop_acks(vm, error);
	if (!status && !ahead)
		status = session_send(vm, "vCont?", 6, error);
	if (!status)
		status = session_answer(vm, error);
	if (!status)
		take_vcont(vm);
	if (!status && !ahead)
		status = session_send(vm, "?", 1, error);
	if (!status)
		status = session_answer(vm, error);
	if (!status && !(*stop = strdup(vm->answer.content)))
		status = error_memory(error);
	if (!status && ahead) {
		status = session_answer(vm, error);
		vm->space = croft_current();
		vm->space_known = !status && answer_is(vm, "OK");
		if (!status)
			status = session_answer(vm, error);
		if (!status)
			take_place(vm, place);
	}
	return status;
}

/* The stop reply is looked at when registers and CPUs are known. */
static enum croft_status take_first_stop(struct croft_vm *vm, const char *stop, struct croft_error *error)
{
	size_t length = strlen(stop);
	enum croft_status status;

	if (length + 1 > vm->answer.room)
		return error_set(error, CROFT_ERROR_PROTOCOL, "%s: not a stop", vm->target);
	memcpy(vm->answer.content, stop, length + 1);
	vm->answer.length = length;
	status = run_take_stop(vm, error);
	if (status)
		return status;
	if (vm->stop.kind == CROFT_STOP_GONE)
		return error_set(error, CROFT_ERROR_LOST, "%s: the machine is gone", vm->target);
	if (vm->stop.kind != CROFT_STOP_REQUEST || vm->is_undercroft)
		vm->stop.kind = CROFT_STOP_ATTACH;
	return CROFT_OK;
}

static enum croft_status meet(struct croft_vm *vm, unsigned flags, struct croft_error *error)
{
	enum croft_status status = agree(vm, flags, error);
	char *stop = NULL, place[PLACE_DIGITS] = "";
	bool has_description = false;

	vm->packet_max = PACKET_SIZE_DEFAULT;
	if (!status)
		status = ask_first(vm, &stop, place, &has_description, error);
	if (!status)
		status = vm->is_undercroft ? registers_frozen(vm, error)
					   : registers_described(vm, has_description, error);
	if (!status)
		status = find_cpus(vm, error);
	if (!status)
		status = take_first_stop(vm, stop, error);
	if (!status && place[0])
		cpu_expedite(vm->current, PLACE, place, sizeof(place));
	free(stop);
	return status;
}

/* --- opening and closing --- */

static void free_vm(struct croft_vm *vm)
{
	while (vm->events) {
		struct croft_event *event = vm->events;

		vm->events = event->next;
		free(event);
	}
	proxy_free(vm->proxy);
	breakpoint_free_all(vm, false);
	cpu_free(vm);
	packet_free(&vm->answer);
	free(vm->question);
	free(vm->kept);
	free(vm->fact);
	free(vm->target);
	free(vm);
}

/*
 * Attaching has failed. What was asked may be heard later: by somebody who is slow, or when the client that has the
 * wire leaves it. The guest is not to stop for nobody then.
 */
static void abandon(struct croft_vm *vm)
{
	static const char leave[] = "+$D#44";

	bool framed = vm->wire.framed;

	wire_end(&vm->wire);
	if (framed || vm->wire.gone)
		return;
	if (!vm->wants_plain)
		(void)wire_write(&vm->wire, WIRE_RSP, frame_bye, sizeof(frame_bye), ABANDON_MS, NULL);
	(void)wire_write(&vm->wire, WIRE_RSP, leave, sizeof(leave) - 1, ABANDON_MS, NULL);
}

enum croft_status croft_vm_open(const char *target, unsigned flags, unsigned timeout_ms, struct croft_vm **out,
				struct croft_error *error)
{
	struct croft_vm *vm = calloc(1, sizeof(*vm));
	enum croft_status status;

	*out = NULL;
	if (!vm || !(vm->target = strdup(target))) {
		free(vm);
		return error_memory(error);
	}
	vm->timeout_ms = timeout_ms ? timeout_ms : CROFT_TIMEOUT_MS;
	vm->wants_plain = flags & CROFT_OPEN_PLAIN;
	packet_init(&vm->answer);
	if ((flags & ~(CROFT_OPEN_PLAIN | CROFT_OPEN_FRAMED)) || flags == (CROFT_OPEN_PLAIN | CROFT_OPEN_FRAMED))
		status = error_set(error, CROFT_ERROR_ARGUMENT, "these flags do not go together: 0x%x", flags);
	else
		status = wire_open(&vm->wire, vm->target, vm->timeout_ms, error);
	vm->wire.seldom = &vm->running;
	if (status) {
		free_vm(vm);
		return status;
	}
	wire_drop(&vm->wire);
	status = meet(vm, flags, error);
	if (status) {
		abandon(vm);
		wire_close(&vm->wire);
		free_vm(vm);
		return status;
	}
	*out = vm;
	return error_none(error);
}

/* Says goodbye. */
static enum croft_status leave(struct croft_vm *vm, struct croft_error *error)
{
	enum croft_status status = CROFT_OK, changed;

	if (vm->wire.gone || vm->stop.kind == CROFT_STOP_GONE)
		return CROFT_OK;
	/* frames end with a goodbye, and that is enough */
	if (vm->running && vm->wire.framed)
		return CROFT_OK;
	if (vm->running)
		status = croft_vm_stop(vm, NULL, error);
	if (status || vm->stop.kind == CROFT_STOP_GONE)
		return status;
	/* what cannot be written is no reason to leave the guest as it is */
	changed = cpu_flush_all(vm, error);
	breakpoint_free_all(vm, !vm->is_undercroft);
	status = session_ask(vm, "D", 1, changed ? NULL : error);
	if (!status)
		status = answer_ok(vm, "detaching", changed ? NULL : error);
	return changed ? changed : status;
}

enum croft_status croft_vm_close(struct croft_vm *vm, struct croft_error *error)
{
	enum croft_status status;

	if (!vm)
		return error_none(error);
	vm->nested = 0;
	status = leave(vm, error);
	wire_end(&vm->wire);
	wire_close(&vm->wire);
	free_vm(vm);
	return status ? status : error_none(error);
}

const char *croft_vm_target(const struct croft_vm *vm)
{
	return vm->target;
}

bool croft_vm_is_undercroft(const struct croft_vm *vm)
{
	return vm->is_undercroft;
}

bool croft_vm_is_framed(const struct croft_vm *vm)
{
	return vm->wire.framed;
}

void croft_vm_interrupt(struct croft_vm *vm)
{
	static const uint64_t one = 1;

	atomic_store(&vm->wire.interrupted, true);
	(void)!write(vm->wire.wake, &one, sizeof(one));
}

int croft_vm_fd(const struct croft_vm *vm)
{
	return vm->wire.transport.fd;
}

void croft_vm_counters(const struct croft_vm *vm, struct croft_counters *counters)
{
	*counters = vm->wire.counters;
	if (vm->wire.framed) {
		counters->frames_bad = vm->wire.frame.bad;
		counters->frames_repeated = vm->wire.frame.repeated;
	}
}
