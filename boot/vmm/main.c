/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vmm's wiring: the only place that knows everybody, and the only one with writable globals. Checks the handoff,
 * builds the VM, enters it; shows what went wrong when it comes back.
 */
#include <string.h>

#include <platform/registers.h>
#include <undercroft/alarm.h>
#include <undercroft/errno.h>
#include <undercroft/frontend.h>
#include <undercroft/handoff.h>
#include <undercroft/log.h>
#include <undercroft/plan.h>
#include <undercroft/platform.h>
#include <undercroft/plugin.h>
#include <undercroft/quirk.h>
#include <undercroft/version.h>
#include <x86/msr.h>

#include "boot/metal/cpu.h"
#include "boot/metal/metal.h"
#include "boot/metal/paging.h"
#include "boot/metal/screen.h"
#include "boot/metal/traps.h"
#include "core/apic.h"
#include "core/control/server.h"
#include "core/debug/debug.h"
#include "core/exit.h"
#include "core/memory_type.h"
#include "core/plugin.h"
#include "core/sleep.h"

#define VCPU_SIZE_MAX	    8192
#define FRONTEND_SIZE_MAX   256
#define FRONTEND_REGION_MAX 4
#define FRONTEND_MAX	    2

extern const struct backend_ops *const __start_backends[], *const __stop_backends[];
extern const struct frontend_ops *const __start_frontends[], *const __stop_frontends[];
extern const struct plugin *const __start_plugins[], *const __stop_plugins[];

/* entry.S: where the image begins */
extern const uint8_t vmm_header[];

/* All of the vmm's mutable state that is not the VM's or in the pool. */
static struct {
	struct metal metal;
	struct log log;
	char ring[16384];
	struct screen screen;
	const struct trap_frame *trap[2]; /* exceptions in our own code: the first, and one in what told it */
	unsigned trap_count;
	struct {
		uint64_t memory[FRONTEND_SIZE_MAX / 8]; /* begins with struct frontend */
		struct region region[FRONTEND_REGION_MAX];
	} frontend[FRONTEND_MAX];
	unsigned frontend_count;
	struct frontend_sink log_sink; /* its frontend is NULL if there is none for the log */
	struct link link;	       /* the same if there is no control link */
	struct control_config control;
	struct server server;
	struct debug debug;
	struct machine machine;
	struct vm vm;
	struct trap_gate idt[TRAP_COUNT];
	uint8_t font[SCREEN_FONT_SIZE];
	bool has_font;
	uint8_t vcpu[VCPU_SIZE_MAX] __attribute__((aligned(4096))); /* a backend may keep whole pages in it */
} vmm;

static const struct owner core_owner = {.name = "core"};

static void caps_log(uint32_t caps)
{
	static const struct {
		uint32_t cap;
		const char *name;
	} names[] = {
#define X(symbol, text) {BACKEND_CAP_##symbol, text},
		BACKEND_CAPS(X)
#undef X
	};

	log_printf(&vmm.log, "undercroft: caps:");
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (caps & names[i].cap)
			log_printf(&vmm.log, " %s", names[i].name);
	}
	log_printf(&vmm.log, "\n");
}

void vmm_main(const void *handoff, uint64_t handoff_size, uint64_t mapped);

/* The last words: on the log and on a screen that can be read, whatever the guest made of it. */
static void fatal_screen(void)
{
	if (vmm.log_sink.frontend) {
		/* straight to the wire, whoever is attached: nobody serves a client any more */
		log_sink_remove(&vmm.log, &vmm.link.log);
		log_sink_remove(&vmm.log, &vmm.log_sink.sink);
		log_sink_add(&vmm.log, &vmm.log_sink.sink);
		vmm.log_sink.patience_us = FRONTEND_LAST_WORDS_US;
	}
	screen_init(&vmm.screen, &vmm.machine.framebuffer, vmm.has_font ? vmm.font : NULL);
	screen_take(&vmm.screen, vmm.machine.quirks);
	log_sink_add(&vmm.log, &vmm.screen.sink);
	log_printf(&vmm.log, "Undercroft " UNDERCROFT_VERSION " stopped the machine.\n");
}

