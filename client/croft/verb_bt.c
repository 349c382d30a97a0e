/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bt. Code of today keeps no frame pointers, and tables that replace them are in files that are rarely at hand. So: the
 * chain of frame pointers as far as it goes, then what on the stack looks like return addresses, marked as such.
 */
#include "client/croft/verb.h"

#include <inttypes.h>
#include <string.h>

#include "client/croft/code.h"
#include "client/croft/disasm.h"

#define STACK_BYTES 4096u
#define FRAMES_MAX  64u
#define CALL_MAX    7u /* FF /2 with SIB and disp32; prefixes do not matter for its end */
#define GUESSES_MAX 24u

struct stack {
	struct shell *shell;
	struct code_place place;
	unsigned word; /* bytes of a near return address */
	uint64_t base; /* of the stack segment */
	uint64_t low;  /* linear */
	size_t size;
	uint8_t bytes[STACK_BYTES];
	json_t *list;
	unsigned number;
};

static unsigned word_of(enum croft_mode mode)
{
	switch (mode) {
	case CROFT_MODE_REAL:
	case CROFT_MODE_V8086:
	case CROFT_MODE_PROTECTED16:
	case CROFT_MODE_COMPATIBILITY16:
		return 2;
	case CROFT_MODE_PROTECTED32:
	case CROFT_MODE_COMPATIBILITY32:
		return 4;
	case CROFT_MODE_LONG64:
	case CROFT_MODE_INVALID:
		break;
	}
	return 8;
}

static uint64_t mask_of(const struct stack *s)
{
	return s->word == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * s->word)) - 1;
}

/* A word at a linear address within what was read. */
static bool word_at(const struct stack *s, uint64_t address, uint64_t *value)
{
	*value = 0;
	if (address < s->low || address - s->low + s->word > s->size)
		return false;
	memcpy(value, s->bytes + (address - s->low), s->word);
	return true;
}

static void show_frame(struct stack *s, uint64_t offset, bool guessed)
{
	struct out *out = &s->shell->out;
	uint64_t address = s->place.base + offset;
	json_t *item = out_item(s->list);

	out_ink(out, INK_DIM, "#%-3u%c ", s->number++, guessed ? '?' : ' ');
	out_address(out, address, 2 * (int)s->word);
	if (item) {
		json_object_set_new(item, "address", out_hex(out, address));
		json_object_set_new(item, "guessed", json_boolean(guessed));
	}
	shell_symbol(s->shell, address, item);
	out_text(out, "\n");
}

/* Would a near CALL have put this value there? What cannot be read is no code. False also after errors, kept in error.
 */
static bool follows_call(struct stack *s, uint64_t offset, enum croft_status *status, struct croft_error *error)
{
	uint64_t address = s->place.base + offset;
	struct symbols *symbols = s->shell->symbols;
	uint8_t bytes[CALL_MAX];

	if (offset < CALL_MAX || (symbols_count(symbols) && s->word == 8 && !symbols_is_code(symbols, address)))
		return false;
	*status =
		croft_memory_read(s->shell->vm, croft_current(), address - CALL_MAX, bytes, sizeof(bytes), NULL, error);
	if (*status == CROFT_ERROR_UNMAPPED || *status == CROFT_ERROR_DENIED)
		*status = CROFT_OK;
	else if (!*status)
		return disasm_ends_with_call(s->place.mode, bytes, sizeof(bytes));
	return false;
}

/* The chain of frame pointers. Returns where the stack behind the last frame begins. */
static uint64_t follow_frames(struct stack *s, uint64_t sp, uint64_t bp, enum croft_status *status,
			      struct croft_error *error)
{
	uint64_t behind = sp;

	for (unsigned i = 0; !*status && i < FRAMES_MAX; i++) {
		uint64_t frame = s->base + (bp & mask_of(s)), next, back;

		/* frames only lead upwards */
		if (frame < behind || frame % s->word || !word_at(s, frame, &next) ||
		    !word_at(s, frame + s->word, &back) || !follows_call(s, back, status, error))
			break;
		show_frame(s, back, false);
		behind = frame + 2 * s->word;
		bp = next;
	}
	return behind;
}

static void guess_frames(struct stack *s, uint64_t from, enum croft_status *status, struct croft_error *error)
{
	uint64_t value, code = s->place.pc >> 31;
	unsigned found = 0;

	/* of 16-bit words too many could be an address, and of bytes a CALL */
	if (s->word == 2)
		return;
	for (uint64_t at = from; !*status && found < GUESSES_MAX && word_at(s, at, &value); at += s->word) {
		/* without symbols only what is near the code that runs is worth a question over the wire */
		if (s->word == 8 && !symbols_count(s->shell->symbols) && value >> 31 != code)
			continue;
		if (!follows_call(s, value, status, error))
			continue;
		show_frame(s, value, true);
		found++;
	}
}

static enum croft_status trace(struct stack *s, struct croft_error *error)
{
	struct croft_cpu *cpu = croft_vm_cpu(s->shell->vm);
	struct croft_segment ss = {0};
	uint64_t sp = 0, bp = 0;
	enum croft_status status = code_place(s->shell, &s->place, error);

	if (!status)
		status = croft_cpu_read(cpu, "rsp", &sp, error);
	if (!status)
		status = croft_cpu_read(cpu, "rbp", &bp, error);
	s->word = word_of(s->place.mode);
	if (!status && s->word < 8)
		status = croft_cpu_segment(cpu, "ss", &ss, error);
	if (status)
		return status;
	s->base = s->word < 8 ? ss.base : 0;
	s->low = s->base + (sp & mask_of(s));
	show_frame(s, s->place.pc - s->place.base, false);
	status = croft_memory_read(s->shell->vm, croft_current(), s->low, s->bytes, sizeof(s->bytes), &s->size, error);
	if (s->size)
		status = CROFT_OK;
	if (!status) {
		uint64_t behind = follow_frames(s, s->low, bp, &status, error);

		guess_frames(s, behind, &status, error);
	}
	return status;
}

static enum outcome do_bt(struct shell *shell, struct args *args)
{
	struct stack stack = {.shell = shell, .list = out_array(&shell->out, "frames")};
	struct croft_error error;

	if (args_left(args))
		return verb_misused(shell, &verb_bt, "too many arguments");
	return trace(&stack, &error) ? shell_fail(shell, &error) : OUTCOME_DONE;
}

const struct verb verb_bt = {
	.name = "bt",
	.aliases = "backtrace where k",
	.usage = "",
	.summary = "Shows who called whom",
	.help = "Follows frame pointers. Where there are none, what lies on the stack and follows a CALL is shown with "
		"\"?\":\n"
		"some of it may be left from earlier calls. With symbols loaded, only code that has some. Not in "
		"16-bit code.",
	.example = "bt",
	.flags = VERB_STOPPED,
	.choices = "",
	.run = do_bt,
};
