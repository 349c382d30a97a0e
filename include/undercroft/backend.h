/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of a virtualisation extension. One const table per vendor; core picks strategies by caps, never by
 * vendor. Slots act on a vCPU only from its own CPU. A backend's own vCPU structure begins with struct vcpu.
 */
#ifndef UNDERCROFT_BACKEND_H
#define UNDERCROFT_BACKEND_H

#include <undercroft/types.h>
#include <undercroft/event.h>
#include <undercroft/exit.h>
#include <undercroft/nested.h>
#include <undercroft/owner.h>
#include <undercroft/regs.h>

struct platform;
struct vm;

/* What this CPU's extension can do beyond the minimum. */
#define BACKEND_CAP_NRIP       0x01u /* exits tell the next RIP */
#define BACKEND_CAP_ASSISTS    0x02u /* exits bring instruction bytes */
#define BACKEND_CAP_PAGES_1G   0x04u /* nested tables take 1 GiB pages */
#define BACKEND_CAP_NMI_EXITS  0x08u /* each NMI exits and is then ours to deliver; INTERCEPT_NMI_WINDOW works */
#define BACKEND_CAP_SYSCALL_64 0x10u /* CPUID shows SYSCALL in 64-bit mode alone */
#define BACKEND_CAP_TIMER      0x20u /* the timer slot works */
#define BACKEND_CAP_EFER       0x40u /* EFER is switched with the guest and has nothing of ours in it */
#define BACKEND_CAP_EXEC_ONLY  0x80u /* nested entries may allow execution alone */

/* X(symbol, name in the log) */
#define BACKEND_CAPS(X)             \
	X(NRIP, "nrip")             \
	X(ASSISTS, "assists")       \
	X(PAGES_1G, "1g-pages")     \
	X(NMI_EXITS, "nmi-exits")   \
	X(SYSCALL_64, "syscall-64") \
	X(TIMER, "timer")           \
	X(EFER, "efer")             \
	X(EXEC_ONLY, "exec-only")

enum tlb_scope {
	TLB_FLUSH_GUEST, /* everything of this guest */
};

#define CPUID_ANY_SUBLEAF 0xffffffffu

/* Bits of CPUID that the guest must not see, because it cannot use what they stand for. */
struct cpuid_hidden {
	uint32_t leaf, subleaf; /* subleaf: or CPUID_ANY_SUBLEAF */
	uint8_t gpr;		/* enum gpr: where CPUID returns them */
	uint32_t bits;
};

/* The setup tier's half: which backend can this machine run? */
struct backend_probe {
	const char *name; /* the backend_ops' */
	bool needs_clock; /* its timer is another CPU: struct alarm */

	/*
	 * Can this CPU do it? 0, or -ENODEV with *why and *cure set to sentences for the user; -ENOTSUP when it is
	 * another vendor's CPU. Changes nothing.
	 */
	int (*supported)(struct platform *platform, const char **why, const char **cure);
};

#define BACKEND_PROBE_REGISTER(probe)                                  \
	static const struct backend_probe *const backend_probe_##probe \
		__attribute__((used, section("backend_probes"), aligned(sizeof(void *)))) = &(probe)

struct backend_ops {
	const char *name;    /* "svm", "vmx" */
	size_t vcpu_size;    /* bytes of the backend's vCPU structure, which begins with struct vcpu */
	unsigned vcpu_pages; /* 4 KiB pages vcpu_init takes from the pool */

	/* The CPU's BACKEND_CAP_x bits. */
	uint32_t (*caps)(struct platform *platform);

	/*
	 * The CPUID bits of instructions that this CPU executes, but not in a guest. Writes at most max entries,
	 * returns how many. May be NULL: none.
	 */
	unsigned (*cpuid_hidden)(struct platform *platform, struct cpuid_hidden *out, unsigned max);

	/* Turns the extension on for this CPU. 0 or -EIO. */
	int (*cpu_enable)(struct vcpu *vcpu);

