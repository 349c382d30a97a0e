/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Breakpoints and watchpoints, by name.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/log.h>
#include <undercroft/types.h>

#include "client/libcroft/proxy.h"
#include "client/libcroft/vm.h"

static const char *kind_name(enum croft_break_kind kind)
{
	static const char *const name[] = {[CROFT_BREAK_SOFT] = "eXecute",
					   [CROFT_BREAK_HARD] = "Hardware eXecute",
					   [CROFT_WATCH_WRITE] = "Write",
					   [CROFT_WATCH_READ] = "Read",
					   [CROFT_WATCH_ACCESS] = "Access"};

	return name[kind];
}

static bool is_watch(enum croft_break_kind kind)
{
	return kind >= CROFT_WATCH_WRITE;
}

/* "Z0,ADDRESS,KIND;XLENGTH,BYTES" */
static size_t make_packet(const struct croft_break *what, bool plant, char *text, size_t size)
{
	size_t used = format_string(text, size, "%c%u,%llx,%llx", plant ? 'Z' : 'z', (unsigned)what->kind,
				    (unsigned long long)what->address, (unsigned long long)what->length);

	if (plant && what->condition_length) {
		used += format_string(text + used, size - used, ";X%x,", (unsigned)what->condition_length);
		hex_make(text + used, what->condition, what->condition_length);
		used += 2 * what->condition_length;
	}
	return used;
}

enum croft_status breakpoint_plant(struct croft_breakpoint *breakpoint, bool plant, struct croft_error *error)
{
	struct croft_vm *vm = breakpoint->vm;
	size_t size = QUESTION_MAX + 2 * breakpoint->what.condition_length;
	enum croft_status status = memory_use_space(vm, breakpoint->what.space, error);
	char *text;

	if (status)
		return status;
	text = malloc(size);
	if (!text)
		return error_memory(error);
	status = session_ask(vm, text, make_packet(&breakpoint->what, plant, text, size), error);
	free(text);
	if (!status)
		status = answer_ok(vm, breakpoint->name, error);
	if (!status)
		breakpoint->lifted = !plant;
	return status;
}

struct croft_breakpoint *breakpoint_at(struct croft_vm *vm, enum croft_stop_kind kind, uint64_t address)
{
	bool watch = kind >= CROFT_STOP_WATCH_WRITE && kind <= CROFT_STOP_WATCH_ACCESS;

	for (struct croft_breakpoint *b = vm->breakpoints; b; b = b->next) {
		if (b->lifted || watch != is_watch(b->what.kind))
			continue;
		if (watch ? address - b->what.address < b->what.length : address == b->what.address)
			return b;
	}
	return NULL;
}

struct croft_breakpoint *croft_breakpoint_find(struct croft_vm *vm, const char *name)
{
	for (struct croft_breakpoint *b = vm->breakpoints; b; b = b->next) {
		if (strcmp(b->name, name) == 0)
			return b;
	}
	return NULL;
}

struct croft_breakpoint *croft_breakpoint_next(struct croft_vm *vm, struct croft_breakpoint *previous)
{
	return previous ? previous->next : vm->breakpoints;
}

/* A name of the library's own, that nobody has. */
static void make_name(struct croft_vm *vm, char *name)
{
	do
		format_string(name, BREAK_NAME_MAX, "b%u", ++vm->names);
	while (croft_breakpoint_find(vm, name));
}

static enum croft_status check_name(struct croft_vm *vm, const char *name, struct croft_error *error)
{
	if (!*name || strlen(name) >= BREAK_NAME_MAX)
		return error_set(error, CROFT_ERROR_ARGUMENT, "a breakpoint's name has 1 to %u characters",
				 BREAK_NAME_MAX - 1);
	for (const char *at = name; *at; at++) {
		if ((unsigned char)*at <= ' ' || *at == 0x7f)
			return error_set(error, CROFT_ERROR_ARGUMENT, "a breakpoint's name is one word");
	}
	if (croft_breakpoint_find(vm, name))
		return error_set(error, CROFT_ERROR_ARGUMENT, "there is a breakpoint %s already", name);
	return CROFT_OK;
}

static uint64_t length_of(const struct croft_break *what)
{
	return is_watch(what->kind) && what->length ? what->length : 1;
}

bool breakpoint_is_same(const struct croft_break *a, const struct croft_break *b)
{
	return a->kind == b->kind && a->address == b->address && length_of(a) == length_of(b) &&
	       a->space.kind == b->space.kind && (a->space.kind != CROFT_SPACE_CR3 || a->space.cr3 == b->space.cr3);
}

bool breakpoint_has_same(const struct croft_vm *vm, const struct croft_break *what)
{
	const struct croft_breakpoint *b = vm->breakpoints;

	while (b && !breakpoint_is_same(&b->what, what))
		b = b->next;
	return b;
}

