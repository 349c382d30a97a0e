/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * May a debugger give the guest this state? What a CPU could not be in would be refused at the next entry, and the
 * machine would be lost. Stricter than the CPU where that keeps it simple. Must not know packets or numbers.
 */
#ifndef CORE_CONTROL_REGS_CHECK_H
#define CORE_CONTROL_REGS_CHECK_H

#include <undercroft/mode.h>
#include <undercroft/regs.h>

struct vcpu;

struct mode_state regs_mode(struct vcpu *vcpu);

/* Sets a register, with what the CPU changes along with it. Returns 0, -EINVAL, or -EACCES: read-only. */
int regs_change(struct vcpu *vcpu, enum reg reg, uint64_t value);

/*
 * Checks what a segment is to become, and fits what follows from the rest: the base of a selector set in real mode, the
 * granularity of a limit. Returns 0 or -EINVAL.
 */
int regs_check_segment(struct vcpu *vcpu, enum seg seg, bool selector_set, struct segment *s);

#endif
