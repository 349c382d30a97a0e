/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task switches, where the CPU does not carry them out in a guest. SDM vol. 3, "Task Management" (7). Everything here
 * may be as the guest likes: what cannot be done becomes the exception that its CPU would raise. Before the commit it
 * is the old task's, afterwards the new one's. Must not know how the exit came about.
 */
#include <undercroft/debug.h>
#include <undercroft/errno.h>
#include <x86/dr.h>

#include "core/exit.h"
#include "core/task.h"

#define FLAGS_KNOWN 0x003f7fd5u
#define FLAGS_16    0x0000ffffu

/* L0 to L3 and LE. SDM vol. 3, "Debug Control Register (DR7)" (17.2.4) */
#define DR7_LOCAL 0x00000155u

#define PDPT_ADDRESS 0xffffffe0u
#define PDPTE_COUNT  4

/* SDM vol. 3, "Task-State Segment (TSS)" (7.2.1), "16-Bit Task-State Segment (TSS)" (7.6) */
struct tss32 {
	uint16_t link, reserved0;
	uint32_t stack[6];
	uint32_t cr3, eip, eflags, gpr[8];
	struct {
		uint16_t selector, reserved;
	} seg[6];
	uint16_t ldt, reserved1;
	uint16_t trap, io_map;
};

struct tss16 {
	uint16_t link, stack[6];
	uint16_t ip, flags, gpr[8], seg[4], ldt;
};

_Static_assert(sizeof(struct tss32) == 104 && offsetof(struct tss32, ldt) == 0x60, "the CPU's layout");
_Static_assert(sizeof(struct tss16) == 44 && offsetof(struct tss16, ip) == 0x0e, "the CPU's layout");
_Static_assert((int)SEG_ES == 0 && (int)SEG_GS == 5 && (int)GPR_RDI == 7, "what a TSS has comes in our order");

#define TASK_GPRS 8

/* What a TSS of either size says of its task. */
struct context {
	uint32_t cr3, eip, eflags, gpr[TASK_GPRS];
	uint16_t seg[TASK_SEGS], ldt;
	bool trap;
};

static bool is_32(const struct segment *tss)
{
	return tss->attributes & TYPE_32;
}

/* The old task is one that is called by the new one, and goes on when that returns. */
static bool is_nested(const struct task *task)
{
	return task->source == TASK_CALL || task->source == TASK_GATE;
}

/* Which bytes of its TSS a task's state is saved in. */
static void saved_range(const struct segment *tss, size_t *start, size_t *length)
{
	*start = is_32(tss) ? offsetof(struct tss32, eip) : offsetof(struct tss16, ip);
	*length = (is_32(tss) ? offsetof(struct tss32, ldt) : offsetof(struct tss16, ldt)) - *start;
}

/* SDM vol. 3, table 7-1, up to "Registers are loaded": what is wrong with the new TSS, or too short in the old one */
static int tss_check(struct task *task)
{
	uint8_t vector = task->source == TASK_IRET ? VECTOR_TS : VECTOR_GP;
	uint16_t expected = TYPE_TSS | (task->source == TASK_IRET ? TYPE_BUSY : 0);
	size_t start, length;

	task->vcpu->backend->seg_get(task->vcpu, SEG_TR, &task->from);
	if (task->selector & SELECTOR_TI)
		return task_refuse(task, vector, task->selector);
	if (task_descriptor_read(task, task->selector, vector, &task->to))
		return -EFAULT;
	if ((task->to.attributes & (SEG_ATTR_S | SEG_ATTR_TYPE) & ~TYPE_32) != expected)
		return task_refuse(task, vector, task->selector);
	if (!(task->to.attributes & SEG_ATTR_PRESENT))
		return task_refuse(task, VECTOR_NP, task->selector);
	if (task->to.limit < (is_32(&task->to) ? sizeof(struct tss32) : sizeof(struct tss16)) - 1)
		return task_refuse(task, VECTOR_TS, task->selector);
	/* "an attempt to access data in a TSS results in a limit violation": "Interrupt 10-Invalid TSS" (6.15) */
	saved_range(&task->from, &start, &length);
	if (task->from.limit < start + length - 1)
		return task_refuse(task, VECTOR_TS, task->from.selector);
	return 0;
}

static int reachable(struct task *task, gva_t at, size_t length, unsigned access)
{
	gpa_t gpa;

	if (mem_translate(task->vcpu, at, access | MEM_IMPLICIT, &gpa, &task->fault))
		return -EFAULT;
	return mem_translate(task->vcpu, at + length - 1, access | MEM_IMPLICIT, &gpa, &task->fault);
}

