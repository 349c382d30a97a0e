/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plants the start stub into the stolen conventional memory. Must not know what is in the stub.
 */
#include <undercroft/errno.h>
#include <undercroft/plan.h>

#include "start.h"

int start_plant(struct plan *plan, bool native, uint16_t *entry_offset, const char **why)
{
	const struct start_request request = {
		.start = plan->config->start,
		.disk = plan->config->disk,
		.boot_disk = plan->machine->boot_disk,
		.present_as_first = plan->config->present_as_first,
		.native = native,
		.vendor = plan->machine->vendor,
	};
	int offset = plan_low_alloc(plan, start_size(), START_ALIGN);
	uint16_t guest_call;
	int error;

	if (offset < 0) {
		*why = "no room for the start code in the conventional memory taken";
		return offset;
	}
	guest_call = start_write(plan->low_image + offset, &request);
	if (!native) {
		error = plan_guest_call(plan, (uint16_t)(offset + guest_call), "start");
		if (error) {
			*why = "too many places that call the hypervisor";
			return error;
		}
	}
	*entry_offset = (uint16_t)offset;
	return 0;
}
