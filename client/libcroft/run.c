/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running, stepping, stopping, and who is asked when it has stopped.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/log.h>
#include <undercroft/types.h>

#include "client/libcroft/proxy.h"
#include "client/libcroft/vm.h"

/* GDB's numbers of signals: "Debugging with GDB", "Standard Replies" (E.3) */
#define SIGNAL_INT  2
#define SIGNAL_TRAP 5

/* --- stop replies --- */

static bool key_is(const char *key, size_t length, const char *name)
{
	return length == strlen(name) && memcmp(key, name, length) == 0;
}

/* The thread's name, and so the CPU. */
static void take_thread(struct croft_vm *vm, const char *name, size_t length)
{
	for (unsigned i = 0; i < vm->cpu_count; i++) {
		if (strlen(vm->cpu[i].thread) == length && memcmp(vm->cpu[i].thread, name, length) == 0)
			vm->current = &vm->cpu[i];
	}
}

static enum croft_stop_kind kind_of_key(const char *key, size_t length)
{
	static const struct {
		const char *key;
		enum croft_stop_kind kind;
	} kinds[] = {{"swbreak", CROFT_STOP_BREAK},
		     {"hwbreak", CROFT_STOP_BREAK_HARD},
		     {"watch", CROFT_STOP_WATCH_WRITE},
		     {"rwatch", CROFT_STOP_WATCH_READ},
		     {"awatch", CROFT_STOP_WATCH_ACCESS}};

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (key_is(key, length, kinds[i].key))
			return kinds[i].kind;
	}
	return CROFT_STOP_NONE;
}

/* One "KEY:VALUE;" of a T reply. The thread comes before registers, or there is one CPU. */
static void take_pair(struct croft_vm *vm, const char *key, size_t key_length, const char *value, size_t length)
{
	enum croft_stop_kind kind = kind_of_key(key, key_length);
	const char *at = key;
	uint64_t number;

	if (kind != CROFT_STOP_NONE) {
		vm->stop.kind = kind;
		at = value;
		if (length && hex_take(&at, &number))
			vm->stop.address = number;
	} else if (key_is(key, key_length, "thread")) {
		take_thread(vm, value, length);
	} else if (hex_take(&at, &number) && *at == ':' && number <= UINT16_MAX) {
		cpu_expedite(vm->current, (unsigned)number, value, length);
	}
}

static void take_pairs(struct croft_vm *vm, const char *at, const char *end)
{
	while (at < end) {
		const char *semicolon = memchr(at, ';', (size_t)(end - at)), *stop = semicolon ? semicolon : end;
		const char *colon = memchr(at, ':', (size_t)(stop - at));

		if (colon)
			take_pair(vm, at, (size_t)(colon - at), colon + 1, (size_t)(stop - colon - 1));
		at = stop + 1;
	}
}

/* In 64-bit code stop replies bring no low halves: docs/protocol.md, "Packets". */
static void look_at_pc(struct croft_vm *vm)
{
	int rip = register_find(vm, "rip"), low = register_find(vm, "rip_low");

	vm->pc_is_linear = vm->is_undercroft && rip >= 0 && low >= 0 && vm->current->value[rip].known &&
			   !vm->current->value[low].known;
}

/* What a stub means that does not say why it stopped. */
static void guess_kind(struct croft_vm *vm)
{
	bool stepped = strchr(vm->go, 's') || strchr(vm->go, 'r');

	if (vm->stop.signal == SIGNAL_INT)
		vm->stop.kind = CROFT_STOP_REQUEST;
	else if (vm->stop.signal != SIGNAL_TRAP)
		vm->stop.kind = CROFT_STOP_OTHER;
	else
		vm->stop.kind = stepped ? CROFT_STOP_STEP : CROFT_STOP_OTHER;
}

/*
 * Undercroft tells of a breakpoint where GDB would find it, which is in 64-bit code and wherever else rip is a linear
 * address. Others may tell of none.
 */
static bool may_be_one(const struct croft_vm *vm)
{
	if (vm->stop.signal != SIGNAL_TRAP)
		return false;
	return !vm->is_undercroft || (vm->stop.kind == CROFT_STOP_OTHER && !vm->pc_is_linear);
}