static _Noreturn void fatal(const char *why)
{
	fatal_screen();
	log_printf(&vmm.log, "undercroft: fatal: %s\n", why);
	cpu_halt();
}

/* The vCPU is the guest's to be from vcpu_init() on. */
bool trap_take(const struct trap_frame *frame)
{
	struct vcpu *vcpu = vmm.vm.vcpu;

	if (!vcpu || !vcpu->backend)
		return false;
	if (quirk_debug_trap_is_stray(vmm.vm.quirks, frame->vector, frame->rflags))
		return true;
	if (frame->vector == TRAP_NMI) {
		if (!alarm_take(vmm.vm.alarm))
			event_nmi_arrived(vcpu);
		return true;
	}
	return frame->vector == TRAP_MC && event_machine_check_arrived(vcpu);
}

static void trap_tell(const struct trap_frame *frame)
{
	if (frame->vector == TRAP_MC)
		log_printf(&vmm.log,
			   "undercroft: a machine check that our code cannot go on after (MCG_STATUS.RIPV)\n");
	log_printf(&vmm.log, "undercroft: fatal: exception %llu error %llx in the hypervisor at image+%llx\n",
		   (unsigned long long)frame->vector, (unsigned long long)frame->error,
		   (unsigned long long)(frame->rip - (uintptr_t)vmm_header));
	log_printf(&vmm.log, "cr2=%llx rflags=%llx rsp=%llx rbp=%llx\n", (unsigned long long)cpu_cr_get(2),
		   (unsigned long long)frame->rflags, (unsigned long long)frame->rsp, (unsigned long long)frame->rbp);
	log_printf(&vmm.log, "rax=%llx rcx=%llx rdx=%llx rbx=%llx rsi=%llx rdi=%llx\n", (unsigned long long)frame->rax,
		   (unsigned long long)frame->rcx, (unsigned long long)frame->rdx, (unsigned long long)frame->rbx,
		   (unsigned long long)frame->rsi, (unsigned long long)frame->rdi);
	log_printf(&vmm.log, "r8=%llx r9=%llx r10=%llx r11=%llx r12=%llx r13=%llx r14=%llx r15=%llx\n",
		   (unsigned long long)frame->r8, (unsigned long long)frame->r9, (unsigned long long)frame->r10,
		   (unsigned long long)frame->r11, (unsigned long long)frame->r12, (unsigned long long)frame->r13,
		   (unsigned long long)frame->r14, (unsigned long long)frame->r15);
}

void trap_report(const struct trap_frame *frame)
{
	if (vmm.trap_count == ARRAY_SIZE(vmm.trap))
		cpu_halt();
	vmm.trap[vmm.trap_count++] = frame;
	if (vmm.trap_count == 1)
		fatal_screen();
	else
		log_sink_remove(&vmm.log, &vmm.screen.sink);
	for (unsigned i = 0; i < vmm.trap_count; i++)
		trap_tell(vmm.trap[i]);
	cpu_halt();
}

static const void *record_find(const void *handoff, uint32_t type, size_t size)
{
	size_t length;
	const void *record = handoff_find(handoff, type, NULL, &length);

	return record && length >= size ? record : NULL;
}

static const struct backend_ops *backend_find(const char *name)
{
	for (const struct backend_ops *const *ops = __start_backends; ops < __stop_backends; ops++) {
		if (!strcmp((*ops)->name, name))
			return *ops;
	}
	fatal("the backend that setup chose is not in this image");
}

/* NULL: this image has nothing for it, or its state is wrong. */
static struct frontend *frontend_adopt(const struct handoff_frontend *record)
{
	struct frontend *frontend = (void *)vmm.frontend[vmm.frontend_count].memory;
	const struct frontend_ops *ops =
		frontend_find(__start_frontends, (size_t)(__stop_frontends - __start_frontends),
			      record->config.compatible, sizeof(vmm.frontend[0].memory));

	if (!ops)
		return NULL;
	*frontend = (struct frontend){.ops = ops, .platform = &vmm.metal.platform, .config = record->config};
	if (ops->adopt(frontend, record->state, record->state_size))
		return NULL;
	vmm.frontend_count++;
	return frontend;
}

