/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's instructions, decoded by Zydis; the few that exit all the time are recognised without it.
 * Must not know what is done about them.
 */
#include <undercroft/insn.h>

#include <string.h>

#include <Zydis/Zydis.h>

#include <undercroft/errno.h>

#include "core/exit.h"

int insn_fetch(struct vcpu *vcpu, uint8_t bytes[INSN_LENGTH_MAX], unsigned *length, struct mem_fault *fault)
{
	struct mem_fault ignored;
	gva_t linear;
	unsigned count = INSN_LENGTH_MAX, head;

	if (mem_linear(vcpu, SEG_CS, vcpu->rip, 1, ACCESS_EXEC, &linear, fault))
		return -EFAULT;
	while (mem_linear(vcpu, SEG_CS, vcpu->rip, count, ACCESS_EXEC, &linear, &ignored))
		count--;

	head = (unsigned)(PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
	if (head > count)
		head = count;
	if (mem_read(vcpu, linear, bytes, head, ACCESS_EXEC, fault))
		return -EFAULT;
	if (head < count && mem_read(vcpu, linear + head, bytes + head, count - head, ACCESS_EXEC, &ignored))
		count = head;
	*length = count;
	return 0;
}

/* APM vol. 3, "Legacy Prefixes" (1.2.1); LOCK is left to the decoder, which knows what it is good for */
bool insn_is_prefix(uint8_t byte, bool long64)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return long64 && (byte & 0xf0) == 0x40;
	}
}

/* CPUID, RDMSR, WRMSR, VMCALL, VMMCALL, with whatever prefixes they ignore. The length, or 0. */
static unsigned match_common(const uint8_t *bytes, unsigned count, bool long64)
{
	unsigned at = 0;

	while (at < count && insn_is_prefix(bytes[at], long64))
		at++;
	if (count - at < 2 || bytes[at] != 0x0f)
		return 0;
	switch (bytes[at + 1]) {
	case 0x30:
	case 0x32:
	case 0xa2:
		return at + 2;
	case 0x01:
		return count - at >= 3 && (bytes[at + 2] == 0xc1 || bytes[at + 2] == 0xd9) ? at + 3 : 0;
	default:
		return 0;
	}
}

static void decoder_init(struct vcpu *vcpu, ZydisDecoder *decoder)
{
	ZydisMachineMode mode = ZYDIS_MACHINE_MODE_LEGACY_16;
	ZydisStackWidth width = ZYDIS_STACK_WIDTH_16;

	if (code_is_64bit(vcpu)) {
		mode = ZYDIS_MACHINE_MODE_LONG_64;
		width = ZYDIS_STACK_WIDTH_64;
	} else {
		struct segment ss;

		vcpu->backend->seg_get(vcpu, SEG_SS, &ss);
		if (ss.attributes & SEG_ATTR_DB)
			width = ZYDIS_STACK_WIDTH_32;
		if (vcpu->code_flags & SEG_ATTR_DB)
			mode = ZYDIS_MACHINE_MODE_LEGACY_32;
		else if (!(vcpu->backend->reg_get(vcpu, REG_CR0) & CR0_PE))
			mode = ZYDIS_MACHINE_MODE_REAL_16;
	}
	/* Cannot fail: the three modes and widths go together. */
	(void)ZydisDecoderInit(decoder, mode, width);
}

unsigned vcpu_insn_length(struct vcpu *vcpu)
{
	uint8_t bytes[INSN_LENGTH_MAX];
	ZydisDecodedInstruction instruction;
	ZydisDecoder decoder;
	struct mem_fault fault;
	unsigned count, length;

	if (insn_fetch(vcpu, bytes, &count, &fault))
		return 0;
	length = match_common(bytes, count, code_is_64bit(vcpu));
	if (length)
		return length;
	decoder_init(vcpu, &decoder);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, count, &instruction)))
		return 0;
	return instruction.length;
}

static uint32_t mnemonic_flags(ZydisMnemonic mnemonic)
{
	/* -Wswitch-enum would want all 1700 of them. */
	switch ((unsigned)mnemonic) {
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_RSM:
		return INSN_LOADS_FLAGS;
	case ZYDIS_MNEMONIC_SYSRET:
		return INSN_LOADS_FLAGS | INSN_SYSTEM_CALL;
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_PUSHFQ:
		return INSN_STORES_FLAGS;
	case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INTO:
		return INSN_STORES_FLAGS | INSN_INTERRUPT;
	case ZYDIS_MNEMONIC_SYSCALL:
		return INSN_STORES_FLAGS | INSN_SYSTEM_CALL;
	case ZYDIS_MNEMONIC_HLT:
		return INSN_HALT;
	default:
		return 0;
	}
}

static uint32_t operand_flags(const ZydisDecodedOperand *operand)
{
	uint32_t flags = 0;

	if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->reg.value == ZYDIS_REGISTER_SS &&
	    (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
		return INSN_LOADS_SS;
	if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY)
		return 0;
	if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
		flags |= INSN_READS_MEMORY;
	if (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
		flags |= INSN_WRITES_MEMORY;
	return flags;
}

static bool is_string(const ZydisDecodedInstruction *instruction)
{
	return instruction->meta.category == ZYDIS_CATEGORY_STRINGOP ||
	       instruction->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

int insn_decode(struct vcpu *vcpu, struct insn *out)
{
	const ZydisInstructionAttributes rep = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
	uint8_t bytes[INSN_LENGTH_MAX];
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecoder decoder;
	struct mem_fault fault;
	unsigned count;

	if (insn_fetch(vcpu, bytes, &count, &fault))
		return -EFAULT;
	decoder_init(vcpu, &decoder);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, count, &instruction, operands)))
		return -EINVAL;

	*out = (struct insn){.flags = mnemonic_flags(instruction.mnemonic), .length = instruction.length};
	memcpy(out->bytes, bytes, out->length);
	if (is_string(&instruction)) {
		out->flags |= INSN_STRING;
		if (instruction.attributes & rep)
			out->flags |= INSN_REP;
	}
	for (unsigned i = 0; i < instruction.operand_count; i++) {
		uint32_t flags = operand_flags(&operands[i]);
		unsigned size = operands[i].size / 8u;

		out->flags |= flags;
		if ((flags & (INSN_READS_MEMORY | INSN_WRITES_MEMORY)) && size > out->memory_size)
			out->memory_size = (uint16_t)size;
	}
	return 0;
}
