/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: selectors by every instruction that loads one, IRET to every kind of frame, call gates and the stacks of
 * inner rings, in 32-bit protected, compatibility and 64-bit mode. Task switches are not here.
 */
#include "conform_calls.h"
#include "record.h"

#define FLAGS_IF   0x200u
#define FLAGS_IOPL 0x3000u
#define FLAGS_NT   0x4000u

/* Descriptors of this guest; those with TI are the LDT's */
#define SELECTOR_LDT SELECTOR_SPARE
#define TI	     4u
#define LDT(index)   ((index)*8 | TI)
enum {
	LDT_USER_DATA,
	LDT_ABSENT_CODE,
	LDT_ABSENT_DATA,
	LDT_RING1_CODE,
	LDT_RING1_DATA,
	LDT_RING1_ABSENT,
	LDT_RING1_READ_ONLY,
	LDT_GATE, /* to ring 0 with two parameters */
	LDT_GATE_RING1,
	LDT_GATE_ABSENT,
	LDT_GATE_KERNEL,
	LDT_GATE_NULL,
	LDT_GATE_DATA,
	LDT_GATE_BEYOND,
	LDT_GATE_ABSENT_CODE,
	LDT_GATE16,
	LDT_GATE_CONFORMING,
	LDT_GATE_USER,
	LDT_CODE_BASED, /* base: callee16's 64 KiB */
	LDT_GATE64,	/* two descriptors each */
	LDT_GATE64_RING1 = LDT_GATE64 + 2,
	LDT_GATE64_CODE32 = LDT_GATE64_RING1 + 2,
	LDT_GATE64_ABSENT = LDT_GATE64_CODE32 + 2,
	LDT_RING1_CODE64 = LDT_GATE64_ABSENT + 2,
	LDT_COUNT,
};

#define GATE_CALL16 0x84u
#define GATE_CALL32 0x8cu
#define GATE_USER   0x60u
#define GATE_P	    0x80u

/* clang-format off */
#define LOADS(S) \
	S(load_ds) S(load_fs) S(load_ss) S(far_jump) S(far_call) S(far_ret)
#define OTHERS(S) \
	S(lldt32) S(ltr32) S(int_33_back) S(gate_call32) S(callee2) S(callee0) S(callee16) S(ring1_handler) S(ring1_fault) \
	S(undefined32) S(iret_frame32) S(landing32) S(callee64)
/* clang-format on */

struct iret32 {
	uint32_t eip, cs, eflags, esp, ss;
};

#define DECLARE(name)	  void name(void);
#define DECLARE_TWO(name) DECLARE(name##32) DECLARE(name##64)

/* conform_selectors_code.S */
LOADS(DECLARE_TWO)
OTHERS(DECLARE)

static uint64_t ldt[LDT_COUNT];
static uint8_t user_stack[4096], ring1_stack[4096] __attribute__((aligned(16)));

#define TOP(stack) ((uint32_t)(stack) + sizeof(stack) - 16)

static uint64_t call_gate(void (*code)(void), uint32_t selector, uint32_t type, uint32_t parameters)
{
	uint32_t offset = (uint32_t)code;

	return (offset & 0xffff) | selector << 16 | (uint64_t)(parameters | type << 8) << 32 |
	       (uint64_t)(offset >> 16) << 48;
}

