/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xlate, pagetables.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/croft/expr.h"
#include "client/croft/paging.h"

static void format_size(char *text, size_t size, uint64_t bytes)
{
	static const char units[] = "BKMGT";
	unsigned unit = 0;

	while (bytes && bytes % 1024 == 0 && units[unit + 1]) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, size, "%" PRIu64 "%c", bytes, units[unit]);
}

/* What the bits of an entry say: "P RW US A D PS G NX" */
static void show_bits(const struct out *out, uint64_t entry, json_t *step)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} bits[] = {{PAGE_PRESENT, "P"}, {PAGE_WRITE, "RW"},   {PAGE_USER, "US"}, {0x08, "PWT"},
		    {0x10, "PCD"},	 {PAGE_ACCESSED, "A"}, {PAGE_DIRTY, "D"}, {PAGE_SIZE_BIT, "PS"},
		    {PAGE_GLOBAL, "G"},	 {PAGE_NX, "NX"}};
	char text[40] = "";

	for (unsigned i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		if (!(entry & bits[i].bit))
			continue;
		if (text[0])
			strcat(text, " ");
		strcat(text, bits[i].name);
	}
	out_text(out, "%s\n", entry & PAGE_PRESENT ? text : "not present");
	if (step)
		json_object_set_new(step, "bits", json_string(text));
}

static void rights_text(char *text, bool write, bool execute, bool user)
{
	sprintf(text, "r%c%c%c", write ? 'w' : '-', execute ? 'x' : '-', user ? 'u' : '-');
}

static void show_walk(struct shell *shell, const struct paging_walk *walk)
{
	struct out *out = &shell->out;
	json_t *steps = out_array(out, "steps");
	char rights[8], size[24];

	for (unsigned i = 0; i < walk->count; i++) {
		const struct paging_step *s = &walk->step[i];
		json_t *step = out_item(steps);

		out_ink(out, INK_NAME, "  %-6s", s->name);
		out_address(out, s->entry_address, 0);
		out_text(out, ": 0x%016" PRIx64 "  ", s->entry);
		if (step) {
			json_object_set_new(step, "name", json_string(s->name));
			json_object_set_new(step, "address", out_hex(out, s->entry_address));
			json_object_set_new(step, "entry", out_hex(out, s->entry));
		}
		show_bits(out, s->entry, step);
	}
	out_put(out, "mapped", json_boolean(walk->mapped));
	if (!walk->mapped)
		return;
	rights_text(rights, walk->write, walk->execute, walk->user);
	format_size(size, sizeof(size), walk->page_size);
	out_put(out, "physical", out_hex(out, walk->physical));
	out_put(out, "page_size", json_integer((json_int_t)walk->page_size));
	out_put(out, "rights", json_string(rights));
	out_text(out, "  physical ");
	out_address(out, walk->physical, 0);
	out_text(out, "  page of %s  %s\n", size, rights);
}

static enum outcome do_xlate(struct shell *shell, struct args *args)
{
	struct croft_space space = croft_current();
	struct croft_error error;
	struct paging *paging;
	struct paging_walk walk;
	enum outcome outcome;
	const char *value;
	uint64_t address;
	char option;

	while ((option = args_option(args, "c:", &value))) {
		if (option == '?')
			return verb_misused(shell, &verb_xlate, "not an option: %s", value);
		outcome = verb_take_cr3(shell, value, &space);
		if (outcome)
			return outcome;
	}
	if (args_left(args) != 1)
		return verb_misused(shell, &verb_xlate, "one address");
	outcome = expr_take(shell, args_next(args), &address);
	if (outcome)
		return outcome;
	paging = malloc(sizeof(*paging));
	if (!paging)
		return shell_failed(shell, "no memory");
	if (paging_begin(paging, shell->vm, space, &error) || paging_walk(paging, address, &walk, &error)) {
		outcome = shell_fail(shell, &error);
	} else {
		out_address(&shell->out, address, 0);
		out_put(&shell->out, "address", out_hex(&shell->out, address));
		shell_symbol(shell, address, shell->out.json);
		out_text(&shell->out, paging->levels ? "\n" : "  paging is off\n");
		show_walk(shell, &walk);
		outcome = walk.mapped ? OUTCOME_DONE : OUTCOME_FAILED;
	}
	free(paging);
	return outcome;
}

