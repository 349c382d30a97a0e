/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMMCALL and VMCALL: ours at the places that setup declared, an invalid opcode everywhere else.
 */
#include <string.h>

#include <undercroft/log.h>
#include <undercroft/mem.h>
#include <undercroft/vcpu.h>

#include "core/exit.h"
#include "core/plugin.h"

#define START_LINE_MAX 80

/* The start stub has something to say: DS:SI points at a line of text. Real mode. */
static enum verdict start_line(struct vcpu *vcpu)
{
	char line[START_LINE_MAX + 1];
	struct mem_fault fault;
	struct segment ds;
	size_t length;

	vcpu->backend->seg_get(vcpu, SEG_DS, &ds);
	if (mem_read(vcpu, ds.base + (vcpu->gpr[GPR_RSI] & 0xffff), line, START_LINE_MAX, ACCESS_READ, &fault))
		return VERDICT_SKIP_INSN;
	line[START_LINE_MAX] = 0;
	length = strnlen(line, START_LINE_MAX);
	log_printf(vcpu->vm->log, "start: %.*s\n", (int)length, line);
	return VERDICT_SKIP_INSN;
}

enum verdict exit_hypercall(struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;
	enum verdict verdict = VERDICT_PASS;
	struct segment cs;

	vcpu->backend->seg_get(vcpu, SEG_CS, &cs);
	for (unsigned i = 0; i < vm->guest_call_count && verdict == VERDICT_PASS; i++) {
		if (vm->guest_call[i].address != cs.base + vcpu->rip)
			continue;
		verdict = strcmp(vm->guest_call[i].name, "start") ? plugin_guest_call(vcpu, vm->guest_call[i].name)
								  : start_line(vcpu);
	}
	if (verdict != VERDICT_PASS)
		return verdict;
	event_queue_ud(vcpu);
	return VERDICT_RESUME;
}
