/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets as they are, and the channel for large contents.
 */
#include <stdlib.h>
#include <string.h>

#include "client/libcroft/proxy_request.h"
#include "client/libcroft/vm.h"

/* The answer, as the caller's. */
static enum croft_status hand_over(struct croft_vm *vm, char **reply, size_t *length, struct croft_error *error)
{
	*reply = malloc(vm->answer.length + 1);
	if (!*reply)
		return error_memory(error);
	memcpy(*reply, vm->answer.content, vm->answer.length + 1);
	*length = vm->answer.length;
	return error_none(error);
}

/* Whoever says packets of his own may change registers; by some he may mean other addresses. */
static void forget(struct croft_vm *vm, const char *content, size_t length)
{
	struct request request = {.kind = REQUEST_COMMAND};

	cpu_forget(vm);
	if (length && content[0] != 'Q' && (length < 5 || memcmp(content, "qRcmd", 5) != 0))
		return;
	vm->space_known = false;
	if (answer_is(vm, "OK") && length < QUESTION_MAX)
		request_parse(content, length, &request);
	if (request.kind == REQUEST_SPACE) {
		vm->space = request.space;
		vm->space_known = true;
		vm->is_physical = !vm->is_undercroft && request.space.kind == CROFT_SPACE_PHYSICAL;
	}
}

enum croft_status raw_ask(struct croft_vm *vm, const void *content, size_t length, croft_text_fn *handler, void *data,
			  struct croft_error *error)
{
	enum croft_status status = vm_check_stopped(vm, error);

	if (!status)
		status = cpu_flush_all(vm, error);
	if (!status)
		status = session_send(vm, content, length, error);
	if (!status)
		status = session_answer_output(vm, handler, data, error);
	if (status)
		vm->space_known = false;
	else
		forget(vm, content, length);
	return status;
}

enum croft_status croft_packet_ask(struct croft_vm *vm, const void *content, size_t length, char **reply,
				   size_t *reply_length, struct croft_error *error)
{
	enum croft_status status = raw_ask(vm, content, length, vm->text, vm->text_data, error);

	*reply = NULL;
	return status ? status : hand_over(vm, reply, reply_length, error);
}

enum croft_status croft_packet_go(struct croft_vm *vm, const void *content, size_t length, struct croft_error *error)
{
	enum croft_status status = vm_check_nested(vm, error);

	if (!status)
		status = vm_check_stopped(vm, error);
	if (!status)
		status = cpu_flush_all(vm, error);
	if (status)
		cpu_forget(vm);
	else
		status = run_say_go(vm, content, length, error);
	if (status)
		return status;
	memset(vm->go, 0, sizeof(vm->go));
	memcpy(vm->go, content, length < sizeof(vm->go) ? length : sizeof(vm->go) - 1);
	return error_none(error);
}

enum croft_status croft_packet_receive(struct croft_vm *vm, int timeout_ms, char **reply, size_t *reply_length,
				       struct croft_error *error)
{
	uint64_t until_us = timeout_ms < 0 ? UINT64_MAX : wire_now_us() + (unsigned)timeout_ms * 1000ull;
	enum croft_status status = vm_check_nested(vm, error);

	*reply = NULL;
	if (!status && !vm->running)
		status = error_set(error, CROFT_ERROR_ARGUMENT, "the VM is stopped: no stop is to come");
	if (!status && vm->kept)
		run_restore_kept(vm);
	else if (!status)
		status = session_stop(vm, until_us, error);
	if (!status)
		status = hand_over(vm, reply, reply_length, error);
	/* a stop that makes no sense to us may do so to whoever it is passed on to */
	if (!status)
		(void)run_take_stop(vm, NULL);
	return status;
}

enum croft_status croft_bulk_read(struct croft_vm *vm, void *buffer, size_t size, unsigned timeout_ms, size_t *done,
				  struct croft_error *error)
{
	uint64_t until_us = wire_now_us() + timeout_ms * 1000ull;
	enum croft_status status;

	*done = 0;
	if (!vm->wire.framed)
		return error_set(error, CROFT_ERROR_UNSUPPORTED, "%s: there are no frames", vm->target);
	status = wire_wait(&vm->wire, WIRE_BULK, until_us, error);
	if (!status)
		*done = wire_read_bulk(&vm->wire, buffer, size);
	return status ? status : error_none(error);
}

enum croft_status croft_bulk_write(struct croft_vm *vm, const void *data, size_t length, struct croft_error *error)
{
	enum croft_status status;

	if (!vm->wire.framed)
		return error_set(error, CROFT_ERROR_UNSUPPORTED, "%s: there are no frames", vm->target);
	status = wire_write(&vm->wire, WIRE_BULK, data, length, vm->timeout_ms, error);
	return status ? status : error_none(error);
}
