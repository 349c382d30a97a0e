/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words to bytes.
 */
#include "client/croft/bytes.h"

#include <ctype.h>
#include <string.h>

#include "client/croft/expr.h"

static unsigned digit(char c)
{
	return (unsigned)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

static bool take_hex(const char *word, uint8_t *bytes, size_t *length)
{
	for (; *word; word += 2) {
		if (!isxdigit((unsigned char)word[0]) || !isxdigit((unsigned char)word[1]) || *length == BYTES_MAX)
			return false;
		bytes[(*length)++] = (uint8_t)(digit(word[0]) << 4 | digit(word[1]));
	}
	return true;
}

static bool add(const void *data, size_t size, uint8_t *bytes, size_t *length)
{
	if (size > BYTES_MAX - *length)
		return false;
	memcpy(bytes + *length, data, size);
	*length += size;
	return true;
}

/* "u32:EXPRESSION" */
static enum outcome take_number(struct shell *shell, const char *word, unsigned size, uint8_t *bytes, size_t *length)
{
	uint64_t value;
	enum outcome outcome = expr_take(shell, strchr(word, ':') + 1, &value);

	if (outcome)
		return outcome;
	if (size < 8 && value >> (8 * size) && value >> (8 * size) != UINT64_MAX >> (8 * size))
		return shell_usage(shell, "%s: does not fit", word);
	return add(&value, size, bytes, length) ? OUTCOME_DONE : shell_usage(shell, "more than %u bytes", BYTES_MAX);
}

enum outcome bytes_take(struct shell *shell, struct args *args, uint8_t *bytes, size_t *length)
{
	static const struct {
		const char *prefix;
		unsigned size;
	} numbers[] = {{"u8:", 1}, {"u16:", 2}, {"u32:", 4}, {"u64:", 8}};
	enum outcome outcome = OUTCOME_DONE;
	const char *word;

	*length = 0;
	while (!outcome && (word = args_next(args))) {
		unsigned i = 0;

		while (i < 4 && strncmp(word, numbers[i].prefix, strlen(numbers[i].prefix)) != 0)
			i++;
		if (i < 4)
			outcome = take_number(shell, word, numbers[i].size, bytes, length);
		else if (strncmp(word, "text:", 5) == 0 ? !add(word + 5, strlen(word + 5), bytes, length)
							: !take_hex(word, bytes, length))
			outcome = shell_usage(
				shell, "%s: not bytes: pairs of hexadecimal digits, text:..., u8: to u64:, %u at most",
				word, BYTES_MAX);
	}
	if (!outcome && !*length)
		outcome = shell_usage(shell, "no bytes");
	return outcome;
}
