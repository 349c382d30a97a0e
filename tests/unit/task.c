/* SPDX-License-Identifier: BSD-2-Clause */
/* core/task.c, core/task_segments.c: task switches of all sources and sizes, and what goes wrong before and behind the
 * commit. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <x86/cr.h>
#include <x86/dr.h>

#include "core/exit.h"
#include "core/single.h"
#include "tests/unit/spine.h"

#define GDT	  0x20000ull
#define GDT_LIMIT 0xff
#define LDT_TABLE 0x21000ull
#define OLD_TSS	  0x22000ull
#define NEW_TSS	  0x23000ull
#define STACK	  0x30000ull
#define DIRECTORY 0x40000ull
#define OTHER_CR3 0x41000ull
#define POINTERS  0x42000ull

#define CODE	 0x08
#define DATA	 0x10
#define OLD	 0x18
#define NEW	 0x20
#define LDT	 0x28
#define BAD	 0x30
#define OUTSIDE	 0x100
#define USERCODE 0x3b
#define USERDATA 0x43

#define TYPE_TSS32 0x89
#define TYPE_TSS16 0x81
#define BUSY	   2
#define FLAT	   0xc

/* Offsets in a TSS: 32 bit, 16 bit. SDM vol. 3, figures 7-2 and 7-10 */
enum { CR3 = 0x1c, EIP = 0x20, EFLAGS = 0x24, EAX = 0x28, ESP = 0x38, ES = 0x48, CS = 0x4c, SS = 0x50, DS = 0x54 };
enum { FS = 0x58, GS = 0x5c, LDTR = 0x60, TRAP = 0x64 };
enum { IP16 = 0x0e, FLAGS16 = 0x10, AX16 = 0x12, SP16 = 0x1a, ES16 = 0x22, CS16 = 0x24, SS16 = 0x26, DS16 = 0x28 };

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

static uint32_t get(uint64_t at, size_t size)
{
	uint32_t value = 0;

	memcpy(&value, fake_memory_at(&spine.fake.platform, at, size), size);
	return value;
}

static void put(uint64_t at, size_t size, uint32_t value)
{
	memcpy(fake_memory_at(&spine.fake.platform, at, size), &value, size);
}

static void descriptor(unsigned selector, uint32_t base, uint32_t limit, unsigned type, unsigned flags)
{
	uint64_t at = GDT + (selector & ~7u);

	put(at, 4, (limit & 0xffff) | base << 16);
	put(at + 4, 4, (base >> 16 & 0xff) | type << 8 | (limit & 0xf0000) | flags << 20 | (base & 0xff000000));
}

static unsigned type_of(unsigned selector)
{
	return get(GDT + selector + 5, 1);
}

static void new_tss32(void)
{
	static const struct {
		unsigned at;
		uint32_t value;
	} is[] = {{CR3, OTHER_CR3}, {EIP, 0x5000}, {EFLAGS, 0x202}, {ESP, STACK}, {ES, DATA}, {CS, CODE},
		  {SS, DATA},	    {DS, DATA},	   {FS, 0},	    {GS, DATA},	  {LDTR, LDT}};

	for (unsigned i = 0; i < 8; i++)
		put(NEW_TSS + EAX + 4 * i, 4, 0x11111111 * (i + 1));
	for (unsigned i = 0; i < ARRAY_SIZE(is); i++)
		put(NEW_TSS + is[i].at, 4, is[i].value);
}

static void new_tss16(void)
{
	descriptor(NEW, NEW_TSS, 43, TYPE_TSS16, 0);
	memset(fake_memory_at(&spine.fake.platform, NEW_TSS, 44), 0, 44);
	put(NEW_TSS + IP16, 2, 0x6000);
	put(NEW_TSS + FLAGS16, 2, 2);
	put(NEW_TSS + AX16, 2, 0xaaaa);
	put(NEW_TSS + SP16, 2, 0x8000);
	put(NEW_TSS + ES16, 2, DATA);
	put(NEW_TSS + CS16, 2, CODE);
	put(NEW_TSS + SS16, 2, DATA);
	put(NEW_TSS + DS16, 2, DATA);
}

static struct segment flat(uint16_t selector, unsigned type)
{
	return (struct segment){.limit = 0xffffffff, .selector = selector, .attributes = (uint16_t)(0xc00 | type)};
}

