/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sregs, msr.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <string.h>

#include "client/croft/descriptor.h"
#include "client/croft/expr.h"

/* Names of bits, from bit 0 on; NULL: none. */
#define BITS_MAX 32

/* APM vol. 2, "CR0 Register" (3.1.1), "CR4 Register" (3.1.3), "Extended Feature Enable Register" (3.1.7) */
static const char *const cr0_bits[BITS_MAX] = {
	[0] = "pe",  [1] = "mp",  [2] = "em",  [3] = "ts",  [4] = "et", [5] = "ne",
	[16] = "wp", [18] = "am", [29] = "nw", [30] = "cd", [31] = "pg"};
static const char *const cr4_bits[BITS_MAX] = {
	[0] = "vme",   [1] = "pvi",   [2] = "tsd",   [3] = "de",	[4] = "pse",	     [5] = "pae",
	[6] = "mce",   [7] = "pge",   [8] = "pce",   [9] = "osfxsr",	[10] = "osxmmexcpt", [11] = "umip",
	[12] = "la57", [13] = "vmxe", [14] = "smxe", [16] = "fsgsbase", [17] = "pcide",	     [18] = "osxsave",
	[20] = "smep", [21] = "smap", [22] = "pke",  [23] = "cet"};
static const char *const efer_bits[BITS_MAX] = {[0] = "sce",   [8] = "lme",    [10] = "lma",   [11] = "nxe",
						[12] = "svme", [13] = "lmsle", [14] = "ffxsr", [15] = "tce"};

static void show_bits(const struct out *out, uint64_t value, const char *const *names)
{
	const char *blank = "";

	out_text(out, " [");
	for (unsigned i = 0; i < BITS_MAX; i++) {
		if (!names[i] || !(value >> i & 1))
			continue;
		out_text(out, "%s%s", blank, names[i]);
		blank = " ";
	}
	out_text(out, "]");
}

static void show_segment(struct shell *shell, const char *name, const struct croft_segment *s, json_t *list)
{
	struct out *out = &shell->out;
	char text[DESCRIPTOR_TEXT];
	json_t *item = out_item(list);

	descriptor_attributes_text(s->attributes, text);
	out_ink(out, INK_NAME, "%-5s", name);
	out_text(out, "%04x  base %016" PRIx64 "  limit %08x  %04x %s\n", s->selector, s->base, s->limit, s->attributes,
		 text);
	if (item) {
		json_object_set_new(item, "name", json_string(name));
		json_object_set_new(item, "selector", out_hex(out, s->selector));
		json_object_set_new(item, "base", out_hex(out, s->base));
		json_object_set_new(item, "limit", out_hex(out, s->limit));
		json_object_set_new(item, "attributes", out_hex(out, s->attributes));
	}
}

static enum croft_status show_table(struct shell *shell, const char *name, struct croft_error *error)
{
	struct croft_cpu *cpu = croft_vm_cpu(shell->vm);
	char base_name[16], limit_name[16];
	uint64_t base, limit;
	enum croft_status status;

	snprintf(base_name, sizeof(base_name), "%s_base", name);
	snprintf(limit_name, sizeof(limit_name), "%s_limit", name);
	status = croft_cpu_read(cpu, base_name, &base, error);
	if (!status)
		status = croft_cpu_read(cpu, limit_name, &limit, error);
	if (status)
		return status;
	out_ink(&shell->out, INK_NAME, "%-5s", name);
	out_text(&shell->out, "      base %016" PRIx64 "  limit %08" PRIx64 "\n", base, limit);
	out_put(&shell->out, base_name, out_hex(&shell->out, base));
	out_put(&shell->out, limit_name, out_hex(&shell->out, limit));
	return CROFT_OK;
}

static enum croft_status show_control(struct shell *shell, const char *name, const char *const *bits, bool is_address,
				      struct croft_error *error)
{
	uint64_t value;
	enum croft_status status = croft_cpu_read(croft_vm_cpu(shell->vm), name, &value, error);

