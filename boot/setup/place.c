/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The point of no return: fills the window (the vmm, its page tables, the handoff), plants the resident real-mode code,
 * hides the CPUs, and enters the vmm.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/platform.h>
#include <x86/cr.h>
#include <x86/flags.h>
#include <x86/msr.h>

#include "boot/layout.h"
#include "boot/metal/paging.h"
#include "boot/setup/setup.h"
#include "boot/vmm/image.h"

#define HANDOFF_SIZE KIB(64)

#define BDA_BASE_MEMORY	  0x413
#define BDA_COM_PORTS	  0x400
#define BDA_EQUIPMENT	  0x410
#define EQUIPMENT_COM	  0x0e00u
#define EQUIPMENT_COM_ONE 0x0200u

extern const uint8_t vmm_image[], vmm_image_end[];

/* Copies the vmm to its place and makes its pointers right. *entry is where it starts. */
static int vmm_place(struct setup *setup, paddr_t *image, uint64_t *image_size, uint64_t *entry, const char **why)
{
	const struct vmm_header *header = (const void *)vmm_image;
	paddr_t base = setup->next;

	*why = "The image is damaged: the vmm inside it cannot be placed.";
	if (header->magic != VMM_MAGIC || header->file_size != (size_t)(vmm_image_end - vmm_image) ||
	    header->relocations > header->relocations_end || header->relocations_end > header->file_size)
		return -EINVAL;
	*why = "The reserved memory is too small for the vmm. Raise reserved-size in the configuration.";
	if (header->memory_size > setup->window_end - base)
		return -ENOMEM;
	memcpy((void *)(uintptr_t)base, vmm_image, header->file_size);
	memset((void *)(uintptr_t)(base + header->file_size), 0, header->memory_size - header->file_size);
	*why = "The image is damaged: the vmm inside it has a relocation of an unknown kind.";
	for (uint32_t at = header->relocations; at + sizeof(struct elf_rela) <= header->relocations_end;
	     at += (uint32_t)sizeof(struct elf_rela)) {
		const struct elf_rela *rela = (const void *)(vmm_image + at);

		if (rela->info != ELF_R_X86_64_RELATIVE || rela->offset > header->memory_size - sizeof(uint64_t))
			return -EINVAL;
		*(uint64_t *)(uintptr_t)(base + rela->offset) = base + (uint64_t)rela->addend;
	}
	*image = base;
	*image_size = header->memory_size;
	*entry = base + header->entry;
	setup->next = ALIGN_UP(base + header->memory_size, PAGE_SIZE);
	return 0;
}

/* Real mode at the start stub; everything else as the BIOS and the boot loader left it. */
static void guest_state_fill(struct setup *setup, struct guest_state *state)
{
	static const struct {
		enum reg reg;
		uint32_t msr;
	} msrs[] = {
		{REG_STAR, MSR_STAR},
		{REG_LSTAR, MSR_LSTAR},
		{REG_CSTAR, MSR_CSTAR},
		{REG_FMASK, MSR_FMASK},
		{REG_KERNEL_GS_BASE, MSR_KERNEL_GS_BASE},
		{REG_SYSENTER_CS, MSR_SYSENTER_CS},
		{REG_SYSENTER_ESP, MSR_SYSENTER_ESP},
		{REG_SYSENTER_EIP, MSR_SYSENTER_EIP},
	};
	struct platform *platform = &setup->metal.platform;
	uint16_t cs = setup->plan.low_segment;

	memset(state, 0, sizeof(*state));
	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
		platform->ops->msr_read(platform, msrs[i].msr, &state->reg[msrs[i].reg]);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		state->seg[i] = (struct segment){.limit = 0xffff, .attributes = SEG_ATTR_PRESENT | SEG_ATTR_S | 3};
	state->seg[SEG_CS].attributes = SEG_ATTR_PRESENT | SEG_ATTR_S | SEG_ATTR_CODE | 3;
	state->seg[SEG_CS].selector = cs;
	state->seg[SEG_CS].base = (uint64_t)cs << 4;
	/* after reset: LDT and busy 16/32-bit TSS. APM vol. 2, "Processor Initialization State" (14.1.3) */
	state->seg[SEG_LDTR].attributes = SEG_ATTR_PRESENT | 0x2;
	state->seg[SEG_TR].attributes = SEG_ATTR_PRESENT | 0xb;
	state->reg[REG_RIP] = setup->entry_offset;
	state->reg[REG_RFLAGS] = X86_FLAGS_FIXED;
	state->reg[REG_CR0] = CR0_ET;
	state->reg[REG_DR6] = 0xffff0ff0;
	state->reg[REG_DR7] = 0x400;
	state->reg[REG_GDTR_LIMIT] = 0xffff;
	state->reg[REG_IDTR_LIMIT] = 0x3ff;
	state->reg[REG_PAT] = setup->machine.pat;
}