static int setup(void **state)
{
	spine_setup(state);
	spine_prot32(&spine);
	fake->reg[REG_CR0] |= CR0_ET;
	fake->reg[REG_GDTR_BASE] = GDT;
	fake->reg[REG_GDTR_LIMIT] = GDT_LIMIT;
	fake->reg[REG_DR7] = 0x5ff;
	descriptor(CODE, 0, 0xfffff, 0x9a, FLAT);
	descriptor(DATA, 0, 0xfffff, 0x92, FLAT);
	descriptor(OLD, OLD_TSS, 103, TYPE_TSS32 | BUSY, 0);
	descriptor(NEW, NEW_TSS, 103, TYPE_TSS32, 0);
	descriptor(LDT, LDT_TABLE, 15, 0x82, 0);
	descriptor(USERCODE, 0, 0xfffff, 0xfb, FLAT);
	descriptor(USERDATA, 0, 0xfffff, 0xf3, FLAT);
	new_tss32();
	for (unsigned i = 0; i <= SEG_GS; i++)
		fake->seg[i] = flat(i == SEG_CS ? CODE : DATA, i == SEG_CS ? 0x9b : 0x93);
	fake->seg[SEG_TR] = (struct segment){OLD_TSS, 103, OLD, TYPE_TSS32 | BUSY};
	for (unsigned i = 0; i < 8; i++)
		vcpu->gpr[i] = 0xabc0 + i;
	vcpu->rip = 0x8000;
	vcpu->rflags = 0x2 | X86_FLAGS_NT | X86_FLAGS_CF;
	return 0;
}

/* A switch; event: what led through the task gate. */
static void switch_to(uint16_t selector, enum task_source source, const struct event *event)
{
	const struct exit_detail detail = {.task = {.selector = selector, .source = (uint8_t)source}};

	spine_exit(&spine, EXIT_TASK_SWITCH, 7, &detail, event);
	assert_null(vcpu->fatal);
}

static void check_fault(uint8_t vector, uint32_t error)
{
	const struct event *event = spine_injected(&spine);

	assert_non_null(event);
	assert_int_equal(event->type, EVENT_EXCEPTION);
	assert_int_equal(event->vector, vector);
	assert_int_equal(event->error, error);
}

/* Nothing happened to the old task. */
static void check_old(void)
{
	assert_int_equal(fake->seg[SEG_TR].selector, OLD);
	assert_int_equal(vcpu->rip, 0x8000);
	assert_int_equal(vcpu->gpr[GPR_RAX], 0xabc0);
	assert_int_equal(type_of(OLD), TYPE_TSS32 | BUSY);
	assert_int_equal(get(OLD_TSS + EIP, 4), 0);
	assert_int_equal(fake->reg[REG_CR0] & CR0_TS, 0);
}

static void check_new(void)
{
	assert_int_equal(fake->seg[SEG_TR].selector, NEW);
	assert_int_equal(fake->seg[SEG_TR].base, NEW_TSS);
	assert_int_equal(fake->seg[SEG_TR].attributes & 0x1f, (type_of(NEW) & 0x1f) | BUSY);
	assert_int_equal(type_of(NEW) & BUSY, BUSY);
	assert_int_equal(vcpu->rip, 0x5000);
	assert_int_equal(vcpu->gpr[GPR_RAX], 0x11111111);
	assert_int_equal(vcpu->gpr[GPR_RDI], 0x88888888);
	assert_true(fake->reg[REG_CR0] & CR0_TS);
	assert_int_equal(fake->reg[REG_DR7], 0x5ff & ~0x155);
}

static void check_saved(uint32_t eip, uint32_t eflags)
{
	assert_int_equal(get(OLD_TSS + EIP, 4), eip);
	assert_int_equal(get(OLD_TSS + EFLAGS, 4), eflags);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(get(OLD_TSS + EAX + 4 * i, 4), 0xabc0 + i);
	assert_int_equal(get(OLD_TSS + CS, 2), CODE);
	assert_int_equal(get(OLD_TSS + GS, 2), DATA);
	assert_int_equal(get(OLD_TSS + CR3, 4), 0);
	assert_int_equal(get(OLD_TSS + LDTR, 4), 0);
}

