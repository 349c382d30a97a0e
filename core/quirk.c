/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What emulators need from the vmm. Must not know how they are recognised.
 */
#include <undercroft/quirk.h>

#include <undercroft/log.h>
#include <undercroft/machine.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>
#include <x86/flags.h>

#define VECTOR_DB 1

static const struct owner quirk_owner = {.name = "quirk"};

bool quirk_debug_trap_is_stray(uint32_t quirks, uint64_t vector, uint64_t rflags)
{
	return quirks & QUIRK_STRAY_DEBUG_TRAP && vector == VECTOR_DB && !(rflags & X86_FLAGS_TF);
}

static uint64_t smi_command_read(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size)
{
	struct platform *platform = vcpu->vm->platform;

	(void)offset;
	return platform->ops->port_in(platform, (uint16_t)region->start, size);
}

/* The SMI comes from here, and goes back to here: to protected mode. */
static void smi_command_write(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	struct platform *platform = vcpu->vm->platform;

	(void)offset;
	platform->ops->port_out(platform, (uint16_t)region->start, size, (uint32_t)value);
}

void quirks_watch(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	const struct region *conflict = NULL;

	if (!(vm->quirks & QUIRK_RSM_SETS_PE) || vm->machine->smi_command == 0)
		return;
	vm->smi_command = (struct region){
		.name = "SMI command",
		.owner = &quirk_owner,
		.space = REGION_PORT,
		.start = vm->machine->smi_command,
		.length = 1,
		.read = smi_command_read,
		.write = smi_command_write,
	};
	if (region_add(vcpu, &vm->smi_command, &conflict) != 0)
		log_printf(vm->log, "undercroft: quirk: the SMI command port %x cannot be watched: %s\n",
			   vm->machine->smi_command, conflict != NULL ? conflict->name : "no room");
}
