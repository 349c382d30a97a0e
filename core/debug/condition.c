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

void debug_code_init(struct vcpu *vcpu)
{
	vcpu->debug->source = (struct agent_source){
		.context = vcpu,
		.gpr = vcpu->gpr,
		.reg = source_reg,
		.memory = source_memory,
		.print = source_print,
	};
}

static const struct agent_op *next_of(const struct agent_op *head)
{
	return head + 1 + head->value;
}

static __attribute__((noinline)) bool code_failed(struct vcpu *vcpu, const char *error)
{
	vcpu->debug->code_error = error;
	return true;
}

static __attribute__((noinline)) bool commands_run(struct vcpu *vcpu, const struct breakpoint *b)
{
	const struct agent_op *head = &vcpu->debug->code[b->code_at];
	uint64_t result;

	for (unsigned i = 0; i < b->condition_count; i++)
		head = next_of(head);
	for (unsigned i = 0; i < b->command_count; i++, head = next_of(head)) {
		const char *error = agent_evaluate(&vcpu->debug->source, head + 1, &result);

		if (error)
			return code_failed(vcpu, error);
	}
	return !b->command_count;
}

bool debug_code_run(struct vcpu *vcpu, const struct breakpoint *b)
{
	const struct agent_op *head = &vcpu->debug->code[b->code_at];
	unsigned left = b->condition_count;
	uint64_t result;

	if (!left)
		return commands_run(vcpu, b);
	do {
		const char *error = agent_evaluate(&vcpu->debug->source, head + 1, &result);

		if (error)
			return code_failed(vcpu, error);
		if (result)
			return commands_run(vcpu, b);
		head = next_of(head);
	} while (--left);
	return false;
}
