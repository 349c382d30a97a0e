/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors and segment registers of a task switch. SDM vol. 3, "Task Switching" (7.3). Must not know what a TSS
 * looks like.
 */
#include <undercroft/errno.h>

#include "core/task.h"

/* SDM vol. 3, "Error Code" (6.13): the exception came up while an event from outside of the program was delivered */
#define ERROR_EXT 1u

#define SELECTOR_RPL   3u
#define SELECTOR_INDEX 0xfff8u

#define DESCRIPTOR_BYTES 8
#define TYPE_LDT	 0x2u

int task_refuse(struct task *task, uint8_t vector, uint16_t selector)
{
	task->fault = (struct mem_fault){
		.vector = vector,
		.error = (selector & (SELECTOR_INDEX | SELECTOR_TI)) | (task->external ? ERROR_EXT : 0),
	};
	return -EFAULT;
}

int task_read(struct task *task, gva_t at, void *buffer, size_t length)
{
	return mem_read(task->vcpu, at, buffer, length, ACCESS_READ | MEM_IMPLICIT, &task->fault);
}

int task_write(struct task *task, gva_t at, const void *buffer, size_t length)
{
	return mem_write_implicit(task->vcpu, at, buffer, length, &task->fault);
}

static bool is_null(uint16_t selector)
{
	return !(selector & (SELECTOR_INDEX | SELECTOR_TI));
}

static unsigned dpl(const struct segment *s)
{
	return (s->attributes & SEG_ATTR_DPL) >> 5;
}

gva_t task_descriptor_address(struct task *task, uint16_t selector)
{
	struct segment ldt;

	if (!(selector & SELECTOR_TI))
		return task->vcpu->backend->reg_get(task->vcpu, REG_GDTR_BASE) + (selector & SELECTOR_INDEX);
	task->vcpu->backend->seg_get(task->vcpu, SEG_LDTR, &ldt);
	return ldt.base + (selector & SELECTOR_INDEX);
}

static bool descriptor_exists(struct task *task, uint16_t selector)
{
	uint64_t limit = task->vcpu->backend->reg_get(task->vcpu, REG_GDTR_LIMIT);
	struct segment ldt;

	if (selector & SELECTOR_TI) {
		/* of the new task, whose limit is 0 until it is loaded */
		task->vcpu->backend->seg_get(task->vcpu, SEG_LDTR, &ldt);
		limit = ldt.limit;
	}
	return !is_null(selector) && (selector | (DESCRIPTOR_BYTES - 1u)) <= limit;
}

int task_descriptor_read(struct task *task, uint16_t selector, uint8_t vector, struct segment *out)
{
	uint64_t raw;

	if (!descriptor_exists(task, selector))
		return task_refuse(task, vector, selector);
	if (task_read(task, task_descriptor_address(task, selector), &raw, sizeof(raw)))
		return -EFAULT;
	*out = (struct segment){
		.base = (raw >> 16 & 0x00ffffff) | (raw >> 32 & 0xff000000),
		.limit = (uint32_t)((raw & 0xffff) | (raw >> 32 & 0xf0000)),
		.selector = selector,
		.attributes = (uint16_t)((raw >> 40 & 0xff) | (raw >> 44 & 0xf00)),
	};
	if (out->attributes & SEG_ATTR_G)
		out->limit = out->limit << 12 | 0xfff;
	return 0;
}

int task_descriptor_mark(struct task *task, uint16_t selector, uint8_t set, uint8_t clear)
{
	gva_t at = task_descriptor_address(task, selector) + DESCRIPTOR_TYPE;
	uint8_t type;

	if (task_read(task, at, &type, sizeof(type)))
		return -EFAULT;
	type = (uint8_t)((type & ~clear) | set);
	return task_write(task, at, &type, sizeof(type));
}

static int ldt_load(struct task *task, uint16_t selector)
{
	struct segment s;

	if (is_null(selector))
		return 0;
	/* LDTR is empty by now: one in the LDT does not exist */
	if (task_descriptor_read(task, selector, VECTOR_TS, &s))
		return -EFAULT;
	if ((s.attributes & (SEG_ATTR_PRESENT | SEG_ATTR_S | SEG_ATTR_TYPE)) != (SEG_ATTR_PRESENT | TYPE_LDT))
		return task_refuse(task, VECTOR_TS, selector);
	task->vcpu->backend->seg_set(task->vcpu, SEG_LDTR, &s);
	return 0;
}

