/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions about the VM as a whole. Must not know vCPUs.
 */
#include <undercroft/vm.h>

bool vm_hides(const struct vm *vm, gpa_t gpa, uint64_t length)
{
	for (unsigned i = 0; i < vm->hidden_count; i++) {
		const struct hidden_range *hidden = &vm->hidden[i];

		/* Differences, not sums: gpa + length may wrap around. */
		if (gpa >= hidden->start ? gpa - hidden->start < hidden->length && length != 0
					 : hidden->start - gpa < length && hidden->length != 0)
			return true;
	}
	return false;
}