	if (status == CROFT_ERROR_ARGUMENT || status == CROFT_ERROR_UNSUPPORTED)
		return CROFT_OK; /* another stub has no such register */
	if (status)
		return status;
	out_ink(&shell->out, INK_NAME, "%-13s", name);
	out_text(&shell->out, bits ? "%08" PRIx64 : "%016" PRIx64, value);
	out_put(&shell->out, name, out_hex(&shell->out, value));
	if (bits)
		show_bits(&shell->out, value, bits);
	if (is_address && value)
		shell_symbol(shell, value, NULL);
	out_text(&shell->out, "\n");
	return CROFT_OK;
}

static enum outcome do_sregs(struct shell *shell, struct args *args)
{
	static const char *const segments[] = {"cs", "ss", "ds", "es", "fs", "gs", "ldtr", "tr"};
	static const struct {
		const char *name;
		const char *const *bits;
		bool is_address;
	} controls[] = {{"cr0", cr0_bits, false},     {"cr2", NULL, true},	    {"cr3", NULL, false},
			{"cr4", cr4_bits, false},     {"cr8", NULL, false},	    {"efer", efer_bits, false},
			{"dr0", NULL, true},	      {"dr1", NULL, true},	    {"dr2", NULL, true},
			{"dr3", NULL, true},	      {"dr6", NULL, false},	    {"dr7", NULL, false},
			{"star", NULL, false},	      {"lstar", NULL, true},	    {"cstar", NULL, true},
			{"fmask", NULL, false},	      {"k_gs_base", NULL, true},    {"sysenter_cs", NULL, false},
			{"sysenter_esp", NULL, true}, {"sysenter_eip", NULL, true}, {"pat", NULL, false}};
	struct croft_cpu *cpu = croft_vm_cpu(shell->vm);
	struct croft_segment segment;
	struct croft_error error;
	enum croft_status status;
	json_t *list;

	if (args_left(args))
		return verb_misused(shell, &verb_sregs, "too many arguments");
	status = croft_cpu_load(cpu, CROFT_GROUP_GENERAL | CROFT_GROUP_SEGMENT | CROFT_GROUP_SYSTEM, &error);
	list = out_array(&shell->out, "segments");
	for (unsigned i = 0; !status && i < sizeof(segments) / sizeof(*segments); i++) {
		status = croft_cpu_segment(cpu, segments[i], &segment, &error);
		if (!status)
			show_segment(shell, segments[i], &segment, list);
	}
	if (!status)
		status = show_table(shell, "gdtr", &error);
	if (!status)
		status = show_table(shell, "idtr", &error);
	for (unsigned i = 0; !status && i < sizeof(controls) / sizeof(*controls); i++)
		status = show_control(shell, controls[i].name, controls[i].bits, controls[i].is_address, &error);
	return status ? shell_fail(shell, &error) : OUTCOME_DONE;
}

const struct verb verb_sregs = {
	.name = "sregs",
	.aliases = "",
	.usage = "",
	.summary = "Shows segments, descriptor tables, control, debug and system-call registers",
	.help = "Segments are shown as the CPU has them cached, which may differ from the tables. \"regs NAME VALUE\"\n"
		"changes one.",
	.example = "sregs",
	.flags = VERB_STOPPED,
	.choices = "",
	.run = do_sregs,
};