/* The resident real-mode code and what points to it. */
static void low_memory_plant(const struct plan *plan)
{
	paddr_t low = (paddr_t)plan->low_segment << 4;
	uint16_t base_kib = (uint16_t)(low / KIB(1));

	memcpy((void *)(uintptr_t)low, plan->low_image, sizeof(plan->low_image));
	memcpy((void *)BDA_BASE_MEMORY, &base_kib, sizeof(base_kib));
	for (uint32_t i = 0; i < plan->vector_count; i++) {
		uint16_t *slot = (uint16_t *)(uintptr_t)(plan->vector[i].vector * 4u);
		uint8_t *old = (uint8_t *)(uintptr_t)(low + plan->vector[i].old_vector);

		memcpy(old, slot, 4);
		slot[0] = plan->vector[i].offset;
		slot[1] = plan->low_segment;
	}
}

/* The BIOS counts its serial ports: those we use are not there. */
static void com_port_hide(const struct setup *setup)
{
	uint16_t ports[4], equipment;
	unsigned count = 0;

	if (!setup->frontend_count)
		return;
	memcpy(ports, (const void *)BDA_COM_PORTS, sizeof(ports));
	memcpy(&equipment, (const void *)BDA_EQUIPMENT, sizeof(equipment));
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
		for (unsigned j = 0; j < setup->frontend_count; j++) {
			const struct frontend *frontend = (const void *)setup->frontend[j].memory;

			if (frontend->config.is_port && ports[i] == frontend->config.address)
				ports[i] = 0;
		}
		if (ports[i])
			count++;
	}
	equipment = (uint16_t)((equipment & ~EQUIPMENT_COM) | count * EQUIPMENT_COM_ONE);
	memcpy((void *)BDA_COM_PORTS, ports, sizeof(ports));
	memcpy((void *)BDA_EQUIPMENT, &equipment, sizeof(equipment));
}

static int handoff_fill(struct setup *setup, void *buffer, const struct handoff_placement *placement)
{
	const struct plan *plan = &setup->plan;
	static struct guest_state state;
	static struct handoff_frontend frontend;
	int error = handoff_begin(buffer, HANDOFF_SIZE);

	guest_state_fill(setup, &state);
	error |= handoff_add(buffer, HANDOFF_SIZE, HANDOFF_MACHINE, &setup->machine, sizeof(setup->machine));
	error |= handoff_add(buffer, HANDOFF_SIZE, HANDOFF_PLACEMENT, placement, sizeof(*placement));
	error |= handoff_add(buffer, HANDOFF_SIZE, HANDOFF_GUEST_STATE, &state, sizeof(state));
	for (uint32_t i = 0; i < setup->config.plugin_count; i++)
		error |= handoff_add(buffer, HANDOFF_SIZE, HANDOFF_PLUGIN, &setup->config.plugin[i],
				     sizeof(setup->config.plugin[i]));
	for (uint32_t i = 0; i < plan->guest_call_count; i++) {
		struct handoff_guest_call call = {.address = plan->guest_call[i]};

		memcpy(call.plugin, plan->guest_call_plugin[i], sizeof(call.plugin));
		error |= handoff_add(buffer, HANDOFF_SIZE, HANDOFF_GUEST_CALL, &call, sizeof(call));
	}
	for (unsigned i = 0; i < setup->remap_count; i++)
		error |= handoff_add(buffer, HANDOFF_SIZE, HANDOFF_REMAP, &setup->remap[i], sizeof(setup->remap[i]));
	for (unsigned i = 0; i < setup->frontend_count; i++) {
		struct frontend *open = (void *)setup->frontend[i].memory;

		frontend.config = open->config;
		frontend.roles = setup->frontend[i].roles;
		frontend.state_size = (uint32_t)open->ops->export(open, frontend.state, sizeof(frontend.state));
		error |= handoff_add(buffer, HANDOFF_SIZE, HANDOFF_FRONTEND, &frontend, sizeof(frontend));
	}
	error |= handoff_add(buffer, HANDOFF_SIZE, HANDOFF_CONTROL, &setup->config.control_how,
			     sizeof(setup->config.control_how));
	if (setup->has_font)
		error |= handoff_add(buffer, HANDOFF_SIZE, HANDOFF_FONT, setup->font, sizeof(setup->font));
	return error;
}

