/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has armed which intercept. Must not know what the owners want with them.
 */
#include <undercroft/errno.h>
#include <undercroft/owner.h>
#include <undercroft/region.h>
#include <undercroft/vcpu.h>

static bool has_argument(enum intercept_kind kind)
{
	return kind < INTERCEPT_SIMPLE;
}

static bool arm_is(const struct intercept_arm *arm, enum intercept_kind kind, uint32_t argument)
{
	return arm->owner != NULL && arm->kind == kind && arm->argument == argument;
}

int intercept_arm(struct vcpu *vcpu, const struct owner *owner, enum intercept_kind kind, uint32_t argument)
{
	struct intercept_table *table = &vcpu->vm->intercepts;
	struct intercept_arm *slot = NULL;
	bool first = true;

	if (owner == NULL)
		return -EINVAL;
	for (unsigned i = 0; i < INTERCEPT_ARM_MAX; i++) {
		struct intercept_arm *arm = &table->arm[i];

		if (arm->owner == NULL) {
			if (slot == NULL)
				slot = arm;
		} else if (arm_is(arm, kind, argument)) {
			if (arm->owner == owner)
				return -EEXIST;
			first = false;
		}
	}
	if (slot == NULL)
		return -ENOSPC;
	if (first) {
		int ret = vcpu->backend->intercept(vcpu, kind, argument, true);

		if (ret != 0)
			return ret;
	}
	*slot = (struct intercept_arm){.owner = owner, .kind = kind, .argument = argument};
	table->count[kind]++;
	return 0;
}

static void arm_release(struct vcpu *vcpu, struct intercept_arm *arm)
{
	arm->owner = NULL;
	vcpu->vm->intercepts.count[arm->kind]--;
	/* Turning off what was on cannot be refused. */
	if (intercept_count(vcpu, arm->kind, arm->argument) == 0)
		(void)vcpu->backend->intercept(vcpu, arm->kind, arm->argument, false);
}

int intercept_disarm(struct vcpu *vcpu, const struct owner *owner, enum intercept_kind kind, uint32_t argument)
{
	struct intercept_table *table = &vcpu->vm->intercepts;

	for (unsigned i = 0; i < INTERCEPT_ARM_MAX; i++) {
		struct intercept_arm *arm = &table->arm[i];

		if (arm_is(arm, kind, argument) && arm->owner == owner) {
			arm_release(vcpu, arm);
			return 0;
		}
	}
	return -ENOENT;
}

unsigned intercept_count(const struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument)
{
	const struct intercept_table *table = &vcpu->vm->intercepts;
	unsigned count = 0;

	if (!has_argument(kind))
		return table->count[kind];
	for (unsigned i = 0; i < INTERCEPT_ARM_MAX; i++)
		count += arm_is(&table->arm[i], kind, argument);
	return count;
}

void owner_release(struct vcpu *vcpu, const struct owner *owner)
{
	struct intercept_table *table = &vcpu->vm->intercepts;
	struct region *next;

	/* An unused slot's owner is NULL: it must not look like one of ours. */
	if (owner == NULL)
		return;
	/* Regions first: they give their own intercepts back. */
	for (struct region *region = vcpu->vm->regions.head; region != NULL; region = next) {
		next = region->next;
		if (region->owner == owner)
			(void)region_remove(vcpu, region);
	}
	for (unsigned i = 0; i < INTERCEPT_ARM_MAX; i++) {
		if (table->arm[i].owner == owner)
			arm_release(vcpu, &table->arm[i]);
	}
}
