/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a breakpoint's expressions say at a hit. They lie one behind the other in one array, each with its length before
 * it. Must not know how breakpoints work.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/vcpu.h>

#include "core/debug/agent.h"
#include "core/debug/debug.h"

#define LENGTH_SIZE 2

static size_t codes_size(const struct break_code *code, unsigned count)
{
	size_t size = 0;

	for (unsigned i = 0; i < count && size <= DEBUG_CODE_SIZE; i++)
		size += LENGTH_SIZE + (code[i].length <= DEBUG_CODE_SIZE ? code[i].length : DEBUG_CODE_SIZE);
	return size;
}

static void codes_append(struct debug *debug, const struct break_code *code, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t *at = debug->code_bytes + debug->code_used;

		at[0] = (uint8_t)code[i].length;
		at[1] = (uint8_t)(code[i].length >> 8);
		memcpy(at + LENGTH_SIZE, code[i].bytes, code[i].length);
		debug->code_used += (unsigned)(LENGTH_SIZE + code[i].length);
	}
}

void debug_code_remove(struct debug *debug, struct breakpoint *b)
{
	unsigned end = b->code_at + b->code_size;

	memmove(debug->code_bytes + b->code_at, debug->code_bytes + end, debug->code_used - end);
	debug->code_used -= b->code_size;
	for (struct breakpoint *other = debug->breaks; other < debug->breaks + DEBUG_BREAK_MAX; other++) {
		if (other->used && other->code_at >= end)
			other->code_at -= b->code_size;
	}
	b->code_size = 0;
	b->condition_count = b->command_count = 0;
}

int debug_code_set(struct debug *debug, struct breakpoint *b, const struct break_request *request)
{
	size_t size = codes_size(request->condition, request->condition_count) +
		      codes_size(request->command, request->command_count);

	if (size > DEBUG_CODE_SIZE - debug->code_used + b->code_size)
		return -E2BIG;
	debug_code_remove(debug, b);
	b->code_at = debug->code_used;
	b->code_size = (unsigned)size;
	b->condition_count = request->condition_count;
	b->command_count = request->command_count;
	codes_append(debug, request->condition, request->condition_count);
	codes_append(debug, request->command, request->command_count);
	return 0;
}

static bool source_reg(void *context, unsigned number, uint64_t *value)
{
	struct vcpu *vcpu = context;

	return vcpu->vm->control->reg && vcpu->vm->control->reg(vcpu, number, value);
}

static bool source_memory(void *context, uint64_t address, unsigned size, uint64_t *value)
{
	const struct debug_space space = {.kind = SPACE_CURRENT};
	size_t done;

	*value = 0;
	return debug_mem_read(context, &space, address, value, size, 0, &done) == 0;
}

static void source_print(void *context, const char *text, size_t length)
{
	struct vcpu *vcpu = context;

	if (vcpu->vm->control->print)
		vcpu->vm->control->print(vcpu, text, length);
}

/* Runs the expression at *at and moves it on. */
static const char *run(struct vcpu *vcpu, unsigned *at, uint64_t *result)
{
	const struct agent_source source = {source_reg, source_memory, source_print, vcpu};
	const uint8_t *code = vcpu->debug->code_bytes + *at;
	unsigned length = code[0] | (unsigned)code[1] << 8;

	*at += LENGTH_SIZE + length;
	return agent_evaluate(&source, code + LENGTH_SIZE, length, result);
}

const char *debug_code_run(struct vcpu *vcpu, const struct breakpoint *b, bool *stops)
{
	bool holds = b->condition_count == 0;
	unsigned at = b->code_at;
	const char *error = NULL;
	uint64_t result;

	*stops = true;
	for (unsigned i = 0; i < b->condition_count && !error; i++) {
		error = run(vcpu, &at, &result);
		holds |= result != 0;
	}
	*stops = error || (holds && !b->command_count);
	for (unsigned i = 0; i < b->command_count && holds && !error; i++) {
		error = run(vcpu, &at, &result);
		*stops = error != NULL;
	}
	return error;
}
