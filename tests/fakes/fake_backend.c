/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend without a CPU. Must not know any test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <undercroft/alarm.h>
#include <undercroft/errno.h>

#include "tests/fakes/fake_backend.h"

/*
 * Nested entries: bit 0 present, 1 leaf, 2..4 access, 5..7 type, 12..51 address, 60..62 level. The level is there to
 * catch core putting an entry into the wrong table.
 */
#define FAKE_NESTED_PRESENT	 0x1ull
#define FAKE_NESTED_LEAF	 0x2ull
#define FAKE_NESTED_ACCESS_SHIFT 2
#define FAKE_NESTED_TYPE_SHIFT	 5
#define FAKE_NESTED_ADDRESS	 0x000ffffffffff000ull
#define FAKE_NESTED_LEVEL_SHIFT	 60

static void __attribute__((noreturn)) misused(const char *why)
{
	fprintf(stderr, "fake backend: %s\n", why);
	abort();
}

static struct fake_vcpu *fake_of(struct vcpu *vcpu)
{
	return CONTAINER_OF(vcpu, struct fake_vcpu, vcpu);
}

static uint32_t fake_caps(struct platform *platform)
{
	(void)platform;
	return BACKEND_CAP_NRIP | BACKEND_CAP_PAGES_1G;
}

