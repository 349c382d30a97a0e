/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run control: when the guest stops and how it goes on. Must not know who asks.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/vcpu.h>

#include "core/debug/debug.h"

void debug_init(struct vcpu *vcpu, struct debug *debug)
{
	memset(debug, 0, sizeof(*debug));
	vcpu->debug = debug;
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

void debug_resume(struct vcpu *vcpu)
{
	vcpu->debug->stopped = false;
}

int debug_step(struct vcpu *vcpu, uint64_t start, uint64_t end)
{
	(void)vcpu;
	(void)start;
	(void)end;
	return -ENOTSUP;
}

void debug_release(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	if (!debug)
		return;
	debug->request.kind = STOP_NONE;
	debug->stopped = false;
}

int debug_break_add(struct vcpu *vcpu, const struct break_request *request)
{
	(void)vcpu;
	(void)request;
	return -ENOTSUP;
}

int debug_break_remove(struct vcpu *vcpu, const struct break_request *request)
{
	(void)vcpu;
	(void)request;
	return -ENOENT;
}

void debug_work(struct vcpu *vcpu)
{
	struct debug *debug = vcpu->debug;

	vcpu->work &= ~WORK_STOP;
	if (debug->request.kind == STOP_NONE)
		return;
	debug->stop = debug->request;
	debug->request.kind = STOP_NONE;
	debug->stopped = true;
	vcpu->vm->control->stopped(vcpu);
}
