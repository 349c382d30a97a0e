/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction with our trap flag. Must not know what it is stepped for.
 *
 * The trap behind most instructions is decided by TF as it was before them, behind SYSCALL and SYSRET by TF as it is
 * afterwards; INT n and its like clear TF. SDM vol. 3, "Single-Step Exception Condition" (17.3.1.4); APM vol. 2,
 * "Single Stepping" (13.1.4).
 */
#include <undercroft/mem.h>
#include <x86/cr.h>
#include <x86/dr.h>
#include <x86/flags.h>
#include <x86/msr.h>

#include "core/breakpoint.h"
#include "core/dr.h"
#include "core/exit.h"
#include "core/single.h"

#define VECTOR_DB 1
#define VECTOR_BP 3
#define VECTOR_OF 4

#define OPCODE_INT  0xcd
#define OPCODE_INT1 0xf1
#define OPCODE_INT3 0xcc
#define OPCODE_INTO 0xce

/* SDM vol. 3, "Task-State Segment (TSS)" (7.2.1), figures 7-2 and 20-5 */
#define TSS_IO_MAP	     102u
#define TSS_REDIRECTION_SIZE 32u

#define TF  ((uint64_t)X86_FLAGS_TF)
#define BTF ((uint64_t)DEBUGCTL_BTF)

#define IS(insn_flags, bits) (((insn_flags) & (bits)) == (bits))

/* What a step has more to do for than for most. */
#define INSN_UNUSUAL                                                                                           \
	(INSN_LOADS_FLAGS | INSN_STORES_FLAGS | INSN_REP | INSN_LOADS_SS | INSN_SYSTEM_CALL | INSN_INTERRUPT | \
	 INSN_HALT | INSN_READS_MSR | INSN_WRITES_MSR | INSN_MOVES_DR)

/* What MOV SS and POP SS hold off comes with them, so it is the one that stores TF. */
static const struct insn *insn_behind(struct vcpu *vcpu, const struct insn *insn, struct insn *behind)
{
	uint64_t rip = vcpu->rip;
	bool known;

	vcpu->rip += insn->length;
	known = !insn_decode(vcpu, behind);
	vcpu->rip = rip;
	if (!known)
		return NULL;
	vcpu->single.next += behind->length;
	/* MOV SS may read what would have to be changed for it */
	behind->flags &= ~INSN_WRITES_MSR;
	return behind;
}

/* With BTF, the trap would wait for a branch. The guest's RDMSR and WRMSR know nothing of its absence. */
static void branches_begin(struct vcpu *vcpu)
{
	uint64_t debugctl = vcpu->backend->debugctl_get(vcpu);

	vcpu->single.branches = debugctl & DEBUGCTL_BTF;
	if (vcpu->single.branches)
		vcpu->backend->debugctl_set(vcpu, debugctl & ~BTF);
}

static void branches_end(struct vcpu *vcpu, bool completed)
{
	struct single_state *single = &vcpu->single;

	if (single->flags & INSN_WRITES_MSR) {
		vcpu->gpr[GPR_RAX] = single->saved;
		if (completed)
			single->branches = single->saved & BTF;
	}
	if (!single->branches)
		return;
	if (completed && single->flags & INSN_READS_MSR)
		vcpu->gpr[GPR_RAX] |= BTF;
	vcpu->backend->debugctl_set(vcpu, vcpu->backend->debugctl_get(vcpu) | BTF);
}

/* Would BTF let it trap? */
static bool is_branch(const struct vcpu *vcpu)
{
	const struct single_state *single = &vcpu->single;

	return vcpu->rip != single->next && !(single->flags & INSN_REP && vcpu->rip == single->rip);
}

/*
 * INT n and its like behind MOV SS cannot be delivered before it is executed. Without an IDT it is #GP, which exits
 * with nothing pushed, and with the interrupt as what was being delivered. Redirection in virtual-8086 mode would look
 * into no IDT. SDM vol. 2, "INT n/INTO/INT3/INT1"; for real mode, SDM vol. 3, "Interrupt and Exception Handling"
 * (20.1.4)
 */