const struct verb verb_xlate = {
	.name = "xlate",
	.aliases = "v2p pte",
	.usage = "[-c CR3] ADDRESS",
	.summary = "Follows a linear address through the page tables",
	.help = "Shows the entry of each level, where it leads, and the rights of all levels together.\n"
		"-c CR3  by other page tables, in the CPU's paging mode\n"
		"Status 1: it is not mapped.",
	.example = "xlate rsp\nxlate -c 0x1a2b000 0x400000",
	.flags = VERB_STOPPED,
	.words = WORD_EXPRESSION,
	.choices = "-c",
	.run = do_xlate,
};

struct listing {
	struct shell *shell;
	json_t *runs;
	int digits;
};

static bool show_run(void *data, const struct paging_run *run)
{
	struct listing *listing = data;
	struct out *out = &listing->shell->out;
	json_t *item = out_item(listing->runs);
	char rights[8], size[24], page[24];

	rights_text(rights, run->write, run->execute, run->user);
	format_size(size, sizeof(size), run->length);
	format_size(page, sizeof(page), run->page_size);
	out_address(out, run->start, listing->digits);
	out_text(out, "-");
	out_address(out, run->start + run->length, listing->digits);
	out_text(out, " %7s  %s%s  %s\n", size, rights, run->global ? "g" : "-", page);
	if (item) {
		json_object_set_new(item, "start", out_hex(out, run->start));
		json_object_set_new(item, "length", out_hex(out, run->length));
		json_object_set_new(item, "page_size", json_integer((json_int_t)run->page_size));
		json_object_set_new(item, "rights", json_string(rights));
		json_object_set_new(item, "global", json_boolean(run->global));
	}
	return true;
}

static enum outcome list_all(struct shell *shell, struct paging *paging, struct args *args)
{
	struct listing listing = {.shell = shell, .digits = paging->levels >= 4 ? 16 : 8};
	uint64_t first = 0, length = 0, last = paging_last(paging);
	enum outcome outcome = verb_take(shell, args, 0, &first);
	struct croft_error error;

	if (!outcome)
		outcome = verb_take(shell, args, 0, &length);
	if (!outcome && args_left(args))
		outcome = verb_misused(shell, &verb_pagetables, "too many arguments");
	if (outcome)
		return outcome;
	if (length && first + (length - 1) >= first)
		last = first + (length - 1);
	listing.runs = out_array(&shell->out, "runs");
	if (!paging->levels)
		out_text(&shell->out, "paging is off\n");
	return paging_list(paging, first, last, show_run, &listing, &error) ? shell_fail(shell, &error) : OUTCOME_DONE;
}

static enum outcome do_pagetables(struct shell *shell, struct args *args)
{
	struct croft_space space = croft_current();
	struct croft_error error;
	struct paging *paging;
	enum outcome outcome;
	const char *value;
	char option;

	while ((option = args_option(args, "c:", &value))) {
		if (option == '?')
			return verb_misused(shell, &verb_pagetables, "not an option: %s", value);
		outcome = verb_take_cr3(shell, value, &space);
		if (outcome)
			return outcome;
	}
	paging = malloc(sizeof(*paging));
	if (!paging)
		return shell_failed(shell, "no memory");
	outcome = paging_begin(paging, shell->vm, space, &error) ? shell_fail(shell, &error)
								 : list_all(shell, paging, args);
	free(paging);
	return outcome;
}

const struct verb verb_pagetables = {
	.name = "pagetables",
	.aliases = "vmmap",
	.usage = "[-c CR3] [ADDRESS [LENGTH]]",
	.summary = "Lists what the page tables map",
	.help = "A line is a run of pages with the same rights and page size: r, w, x, u (user), g (global).\n"
		"-c CR3  other page tables, in the CPU's paging mode\n"
		"Each table crosses the wire: give a range on a slow one.",
	.example = "pagetables\npagetables 0xffffffff80000000 1G",
	.flags = VERB_STOPPED,
	.words = WORD_EXPRESSION,
	.choices = "-c",
	.run = do_pagetables,
};