/* SDM vol. 3, "Task Switching" (7.3), step 5: whatever is touched before the commit is there */
static int memory_check(struct task *task)
{
	size_t start, length;
	int error;

	saved_range(&task->from, &start, &length);
	error = reachable(task, task->from.base + start, length, ACCESS_WRITE);
	if (!error)
		error = reachable(task, task->to.base, is_32(&task->to) ? sizeof(struct tss32) : sizeof(struct tss16),
				  ACCESS_READ);
	if (!error && is_nested(task))
		error = reachable(task, task->to.base, sizeof(uint16_t), ACCESS_WRITE);
	if (!error && !is_nested(task))
		error = reachable(task, task_descriptor_address(task, task->from.selector) + DESCRIPTOR_TYPE, 1,
				  ACCESS_WRITE);
	if (!error && task->source != TASK_IRET)
		error = reachable(task, task_descriptor_address(task, task->selector) + DESCRIPTOR_TYPE, 1,
				  ACCESS_WRITE);
	return error;
}

/* Where the old task goes on: behind what switched, or at what faulted or was interrupted. */
static uint32_t outgoing_eip(const struct task *task)
{
	const struct vcpu *vcpu = task->vcpu;
	const struct event *event = &vcpu->events.delivery;
	unsigned length = vcpu->exit.length;

	if (task->source == TASK_GATE)
		length = event->type == EVENT_SOFT_INTR || event->type == EVENT_SOFT_EXCEPT ? event->length : 0;
	return (uint32_t)mode_rip_after(vcpu->rip, length, false, vcpu->code_flags & SEG_ATTR_DB);
}

static void context_get(struct task *task, struct context *out)
{
	struct vcpu *vcpu = task->vcpu;
	struct segment s;

	out->eip = outgoing_eip(task);
	out->eflags = (uint32_t)vcpu->rflags;
	if (task->source == TASK_IRET)
		out->eflags &= ~X86_FLAGS_NT;
	for (unsigned i = 0; i < TASK_GPRS; i++)
		out->gpr[i] = (uint32_t)vcpu->gpr[i];
	for (enum seg seg = 0; seg < TASK_SEGS; seg++) {
		vcpu->backend->seg_get(vcpu, seg, &s);
		out->seg[seg] = s.selector;
	}
}

static int context_save(struct task *task, const struct context *context)
{
	union {
		struct tss32 tss32;
		struct tss16 tss16;
		uint8_t bytes[sizeof(struct tss32)];
	} image;
	size_t start, length;

	saved_range(&task->from, &start, &length);
	/* what lies between the selectors stays */
	if (task_read(task, task->from.base + start, image.bytes + start, length))
		return -EFAULT;
	if (is_32(&task->from)) {
		image.tss32.eip = context->eip;
		image.tss32.eflags = context->eflags;
		for (unsigned i = 0; i < TASK_GPRS; i++)
			image.tss32.gpr[i] = context->gpr[i];
		for (unsigned i = 0; i < TASK_SEGS; i++)
			image.tss32.seg[i].selector = context->seg[i];
	} else {
		image.tss16.ip = (uint16_t)context->eip;
		image.tss16.flags = (uint16_t)context->eflags;
		for (unsigned i = 0; i < TASK_GPRS; i++)
			image.tss16.gpr[i] = (uint16_t)context->gpr[i];
		for (unsigned i = 0; i < ARRAY_SIZE(image.tss16.seg); i++)
			image.tss16.seg[i] = context->seg[i];
	}
	return task_write(task, task->from.base + start, image.bytes + start, length);
}

/* A 16-bit TSS has neither FS and GS nor the upper halves of registers: they become zero. */
static int context_load(struct task *task, struct context *out)
{
	struct tss32 tss32;
	struct tss16 tss16;

	*out = (struct context){0};
	if (is_32(&task->to)) {
		if (task_read(task, task->to.base, &tss32, sizeof(tss32)))
			return -EFAULT;
		*out = (struct context){.cr3 = tss32.cr3, .eip = tss32.eip, .ldt = tss32.ldt, .trap = tss32.trap & 1};
		out->eflags = tss32.eflags & FLAGS_KNOWN;
		for (unsigned i = 0; i < TASK_GPRS; i++)
			out->gpr[i] = tss32.gpr[i];
		for (unsigned i = 0; i < TASK_SEGS; i++)
			out->seg[i] = tss32.seg[i].selector;
	} else {
		if (task_read(task, task->to.base, &tss16, sizeof(tss16)))
			return -EFAULT;
		out->eip = tss16.ip;
		out->eflags = tss16.flags & FLAGS_KNOWN & FLAGS_16;
		out->ldt = tss16.ldt;
		for (unsigned i = 0; i < TASK_GPRS; i++)
			out->gpr[i] = tss16.gpr[i];
		for (unsigned i = 0; i < ARRAY_SIZE(tss16.seg); i++)
			out->seg[i] = tss16.seg[i];
	}
	out->eflags |= X86_FLAGS_FIXED | (is_nested(task) ? X86_FLAGS_NT : 0);
	return 0;
}

