/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one virtual machine and what core knows about it.
 */
#ifndef UNDERCROFT_VM_H
#define UNDERCROFT_VM_H

#include <undercroft/types.h>
#include <undercroft/backend.h>
#include <undercroft/exit.h>
#include <undercroft/memory_type.h>
#include <undercroft/nested.h>
#include <undercroft/owner.h>
#include <undercroft/region.h>
#include <undercroft/sleep.h>

struct alarm;
struct backend_ops;
struct control;
struct log;
struct machine;
struct platform;
struct plugin_registry;
struct vcpu;

#define VM_HIDDEN_MAX	  8
#define VM_GUEST_CALL_MAX 4
#define VM_CPUID_MAX	  12

/* Memory the guest must not see: the one list that nested views, the firmware's memory map and DMA remapping read. */
struct hidden_range {
	gpa_t start;
	uint64_t length;
};

/* A place in guest code from which VMMCALL/VMCALL is ours; from anywhere else it is #UD. */
struct guest_call {
	gva_t address; /* linear, of the instruction */
	char name[32]; /* whose it is: a plugin, or "start" for the start stub's log lines */
};

/* The registers that send the machine to sleep, watched. */
struct sleep_watch {
	struct region control[SLEEP_BLOCKS];
	struct region status[SLEEP_BLOCKS]; /* armed from a refused request until the guest has noted its end */
	bool woken;
};

struct vm {
	const struct backend_ops *backend;
	struct platform *platform;
	struct log *log;
	const struct machine *machine;
	struct alarm *alarm;  /* the backend's timer is another CPU; NULL: it is not */
	uint32_t caps;	      /* BACKEND_CAP_x of this machine */
	uint32_t quirks;      /* QUIRK_x of this machine */
	gpa_t physical_limit; /* 1 << MAXPHYADDR */
	gpa_t map_top;	      /* the base view was made up to here; what lies above is mapped when it is touched */
	/*
	 * Below this, a guest-physical address is a pointer of ours: no hidden memory, everything mapped. 0 where that
	 * is not so, as in hosted tests; then the direct paths are not taken.
	 */
	gpa_t direct_limit;
	struct memory_types types; /* by the guest's MTRRs */
	struct page_pool pool;
	struct nested_view base;
	struct hidden_range hidden[VM_HIDDEN_MAX];
	unsigned hidden_count;
	struct region_list regions;
	struct intercept_table intercepts;
	struct guest_call guest_call[VM_GUEST_CALL_MAX];
	unsigned guest_call_count;
	struct sleep_watch sleep;
	struct region smi_command; /* QUIRK_RSM_SETS_PE */
	bool a20_off;		   /* the guest's address line 20: a20.h */
	bool hide_cpus;		   /* other CPUs exist and the guest must not start them */
	struct cpuid_hidden cpuid_hidden[VM_CPUID_MAX];
	unsigned cpuid_hidden_count;
	struct plugin_registry *plugins;
	struct control *control; /* NULL: nobody controls it */
	struct vcpu *vcpu;
};

/* Does [gpa, gpa + length) touch hidden memory? */
bool vm_hides(const struct vm *vm, gpa_t gpa, uint64_t length);

#endif