static int segment_accessed(struct task *task, struct segment *s)
{
	if (s->attributes & TYPE_ACCESSED)
		return 0;
	s->attributes |= TYPE_ACCESSED;
	return task_descriptor_mark(task, s->selector, TYPE_ACCESSED, 0);
}

static int code_find(struct task *task, uint16_t selector, struct segment *s)
{
	unsigned cpl = selector & SELECTOR_RPL;

	if (task_descriptor_read(task, selector, VECTOR_TS, s))
		return -EFAULT;
	if ((s->attributes & (SEG_ATTR_S | SEG_ATTR_CODE)) != (SEG_ATTR_S | SEG_ATTR_CODE))
		return task_refuse(task, VECTOR_TS, selector);
	if (s->attributes & TYPE_CONFORMING ? dpl(s) > cpl : dpl(s) != cpl)
		return task_refuse(task, VECTOR_TS, selector);
	if (!(s->attributes & SEG_ATTR_PRESENT))
		return task_refuse(task, VECTOR_NP, selector);
	return segment_accessed(task, s);
}

static int stack_find(struct task *task, uint16_t selector, unsigned cpl, struct segment *s)
{
	if (task_descriptor_read(task, selector, VECTOR_TS, s))
		return -EFAULT;
	if ((s->attributes & (SEG_ATTR_S | SEG_ATTR_CODE | TYPE_WRITABLE)) != (SEG_ATTR_S | TYPE_WRITABLE))
		return task_refuse(task, VECTOR_TS, selector);
	if (!(s->attributes & SEG_ATTR_PRESENT))
		return task_refuse(task, VECTOR_SS, selector);
	if (dpl(s) != cpl || (selector & SELECTOR_RPL) != cpl)
		return task_refuse(task, VECTOR_TS, selector);
	return segment_accessed(task, s);
}

static int data_load(struct task *task, enum seg seg, uint16_t selector, unsigned cpl)
{
	unsigned rpl = selector & SELECTOR_RPL;
	struct segment s;
	bool code;

	if (is_null(selector))
		return 0;
	if (task_descriptor_read(task, selector, VECTOR_TS, &s))
		return -EFAULT;
	code = s.attributes & SEG_ATTR_CODE;
	/* of code, the same bit says that it can be read */
	if (!(s.attributes & SEG_ATTR_S) || (code && !(s.attributes & TYPE_WRITABLE)))
		return task_refuse(task, VECTOR_TS, selector);
	if (!(code && s.attributes & TYPE_CONFORMING) && (dpl(&s) < cpl || dpl(&s) < rpl))
		return task_refuse(task, VECTOR_TS, selector);
	if (!(s.attributes & SEG_ATTR_PRESENT))
		return task_refuse(task, VECTOR_NP, selector);
	if (segment_accessed(task, &s))
		return -EFAULT;
	task->vcpu->backend->seg_set(task->vcpu, seg, &s);
	return 0;
}

int task_segments_load(struct task *task, uint16_t ldt, const uint16_t seg[TASK_SEGS], bool v8086)
{
	static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
	struct vcpu *vcpu = task->vcpu;
	unsigned cpl = seg[SEG_CS] & SELECTOR_RPL;
	struct segment cs, ss;

	if (ldt_load(task, ldt))
		return -EFAULT;
	if (v8086)
		return 0;
	if (code_find(task, seg[SEG_CS], &cs) || stack_find(task, seg[SEG_SS], cpl, &ss))
		return -EFAULT;
	vcpu->backend->seg_set(vcpu, SEG_CS, &cs);
	vcpu->backend->seg_set(vcpu, SEG_SS, &ss);
	vcpu->backend->reg_set(vcpu, REG_CPL, cpl);
	vcpu->code_flags = cs.attributes & (SEG_ATTR_L | SEG_ATTR_DB);
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
		if (data_load(task, data[i], seg[data[i]], cpl))
			return -EFAULT;
	}
	return 0;
}