static void frontends_adopt(const void *handoff)
{
	const struct handoff_frontend *record = NULL;
	const struct control_config *control = record_find(handoff, HANDOFF_CONTROL, sizeof(*control));
	size_t length;

	if (control)
		vmm.control = *control;
	while (vmm.frontend_count < FRONTEND_MAX &&
	       (record = handoff_find(handoff, HANDOFF_FRONTEND, record, &length)) != NULL) {
		struct frontend *frontend = length >= sizeof(*record) ? frontend_adopt(record) : NULL;

		if (!frontend)
			continue;
		if (record->roles & FRONTEND_ROLE_CONTROL)
			link_init(&vmm.link, frontend);
		if (!(record->roles & FRONTEND_ROLE_LOG))
			continue;
		frontend_sink_init(&vmm.log_sink, frontend);
		log_sink_add(&vmm.log, record->roles & FRONTEND_ROLE_CONTROL ? &vmm.link.log : &vmm.log_sink.sink);
	}
}

static void guest_memory_build(struct vm *vm, const void *handoff, const struct handoff_placement *placement)
{
	const struct handoff_remap *remap = NULL;
	paddr_t top = 0;
	size_t length;

	for (uint32_t i = 0; i < vm->machine->memory.count; i++) {
		const struct memory_range *range = &vm->machine->memory.range[i];

		if (range->type == MEMORY_USABLE && range->base + range->length > top)
			top = range->base + range->length;
	}
	vm->hidden[vm->hidden_count++] =
		(struct hidden_range){.start = placement->window, .length = placement->window_size};
	vm->direct_limit = placement->window;
	memory_types_init(vm);
	page_pool_init(&vm->pool, placement->pool, placement->window + placement->window_size);
	if (nested_view_init(vm, &vm->base, "base") || nested_build_identity(vm, &vm->base, top))
		fatal("the reserved memory is too small for nested page tables: raise reserved-size");
	while ((remap = handoff_find(handoff, HANDOFF_REMAP, remap, &length)) != NULL) {
		if (nested_map(vm, &vm->base, remap->gpa, PAGE_SIZE, remap->copy, ACCESS_READ | ACCESS_EXEC, 1))
			fatal("the reserved memory is too small for nested page tables: raise reserved-size");
	}
}

static void frontends_hide(struct vcpu *vcpu)
{
	const struct region *conflict;

	for (unsigned i = 0; i < vmm.frontend_count; i++) {
		struct frontend *frontend = (void *)vmm.frontend[i].memory;
		struct region *region = vmm.frontend[i].region;
		unsigned count = frontend->ops->regions(frontend, region, FRONTEND_REGION_MAX);

		if (count > FRONTEND_REGION_MAX)
			fatal("a device of ours has more registers than can be hidden");
		for (unsigned j = 0; j < count; j++) {
			region[j].owner = &core_owner;
			if (region_add(vcpu, &region[j], &conflict))
				fatal("a device of ours cannot be hidden from the guest");
		}
	}
}

static void msr_intercept(struct vcpu *vcpu, uint32_t msr)
{
	if (intercept_arm(vcpu, &core_owner, INTERCEPT_MSR_READ, msr) ||
	    intercept_arm(vcpu, &core_owner, INTERCEPT_MSR_WRITE, msr))
		fatal("an intercept that protects the hypervisor cannot be armed");
}

/* A client may attach: from the first instruction on if the guest is to wait for it. */
static void control_start(struct vcpu *vcpu)
{
	if (!vmm.link.frontend)
		return;
	debug_init(vcpu, &vmm.debug);
	server_init(&vmm.server, vcpu, &vmm.link, vmm.control.attach == ATTACH_ALWAYS);
	server_silence_limit(&vmm.server, vmm.control.silence_timeout_ms);
	if (!vmm.control.start_stopped)
		return;
	server_wait_at_start(&vmm.server, vmm.control.start_stopped_timeout_ms);
	vcpu_work(vcpu);
}