/* A place with a breakpoint of ours, whatever the stub says. */
static enum croft_status find_breakpoint(struct croft_vm *vm, struct croft_error *error)
{
	enum croft_stop_kind kind = vm->stop.kind;
	bool watch = kind >= CROFT_STOP_WATCH_WRITE && kind <= CROFT_STOP_WATCH_ACCESS;
	bool told = kind == CROFT_STOP_BREAK || kind == CROFT_STOP_BREAK_HARD;
	enum croft_status status;

	if (!vm->breakpoints && !told)
		return CROFT_OK;
	if (!watch) {
		if (!told && !may_be_one(vm))
			return CROFT_OK;
		status = croft_cpu_linear_pc(vm->current, &vm->stop.address, error);
		if (status == CROFT_ERROR_UNSUPPORTED)
			return error_none(error);
		if (status)
			return status;
	}
	vm->stop.breakpoint = breakpoint_at(vm, kind, vm->stop.address);
	if (vm->stop.breakpoint && !told && !watch)
		vm->stop.kind =
			vm->stop.breakpoint->what.kind == CROFT_BREAK_HARD ? CROFT_STOP_BREAK_HARD : CROFT_STOP_BREAK;
	if (vm->stop.breakpoint)
		vm->stop.breakpoint->hits++;
	else if (!told && !watch)
		vm->stop.address = 0;
	return CROFT_OK;
}

enum croft_status run_take_stop(struct croft_vm *vm, struct croft_error *error)
{
	const char *content = vm->answer.content, *at = content + 1;
	uint64_t number;

	vm->running = false;
	vm->stop_is_kept = false;
	memset(&vm->stop, 0, sizeof(vm->stop));
	if (vm->proxy && !proxy_take_stop(vm->proxy, content, vm->answer.length, &vm->stop))
		return CROFT_OK;
	if (content[0] == 'W' || content[0] == 'X') {
		vm->stop.kind = CROFT_STOP_GONE;
		return CROFT_OK;
	}
	cpu_forget(vm);
	if ((content[0] != 'T' && content[0] != 'S') || vm->answer.length < 3 || hex_digit(content[1]) < 0 ||
	    hex_digit(content[2]) < 0) {
		vm->stop.kind = CROFT_STOP_OTHER;
		return error_set(error, CROFT_ERROR_PROTOCOL, "%s: not a stop: %.80s", vm->target, content);
	}
	number = (uint64_t)(hex_digit(content[1]) << 4 | hex_digit(content[2]));
	at += 2;
	vm->stop.signal = (int)number;
	if (content[0] == 'T')
		take_pairs(vm, at, content + vm->answer.length);
	if (vm->stop.kind == CROFT_STOP_NONE)
		guess_kind(vm);
	look_at_pc(vm);
	return find_breakpoint(vm, error);
}

/* --- going on --- */

enum croft_status run_say_go(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error)
{
	enum croft_status status = session_go(vm, content, length, error);

	cpu_forget(vm);
	if (status)
		return status;
	vm->running = true;
	memset(&vm->stop, 0, sizeof(vm->stop));
	return CROFT_OK;
}

/* A breakpoint of ours where it stands, that the stub would only stop at again. Undercroft steps over its own. */
static struct croft_breakpoint *to_step_over(struct croft_vm *vm)
{
	uint64_t pc;

	if (vm->is_undercroft || !vm->breakpoints || croft_cpu_linear_pc(vm->current, &pc, NULL))
		return NULL;
	return breakpoint_at(vm, CROFT_STOP_BREAK, pc);
}

static void say_step(struct croft_vm *vm)
{
	if (vm->has_vcont && vm->current->thread[0])
		format_string(vm->go, sizeof(vm->go), "vCont;s:%s", vm->current->thread);
	else
		format_string(vm->go, sizeof(vm->go), "s");
}

/* One step without the breakpoint. *stopped: something else than the step has come of it. */
static enum croft_status step_over(struct croft_vm *vm, struct croft_breakpoint *breakpoint, bool *stopped,
				   struct croft_error *error)
{
	enum croft_status status = breakpoint_plant(breakpoint, false, error), again;
	char said[sizeof(vm->go)];

