/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/debug/agent.c on any bytes: no crash, no endless loop, bounded output, and the same answer twice.
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
	const struct agent_source source = {.reg = reg, .memory = memory, .print = print};
	const char *error, *again;
	uint64_t result, other;

	printed = 0;
	error = agent_evaluate(&source, data, size, &result);
	printed = 0;
	again = agent_evaluate(&source, data, size, &other);
	require(error == again && (error || result == other));
	return 0;
}
