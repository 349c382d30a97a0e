/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's memory as its vCPU sees it. Nothing here faults on our side: hidden memory and holes read as all ones and
 * ignore writes; a translation the guest's tables refuse comes back as the #PF or #GP it would raise.
 */
#ifndef UNDERCROFT_MEM_H
#define UNDERCROFT_MEM_H

#include <undercroft/types.h>
#include <undercroft/regs.h>

struct vcpu;
struct vm;

struct mem_fault {
	uint8_t vector; /* 12, 13 or 14 */
	uint32_t error;
	gva_t address; /* #PF only */
};

/* May our code touch these bytes on the guest's behalf: real RAM, not hidden. The pointer, or NULL. */
void *mem_gpa_pointer(struct vm *vm, gpa_t gpa, size_t length);

/*
 * Guest-linear to guest-physical by the guest's own tables and CPL, access = one ACCESS_x bit. A and D bits are set as
 * the CPU does. Returns 0 with *gpa, or -EFAULT with *fault.
 * Source: APM vol. 2, "Page Translation and Protection" (5).
 */
int mem_translate(struct vcpu *vcpu, gva_t address, unsigned access, gpa_t *gpa, struct mem_fault *fault);

/* Copies from or to guest-linear memory, page by page. Returns 0 or -EFAULT with *fault. length <= 4096. */
int mem_read(struct vcpu *vcpu, gva_t address, void *buffer, size_t length, unsigned access, struct mem_fault *fault);
int mem_write(struct vcpu *vcpu, gva_t address, const void *buffer, size_t length, struct mem_fault *fault);

/*
 * Segment and offset to linear, with the checks of the current mode (limit, type, canonical). Returns 0, or -EFAULT
 * with *fault (#GP or #SS).
 */
int mem_linear(struct vcpu *vcpu, enum seg seg, uint64_t offset, size_t length, unsigned access, gva_t *linear,
	       struct mem_fault *fault);

#endif
