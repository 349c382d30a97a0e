/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/debug/agent_compile.c and agent.c on any bytes: no crash, no endless loop, bounded output, and the same answer
 * twice.
 */
#include <stdlib.h>

#include "core/debug/agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t printed;
static unsigned checksum; /* of what was printed, so that it is read */

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool reg(void *context, unsigned number, uint64_t *value)
{
	(void)context;
	*value = number * 0x9e3779b97f4a7c15ull;
	return number < 0x100;
}

static bool memory(void *context, uint64_t address, unsigned size, uint64_t *value)
{
	(void)context;
	require(size == 1 || size == 2 || size == 4 || size == 8);
	*value = address ^ size;
	return address & 0x80;
}

static void print(void *context, const char *text, size_t length)
{
	(void)context;
	for (size_t i = 0; i < length; i++)
		checksum += (unsigned char)text[i];
	printed += length;
	require(printed <= AGENT_PRINT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t gpr[] = {0, 1};
	static const uint8_t order[] = {1, 0};
	const struct agent_source source = {NULL, gpr, reg, memory, print};
	const char *error, *again;
	uint64_t result, other;
	struct agent_op *ops;
	size_t count;

	if (size > AGENT_LENGTH_MAX)
		return 0;
	ops = malloc(AGENT_OPS(size) * sizeof(*ops));
	require(ops != NULL);
	count = agent_compile(data, size, order, ARRAY_SIZE(order), ops);
	require(count > 0 && count <= AGENT_OPS(size));
	printed = 0;
	error = agent_evaluate(&source, ops, &result);
	printed = 0;
	again = agent_evaluate(&source, ops, &other);
	require(error == again && (error || result == other));
	free(ops);
	return 0;
}