static void test_jmp(void **state)
{
	(void)state;
	put(OLD_TSS + CS + 2, 2, 0x7777);
	switch_to(NEW, TASK_JMP, NULL);
	assert_null(spine_injected(&spine));
	check_new();
	check_saved(0x8007, 0x2 | X86_FLAGS_NT | X86_FLAGS_CF);
	assert_int_equal(get(OLD_TSS + CS + 2, 2), 0x7777);
	assert_int_equal(type_of(OLD), TYPE_TSS32);
	assert_int_equal(get(NEW_TSS, 2), 0);
	assert_int_equal(vcpu->rflags, 0x202);
	assert_int_equal(fake->seg[SEG_LDTR].base, LDT_TABLE);
	assert_int_equal(fake->seg[SEG_CS].attributes, 0xc9b);
	assert_int_equal(fake->seg[SEG_CS].limit, 0xffffffff);
	assert_int_equal(fake->seg[SEG_FS].attributes & SEG_ATTR_PRESENT, 0);
	/* accessed, in the descriptors, too */
	assert_int_equal(type_of(CODE), 0x9b);
	assert_int_equal(type_of(DATA), 0x93);
	/* no paging, so no CR3 */
	assert_int_equal(fake->reg[REG_CR3], 0);
	assert_int_equal(fake->flushes, 0);
}

static void test_call_and_iret(void **state)
{
	(void)state;
	switch_to(NEW, TASK_CALL, NULL);
	check_new();
	check_saved(0x8007, 0x2 | X86_FLAGS_NT | X86_FLAGS_CF);
	assert_int_equal(type_of(OLD), TYPE_TSS32 | BUSY);
	assert_int_equal(get(NEW_TSS, 2), OLD);
	assert_int_equal(vcpu->rflags, 0x202 | X86_FLAGS_NT);
	fake->reg[REG_NMI_BLOCKED] = 1;
	switch_to(OLD, TASK_IRET, NULL);
	assert_null(spine_injected(&spine));
	assert_int_equal(fake->seg[SEG_TR].selector, OLD);
	assert_int_equal(vcpu->rip, 0x8007);
	assert_int_equal(vcpu->rflags, 0x2 | X86_FLAGS_NT | X86_FLAGS_CF);
	assert_int_equal(type_of(NEW), TYPE_TSS32);
	assert_int_equal(type_of(OLD), TYPE_TSS32 | BUSY);
	/* the task that returned: behind its IRET, without NT */
	assert_int_equal(get(NEW_TSS + EIP, 4), 0x5007);
	assert_int_equal(get(NEW_TSS + EFLAGS, 4), 0x202);
	assert_int_equal(fake->reg[REG_NMI_BLOCKED], 0);
}

/* 16-bit code wraps within its 64 KiB. */
static void test_wraps(void **state)
{
	(void)state;
	fake->seg[SEG_CS].attributes &= (uint16_t)~SEG_ATTR_DB;
	vcpu->rip = 0xfffd;
	switch_to(NEW, TASK_CALL, NULL);
	check_new();
	check_saved(4, 0x2 | X86_FLAGS_NT | X86_FLAGS_CF);
}

/* Where it goes on, and who is blocked, for each kind of event. */
static void test_gate(void **state)
{
	static const struct {
		struct event event;
		uint32_t eip;
	} by[] = {
		{{.type = EVENT_SOFT_INTR, .vector = 0x40, .length = 2}, 0x8002},
		{{.type = EVENT_SOFT_EXCEPT, .vector = 3, .length = 1}, 0x8001},
		{{.type = EVENT_EXCEPTION, .vector = 6}, 0x8000},
		{{.type = EVENT_INTR, .vector = 0x30}, 0x8000},
		{{.type = EVENT_NMI, .vector = 2}, 0x8000},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(by); i++) {
		if (i)
			spine_teardown(state);
		if (i)
			setup(state);
		switch_to(NEW, TASK_GATE, &by[i].event);
		assert_null(spine_injected(&spine));
		check_new();
		check_saved(by[i].eip, 0x2 | X86_FLAGS_NT | X86_FLAGS_CF);
		assert_int_equal(get(NEW_TSS, 2), OLD);
		assert_true(vcpu->rflags & X86_FLAGS_NT);
		assert_int_equal(vcpu->gpr[GPR_RSP], STACK);
		assert_int_equal(vcpu->events.delivery.type, EVENT_NONE);
		assert_int_equal(fake->reg[REG_NMI_BLOCKED], by[i].event.type == EVENT_NMI);
	}
}

static void test_error_code(void **state)
{
	const struct event event = {.type = EVENT_EXCEPTION, .vector = 13, .has_error = true, .error = 0x1234};

	(void)state;
	put(STACK - 8, 4, 0xcccccccc);
	switch_to(NEW, TASK_GATE, &event);
	assert_null(spine_injected(&spine));
	assert_int_equal(vcpu->gpr[GPR_RSP], STACK - 4);
	assert_int_equal(get(STACK - 4, 4), 0x1234);
	assert_int_equal(get(STACK - 8, 4), 0xcccccccc);
}