	/* Allocates and fills the vendor's control structures for a vCPU whose vm is set up. 0 or -ENOMEM. */
	int (*vcpu_init)(struct vcpu *vcpu);

	/* Enters the guest and stays until vcpu_exit() returns non-zero. */
	void (*run)(struct vcpu *vcpu);

	/* Loads vcpu->detail for the kinds that have one. */
	void (*decode_detail)(struct vcpu *vcpu);

	/* Guest state. GPRs, RIP and RFLAGS live in struct vcpu; everything else goes through these. */
	uint64_t (*reg_get)(struct vcpu *vcpu, enum reg reg);
	void (*reg_set)(struct vcpu *vcpu, enum reg reg, uint64_t value);
	void (*seg_get)(struct vcpu *vcpu, enum seg seg, struct segment *out);
	void (*seg_set)(struct vcpu *vcpu, enum seg seg, const struct segment *value);

	/* The guest's DEBUGCTL, 0 if the CPU has none. What is set has been accepted by the CPU before. */
	uint64_t (*debugctl_get)(struct vcpu *vcpu);
	void (*debugctl_set)(struct vcpu *vcpu, uint64_t value);

	/* Turns one intercept on or off. 0, -EINVAL or -ENOTSUP. Called on 0 <-> 1 only. */
	int (*intercept)(struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument, bool on);

	/* Makes the next entry deliver this event; one per entry. */
	void (*inject)(struct vcpu *vcpu, const struct event *event);

	/* One nested table entry at a level (1..4). */
	uint64_t (*nested_encode)(const struct nested_entry *entry, unsigned level);
	void (*nested_decode)(uint64_t raw, unsigned level, struct nested_entry *entry);

	/* The next entry uses this view. Flushes what has to be flushed. */
	void (*nested_activate)(struct vcpu *vcpu, const struct nested_view *view);
	void (*tlb_flush)(struct vcpu *vcpu, enum tlb_scope scope);

	/*
	 * on: the next entry executes one instruction and exits with EXIT_EXCEPTION; exceptions of any vector exit,
	 * interrupts and NMIs stay pending. off: back to normal. The guest's own TF is kept by core, and
	 * vcpu->single says already what is to be, where the instruction is and, off, whether it was carried out.
	 */
	void (*step)(struct vcpu *vcpu, bool on);

	/*
	 * Something for the guest arrived while our code ran: the next entry exits with EXIT_WINDOW as soon as the
	 * guest can take an NMI. The one slot that may be called at any moment, between any two instructions of the
	 * others. May be NULL: the CPU holds back what could arrive.
	 */
	void (*kick)(struct vcpu *vcpu);

	/*
	 * Asks for one EXIT_TIMER after the guest has run for that long from now; our own time does not count. Replaces
	 * what was asked for before; 0: no more. What is more than the CPU can count ends early. Returns 0, or -ENOTSUP
	 * without BACKEND_CAP_TIMER, or if it was lost. May be NULL then. Where the VM has an alarm, that is the timer:
	 * our own time counts, and the exit is an EXIT_NMI.
	 */
	int (*timer)(struct vcpu *vcpu, uint64_t microseconds);

	/*
	 * After EXIT_INTR: the guest takes the interrupt that waits, and the next EXIT_INTR comes when it could take
	 * another, whether there is one or not. After another exit: the next one comes only if there is one. May be
	 * NULL: INTERCEPT_INTR and INTERCEPT_IDLE are not supported.
	 */
	void (*interrupt_pass)(struct vcpu *vcpu);

	/* Lets SMIs and NMIs in that wait while our code runs. May be NULL: none do, and the VM has no alarm. */
	void (*admit)(struct vcpu *vcpu);

	/* Logs what only the vendor knows about a vCPU. */
	void (*dump)(struct vcpu *vcpu);
};

/* A backend is announced in the linker set "backends". */
#define BACKEND_REGISTER(ops)                                \
	static const struct backend_ops *const backend_##ops \
		__attribute__((used, section("backends"), aligned(sizeof(void *)))) = &(ops)

#endif
