/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs: values of registers, read when they are asked for, written before the VM goes on.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <undercroft/log.h>
#include <undercroft/mode.h>
#include <undercroft/regs.h>
#include <undercroft/types.h>
#include <x86/cr.h>
#include <x86/flags.h>

#include "client/libcroft/vm.h"

/* "p" and up to four digits. */
#define QUESTION_REGISTER 8u

enum croft_status cpu_make(struct croft_vm *vm, unsigned count, struct croft_error *error)
{
	struct croft_cpu *cpu = calloc(count, sizeof(*cpu));

	if (!cpu)
		return error_memory(error);
	for (unsigned i = 0; i < count; i++) {
		cpu[i].vm = vm;
		cpu[i].number = i;
		cpu[i].value = calloc(vm->fact_count, sizeof(*cpu[i].value));
		if (!cpu[i].value) {
			while (i)
				free(cpu[--i].value);
			free(cpu);
			return error_memory(error);
		}
	}
	vm->cpu = vm->current = cpu;
	vm->selected = NULL;
	vm->cpu_count = count;
	return CROFT_OK;
}

void cpu_free(struct croft_vm *vm)
{
	for (unsigned i = 0; i < vm->cpu_count; i++)
		free(vm->cpu[i].value);
	free(vm->cpu);
	vm->cpu = NULL;
	vm->cpu_count = 0;
}

void cpu_forget_one(struct croft_cpu *cpu)
{
	memset(cpu->value, 0, cpu->vm->fact_count * sizeof(*cpu->value));
}

void cpu_forget(struct croft_vm *vm)
{
	for (unsigned i = 0; i < vm->cpu_count; i++)
		cpu_forget_one(&vm->cpu[i]);
	vm->changes = 0;
	vm->selected = NULL;
	vm->pc_is_linear = false;
}

/* Digits to a register's value; "xx": it has none. False: neither. */
static bool value_take(const struct register_fact *fact, struct register_value *value, const char *digits)
{
	if (value->changed)
		return true;
	if (digits[0] == 'x') {
		value->absent = true;
		return true;
	}
	if (hex_bytes(digits, 2u * fact->bytes, value->bytes, sizeof(value->bytes)) < 0)
		return false;
	value->known = true;
	value->absent = false;
	return true;
}

void cpu_expedite(struct croft_cpu *cpu, unsigned number, const char *digits, size_t length)
{
	int index = register_by_number(cpu->vm, number);

	if (index >= 0 && length == 2u * cpu->vm->fact[index].bytes)
		(void)value_take(&cpu->vm->fact[index], &cpu->value[index], digits);
}

/* Has the other end answer for this CPU. */
static enum croft_status select_cpu(struct croft_cpu *cpu, struct croft_error *error)
{
	struct croft_vm *vm = cpu->vm;
	enum croft_status status;

	if (vm->cpu_count == 1 || vm->selected == cpu)
		return CROFT_OK;
	status = session_askf(vm, error, "Hg%s", cpu->thread);
	if (!status)
		status = answer_ok(vm, "this CPU", error);
	if (!status)
		vm->selected = cpu;
	return status;
}

/* --- reading --- */

/* "g": values from register 0 on, as long as the answer is. */
static enum croft_status take_general(struct croft_cpu *cpu, struct croft_error *error)
{
	struct croft_vm *vm = cpu->vm;
	const char *at = vm->answer.content, *end = at + vm->answer.length;
	unsigned number = 0;

	for (unsigned i = 0; i < vm->fact_count && vm->fact[i].number == number; i++, number++) {
		size_t digits = 2u * vm->fact[i].bytes;

		if ((size_t)(end - at) < digits)
			break;
		if (!value_take(&vm->fact[i], &cpu->value[i], at))
			return error_set(error, CROFT_ERROR_PROTOCOL, "%s: not a register's value: %.32s", vm->target,
					 at);
		at += digits;
	}
	return CROFT_OK;
}

static enum croft_status read_general(struct croft_cpu *cpu, struct croft_error *error)
{
	enum croft_status status = session_ask(cpu->vm, "g", 1, error);

	if (!status)
		status = answer_content(cpu->vm, "registers", error);
	return status ? status : take_general(cpu, error);
}

/* The answer to "p" with this register's number. */
static enum croft_status take_one(struct croft_cpu *cpu, unsigned index, struct croft_error *error)
{
	struct croft_vm *vm = cpu->vm;
	const struct register_fact *fact = &vm->fact[index];
	enum croft_status status = answer_content(vm, fact->name, error);