	*stopped = false;
	if (status)
		return status;
	memcpy(said, vm->go, sizeof(said));
	say_step(vm);
	status = run_say_go(vm, vm->go, strlen(vm->go), error);
	if (!status)
		status = session_stop(vm, wire_now_us() + vm->timeout_ms * 1000ull, error);
	if (!status)
		status = run_take_stop(vm, error);
	memcpy(vm->go, said, sizeof(said));
	if (status)
		return status;
	*stopped = vm->stop.kind != CROFT_STOP_STEP;
	again = breakpoint_plant(breakpoint, true, error);
	return again;
}

/* Says what vm->go has. */
static enum croft_status begin(struct croft_vm *vm, struct croft_error *error)
{
	struct croft_breakpoint *here;
	enum croft_status status = cpu_flush_all(vm, error);
	bool stopped = false, steps = strncmp(vm->go, "vCont;s", 7) == 0 || vm->go[0] == 's';

	if (status)
		return status;
	here = to_step_over(vm);
	if (here) {
		status = step_over(vm, here, &stopped, error);
		if (status)
			return status;
		if (stopped || steps) {
			/* it has been carried out: croft_vm_wait() finds the stop */
			vm->stop_is_kept = true;
			vm->running = true;
			return CROFT_OK;
		}
	}
	return run_say_go(vm, vm->go, strlen(vm->go), error);
}

enum croft_status run_go(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error)
{
	if (length >= sizeof(vm->go))
		return error_set(error, CROFT_ERROR_ARGUMENT, "too long: %.40s", (const char *)content);
	memset(vm->go, 0, sizeof(vm->go));
	memcpy(vm->go, content, length);
	return begin(vm, error);
}

static enum croft_status may_go(struct croft_vm *vm, struct croft_error *error)
{
	enum croft_status status = vm_check_nested(vm, error);

	if (!status && vm->stop.kind == CROFT_STOP_GONE)
		status = vm_check_stopped(vm, error);
	return status;
}

enum croft_status croft_vm_run(struct croft_vm *vm, struct croft_error *error)
{
	enum croft_status status = may_go(vm, error);

	if (status || vm->running)
		return status;
	format_string(vm->go, sizeof(vm->go), vm->has_vcont ? "vCont;c" : "c");
	return begin(vm, error);
}

enum croft_status croft_vm_step(struct croft_vm *vm, struct croft_error *error)
{
	enum croft_status status = may_go(vm, error);

	if (status || vm->running)
		return status;
	say_step(vm);
	return begin(vm, error);
}

enum croft_status croft_vm_step_range(struct croft_vm *vm, uint64_t start, uint64_t end, struct croft_error *error)
{
	enum croft_status status = may_go(vm, error);

	if (status || vm->running)
		return status;
	if (!vm->has_step_range)
		return error_set(error, CROFT_ERROR_UNSUPPORTED, "%s cannot step through a range", vm->target);
	format_string(vm->go, sizeof(vm->go), "vCont;r%llx,%llx%s%s", (unsigned long long)start,
		      (unsigned long long)end, vm->current->thread[0] ? ":" : "", vm->current->thread);
	return begin(vm, error);
}

/* --- stopping --- */

/* The answer is a stop reply: for later, as whoever asks for it may want it as it is. */
static enum croft_status keep(struct croft_vm *vm, struct croft_error *error)
{
	vm->kept = malloc(vm->answer.length + 1);
	if (!vm->kept)
		return error_memory(error);
	memcpy(vm->kept, vm->answer.content, vm->answer.length + 1);
	vm->kept_length = vm->answer.length;
	vm->stop_is_kept = true;
	return CROFT_OK;
}

void run_restore_kept(struct croft_vm *vm)
{
	/* nothing was asked meanwhile: it came into this room */
	memcpy(vm->answer.content, vm->kept, vm->kept_length + 1);
	vm->answer.length = vm->kept_length;
	free(vm->kept);
	vm->kept = NULL;
}

/* The next stop, whoever wants it. */
static enum croft_status next_stop(struct croft_vm *vm, uint64_t until_us, struct croft_error *error)
{
	enum croft_status status;

	if (vm->kept) {
		run_restore_kept(vm);
		return run_take_stop(vm, error);
	}
	if (vm->stop_is_kept) {
		vm->stop_is_kept = false;
		vm->running = false;
		return CROFT_OK;
	}
	status = session_stop(vm, until_us, error);
	if (status == CROFT_ERROR_TIMEOUT)
		return error_set(error, status, "the VM still runs");
	return status ? status : run_take_stop(vm, error);
}