/* A stack that has no room for it: #SS in the new task, during the delivery of a contributory exception. */
static void test_error_code_without_room(void **state)
{
	const struct event event = {.type = EVENT_EXCEPTION, .vector = 6, .has_error = true};

	(void)state;
	descriptor(BAD, 0, 0xf, 0x92, 4);
	put(NEW_TSS + SS, 2, BAD);
	switch_to(NEW, TASK_GATE, &event);
	check_new();
	check_fault(12, 1);
	assert_int_equal(vcpu->gpr[GPR_RSP], STACK);
}

static void test_16_bit(void **state)
{
	const struct event event = {.type = EVENT_EXCEPTION, .vector = 13, .has_error = true, .error = 0x1234};

	(void)state;
	new_tss16();
	descriptor(BAD, 0, 0xffff, 0x92, 0);
	put(NEW_TSS + SS16, 2, BAD);
	switch_to(NEW, TASK_GATE, &event);
	assert_null(spine_injected(&spine));
	assert_int_equal(vcpu->rip, 0x6000);
	assert_int_equal(vcpu->rflags, 0x2 | X86_FLAGS_NT);
	assert_int_equal(vcpu->gpr[GPR_RAX], 0xaaaa);
	assert_int_equal(vcpu->gpr[GPR_RSP], 0x7ffe);
	assert_int_equal(get(0x7ffe, 2), 0x1234);
	assert_int_equal(fake->seg[SEG_FS].selector, 0);
	assert_int_equal(fake->seg[SEG_GS].attributes & SEG_ATTR_PRESENT, 0);
	assert_int_equal(fake->seg[SEG_LDTR].attributes & SEG_ATTR_PRESENT, 0);
	/* and back: only what it has room for is saved */
	vcpu->gpr[GPR_RAX] = 0x1234bbbb;
	put(NEW_TSS + 44, 4, 0x77777777);
	switch_to(OLD, TASK_IRET, NULL);
	assert_null(spine_injected(&spine));
	assert_int_equal(get(NEW_TSS + AX16, 2), 0xbbbb);
	assert_int_equal(get(NEW_TSS + IP16, 2), 0x6007);
	assert_int_equal(get(NEW_TSS + DS16, 2), DATA);
	assert_int_equal(get(NEW_TSS + DS16 + 2, 2), 0);
	assert_int_equal(get(NEW_TSS + 44, 4), 0x77777777);
	assert_int_equal(vcpu->rip, 0x8000);
}

static void test_v8086(void **state)
{
	(void)state;
	put(NEW_TSS + EFLAGS, 4, X86_FLAGS_VM | X86_FLAGS_IOPL | 2);
	put(NEW_TSS + CS, 2, 0x1234);
	put(NEW_TSS + SS, 2, 0);
	put(NEW_TSS + DS, 2, 0xffff);
	switch_to(NEW, TASK_JMP, NULL);
	assert_null(spine_injected(&spine));
	assert_int_equal(vcpu->rflags, X86_FLAGS_VM | X86_FLAGS_IOPL | 2);
	for (unsigned i = 0; i <= SEG_GS; i++) {
		assert_int_equal(fake->seg[i].base, (uint32_t)fake->seg[i].selector << 4);
		assert_int_equal(fake->seg[i].limit, 0xffff);
		assert_int_equal(fake->seg[i].attributes, 0xf3);
	}
	assert_int_equal(fake->seg[SEG_CS].selector, 0x1234);
	assert_int_equal(fake->reg[REG_CPL], 3);
	/* a bad LDT is still one */
	spine_teardown(state);
	setup(state);
	put(NEW_TSS + EFLAGS, 4, X86_FLAGS_VM | 2);
	put(NEW_TSS + LDTR, 2, OUTSIDE);
	switch_to(NEW, TASK_JMP, NULL);
	check_fault(10, OUTSIDE);
	assert_int_equal(fake->seg[SEG_CS].attributes, 0xf3);
}

static void test_trap_bit(void **state)
{
	(void)state;
	put(NEW_TSS + TRAP, 2, 1);
	fake->reg[REG_DR7] |= DR7_GD;
	switch_to(NEW, TASK_JMP, NULL);
	check_fault(1, 0);
	assert_int_equal(fake->reg[REG_DR6], DR6_BT);
	assert_int_equal(fake->reg[REG_DR7] & DR7_GD, 0);
	assert_int_equal(vcpu->rip, 0x5000);
}

