/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vmm half of smap: answers interrupt 15h when the resident piece asks. All it knows is what setup left in the
 * resident piece; the guest can change that and so deceive itself, nobody else. Must not know where the piece lies.
 */
#include <undercroft/plugin.h>
#include <string.h>

#include "smap.h"

/* The caller's frame at SS:SP: IP, CS, FLAGS. APM vol. 2, "Real-Mode Interrupt Handling" (8.6) */
#define FRAME_FLAGS 4
#define FLAGS_CF    0x0001u

/* Copies from or to segment:offset, offset within 64 KiB. 0, or -EFAULT with the fault queued for the guest. */
static int guest_copy(struct vcpu *vcpu, enum seg seg, uint64_t offset, void *buffer, size_t length, unsigned access)
{
	struct mem_fault fault = {0};
	gva_t linear;
	int error = mem_linear(vcpu, seg, offset & 0xffff, length, access, &linear, &fault);

	if (!error)
		error = access == ACCESS_WRITE ? mem_write(vcpu, linear, buffer, length, &fault)
					       : mem_read(vcpu, linear, buffer, length, access, &fault);
	if (error)
		event_queue_exception(vcpu, fault.vector, true, fault.error, fault.address);
	return error;
}

static void set16(struct vcpu *vcpu, enum gpr gpr, uint16_t value)
{
	vcpu->gpr[gpr] = (vcpu->gpr[gpr] & ~0xffffull) | value;
}

static void set32(struct vcpu *vcpu, enum gpr gpr, uint32_t value)
{
	vcpu->gpr[gpr] = (vcpu->gpr[gpr] & ~0xffffffffull) | value;
}

/* E820h. 0 with *carry, or -EFAULT with the fault queued. */
static int serve_e820(struct vcpu *vcpu, const struct smap_header *header, bool *carry)
{
	uint32_t index = (uint32_t)vcpu->gpr[GPR_RBX], room = (uint32_t)vcpu->gpr[GPR_RCX];
	uint8_t out[SMAP_RANGE_SIZE_EXT] = {[SMAP_RANGE_SIZE] = SMAP_RANGE_ENABLED};
	uint32_t length = room < SMAP_RANGE_SIZE_EXT ? SMAP_RANGE_SIZE : SMAP_RANGE_SIZE_EXT;
	int error;

	if ((uint32_t)vcpu->gpr[GPR_RDX] != SMAP_SIGNATURE || room < SMAP_RANGE_SIZE || index >= header->count) {
		*carry = true;
		return 0;
	}
	error = guest_copy(vcpu, SEG_CS, header->ranges + index * SMAP_RANGE_SIZE, out, SMAP_RANGE_SIZE, ACCESS_READ);
	if (error)
		return error;
	/* by bytes, as the pure stub does: DI may wrap anywhere */
	for (uint32_t i = 0; i < length && !error; i++)
		error = guest_copy(vcpu, SEG_ES, vcpu->gpr[GPR_RDI] + i, &out[i], 1, ACCESS_WRITE);
	if (error)
		return error;
	set32(vcpu, GPR_RAX, SMAP_SIGNATURE);
	set32(vcpu, GPR_RBX, index + 1 < header->count ? index + 1 : 0);
	set32(vcpu, GPR_RCX, length);
	*carry = false;
	return 0;
}

static enum verdict smap_guest_call(struct plugin_ctx *ctx, struct vcpu *vcpu)
{
	uint16_t ax = (uint16_t)vcpu->gpr[GPR_RAX], flags;
	uint64_t flags_offset = vcpu->gpr[GPR_RSP] + FRAME_FLAGS;
	struct smap_header header;
	bool carry = false;

	(void)ctx;
	if (guest_copy(vcpu, SEG_CS, 0, &header, sizeof(header), ACCESS_READ) ||
	    guest_copy(vcpu, SEG_SS, flags_offset, &flags, sizeof(flags), ACCESS_READ))
		return VERDICT_RESUME;
	if (ax == 0xe820) {
		if (serve_e820(vcpu, &header, &carry))
			return VERDICT_RESUME;
	} else if (ax == 0xe801) {
		set16(vcpu, GPR_RAX, header.kib_below_16m);
		set16(vcpu, GPR_RCX, header.kib_below_16m);
		set16(vcpu, GPR_RBX, header.units_64kib_from_16m);
		set16(vcpu, GPR_RDX, header.units_64kib_from_16m);
	} else if (ax == 0xe881) {
		set32(vcpu, GPR_RAX, header.kib_below_16m);
		set32(vcpu, GPR_RCX, header.kib_below_16m);
		set32(vcpu, GPR_RBX, header.units_64kib_from_16m);
		set32(vcpu, GPR_RDX, header.units_64kib_from_16m);
	} else if (ax >> 8 == 0x88) {
		set16(vcpu, GPR_RAX, header.kib_capped);
	} else if (ax >> 8 == 0x8a) {
		set16(vcpu, GPR_RAX, (uint16_t)header.kib);
		set16(vcpu, GPR_RDX, (uint16_t)(header.kib >> 16));
	} else {
		carry = true;
	}
	if (carry)
		set16(vcpu, GPR_RAX, (uint16_t)(SMAP_UNSUPPORTED << 8 | (ax & 0xff)));
	flags = (uint16_t)(carry ? flags | FLAGS_CF : flags & ~FLAGS_CF);
	if (guest_copy(vcpu, SEG_SS, flags_offset, &flags, sizeof(flags), ACCESS_WRITE))
		return VERDICT_RESUME;
	return VERDICT_SKIP_INSN;
}

static const struct plugin smap = {
	.name = "smap",
	.api_version = PLUGIN_API_VERSION,
	.phase = PLUGIN_EMULATE,
	.guest_call = smap_guest_call,
};

PLUGIN_REGISTER(smap);