static void idt_hide(struct vcpu *vcpu)
{
	struct single_state *single = &vcpu->single;

	single->idt_hidden = true;
	single->saved = vcpu->backend->reg_get(vcpu, REG_IDTR_LIMIT);
	single->saved_cr4 = vcpu->backend->reg_get(vcpu, REG_CR4);
	vcpu->backend->reg_set(vcpu, REG_IDTR_LIMIT, 0);
	if (vcpu->rflags & X86_FLAGS_VM)
		vcpu->backend->reg_set(vcpu, REG_CR4, single->saved_cr4 & ~(uint64_t)CR4_VME);
}

static void idt_show(struct vcpu *vcpu)
{
	struct single_state *single = &vcpu->single;

	if (!single->idt_hidden)
		return;
	single->idt_hidden = false;
	vcpu->backend->reg_set(vcpu, REG_IDTR_LIMIT, single->saved);
	if (vcpu->rflags & X86_FLAGS_VM)
		vcpu->backend->reg_set(vcpu, REG_CR4, single->saved_cr4);
}

bool single_idt_missed(const struct vcpu *vcpu)
{
	return vcpu->single.active && vcpu->single.idt_hidden && vcpu->rip != vcpu->single.rip;
}

/*
 * MOV DR has to find DR6 as it is. It touches no memory, so nothing is hit by it; what is hit before it can be told by
 * RIP from the trap behind it. DR4 is DR6 and DR5 is DR7, or they are #UD.
 */
static void dr_expect(struct vcpu *vcpu, const struct insn *insn)
{
	struct insn_dr move = insn_dr_move(vcpu, insn);
	struct single_state *single = &vcpu->single;
	uint64_t value = vcpu->gpr[move.gpr];

	if (!move.to_dr)
		return;
	if ((move.number | 2) == 6)
		single->dr6_next = (value & DR6_WRITABLE) | DR6_ONES;
	else if ((move.number | 2) == 7)
		single->detects = value & DR7_GD;
}

/* An instruction that is not like most. */
static __attribute__((noinline)) void unusual_prepare(struct vcpu *vcpu, const struct insn *insn)
{
	const struct backend_ops *backend = vcpu->backend;
	struct single_state *single = &vcpu->single;
	struct insn behind;

	if (single->flags & INSN_LOADS_SS) {
		insn = insn_behind(vcpu, insn, &behind);
		single->flags = insn ? insn->flags : 0;
		if (single->flags & INSN_INTERRUPT)
			idt_hide(vcpu);
	}
	single->dr6_left = single->flags & INSN_MOVES_DR && !vcpu->dr.shadowed;
	if (single->dr6_left)
		dr_expect(vcpu, insn);
	/* the others that come here interrupt nothing */
	if (single->flags & INSN_INTERRUPT)
		single->flags = 0;
	/* outside of long mode, these two leave TF alone and store it nowhere */
	if (single->flags & INSN_SYSTEM_CALL && !(backend->reg_get(vcpu, REG_EFER) & EFER_LMA))
		single->flags &= ~(INSN_SYSTEM_CALL | INSN_LOADS_FLAGS | INSN_STORES_FLAGS);
	if (IS(single->flags, INSN_SYSTEM_CALL | INSN_STORES_FLAGS)) {
		single->saved = backend->reg_get(vcpu, REG_FMASK);
		backend->reg_set(vcpu, REG_FMASK, single->saved & ~TF);
	} else if (single->flags & INSN_SYSTEM_CALL) {
		single->saved = vcpu->gpr[GPR_R11];
		vcpu->gpr[GPR_R11] |= TF;
	}
	if ((uint32_t)vcpu->gpr[GPR_RCX] != MSR_DEBUGCTL)
		single->flags &= ~(INSN_READS_MSR | INSN_WRITES_MSR);
	if (single->flags & INSN_WRITES_MSR) {
		single->saved = vcpu->gpr[GPR_RAX];
		vcpu->gpr[GPR_RAX] &= ~BTF;
	}
	/* so that it does not wait: exit_hlt() */
	if (single->flags & INSN_HALT)
		alarm_idle_watch(vcpu);
}