/* What the guest must not do to the extension that it runs on, whoever else arms what. */
static void intercepts_arm(struct vcpu *vcpu)
{
	static const struct {
		enum intercept_kind kind;
		uint32_t msr;
	} always[] = {
		{INTERCEPT_MSR_READ, MSR_RTIT_CTL},	   {INTERCEPT_MSR_WRITE, MSR_RTIT_CTL},
		{INTERCEPT_MSR_READ, MSR_DS_AREA},	   {INTERCEPT_MSR_WRITE, MSR_DS_AREA},
		{INTERCEPT_MSR_READ, MSR_PEBS_ENABLE},	   {INTERCEPT_MSR_WRITE, MSR_PEBS_ENABLE},
		{INTERCEPT_MSR_READ, MSR_PEBS_BASE},	   {INTERCEPT_MSR_WRITE, MSR_PEBS_BASE},
		{INTERCEPT_MSR_READ, MSR_PEBS_INDEX},	   {INTERCEPT_MSR_WRITE, MSR_PEBS_INDEX},
		{INTERCEPT_MSR_READ, MSR_VM_CR},	   {INTERCEPT_MSR_WRITE, MSR_VM_CR},
		{INTERCEPT_MSR_READ, MSR_VM_HSAVE_PA},	   {INTERCEPT_MSR_WRITE, MSR_VM_HSAVE_PA},
		{INTERCEPT_MSR_READ, MSR_SVM_KEY},	   {INTERCEPT_MSR_WRITE, MSR_SVM_KEY},
		{INTERCEPT_MSR_WRITE, MSR_UCODE_WRITE},	   {INTERCEPT_MSR_WRITE, MSR_AMD_PATCH_LOADER},
		{INTERCEPT_MSR_WRITE, MSR_APIC_BASE},	   {INTERCEPT_MSR_WRITE, MSR_SYSCFG},
		{INTERCEPT_MSR_WRITE, MSR_IORR_BASE0},	   {INTERCEPT_MSR_WRITE, MSR_IORR_MASK0},
		{INTERCEPT_MSR_WRITE, MSR_IORR_BASE1},	   {INTERCEPT_MSR_WRITE, MSR_IORR_MASK1},
		{INTERCEPT_MSR_WRITE, MSR_TOP_MEM},	   {INTERCEPT_MSR_WRITE, MSR_TOP_MEM2},
		{INTERCEPT_MSR_WRITE, MSR_MMIO_CFG_BASE},  {INTERCEPT_MSR_WRITE, MSR_SMM_BASE},
		{INTERCEPT_MSR_WRITE, MSR_SMM_ADDR},	   {INTERCEPT_MSR_WRITE, MSR_SMM_MASK},
		{INTERCEPT_MSR_READ, MSR_FEATURE_CONTROL}, {INTERCEPT_MSR_WRITE, MSR_FEATURE_CONTROL},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(always); i++) {
		if (intercept_arm(vcpu, &core_owner, always[i].kind, always[i].msr))
			fatal("an intercept that protects the hypervisor cannot be armed");
	}
	for (uint32_t msr = MSR_VMX_BASIC; msr <= MSR_VMX_LAST; msr++)
		msr_intercept(vcpu, msr);
	if (!(vcpu->vm->caps & BACKEND_CAP_EFER))
		msr_intercept(vcpu, MSR_EFER);
}

