/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Zydis, in the CPU's mode.
 */
#include "client/croft/disasm.h"

#include <Zydis/Zydis.h>
#include <string.h>

static bool init(ZydisDecoder *decoder, enum croft_mode mode)
{
	ZydisMachineMode machine = ZYDIS_MACHINE_MODE_LONG_64;
	ZydisStackWidth width = ZYDIS_STACK_WIDTH_64;

	switch (mode) {
	case CROFT_MODE_REAL:
		machine = ZYDIS_MACHINE_MODE_REAL_16;
		width = ZYDIS_STACK_WIDTH_16;
		break;
	case CROFT_MODE_V8086:
	case CROFT_MODE_PROTECTED16:
		machine = ZYDIS_MACHINE_MODE_LEGACY_16;
		width = ZYDIS_STACK_WIDTH_16;
		break;
	case CROFT_MODE_PROTECTED32:
		machine = ZYDIS_MACHINE_MODE_LEGACY_32;
		width = ZYDIS_STACK_WIDTH_32;
		break;
	case CROFT_MODE_COMPATIBILITY16:
		machine = ZYDIS_MACHINE_MODE_LONG_COMPAT_16;
		width = ZYDIS_STACK_WIDTH_16;
		break;
	case CROFT_MODE_COMPATIBILITY32:
		machine = ZYDIS_MACHINE_MODE_LONG_COMPAT_32;
		width = ZYDIS_STACK_WIDTH_32;
		break;
	case CROFT_MODE_LONG64:
	case CROFT_MODE_INVALID:
		break;
	}
	return ZYAN_SUCCESS(ZydisDecoderInit(decoder, machine, width));
}

/* What an operand names that is an address by itself: a branch's target, or memory relative to RIP or to nothing. */
static void find_target(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands, uint64_t rip,
			struct disasm *line)
{
	for (unsigned i = 0; i < insn->operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &operands[i];
		bool relative = o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o->imm.is_relative;
		bool memory = o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.index == ZYDIS_REGISTER_NONE &&
			      (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_NONE) &&
			      o->mem.segment != ZYDIS_REGISTER_FS && o->mem.segment != ZYDIS_REGISTER_GS;
		ZyanU64 address;

		if ((relative || memory) && ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(insn, o, rip, &address))) {
			line->has_target = true;
			line->target = address;
			return;
		}
	}
}

/* "[rax+rbx*1]" is nobody's way to write "[rax+rbx]". */
static void drop_scale(char *text)
{
	char *at = text;

	while ((at = strstr(at, "*1")) != NULL) {
		if (at[2] == ']' || at[2] == '+' || at[2] == '-')
			memmove(at, at + 2, strlen(at + 2) + 1);
		else
			at += 2;
	}
}

bool disasm_decode(enum croft_mode mode, const uint8_t *bytes, size_t size, uint64_t rip, struct disasm *line)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisFormatter formatter;
	ZydisDecoder decoder;

	*line = (struct disasm){0};
	if (!init(&decoder, mode) || !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, size, &insn, operands)) ||
	    !ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)))
		return false;
	ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_FORCE_SIZE, ZYAN_TRUE);
	ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
	ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED);
	ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED);
	ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED);
	if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &insn, operands, insn.operand_count_visible,
							  line->text, sizeof(line->text), rip, NULL)))
		return false;
	drop_scale(line->text);
	line->length = insn.length;
	line->is_call = insn.meta.category == ZYDIS_CATEGORY_CALL;
	line->is_branch = line->is_call || insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
			  insn.meta.category == ZYDIS_CATEGORY_COND_BR;
	find_target(&insn, operands, rip, line);
	return true;
}

bool disasm_ends_with_call(enum croft_mode mode, const uint8_t *bytes, size_t size)
{
	struct disasm line;

	/* FF /2 has at least two bytes, E8 three in 16-bit code */
	for (size_t length = 2; length <= size && length <= DISASM_BYTES_MAX; length++) {
		if (disasm_decode(mode, bytes + size - length, length, 0, &line) && line.length == length &&
		    line.is_call)
			return true;
	}
	return false;
}
