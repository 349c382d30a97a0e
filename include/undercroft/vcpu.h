/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual CPU and the exit spine. gpr[] lies first, in ModRM order: the backends' entry code relies on it.
 */
#ifndef UNDERCROFT_VCPU_H
#define UNDERCROFT_VCPU_H

#include <undercroft/types.h>
#include <undercroft/backend.h>
#include <undercroft/event.h>
#include <undercroft/exit.h>
#include <undercroft/mode.h>
#include <undercroft/regs.h>
#include <undercroft/vm.h>
#include <x86/flags.h>

/* The work word: zero means enter again at once. Everything slow hides behind it. */
#define WORK_EVENT    0x01u /* event_commit() has something to do */
#define WORK_DELIVERY 0x02u /* the exit interrupted the delivery of an event */
#define WORK_TRAP     0x04u /* an emulated instruction completed with TF set */
#define WORK_STEP     0x08u /* a step against a scratch page begins or ends */
#define WORK_VIEW     0x10u /* the base view changed: activate it again, with a flush */
#define WORK_LEAVE    0x20u /* run() returns */

/*
 * An access that is let through once, in an overlay view that shows a scratch page instead: hidden memory reads as all
 * ones there, MMIO regions as their read function says. No instruction has to be emulated for it.
 */
#define STEP_EXTRA_MAX 6

struct step_state {
	bool active;
	bool delivery;	  /* the access happened while an event was being delivered: there is no instruction to step */
	bool guest_tf;	  /* RFLAGS.TF as the guest had it */
	bool loads_flags; /* the instruction itself loads RFLAGS: keep the TF it loaded */
	bool write;
	uint8_t size;		     /* of the access, for a region */
	gpa_t gpa;		     /* of the access */
	struct region *region;	     /* NULL: hidden memory, or a neighbour of a region */
	uint64_t dr6;		     /* as the guest had it */
	paddr_t ones, scratch;	     /* a page of all ones and one for regions; from the pool, for good */
	gpa_t extra[STEP_EXTRA_MAX]; /* further pages the same instruction touched */
	unsigned extra_count;
	struct nested_view view;
};

/*
 * How often each kind of exit happened. The layout is public: tools read it from outside of the machine at the address
 * that the log names at start.
 */
#define EXIT_STATISTICS_MAGIC	0x54534355u /* "UCST" */
#define EXIT_STATISTICS_VERSION 1

struct exit_statistics {
	uint32_t magic;
	uint16_t version, count;
	struct {
		char name[16]; /* padded with zeroes */
		uint64_t count;
	} counter[EXIT_KIND_COUNT];
};

struct vcpu {
	uint64_t gpr[GPR_COUNT];
	uint64_t rip, rflags;
	uint32_t work; /* WORK_x */
	struct exit_header exit;
	uint32_t code_flags; /* SEG_ATTR_L and SEG_ATTR_DB of CS, loaded with the header */
	exit_handler_fn slot[EXIT_KIND_COUNT];
	struct exit_statistics statistics;
	struct vm *vm;
	const struct backend_ops *backend;
	struct exit_detail detail;
	struct event_queue events;
	struct step_state step;
	struct region apic; /* watched while other CPUs are hidden */
	const char *fatal;  /* why run() returned */
};

_Static_assert(offsetof(struct vcpu, gpr) == 0, "entry code stores the general registers at offset 0");

/* Everything behind the work word. Returns non-zero if run() is to return. */
int vcpu_work(struct vcpu *vcpu);

/*
 * Prepares a zeroed vCPU of a VM: default handlers, statistics. The backend's vcpu_init comes after it.
 */
void vcpu_init(struct vcpu *vcpu, struct vm *vm);

/* Gives a vCPU its whole state, for the first entry. */
void vcpu_state_set(struct vcpu *vcpu, const struct guest_state *state);

/* Nothing sensible can follow: run() returns and its caller shows why (a string that stays) with vcpu_dump(). */
void vcpu_fatal(struct vcpu *vcpu, const char *why);

/* Logs every register, the code bytes at RIP and what the backend knows. */
void vcpu_dump(struct vcpu *vcpu);

/* The default handler of each exit kind. */
extern const exit_handler_fn exit_defaults[EXIT_KIND_COUNT];

/* Length of the instruction at RIP when the CPU did not tell; 0 if it cannot be read or is none. */
unsigned vcpu_insn_length(struct vcpu *vcpu);

/* Moves RIP past the current instruction, as its completion would. */
static inline void vcpu_skip_insn(struct vcpu *vcpu)
{
	if (__builtin_expect(!vcpu->exit.length, 0)) {
		vcpu->exit.length = (uint8_t)vcpu_insn_length(vcpu);
		if (!vcpu->exit.length)
			vcpu_fatal(vcpu, "the instruction that exited cannot be read");
	}
	vcpu->rip = mode_rip_after(vcpu->rip, vcpu->exit.length, vcpu->code_flags & SEG_ATTR_L,
				   vcpu->code_flags & SEG_ATTR_DB);
	if (__builtin_expect((vcpu->rflags & (X86_FLAGS_TF | X86_FLAGS_RF)) != 0, 0)) {
		if (vcpu->rflags & X86_FLAGS_TF)
			vcpu->work |= WORK_TRAP;
		vcpu->rflags &= ~(uint64_t)X86_FLAGS_RF;
	}
}

/*
 * The one way an exit takes through core. The backend has loaded the header, rip, rflags and code_flags. Returns
 * non-zero when run() is to return.
 */
static inline int vcpu_exit(struct vcpu *vcpu)
{
	unsigned kind = vcpu->exit.kind;

	vcpu->statistics.counter[kind].count++;
	switch (vcpu->slot[kind](vcpu)) {
	case VERDICT_SKIP_INSN:
		vcpu_skip_insn(vcpu);
		break;
	case VERDICT_RESUME:
		break;
	case VERDICT_PASS:
	case VERDICT_FATAL:
	default:
		vcpu_fatal(vcpu, "no handler took the exit");
		break;
	}
	return __builtin_expect(vcpu->work == 0, 1) ? 0 : vcpu_work(vcpu);
}

#endif