/* Table 7-1 up to the commit, by each source. */
static void test_tss_checks(void **state)
{
	static const struct event soft = {.type = EVENT_SOFT_INTR, .length = 2}, hard = {.type = EVENT_INTR},
				  int1 = {.type = EVENT_SOFT_EXCEPT, .vector = 1, .length = 1},
				  int3 = {.type = EVENT_SOFT_EXCEPT, .vector = 3, .length = 1};
	static const struct {
		uint16_t selector;
		uint8_t source, type, limit;
		const struct event *event;
		uint8_t vector;
		uint32_t error;
	} bad[] = {
		{0, TASK_JMP, TYPE_TSS32, 103, NULL, 13, 0},
		{NEW | 4, TASK_JMP, TYPE_TSS32, 103, NULL, 13, NEW | 4},
		{OUTSIDE, TASK_CALL, TYPE_TSS32, 103, NULL, 13, OUTSIDE},
		{OUTSIDE | 3, TASK_IRET, TYPE_TSS32, 103, NULL, 10, OUTSIDE},
		{0, TASK_IRET, TYPE_TSS32, 103, NULL, 10, 0},
		{NEW, TASK_JMP, TYPE_TSS32 | BUSY, 103, NULL, 13, NEW},
		{NEW, TASK_CALL, TYPE_TSS16 | BUSY, 103, NULL, 13, NEW},
		{NEW, TASK_IRET, TYPE_TSS32, 103, NULL, 10, NEW},
		{NEW, TASK_CALL, 0x93, 103, NULL, 13, NEW},
		{NEW, TASK_CALL, 0x82, 103, NULL, 13, NEW},
		{NEW, TASK_JMP, 0x09, 103, NULL, 11, NEW},
		{NEW, TASK_JMP, TYPE_TSS32, 102, NULL, 10, NEW},
		{NEW, TASK_IRET, TYPE_TSS16 | BUSY, 42, NULL, 10, NEW},
		{NEW, TASK_GATE, TYPE_TSS32 | BUSY, 103, &soft, 13, NEW},
		{NEW, TASK_GATE, TYPE_TSS32 | BUSY, 103, &int3, 13, NEW},
		{NEW, TASK_GATE, TYPE_TSS32 | BUSY, 103, &int1, 13, NEW | 1},
		{NEW, TASK_GATE, TYPE_TSS32 | BUSY, 103, &hard, 13, NEW | 1},
		{NEW, TASK_GATE, TYPE_TSS32, 102, &hard, 10, NEW | 1},
		{NEW, TASK_GATE, 0x09, 103, &hard, 11, NEW | 1},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		if (i)
			spine_teardown(state);
		if (i)
			setup(state);
		descriptor(NEW, NEW_TSS, bad[i].limit, bad[i].type, 0);
		switch_to(bad[i].selector, bad[i].source, bad[i].event);
		check_fault(bad[i].vector, bad[i].error);
		check_old();
	}
}

/* The last byte of a descriptor is behind its table. */
static void test_gdt_limit(void **state)
{
	(void)state;
	fake->reg[REG_GDTR_LIMIT] = NEW + 6;
	switch_to(NEW, TASK_JMP, NULL);
	check_fault(13, NEW);
	check_old();
	fake->reg[REG_GDTR_LIMIT] = NEW + 7;
	put(NEW_TSS + LDTR, 2, 0);
	switch_to(NEW, TASK_JMP, NULL);
	assert_null(spine_injected(&spine));
	check_new();
}

/* The old TSS has no room for what is saved. */
static void test_old_tss_short(void **state)
{
	(void)state;
	fake->seg[SEG_TR].limit = 0x5e;
	switch_to(NEW, TASK_JMP, NULL);
	check_fault(10, OLD);
	check_old();
}

/* Contributory behind contributory, on either side of the commit. */
static void test_double_fault(void **state)
{
	const struct event event = {.type = EVENT_EXCEPTION, .vector = 13, .has_error = true};

	descriptor(NEW, NEW_TSS, 102, TYPE_TSS32, 0);
	switch_to(NEW, TASK_GATE, &event);
	check_fault(8, 0);
	check_old();
	spine_teardown(state);
	setup(state);
	put(NEW_TSS + SS, 2, 0);
	switch_to(NEW, TASK_GATE, &event);
	check_fault(8, 0);
	assert_int_equal(fake->seg[SEG_TR].selector, NEW);
}

