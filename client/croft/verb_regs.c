/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * regs.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/croft/expr.h"

#define GENERAL_COUNT 17u /* and RIP */

struct register_copy {
	bool known;
	uint64_t value[GENERAL_COUNT];
};

static const char *const general[GENERAL_COUNT] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
						   "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};

/* APM vol. 2, "RFLAGS Register" (3.1.6) */
static void show_flags(struct shell *shell, uint64_t flags)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {{0, "cf"},	 {2, "pf"},  {4, "af"},	 {6, "zf"},  {7, "sf"},	 {8, "tf"},   {9, "if"},   {10, "df"},
		     {11, "of"}, {14, "nt"}, {16, "rf"}, {17, "vm"}, {18, "ac"}, {19, "vif"}, {20, "vip"}, {21, "id"}};
	struct out *out = &shell->out;
	const char *blank = "";

	out_text(out, "%06" PRIx64 " [", flags);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!(flags >> names[i].bit & 1))
			continue;
		out_text(out, "%s%s", blank, names[i].name);
		blank = " ";
	}
	out_text(out, "] iopl %u", (unsigned)(flags >> 12 & 3));
}

/* One of the table; a value that is not what it was at the last look stands out. */
static void show_one(struct shell *shell, const char *name, uint64_t value, bool wide, bool changed)
{
	struct out *out = &shell->out;

	out_ink(out, INK_NAME, "%4s ", name);
	out_ink(out, changed ? INK_CHANGED : INK_PLAIN, "%0*" PRIx64, wide ? 16 : 8, wide ? value : value & UINT32_MAX);
}

/* The table, ending with RIP, where it is and which symbol is there. */
static void show_general(struct shell *shell, const uint64_t *value, enum croft_mode mode, uint64_t pc)
{
	bool wide = mode == CROFT_MODE_LONG64;
	unsigned count = wide ? GENERAL_COUNT - 1 : 8, row = wide ? 3 : 4;
	char name[8];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), wide ? "%s" : "e%s", general[i] + !wide);
		show_one(shell, name, value[i], wide, shell->copy->known && shell->copy->value[i] != value[i]);
		out_text(&shell->out, (i + 1) % row == 0 ? "\n" : "  ");
	}
	show_one(shell, wide ? "rip" : "eip", value[GENERAL_COUNT - 1], wide, false);
	if (pc != value[GENERAL_COUNT - 1]) {
		out_ink(&shell->out, INK_DIM, "  at ");
		out_address(&shell->out, pc, 0);
	}
	shell_symbol(shell, pc, shell->out.json);
	out_text(&shell->out, "\n");
}

static enum croft_status show_all(struct shell *shell, struct croft_error *error)
{
	static const char *const segments[] = {"cs", "ss", "ds", "es", "fs", "gs"};
	struct croft_cpu *cpu = croft_vm_cpu(shell->vm);
	enum croft_mode mode = CROFT_MODE_LONG64;
	struct out *out = &shell->out;
	uint64_t value[GENERAL_COUNT], flags = 0, pc = 0, selector[6];
	enum croft_status status = croft_cpu_load(cpu, CROFT_GROUP_GENERAL | CROFT_GROUP_DERIVED, error);

	for (unsigned i = 0; !status && i < GENERAL_COUNT; i++) {
		status = croft_cpu_read(cpu, general[i], &value[i], error);
		out_put(out, general[i], out_hex(out, value[i]));
	}
	for (unsigned i = 0; !status && i < 6; i++) {
		status = croft_cpu_read(cpu, segments[i], &selector[i], error);
		out_put(out, segments[i], out_hex(out, selector[i]));
	}
	if (!status)
		status = croft_cpu_read(cpu, "eflags", &flags, error);
	if (!status)
		status = croft_cpu_mode(cpu, &mode, error);
	if (status == CROFT_ERROR_UNSUPPORTED)
		status = CROFT_OK;
	if (!status)
		status = croft_cpu_linear_pc(cpu, &pc, error);
	if (status)
		return status;
	show_general(shell, value, mode, pc);
	for (unsigned i = 0; i < 6; i++) {
		out_ink(out, INK_NAME, "%4s ", segments[i]);
		out_text(out, "%04" PRIx64 "%s", selector[i], i < 5 ? "  " : "\n");
	}
	out_ink(out, INK_NAME, "flags ");
	show_flags(shell, flags);
	out_ink(out, INK_DIM, "  %s\n", croft_mode_name(mode));
	out_put(out, "eflags", out_hex(out, flags));
	out_put(out, "linear_pc", out_hex(out, pc));
	out_put(out, "mode", json_string(croft_mode_name(mode)));
	memcpy(shell->copy->value, value, sizeof(value));
	shell->copy->known = true;
	return CROFT_OK;
}

