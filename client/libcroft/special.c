/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model-specific registers and ports, by packets of Undercroft's own.
 */
#include <undercroft/log.h>

#include "client/libcroft/vm.h"

/* Asks, and takes a number from the answer. */
static enum croft_status take_number(struct croft_vm *vm, const char *what, uint64_t *value, struct croft_error *error)
{
	enum croft_status status = answer_content(vm, what, error);
	const char *at = vm->answer.content;

	if (!status && (!hex_take(&at, value) || *at))
		status = error_set(error, CROFT_ERROR_PROTOCOL, "%s: not a number: %.40s", what, vm->answer.content);
	return status;
}

enum croft_status croft_cpu_msr_read(struct croft_cpu *cpu, uint32_t index, uint64_t *value, struct croft_error *error)
{
	enum croft_status status = cpu_before_asking(cpu, error);
	char what[24];

	format_string(what, sizeof(what), "MSR %x", index);
	if (!status)
		status = session_askf(cpu->vm, error, "qcroft.msr:%x", index);
	return status ? status : take_number(cpu->vm, what, value, error);
}

enum croft_status croft_cpu_msr_write(struct croft_cpu *cpu, uint32_t index, uint64_t value, struct croft_error *error)
{
	enum croft_status status = cpu_before_asking(cpu, error);
	char what[24];

	format_string(what, sizeof(what), "MSR %x", index);
	if (!status)
		status = session_askf(cpu->vm, error, "Qcroft.msr:%x,%llx", index, (unsigned long long)value);
	if (!status)
		status = answer_ok(cpu->vm, what, error);
	/* many of them are registers, too */
	cpu_forget_one(cpu);
	return status;
}

static enum croft_status check_port(struct croft_cpu *cpu, unsigned size, uint32_t value, struct croft_error *error)
{
	if ((size != 1 && size != 2 && size != 4) || (size < 4 && value >> 8 * size))
		return error_set(error, CROFT_ERROR_ARGUMENT, "a port has 1, 2 or 4 bytes, and its value no more");
	return cpu_before_asking(cpu, error);
}

enum croft_status croft_cpu_port_read(struct croft_cpu *cpu, uint16_t port, unsigned size, uint32_t *value,
				      struct croft_error *error)
{
	enum croft_status status = check_port(cpu, size, 0, error);
	uint64_t number = 0;
	char what[24];

	format_string(what, sizeof(what), "port %x", port);
	if (!status)
		status = session_askf(cpu->vm, error, "qcroft.port:%x,%x", port, size);
	if (!status)
		status = take_number(cpu->vm, what, &number, error);
	*value = (uint32_t)number;
	return status;
}

enum croft_status croft_cpu_port_write(struct croft_cpu *cpu, uint16_t port, unsigned size, uint32_t value,
				       struct croft_error *error)
{
	enum croft_status status = check_port(cpu, size, value, error);
	char what[24];

	format_string(what, sizeof(what), "port %x", port);
	if (!status)
		status = session_askf(cpu->vm, error, "Qcroft.port:%x,%x,%x", port, size, value);
	return status ? status : answer_ok(cpu->vm, what, error);
}
