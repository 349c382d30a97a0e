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
	uint8_t vector; /* from mem.c: 12, 13 or 14 */
	uint32_t error;
	gva_t address; /* #PF only */
};

/*
 * May our code touch these bytes on the guest's behalf: real RAM, not hidden. The pointer, or NULL. length is at least
 * 1 and at most 4096.
 */
void *mem_gpa_pointer(struct vm *vm, gpa_t gpa, size_t length);

/* The same for reading alone, which also reaches the firmware's ROM below 1 MiB and below 4 GiB. */
const void *mem_gpa_readable(struct vm *vm, gpa_t gpa, size_t length);

/*
 * With an access: the CPU's own, to descriptor tables and task-state segments. It is a supervisor's whatever the CPL,
 * and RFLAGS.AC does not help it. SDM vol. 3, "Access Rights" (4.6): implicit supervisor-mode accesses
 */
#define MEM_IMPLICIT 0x8u

/*
 * Guest-linear to guest-physical by the guest's own tables and CPL, access = one ACCESS_x bit, perhaps with
 * MEM_IMPLICIT. A and D bits are set as the CPU does. Outside long mode the address is taken modulo 4 GiB. Protection
 * keys and shadow stacks are not looked at. Returns 0 with *gpa, or -EFAULT with *fault. Source: APM vol. 2, "Page
 * Translation and Protection" (5).
 */
int mem_translate(struct vcpu *vcpu, gva_t address, unsigned access, gpa_t *gpa, struct mem_fault *fault);

/* Where a guest-linear address leads. */
struct mem_mapping {
	gpa_t gpa;
	uint64_t page_size; /* bytes */
	bool writable, user, executable;
};

/*
 * The same by the tables of any CR3, in the present paging mode and whatever the CPL: changes nothing in them. Returns
 * 0, or -EFAULT: nothing is mapped in all of what out->page_size says, aligned to that.
 */
int mem_lookup(struct vcpu *vcpu, uint64_t cr3, gva_t address, struct mem_mapping *out);

/*
 * Copies from or to guest-linear memory, page by page. length <= 4096; access is ACCESS_READ or ACCESS_EXEC, perhaps
 * with MEM_IMPLICIT. All pages are translated before anything is copied. Returns 0 or -EFAULT with *fault.
 */
int mem_read(struct vcpu *vcpu, gva_t address, void *buffer, size_t length, unsigned access, struct mem_fault *fault);
int mem_write(struct vcpu *vcpu, gva_t address, const void *buffer, size_t length, struct mem_fault *fault);
int mem_write_implicit(struct vcpu *vcpu, gva_t address, const void *buffer, size_t length, struct mem_fault *fault);

/*
 * Segment and offset to linear, with the checks of the current mode (limit, type, canonical). Outside 64-bit mode the
 * offset is taken modulo 4 GiB. access = one ACCESS_x bit. Returns 0, or -EFAULT with *fault (#GP or #SS).
 * Source: APM vol. 2, "Segment Protection" (4.12), "Canonicalization" (5.3.1).
 */
int mem_linear(struct vcpu *vcpu, enum seg seg, uint64_t offset, size_t length, unsigned access, gva_t *linear,
	       struct mem_fault *fault);

#endif