static bool find(struct shell *shell, const char *name, struct croft_register *reg)
{
	for (unsigned i = 0; croft_vm_register(shell->vm, i, reg); i++) {
		if (strcmp(reg->name, name) == 0)
			return true;
	}
	return false;
}

/* One by its name; wide ones byte by byte, the highest first. */
static enum outcome show_named(struct shell *shell, const char *name)
{
	uint8_t bytes[CROFT_REGISTER_BYTES_MAX];
	struct croft_register reg = {0};
	struct croft_error error;
	char text[2 * CROFT_REGISTER_BYTES_MAX + 3] = "0x";
	uint64_t value;

	if (!find(shell, name, &reg) || reg.bytes <= 8) {
		enum outcome outcome = expr_take(shell, name, &value);

		if (outcome)
			return outcome;
		snprintf(text, sizeof(text), "0x%" PRIx64, value);
	} else {
		if (croft_cpu_read_bytes(croft_vm_cpu(shell->vm), name, bytes, sizeof(bytes), &error))
			return shell_fail(shell, &error);
		for (unsigned i = 0; i < reg.bytes; i++)
			sprintf(text + 2 + 2 * i, "%02x", bytes[reg.bytes - 1 - i]);
	}
	out_ink(&shell->out, INK_NAME, "%s ", name);
	out_text(&shell->out, "%s", text);
	out_put(&shell->out, name, json_string(text));
	if (reg.bytes == 8)
		shell_symbol(shell, value, shell->out.json);
	out_text(&shell->out, "\n");
	return OUTCOME_DONE;
}

static enum outcome do_regs(struct shell *shell, struct args *args)
{
	struct croft_cpu *cpu = croft_vm_cpu(shell->vm);
	const char *name = args_next(args);
	struct croft_register reg;
	struct croft_error error;
	enum outcome outcome;
	uint64_t value;

	if (!shell->copy)
		shell->copy = calloc(1, sizeof(*shell->copy));
	if (!shell->copy)
		return shell_failed(shell, "no memory");
	if (!name)
		return show_all(shell, &error) ? shell_fail(shell, &error) : OUTCOME_DONE;
	name += *name == '$';
	if (!args_left(args))
		return show_named(shell, name);
	if (!find(shell, name, &reg))
		return verb_misused(shell, &verb_regs, "there is no register %s that can be changed", name);
	outcome = expr_take(shell, args_next(args), &value);
	if (outcome)
		return outcome;
	if (args_left(args))
		return verb_misused(shell, &verb_regs, "too many arguments");
	if (croft_cpu_write(cpu, name, value, &error) || croft_cpu_flush(cpu, &error))
		return shell_fail(shell, &error);
	return show_named(shell, name);
}

const struct verb verb_regs = {
	.name = "regs",
	.aliases = "r",
	.usage = "[NAME [VALUE]]",
	.summary = "Shows the general registers, or shows or changes one",
	.help = "What has changed since the last look stands out. NAME is any register that there is, also of other\n"
		"groups: cr3, xmm0, gs_base. A value that no CPU can be in is refused.",
	.example = "regs\nregs cr3\nregs rax 0x1000",
	.flags = VERB_STOPPED,
	.words = WORD_REGISTER,
	.choices = "",
	.run = do_regs,
};