/* Events that were removed while they were asked. */
static void sweep_events(struct croft_vm *vm)
{
	struct croft_event **at = &vm->events;

	while (*at) {
		struct croft_event *event = *at;

		if (!event->removed) {
			at = &event->next;
			continue;
		}
		*at = event->next;
		free(event);
	}
}

/* Does anybody want the VM to stay as it is? */
static bool is_wanted(struct croft_vm *vm)
{
	const struct croft_break *what = vm->stop.breakpoint ? &vm->stop.breakpoint->what : NULL;
	bool asked = false, wanted = false;
	struct croft_stop stop = vm->stop;

	if (stop.kind == CROFT_STOP_GONE)
		return true;
	vm->nested++;
	if (what && what->handler) {
		asked = true;
		wanted = what->handler(what->data, vm, &stop);
	}
	for (struct croft_event *event = vm->events; event; event = event->next) {
		if (event->removed)
			continue;
		asked = true;
		/* each of them sees it, whatever the others say */
		if (event->handler(event->data, vm, &stop))
			wanted = true;
	}
	if (!--vm->nested)
		sweep_events(vm);
	return wanted || !asked;
}

enum croft_status croft_vm_wait(struct croft_vm *vm, int timeout_ms, const struct croft_stop **stop,
				struct croft_error *error)
{
	uint64_t until_us = timeout_ms < 0 ? UINT64_MAX : wire_now_us() + (unsigned)timeout_ms * 1000ull;
	enum croft_status status = vm_check_nested(vm, error);

	while (!status && vm->running) {
		status = next_stop(vm, until_us, error);
		if (!status && !is_wanted(vm))
			status = begin(vm, error);
	}
	if (stop)
		*stop = &vm->stop;
	return status ? status : error_none(error);
}

enum croft_status croft_vm_stop(struct croft_vm *vm, const struct croft_stop **stop, struct croft_error *error)
{
	enum croft_status status = vm_check_nested(vm, error);

	if (!status && vm->running && !vm->stop_is_kept)
		status = session_byte(vm, PACKET_INTERRUPT, error);
	if (!status && vm->running)
		status = next_stop(vm, wire_now_us() + vm->timeout_ms * 1000ull, error);
	if (status == CROFT_ERROR_TIMEOUT)
		error_set(error, status,
			  "the VM does not stop: its CPU runs with interrupts off, or sleeps; the request stays");
	if (stop)
		*stop = &vm->stop;
	return status ? status : error_none(error);
}

bool croft_vm_is_running(const struct croft_vm *vm)
{
	return vm->running;
}

const struct croft_stop *croft_vm_last_stop(const struct croft_vm *vm)
{
	static const struct croft_stop none = {.kind = CROFT_STOP_NONE};

	return vm->running ? &none : &vm->stop;
}

enum croft_status croft_vm_pump(struct croft_vm *vm, unsigned timeout_ms, struct croft_error *error)
{
	uint64_t until_us = wire_now_us() + timeout_ms * 1000ull;
	enum croft_status status;

	if (vm->running && !vm->stop_is_kept) {
		status = session_stop(vm, until_us, error);
		if (!status)
			status = keep(vm, error);
	} else {
		uint8_t byte;

		status = wire_wait(&vm->wire, WIRE_RSP, until_us, error);
		/* nobody asked for it */
		while (!status && !vm->stale && wire_read(&vm->wire, &byte))
			continue;
	}
	return status == CROFT_ERROR_TIMEOUT ? error_none(error) : status;
}

/* --- events --- */

enum croft_status croft_event_add(struct croft_vm *vm, croft_stop_fn *handler, void *data, struct croft_event **event,
				  struct croft_error *error)
{
	struct croft_event *added = calloc(1, sizeof(*added)), **at = &vm->events;

	if (event)
		*event = NULL;
	if (!added)
		return error_memory(error);
	added->vm = vm;
	added->handler = handler;
	added->data = data;
	while (*at)
		at = &(*at)->next;
	*at = added;
	if (event)
		*event = added;
	return error_none(error);
}

void croft_event_remove(struct croft_event *event)
{
	if (!event)
		return;
	event->removed = true;
	if (!event->vm->nested)
		sweep_events(event->vm);
}