	if (status == CROFT_ERROR_UNSUPPORTED)
		vm->lacks_p = true;
	if (status) {
		cpu->value[index].absent = true;
		return status;
	}
	if (vm->answer.length != 2u * fact->bytes || !value_take(fact, &cpu->value[index], vm->answer.content))
		return error_set(error, CROFT_ERROR_PROTOCOL, "%s: not a value: %.40s", fact->name, vm->answer.content);
	return CROFT_OK;
}

static bool wants(const struct croft_cpu *cpu, unsigned index, unsigned groups)
{
	const struct register_value *value = &cpu->value[index];

	return (cpu->vm->fact[index].group & groups) && !value->known && !value->absent;
}

static bool wants_any(const struct croft_cpu *cpu, unsigned groups)
{
	for (unsigned i = 0; i < cpu->vm->fact_count; i++) {
		if (wants(cpu, i, groups))
			return true;
	}
	return false;
}

static enum croft_status send_p(struct croft_vm *vm, unsigned index, struct croft_error *error)
{
	char text[QUESTION_REGISTER];
	size_t length = format_string(text, sizeof(text), "p%x", vm->fact[index].number);

	return session_send(vm, text, length, error);
}

/* Not an index: all general ones. */
#define GENERAL_QUESTION UINT_MAX

/* The answer to "g", or to "p" with a number. */
static enum croft_status take_either(struct croft_cpu *cpu, unsigned index, struct croft_error *error)
{
	enum croft_status status;

	if (index != GENERAL_QUESTION)
		return take_one(cpu, index, error);
	status = answer_content(cpu->vm, "registers", error);
	return status ? status : take_general(cpu, error);
}

/*
 * All of these groups that are not known, some questions at once, the first one "g" if general. A refusal of one is no
 * error: it is absent.
 */
static enum croft_status read_each(struct croft_cpu *cpu, unsigned groups, bool general, struct croft_error *error)
{
	struct croft_vm *vm = cpu->vm;
	unsigned asked[QUESTIONS_MAX], sent = 0, done = 0, next = 0;
	enum croft_status status = CROFT_OK;

	if (general) {
		groups &= ~CROFT_GROUP_GENERAL;
		status = session_send(vm, "g", 1, error);
		asked[sent++] = GENERAL_QUESTION;
	}
	while (!status) {
		while (next < vm->fact_count && !wants(cpu, next, groups))
			next++;
		if (next < vm->fact_count && !vm->lacks_p && sent - done < session_depth(vm)) {
			status = send_p(vm, next, error);
			asked[sent++ % QUESTIONS_MAX] = next++;
			continue;
		}
		if (done == sent)
			break;
		status = session_answer(vm, error);
		done++;
		if (!status && take_either(cpu, asked[(done - 1) % QUESTIONS_MAX], error) == CROFT_ERROR_PROTOCOL)
			status = CROFT_ERROR_PROTOCOL;
	}
	/* what else was asked is of no use any more */
	vm->stale += sent - done;
	return status ? status : error_none(error);
}

static enum croft_status before_reading(struct croft_cpu *cpu, unsigned groups, struct croft_error *error)
{
	enum croft_status status = vm_check_stopped(cpu->vm, error);

	/* what follows from others follows from what they are to be */
	if (!status && (groups & ~(CROFT_GROUP_GENERAL | CROFT_GROUP_FLOAT | CROFT_GROUP_VECTOR)))
		status = cpu_flush_all(cpu->vm, error);
	return status ? status : select_cpu(cpu, error);
}

enum croft_status croft_cpu_load(struct croft_cpu *cpu, unsigned groups, struct croft_error *error)
{
	enum croft_status status = before_reading(cpu, groups, error);

	if (!status && wants_any(cpu, groups & CROFT_GROUP_GENERAL)) {
		/* others answer with everything they have */
		if (cpu->vm->is_undercroft)
			return read_each(cpu, groups, true, error);
		status = read_general(cpu, error);
	}
	if (!status)
		status = read_each(cpu, groups, false, error);
	return status;
}

/* A register's value, asked for if it is not known. */
static enum croft_status fetch(struct croft_cpu *cpu, unsigned index, struct croft_error *error)
{
	const struct register_fact *fact = &cpu->vm->fact[index];
	const struct register_value *value = &cpu->value[index];
	enum croft_status status = before_reading(cpu, fact->group, error);

	if (status || value->known)
		return status;
	if (fact->group == CROFT_GROUP_GENERAL || cpu->vm->lacks_p)
		status = read_general(cpu, error);
	if (!status && !value->known && !cpu->vm->lacks_p) {
		status = send_p(cpu->vm, index, error);
		if (!status)
			status = session_answer(cpu->vm, error);
		if (!status)
			status = take_one(cpu, index, error);
	}
	if (!status && !value->known)
		status = error_set(error, CROFT_ERROR_UNSUPPORTED, "%s has no value at the moment", fact->name);
	return status;
}