/* SDM vol. 4, "Model-Specific Registers (MSRs)" (2); APM vol. 2, "MSR Cross-Reference" (A) */
static const struct {
	uint32_t index;
	const char *name;
} msrs[] = {
	{0x10, "tsc"},
	{0x1b, "apic_base"},
	{0xfe, "mtrrcap"},
	{0x174, "sysenter_cs"},
	{0x175, "sysenter_esp"},
	{0x176, "sysenter_eip"},
	{0x1d9, "debugctl"},
	{0x1db, "lastbranchfromip"},
	{0x1dc, "lastbranchtoip"},
	{0x277, "pat"},
	{0x2ff, "mtrr_def_type"},
	{0x6e0, "tsc_deadline"},
	{0x48, "spec_ctrl"},
	{0x3a, "feature_control"},
	{0x1a0, "misc_enable"},
	{0xc0000080, "efer"},
	{0xc0000081, "star"},
	{0xc0000082, "lstar"},
	{0xc0000083, "cstar"},
	{0xc0000084, "fmask"},
	{0xc0000100, "fs_base"},
	{0xc0000101, "gs_base"},
	{0xc0000102, "kernel_gs_base"},
	{0xc0000103, "tsc_aux"},
	{0xc0010010, "syscfg"},
	{0xc001001a, "top_mem"},
	{0xc001001d, "top_mem2"},
};

#define MSR_COUNT (sizeof(msrs) / sizeof(*msrs))

static enum outcome take_index(struct shell *shell, const char *word, uint32_t *index)
{
	enum outcome outcome;
	uint64_t value;

	for (unsigned i = 0; i < MSR_COUNT; i++) {
		if (strcasecmp(msrs[i].name, word) == 0) {
			*index = msrs[i].index;
			return OUTCOME_DONE;
		}
	}
	outcome = expr_take(shell, word, &value);
	*index = (uint32_t)value;
	return !outcome && value > UINT32_MAX ? verb_misused(shell, &verb_msr, "%s: larger than 32 bits", word)
					      : outcome;
}

static enum outcome do_msr(struct shell *shell, struct args *args)
{
	struct croft_cpu *cpu = croft_vm_cpu(shell->vm);
	struct croft_error error;
	const char *name = "";
	enum outcome outcome;
	uint64_t value;
	uint32_t index;

	if (args_left(args) < 1 || args_left(args) > 2)
		return verb_misused(shell, &verb_msr, "an index or a name");
	outcome = take_index(shell, args_next(args), &index);
	if (outcome)
		return outcome;
	if (args_left(args)) {
		outcome = expr_take(shell, args_next(args), &value);
		if (outcome)
			return outcome;
		if (croft_cpu_msr_write(cpu, index, value, &error))
			return shell_fail(shell, &error);
	}
	if (croft_cpu_msr_read(cpu, index, &value, &error))
		return shell_fail(shell, &error);
	for (unsigned i = 0; i < MSR_COUNT; i++) {
		if (msrs[i].index == index)
			name = msrs[i].name;
	}
	out_text(&shell->out, "%08x", index);
	out_ink(&shell->out, INK_NAME, "%s%s", name[0] ? " " : "", name);
	out_text(&shell->out, "  %016" PRIx64, value);
	out_put(&shell->out, "index", out_hex(&shell->out, index));
	out_put(&shell->out, "name", json_string(name));
	out_put(&shell->out, "value", out_hex(&shell->out, value));
	shell_symbol(shell, value, shell->out.json);
	out_text(&shell->out, "\n");
	return OUTCOME_DONE;
}

const struct verb verb_msr = {
	.name = "msr",
	.aliases = "rdmsr",
	.usage = "INDEX|NAME [VALUE]",
	.summary = "Reads or writes a model-specific register, as the guest would",
	.help = "Names, for some: tsc apic_base debugctl pat misc_enable efer star lstar cstar fmask fs_base gs_base\n"
		"kernel_gs_base tsc_aux sysenter_cs sysenter_esp sysenter_eip mtrr_def_type syscfg top_mem\n"
		"Status 1: the guest would get #GP.",
	.example = "msr efer\nmsr 0xc0000082\nmsr lstar 0xffffffff81000000",
	.flags = VERB_STOPPED,
	.choices = "tsc apic_base debugctl pat misc_enable efer star lstar cstar fmask fs_base gs_base kernel_gs_base "
		   "tsc_aux "
		   "sysenter_cs sysenter_esp sysenter_eip mtrr_def_type syscfg top_mem",
	.run = do_msr,
};
