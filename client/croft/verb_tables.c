/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gdt, idt.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/croft/descriptor.h"
#include "client/croft/expr.h"

#define TABLE_MAX 65536u
#define EFER_LMA  0x400u

struct table {
	uint64_t base;
	size_t length;
	bool is_long, is_real;
	uint8_t bytes[TABLE_MAX + 16]; /* a wide descriptor may begin at the end */
};

/* A descriptor table, as far as it can be read. */
static enum croft_status read_table(struct shell *shell, const char *name, struct table *table,
				    struct croft_error *error)
{
	struct croft_cpu *cpu = croft_vm_cpu(shell->vm);
	char base[16], limit[16];
	uint64_t efer = 0, length = 0;
	enum croft_mode mode = CROFT_MODE_LONG64;
	enum croft_status status;

	memset(table, 0, sizeof(*table));
	snprintf(base, sizeof(base), "%s_base", name);
	snprintf(limit, sizeof(limit), "%s_limit", name);
	status = croft_cpu_load(cpu, CROFT_GROUP_SYSTEM | CROFT_GROUP_DERIVED, error);
	if (!status)
		status = croft_cpu_read(cpu, base, &table->base, error);
	if (!status)
		status = croft_cpu_read(cpu, limit, &length, error);
	if (!status)
		status = croft_cpu_read(cpu, "efer", &efer, error);
	if (!status)
		status = croft_cpu_mode(cpu, &mode, error);
	if (status)
		return status;
	table->is_long = efer & EFER_LMA;
	table->is_real = mode == CROFT_MODE_REAL;
	length = length < TABLE_MAX ? length + 1 : TABLE_MAX;
	status = croft_memory_read(shell->vm, croft_current(), table->base, table->bytes, (size_t)length,
				   &table->length, error);
	return table->length ? CROFT_OK : status;
}

static void show_descriptor(struct shell *shell, unsigned selector, const struct descriptor *d, json_t *list)
{
	struct out *out = &shell->out;
	char text[DESCRIPTOR_TEXT];
	json_t *item = out_item(list);

	descriptor_attributes_text(d->attributes, text);
	out_ink(out, INK_NAME, "%04x", selector);
	if (d->is_gate)
		out_text(out, "  %04x:%016" PRIx64, d->selector, d->offset);
	else
		out_text(out, "  base %016" PRIx64 "  limit %08x", d->base, d->limit);
	out_text(out, "  %s", text);
	if (item) {
		json_object_set_new(item, "selector", out_hex(out, selector));
		json_object_set_new(item, "text", json_string(text));
		json_object_set_new(item, "base", out_hex(out, d->base));
		json_object_set_new(item, "limit", out_hex(out, d->limit));
	}
	if (d->is_gate)
		shell_symbol(shell, d->offset, item);
	out_text(out, "\n");
}

static enum outcome show_gdt(struct shell *shell, const struct table *table, bool one, uint64_t selector)
{
	json_t *list = out_array(&shell->out, "descriptors");
	unsigned shown = 0;

	/* as after a reset: APM vol. 2, "Initial Processor State" (14.1.3) */
	if (table->is_real && !one && !table->base && table->length == TABLE_MAX) {
		out_text(&shell->out, "real mode, and GDTR as after a reset: there is no table\n");
		return OUTCOME_DONE;
	}

	for (size_t at = 0; at + 8 <= table->length; at += 8) {
		struct descriptor d = descriptor_decode(table->bytes + at, table->is_long);
		bool empty = !d.attributes && !d.base && !d.limit;

		if (one ? at == (selector & 0xfff8) : !empty) {
			show_descriptor(shell, (unsigned)at, &d, list);
			shown++;
		}
		if (!empty && d.is_wide)
			at += 8;
	}
	if (!shown && one)
		return shell_failed(shell, "selector 0x%" PRIx64 " is beyond the table's limit", selector);
	if (!shown)
		out_text(&shell->out, "no descriptor in %zu bytes at 0x%" PRIx64 "\n", table->length, table->base);
	return OUTCOME_DONE;
}

static enum outcome do_gdt(struct shell *shell, struct args *args)
{
	bool one = args_left(args) > 0;
	uint64_t selector;
	enum outcome outcome = verb_take(shell, args, 0, &selector);
	struct croft_error error;
	struct table *table;

