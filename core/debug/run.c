/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run control: when the guest stops and how it goes on. Must not know who asks.
 */
#include <string.h>

#include <undercroft/vcpu.h>

#include "core/debug/debug.h"
#include "core/exit.h"

void debug_init(struct vcpu *vcpu, struct debug *debug)
{
	memset(debug, 0, sizeof(*debug));
	vcpu->debug = debug;
	debug_code_init(vcpu);
}

bool debug_is_stopped(const struct vcpu *vcpu)
{
	return vcpu->debug && vcpu->debug->stopped;
}

const struct stop *debug_stop(const struct vcpu *vcpu)
{
	return &vcpu->debug->stop;
}

void debug_stop_request(struct vcpu *vcpu, const struct stop *stop)
{
	struct debug *debug = vcpu->debug;

	if (!debug || debug->stopped || debug->request.kind != STOP_NONE)
		return;
	debug->request = *stop;
	vcpu->work |= WORK_STOP;
}

bool debug_refused(struct vcpu *vcpu, const char *why)
{
	struct control *control = vcpu->vm->control;

	if (!vcpu->debug || !control->is_attended(vcpu))
		return false;
	instruction_end(vcpu, false);
	/* whatever else asked for a stop has not come about */
	vcpu->debug->request.kind = STOP_NONE;
	debug_stop_request(vcpu, &(struct stop){.kind = STOP_REFUSED, .text = why});
	return true;
}

void debug_resume(struct vcpu *vcpu)
{
	vcpu->debug->stopped = false;
	vcpu->debug->go = debug_break_here(vcpu) ? GO_OVER : GO_FREE;
	/* an event is delivered first, with the flags in its frame */
	if (!event_is_due(vcpu))
		debug_registers_pass(vcpu);
}

void debug_step(struct vcpu *vcpu, uint64_t start, uint64_t end)
{
	struct debug *debug = vcpu->debug;

	debug->stopped = false;
	debug->go = GO_STEP;
	debug->range_start = start;
	debug->range_end = end;
}

void debug_release(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	if (!debug)
		return;
	debug_breaks_release(vcpu);
	debug->request.kind = STOP_NONE;
	debug->stopped = false;
	/* a step that is under way ends by itself */
	debug->go = GO_FREE;
}

/* One instruction is done: is there another one, or is that all? */
static void instruction_done(struct vcpu *vcpu)
{
	const struct stop stop = {.kind = STOP_STEP};
	struct debug *debug = vcpu->debug;

	if (debug->go == GO_OVER)
		debug->go = GO_FREE;
	if (debug->go != GO_STEP)
		return;
	/* the next one of a range is stepped, too, with nothing planted */
	if (vcpu->rip < debug->range_start || vcpu->rip >= debug->range_end)
		debug_stop_request(vcpu, &stop);
	else
		debug_break_arrived(vcpu);
}

static void serve(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	debug->stop = debug->request;
	debug->request.kind = STOP_NONE;
	debug->go = GO_FREE;
	debug->stopped = true;
	/* so that all is as the guest has it, and copied anew: devices write to memory, too */
	debug_plants_refresh(vcpu);
	vcpu->vm->control->stopped(vcpu);
}

void debug_work(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;
	int done;

	do {
		done = debug_step_settle(vcpu);
		if (done >= 0)
			debug_paging_done(vcpu);
		if (done > 0)
			instruction_done(vcpu);
		if (done >= 0 && debug->request.kind != STOP_NONE)
			serve(vcpu);
		if (done >= 0 && debug->go == GO_FREE) {
			vcpu->work &= ~WORK_STOP;
			return;
		}
		if (done < 0)
			break;
		done = debug_step_prepare(vcpu);
		if (done) {
			/* a range ends there: code may be nothing but these */
			debug->range_end = debug->range_start;
			instruction_done(vcpu);
		}
	} while (done && !(vcpu->work & WORK_LEAVE));
	/* again behind the next exit */
	vcpu->work |= WORK_STOP;
}
