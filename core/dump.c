/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU in the log, for the day something went wrong.
 */
#include <undercroft/insn.h>
#include <undercroft/log.h>
#include <undercroft/vcpu.h>

static const char *const gpr_names[GPR_COUNT] = {
#define GPR(symbol, name) [GPR_##symbol] = name,
#include <undercroft/regs.def>
};

static const char *const reg_names[REG_COUNT] = {
#define REG(symbol, name, bytes) [REG_##symbol] = name,
#include <undercroft/regs.def>
};

static const char *const seg_names[SEG_COUNT] = {
#define SEG(symbol, name) [SEG_##symbol] = name,
#include <undercroft/regs.def>
};

/* Four to a line, so that an 80-column screen holds them. */
static void dump_value(struct log *log, unsigned i, const char *name, uint64_t value)
{
	log_printf(log, "%s%s=%llx", i % 4 ? " " : i ? "\n" : "", name, (unsigned long long)value);
}

void vcpu_dump(struct vcpu *vcpu)
{
	struct log *log = vcpu->vm->log;
	uint8_t bytes[INSN_LENGTH_MAX];
	struct mem_fault fault;
	struct segment segment;
	struct mode_state mode;
	unsigned length;

	vcpu->backend->seg_get(vcpu, SEG_CS, &segment);
	mode = (struct mode_state){
		.cr0 = vcpu->backend->reg_get(vcpu, REG_CR0),
		.cr4 = vcpu->backend->reg_get(vcpu, REG_CR4),
		.efer = vcpu->backend->reg_get(vcpu, REG_EFER),
		.rflags = vcpu->rflags,
		.cs_attributes = segment.attributes,
	};
	log_printf(log, "exit %s, mode %s, at %04x:%llx\n", vcpu->statistics.counter[vcpu->exit.kind].name,
		   mode_name(mode_classify(&mode)), segment.selector, (unsigned long long)vcpu->rip);
	log_printf(log, "code:");
	if (insn_fetch(vcpu, bytes, &length, &fault)) {
		log_printf(log, " cannot be read");
	} else {
		for (unsigned i = 0; i < length; i++)
			log_printf(log, " %02x", bytes[i]);
	}
	log_printf(log, "\n");
	for (enum gpr i = 0; i < GPR_COUNT; i++)
		dump_value(log, i, gpr_names[i], vcpu->gpr[i]);
	log_printf(log, "\n");
	for (enum reg i = 0; i < REG_COUNT; i++)
		dump_value(log, i, reg_names[i], vcpu->backend->reg_get(vcpu, i));
	log_printf(log, "\n");
	for (enum seg i = 0; i < SEG_COUNT; i++) {
		vcpu->backend->seg_get(vcpu, i, &segment);
		log_printf(log, "%-4s %04x base=%llx limit=%x attr=%x%s", seg_names[i], segment.selector,
			   (unsigned long long)segment.base, segment.limit, segment.attributes, i % 2 ? "\n" : "  ");
	}
	vcpu->backend->dump(vcpu);
}