/* Leaves the old task. SDM vol. 3, "Task Switching" (7.3), steps 6 to 10, table 7-2 */
static int task_leave(struct task *task, struct context *incoming)
{
	struct context outgoing;

	context_get(task, &outgoing);
	if (!is_nested(task) && task_descriptor_mark(task, task->from.selector, 0, TYPE_BUSY))
		return -EFAULT;
	if (context_save(task, &outgoing))
		return -EFAULT;
	if (is_nested(task) && task_write(task, task->to.base, &task->from.selector, sizeof(task->from.selector)))
		return -EFAULT;
	if (context_load(task, incoming))
		return -EFAULT;
	return task->source == TASK_IRET ? 0 : task_descriptor_mark(task, task->selector, TYPE_BUSY, 0);
}

/*
 * The commit. Segments are known by their selectors alone until their descriptors are: whatever is raised until then
 * needs another stack, as from the lowest privilege. Conforming code goes with any.
 */
static void task_commit(struct task *task, const struct context *context)
{
	struct vcpu *vcpu = task->vcpu;
	const struct backend_ops *backend = vcpu->backend;
	bool v8086 = context->eflags & X86_FLAGS_VM;
	struct segment s;

	task->to.attributes |= TYPE_BUSY;
	backend->seg_set(vcpu, SEG_TR, &task->to);
	backend->reg_set(vcpu, REG_CR0, backend->reg_get(vcpu, REG_CR0) | CR0_TS);
	debug_register_set(vcpu, REG_DR7, debug_register_get(vcpu, REG_DR7) & ~(uint64_t)DR7_LOCAL);
	backend->reg_set(vcpu, REG_INTERRUPT_SHADOW, 0);
	/* SDM vol. 3, "Handling Multiple NMIs" (6.7.1) */
	if (task->source == TASK_IRET)
		backend->reg_set(vcpu, REG_NMI_BLOCKED, 0);
	else if (task->source == TASK_GATE && vcpu->events.delivery.type == EVENT_NMI)
		backend->reg_set(vcpu, REG_NMI_BLOCKED, 1);
	for (unsigned i = 0; i < TASK_GPRS; i++)
		vcpu->gpr[i] = context->gpr[i];
	vcpu->rip = context->eip;
	vcpu->rflags = context->eflags;
	s = (struct segment){.selector = context->ldt};
	backend->seg_set(vcpu, SEG_LDTR, &s);
	for (enum seg seg = 0; seg < TASK_SEGS; seg++) {
		s = (struct segment){.selector = context->seg[seg]};
		/* SDM vol. 3, "Virtual-8086 Mode" (20.2) */
		if (v8086)
			s = (struct segment){
				.base = (uint32_t)context->seg[seg] << 4,
				.limit = 0xffff,
				.selector = context->seg[seg],
				.attributes =
					SEG_ATTR_PRESENT | SEG_ATTR_DPL | SEG_ATTR_S | TYPE_WRITABLE | TYPE_ACCESSED,
			};
		else if (seg == SEG_CS)
			s = (struct segment){
				.limit = UINT32_MAX,
				.selector = context->seg[seg],
				.attributes = SEG_ATTR_G | SEG_ATTR_DB | SEG_ATTR_PRESENT | SEG_ATTR_S | SEG_ATTR_CODE |
					      TYPE_CONFORMING | TYPE_WRITABLE | TYPE_ACCESSED,
			};
		else if (seg == SEG_SS)
			s.attributes = SEG_ATTR_DPL;
		backend->seg_set(vcpu, seg, &s);
		if (seg == SEG_CS)
			vcpu->code_flags = s.attributes & (SEG_ATTR_L | SEG_ATTR_DB);
	}
	backend->reg_set(vcpu, REG_CPL, 3);
}

