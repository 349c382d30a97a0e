/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory: whose addresses are meant, reading, writing, translating.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/log.h>
#include <undercroft/types.h>

#include "client/libcroft/walk.h"

/* "x" or "m" with two numbers. */
#define READ_QUESTION_MAX 40u

/* --- whose addresses --- */

static bool is_same_space(const struct croft_space *a, const struct croft_space *b)
{
	return a->kind == b->kind && a->device == b->device && (a->kind != CROFT_SPACE_CR3 || a->cr3 == b->cr3);
}

static enum croft_status use_ours(struct croft_vm *vm, struct croft_space space, struct croft_error *error)
{
	const char *device = space.device ? ";mmio" : "";
	enum croft_status status;

	switch (space.kind) {
	case CROFT_SPACE_PHYSICAL:
		status = session_askf(vm, error, "Qcroft.as:phys%s", device);
		break;
	case CROFT_SPACE_CR3:
		status = session_askf(vm, error, "Qcroft.as:cr3=%llx%s", (unsigned long long)space.cr3, device);
		break;
	case CROFT_SPACE_CURRENT:
	default:
		status = session_askf(vm, error, "Qcroft.as:current%s", device);
		break;
	}
	return status ? status : answer_ok(vm, "these addresses", error);
}

/* QEMU's stub knows two spaces; others have linear addresses alone. */
static enum croft_status use_theirs(struct croft_vm *vm, struct croft_space space, struct croft_error *error)
{
	enum croft_status status;

	if (space.kind == CROFT_SPACE_CURRENT && !vm->is_physical)
		return CROFT_OK;
	status = session_askf(vm, error, "Qqemu.PhyMemMode:%u", space.kind == CROFT_SPACE_PHYSICAL);
	if (!status)
		status = answer_ok(vm, "physical addresses", error);
	if (!status)
		vm->is_physical = space.kind == CROFT_SPACE_PHYSICAL;
	return status;
}

enum croft_status memory_use_space(struct croft_vm *vm, struct croft_space space, struct croft_error *error)
{
	enum croft_status status;

	if (vm->space_known && is_same_space(&vm->space, &space))
		return CROFT_OK;
	vm->space_known = false;
	if (vm->is_undercroft)
		status = use_ours(vm, space, error);
	else if (space.kind == CROFT_SPACE_CR3)
		status = error_set(error, CROFT_ERROR_UNSUPPORTED, "%s: addresses under other page tables", vm->target);
	else
		status = use_theirs(vm, space, error);
	if (!status) {
		vm->space = space;
		vm->space_known = true;
	}
	return status;
}

static enum croft_status begin(struct croft_vm *vm, struct croft_space space, uint64_t address, size_t length,
			       struct croft_error *error)
{
	enum croft_status status = vm_check_stopped(vm, error);

	if (!status && length && address + length - 1 < address)
		status = error_set(error, CROFT_ERROR_ARGUMENT, "no memory is that long");
	if (!status)
		status = cpu_flush_all(vm, error);
	return status ? status : memory_use_space(vm, space, error);
}

/* --- reading --- */

/* Bytes that one answer brings: their digits fit, or all of them escaped. */
static size_t piece_max(const struct croft_vm *vm)
{
	return vm->packet_max / 2;
}

static enum croft_status send_read(struct croft_vm *vm, char packet, uint64_t address, size_t length,
				   struct croft_error *error)
{
	char text[READ_QUESTION_MAX];
	size_t used = format_string(text, sizeof(text), "%c%llx,%llx", packet, (unsigned long long)address,
				    (unsigned long long)length);

	return session_send(vm, text, used, error);
}

/* What "m" answered. */
static enum croft_status take_digits(struct croft_vm *vm, uint64_t address, void *buffer, size_t length, size_t *done,
				     struct croft_error *error)
{
	char what[40];
	enum croft_status status;
	long count;

	format_string(what, sizeof(what), "memory at 0x%llx", (unsigned long long)address);
	status = answer_content(vm, what, error);
	if (status)
		return status;
	count = hex_bytes(vm->answer.content, vm->answer.length, buffer, length);
	if (count <= 0)
		return error_set(error, CROFT_ERROR_PROTOCOL, "%s: not its bytes: %.40s", what, vm->answer.content);
	*done = (size_t)count;
	return CROFT_OK;
}

/* Does what "x" answered look like an error? It may be the bytes. */
static bool looks_like_error(const struct croft_vm *vm)
{
	return vm->answer.length == 0 || answer_begins(vm, "E.") || (vm->answer.length == 3 && answer_begins(vm, "E"));
}