/* Table 7-1 behind the commit: all in the new task. */
static void test_segment_checks(void **state)
{
	static const struct {
		unsigned at;
		uint16_t selector;
		uint8_t type; /* of BAD */
		uint8_t vector;
		uint16_t error;
	} bad[] = {
		{CS, 0, 0, 10, 0},
		{CS, 3, 0, 10, 0},
		{CS, OUTSIDE, 0, 10, OUTSIDE},
		{CS, DATA, 0, 10, DATA},
		{CS, NEW, 0, 10, NEW},
		{CS, BAD, 0x1b, 11, BAD},
		{CS, BAD, 0xfb, 10, BAD},
		{CS, BAD, 0xff, 10, BAD},
		{CS, CODE | 3, 0, 10, CODE},
		{SS, 0, 0, 10, 0},
		{SS, OUTSIDE, 0, 10, OUTSIDE},
		{SS, CODE, 0, 10, CODE},
		{SS, BAD, 0x91, 10, BAD},
		{SS, BAD, 0x13, 12, BAD},
		{SS, BAD, 0xf3, 10, BAD},
		{SS, DATA | 3, 0, 10, DATA},
		{ES, OUTSIDE, 0, 10, OUTSIDE},
		{DS, NEW, 0, 10, NEW},
		{DS, BAD, 0x99, 10, BAD},
		{FS, BAD, 0x13, 11, BAD},
		{GS, DATA | 3, 0, 10, DATA},
		{GS, 0x14, 0, 10, 0x14},
		{LDTR, OUTSIDE, 0, 10, OUTSIDE},
		{LDTR, LDT | 4, 0, 10, LDT | 4},
		{LDTR, DATA, 0, 10, DATA},
		{LDTR, BAD, 0x02, 10, BAD},
	};
	static const struct event hard = {.type = EVENT_INTR};

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
		bool external = i % 2;

		if (i)
			spine_teardown(state);
		if (i)
			setup(state);
		descriptor(BAD, 0, 0xfffff, bad[i / 2].type, FLAT);
		fake->seg[SEG_LDTR] = (struct segment){LDT_TABLE, 0xff, LDT, 0x82};
		/* the old task's LDT, and where one without a base would be, have whatever could be asked for */
		memcpy(fake_memory_at(&spine.fake.platform, LDT_TABLE, 0x100),
		       fake_memory_at(&spine.fake.platform, GDT, 0x100), 0x100);
		memcpy(fake_memory_at(&spine.fake.platform, 0, 0x100), fake_memory_at(&spine.fake.platform, GDT, 0x100),
		       0x100);
		put(NEW_TSS + bad[i / 2].at, 2, bad[i / 2].selector);
		switch_to(NEW, external ? TASK_GATE : TASK_CALL, external ? &hard : NULL);
		check_fault(bad[i / 2].vector, bad[i / 2].error | external);
		check_new();
		check_saved(external ? 0x8000 : 0x8007, 0x2 | X86_FLAGS_NT | X86_FLAGS_CF);
		/* the selectors are the new ones, and an entry takes what is behind them */
		assert_int_equal(fake->seg[SEG_CS].selector, get(NEW_TSS + CS, 2));
		assert_int_equal(fake->seg[SEG_SS].selector, get(NEW_TSS + SS, 2));
		assert_int_equal(fake->seg[SEG_CS].attributes & 0x98, 0x98);
		if (bad[i / 2].at == CS || bad[i / 2].at == SS || bad[i / 2].at == LDTR)
			assert_int_equal(fake->seg[SEG_SS].attributes & (SEG_ATTR_PRESENT | SEG_ATTR_DPL),
					 SEG_ATTR_DPL);
	}
}

/* Data of a ring further in than the task, whatever the selector asks for. */
static void test_data_of_another_ring(void **state)
{
	(void)state;
	put(NEW_TSS + CS, 2, USERCODE);
	put(NEW_TSS + SS, 2, USERDATA);
	put(NEW_TSS + ES, 2, USERDATA);
	switch_to(NEW, TASK_JMP, NULL);
	check_fault(10, DATA);
	assert_int_equal(fake->seg[SEG_ES].attributes, 0xcf3);
	assert_int_equal(fake->seg[SEG_DS].attributes & SEG_ATTR_PRESENT, 0);
}