enum croft_status croft_cpu_read_bytes(struct croft_cpu *cpu, const char *name, void *buffer, size_t size,
				       struct croft_error *error)
{
	int index = register_find(cpu->vm, name);
	enum croft_status status;

	if (index < 0)
		return error_set(error, CROFT_ERROR_ARGUMENT, "there is no register %.40s", name);
	if (size < cpu->vm->fact[index].bytes)
		return error_set(error, CROFT_ERROR_ARGUMENT, "%s has %u bytes", name, cpu->vm->fact[index].bytes);
	status = fetch(cpu, (unsigned)index, error);
	if (status)
		return status;
	memcpy(buffer, cpu->value[index].bytes, cpu->vm->fact[index].bytes);
	return error_none(error);
}

enum croft_status croft_cpu_read(struct croft_cpu *cpu, const char *name, uint64_t *value, struct croft_error *error)
{
	*value = 0;
	return croft_cpu_read_bytes(cpu, name, value, sizeof(*value), error);
}

/* --- writing --- */

enum croft_status croft_cpu_write_bytes(struct croft_cpu *cpu, const char *name, const void *bytes, size_t size,
					struct croft_error *error)
{
	enum croft_status status = vm_check_stopped(cpu->vm, error);
	int index = register_find(cpu->vm, name);
	struct register_value *value;

	if (status)
		return status;
	if (index < 0)
		return error_set(error, CROFT_ERROR_ARGUMENT, "there is no register %.40s", name);
	if (size != cpu->vm->fact[index].bytes)
		return error_set(error, CROFT_ERROR_ARGUMENT, "%s has %u bytes", name, cpu->vm->fact[index].bytes);
	if (cpu->vm->fact[index].group == CROFT_GROUP_DERIVED)
		return error_set(error, CROFT_ERROR_REFUSED, "%s follows from others: it cannot be written", name);
	value = &cpu->value[index];
	memcpy(value->bytes, bytes, size);
	value->known = true;
	value->absent = false;
	value->changed = ++cpu->vm->changes;
	return error_none(error);
}

enum croft_status croft_cpu_write(struct croft_cpu *cpu, const char *name, uint64_t value, struct croft_error *error)
{
	int index = register_find(cpu->vm, name);
	unsigned size = index < 0 ? 0 : cpu->vm->fact[index].bytes;

	if (size > sizeof(value) || (size && size < sizeof(value) && value >> 8 * size))
		return error_set(error, CROFT_ERROR_ARGUMENT, "%s has %u bytes", name, size);
	return croft_cpu_write_bytes(cpu, name, &value, size, error);
}

/* The next one that is to be written, in the order in which they were changed; -1: none. */
static int next_changed(const struct croft_cpu *cpu)
{
	int found = -1;

	for (unsigned i = 0; i < cpu->vm->fact_count; i++) {
		unsigned changed = cpu->value[i].changed;

		if (changed && (found < 0 || changed < cpu->value[found].changed))
			found = (int)i;
	}
	return found;
}

static enum croft_status write_one(struct croft_cpu *cpu, unsigned index, struct croft_error *error)
{
	struct croft_vm *vm = cpu->vm;
	char digits[2 * CROFT_REGISTER_BYTES_MAX + 1];
	enum croft_status status;

	hex_make(digits, cpu->value[index].bytes, vm->fact[index].bytes);
	status = session_askf(vm, error, "P%x=%s", vm->fact[index].number, digits);
	return status ? status : answer_ok(vm, vm->fact[index].name, error);
}

enum croft_status croft_cpu_flush(struct croft_cpu *cpu, struct croft_error *error)
{
	enum croft_status status = vm_check_stopped(cpu->vm, error);
	int index = status ? -1 : next_changed(cpu);

	if (index < 0)
		return status ? status : error_none(error);
	status = select_cpu(cpu, error);
	for (; !status && index >= 0; index = next_changed(cpu)) {
		status = write_one(cpu, (unsigned)index, error);
		cpu->value[index].changed = 0;
	}
	/* others may follow from them, and what was refused is as it was */
	cpu_forget_one(cpu);
	cpu->vm->pc_is_linear = false;
	return status;
}

enum croft_status cpu_flush_all(struct croft_vm *vm, struct croft_error *error)
{
	enum croft_status status = CROFT_OK;

	if (!vm->changes)
		return CROFT_OK;
	for (unsigned i = 0; i < vm->cpu_count && !status; i++)
		status = croft_cpu_flush(&vm->cpu[i], error);
	vm->changes = 0;
	return status;
}

/* --- what they mean --- */

