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

struct debug;

/* The work word: zero means enter again at once. Everything slow hides behind it. */
#define WORK_EVENT    0x01u /* event_commit() has something to do */
#define WORK_DELIVERY 0x02u /* the exit interrupted the delivery of an event */
#define WORK_TRAP     0x04u /* an emulated instruction completed with TF set */
#define WORK_VIEW     0x10u /* the base view changed: activate it again, with a flush */
#define WORK_POLL     0x80u /* the control wants to look in at exits that happen anyway */
#define WORK_LEAVE    0x20u /* run() returns */
#define WORK_STOP     0x40u /* run control has something to do */

/*
 * An access that is let through once, in an overlay view that shows something else than the trapped page. No
 * instruction has to be emulated for it. The page is shown for reading first and for writing as soon as the instruction
 * writes, so that a write is known as one, whatever the CPU reports first.
 */
enum step_show {
	STEP_ONES,    /* all ones, writes are lost: hidden memory */
	STEP_REGION,  /* what the region's read function says, what is written goes to its write function */
	STEP_THROUGH, /* the page itself: a neighbour of a region */
	STEP_COPY,    /* what is there, writes are lost: read-only memory */
};

/* Further pages an instruction touches: a gather of 16 elements, each across two pages, and its own bytes. */
#define STEP_EXTRA_MAX 34

struct step_extra {
	gpa_t page;
	struct nested_entry before; /* the base's, to be put back */
};

struct step_state {
	bool active;
	bool delivery; /* the access happened while an event was being delivered: there is no instruction to step */
	bool write;    /* the page at gpa is written */
	bool ones_written;
	uint8_t show;	       /* enum step_show */
	uint16_t size;	       /* of the access, for a region */
	gpa_t gpa;	       /* of the access */
	paddr_t shown;	       /* the page that is shown there */
	struct region *region; /* STEP_REGION only */
	paddr_t ones, scratch; /* a page of all ones and one for regions; from the pool, for good */
	struct step_extra extra[STEP_EXTRA_MAX];
	unsigned extra_count;
	struct nested_view view;
};

/* One instruction that runs with our trap flag, for a step of an access or for a debugger. */
struct single_state {
	bool active;
	bool completed; /* the last one was carried out */
	bool refetched; /* it exited and could not be read, and the CPU has fetched it anew */
	bool idt_hidden;
	bool unusual;	    /* its end has more to do than most */
	bool dr6_left;	    /* DR6 is as the guest has it meanwhile */
	bool detects;	    /* DR7.GD, as the guest has it behind the instruction */
	bool branches;	    /* DEBUGCTL.BTF as the guest had it */
	uint32_t flags;	    /* INSN_x of what TF is visible to */
	uint64_t guest_tf;  /* RFLAGS.TF as the guest had it */
	uint64_t dr6;	    /* as the guest had it */
	uint64_t dr6_next;  /* behind the instruction */
	uint64_t saved;	    /* SYSCALL: FMASK, SYSRET: R11, WRMSR: RAX, idt_hidden: IDTR.limit, as the guest had it */
	uint64_t saved_cr4; /* idt_hidden: as the guest had it */
	uint64_t rip;	    /* of the instruction */
	uint64_t next;	    /* behind it; 0: unknown */
	uint8_t *int3;	    /* run control's, which is taken out for it, or NULL */
};

/* The guest's DR0 to DR3, DR6 and DR7 while run control has breakpoints in the CPU's: core/dr.h. */
#define DR_COUNT 6

struct dr_state {
	bool shadowed;
	uint64_t guest[DR_COUNT];
};

/* A guest whose HLT exits: idle.c. */
struct idle_state {
	bool sleeps;	 /* whoever armed it wants the CPU to halt itself, if interrupts can end that */
	bool stopped;	 /* it does: HLT and MWAIT do not exit until one came */
	bool waits;	 /* the guest waits at its HLT, which exits again and again */
	uint8_t length;	 /* of its HLT */
	uint64_t rip;	 /* there */
	bool site_known; /* alarm.c: the HLT at this linear address is one: it has exited */
	gva_t site;
};

/*
 * How often each kind of exit happened. The layout is public: tools read it from outside of the machine at the address
 * that the log names at start.
 */
#define EXIT_STATISTICS_MAGIC	0x54534355u /* "UCST" */
#define EXIT_STATISTICS_VERSION 1
#define EXIT_STATISTICS_HIDDEN	EXIT_KIND_COUNT /* accesses to hidden memory: not an exit of its own */

struct exit_statistics {
	uint32_t magic;
	uint16_t version, count;
	struct {
		char name[16]; /* padded with zeroes */
		uint64_t count;
	} counter[EXIT_KIND_COUNT + 1];
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
	struct event_arrivals arrived;
	struct step_state step;
	struct single_state single;
	struct dr_state dr;
	struct idle_state idle;
	uint32_t refetch_refusals, unreachable_count;
	uint8_t breakpoint_hits; /* DR6.B0 to B3 that the instruction we carried out earned */
	struct debug *debug;	 /* NULL: nothing can stop the guest */
	struct region apic;	 /* watched while other CPUs are hidden */
	const char *fatal;	 /* why run() returned */
	const char *refusal;	 /* EXIT_INVALID: what the CPU did not accept, if the backend knows */
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

/* Logs what the backend knows, every register, the code bytes at RIP and, as the last line, where it is and why. */
void vcpu_dump(struct vcpu *vcpu);

/* The default handler of each exit kind. */
extern const exit_handler_fn exit_defaults[EXIT_KIND_COUNT];

/* Length of the instruction at RIP when the CPU did not tell; 0 if it cannot be read or is none. */
unsigned vcpu_insn_length(struct vcpu *vcpu);

/* vcpu_skip_insn() for the rare cases: RIP carries out of its low 16 bits, or TF or RF is set. */
void vcpu_skip_insn_slow(struct vcpu *vcpu);

/* Moves RIP past the current instruction, as its completion would. The backend has loaded or found out its length. */
static inline void vcpu_skip_insn(struct vcpu *vcpu)
{
	uint64_t next = vcpu->rip + vcpu->exit.length;

	if (__builtin_expect((next ^ vcpu->rip) >> 16 != 0 || (vcpu->rflags & (X86_FLAGS_TF | X86_FLAGS_RF)) != 0, 0))
		vcpu_skip_insn_slow(vcpu);
	else
		vcpu->rip = next;
}

/*
 * The one way an exit takes through core. The backend has loaded the header, rip, rflags and code_flags. Returns
 * non-zero when run() is to return.
 */
static inline int vcpu_exit(struct vcpu *vcpu)
{
	unsigned kind = vcpu->exit.kind;
	enum verdict verdict;

	vcpu->statistics.counter[kind].count++;
	verdict = vcpu->slot[kind](vcpu);
	if (__builtin_expect(verdict == VERDICT_SKIP_INSN, 1))
		vcpu_skip_insn(vcpu);
	else if (verdict != VERDICT_RESUME)
		vcpu_fatal(vcpu, "no handler took the exit");
	if (__builtin_expect(vcpu->work != 0, 0))
		return vcpu_work(vcpu);
	return 0;
}

#endif