static void test_segments_that_are_fine(void **state)
{
	(void)state;
	put(LDT_TABLE + 8, 4, 0xffff);
	put(LDT_TABLE + 12, 4, 0xcff200);
	put(NEW_TSS + CS, 2, USERCODE);
	put(NEW_TSS + SS, 2, USERDATA);
	put(NEW_TSS + DS, 2, 0xf);
	put(NEW_TSS + ES, 2, 3);
	descriptor(BAD, 0, 0xfffff, 0x9e, FLAT);
	put(NEW_TSS + FS, 2, BAD | 3);
	put(NEW_TSS + GS, 2, 0);
	switch_to(NEW, TASK_JMP, NULL);
	assert_null(spine_injected(&spine));
	assert_int_equal(fake->reg[REG_CPL], 3);
	assert_int_equal(fake->seg[SEG_DS].selector, 0xf);
	assert_int_equal(fake->seg[SEG_DS].attributes, 0xcf3);
	assert_int_equal(get(LDT_TABLE + 13, 1), 0xf3);
	assert_int_equal(fake->seg[SEG_ES].selector, 3);
	assert_int_equal(fake->seg[SEG_FS].attributes & 0x9f, 0x9f);
}

#define PTE 0x87u /* present, writable, user, large */

static void paging_on(bool pae)
{
	uint64_t *pointers = fake_memory_at(&spine.fake.platform, POINTERS, 64);

	put(DIRECTORY, 4, PTE);
	put(DIRECTORY + 4, 4, 0);
	put(OTHER_CR3, 4, PTE & ~4u);
	if (pae) {
		put(DIRECTORY + 8, 4, 0);
		for (unsigned i = 0; i < 4; i++)
			pointers[i] = DIRECTORY | 1;
		fake->reg[REG_CR3] = POINTERS;
		fake->reg[REG_CR4] = CR4_PAE;
		put(NEW_TSS + CR3, 4, POINTERS + 32);
		memcpy(pointers + 4, pointers, 32);
	} else {
		fake->reg[REG_CR3] = DIRECTORY;
		fake->reg[REG_CR4] = CR4_PSE;
	}
	fake->reg[REG_CR0] |= CR0_PG | CR0_WP;
}

static void test_paging(void **state)
{
	const struct event event = {.type = EVENT_EXCEPTION, .vector = 13, .has_error = true, .error = 0x1234};

	(void)state;
	/* the task's tables are for the supervisor alone: its own code is one */
	paging_on(false);
	fake->reg[REG_CPL] = 3;
	switch_to(NEW, TASK_GATE, &event);
	assert_null(spine_injected(&spine));
	assert_int_equal(fake->reg[REG_CR3], OTHER_CR3);
	assert_int_equal(fake->flushes, 1);
	assert_int_equal(get(STACK - 4, 4), 0x1234);
	/* tables and task states are the supervisor's, but the stack is not */
	spine_teardown(state);
	setup(state);
	paging_on(false);
	put(NEW_TSS + CS, 2, USERCODE);
	put(NEW_TSS + SS, 2, USERDATA);
	put(NEW_TSS + DS, 2, 0);
	put(NEW_TSS + ES, 2, 0);
	put(NEW_TSS + GS, 2, 0);
	switch_to(NEW, TASK_GATE, &(struct event){.type = EVENT_EXCEPTION, .vector = 17, .has_error = true});
	check_fault(14, 7);
	assert_int_equal(spine_injected(&spine)->address, STACK - 4);
	assert_int_equal(fake->seg[SEG_TR].selector, NEW);
}

static void test_pae(void **state)
{
	(void)state;
	paging_on(true);
	switch_to(NEW, TASK_CALL, NULL);
	assert_null(spine_injected(&spine));
	assert_int_equal(fake->reg[REG_CR3], POINTERS + 32);
	assert_int_equal(fake->flushes, 1);
	/* the same CR3: the CPU goes on with the pointers that it has, whatever they are by now */
	spine_teardown(state);
	setup(state);
	paging_on(true);
	put(POINTERS + 24, 4, DIRECTORY | 3);
	put(NEW_TSS + CR3, 4, POINTERS);
	switch_to(NEW, TASK_CALL, NULL);
	assert_null(spine_injected(&spine));
	assert_int_equal(fake->flushes, 0);
	/* pointers that an entry would not take */
	for (unsigned i = 0; i < 3; i++) {
		spine_teardown(state);
		setup(state);
		paging_on(true);
		if (i == 0)
			put(POINTERS + 56, 4, DIRECTORY | 3);
		if (i == 1)
			put(POINTERS + 60, 4, 0x80000000);
		if (i == 2)
			put(NEW_TSS + CR3, 4, (uint32_t)SPINE_HIDDEN);
		switch_to(NEW, TASK_CALL, NULL);
		check_fault(13, 0);
		assert_int_equal(fake->seg[SEG_TR].selector, NEW);
		assert_int_equal(fake->reg[REG_CR3], POINTERS);
	}
}