static void tables_init(void)
{
	uint32_t base = (uint32_t)ldt, gate = GATE_CALL32 | GATE_USER, based;

	gdt[SELECTOR_LDT / 8] =
		(sizeof(ldt) - 1) | (uint64_t)(base & 0xffffff) << 16 | 0x82ull << 40 | (uint64_t)(base >> 24) << 56;
	ldt[LDT_USER_DATA] = 0x00cff3000000ffff;
	ldt[LDT_ABSENT_CODE] = 0x00cf1b000000ffff;
	ldt[LDT_ABSENT_DATA] = 0x00cf13000000ffff;
	ldt[LDT_RING1_CODE] = 0x00cfbb000000ffff;
	ldt[LDT_RING1_DATA] = 0x00cfb3000000ffff;
	ldt[LDT_RING1_ABSENT] = 0x00cf33000000ffff;
	ldt[LDT_RING1_READ_ONLY] = 0x00cfb1000000ffff;
	ldt[LDT_RING1_CODE64] = 0x00afbb000000ffff;
	ldt[LDT_GATE] = call_gate(callee2, SELECTOR_CODE32, gate, 2);
	ldt[LDT_GATE_RING1] = call_gate(callee2, LDT(LDT_RING1_CODE), gate, 2);
	ldt[LDT_GATE_ABSENT] = call_gate(callee2, SELECTOR_CODE32, gate & ~GATE_P, 2);
	ldt[LDT_GATE_KERNEL] = call_gate(callee2, SELECTOR_CODE32, GATE_CALL32, 2);
	ldt[LDT_GATE_NULL] = call_gate(callee2, 0, gate, 2);
	ldt[LDT_GATE_DATA] = call_gate(callee2, SELECTOR_DATA, gate, 2);
	ldt[LDT_GATE_BEYOND] = call_gate(callee2, GDT_COUNT * 8, gate, 2);
	ldt[LDT_GATE_ABSENT_CODE] = call_gate(callee2, SELECTOR_ABSENT_CODE, gate, 2);
	based = (uint32_t)callee16 & 0xffff0000;
	ldt[LDT_CODE_BASED] = 0x00cf9b000000ffff | (uint64_t)(based & 0xffffff) << 16 | (uint64_t)(based >> 24) << 56;
	ldt[LDT_GATE16] = call_gate(callee16, LDT(LDT_CODE_BASED), GATE_CALL16 | GATE_USER, 2) & 0x0000ffffffffffff;
	ldt[LDT_GATE_CONFORMING] = call_gate(callee0, SELECTOR_CONFORMING, gate, 0);
	ldt[LDT_GATE_USER] = call_gate(callee0, SELECTOR_USER_CODE, gate, 0);
	ldt[LDT_GATE64] = call_gate(callee64, SELECTOR_CODE64, gate, 0);
	ldt[LDT_GATE64_RING1] = call_gate(callee64, LDT(LDT_RING1_CODE64), gate, 0);
	ldt[LDT_GATE64_CODE32] = call_gate(callee64, SELECTOR_CODE32, gate, 0);
	ldt[LDT_GATE64_ABSENT] = call_gate(callee64, SELECTOR_CODE64, gate & ~GATE_P, 0);
	__asm__ volatile("lldt %w0" : : "r"(SELECTOR_LDT));
	record_tss.esp1 = TOP(ring1_stack);
	record_tss.ss1 = LDT(LDT_RING1_DATA) | 1;
	record_tss64.rsp[1] = TOP(ring1_stack);
}

/* A selector by each instruction that loads one. */
static void selector_try(uint32_t selector, const char *name, void (*code)(void), void (*run)(void (*)(void), uint32_t))
{
	run(code, selector);
	print("%x ", selector);
	record_print(name, (const void *)code);
}

#define SELECT(name)	    selector_try(selector, #name, name##32, run32);
#define SELECT_USER(name)   selector_try(selector, #name " ring 3", name##32, run_user);
#define SELECT64(name)	    selector_try(selector, #name, name##64, run64);
#define SELECT_COMPAT(name) selector_try(selector, #name, name##32, run_compat);

static const uint16_t selectors[] = {
	0,
	3,
	SELECTOR_DATA,
	SELECTOR_DATA | 3,
	SELECTOR_CODE32,
	SELECTOR_CODE32 | 3,
	SELECTOR_CODE64,
	SELECTOR_USER_CODE,
	SELECTOR_USER_DATA,
	SELECTOR_ABSENT_CODE,
	SELECTOR_ABSENT_DATA,
	SELECTOR_READ_ONLY,
	SELECTOR_CONFORMING,
	SELECTOR_TSS,
	SELECTOR_ABSENT_TSS,
	SELECTOR_LDT,
	GDT_COUNT * 8,
	GDT_COUNT * 8 | 3,
	LDT(LDT_USER_DATA) | 3,
	LDT(LDT_ABSENT_CODE),
	LDT(LDT_ABSENT_DATA) | 3,
	LDT(LDT_RING1_CODE) | 1,
	LDT(LDT_COUNT) | 2,
};

static void select(void)
{
	mark("selectors");
	for (unsigned i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
		uint32_t selector = selectors[i];

		LOADS(SELECT)
		LOADS(SELECT_USER)
		if (selector & ~3u && selector != SELECTOR_LDT) {
			selector_try(selector, "lldt32", lldt32, run32);
			selector_try(selector, "ltr32", ltr32, run32);
		}
	}
	selector_try(0, "ltr32", ltr32, run32);
	mark("selectors, 64 bit");
	for (unsigned i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
		uint32_t selector = selectors[i];

		LOADS(SELECT64)
	}
	mark("selectors, compatibility mode");
	for (unsigned i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
		uint32_t selector = selectors[i];

		LOADS(SELECT_COMPAT)
	}
}

