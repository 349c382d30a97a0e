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

/* MOV DRn, r: 0F 23 /r; the other way it is 21 */
#define OPCODE_MOV_TO_DR 0x23

/* REX with B, whatever else */
#define REX_MASK 0xf1u
#define REX_B	 0x41u

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
	case ZYDIS_MNEMONIC_RDMSR:
		return INSN_READS_MSR;
	case ZYDIS_MNEMONIC_WRMSR:
		return INSN_WRITES_MSR;
	default:
		return 0;
	}
}

static uint32_t operand_flags(ZydisMnemonic mnemonic, const ZydisDecodedOperand *operand)
{
	uint32_t flags = 0;

	/* LSS, SYSCALL and far transfers block nothing */
	if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->reg.value == ZYDIS_REGISTER_SS &&
	    (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
	    (mnemonic == ZYDIS_MNEMONIC_MOV || mnemonic == ZYDIS_MNEMONIC_POP))
		return INSN_LOADS_SS;
	if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->reg.value >= ZYDIS_REGISTER_DR0 &&
	    operand->reg.value <= ZYDIS_REGISTER_DR7)
		return INSN_MOVES_DR;
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
		uint32_t flags = operand_flags(instruction.mnemonic, &operands[i]);
		unsigned size = operands[i].size / 8u;

		out->flags |= flags;
		if ((flags & (INSN_READS_MEMORY | INSN_WRITES_MEMORY)) && size > out->memory_size)
			out->memory_size = (uint16_t)size;
	}
	return 0;
}

struct insn_dr insn_dr_move(struct vcpu *vcpu, const struct insn *insn)
{
	const uint8_t *modrm = insn->bytes + insn->length - 1;
	bool high = insn->length > 3 && code_is_64bit(vcpu) && (modrm[-3] & REX_MASK) == REX_B;

	return (struct insn_dr){
		.to_dr = modrm[-1] == OPCODE_MOV_TO_DR,
		.number = *modrm >> 3 & 7,
		.gpr = (uint8_t)((*modrm & 7) | (high ? 8 : 0)),
	};
}

/* What an address is made of; other registers are part of none. */
static uint64_t register_value(const struct vcpu *vcpu, ZydisRegister reg, uint64_t next)
{
	if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15)
		return vcpu->gpr[reg - ZYDIS_REGISTER_RAX];
	if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D)
		return (uint32_t)vcpu->gpr[reg - ZYDIS_REGISTER_EAX];
	if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W)
		return (uint16_t)vcpu->gpr[reg - ZYDIS_REGISTER_AX];
	return reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP ? next : 0;
}

static enum seg segment_of(ZydisRegister reg)
{
	switch ((unsigned)reg) {
	case ZYDIS_REGISTER_ES:
		return SEG_ES;
	case ZYDIS_REGISTER_CS:
		return SEG_CS;
	case ZYDIS_REGISTER_SS:
		return SEG_SS;
	case ZYDIS_REGISTER_FS:
		return SEG_FS;
	case ZYDIS_REGISTER_GS:
		return SEG_GS;
	default:
		return SEG_DS;
	}
}

static uint64_t width_mask(unsigned bits)
{
	return bits >= 64 ? ~0ull : (1ull << bits) - 1;
}

/* BT and its like with a register reach as far as it says. APM vol. 3, "BT" (3) */
static uint64_t bit_offset(const struct vcpu *vcpu, const ZydisDecodedInstruction *instruction,
			   const ZydisDecodedOperand *operands)
{
	unsigned bits = operands[0].size;
	int64_t bit;

	switch ((unsigned)instruction->mnemonic) {
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		break;
	default:
		return 0;
	}
	if (operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER)
		return 0;
	bit = (int64_t)(register_value(vcpu, operands[1].reg.value, 0) << (64 - bits)) >> (64 - bits);
	return (uint64_t)((bit & ~(int64_t)(bits - 1)) / 8);
}

/* PUSH, CALL and the like name the stack as it was before. */
static bool is_push(const ZydisDecodedOperand *operand)
{
	ZydisRegister base = operand->mem.base;

	return operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
	       (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
	       (base == ZYDIS_REGISTER_RSP || base == ZYDIS_REGISTER_ESP || base == ZYDIS_REGISTER_SP);
}

static unsigned address_bits(const ZydisDecodedInstruction *instruction, const ZydisDecodedOperand *operand)
{
	if (operand->mem.segment != ZYDIS_REGISTER_SS || operand->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN)
		return instruction->address_width;
	return operand->mem.base >= ZYDIS_REGISTER_RAX ? 64 : operand->mem.base >= ZYDIS_REGISTER_EAX ? 32 : 16;
}

static bool is_touched(const ZydisDecodedInstruction *instruction, const ZydisDecodedOperand *operand)
{
	switch ((unsigned)instruction->meta.category) {
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_PREFETCH:
		return false;
	default:
		break;
	}
	return operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->mem.type == ZYDIS_MEMOP_TYPE_MEM &&
	       instruction->mnemonic != ZYDIS_MNEMONIC_INVLPG;
}

static bool operand_access(struct vcpu *vcpu, const ZydisDecodedInstruction *instruction,
			   const ZydisDecodedOperand *operands, const ZydisDecodedOperand *operand,
			   struct insn_access *out)
{
	uint64_t mask = width_mask(address_bits(instruction, operand)), address = 0;
	struct mem_fault fault;

	out->size = operand->size / 8u;
	/* SS and SP are named, too, which only a return to another privilege pops */
	if (instruction->mnemonic == ZYDIS_MNEMONIC_IRET || instruction->mnemonic == ZYDIS_MNEMONIC_IRETD)
		out->size = vcpu->backend->reg_get(vcpu, REG_EFER) & EFER_LMA ? out->size : out->size / 5 * 3;
	out->access = operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE ? ACCESS_WRITE : ACCESS_READ;
	if (operand->mem.disp.has_displacement)
		address = (uint64_t)operand->mem.disp.value;
	address += register_value(vcpu, operand->mem.base, vcpu->rip + instruction->length) +
		   register_value(vcpu, operand->mem.index, 0) * operand->mem.scale;
	if (operand == &operands[0])
		address += bit_offset(vcpu, instruction, operands);
	if (instruction->mnemonic == ZYDIS_MNEMONIC_XLAT)
		address += (uint8_t)vcpu->gpr[GPR_RAX];
	if (is_push(operand))
		address -= out->size;
	return out->size && mem_linear(vcpu, segment_of(operand->mem.segment), address & mask, out->size, out->access,
				       &out->linear, &fault) == 0;
}

int insn_accesses(struct vcpu *vcpu, struct insn_access out[INSN_ACCESS_MAX])
{
	const ZydisInstructionAttributes rep = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
	ZydisDecodedInstruction instruction;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	uint8_t bytes[INSN_LENGTH_MAX];
	struct mem_fault fault;
	unsigned length;
	int count = 0;
	ZydisDecoder decoder;

	if (insn_fetch(vcpu, bytes, &length, &fault))
		return -EFAULT;
	decoder_init(vcpu, &decoder);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &instruction, operands)))
		return -EINVAL;
	if (is_string(&instruction) && instruction.attributes & rep &&
	    !(vcpu->gpr[GPR_RCX] & width_mask(instruction.address_width)))
		return 0;
	for (unsigned i = 0; i < instruction.operand_count && count < INSN_ACCESS_MAX; i++)
		count += is_touched(&instruction, &operands[i]) &&
			 operand_access(vcpu, &instruction, operands, &operands[i], &out[count]);
	return count;
}