	if (outcome)
		return outcome;
	if (args_left(args))
		return verb_misused(shell, &verb_gdt, "too many arguments");
	table = malloc(sizeof(*table));
	if (!table)
		return shell_failed(shell, "no memory");
	outcome = read_table(shell, "gdtr", table, &error) ? shell_fail(shell, &error)
							   : show_gdt(shell, table, one, selector);
	free(table);
	return outcome;
}

const struct verb verb_gdt = {
	.name = "gdt",
	.aliases = "",
	.usage = "[SELECTOR]",
	.summary = "Lists the global descriptor table, or one of its descriptors",
	.help = "",
	.example = "gdt\ngdt cs",
	.flags = VERB_STOPPED,
	.words = WORD_EXPRESSION,
	.choices = "",
	.run = do_gdt,
};

/* APM vol. 2, "Exception Vectors" (8.2), table 8-1 */
static const char *const vectors[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "",    "#TS",
				      "#NP", "#SS", "#GP", "#PF", "",	 "#MF", "#AC", "#MC", "#XF", "#VE", "#CP",
				      "",    "",    "",	   "",	  "",	 "",	"#HV", "#VC", "#SX"};

static void show_gate(struct shell *shell, unsigned vector, const struct descriptor *d, bool is_real, json_t *list)
{
	struct out *out = &shell->out;
	char text[DESCRIPTOR_TEXT] = "";
	json_t *item = out_item(list);

	out_ink(out, INK_NAME, "%02x", vector);
	out_ink(out, INK_DIM, " %-3s", vector < sizeof(vectors) / sizeof(*vectors) ? vectors[vector] : "");
	if (!is_real)
		descriptor_attributes_text(d->attributes, text);
	if (!is_real && !d->is_gate)
		out_text(out, "  no gate: %s", text);
	else
		out_text(out, "  %04x:", d->selector);
	if (is_real || d->is_gate)
		out_ink(out, INK_ADDRESS, "%0*" PRIx64, is_real ? 4 : d->is_wide ? 16 : 8, d->offset);
	if (d->is_gate)
		out_text(out, "  %s", text);
	if (d->ist)
		out_text(out, " ist %u", d->ist);
	if (item) {
		json_object_set_new(item, "vector", json_integer(vector));
		json_object_set_new(item, "selector", out_hex(out, d->selector));
		json_object_set_new(item, "offset", out_hex(out, d->offset));
		json_object_set_new(item, "text", json_string(text));
		json_object_set_new(item, "ist", json_integer(d->ist));
	}
	shell_symbol(shell, is_real ? ((uint64_t)d->selector << 4) + d->offset : d->offset, item);
	out_text(out, "\n");
}

static enum outcome show_idt(struct shell *shell, const struct table *table, bool one, uint64_t vector)
{
	size_t size = table->is_real ? 4 : table->is_long ? 16 : 8;
	json_t *list = out_array(&shell->out, "vectors");

	if (one && (vector >= 256 || (vector + 1) * size > table->length))
		return shell_failed(shell, "vector 0x%" PRIx64 " is beyond the table's limit", vector);
	for (unsigned i = 0; i < 256 && (i + 1) * size <= table->length; i++) {
		const uint8_t *bytes = table->bytes + i * size;
		struct descriptor d = {0};

		if (table->is_real) {
			d.offset = (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8;
			d.selector = (uint16_t)(bytes[2] | bytes[3] << 8);
		} else {
			d = descriptor_decode(bytes, table->is_long);
		}
		if (one ? i == vector : table->is_real || d.attributes)
			show_gate(shell, i, &d, table->is_real, list);
	}
	return OUTCOME_DONE;
}

static enum outcome do_idt(struct shell *shell, struct args *args)
{
	bool one = args_left(args) > 0;
	uint64_t vector;
	enum outcome outcome = verb_take(shell, args, 0, &vector);
	struct croft_error error;
	struct table *table;

	if (outcome)
		return outcome;
	if (args_left(args))
		return verb_misused(shell, &verb_idt, "too many arguments");
	table = malloc(sizeof(*table));
	if (!table)
		return shell_failed(shell, "no memory");
	outcome = read_table(shell, "idtr", table, &error) ? shell_fail(shell, &error)
							   : show_idt(shell, table, one, vector);
	free(table);
	return outcome;
}

const struct verb verb_idt = {
	.name = "idt",
	.aliases = "ivt",
	.usage = "[VECTOR]",
	.summary = "Lists where interrupts and exceptions lead",
	.help = "In real mode that is the interrupt vector table.",
	.example = "idt\nidt 14\nidt 0x80",
	.flags = VERB_STOPPED,
	.choices = "",
	.run = do_idt,
};