static enum croft_status check(struct croft_vm *vm, const struct croft_break *what, struct croft_error *error)
{
	if ((unsigned)what->kind > CROFT_WATCH_ACCESS)
		return error_set(error, CROFT_ERROR_ARGUMENT, "there is no kind %u of breakpoint",
				 (unsigned)what->kind);
	if (what->space.kind == CROFT_SPACE_PHYSICAL)
		return error_set(error, CROFT_ERROR_ARGUMENT, "a breakpoint has a linear address");
	if (what->condition_length && !vm->has_conditions)
		return error_set(error, CROFT_ERROR_UNSUPPORTED, "%s evaluates no conditions", vm->target);
	if (PACKET_WIRE_MAX(what->condition_length) + QUESTION_MAX > vm->packet_max)
		return error_set(error, CROFT_ERROR_ARGUMENT, "the condition is too long");
	if (what->name && check_name(vm, what->name, error))
		return CROFT_ERROR_ARGUMENT;
	for (struct croft_breakpoint *b = vm->breakpoints; b; b = b->next) {
		if (breakpoint_is_same(&b->what, what))
			return error_set(error, CROFT_ERROR_ARGUMENT, "%s is the same already", b->name);
	}
	return vm_check_stopped(vm, error);
}

enum croft_status croft_breakpoint_add(struct croft_vm *vm, const struct croft_break *what,
				       struct croft_breakpoint **breakpoint, struct croft_error *error)
{
	struct croft_breakpoint *added, **at = &vm->breakpoints;
	enum croft_status status = check(vm, what, error);
	size_t text_size;

	if (breakpoint)
		*breakpoint = NULL;
	if (!status)
		status = cpu_flush_all(vm, error);
	if (status)
		return status;
	text_size = what->condition_text ? strlen(what->condition_text) + 1 : 0;
	added = calloc(1, sizeof(*added) + what->condition_length + text_size);
	if (!added)
		return error_memory(error);
	added->vm = vm;
	added->what = *what;
	if (what->name)
		strcpy(added->name, what->name);
	else
		make_name(vm, added->name);
	added->what.name = added->name;
	if (what->condition_length)
		memcpy(added->condition, what->condition, what->condition_length);
	added->what.condition = what->condition_length ? added->condition : NULL;
	if (text_size)
		added->what.condition_text =
			memcpy(added->condition + what->condition_length, what->condition_text, text_size);
	added->what.length = length_of(what);
	status = breakpoint_plant(added, true, error);
	if (status) {
		free(added);
		return status;
	}
	while (*at)
		at = &(*at)->next;
	*at = added;
	if (breakpoint)
		*breakpoint = added;
	return error_none(error);
}

enum croft_status croft_breakpoint_remove(struct croft_breakpoint *breakpoint, struct croft_error *error)
{
	struct croft_vm *vm = breakpoint->vm;
	struct croft_breakpoint **at = &vm->breakpoints;
	enum croft_status status = vm_check_stopped(vm, error);

	if (status)
		return status;
	status = breakpoint_plant(breakpoint, false, error);
	if (!status && vm->proxy)
		status = proxy_replant(vm->proxy, &breakpoint->what, error);
	while (*at && *at != breakpoint)
		at = &(*at)->next;
	if (*at)
		*at = breakpoint->next;
	if (vm->stop.breakpoint == breakpoint)
		vm->stop.breakpoint = NULL;
	free(breakpoint);
	return status ? status : error_none(error);
}

void breakpoint_free_all(struct croft_vm *vm, bool remove)
{
	while (vm->breakpoints) {
		struct croft_breakpoint *breakpoint = vm->breakpoints;

		if (remove)
			(void)breakpoint_plant(breakpoint, false, NULL);
		vm->breakpoints = breakpoint->next;
		free(breakpoint);
	}
}

const struct croft_break *croft_breakpoint_what(const struct croft_breakpoint *breakpoint)
{
	return &breakpoint->what;
}

uint64_t croft_breakpoint_hits(const struct croft_breakpoint *breakpoint)
{
	return breakpoint->hits;
}

size_t croft_breakpoint_describe(const struct croft_breakpoint *breakpoint, char *buffer, size_t size)
{
	const struct croft_break *what = &breakpoint->what;
	char scope[32] = "";

	if (what->space.kind == CROFT_SPACE_CR3)
		format_string(scope, sizeof(scope), " cr3=0x%llx", (unsigned long long)what->space.cr3);
	return format_string(buffer, size, "%s 0x%llx %s (%llu)%s%s%s%s", breakpoint->name,
			     (unsigned long long)what->address, kind_name(what->kind), (unsigned long long)what->length,
			     scope, what->condition_length ? " if" : "", what->condition_text ? " " : "",
			     what->condition_text ? what->condition_text : "");
}
