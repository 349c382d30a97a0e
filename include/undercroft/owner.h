/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whoever arms something that costs the guest exits (an intercept, a page protection, a region) is a named owner.
 * Core keeps the counts; backends see only the change from 0 to 1 and back.
 */
#ifndef UNDERCROFT_OWNER_H
#define UNDERCROFT_OWNER_H

#include <undercroft/types.h>

struct vm;
struct vcpu;

struct owner {
	const char *name; /* for the log: "core", "smap", "gdb" */
};

/* What can be intercepted. The meaning of the argument is given per kind. */
enum intercept_kind {
	INTERCEPT_MSR_READ,   /* argument: MSR index */
	INTERCEPT_MSR_WRITE,  /* argument: MSR index */
	INTERCEPT_PORT,	      /* argument: port, 0..0xffff */
	INTERCEPT_EXCEPTION,  /* argument: vector, 0..31 */
	INTERCEPT_NMI,	      /* argument: 0 */
	INTERCEPT_INTR,	      /* argument: 0; EXIT_INTR for each that the guest can take, which still waits then */
	INTERCEPT_IDLE,	      /* argument: 0; HLT and MWAIT */
	INTERCEPT_PAGING,     /* argument: 0; MOV to CR0, CR3, CR4, INVLPG, INVPCID: EXIT_PAGING or EXIT_CR before it */
	INTERCEPT_CR3,	      /* argument: 0; MOV to CR3: EXIT_PAGING before it; where there is no timer */
	INTERCEPT_DR,	      /* argument: 0; MOV to and from debug registers: EXIT_DR before it */
	INTERCEPT_NMI_WINDOW, /* argument: 0; EXIT_WINDOW as soon as the guest can take an NMI; without
				 BACKEND_CAP_NMI_EXITS: EXIT_INTR before the IRET of its NMI handler */
};

#define INTERCEPT_SIMPLE INTERCEPT_NMI /* from here on without an argument; exits ask for them */
#define INTERCEPT_KINDS	 (INTERCEPT_NMI_WINDOW + 1)

struct intercept_arm {
	const struct owner *owner; /* NULL: the slot is free */
	enum intercept_kind kind;
	uint32_t argument;
};

#define INTERCEPT_ARM_MAX 192

struct intercept_table {
	struct intercept_arm arm[INTERCEPT_ARM_MAX];
	uint8_t count[INTERCEPT_KINDS]; /* arms of each kind, whatever their arguments */
};

/*
 * Arms an intercept for an owner. Arming twice by the same owner is one arm too many: -EEXIST.
 * Returns 0, -EEXIST, -ENOSPC (table full), or what the backend's intercept slot returned (-ENOTSUP, -EINVAL).
 */
int intercept_arm(struct vcpu *vcpu, const struct owner *owner, enum intercept_kind kind, uint32_t argument);

/* Takes one arm back. Returns 0 or -ENOENT. */
int intercept_disarm(struct vcpu *vcpu, const struct owner *owner, enum intercept_kind kind, uint32_t argument);

/* How many owners have this intercept armed. */
unsigned intercept_count(const struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument);

/* Disarms and frees everything this owner holds: intercepts and regions. */
void owner_release(struct vcpu *vcpu, const struct owner *owner);

#endif
