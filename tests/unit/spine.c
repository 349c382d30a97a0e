/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM that the exit spine's tests share. Must not know any test.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/insn.h>
#include <x86/cr.h>

#include "core/exit.h"
#include "tests/unit/spine.h"

#define PTE_TREE  0x07ull /* present, writable, user */
#define PTE_LARGE 0x80ull

void spine_init(struct spine *spine)
{
	struct fake_vm *fake = &spine->fake;

	memset(spine, 0, sizeof(*spine));
	fake_vm_init(fake, SPINE_MEMORY, SPINE_HIDDEN + PAGE_SIZE, 128);
	fake->vcpu.vcpu.rip = SPINE_CODE;
	fake->vcpu.seg[SEG_CS].base = 0;
	fake->vcpu.seg[SEG_CS].selector = 0;
	fake->log.ring = spine->log;
	fake->log.ring_size = sizeof(spine->log) - 1;
	spine->machine.memory = (struct memory_map){.count = 1, .range = {{0, SPINE_MEMORY, MEMORY_USABLE, 0}}};
	fake->vm.machine = &spine->machine;
	fake->vm.hidden[0] = (struct hidden_range){SPINE_HIDDEN, MIB(1)};
	fake->vm.hidden_count = 1;
	vcpu_init(&fake->vcpu.vcpu, &fake->vm);
	if (nested_view_init(&fake->vm, &fake->vm.base, "base") ||
	    nested_build_identity(&fake->vm, &fake->vm.base, SPINE_MEMORY) || step_init(&fake->vcpu.vcpu))
		abort();
	fake_backend.nested_activate(&fake->vcpu.vcpu, &fake->vm.base);
}

void spine_free(struct spine *spine)
{
	fake_vm_free(&spine->fake);
}

int spine_setup(void **state)
{
	spine_init(*state);
	return 0;
}

int spine_teardown(void **state)
{
	spine_free(*state);
	return 0;
}

void spine_code(struct spine *spine, const void *bytes, size_t length)
{
	const struct fake_vcpu *vcpu = &spine->fake.vcpu;
	uint8_t *at = fake_memory_at(&spine->fake.platform, vcpu->seg[SEG_CS].base + vcpu->vcpu.rip, INSN_LENGTH_MAX);

	memset(at, 0x90, INSN_LENGTH_MAX);
	memcpy(at, bytes, length);
}

void spine_exit(struct spine *spine, enum exit_kind kind, unsigned length, const struct exit_detail *detail,
		const struct event *delivery)
{
	struct fake_exit exit = {.kind = kind, .length = (uint8_t)length};

	if (detail)
		exit.detail = *detail;
	if (delivery) {
		exit.delivery = *delivery;
		spine->fake.vcpu.vcpu.work |= WORK_EVENT;
	}
	spine->fake.vcpu.injected_count = 0;
	fake_vcpu_run(&spine->fake.vcpu, &exit, 1);
}

const struct event *spine_injected(const struct spine *spine)
{
	return spine->fake.vcpu.injected_count == 1 ? &spine->fake.vcpu.injected[0] : NULL;
}

bool spine_logged(const struct spine *spine, const char *text)
{
	return strstr(spine->log, text) != NULL;
}

void spine_long64(struct spine *spine)
{
	uint64_t *table = fake_memory_at(&spine->fake.platform, SPINE_TABLES, 2 * PAGE_SIZE);

	table[0] = (SPINE_TABLES + PAGE_SIZE) | PTE_TREE;
	for (unsigned i = 0; i < 4; i++)
		table[512 + i] = GIB(i) | PTE_TREE | PTE_LARGE;
	spine->fake.vcpu.reg[REG_CR0] = CR0_PE | CR0_PG;
	spine->fake.vcpu.reg[REG_CR3] = SPINE_TABLES;
	spine->fake.vcpu.reg[REG_CR4] = CR4_PAE;
	spine->fake.vcpu.reg[REG_EFER] = EFER_LME | EFER_LMA;
	spine->fake.vcpu.seg[SEG_CS].attributes |= SEG_ATTR_L;
	spine->fake.vcpu.vcpu.code_flags = SEG_ATTR_L;
}

void spine_prot32(struct spine *spine)
{
	spine->fake.vcpu.reg[REG_CR0] = CR0_PE;
	for (unsigned i = 0; i <= SEG_GS; i++) {
		spine->fake.vcpu.seg[i].attributes |= SEG_ATTR_DB | SEG_ATTR_G;
		spine->fake.vcpu.seg[i].limit = 0xffffffff;
	}
	spine->fake.vcpu.vcpu.code_flags = SEG_ATTR_DB;
}
