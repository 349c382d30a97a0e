/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the other end tells at length: objects, and the monitor.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/log.h>

#include "client/libcroft/vm.h"

#define OBJECT_MAX (64u << 20)

/* One piece behind those that are there. */
static enum croft_status add_piece(struct croft_vm *vm, char **content, size_t *length, struct croft_error *error)
{
	size_t more = vm->answer.length - 1;
	char *larger;

	if (*length + more > OBJECT_MAX)
		return error_set(error, CROFT_ERROR_PROTOCOL, "%s: an object is too long", vm->target);
	larger = realloc(*content, *length + more + 1);
	if (!larger)
		return error_memory(error);
	memcpy(larger + *length, vm->answer.content + 1, more);
	*length += more;
	larger[*length] = 0;
	*content = larger;
	return CROFT_OK;
}

/* "E00" is for a wrong annex: "Debugging with GDB", "qXfer object read" (E.4). */
static enum croft_status ask_piece(struct croft_vm *vm, const char *object, const char *annex, size_t offset,
				   struct croft_error *error)
{
	enum croft_status status = session_askf(vm, error, "qXfer:%s:read:%s:%llx,%llx", object, annex,
						(unsigned long long)offset, (unsigned long long)(vm->packet_max - 1));

	if (!status)
		status = answer_content(vm, object, error);
	if (!status && vm->answer.content[0] != 'm' && vm->answer.content[0] != 'l')
		status = error_set(error, CROFT_ERROR_PROTOCOL, "%s: not a piece of it: %.40s", object,
				   vm->answer.content);
	/* one that brings nothing would be asked for again for ever */
	if (!status && vm->answer.content[0] == 'm' && vm->answer.length == 1)
		status = error_set(error, CROFT_ERROR_PROTOCOL, "%s: an empty piece that is not the last", object);
	return status;
}

enum croft_status croft_vm_object(struct croft_vm *vm, const char *object, const char *annex, char **content,
				  size_t *length, struct croft_error *error)
{
	enum croft_status status = vm_check_stopped(vm, error);
	bool more = true;
	char *all = NULL;
	size_t used = 0;

	*content = NULL;
	*length = 0;
	while (!status && more) {
		status = ask_piece(vm, object, annex ? annex : "", used, error);
		if (!status) {
			more = vm->answer.content[0] == 'm';
			status = add_piece(vm, &all, &used, error);
		}
	}
	if (status) {
		free(all);
		return status;
	}
	*content = all;
	*length = used;
	return error_none(error);
}

enum croft_status croft_vm_monitor(struct croft_vm *vm, const char *line, croft_text_fn *handler, void *data,
				   struct croft_error *error)
{
	static const char name[] = "qRcmd,";
	size_t length = strlen(line), size = sizeof(name) + 2 * length;
	enum croft_status status = vm_check_stopped(vm, error);
	char *text;

	if (!status && size > vm->packet_max)
		status = error_set(error, CROFT_ERROR_ARGUMENT, "the line is too long");
	if (!status)
		status = cpu_flush_all(vm, error);
	if (status)
		return status;
	text = malloc(size);
	if (!text)
		return error_memory(error);
	memcpy(text, name, sizeof(name) - 1);
	hex_make(text + sizeof(name) - 1, line, length);
	status = session_send(vm, text, size - 1, error);
	free(text);
	if (!handler) {
		handler = vm->text;
		data = vm->text_data;
	}
	if (!status)
		status = session_answer_output(vm, handler, data, error);
	/* it may have changed what we know: addresses' meaning, MSRs */
	vm->space_known = false;
	cpu_forget(vm);
	return status ? status : answer_ok(vm, "monitor", error);
}

void croft_vm_set_text_handler(struct croft_vm *vm, croft_text_fn *handler, void *data)
{
	vm->text = vm->wire.text = handler;
	vm->text_data = vm->wire.text_data = data;
}
