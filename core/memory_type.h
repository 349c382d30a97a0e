/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's memory types: kept for nested views that have to say them, and its writes to the registers they come
 * from.
 */
#ifndef CORE_MEMORY_TYPE_H
#define CORE_MEMORY_TYPE_H

#include <undercroft/vcpu.h>

/*
 * Finds vm->types, and logs what is wrong with them. To be called before the base view is built, with the hidden ranges
 * listed.
 */
void memory_types_init(struct vm *vm);

/* Arms the guest's writes to every such register that the CPU has. Errors as intercept_arm. */
int memory_types_watch(struct vcpu *vcpu);

/* Is this MSR one of them? */
bool memory_type_has_register(uint32_t index);

/*
 * The guest writes one: carried out, with our caches off while it changes; nested views that carry types follow.
 * False: #GP.
 */
bool memory_type_write(struct vcpu *vcpu, uint32_t index, uint64_t value);

#endif