void single_begin(struct vcpu *vcpu, const struct insn *insn)
{
	struct single_state *single = &vcpu->single;
	uint64_t dr6 = vcpu->backend->reg_get(vcpu, REG_DR6);

	single->rip = vcpu->rip;
	single->next = insn ? vcpu->rip + insn->length : 0;
	single->flags = insn ? insn->flags & INSN_UNUSUAL : 0;
	single->guest_tf = vcpu->rflags & TF;
	single->dr6 = single->dr6_next = vcpu->dr.shadowed ? dr_get(vcpu, REG_DR6) : dr6;
	single->dr6_left = false;
	single->detects = dr_get(vcpu, REG_DR7) & DR7_GD;
	single->unusual = single->flags || single->detects;
	if (single->flags)
		unusual_prepare(vcpu, insn);
	/* otherwise, what the instruction hits has to be told from what was there */
	if (dr6 & (DR6_BS | DR6_B) && !single->dr6_left)
		vcpu->backend->reg_set(vcpu, REG_DR6, dr6 & ~(uint64_t)(DR6_BS | DR6_B));
	branches_begin(vcpu);
	single->unusual |= single->branches;
	single->active = true;
	single->refetched = false;
	vcpu->backend->step(vcpu, true);
}

/* tf: TF or 0 */
static void tf_set(uint64_t *value, uint64_t tf)
{
	*value = (*value & ~TF) | tf;
}

/* Our TF in what PUSHF pushed. Memory that is not ours to write keeps it: a stack in a device. */
static void pushed_tf_clear(struct vcpu *vcpu)
{
	struct segment ss;
	struct mem_fault fault;
	uint64_t at = vcpu->gpr[GPR_RSP];
	uint8_t second;
	gva_t linear;

	vcpu->backend->seg_get(vcpu, SEG_SS, &ss);
	if (!(vcpu->code_flags & SEG_ATTR_L) && !(ss.attributes & SEG_ATTR_DB))
		at &= 0xffff;
	if (mem_linear(vcpu, SEG_SS, at + 1, 1, ACCESS_WRITE, &linear, &fault) ||
	    mem_read(vcpu, linear, &second, 1, ACCESS_READ, &fault))
		return;
	second &= (uint8_t) ~(TF >> 8);
	(void)mem_write(vcpu, linear, &second, 1, &fault);
}

/* TF and its copies behind the instruction. Returns whether the guest's own TF earns a trap. */
static bool flags_settle(struct vcpu *vcpu, bool completed)
{
	struct single_state *single = &vcpu->single;
	bool trap = completed && single->guest_tf;

	if (IS(single->flags, INSN_SYSTEM_CALL | INSN_STORES_FLAGS)) {
		vcpu->backend->reg_set(vcpu, REG_FMASK, single->saved);
		tf_set(&vcpu->rflags, single->guest_tf & ~(completed ? single->saved : 0));
		if (completed)
			tf_set(&vcpu->gpr[GPR_R11], single->guest_tf);
		return completed && vcpu->rflags & TF;
	}
	if (single->flags & INSN_SYSTEM_CALL) {
		vcpu->gpr[GPR_R11] = single->saved;
		tf_set(&vcpu->rflags, completed ? single->saved & TF : single->guest_tf);
		return completed && vcpu->rflags & TF;
	}
	if (!completed || !(single->flags & INSN_LOADS_FLAGS))
		tf_set(&vcpu->rflags, single->guest_tf);
	if (completed && single->flags & INSN_STORES_FLAGS && !single->guest_tf)
		pushed_tf_clear(vcpu);
	return trap;
}

/* The end of what is not like most. Returns as flags_settle(). */
static __attribute__((noinline)) bool unusual_settle(struct vcpu *vcpu, bool completed)
{
	struct single_state *single = &vcpu->single;
	bool trap;

	idt_show(vcpu);
	trap = flags_settle(vcpu, completed) && (!single->branches || is_branch(vcpu));
	branches_end(vcpu, completed);
	/* #DB before MOV DR says why, in other bits than the step's */
	if (!completed)
		single->dr6_next = single->dr6_left
					   ? (dr_get(vcpu, REG_DR6) & ~(uint64_t)DR6_BS) | (single->dr6 & DR6_BS)
					   : single->dr6;
	/* our #DB was one for the CPU */
	if (completed && single->detects)
		dr_set(vcpu, REG_DR7, dr_get(vcpu, REG_DR7) | DR7_GD);
	return trap;
}