void vmm_main(const void *handoff, uint64_t handoff_size, uint64_t mapped)
{
	const struct handoff_placement *placement;
	const struct handoff_guest_call *call = NULL;
	const struct guest_state *state;
	const struct machine *machine;
	const uint8_t *font;
	struct vcpu *vcpu = (void *)vmm.vcpu;
	struct vm *vm = &vmm.vm;
	const char *why;
	size_t length;

	traps_init(vmm.idt);
	if (handoff_check(handoff, handoff_size))
		fatal("the handoff is damaged");
	machine = record_find(handoff, HANDOFF_MACHINE, sizeof(*machine));
	placement = record_find(handoff, HANDOFF_PLACEMENT, sizeof(*placement));
	state = record_find(handoff, HANDOFF_GUEST_STATE, sizeof(*state));
	font = record_find(handoff, HANDOFF_FONT, sizeof(vmm.font));
	if (!machine || !placement || !state)
		fatal("the handoff lacks a record");
	vmm.machine = *machine;
	if (font) {
		memcpy(vmm.font, font, sizeof(vmm.font));
		vmm.has_font = true;
	}
	metal_init(&vmm.metal, machine->tsc_mhz, mapped);
	vmm.metal.alias = PAGING_ALIAS;
	vmm.log.ring = vmm.ring;
	vmm.log.ring_size = sizeof(vmm.ring);
	frontends_adopt(handoff);

	vm->backend = backend_find(placement->backend);
	vm->platform = &vmm.metal.platform;
	vm->log = &vmm.log;
	vm->machine = &vmm.machine;
	vm->caps = vm->backend->caps(vm->platform);
	vm->quirks = machine->quirks;
	vm->physical_limit = 1ull << machine->physical_address_bits;
	if (vm->backend->cpuid_hidden)
		vm->cpuid_hidden_count = vm->backend->cpuid_hidden(vm->platform, vm->cpuid_hidden, VM_CPUID_MAX);
	vm->hide_cpus = placement->hide_cpus;
	if (placement->clock && alarm_runs((void *)(uintptr_t)placement->clock)) {
		vm->alarm = (void *)(uintptr_t)placement->clock;
		vm->caps |= BACKEND_CAP_TIMER;
	}
	vm->vcpu = vcpu;
	guest_memory_build(vm, handoff, placement);
	while (vm->guest_call_count < VM_GUEST_CALL_MAX &&
	       (call = handoff_find(handoff, HANDOFF_GUEST_CALL, call, &length)) != NULL) {
		struct guest_call *entry = &vm->guest_call[vm->guest_call_count++];

		entry->address = call->address;
		strncpy(entry->name, call->plugin, sizeof(entry->name) - 1);
	}

	if (vm->backend->vcpu_size > sizeof(vmm.vcpu))
		fatal("the backend's vCPU is larger than its place");
	vcpu_init(vcpu, vm);
	if (vm->backend->vcpu_init(vcpu) || step_init(vcpu))
		fatal("the reserved memory is too small for a vCPU: raise reserved-size");
	intercepts_arm(vcpu);
	if (memory_types_watch(vcpu))
		fatal("the memory type registers cannot be watched");
	frontends_hide(vcpu);
	sleep_watch(vcpu);
	quirks_watch(vcpu);
	if (vm->hide_cpus && apic_hide_cpus(vcpu))
		fatal("the local APIC cannot be watched");
	if (plugin_registry_init(vcpu, __start_plugins, (size_t)(__stop_plugins - __start_plugins), handoff))
		fatal("the reserved memory is too small for the plugins: raise reserved-size");
	if (vm->backend->cpu_enable(vcpu))
		fatal("the CPU refused to turn its virtualisation extension on");
	vcpu_state_set(vcpu, state);
	vcpu->work = 0;
	if (event_arrivals_collect(vcpu))
		event_commit(vcpu);
	vm->backend->nested_activate(vcpu, &vm->base);

	caps_log(vm->caps);
	log_printf(&vmm.log, "undercroft: stats at 0x%llx size %u format %u\n",
		   (unsigned long long)(uintptr_t)&vcpu->statistics, (unsigned)sizeof(vcpu->statistics),
		   EXIT_STATISTICS_VERSION);
	log_printf(&vmm.log, "undercroft: %u KiB free; the guest starts at %04x:%04llx\n", vm->pool.available * 4,
		   state->seg[SEG_CS].selector, (unsigned long long)vcpu->rip);
	control_start(vcpu);
	vm->backend->run(vcpu);

	fatal_screen();
	why = vcpu->fatal ? vcpu->fatal : "the guest's loop ended";
	log_printf(&vmm.log, "undercroft: fatal: %s\n", why);
	vcpu_dump(vcpu);
	/* again, because a screen lost the first lines */
	log_printf(&vmm.log, "Undercroft stopped the machine: %s.\n", why);
	cpu_halt();
}