/* What "x" answered. *again: only "m" can tell. */
static enum croft_status take_bytes(struct croft_vm *vm, uint64_t address, void *buffer, size_t length, size_t *done,
				    bool *again, struct croft_error *error)
{
	*again = looks_like_error(vm);
	if (*again)
		return CROFT_OK;
	if (vm->answer.length > length)
		return error_set(error, CROFT_ERROR_PROTOCOL, "memory at 0x%llx: more bytes than were asked for",
				 (unsigned long long)address);
	memcpy(buffer, vm->answer.content, vm->answer.length);
	*done = vm->answer.length;
	return CROFT_OK;
}

/* One piece that is read for itself. */
static enum croft_status read_again(struct croft_vm *vm, uint64_t address, void *buffer, size_t length, size_t *done,
				    struct croft_error *error)
{
	enum croft_status status = send_read(vm, 'm', address, length, error);

	if (!status)
		status = session_answer(vm, error);
	return status ? status : take_digits(vm, address, buffer, length, done, error);
}

/* Answers to questions that were asked ahead, and are of no use any more. */
static enum croft_status drop_answers(struct croft_vm *vm, unsigned count)
{
	enum croft_status status = CROFT_OK;

	while (count && !status) {
		status = session_answer(vm, NULL);
		count--;
	}
	vm->stale += count;
	return status;
}

/*
 * Some pieces at once, from the beginning of what is left. *done: how much of it has come; less than asked for is no
 * error as long as it is something.
 */
static enum croft_status read_some(struct croft_vm *vm, uint64_t address, uint8_t *buffer, size_t length, size_t *done,
				   struct croft_error *error)
{
	size_t piece = piece_max(vm), asked = 0, taken = 0;
	unsigned sent = 0, answered = 0;
	enum croft_status status = CROFT_OK;
	bool again = false;

	*done = 0;
	for (; !status && sent < session_depth(vm) && asked < length; sent++) {
		size_t part = length - asked < piece ? length - asked : piece;

		status = send_read(vm, vm->is_undercroft ? 'x' : 'm', address + asked, part, error);
		asked += part;
	}
	if (status)
		return status;
	/* a piece that is not whole ends it: those behind it would leave a gap */
	while (!status && !again && answered < sent && taken == answered * piece) {
		size_t part = length - taken < piece ? length - taken : piece, count = 0;

		status = session_answer(vm, error);
		if (status) {
			vm->stale += sent - answered - 1;
			return status;
		}
		answered++;
		status = vm->is_undercroft
				 ? take_bytes(vm, address + taken, buffer + taken, part, &count, &again, error)
				 : take_digits(vm, address + taken, buffer + taken, part, &count, error);
		taken += count;
	}
	*done = taken;
	if (drop_answers(vm, sent - answered))
		return error_set(error, CROFT_ERROR_TIMEOUT, "%s: no answer in time", vm->target);
	if (again && !taken)
		return read_again(vm, address, buffer, length < piece ? length : piece, done, error);
	return status && !taken ? status : CROFT_OK;
}

enum croft_status croft_memory_read(struct croft_vm *vm, struct croft_space space, uint64_t address, void *buffer,
				    size_t length, size_t *done, struct croft_error *error)
{
	enum croft_status status = begin(vm, space, address, length, error);
	size_t total = 0;

	while (!status && total < length) {
		size_t count = 0;

		status = read_some(vm, address + total, (uint8_t *)buffer + total, length - total, &count, error);
		total += count;
	}
	if (done)
		*done = total;
	return status ? status : error_none(error);
}

/* --- writing --- */

/* "X" with bytes. How many of them a packet takes depends on how many have to be escaped. */
static enum croft_status write_binary(struct croft_vm *vm, uint64_t address, const uint8_t *bytes, size_t length,
				      size_t *done, char *text, struct croft_error *error)
{
	size_t used, part = length < vm->packet_max - READ_QUESTION_MAX ? length : vm->packet_max - READ_QUESTION_MAX;

	while (packet_size(bytes, part) > vm->packet_max - READ_QUESTION_MAX)
		part = part / 2 + 1 < part ? part / 2 + 1 : part - 1;
	used = format_string(text, READ_QUESTION_MAX, "X%llx,%llx:", (unsigned long long)address,
			     (unsigned long long)part);
	memcpy(text + used, bytes, part);
	*done = part;
	return session_ask(vm, text, used + part, error);
}

static enum croft_status write_digits(struct croft_vm *vm, uint64_t address, const uint8_t *bytes, size_t length,
				      size_t *done, char *text, struct croft_error *error)
{
	size_t used, most = (vm->packet_max - READ_QUESTION_MAX) / 2, part = length < most ? length : most;

	used = format_string(text, READ_QUESTION_MAX, "M%llx,%llx:", (unsigned long long)address,
			     (unsigned long long)part);
	hex_make(text + used, bytes, part);
	*done = part;
	return session_ask(vm, text, used + 2 * part, error);
}

