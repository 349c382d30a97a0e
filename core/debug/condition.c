/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a breakpoint's expressions say at a hit. They lie compiled, one behind the other, in one array. Must not know
 * how breakpoints work.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/vcpu.h>

#include "core/debug/agent.h"
#include "core/debug/debug.h"

/* The most that they become, each with one more operation before it, whose value says how many there are. */
static size_t codes_room(const struct break_code *code, unsigned count)
{
	size_t room = 0;

	for (unsigned i = 0; i < count && room <= DEBUG_CODE_MAX; i++)
		room += 1 + (code[i].length <= DEBUG_CODE_MAX ? AGENT_OPS(code[i].length) : DEBUG_CODE_MAX);
	return room;
}

static void codes_append(struct vcpu *vcpu, const struct break_code *code, unsigned count)
{
	const struct control *control = vcpu->vm->control;
	struct debug *debug = vcpu->debug;

	for (unsigned i = 0; i < count; i++) {
		struct agent_op *head = &debug->code[debug->code_used];

		head->value = (uint32_t)agent_compile(code[i].bytes, code[i].length, control->gpr_order,
						      control->gpr_count, head + 1);
		debug->code_used += 1 + head->value;
	}
}

void debug_code_remove(struct debug *debug, struct breakpoint *b)
{
	unsigned end = b->code_at + b->code_size;

	memmove(debug->code + b->code_at, debug->code + end, (debug->code_used - end) * sizeof(debug->code[0]));
	debug->code_used -= b->code_size;
	for (struct breakpoint *other = debug->breaks; other < debug->breaks + DEBUG_BREAK_MAX; other++) {
		if (other->used && other->code_at >= end)
			other->code_at -= b->code_size;
	}
	b->code_size = 0;
	b->condition_count = b->command_count = 0;
}

int debug_code_set(struct vcpu *vcpu, struct breakpoint *b, const struct break_request *request)
{
	struct debug *debug = vcpu->debug;
	size_t room = codes_room(request->condition, request->condition_count) +
		      codes_room(request->command, request->command_count);

	if (room > DEBUG_CODE_MAX - debug->code_used + b->code_size)
		return -E2BIG;
	debug_code_remove(debug, b);
	b->code_at = debug->code_used;
	b->condition_count = request->condition_count;
	b->command_count = request->command_count;
	codes_append(vcpu, request->condition, request->condition_count);
	codes_append(vcpu, request->command, request->command_count);
	b->code_size = debug->code_used - b->code_at;
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

static const struct agent_source source = {.reg = source_reg, .memory = source_memory, .print = source_print};

/* Runs the expression at *at and moves it on. */
static const char *run(struct vcpu *vcpu, const struct agent_op **at, uint64_t *result)
{
	const struct agent_op *head = *at;

	*at = head + 1 + head->value;
	return agent_evaluate(&source, vcpu, vcpu->gpr, head + 1, result);
}

static __attribute__((noinline)) bool commands_run(struct vcpu *vcpu, const struct breakpoint *b, const char **error)
{
	const struct agent_op *at = &vcpu->debug->code[b->code_at];
	uint64_t result;

	for (unsigned i = 0; i < b->condition_count; i++)
		at += 1 + at->value;
	for (unsigned i = 0; i < b->command_count && !*error; i++)
		*error = run(vcpu, &at, &result);
	return *error || !b->command_count;
}

bool debug_code_run(struct vcpu *vcpu, const struct breakpoint *b, const char **error)
{
	const struct agent_op *at = &vcpu->debug->code[b->code_at];
	uint64_t result = 0;

	*error = NULL;
	for (unsigned left = b->condition_count; left && !result; left--) {
		*error = run(vcpu, &at, &result);
		if (*error)
			return true;
	}
	return (result || !b->condition_count) && commands_run(vcpu, b, error);
}