/* Of what the CPU says was hit, what traps. */
static __attribute__((noinline)) uint64_t hits_settle(struct vcpu *vcpu, uint64_t hits, bool completed)
{
	if (vcpu->single.dr6_left)
		return 0;
	return completed ? dr_traps(vcpu, hits) : hits;
}

void single_end(struct vcpu *vcpu, bool completed)
{
	struct single_state *single = &vcpu->single;
	uint64_t earned, dr6;

	single->active = false;
	single->completed = completed;
	vcpu->backend->step(vcpu, false);
	if (single->int3)
		*single->int3 = OPCODE_INT3;
	single->int3 = NULL;
	earned = dr_hits(vcpu);
	if (earned)
		earned = hits_settle(vcpu, earned, completed);
	earned |= breakpoint_hits(vcpu);
	if (single->unusual) {
		if (unusual_settle(vcpu, completed))
			earned |= DR6_BS;
	} else {
		tf_set(&vcpu->rflags, single->guest_tf);
		if (single->guest_tf && completed)
			earned |= DR6_BS;
	}
	/* as the guest has it, but for the trap that it earns now */
	dr6 = vcpu->dr.shadowed ? dr_get(vcpu, REG_DR6) : single->dr6_next;
	if (!earned) {
		dr_set(vcpu, REG_DR6, dr6);
		return;
	}
	dr_set(vcpu, REG_DR6, (dr6 & ~(uint64_t)DR6_B) | (earned & DR6_B));
	if (completed)
		event_queue_debug_trap(vcpu, earned);
}

/* The redirection bitmap lies in front of the I/O bitmap. What cannot be read is #GP or #PF, which the CPU raises. */
static bool is_redirected(struct vcpu *vcpu, uint8_t vector)
{
	struct mem_fault fault;
	struct segment tss;
	uint16_t io_map;
	uint32_t at;
	uint8_t bits;

	vcpu->backend->seg_get(vcpu, SEG_TR, &tss);
	if (tss.limit < TSS_IO_MAP + sizeof(io_map) - 1 ||
	    mem_read(vcpu, tss.base + TSS_IO_MAP, &io_map, sizeof(io_map), ACCESS_READ | MEM_IMPLICIT, &fault))
		return false;
	at = (uint32_t)io_map - TSS_REDIRECTION_SIZE + vector / 8;
	if (at > tss.limit || mem_read(vcpu, tss.base + at, &bits, 1, ACCESS_READ | MEM_IMPLICIT, &fault))
		return false;
	return !(bits >> vector % 8 & 1);
}

/*
 * Is INT n an interrupt, and not #GP? Delivered as an event it is redirected as if it were executed, but on VMX IOPL is
 * not looked at. SDM vol. 3, "Software Interrupt Handling Methods While in Virtual-8086 Mode" (20.3.3), "Details of
 * Vectored-Event Injection" (26.6.1.1); APM vol. 2, "Event Injection" (15.20)
 */
static bool int_n_is_allowed(struct vcpu *vcpu, uint8_t vector)
{
	if (!(vcpu->rflags & X86_FLAGS_VM) || (vcpu->rflags & X86_FLAGS_IOPL) == X86_FLAGS_IOPL)
		return true;
	return vcpu->backend->reg_get(vcpu, REG_CR4) & CR4_VME && is_redirected(vcpu, vector);
}

bool single_interrupt(struct vcpu *vcpu, const struct insn *insn)
{
	struct event event = {.type = EVENT_SOFT_EXCEPT, .length = insn->length};

	if (insn->length >= 2 && insn->bytes[insn->length - 2] == OPCODE_INT) {
		event.type = EVENT_SOFT_INTR;
		event.vector = insn->bytes[insn->length - 1];
		if (!int_n_is_allowed(vcpu, event.vector))
			return false;
	} else {
		switch (insn->bytes[insn->length - 1]) {
		case OPCODE_INT1:
			event.vector = VECTOR_DB;
			break;
		case OPCODE_INTO:
			if (!(vcpu->rflags & X86_FLAGS_OF))
				return false;
			event.vector = VECTOR_OF;
			break;
		case OPCODE_INT3:
		default:
			event.vector = VECTOR_BP;
			break;
		}
	}
	vcpu->events.delivery = event;
	vcpu->work |= WORK_EVENT | WORK_DELIVERY;
	return true;
}