static int fake_cpu_enable(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

static int fake_vcpu_init(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

static void fake_run(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = fake_of(vcpu);

	while (fake->script_next < fake->script_count) {
		const struct fake_exit *exit = &fake->script[fake->script_next++];

		fake->entries++;
		fake->inject_pending = false;
		if (exit->guest != NULL)
			exit->guest(fake);
		vcpu->exit.kind = (uint8_t)exit->kind;
		vcpu->exit.length = exit->length;
		vcpu->code_flags = fake->seg[SEG_CS].attributes & (SEG_ATTR_L | SEG_ATTR_DB);
		if (exit->delivery.type != EVENT_NONE) {
			vcpu->events.delivery = exit->delivery;
			vcpu->work |= WORK_DELIVERY;
		}
		if (vcpu_exit(vcpu) != 0)
			return;
	}
}

static void fake_decode_detail(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = fake_of(vcpu);

	if (fake->script_next == 0)
		misused("decode_detail without an exit");
	fake->details_decoded++;
	vcpu->detail = fake->script[fake->script_next - 1].detail;
}

static uint64_t fake_reg_get(struct vcpu *vcpu, enum reg reg)
{
	if (reg == REG_RIP)
		return vcpu->rip;
	if (reg == REG_RFLAGS)
		return vcpu->rflags;
	return fake_of(vcpu)->reg[reg];
}

static void fake_reg_set(struct vcpu *vcpu, enum reg reg, uint64_t value)
{
	if (reg == REG_RIP)
		vcpu->rip = value;
	else if (reg == REG_RFLAGS)
		vcpu->rflags = value;
	else
		fake_of(vcpu)->reg[reg] = value;
}

static void fake_seg_get(struct vcpu *vcpu, enum seg seg, struct segment *out)
{
	*out = fake_of(vcpu)->seg[seg];
}

static void fake_seg_set(struct vcpu *vcpu, enum seg seg, const struct segment *value)
{
	fake_of(vcpu)->seg[seg] = *value;
}

static struct fake_intercept *intercept_find(struct fake_vcpu *fake, enum intercept_kind kind, uint32_t argument)
{
	for (unsigned i = 0; i < fake->intercept_count; i++) {
		if (fake->intercept[i].kind == kind && fake->intercept[i].argument == argument)
			return &fake->intercept[i];
	}
	if (fake->intercept_count == FAKE_INTERCEPT_MAX)
		misused("too many intercepts");
	fake->intercept[fake->intercept_count] = (struct fake_intercept){.kind = kind, .argument = argument};
	return &fake->intercept[fake->intercept_count++];
}

static int fake_intercept(struct vcpu *vcpu, enum intercept_kind kind, uint32_t argument, bool on)
{
	struct fake_vcpu *fake = fake_of(vcpu);
	struct fake_intercept *entry;

	fake->intercept_calls++;
	if (on && fake->intercept_result != 0)
		return fake->intercept_result;
	entry = intercept_find(fake, kind, argument);
	if (entry->on == on)
		misused("intercept() called without a change");
	entry->on = on;
	entry->changes++;
	return 0;
}

static void fake_inject(struct vcpu *vcpu, const struct event *event)
{
	struct fake_vcpu *fake = fake_of(vcpu);

	if (fake->inject_pending)
		misused("two events for one entry");
	if (fake->injected_count == FAKE_INJECT_MAX)
		misused("too many injections");
	fake->inject_pending = true;
	fake->injected[fake->injected_count++] = *event;
}

static uint64_t fake_nested_encode(const struct nested_entry *entry, unsigned level)
{
	if (level < 1 || level > NESTED_LEVELS || (entry->address & ~FAKE_NESTED_ADDRESS) != 0)
		misused("nested entry that cannot be encoded");
	if (!entry->present) {
		if (entry->leaf || entry->access != 0 || entry->type != 0 || entry->address != 0)
			misused("absent nested entry with content");
		return 0;
	}
	if (entry->leaf ? level == NESTED_LEVELS || (entry->address & (NESTED_LEVEL_SIZE(level) - 1)) != 0 : level == 1)
		misused("nested entry that this level does not take");
	if (entry->type > 7 || (!entry->leaf && entry->type != 0))
		misused("nested entry with a type that cannot be");
	/* No vendor has pages that can be written but not read; some have pages that can be executed alone. */
	if ((entry->access & ACCESS_READ) == 0 && entry->access != ACCESS_EXEC)
		misused("present nested entry without read access");
	return FAKE_NESTED_PRESENT | (entry->leaf ? FAKE_NESTED_LEAF : 0) |
	       ((uint64_t)entry->access << FAKE_NESTED_ACCESS_SHIFT) |
	       ((uint64_t)entry->type << FAKE_NESTED_TYPE_SHIFT) | entry->address |
	       ((uint64_t)level << FAKE_NESTED_LEVEL_SHIFT);
}

static void fake_nested_decode(uint64_t raw, unsigned level, struct nested_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	if ((raw & FAKE_NESTED_PRESENT) == 0) {
		if (raw != 0)
			misused("a nested table holds something that is no entry");
		return;
	}
	if (raw >> FAKE_NESTED_LEVEL_SHIFT != level)
		misused("nested entry in a table of another level");
	entry->present = true;
	entry->leaf = (raw & FAKE_NESTED_LEAF) != 0;
	entry->access = (raw >> FAKE_NESTED_ACCESS_SHIFT) & (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC);
	entry->type = (raw >> FAKE_NESTED_TYPE_SHIFT) & 7;
	entry->address = raw & FAKE_NESTED_ADDRESS;
}

static void fake_nested_activate(struct vcpu *vcpu, const struct nested_view *view)
{
	struct fake_vcpu *fake = fake_of(vcpu);

	fake->active_view = view;
	fake->active_generation = view->generation;
	fake->activations++;
}

static void fake_tlb_flush(struct vcpu *vcpu, enum tlb_scope scope)
{
	(void)scope;
	fake_of(vcpu)->flushes++;
}

static void fake_step(struct vcpu *vcpu, bool on)
{
	struct fake_vcpu *fake = fake_of(vcpu);

	fake->stepping = on;
	if (on) {
		vcpu->rflags |= X86_FLAGS_TF;
		fake->steps_on++;
	} else {
		fake->steps_off++;
	}
}

static uint64_t fake_debugctl_get(struct vcpu *vcpu)
{
	return fake_of(vcpu)->debugctl;
}

static void fake_debugctl_set(struct vcpu *vcpu, uint64_t value)
{
	fake_of(vcpu)->debugctl = value;
}

static void fake_interrupt_pass(struct vcpu *vcpu)
{
	fake_of(vcpu)->interrupt_passes++;
}

static int fake_timer(struct vcpu *vcpu, uint64_t microseconds)
{
	struct fake_vcpu *fake = fake_of(vcpu);

	if (!fake->timer_result)
		fake->timer_us = microseconds;
	return fake->timer_result;
}

/* The NMI that waits is taken by the host's handler, which asks whose it is. */
static void fake_admit(struct vcpu *vcpu)
{
	fake_of(vcpu)->admits++;
	(void)alarm_take(vcpu->vm->alarm);
}

static void fake_dump(struct vcpu *vcpu)
{
	fake_of(vcpu)->dumps++;
}

const struct backend_ops fake_backend = {
	.name = "fake",
	.vcpu_size = sizeof(struct fake_vcpu),
	.vcpu_pages = 0,
	.caps = fake_caps,
	.cpu_enable = fake_cpu_enable,
	.vcpu_init = fake_vcpu_init,
	.run = fake_run,
	.decode_detail = fake_decode_detail,
	.reg_get = fake_reg_get,
	.reg_set = fake_reg_set,
	.seg_get = fake_seg_get,
	.seg_set = fake_seg_set,
	.debugctl_get = fake_debugctl_get,
	.debugctl_set = fake_debugctl_set,
	.intercept = fake_intercept,
	.inject = fake_inject,
	.nested_encode = fake_nested_encode,
	.nested_decode = fake_nested_decode,
	.nested_activate = fake_nested_activate,
	.tlb_flush = fake_tlb_flush,
	.step = fake_step,
	.timer = fake_timer,
	.interrupt_pass = fake_interrupt_pass,
	.admit = fake_admit,
	.dump = fake_dump,
};

void fake_vm_init(struct fake_vm *fake, uint64_t memory_size, paddr_t pool_start, unsigned pool_pages)
{
	struct vcpu *vcpu = &fake->vcpu.vcpu;

	memset(fake, 0, sizeof(*fake));
	fake_platform_init(&fake->platform, memory_size);
	fake->vm.backend = &fake_backend;
	fake->vm.platform = &fake->platform.platform;
	fake->vm.log = &fake->log;
	fake->vm.caps = fake_caps(fake->vm.platform);
	fake->vm.physical_limit = 1ull << 48;
	fake->vm.pool = (struct page_pool){
		.next = pool_start, .end = pool_start + pool_pages * PAGE_SIZE, .available = pool_pages};
	fake->vm.vcpu = vcpu;

	vcpu->vm = &fake->vm;
	vcpu->backend = &fake_backend;
	vcpu->rip = 0xfff0;
	vcpu->rflags = X86_FLAGS_FIXED;
	for (unsigned i = 0; i < SEG_COUNT; i++)
		fake->vcpu.seg[i] =
			(struct segment){.limit = 0xffff, .attributes = SEG_ATTR_PRESENT | SEG_ATTR_S | 0x3};
	fake->vcpu.seg[SEG_CS] = (struct segment){.base = 0xf0000,
						  .limit = 0xffff,
						  .selector = 0xf000,
						  .attributes = SEG_ATTR_PRESENT | SEG_ATTR_S | SEG_ATTR_CODE | 0x3};
	fake->vcpu.seg[SEG_LDTR].attributes = SEG_ATTR_PRESENT | 0x2;
	fake->vcpu.seg[SEG_TR].attributes = SEG_ATTR_PRESENT | 0xb;
}

void fake_vm_free(struct fake_vm *fake)
{
	fake_platform_free(&fake->platform);
}

size_t fake_vcpu_run(struct fake_vcpu *fake, const struct fake_exit *script, size_t count)
{
	fake->script = script;
	fake->script_count = count;
	fake->script_next = 0;
	fake->vcpu.backend->run(&fake->vcpu);
	return fake->script_next;
}

bool fake_intercept_on(const struct fake_vcpu *fake, enum intercept_kind kind, uint32_t argument)
{
	for (unsigned i = 0; i < fake->intercept_count; i++) {
		if (fake->intercept[i].kind == kind && fake->intercept[i].argument == argument)
			return fake->intercept[i].on;
	}
	return false;
}

unsigned fake_intercepts_on(const struct fake_vcpu *fake)
{
	unsigned on = 0;

	for (unsigned i = 0; i < fake->intercept_count; i++)
		on += fake->intercept[i].on;
	return on;
}

/* Stand-ins for tests that have no exit spine: an exit with work to do ends the run. */
__attribute__((weak)) int vcpu_work(struct vcpu *vcpu)
{
	(void)vcpu;
	return 1;
}

__attribute__((weak)) void vcpu_fatal(struct vcpu *vcpu, const char *why)
{
	vcpu->fatal = why;
	fake_of(vcpu)->fatal++;
	vcpu->work |= WORK_LEAVE;
}

__attribute__((weak)) void vcpu_skip_insn_slow(struct vcpu *vcpu)
{
	vcpu->rip += vcpu->exit.length;
}

__attribute__((weak)) unsigned vcpu_insn_length(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}
