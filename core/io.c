/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IN, OUT, INS and OUTS on intercepted ports. Who owns a port is the regions' business.
 */
#include <undercroft/insn.h>
#include <undercroft/mem.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>
#include <x86/flags.h>

#include "core/breakpoint.h"
#include "core/exit.h"

/* How a string instruction addresses memory. */
struct string_operand {
	enum seg seg;
	unsigned address_size; /* bytes: 2, 4 or 8 */
};

/* APM vol. 3, "Instruction Prefixes" (1.2) */
static struct string_operand string_operand_decode(struct vcpu *vcpu, const struct insn *insn, bool in)
{
	struct string_operand operand = {.seg = in ? SEG_ES : SEG_DS};
	unsigned natural = vcpu->code_flags & SEG_ATTR_DB ? 4 : 2;

	if (code_is_64bit(vcpu))
		natural = 8;
	operand.address_size = natural;
	for (unsigned i = 0; i < insn->length; i++) {
		enum seg override;

		switch (insn->bytes[i]) {
		case 0x26:
			override = SEG_ES;
			break;
		case 0x2e:
			override = SEG_CS;
			break;
		case 0x36:
			override = SEG_SS;
			break;
		case 0x3e:
			override = SEG_DS;
			break;
		case 0x64:
			override = SEG_FS;
			break;
		case 0x65:
			override = SEG_GS;
			break;
		case 0x67:
			operand.address_size = natural == 4 ? 2 : 4;
			continue;
		default:
			continue;
		}
		/* INS always stores to ES; 64-bit code ignores all but FS and GS */
		if (!in && (natural != 8 || override == SEG_FS || override == SEG_GS))
			operand.seg = override;
	}
	return operand;
}

static uint64_t address_mask(unsigned address_size)
{
	return address_size == 8 ? ~0ull : (1ull << address_size * 8) - 1;
}

static void register_merge(uint64_t *reg, uint64_t value, unsigned address_size)
{
	uint64_t mask = address_mask(address_size);

	/* a 32-bit result clears the upper half, a 16-bit one keeps what is above it */
	*reg = address_size == 2 ? (*reg & ~mask) | (value & mask) : value & mask;
}

/* One element. */
static enum verdict io_string(struct vcpu *vcpu)
{
	uint16_t port = vcpu->detail.io.port;
	unsigned size = vcpu->detail.io.size;
	bool in = vcpu->detail.io.in;
	uint64_t *index = &vcpu->gpr[in ? GPR_RDI : GPR_RSI], *count = &vcpu->gpr[GPR_RCX];
	struct string_operand operand;
	struct mem_fault fault;
	struct insn insn;
	uint64_t mask, value = 0;
	gva_t linear;

	if (insn_decode(vcpu, &insn) || !(insn.flags & INSN_STRING))
		return exit_refetch(vcpu);
	vcpu->exit.length = insn.length;
	operand = string_operand_decode(vcpu, &insn, in);
	mask = address_mask(operand.address_size);
	if (insn.flags & INSN_REP && !(*count & mask))
		return VERDICT_SKIP_INSN;

	if (mem_linear(vcpu, operand.seg, *index & mask, size, in ? ACCESS_WRITE : ACCESS_READ, &linear, &fault))
		goto out_fault;
	if (in) {
		gpa_t gpa;

		/* the element must not be taken from the device if it cannot be stored */
		if (mem_translate(vcpu, linear, ACCESS_WRITE, &gpa, &fault) ||
		    mem_translate(vcpu, linear + size - 1, ACCESS_WRITE, &gpa, &fault))
			goto out_fault;
		value = region_port_read(vcpu, port, size);
		if (mem_write(vcpu, linear, &value, size, &fault))
			goto out_fault;
	} else {
		if (mem_read(vcpu, linear, &value, size, ACCESS_READ, &fault))
			goto out_fault;
		region_port_write(vcpu, port, size, value);
	}

	breakpoint_port(vcpu, port, size);
	breakpoint_data(vcpu, linear, size, in);
	register_merge(index, vcpu->rflags & X86_FLAGS_DF ? *index - size : *index + size, operand.address_size);
	if (insn.flags & INSN_REP) {
		register_merge(count, *count - 1, operand.address_size);
		if (*count & mask) {
			/* behind each element of a repeated string instruction there may be traps and interrupts */
			if (vcpu->rflags & X86_FLAGS_TF)
				vcpu->work |= WORK_TRAP;
			vcpu->backend->reg_set(vcpu, REG_INTERRUPT_SHADOW, 0);
			return VERDICT_RESUME;
		}
	}
	return VERDICT_SKIP_INSN;

out_fault:
	event_queue_exception(vcpu, fault.vector, true, fault.error, fault.address);
	return VERDICT_RESUME;
}

static void io_register(struct vcpu *vcpu)
{
	unsigned size = vcpu->detail.io.size;
	uint64_t *rax = &vcpu->gpr[GPR_RAX], value;

	if (!vcpu->detail.io.in) {
		region_port_write(vcpu, vcpu->detail.io.port, size, *rax & address_mask(size));
		return;
	}
	value = region_port_read(vcpu, vcpu->detail.io.port, size);
	if (size == 4)
		*rax = (uint32_t)value;
	else
		*rax = (*rax & ~address_mask(size)) | (value & address_mask(size));
}

enum verdict exit_io(struct vcpu *vcpu)
{
	vcpu->backend->decode_detail(vcpu);
	if (vcpu->detail.io.string)
		return io_string(vcpu);
	if (!vcpu->exit.length)
		return exit_refetch(vcpu);
	io_register(vcpu);
	breakpoint_port(vcpu, vcpu->detail.io.port, vcpu->detail.io.size);
	return VERDICT_SKIP_INSN;
}