static const struct {
	uint16_t cs, ss;
	uint32_t eflags;
} frames[] = {
	{SELECTOR_CODE32, 0, FLAGS_IOPL},
	{SELECTOR_CODE64, SELECTOR_DATA, 0},
	{SELECTOR_CODE64, 0, FLAGS_NT},
	{SELECTOR_CODE64, 3, 0},
	{SELECTOR_USER_CODE, SELECTOR_USER_DATA, FLAGS_IOPL | FLAGS_IF},
	{SELECTOR_USER_CODE64, SELECTOR_USER_DATA, FLAGS_IOPL},
	{SELECTOR_USER_CODE, 0, 0},
	{SELECTOR_USER_CODE, 3, 0},
	{SELECTOR_USER_CODE64, 0, 0},
	{SELECTOR_USER_CODE64, 3, 0},
	{SELECTOR_USER_CODE, SELECTOR_USER_DATA & ~3, 0},
	{SELECTOR_USER_CODE, SELECTOR_DATA | 3, 0},
	{SELECTOR_USER_CODE, SELECTOR_USER_CODE, 0},
	{SELECTOR_USER_CODE, SELECTOR_ABSENT_DATA | 3, 0},
	{SELECTOR_USER_CODE, GDT_COUNT * 8 | 3, 0},
	{SELECTOR_USER_CODE, LDT(LDT_USER_DATA) | 3, 0},
	{SELECTOR_CODE32 | 3, SELECTOR_USER_DATA, 0},
	{SELECTOR_ABSENT_CODE, SELECTOR_DATA, 0},
	{SELECTOR_DATA, SELECTOR_DATA, 0},
	{LDT(LDT_RING1_CODE) | 1, LDT(LDT_RING1_DATA) | 1, FLAGS_IOPL},
	{LDT(LDT_RING1_CODE) | 1, LDT(LDT_RING1_ABSENT) | 1, 0},
	{LDT(LDT_RING1_CODE) | 1, LDT(LDT_RING1_READ_ONLY) | 1, 0},
	{LDT(LDT_RING1_CODE64) | 1, 1, 0},
	{LDT(LDT_RING1_CODE64) | 1, 0, 0},
	{LDT(LDT_RING1_CODE) | 3, LDT(LDT_RING1_DATA) | 1, 0},
	{LDT(LDT_COUNT), SELECTOR_DATA, 0},
	{0, SELECTOR_DATA, 0},
};

static void frame_print(unsigned i, const char *name, const void *failed)
{
	bool landed = record_count && record[0].vector == 0x30;

	print("cs %x ss %x flags %x ", frames[i].cs, frames[i].ss, frames[i].eflags);
	record_print(name, landed ? (const void *)landing32 : failed);
}

static void iret(void)
{
	mark("IRET");
	for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct iret32 frame = {
			.eip = (uint32_t)landing32,
			.cs = frames[i].cs,
			.eflags = frames[i].eflags | 2,
			.esp = TOP(user_stack),
			.ss = frames[i].ss,
		};

		/* a task switch */
		if (frames[i].eflags & FLAGS_NT)
			continue;
		run32(iret_frame32, (uint32_t)&frame);
		frame_print(i, "iretl", (const void *)iret_frame32);
	}
	mark("IRET, 64 bit");
	for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct iret64 frame = {
			.rip = (uint32_t)landing32,
			.cs = frames[i].cs,
			.rflags = frames[i].eflags | 2,
			.rsp = TOP(user_stack),
			.ss = frames[i].ss,
		};

		run64(iret_frame64, (uint32_t)&frame);
		frame_print(i, "iretq", (const void *)iret_frame64);
	}
}

/* What happens in a callee is shown relative to it, what happens before relative to the caller. */
static void gate_print(const char *name, void (*caller)(void), void (*callee)(void))
{
	for (uint32_t i = 0; i < record_count; i++) {
		struct record *r = &record[i];
		uint32_t base = r->cs == LDT(LDT_CODE_BASED) ? (uint32_t)callee16 & 0xffff0000 : 0;

		if (r->ip + base - (uint32_t)callee < 64)
			r->ip += base + (uint32_t)caller - (uint32_t)callee;
		/* only what the snippets tell */
		if (r->vector < 32)
			r->ecx = r->esi = r->edi = 0;
	}
	record_print(name, (const void *)caller);
}

