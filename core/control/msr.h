/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSRs as a debugger asks for them: the guest's values, wherever they are kept while it stands.
 */
#ifndef CORE_CONTROL_MSR_H
#define CORE_CONTROL_MSR_H

#include <undercroft/types.h>

struct vcpu;

/* False: the CPU would raise #GP, or its value is one that no guest can be given. */
bool control_msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value);
bool control_msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value);

#endif
