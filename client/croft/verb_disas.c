/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disas, and the line of code at each stop.
 */
#include "client/croft/code.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/croft/disasm.h"
#include "client/croft/expr.h"
#include "client/croft/verb.h"

#define COUNT_DEFAULT 10u
#define COUNT_MAX     10000u
#define PAGE	      4096u

enum croft_status code_place(struct shell *shell, struct code_place *place, struct croft_error *error)
{
	struct croft_cpu *cpu = croft_vm_cpu(shell->vm);
	enum croft_status status = croft_cpu_load(cpu, CROFT_GROUP_GENERAL | CROFT_GROUP_DERIVED, error);
	uint64_t rip;

	*place = (struct code_place){.mode = CROFT_MODE_LONG64};
	if (!status)
		status = croft_cpu_mode(cpu, &place->mode, error);
	if (status == CROFT_ERROR_UNSUPPORTED)
		status = CROFT_OK;
	if (!status)
		status = croft_cpu_linear_pc(cpu, &place->pc, error);
	if (!status)
		status = croft_cpu_read(cpu, "rip", &rip, error);
	if (!status)
		place->base = place->pc - rip;
	return status;
}

/* As much as can be read of length bytes: what is behind a hole is not code anyway. */
static enum croft_status read_code(struct shell *shell, struct croft_space space, uint64_t address, uint8_t *bytes,
				   size_t length, size_t *done, struct croft_error *error)
{
	enum croft_status status = croft_memory_read(shell->vm, space, address, bytes, length, done, error);

	return *done ? CROFT_OK : status;
}

static void show_bytes(struct shell *shell, const uint8_t *bytes, unsigned length, unsigned width, json_t *item)
{
	char spaced[3 * DISASM_BYTES_MAX + 1] = "", text[2 * DISASM_BYTES_MAX + 1] = "";

	for (unsigned i = 0; i < length; i++) {
		sprintf(spaced + 3 * i, "%02x ", bytes[i]);
		sprintf(text + 2 * i, "%02x", bytes[i]);
	}
	out_ink(&shell->out, INK_DIM, "%-*s", (int)(3 * width), spaced);
	if (item)
		json_object_set_new(item, "bytes", json_string(text));
}

/* "start_kernel+0x10:" before the first instruction, and where another symbol begins. */
static void show_label(struct shell *shell, uint64_t address, bool is_first)
{
	const char *name;
	uint64_t offset;

	if (!symbols_at(shell->symbols, address, &name, &offset) || (offset && !is_first))
		return;
	out_ink(&shell->out, INK_SYMBOL, offset ? "%s+0x%" PRIx64 ":\n" : "%s:\n", name, offset);
}

static void show_line(struct shell *shell, const struct code_place *place, uint64_t address, const uint8_t *bytes,
		      const struct disasm *line, json_t *list)
{
	bool wide = place->mode == CROFT_MODE_LONG64, here = address == place->pc;
	struct out *out = &shell->out;
	json_t *item = out_item(list);
	const char *blank = strchrnul(line->text, ' ');

	out_ink(out, INK_TITLE, here ? "=> " : "   ");
	out_address(out, address, wide ? 16 : 8);
	out_text(out, "  ");
	if (item)
		json_object_set_new(item, "address", out_hex(out, address));
	show_bytes(shell, bytes, line->length, wide ? 8 : 6, item);
	out_ink(out, INK_CODE, "%-*.*s", *blank ? 7 : 0, (int)(blank - line->text), line->text);
	out_text(out, "%s", blank);
	if (item)
		json_object_set_new(item, "text", json_string(line->text));
	if (line->has_target)
		shell_symbol(shell, place->base + line->target, item);
	out_text(out, "\n");
}

enum croft_status code_show(struct shell *shell, struct croft_space space, const struct code_place *place,
			    uint64_t address, unsigned count, uint64_t *next, struct croft_error *error)
{
	size_t size = (size_t)count * DISASM_BYTES_MAX, done = 0, at = 0;
	json_t *list = out_array(&shell->out, "code");
	uint8_t *bytes = malloc(size);
	enum croft_status status;

	if (next)
		*next = address;
	if (!bytes) {
		*error = (struct croft_error){CROFT_ERROR_MEMORY, "no memory"};
		return CROFT_ERROR_MEMORY;
	}
	status = read_code(shell, space, address, bytes, size, &done, error);
	for (unsigned i = 0; !status && i < count && at < done; i++) {
		struct disasm line;

		show_label(shell, address + at, i == 0);
		if (!disasm_decode(place->mode, bytes + at, done - at, address + at - place->base, &line)) {
			line.length = 1;
			snprintf(line.text, sizeof(line.text), "(bad)");
		}
		show_line(shell, place, address + at, bytes + at, &line, list);
		at += line.length;
	}
	free(bytes);
	if (next)
		*next = address + at;
	return status;
}

static enum outcome do_disas(struct shell *shell, struct args *args)
{
	struct croft_space space = croft_current();
	uint64_t address, count = COUNT_DEFAULT;
	struct code_place place;
	struct croft_error error;
	enum outcome outcome;
	const char *value;
	bool goes_on;
	char option;

	while ((option = args_option(args, "c:", &value))) {
		if (option == '?')
			return verb_misused(shell, &verb_disas, "not an option: %s", value);
		outcome = verb_take_cr3(shell, value, &space);
		if (outcome)
			return outcome;
	}
	if (code_place(shell, &place, &error))
		return shell_fail(shell, &error);
	goes_on = !args_left(args) && shell->next_code;
	outcome = verb_take(shell, args, goes_on ? shell->next_code : place.pc, &address);
	if (!outcome)
		outcome = verb_take(shell, args, COUNT_DEFAULT, &count);
	if (outcome)
		return outcome;
	if (args_left(args) || !count || count > COUNT_MAX)
		return verb_misused(shell, &verb_disas, "an address and a count up to %u", COUNT_MAX);
	/* 16-bit code elsewhere is most likely in a segment that begins with its 64 KiB */
	if (address - place.base > UINT16_MAX && place.mode != CROFT_MODE_LONG64 && place.base)
		place.base = address & ~(uint64_t)UINT16_MAX;
	if (code_show(shell, space, &place, address, (unsigned)count, &shell->next_code, &error))
		return shell_fail(shell, &error);
	return OUTCOME_DONE;
}

const struct verb verb_disas = {
	.name = "disas",
	.aliases = "u x/i",
	.usage = "[-c CR3] [ADDRESS [COUNT]]",
	.summary = "Disassembles, in the CPU's mode",
	.help = "Without arguments from where the CPU stands (=>), and then on from there.\n"
		"-c CR3  by other page tables",
	.example = "disas\ndisas start_kernel 20\ndisas cs:ip",
	.flags = VERB_STOPPED,
	.words = WORD_EXPRESSION,
	.choices = "-c",
	.run = do_disas,
};
