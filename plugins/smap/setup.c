/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The setup half of smap: puts the resident piece and the guest's memory map into the stolen conventional memory and
 * points interrupt 15h at it. Must not know which of the two resident pieces is linked.
 */
#include <undercroft/plugin.h>
#include <string.h>

#include "smap.h"

#define REAL_MODE_PARAGRAPH 16

/* VMMCALL (0F 01 D9) and VMCALL (0F 01 C1) differ in the last byte. APM vol. 3, "VMMCALL"; SDM vol. 3, "VMCALL" */
#define CALL_LAST_BYTE_AMD   0xd9
#define CALL_LAST_BYTE_INTEL 0xc1

static int smap_parse(const void *fdt, int node, void *params, struct config_error *error)
{
	static const char *const none[] = {NULL};

	(void)params;
	return node < 0 ? 0 : config_expect_properties(fdt, node, none, error);
}

static int smap_prepare(struct plan *plan, const void *params, const char **why)
{
	size_t code_size = (size_t)(smap_stub_end - smap_stub);
	size_t size = code_size + plan->guest_memory.count * sizeof(struct smap_range);
	struct smap_header header;
	int offset, error;

	(void)params;
	offset = plan_low_alloc(plan, size, REAL_MODE_PARAGRAPH);
	if (offset < 0) {
		*why = "smap: the memory map has too many ranges for the conventional memory taken";
		return offset;
	}
	memcpy(&header, smap_stub, sizeof(header));
	header.enter_segment = (uint16_t)(plan->low_segment + offset / REAL_MODE_PARAGRAPH);
	header.count = (uint16_t)plan->guest_memory.count;
	header.ranges = (uint16_t)code_size;
	smap_answer_sizes(&plan->guest_memory, &header);

	uint8_t *image = plan->low_image + offset;

	memcpy(image, smap_stub, code_size);
	memcpy(image, &header, sizeof(header));
	for (uint32_t i = 0; i < plan->guest_memory.count; i++) {
		struct smap_range range = smap_answer_range(&plan->guest_memory.range[i]);

		memcpy(image + code_size + i * sizeof(range), &range, sizeof(range));
	}
	if (header.guest_call) {
		image[header.guest_call + 2] =
			plan->machine->vendor == CPU_VENDOR_INTEL ? CALL_LAST_BYTE_INTEL : CALL_LAST_BYTE_AMD;
		error = plan_guest_call(plan, (uint16_t)(offset + header.guest_call), "smap");
		if (error) {
			*why = "smap: too many places that call the hypervisor";
			return error;
		}
	}
	error = plan_vector_hook(plan, 0x15, (uint16_t)offset, (uint16_t)(offset + SMAP_OLD_VECTOR));
	if (error)
		*why = "smap: interrupt 15h cannot be hooked";
	return error;
}

static const struct plugin_setup smap_setup = {
	.name = "smap",
	.compatible = "undercroft,smap",
	.params_size = 0,
	.parse = smap_parse,
	.prepare = smap_prepare,
};

PLUGIN_SETUP_REGISTER(smap_setup);