static enum croft_status write_piece(struct croft_vm *vm, uint64_t address, const uint8_t *bytes, size_t length,
				     size_t *done, char *text, struct croft_error *error)
{
	enum croft_status status;
	char what[40];

	format_string(what, sizeof(what), "memory at 0x%llx", (unsigned long long)address);
	status = vm->is_undercroft ? write_binary(vm, address, bytes, length, done, text, error)
				   : write_digits(vm, address, bytes, length, done, text, error);
	if (!status)
		status = answer_ok(vm, what, error);
	if (status)
		*done = 0;
	return status;
}

enum croft_status croft_memory_write(struct croft_vm *vm, struct croft_space space, uint64_t address, const void *data,
				     size_t length, size_t *done, struct croft_error *error)
{
	enum croft_status status = begin(vm, space, address, length, error);
	char *text = NULL;
	size_t total = 0;

	if (!status && !(text = malloc(vm->packet_max + READ_QUESTION_MAX)))
		status = error_memory(error);
	while (!status && total < length) {
		size_t count = 0;

		status = write_piece(vm, address + total, (const uint8_t *)data + total, length - total, &count, text,
				     error);
		total += count;
	}
	free(text);
	if (done)
		*done = total;
	return status ? status : error_none(error);
}

/* --- translating --- */

/* "GPA,PAGESIZE,RIGHTS" */
static enum croft_status take_mapping(struct croft_vm *vm, struct croft_mapping *mapping, struct croft_error *error)
{
	const char *at = vm->answer.content;

	memset(mapping, 0, sizeof(*mapping));
	if (!hex_take(&at, &mapping->physical) || *at++ != ',' || !hex_take(&at, &mapping->page_size) || *at++ != ',')
		return error_set(error, CROFT_ERROR_PROTOCOL, "not a translation: %.60s", vm->answer.content);
	for (; *at; at++) {
		mapping->writable |= *at == 'w';
		mapping->executable |= *at == 'x';
		mapping->user |= *at == 'u';
	}
	return CROFT_OK;
}

static enum croft_status translate_here(struct croft_vm *vm, struct croft_space space, uint64_t address,
					struct croft_mapping *mapping, struct croft_error *error)
{
	enum croft_status status;
	struct walk *walk;

	if (space.kind == CROFT_SPACE_PHYSICAL) {
		*mapping = (struct croft_mapping){.physical = address,
						  .page_size = PAGE_SIZE,
						  .writable = true,
						  .executable = true,
						  .user = true};
		return error_none(error);
	}
	walk = malloc(sizeof(*walk));
	if (!walk)
		return error_memory(error);
	status = walk_begin(walk, vm, space, error);
	if (!status)
		status = walk_find(walk, address, mapping, NULL, error);
	free(walk);
	return status ? status : error_none(error);
}

enum croft_status croft_memory_translate(struct croft_vm *vm, struct croft_space space, uint64_t address,
					 struct croft_mapping *mapping, struct croft_error *error)
{
	enum croft_status status = vm_check_stopped(vm, error);
	char what[40], name[32] = "current";

	if (!status)
		status = cpu_flush_all(vm, error);
	if (status)
		return status;
	if (!vm->is_undercroft)
		return translate_here(vm, space, address, mapping, error);
	if (space.kind == CROFT_SPACE_PHYSICAL)
		format_string(name, sizeof(name), "phys");
	else if (space.kind == CROFT_SPACE_CR3)
		format_string(name, sizeof(name), "cr3=%llx", (unsigned long long)space.cr3);
	format_string(what, sizeof(what), "0x%llx", (unsigned long long)address);
	status = session_askf(vm, error, "qcroft.xlate:%s,%llx", name, (unsigned long long)address);
	if (!status)
		status = answer_content(vm, what, error);
	return status ? status : take_mapping(vm, mapping, error);
}

/* --- what there is --- */

enum croft_status croft_memory_map(struct croft_vm *vm, struct croft_range **ranges, size_t *count,
				   struct croft_error *error)
{
	struct xml_element element;
	struct croft_range *list;
	enum croft_status status;
	const char *at;
	size_t length;
	char *xml;

	*ranges = NULL;
	*count = 0;
	status = croft_vm_object(vm, "croft.memory-map", NULL, &xml, &length, error);
	if (status)
		return status;
	/* no element is shorter than that */
	list = calloc(length / 8 + 1, sizeof(*list));
	if (!list) {
		croft_free(xml);
		return error_memory(error);
	}
	for (at = xml; xml_next(&at, xml + length, &element);) {
		char type[8];

		if (xml_is(&element, "memory") && xml_text(&element, "type", type, sizeof(type)) &&
		    xml_number(&element, "start", &list[*count].start) &&
		    xml_number(&element, "length", &list[*count].length)) {
			list[*count].is_ram = strcmp(type, "ram") == 0;
			(*count)++;
		}
	}
	croft_free(xml);
	*ranges = list;
	return error_none(error);
}