static void gates(void)
{
	mark("call gates");
	record_strings = true;
	for (unsigned gate = LDT_GATE; gate <= LDT_GATE_USER; gate++) {
		void (*callee)(void) = gate >= LDT_GATE_CONFORMING ? callee0 : gate == LDT_GATE16 ? callee16 : callee2;

		for (uint32_t rpl = 0; rpl <= 3; rpl += 3) {
			print("%x ", LDT(gate) | rpl);
			run32(gate_call32, LDT(gate) | rpl);
			gate_print("gate_call32", gate_call32, callee);
			print("%x ", LDT(gate) | rpl);
			run_user(gate_call32, LDT(gate) | rpl);
			gate_print("gate_call32 ring 3", gate_call32, callee);
		}
	}
	record_strings = false;
	print("%x ", LDT(LDT_GATE16));
	run32(far_jump32, LDT(LDT_GATE16));
	gate_print("far_jump32", far_jump32, callee16);
	selector_try(LDT(LDT_GATE16), "far_jump32 ring 3", far_jump32, run_user);
	selector_try(LDT(LDT_GATE_USER), "far_jump32", far_jump32, run32);
	selector_try(LDT(LDT_GATE), "far_ret32", far_ret32, run32);
	selector_try(LDT(LDT_GATE), "load_fs32", load_fs32, run32);
}

static void inner_stacks(void)
{
	static const uint16_t wrong[] = {
		LDT(LDT_RING1_DATA) | 1,
		0,
		1,
		LDT(LDT_RING1_DATA),
		SELECTOR_DATA | 1,
		SELECTOR_USER_DATA,
		LDT(LDT_RING1_ABSENT) | 1,
		LDT(LDT_RING1_READ_ONLY) | 1,
		LDT(LDT_RING1_CODE) | 1,
		LDT(LDT_COUNT) | 1,
		GDT_COUNT * 8 | 1,
	};
	struct idt_gate undefined = idt[6], int_33 = idt[0x33];

	mark("stacks of an inner ring");
	idt_set(idt, 0x33, ring1_handler);
	idt[0x33].type = GATE_P | GATE_USER | 0xe;
	idt[0x33].selector = LDT(LDT_RING1_CODE);
	idt_set(idt, 6, ring1_fault);
	idt[6].type = idt[0x33].type;
	idt[6].selector = idt[0x33].selector;
	record_strings = true;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		record_tss.ss1 = wrong[i];
		print("SS1 %x ", wrong[i]);
		run_user(gate_call32, LDT(LDT_GATE_RING1) | 3);
		gate_print("gate_call32", gate_call32, callee2);
		print("SS1 %x ", wrong[i]);
		run_user(int_33_back, 0);
		gate_print("int_33_back", int_33_back, ring1_handler);
	}
	record_strings = false;
	/* an exception's error code has EXT */
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		record_tss.ss1 = wrong[i];
		print("SS1 %x ", wrong[i]);
		run_user(undefined32, 0);
		gate_print("undefined32", undefined32, ring1_fault);
	}
	record_tss.ss1 = LDT(LDT_RING1_DATA) | 1;
	/* from ring 0 nothing goes to an outer ring */
	RUN32(undefined32);
	run32(int_33_back, 0);
	record_print("int_33_back", (const void *)int_33_back);
	idt[6] = undefined;
	idt[0x33] = int_33;
}

/* In long mode gates have no parameters, and the SS of an inner ring is null. */
static void long_gates(void)
{
	static const uint8_t tried[] = {LDT_GATE64, LDT_GATE64_RING1, LDT_GATE64_CODE32, LDT_GATE64_ABSENT};

	mark("call gates, long mode");
	record_strings = true;
	for (unsigned i = 0; i < sizeof(tried); i++) {
		uint32_t selector = LDT(tried[i]);

		print("%x ", selector);
		run64(far_call64, selector);
		gate_print("far_call64", far_call64, callee64);
		print("%x ", selector);
		run_user_long(far_call64, selector, SELECTOR_USER_CODE64, 0);
		gate_print("far_call64 ring 3", far_call64, callee64);
		print("%x ", selector);
		run_user_long(far_call32, selector, SELECTOR_USER_CODE, 0);
		gate_print("far_call32 ring 3, compatibility mode", far_call32, callee64);
	}
	record_strings = false;
}

void guest_main(void)
{
	record_init();
	tables_init();
	select();
	iret();
	gates();
	inner_stacks();
	system_calls();
	long_gates();
}
