/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address line 20 as an alias in the base view. Must not know how it is switched, nor what traps where.
 */
#include <undercroft/a20.h>

#include <undercroft/region.h>
#include <undercroft/vcpu.h>

int a20_set(struct vcpu *vcpu, bool on)
{
	struct vm *vm = vcpu->vm;
	int ret;

	if (vm->a20_off == !on)
		return 0;
	vm->a20_off = !on;
	ret = region_pages_update(vcpu, A20_WINDOW, A20_WINDOW_SIZE);
	if (ret != 0) {
		vm->a20_off = on;
		(void)region_pages_update(vcpu, A20_WINDOW, A20_WINDOW_SIZE); /* what was split stays split */
	}
	return ret;
}
