/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU in the log, for the day something went wrong. What matters most comes last: a screen shows the last 25 lines.
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

#define LINE_MAX 79 /* a screen has 80 columns, and goes to the next line after the last */

/* Words in lines that a screen holds. */
static void put_word(struct log *log, unsigned *column, const char *word, size_t length)
{
	if (*column && *column + 1 + length > LINE_MAX) {
		log_printf(log, "\n");
		*column = 0;
	}
	log_printf(log, "%s%s", *column ? " " : "", word);
	*column += (unsigned)length + (*column ? 1 : 0);
}

static void put_value(struct log *log, unsigned *column, const char *name, uint64_t value)
{
	char word[48];

	put_word(log, column, word, format_string(word, sizeof(word), "%s=%llx", name, (unsigned long long)value));
}

static void put_segments(struct vcpu *vcpu)
{
	struct segment segment;
	unsigned column = 0;
	char word[80];

	for (enum seg i = 0; i < SEG_COUNT; i++) {
		vcpu->backend->seg_get(vcpu, i, &segment);
		put_word(vcpu->vm->log, &column, word,
			 format_string(word, sizeof(word), "%s=%04x:base=%llx,limit=%x,attr=%x", seg_names[i],
				       segment.selector, (unsigned long long)segment.base, segment.limit,
				       segment.attributes));
	}
	log_printf(vcpu->vm->log, "\n");
}

static void put_code(struct vcpu *vcpu)
{
	struct log *log = vcpu->vm->log;
	uint8_t bytes[INSN_LENGTH_MAX];
	struct mem_fault fault;
	unsigned length;

	log_printf(log, "code:");
	if (insn_fetch(vcpu, bytes, &length, &fault)) {
		log_printf(log, " cannot be read");
	} else {
		for (unsigned i = 0; i < length; i++)
			log_printf(log, " %02x", bytes[i]);
	}
	log_printf(log, "\n");
}

void vcpu_dump(struct vcpu *vcpu)
{
	struct log *log = vcpu->vm->log;
	struct segment cs;
	struct mode_state mode;
	unsigned column = 0;

	vcpu->backend->dump(vcpu);
	put_segments(vcpu);
	for (enum reg i = 0; i < REG_COUNT; i++)
		put_value(log, &column, reg_names[i], vcpu->backend->reg_get(vcpu, i));
	log_printf(log, "\n");
	column = 0;
	for (enum gpr i = 0; i < GPR_COUNT; i++)
		put_value(log, &column, gpr_names[i], vcpu->gpr[i]);
	log_printf(log, "\n");
	put_code(vcpu);

	vcpu->backend->seg_get(vcpu, SEG_CS, &cs);
	mode = (struct mode_state){
		.cr0 = vcpu->backend->reg_get(vcpu, REG_CR0),
		.cr4 = vcpu->backend->reg_get(vcpu, REG_CR4),
		.efer = vcpu->backend->reg_get(vcpu, REG_EFER),
		.rflags = vcpu->rflags,
		.cs_attributes = cs.attributes,
	};
	log_printf(log, "exit %s, mode %s, at %04x:%llx\n", vcpu->statistics.counter[vcpu->exit.kind].name,
		   mode_name(mode_classify(&mode)), cs.selector, (unsigned long long)vcpu->rip);
}