/* The vmm's page tables, as the MTRRs are now; too many ranges count as one. Returns the root, or 0: no room. */
static paddr_t page_tables_build(struct setup *setup, paddr_t top)
{
	struct memory_types *types = &setup->memory_types;
	int count = memory_types_resolve(&setup->machine.mtrr, types->range, MEMORY_TYPE_RANGE_MAX);

	types->count = count < 0 ? 0 : (unsigned)count;
	return paging_build_identity(&setup->next, setup->window_end - setup->next, top, setup->machine.pages_1g,
				     types);
}

int place_and_enter(struct setup *setup, const char **why)
{
	const struct plan *plan = &setup->plan;
	struct handoff_placement placement = {0};
	paddr_t top = GIB(4), root, handoff;
	uint64_t entry;
	int error;

	for (uint32_t i = 0; i < setup->machine.memory.count; i++) {
		const struct memory_range *range = &setup->machine.memory.range[i];

		if (range->type == MEMORY_USABLE && range->base + range->length > top)
			top = range->base + range->length;
	}
	top = ALIGN_UP(top, GIB(1));

	setup->next = plan->window;
	setup->window_end = plan->window + plan->window_size;
	memset((void *)(uintptr_t)plan->window, 0, plan->window_size);
	error = vmm_place(setup, &placement.image, &placement.image_size, &entry, why);
	if (error)
		return error;
	*why = "The reserved memory is too small for the page tables. Raise reserved-size in the configuration.";
	root = page_tables_build(setup, top);
	if (!root || setup->window_end - setup->next < HANDOFF_SIZE)
		return -ENOMEM;
	handoff = setup->next;
	setup->next += HANDOFF_SIZE;
	if (setup->machine.cpu_count > 1) {
		error = cpus_hide(setup, why);
		if (error)
			return error;
		placement.hide_cpus = 1;
		log_printf(&setup->log, "setup: %u CPUs; the guest gets one\n", setup->machine.cpu_count);
	}

	if (clock_wanted(setup)) {
		*why = "The reserved memory is too small. Raise reserved-size in the configuration.";
		if (setup->window_end - setup->next < PAGE_SIZE)
			return -ENOMEM;
		placement.clock = setup->next;
		setup->next += PAGE_SIZE;
	}

	placement.window = plan->window;
	placement.window_size = plan->window_size;
	placement.low = (paddr_t)plan->low_segment << 4;
	placement.low_size = sizeof(plan->low_image);
	placement.pool = setup->next;
	strncpy(placement.backend, setup->backend->name, sizeof(placement.backend) - 1);
	*why = "The handoff to the vmm does not fit.";
	if (handoff_fill(setup, (void *)(uintptr_t)handoff, &placement))
		return -ENOSPC;

	low_memory_plant(plan);
	com_port_hide(setup);
	if (placement.clock)
		clock_start(setup, placement.clock, root, placement.image);
	log_printf(&setup->log, "setup: vmm at %llx, %llu KiB; hidden memory %llx..%llx\n",
		   (unsigned long long)placement.image, (unsigned long long)placement.image_size / 1024,
		   (unsigned long long)plan->window, (unsigned long long)(plan->window + plan->window_size - 1));
	screen_leave(&setup->screen);
	setup_enter_vmm(root, entry, handoff, HANDOFF_SIZE, top);
}
