/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem, phys.
 */
#include "client/croft/verb.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/croft/bytes.h"
#include "client/croft/expr.h"

#define LENGTH_DEFAULT 128u
#define LENGTH_MAX     (1u << 20)
#define ROW_MAX	       16u

struct how {
	const struct verb *verb;
	struct croft_space space;
	unsigned unit; /* bytes that are shown as one number */
	bool writes;
};

static void show_units(const struct out *out, const uint8_t *bytes, unsigned count, unsigned row, unsigned unit)
{
	for (unsigned i = 0; i < row; i += unit) {
		uint64_t value = 0;

		out_text(out, i == row / 2 && unit < 8 ? "  " : " ");
		if (i + unit > count) {
			out_text(out, "%*s", (int)(2 * unit), "");
			continue;
		}
		memcpy(&value, bytes + i, unit);
		out_text(out, "%0*" PRIx64, (int)(2 * unit), value);
	}
}

static void show_rows(struct shell *shell, uint64_t address, const uint8_t *bytes, size_t length, unsigned unit)
{
	/* with symbols each has its own line */
	unsigned row = unit == 8 && symbols_count(shell->symbols) ? 8 : ROW_MAX;
	struct out *out = &shell->out;
	int digits = (address + length - 1) >> 32 ? 16 : 8;

	for (size_t at = 0; at < length; at += row) {
		unsigned count = length - at < row ? (unsigned)(length - at) : row;
		uint64_t value = 0;

		out_address(out, address + at, digits);
		out_text(out, " ");
		show_units(out, bytes + at, count, row, unit);
		if (unit == 8) {
			/* where it points to is worth more than characters */
			memcpy(&value, bytes + at, count < 8 ? count : 8);
			if (row == 8 && count == 8)
				shell_symbol(shell, value, NULL);
			out_text(out, "\n");
			continue;
		}
		out_ink(out, INK_DIM, "  ");
		for (unsigned i = 0; i < count; i++)
			out_ink(out, INK_DIM, "%c", isprint(bytes[at + i]) ? bytes[at + i] : '.');
		out_text(out, "\n");
	}
}

static void put_bytes(const struct out *out, const uint8_t *bytes, size_t length)
{
	char *text = out->json ? malloc(2 * length + 1) : NULL;

	if (!text)
		return;
	text[0] = 0;
	for (size_t i = 0; i < length; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	out_put(out, "bytes", json_string(text));
	free(text);
}

static enum outcome show(struct shell *shell, const struct how *how, uint64_t address, uint64_t length)
{
	struct croft_error error;
	enum croft_status status;
	enum outcome outcome = OUTCOME_DONE;
	uint8_t *bytes;
	size_t done;

	if (!length || length > LENGTH_MAX)
		return verb_misused(shell, how->verb, "a length up to 1M");
	bytes = malloc(length);
	if (!bytes)
		return shell_failed(shell, "no memory");
	status = croft_memory_read(shell->vm, how->space, address, bytes, length, &done, &error);
	out_put(&shell->out, "address", out_hex(&shell->out, address));
	put_bytes(&shell->out, bytes, done);
	show_rows(shell, address, bytes, done, how->unit);
	shell->next_mem = address + done;
	if (status)
		outcome = shell_fail(shell, &error);
	free(bytes);
	return outcome;
}

static enum outcome write_bytes(struct shell *shell, const struct how *how, uint64_t address, struct args *args)
{
	uint8_t bytes[BYTES_MAX];
	struct croft_error error;
	size_t length, done;
	enum outcome outcome = bytes_take(shell, args, bytes, &length);

	if (outcome)
		return outcome;
	if (croft_memory_write(shell->vm, how->space, address, bytes, length, &done, &error)) {
		if (done)
			out_text(&shell->out, "%zu of %zu bytes are written\n", done, length);
		return shell_fail(shell, &error);
	}
	return show(shell, how, address, length);
}

static enum outcome take_options(struct shell *shell, struct args *args, const char *letters, struct how *how)
{
	enum outcome outcome = OUTCOME_DONE;
	const char *value;
	uint64_t cr3;
	char option;

	while (!outcome && (option = args_option(args, letters, &value))) {
		switch (option) {
		case 'c':
			outcome = expr_take(shell, value, &cr3);
			how->space.kind = CROFT_SPACE_CR3;
			how->space.cr3 = cr3;
			break;
		case 'u':
			outcome = expr_take(shell, value, &cr3);
			how->unit = (unsigned)cr3;
			if (!outcome && cr3 != 1 && cr3 != 2 && cr3 != 4 && cr3 != 8)
				outcome = verb_misused(shell, how->verb, "-u 1, 2, 4 or 8");
			break;
		case 'd':
			how->space.device = true;
			break;
		case 'w':
			how->writes = true;
			break;
		default:
			outcome = verb_misused(shell, how->verb, "not an option: %s", value);
		}
	}
	return outcome;
}

static enum outcome look(struct shell *shell, struct args *args, const char *letters, struct how *how)
{
	enum outcome outcome = take_options(shell, args, letters, how);
	uint64_t address, length;

	if (outcome)
		return outcome;
	if (!args_left(args) && (how->writes || !shell->next_mem))
		return verb_misused(shell, how->verb, "an address");
	outcome = verb_take(shell, args, shell->next_mem, &address);
	if (outcome)
		return outcome;
	if (how->writes)
		return write_bytes(shell, how, address, args);
	outcome = verb_take(shell, args, LENGTH_DEFAULT, &length);
	if (outcome)
		return outcome;
	if (args_left(args))
		return verb_misused(shell, how->verb, "too many arguments");
	return show(shell, how, address, length);
}

static enum outcome do_mem(struct shell *shell, struct args *args)
{
	struct how how = {.verb = &verb_mem, .space = croft_current(), .unit = 1};

	return look(shell, args, "c:u:dw", &how);
}

static enum outcome do_phys(struct shell *shell, struct args *args)
{
	struct how how = {.verb = &verb_phys, .space = croft_physical(), .unit = 1};

	return look(shell, args, "u:dw", &how);
}

const struct verb verb_mem = {
	.name = "mem",
	.aliases = "x db",
	.usage = "[-c CR3] [-u 1|2|4|8] [-d] [ADDRESS [LENGTH]], -w ADDRESS BYTES...",
	.summary = "Shows or changes memory at a linear address",
	.help = "Without arguments it goes on behind what was shown last.\n"
		"-c CR3  by other page tables\n"
		"-u N    numbers of N bytes; with 8 also the symbols that they point to\n"
		"-d      device memory, too: reading it can have effects\n"
		"-w      writes: pairs of hexadecimal digits, text:..., u8: u16: u32: u64: with a number",
	.example = "mem rsp 64\nmem -u 8 rsp\nmem -w 0x7c00 eb fe\nmem -w rdi u32:0x10 text:hello",
	.flags = VERB_STOPPED,
	.words = WORD_EXPRESSION,
	.choices = "-c -u -d -w",
	.run = do_mem,
};

const struct verb verb_phys = {
	.name = "phys",
	.aliases = "xp",
	.usage = "[-u 1|2|4|8] [-d] [ADDRESS [LENGTH]], -w ADDRESS BYTES...",
	.summary = "Shows or changes memory at a guest-physical address",
	.help = "Options as those of mem.",
	.example = "phys 0x7c00 512\nphys -d 0xb8000 160\nphys -u 8 cr3 4K",
	.flags = VERB_STOPPED,
	.words = WORD_EXPRESSION,
	.choices = "-u -d -w",
	.run = do_phys,
};