/* What is touched before the commit is not there: nothing has happened yet. */
static void test_page_faults(void **state)
{
	/* of 4 MiB each: the first is mapped, the second is not */
	const uint32_t there = MIB(4);

	paging_on(false);
	fake->seg[SEG_TR].base = there - 0x40;
	switch_to(NEW, TASK_JMP, NULL);
	check_fault(14, 2);
	assert_int_equal(spine_injected(&spine)->address, there - 0x40 + LDTR - 1);
	check_old();
	for (unsigned i = 0; i < 2; i++) {
		spine_teardown(state);
		setup(state);
		paging_on(false);
		descriptor(NEW, there - (i ? 0x40 : 0), 103, TYPE_TSS32, 0);
		switch_to(NEW, TASK_CALL, NULL);
		check_fault(14, 0);
		assert_int_equal(spine_injected(&spine)->address, i ? there - 0x40 + 103 : there);
		check_old();
	}
	spine_teardown(state);
	setup(state);
	paging_on(false);
	fake->reg[REG_GDTR_BASE] = there;
	switch_to(NEW, TASK_JMP, NULL);
	check_fault(14, 0);
	assert_int_equal(spine_injected(&spine)->address, there + NEW);
	check_old();
	/* its own tables have no GDT: that is behind the commit */
	spine_teardown(state);
	setup(state);
	paging_on(false);
	put(OTHER_CR3, 4, 0);
	switch_to(NEW, TASK_CALL, NULL);
	check_fault(14, 0);
	assert_int_equal(fake->seg[SEG_TR].selector, NEW);
	check_saved(0x8007, 0x2 | X86_FLAGS_NT | X86_FLAGS_CF);
}

/* All ones: there is no such task. */
static void test_hidden_tss(void **state)
{
	(void)state;
	descriptor(NEW, (uint32_t)SPINE_HIDDEN, 103, TYPE_TSS32, 0);
	switch_to(NEW, TASK_CALL, NULL);
	check_fault(10, 0xfffc);
	assert_int_equal(fake->seg[SEG_TR].selector, NEW);
	assert_int_equal(vcpu->rip, 0xffffffff);
	assert_int_equal(vcpu->rflags & ~0x3f7fd7ull, 0);
}

/* The instruction is stepped: it is done, and our TF is nowhere. */
static void test_stepped(void **state)
{
	(void)state;
	single_begin(vcpu, NULL);
	assert_true(vcpu->rflags & X86_FLAGS_TF);
	switch_to(NEW, TASK_JMP, NULL);
	check_new();
	check_saved(0x8007, 0x2 | X86_FLAGS_NT | X86_FLAGS_CF);
	assert_false(vcpu->rflags & X86_FLAGS_TF);
	assert_false(vcpu->single.active);
	assert_true(vcpu->single.completed);
	/* it faults: it is not */
	single_begin(vcpu, NULL);
	switch_to(NEW, TASK_JMP, NULL);
	check_fault(13, NEW);
	assert_false(vcpu->single.completed);
}

static void test_shadow_ends(void **state)
{
	(void)state;
	fake->reg[REG_INTERRUPT_SHADOW] = 1;
	switch_to(NEW, TASK_JMP, NULL);
	assert_int_equal(fake->reg[REG_INTERRUPT_SHADOW], 0);
}

#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_jmp),
		TEST(test_call_and_iret),
		TEST(test_wraps),
		TEST(test_gate),
		TEST(test_error_code),
		TEST(test_error_code_without_room),
		TEST(test_16_bit),
		TEST(test_v8086),
		TEST(test_trap_bit),
		TEST(test_tss_checks),
		TEST(test_gdt_limit),
		TEST(test_old_tss_short),
		TEST(test_double_fault),
		TEST(test_segment_checks),
		TEST(test_data_of_another_ring),
		TEST(test_segments_that_are_fine),
		TEST(test_paging),
		TEST(test_pae),
		TEST(test_page_faults),
		TEST(test_hidden_tss),
		TEST(test_stepped),
		TEST(test_shadow_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
