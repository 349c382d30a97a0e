/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the task switch share.
 */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include <undercroft/mem.h>
#include <undercroft/vcpu.h>

enum { VECTOR_TS = 10, VECTOR_NP = 11, VECTOR_SS = 12, VECTOR_GP = 13 };

#define SELECTOR_TI 4u

/* SDM vol. 3, "Code- and Data-Segment Descriptor Types" (3.4.5.1), "System Descriptor Types" (3.5) */
#define TYPE_ACCESSED	0x1u
#define TYPE_WRITABLE	0x2u
#define TYPE_CONFORMING 0x4u
#define TYPE_TSS	0x1u
#define TYPE_BUSY	0x2u
#define TYPE_32		0x8u
#define DESCRIPTOR_TYPE 5 /* the byte with type, S, DPL and P */

/* The segment registers that a task has, in our order: ES, CS, SS, DS, FS, GS */
#define TASK_SEGS 6

/* One switch under way. Whoever returns -EFAULT has filled in fault. */
struct task {
	struct vcpu *vcpu;
	uint16_t selector; /* of the new TSS */
	uint8_t source;	   /* enum task_source */
	bool external;
	struct segment from, to; /* TR */
	struct mem_fault fault;	 /* why it went no further */
};

/* task_segments.c */

/* Makes this the fault, with a selector as its error code. Returns -EFAULT. */
int task_refuse(struct task *task, uint8_t vector, uint16_t selector);

/* The CPU's own accesses, whatever the CPL. */
int task_read(struct task *task, gva_t at, void *buffer, size_t length);
int task_write(struct task *task, gva_t at, const void *buffer, size_t length);

/* Where a selector's descriptor is, whether its table reaches there or not. */
gva_t task_descriptor_address(struct task *task, uint16_t selector);

/* A selector's segment as its descriptor says. vector: what one outside of its table raises. */
int task_descriptor_read(struct task *task, uint16_t selector, uint8_t vector, struct segment *out);

/* Sets and clears bits of a descriptor's type. */
int task_descriptor_mark(struct task *task, uint16_t selector, uint8_t set, uint8_t clear);

/*
 * Loads LDTR and, but for a virtual-8086 task, the segment registers and the CPL. SDM vol. 3, table 7-1, from
 * "Registers are loaded" on; the order is a model's own.
 */
int task_segments_load(struct task *task, uint16_t ldt, const uint16_t seg[TASK_SEGS], bool v8086);

#endif