/* Interrupt 13 for what a MOV would not load either. SDM vol. 3, "PDPTE Registers" (4.4.1) */
static bool pdptes_are_valid(struct vcpu *vcpu, uint32_t cr3)
{
	const uint64_t *table = mem_gpa_readable(vcpu->vm, cr3 & PDPT_ADDRESS, PDPTE_COUNT * sizeof(*table));

	for (unsigned i = 0; i < PDPTE_COUNT; i++) {
		if (!table || !mode_pdpte_is_valid(table[i], vcpu->vm->physical_limit))
			return false;
	}
	return true;
}

/*
 * A new CR3 is taken with paging on only; a 16-bit TSS has none. One that is the same loads and drops nothing: SDM vol.
 * 3, "PDPTE Registers" (4.4.1), "Operations that Invalidate TLBs and Paging-Structure Caches" (4.10.4.1)
 */
static int paging_load(struct task *task, uint32_t cr3)
{
	struct vcpu *vcpu = task->vcpu;
	const struct backend_ops *backend = vcpu->backend;

	if (!is_32(&task->to) || !(backend->reg_get(vcpu, REG_CR0) & CR0_PG) || backend->reg_get(vcpu, REG_CR3) == cr3)
		return 0;
	if (backend->reg_get(vcpu, REG_CR4) & CR4_PAE && !pdptes_are_valid(vcpu, cr3))
		return task_refuse(task, VECTOR_GP, 0);
	backend->reg_set(vcpu, REG_CR3, cr3);
	backend->tlb_flush(vcpu, TLB_FLUSH_GUEST);
	debug_space_changed(vcpu);
	return 0;
}

/* The error code of the event that switched, on the new task's stack; as wide as its TSS. */
static int error_push(struct task *task)
{
	struct vcpu *vcpu = task->vcpu;
	uint64_t mask, offset;
	size_t size = is_32(&task->to) ? 4 : 2;
	struct segment ss;
	gva_t linear;

	if (task->source != TASK_GATE || !vcpu->events.delivery.has_error)
		return 0;
	vcpu->backend->seg_get(vcpu, SEG_SS, &ss);
	mask = ss.attributes & SEG_ATTR_DB ? 0xffffffff : 0xffff;
	offset = (vcpu->gpr[GPR_RSP] - size) & mask;
	if (mem_linear(vcpu, SEG_SS, offset, size, ACCESS_WRITE, &linear, &task->fault))
		return task_refuse(task, VECTOR_SS, 0);
	if (mem_write(vcpu, linear, &vcpu->events.delivery.error, size, &task->fault))
		return -EFAULT;
	vcpu->gpr[GPR_RSP] = (vcpu->gpr[GPR_RSP] & ~mask) | offset;
	return 0;
}

/* SDM vol. 3, "Error Code" (6.13): INT n, INT3 and INTO come from the program, INT1 does not */
static bool event_is_external(const struct event *event)
{
	return event->type != EVENT_SOFT_INTR && (event->type != EVENT_SOFT_EXCEPT || event->vector == 1);
}

static int task_switch(struct task *task, struct context *context)
{
	if (tss_check(task) || memory_check(task) || task_leave(task, context))
		return -EFAULT;
	task_commit(task, context);
	if (paging_load(task, context->cr3) ||
	    task_segments_load(task, context->ldt, context->seg, context->eflags & X86_FLAGS_VM))
		return -EFAULT;
	return error_push(task);
}

enum verdict exit_task_switch(struct vcpu *vcpu)
{
	bool stepped = vcpu->single.active;
	struct task task = {.vcpu = vcpu};
	struct context context;

	vcpu->backend->decode_detail(vcpu);
	instruction_end(vcpu, false);
	task.selector = vcpu->detail.task.selector;
	task.source = vcpu->detail.task.source;
	task.external = task.source == TASK_GATE && event_is_external(&vcpu->events.delivery);
	if (task_switch(&task, &context)) {
		event_queue_exception(vcpu, task.fault.vector, true, task.fault.error, task.fault.address);
		return VERDICT_RESUME;
	}
	vcpu->events.delivery.type = EVENT_NONE;
	vcpu->work &= ~WORK_DELIVERY;
	/* a trap behind the old task's last instruction is lost with it, but a debugger's step is done */
	vcpu->single.completed = stepped;
	/* SDM vol. 3, "Task-Switch Exception Condition" (17.3.1.5) */
	if (context.trap)
		event_queue_debug_trap(vcpu, DR6_BT);
	return VERDICT_RESUME;
}
