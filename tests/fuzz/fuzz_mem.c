/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/mem.c on guest memory full of anything, whose tables point at each other, at hidden memory and beyond: no crash,
 * no endless walk, nothing hidden read or changed. Input: a header of registers, then the content of four pages,
 * spread.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/mem.h>
#include <undercroft/machine.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>

#include "tests/fakes/fake_backend.h"

#define PAGES  4
#define HIDDEN (PAGES * PAGE_SIZE)
#define SECRET 0x5a

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct header {
	uint64_t cr3, address;
	uint16_t length;
	uint8_t control, user;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_vm fake;
	static struct machine machine = {
		.memory = {.count = 1, .range = {{.base = 0, .length = HIDDEN + PAGE_SIZE, .type = MEMORY_USABLE}}}};
	static uint8_t buffer[PAGE_SIZE];
	static bool made;
	struct vcpu *vcpu = &fake.vcpu.vcpu;
	struct mem_fault fault;
	struct header h;
	uint8_t *memory;
	gva_t linear;

	if (!made) {
		fake_vm_init(&fake, HIDDEN + PAGE_SIZE, 0, 0);
		fake.vm.machine = &machine;
		fake.vm.hidden[0] = (struct hidden_range){HIDDEN, PAGE_SIZE};
		fake.vm.hidden_count = 1;
		made = true;
	}
	if (size < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	data += sizeof(h);
	size -= sizeof(h);

	memory = fake_memory_at(&fake.platform, 0, HIDDEN + PAGE_SIZE);
	memset(memory, 0, HIDDEN);
	memset(memory + HIDDEN, SECRET, PAGE_SIZE);
	/* Each 8 bytes of input become one entry; the first and last entries of a page are the ones most walked. */
	for (size_t i = 0; i + 8 <= size && i / 8 < PAGES * 4; i += 8) {
		static const unsigned slot[] = {0, 1, 510, 511};

		memcpy(memory + i / 32 * PAGE_SIZE + slot[i / 8 % 4] * 8, data + i, 8);
	}
	fake.vcpu.reg[REG_CR0] = CR0_PE | CR0_PG | (h.control & 1 ? CR0_WP : 0);
	fake.vcpu.reg[REG_CR3] = h.cr3;
	fake.vcpu.reg[REG_CR4] = (h.control & 2 ? CR4_PSE : 0) | (h.control & 4 ? CR4_SMEP | CR4_SMAP : 0) |
				 (h.control & 8 ? CR4_PAE : 0) | (h.control & 16 ? CR4_LA57 : 0);
	fake.vcpu.reg[REG_EFER] = h.control & 32 ? EFER_NXE : 0;
	vcpu->code_flags = SEG_ATTR_DB;
	if ((h.control & 8) && (h.control & 64)) {
		fake.vcpu.reg[REG_EFER] |= EFER_LME | EFER_LMA;
		vcpu->code_flags = SEG_ATTR_L;
	}
	fake.vcpu.reg[REG_CPL] = h.user & 3;
	h.length %= PAGE_SIZE + 1;

	(void)mem_linear(vcpu, SEG_DS, h.address, h.length, ACCESS_READ, &linear, &fault);
	memset(buffer, 0, sizeof(buffer));
	if (mem_read(vcpu, h.address, buffer, h.length, ACCESS_READ, &fault) == 0) {
		unsigned run = 0;

		/* The input is too short for that many in a row: they can only have come from the hidden page. */
		for (unsigned i = 0; i < h.length; i++) {
			run = buffer[i] == SECRET ? run + 1 : 0;
			if (run > 200)
				abort();
		}
	}
	memset(buffer, 0xa5, sizeof(buffer));
	(void)mem_write(vcpu, h.address, buffer, h.length, &fault);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		require(memory[HIDDEN + i] == SECRET);
	return 0;
}
