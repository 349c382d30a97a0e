/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events on their way into the guest: exceptions, NMIs, machine checks and interrupted deliveries. Core arbitrates, the
 * backend's inject slot only carries out. Must not know VMCB or VMCS encodings.
 */
#ifndef UNDERCROFT_EVENT_H
#define UNDERCROFT_EVENT_H

#include <undercroft/types.h>

struct vcpu;

enum event_type {
	EVENT_NONE,
	EVENT_INTR,	   /* external interrupt */
	EVENT_NMI,	   /* non-maskable interrupt */
	EVENT_EXCEPTION,   /* hardware exception */
	EVENT_SOFT_INTR,   /* INT n */
	EVENT_SOFT_EXCEPT, /* INT3, INTO */
};

struct event {
	uint8_t type; /* enum event_type */
	uint8_t vector;
	bool has_error;
	uint8_t length; /* of the instruction, software events only; 0: not known */
	uint32_t error;
	uint64_t address; /* #PF: goes to CR2 at injection */
};

struct event_queue {
	struct event delivery;	/* the CPU was delivering this when it exited; EVENT_NONE if none */
	struct event exception; /* raised by us on the guest's behalf */
	uint8_t nmi;		/* how many are to be delivered when the guest does not block NMIs: at most 2 */
	bool machine_check;	/* to be delivered when nothing else is */
	bool window;		/* INTERCEPT_NMI_WINDOW is armed for one of these two */
	bool shutdown;		/* a fault met the delivery of a double fault: nothing else matters any more */
};

/*
 * Queues an exception for the guest, merging it with what is already under way as the CPU does: benign after
 * contributory replaces, contributory after contributory becomes #DF, a fault while delivering #DF becomes a shutdown.
 * Source: APM vol. 2, "#DF: Double-Fault Exception (Vector 8)" (8.2.9); SDM vol. 3, "Interrupt 8" (6.15), table 6-5.
 */
void event_queue_exception(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error, uint64_t address);

/* Queues #UD, without error code. */
void event_queue_ud(struct vcpu *vcpu);

/* Queues #GP(0). */
void event_queue_gp(struct vcpu *vcpu);

/* Queues the #DB trap behind an instruction. why: the bits of DR6 that say so, of DR6_BS and DR6_B. */
void event_queue_debug_trap(struct vcpu *vcpu, uint64_t why);

/*
 * Queues an NMI. As in a CPU, one can wait for the end of another: so two while the guest does not block NMIs, of which
 * it takes the first at once, else one. SDM vol. 3, "Handling Multiple NMIs" (6.7.1)
 */
void event_queue_nmi(struct vcpu *vcpu);

/* Would event_commit() hand something to the backend now? */
bool event_is_due(struct vcpu *vcpu);

/*
 * Queues a machine check, for which the machine's own registers stand as they are. A guest whose CR4.MCE is off shuts
 * down. SDM vol. 3, "Interrupt 18-Machine-Check Exception (#MC)" (6.15)
 */
void event_queue_machine_check(struct vcpu *vcpu);

/* What arrived while our own code ran, counted by the host's handlers. */
struct event_arrivals {
	uint32_t nmi, machine_check;
};

/*
 * The host's NMI handler: may come between any two instructions of ours. Counts, and asks the backend for an exit, so
 * that nothing has to be looked at on the way into the guest.
 */
void event_nmi_arrived(struct vcpu *vcpu);

/*
 * The same for the host's machine check handler. False: our code cannot go on where it was interrupted
 * (MCG_STATUS.RIPV). SDM vol. 3, "IA32_MCG_STATUS MSR" (15.3.1.2)
 */
bool event_machine_check_arrived(struct vcpu *vcpu);

/* Queues what arrived, and takes over the window that the backend may have opened for it. Returns whether any did. */
bool event_arrivals_collect(struct vcpu *vcpu);

/*
 * Hands the winning event to the backend, at most one per entry. Called behind the work word only. Priority: a shutdown
 * condition, which is handled as EXIT_SHUTDOWN, then an interrupted delivery or the exception that replaced it, then a
 * machine check, then an NMI. Clears WORK_EVENT and WORK_DELIVERY. What has to wait gets a window if the backend has
 * them; else WORK_EVENT stays set, so that it is tried at each exit.
 */
void event_commit(struct vcpu *vcpu);

#endif
