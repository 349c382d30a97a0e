/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's sleep requests. Must not know how the registers and the sleep types were found.
 * Source: ACPI 6.4, "PM1 Status Registers" (4.8.3.1.1), "PM1 Control Registers" (4.8.3.2.1).
 */
#include "core/sleep.h"

#include <undercroft/log.h>
#include <undercroft/machine.h>
#include <undercroft/platform.h>

#define REGISTER_SIZE	   2
#define CONTROL_TYPE_SHIFT 10
#define CONTROL_TYPE_MASK  7u
#define CONTROL_ENABLE	   (1u << 13)
#define STATUS_WAKE	   (1u << 15)

static const struct owner sleep_owner = {.name = "sleep"};

/* The states that end where the vmm is not. S1 keeps the CPU's state, S5 is the end anyway. */
static const uint8_t refused_states[] = {2, 3, 4};

/* The state to refuse that a type asks for, or 0. What could as well mean S5 is let through: it has to work. */
static unsigned refused_state(const struct sleep_control *control, unsigned block, unsigned type)
{
	uint8_t bit = (uint8_t)(1u << type);

	if ((control->types[5][block] | control->types[1][block]) & bit)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(refused_states); i++) {
		if (control->types[refused_states[i]][block] & bit)
			return refused_states[i];
	}
	return 0;
}

static uint64_t status_read(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size)
{
	struct vm *vm = vcpu->vm;
	uint64_t value = vm->platform->ops->port_in(vm->platform, (uint16_t)(region->start + offset), size);

	return value | (vm->sleep.woken ? STATUS_WAKE >> (8 * offset) : 0);
}

static void status_disarm(struct vcpu *vcpu)
{
	for (unsigned block = 0; block < SLEEP_BLOCKS; block++)
		(void)region_remove(vcpu, &vcpu->vm->sleep.status[block]);
	vcpu->vm->sleep.woken = false;
}

/* Writing a 1 clears the bit: the guest has noted that it is awake. */
static void status_write(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	struct vm *vm = vcpu->vm;

	if (value << (8 * offset) & STATUS_WAKE)
		status_disarm(vcpu);
	vm->platform->ops->port_out(vm->platform, (uint16_t)(region->start + offset), size, (uint32_t)value);
}

/* What waits for the machine to sleep waits for the wake status: from now on it reads as set. */
static void wake(struct vcpu *vcpu)
{
	struct sleep_watch *watch = &vcpu->vm->sleep;

	if (watch->woken)
		return;
	watch->woken = true;
	for (unsigned block = 0; block < SLEEP_BLOCKS; block++) {
		if (watch->status[block].length != 0 && region_add(vcpu, &watch->status[block], NULL) != 0)
			log_printf(vcpu->vm->log, "undercroft: sleep: %s cannot be shown to the guest\n",
				   watch->status[block].name);
	}
}

static uint64_t control_read(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size)
{
	struct platform *platform = vcpu->vm->platform;

	return platform->ops->port_in(platform, (uint16_t)(region->start + offset), size);
}

static void control_write(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size, uint64_t value)
{
	struct vm *vm = vcpu->vm;
	unsigned block = (unsigned)(region - vm->sleep.control);
	uint64_t bits = value << (8 * offset);
	unsigned type = (unsigned)(bits >> CONTROL_TYPE_SHIFT) & CONTROL_TYPE_MASK;
	unsigned state = refused_state(&vm->machine->sleep, block, type);

	if ((bits & CONTROL_ENABLE) != 0 && state != 0) {
		log_printf(vm->log, "undercroft: the guest's request for sleep state S%u refused: it wakes at once\n",
			   state);
		value &= ~((uint64_t)CONTROL_ENABLE >> (8 * offset));
		wake(vcpu);
	}
	vm->platform->ops->port_out(vm->platform, (uint16_t)(region->start + offset), size, (uint32_t)value);
}

void sleep_watch(struct vcpu *vcpu)
{
	static const char *const control_name[SLEEP_BLOCKS] = {"PM1a control", "PM1b control"};
	static const char *const status_name[SLEEP_BLOCKS] = {"PM1a status", "PM1b status"};
	const struct sleep_control *control = &vcpu->vm->machine->sleep;
	struct sleep_watch *watch = &vcpu->vm->sleep;

	for (unsigned block = 0; block < SLEEP_BLOCKS; block++) {
		const struct region *conflict = NULL;

		if (control->control_port[block] == 0)
			continue;
		watch->control[block] = (struct region){
			.name = control_name[block],
			.owner = &sleep_owner,
			.space = REGION_PORT,
			.start = control->control_port[block],
			.length = REGISTER_SIZE,
			.read = control_read,
			.write = control_write,
		};
		watch->status[block] = (struct region){
			.name = status_name[block],
			.owner = &sleep_owner,
			.space = REGION_PORT,
			.start = control->status_port[block],
			.length = control->status_port[block] != 0 ? REGISTER_SIZE : 0,
			.read = status_read,
			.write = status_write,
		};
		if (region_add(vcpu, &watch->control[block], &conflict) != 0)
			log_printf(vcpu->vm->log, "undercroft: sleep: %s at %x cannot be watched: %s\n",
				   control_name[block], control->control_port[block],
				   conflict != NULL ? conflict->name : "no room");
	}
}
