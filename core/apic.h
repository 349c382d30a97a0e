/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeping the guest from starting other CPUs through its local APIC, while those CPUs are hidden.
 */
#ifndef CORE_APIC_H
#define CORE_APIC_H

#include <undercroft/vcpu.h>

/*
 * Arms everything that is needed: APIC page, APIC_BASE and, where the CPU has it, x2APIC ICR. Called only if other CPUs
 * exist. Returns 0 or a negative errno.
 */
int apic_hide_cpus(struct vcpu *vcpu);

/* The guest writes APIC_BASE: carried out, unless it is a place of ours; a watched page follows. False: #GP. */
bool apic_base_write(struct vcpu *vcpu, uint64_t value);

/* Would this value of the interrupt command register start or reset a CPU? Then it is logged. */
bool apic_icr_starts_cpu(struct vcpu *vcpu, uint32_t icr);

#endif