enum croft_status croft_cpu_segment(struct croft_cpu *cpu, const char *name, struct croft_segment *segment,
				    struct croft_error *error)
{
	static const char *const part[] = {"", "_base", "_limit", "_attr"};
	uint64_t value[ARRAY_SIZE(part)];
	char full[REGISTER_NAME_MAX];
	enum croft_status status;

	for (unsigned i = 0; i < ARRAY_SIZE(part); i++) {
		format_string(full, sizeof(full), "%.8s%s", name, part[i]);
		if (i && register_find(cpu->vm, full) < 0)
			return error_set(error, CROFT_ERROR_UNSUPPORTED, "%s does not tell %s", cpu->vm->target, full);
		status = croft_cpu_read(cpu, full, &value[i], error);
		if (status)
			return status;
	}
	segment->selector = (uint16_t)value[0];
	segment->base = value[1];
	segment->limit = (uint32_t)value[2];
	segment->attributes = (uint16_t)value[3];
	return CROFT_OK;
}

/* A register, or a value if there is none. */
static enum croft_status read_or(struct croft_cpu *cpu, const char *name, uint64_t otherwise, uint64_t *value,
				 struct croft_error *error)
{
	if (register_find(cpu->vm, name) >= 0)
		return croft_cpu_read(cpu, name, value, error);
	*value = otherwise;
	return CROFT_OK;
}

enum croft_status croft_cpu_mode(struct croft_cpu *cpu, enum croft_mode *mode, struct croft_error *error)
{
	struct mode_state state = {0};
	enum croft_status status;
	uint64_t attributes;

	if (register_find(cpu->vm, "cpu_mode") >= 0) {
		status = croft_cpu_read(cpu, "cpu_mode", &attributes, error);
		*mode = attributes < MODE_COUNT ? (enum croft_mode)attributes : CROFT_MODE_INVALID;
		return status;
	}
	if (register_find(cpu->vm, "cr0") < 0)
		return error_set(error, CROFT_ERROR_UNSUPPORTED, "%s does not tell the CPU's mode", cpu->vm->target);
	status = croft_cpu_read(cpu, "cr0", &state.cr0, error);
	if (!status)
		status = read_or(cpu, "cr4", 0, &state.cr4, error);
	if (!status)
		status = read_or(cpu, "efer", 0, &state.efer, error);
	if (!status)
		status = read_or(cpu, "eflags", 0, &state.rflags, error);
	if (!status)
		status = read_or(cpu, "cs_attr", state.efer & EFER_LMA ? SEG_ATTR_L : SEG_ATTR_DB, &attributes, error);
	if (status)
		return status;
	state.cs_attributes = (uint16_t)attributes;
	*mode = (enum croft_mode)mode_classify(&state);
	return CROFT_OK;
}

enum croft_status croft_cpu_linear_pc(struct croft_cpu *cpu, uint64_t *address, struct croft_error *error)
{
	enum croft_status status;
	enum croft_mode mode;
	uint64_t rip, cs;
	int index = register_find(cpu->vm, "linear_pc");

	if (cpu->vm->pc_is_linear && cpu == cpu->vm->current && !cpu->vm->changes)
		return croft_cpu_read(cpu, "rip", address, error);
	if (index >= 0)
		return croft_cpu_read(cpu, "linear_pc", address, error);
	status = croft_cpu_read(cpu, "rip", &rip, error);
	if (status)
		return status;
	*address = rip;
	status = croft_cpu_mode(cpu, &mode, error);
	if (status == CROFT_ERROR_UNSUPPORTED)
		return error_none(error);
	if (status || (mode != CROFT_MODE_REAL && mode != CROFT_MODE_V8086))
		return status;
	status = croft_cpu_read(cpu, "cs", &cs, error);
	*address = (cs << 4) + rip;
	return status;
}

enum croft_status cpu_before_asking(struct croft_cpu *cpu, struct croft_error *error)
{
	enum croft_status status = vm_check_stopped(cpu->vm, error);

	if (!status)
		status = cpu_flush_all(cpu->vm, error);
	return status ? status : select_cpu(cpu, error);
}

/* --- which there are --- */

struct croft_cpu *croft_vm_cpu(struct croft_vm *vm)
{
	return vm->current;
}

enum croft_status croft_vm_cpu_count(struct croft_vm *vm, unsigned *count, struct croft_error *error)
{
	*count = vm->cpu_count;
	return error_none(error);
}

enum croft_status croft_vm_select_cpu(struct croft_vm *vm, unsigned number, struct croft_cpu **cpu,
				      struct croft_error *error)
{
	*cpu = NULL;
	if (number >= vm->cpu_count)
		return error_set(error, CROFT_ERROR_NOT_FOUND, "there are %u CPUs", vm->cpu_count);
	vm->current = *cpu = &vm->cpu[number];
	return error_none(error);
}
