/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/insn.c on any bytes in any mode: no crash, a length of 1 to 15 or a refusal, and both ways to a length agree.
 * Input: a byte that chooses the mode, a byte that places RIP before the end of the fetchable code, then code.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/insn.h>
#include <undercroft/machine.h>

#include "tests/fakes/fake_backend.h"

#define CODE 0x8000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_vm fake;
	static struct machine machine = {
		.memory = {.count = 1, .range = {{.base = 0, .length = 0xa0000, .type = MEMORY_USABLE}}}};
	static bool made;
	struct vcpu *vcpu = &fake.vcpu.vcpu;
	uint8_t mode, room, *code;
	struct insn insn;
	unsigned length;
	int error;

	if (!made) {
		fake_vm_init(&fake, KIB(640), 0, 0);
		fake.vm.machine = &machine;
		made = true;
	}
	if (size < 2)
		return 0;
	mode = data[0];
	room = (uint8_t)(data[1] % 16 + 1);
	data += 2;
	size = size - 2 < room ? size - 2 : room;

	/* The segment ends behind the room, so that every truncation is met. */
	fake.vcpu.reg[REG_CR0] = mode & 1 ? CR0_PE : 0;
	fake.vcpu.reg[REG_EFER] = 0;
	fake.vcpu.seg[SEG_CS].base = 0;
	fake.vcpu.seg[SEG_CS].limit = (uint32_t)CODE + room - 1;
	fake.vcpu.seg[SEG_CS].attributes =
		(uint16_t)(SEG_ATTR_PRESENT | SEG_ATTR_S | SEG_ATTR_CODE | 3 | (mode & 2 ? SEG_ATTR_DB : 0));
	fake.vcpu.seg[SEG_SS].attributes = (uint16_t)(SEG_ATTR_PRESENT | SEG_ATTR_S | 3 | (mode & 4 ? SEG_ATTR_DB : 0));
	vcpu->code_flags = mode & 2 ? SEG_ATTR_DB : 0;
	if (mode & 8) {
		vcpu->code_flags = SEG_ATTR_L;
		fake.vcpu.reg[REG_EFER] = EFER_LMA;
	}
	vcpu->rip = CODE;
	code = fake_memory_at(&fake.platform, CODE, 16);
	memset(code, 0xcc, 16);
	memcpy(code, data, size);

	length = vcpu_insn_length(vcpu);
	require(length <= INSN_LENGTH_MAX && length <= room);
	error = insn_decode(vcpu, &insn);
	require(error == 0 || error == -EINVAL || error == -EFAULT);
	if (error == 0) {
		require(insn.length >= 1 && insn.length == length);
		require(memcmp(insn.bytes, code, insn.length) == 0);
		require(!(insn.flags & INSN_REP) || (insn.flags & INSN_STRING));
		require(!insn.memory_size || (insn.flags & (INSN_READS_MEMORY | INSN_WRITES_MEMORY)));
	}
	return 0;
}
