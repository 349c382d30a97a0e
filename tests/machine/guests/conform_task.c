/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task switches: each way to one, both sizes of TSS, virtual-8086 tasks, paging, and everything that is checked. SDM
 * vol. 3, "Task Management" (7). Left out is what the manual leaves open: the order of checks, upper halves of
 * registers behind a 16-bit TSS, LE of DR7, RF.
 */
#include "conform_task.h"
#include "guest.h"

#define TYPE_TSS    0x89
#define TYPE_TSS_16 0x81
#define TYPE_LDT    0x82
#define TYPE_GATE   0x85
#define TYPE_CODE   0x9b
#define TYPE_DATA   0x93
#define BUSY	    0x02
#define PRESENT	    0x80

#define CR0_TS	 0x8u
#define CR0_PG	 0x80000000u
#define CR4_PSE	 0x10u
#define CR4_PAE	 0x20u
#define FLAGS_NT 0x4000u
#define FLAGS_VM 0x20000u
#define DR7_BITS 0x05u /* L0 and L1: what a task switch clears */
#define DR7_G	 0x0au
#define ENTRY_4M 0x83u	     /* present, writable, large */
#define WINDOW	 0x10000000u /* what only a task's own page tables map */

struct tss32 {
	uint16_t link, reserved0;
	uint32_t stack[6];
	uint32_t cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, io_map;
};

struct tss16 {
	uint16_t link, stack[6];
	uint16_t ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};

struct far_pointer {
	uint32_t offset;
	uint16_t selector;
} __attribute__((packed));

/* conform_task_code.S */
extern const uint8_t task_recover[], task_low[], task_low_end[], task_v8086[], task_v8086_end[];
void task_run(void (*code)(void));
void task_jmp(void), task_call(void), task_int(void), task_ud(void), task_iret(void), task_double(void);
void task_other(void), task_other_error(void), task_between(void);
void task_fault8(void), task_fault10(void), task_fault11(void), task_fault12(void), task_fault13(void),
	task_fault14(void);
uint32_t task_seen(const uint32_t *registers);
void task_fault(uint32_t vector, uint32_t error);

struct far_pointer task_target;
uint32_t task_stack, task_error, task_between_count;

static uint64_t ldt[2];
static struct tss32 main_tss, other_tss, between_tss, fault_tss[6];
static struct tss16 tss_16;
static uint32_t stacks[3 + 6][256];
static uint32_t directory[2][1024] __attribute__((aligned(4096)));
static uint64_t pointers[2][4] __attribute__((aligned(32)));
static uint64_t directories[2][4][512] __attribute__((aligned(4096)));
static uint32_t window[2] = {0x11111111, 0x22222222};
static bool back_by_jmp, back_to_recover;
static struct idt_gate gates[32]; /* the library's */

/* What the other task found. */
static struct {
	uint32_t count, tr, ldtr, ts, cr3, dr7, flags, registers[8];
	uint32_t es, cs, ss, ds, fs, gs;
	uint32_t main_type, main_eip, other_type, own_link, in_window;
} seen;

static struct {
	uint32_t vector, error, from, count;
} fault;

static const struct {
	unsigned vector;
	void (*code)(void);
} faults[6] = {{8, task_fault8},   {10, task_fault10}, {11, task_fault11},
	       {12, task_fault12}, {13, task_fault13}, {14, task_fault14}};

static void descriptor_set(unsigned selector, uint32_t base, uint32_t limit, uint8_t type, uint8_t flags)
{
	gdt[selector / 8] = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)type << 40 |
			    (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

static uint32_t type_of(unsigned selector)
{
	return (uint32_t)(gdt[selector / 8] >> 40) & 0xff;
}

static uint32_t *stack_top_of(unsigned number)
{
	return &stacks[number][256];
}

static void gate_set(unsigned vector, unsigned selector)
{
	idt[vector] = (struct idt_gate){.selector = (uint16_t)selector, .type = TYPE_GATE};
}

static struct tss32 tss_make(void (*code)(void), unsigned stack)
{
	uint32_t cr3;

	__asm__ volatile("movl %%cr3, %0" : "=r"(cr3));
	return (struct tss32){
		.stack = {(uint32_t)stack_top_of(stack) - 512, SELECTOR_DATA},
		.cr3 = cr3,
		.eip = (uint32_t)code,
		.eflags = 2,
		.eax = 0xa1a2a3a4,
		.ecx = 0xc1c2c3c4,
		.edx = 0xd1d2d3d4,
		.ebx = 0xb1b2b3b4,
		.esp = (uint32_t)stack_top_of(stack),
		.ebp = 0xe1e2e3e4,
		.esi = 0x51525354,
		.edi = 0xf1f2f3f4,
		.es = SELECTOR_DATA,
		.cs = SELECTOR_CODE32,
		.ss = SELECTOR_DATA,
		.ds = SELECTOR_DATA,
		.fs = SELECTOR_DATA,
		.gs = 0,
		.io_map = sizeof(struct tss32),
	};
}

/* Everything as before the first switch. */
static void tasks_reset(void)
{
	uint32_t dr7 = 0x400 | DR7_BITS | DR7_G;

	descriptor_set(TSS_MAIN, (uint32_t)&main_tss, sizeof(main_tss) - 1, TYPE_TSS, 0);
	descriptor_set(TSS_OTHER, (uint32_t)&other_tss, sizeof(other_tss) - 1, TYPE_TSS, 0);
	descriptor_set(TSS_BETWEEN, (uint32_t)&between_tss, sizeof(between_tss) - 1, TYPE_TSS, 0);
	descriptor_set(TSS_16, (uint32_t)&tss_16, sizeof(tss_16) - 1, TYPE_TSS_16, 0);
	gdt[TASK_GATE / 8] = (uint64_t)TSS_OTHER << 16 | (uint64_t)TYPE_GATE << 40;
	descriptor_set(LDT, (uint32_t)ldt, sizeof(ldt) - 1, TYPE_LDT, 0);
	descriptor_set(SELECTOR_USER, 0, 0xfffff, TYPE_DATA | 0x60, 0xc);
	ldt[1] = gdt[SELECTOR_DATA / 8];
	main_tss = (struct tss32){.io_map = sizeof(struct tss32)};
	__asm__ volatile("movl %%cr3, %0" : "=r"(main_tss.cr3));
	other_tss = tss_make(task_other, 0);
	between_tss = tss_make(task_between, 1);
	tss_16 = (struct tss16){
		.ip = LOW_CODE,
		.flags = 2,
		.ax = 0xa3a4,
		.cx = 0xc3c4,
		.dx = 0xd3d4,
		.bx = 0xb3b4,
		.sp = LOW_STACK,
		.bp = 0xe3e4,
		.si = 0x5354,
		.di = 0xf3f4,
		.es = SELECTOR_DATA,
		.cs = SELECTOR_CODE32,
		.ss = SELECTOR_DATA,
		.ds = SELECTOR_DATA,
	};
	memcpy((void *)LOW_CODE, task_low, (size_t)(task_low_end - task_low));
	for (unsigned i = 0; i < 6; i++) {
		fault_tss[i] = tss_make(faults[i].code, 3 + i);
		descriptor_set(TSS_FAULT + 8 * i, (uint32_t)&fault_tss[i], sizeof(fault_tss[i]) - 1, TYPE_TSS, 0);
		gate_set(faults[i].vector, TSS_FAULT + 8 * i);
	}
	gate_set(VECTOR_GATE, TSS_OTHER);
	memset(&seen, 0, sizeof(seen));
	memset(&fault, 0, sizeof(fault));
	task_error = 0;
	task_between_count = 0;
	back_by_jmp = back_to_recover = false;
	__asm__ volatile("clts\n\tltr %w0\n\tmovl %1, %%dr7" : : "r"(TSS_MAIN), "r"(dr7) : "memory");
}

/* Called in the other task. Returns whether it goes back by JMP. */
uint32_t task_seen(const uint32_t *registers)
{
	uint32_t cr0;

	seen.count++;
	__asm__ volatile("xorl %0, %0\n\tstr %w0" : "=&r"(seen.tr));
	__asm__ volatile("xorl %0, %0\n\tsldt %w0" : "=&r"(seen.ldtr));
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movl %%cr3, %0" : "=r"(seen.cr3));
	__asm__ volatile("movl %%dr7, %0" : "=r"(seen.dr7));
	__asm__ volatile("movl %%es, %0" : "=r"(seen.es));
	__asm__ volatile("movl %%cs, %0" : "=r"(seen.cs));
	__asm__ volatile("movl %%ss, %0" : "=r"(seen.ss));
	__asm__ volatile("movl %%ds, %0" : "=r"(seen.ds));
	__asm__ volatile("movl %%fs, %0" : "=r"(seen.fs));
	__asm__ volatile("movl %%gs, %0" : "=r"(seen.gs));
	seen.ts = cr0 & CR0_TS;
	for (unsigned i = 0; i < 8; i++)
		seen.registers[i] = registers[7 - i];
	seen.flags = registers[8];
	seen.main_type = type_of(TSS_MAIN);
	seen.other_type = type_of(seen.tr);
	seen.own_link = seen.tr == TSS_16 ? tss_16.link : other_tss.link;
	seen.main_eip = main_tss.eip;
	if (back_to_recover)
		main_tss.eip = (uint32_t)task_recover;
	if (cr0 & CR0_PG)
		seen.in_window = *(const volatile uint32_t *)WINDOW;
	return back_by_jmp;
}

/* Called in a fault's task: the main task is what it returns to, whatever was interrupted. */
void task_fault(uint32_t vector, uint32_t error)
{
	unsigned i = 0;

	while (faults[i].vector != vector)
		i++;
	fault.count++;
	fault.vector = vector;
	fault.error = error;
	fault.from = fault_tss[i].link;
	fault_tss[i].link = TSS_MAIN;
	gdt[TSS_MAIN / 8] |= (uint64_t)BUSY << 40;
	main_tss.eip = (uint32_t)task_recover;
	main_tss.eflags &= ~FLAGS_NT;
}

static void run(const char *name, void (*code)(void), uint16_t selector)
{
	uint32_t cr0;

	task_target = (struct far_pointer){.selector = selector};
	task_run(code);
	if (fault.count) {
		print("%s: %s%u exception %x error %x in task %x\n", name, seen.count ? "switched, then " : "",
		      fault.count, fault.vector, fault.error, fault.from);
	} else {
		print("%s: %u in task %x (type %x, main's %x), link %x, NT %x, TS %x, error %x; main goes on at %x, "
		      "its NT %x\n",
		      name, seen.count, seen.tr, seen.other_type, seen.main_type, seen.own_link, seen.flags & FLAGS_NT,
		      seen.ts, task_error, seen.main_eip - (uint32_t)code, main_tss.eflags & FLAGS_NT);
	}
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	print("  afterwards: types %x %x, TS %x\n", type_of(TSS_MAIN), type_of(TSS_OTHER), cr0 & CR0_TS);
}

static void state_print(bool wide)
{
	uint32_t mask = wide ? 0xffffffff : 0xffff;

	print("  registers");
	for (unsigned i = 0; i < 8; i++) {
		if (i != 4)
			print(" %x", seen.registers[i] & mask);
	}
	print(", segments %x %x %x %x %x %x, LDTR %x, flags %x, DR7 %x\n", seen.es, seen.cs, seen.ss, seen.ds, seen.fs,
	      seen.gs, seen.ldtr, seen.flags & mask & ~0x8d5u, seen.dr7 & 0xff);
}

static void ways(void)
{
	mark("ways");
	tasks_reset();
	back_by_jmp = true;
	run("JMP", task_jmp, TSS_OTHER);
	state_print(true);
	tasks_reset();
	run("CALL", task_call, TSS_OTHER);
	state_print(true);
	run("CALL again", task_call, TSS_OTHER);
	tasks_reset();
	back_by_jmp = true;
	run("JMP through a gate", task_jmp, TASK_GATE);
	tasks_reset();
	run("CALL through a gate", task_call, TASK_GATE);
	tasks_reset();
	run("INT n", task_int, 0);
	tasks_reset();
	other_tss.ldt = LDT;
	other_tss.fs = 0xc;
	run("CALL with an LDT", task_call, TSS_OTHER);
	state_print(true);
	tasks_reset();
	run("CALL of a task that calls", task_call, TSS_BETWEEN);
	print("  %u back in the middle, its type %x\n", task_between_count, type_of(TSS_BETWEEN));
	tasks_reset();
	main_tss.link = TSS_OTHER;
	gdt[TSS_OTHER / 8] |= (uint64_t)BUSY << 40;
	back_by_jmp = true;
	run("IRET", task_iret, 0);
}

static void exceptions(void)
{
	mark("exceptions");
	tasks_reset();
	gate_set(6, TSS_OTHER);
	back_to_recover = true;
	run("#UD", task_ud, 0);
	tasks_reset();
	idt[13].type &= (uint8_t)~PRESENT;
	run("#DF", task_double, 0);
	tasks_reset();
	gate_set(13, TSS_OTHER);
	other_tss.eip = (uint32_t)task_other_error;
	back_to_recover = true;
	run("#GP", task_double, 0);
}

static void sizes(void)
{
	mark("16 bit");
	tasks_reset();
	run("CALL of a 16-bit TSS", task_call, TSS_16);
	state_print(false);
	tasks_reset();
	back_by_jmp = true;
	run("JMP to a 16-bit TSS", task_jmp, TSS_16);
	print("  saved: cs %x, ds %x, type %x\n", tss_16.cs, tss_16.ds, type_of(TSS_16));
	tasks_reset();
	gate_set(VECTOR_GATE, TSS_16);
	run("INT n with a 16-bit TSS", task_int, 0);
}

static void virtual_8086(void)
{
	mark("v8086");
	tasks_reset();
	memcpy((void *)LOW_CODE, task_v8086, (size_t)(task_v8086_end - task_v8086));
	*(uint16_t *)0x7000 = 0x5ca1;
	other_tss.eip = LOW_CODE - 0x7000;
	other_tss.cs = 0x700;
	other_tss.ss = 0x600;
	other_tss.esp = 0x1000;
	other_tss.ds = 0x700;
	other_tss.es = 0x1234;
	other_tss.eflags = FLAGS_VM | 2;
	run("v8086", task_call, TSS_OTHER);
	print("  it ended at %x:%x, ss %x, es %x, flags %x, bx %x, cx %x\n", other_tss.cs, other_tss.eip, other_tss.ss,
	      other_tss.es & 0xffff, other_tss.eflags & (FLAGS_VM | FLAGS_NT), other_tss.ebx & 0xffff,
	      other_tss.ecx & 0xffff);
}

static void paging(void)
{
	uint32_t cr0, cr3[] = {(uint32_t)directory[0], (uint32_t)directory[1]}, cr4 = cr4_get();

	mark("paging");
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned j = 0; j < 1024; j++)
			directory[i][j] = j << 22 | ENTRY_4M;
		for (unsigned j = 0; j < 4 * 512; j++)
			directories[i][j / 512][j % 512] = (uint64_t)j << 21 | ENTRY_4M;
		for (unsigned j = 0; j < 4; j++)
			pointers[i][j] = (uint32_t)directories[i][j] | 1;
		directory[i][WINDOW >> 22] = (i + 8) << 22 | ENTRY_4M;
		directories[i][0][WINDOW >> 21] = (i + 8) << 22 | ENTRY_4M;
		*(uint32_t *)((i + 8) << 22) = window[i];
	}
	for (unsigned pae = 0; pae < 2; pae++) {
		if (pae) {
			cr3[0] = (uint32_t)pointers[0];
			cr3[1] = (uint32_t)pointers[1];
		}
		cr4_set(cr4 | (pae ? CR4_PAE : CR4_PSE));
		__asm__ volatile("movl %1, %%cr3\n\tmovl %%cr0, %0\n\torl %2, %0\n\tmovl %0, %%cr0"
				 : "=&r"(cr0)
				 : "r"(cr3[0]), "i"(CR0_PG)
				 : "memory");
		tasks_reset();
		other_tss.cr3 = cr3[1];
		run(pae ? "CALL, PAE" : "CALL, 32-bit paging", task_call, TSS_OTHER);
		__asm__ volatile("movl %%cr3, %0" : "=r"(cr0));
		print("  there: own CR3 %x, window %x; back: CR3 %x, window %x\n", seen.cr3 == cr3[1], seen.in_window,
		      cr0 == cr3[0], *(const volatile uint32_t *)WINDOW);
		tasks_reset();
		back_by_jmp = true;
		main_tss.cr3 = cr3[1];
		run("JMP", task_jmp, TSS_OTHER);
		__asm__ volatile("movl %%cr3, %0" : "=r"(cr0));
		print("  there: window %x; back: CR3 %x, window %x\n", seen.in_window, cr0 == cr3[1],
		      *(const volatile uint32_t *)WINDOW);
		__asm__ volatile("movl %%cr0, %0\n\tandl %1, %0\n\tmovl %0, %%cr0"
				 : "=&r"(cr0)
				 : "i"(~CR0_PG)
				 : "memory");
	}
	__asm__ volatile("movl %0, %%cr3" : : "r"(0) : "memory");
	cr4_set(cr4);
}

/* Checks before the commit: the exception is the old task's. */
static void tss_checks(void)
{
	static const struct {
		const char *name;
		uint32_t limit;
		uint8_t type;
	} bad[] = {
		{"not present", 103, TYPE_TSS & ~PRESENT},
		{"busy", 103, TYPE_TSS | BUSY},
		{"too short", 102, TYPE_TSS},
		{"16 bit, too short", 42, TYPE_TSS_16},
	};
	static const struct {
		const char *name;
		void (*code)(void);
	} way[] = {{"JMP", task_jmp}, {"CALL", task_call}, {"INT n", task_int}, {"#UD", task_ud}};

	mark("tss");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (unsigned j = 0; j < sizeof(way) / sizeof(way[0]); j++) {
			tasks_reset();
			descriptor_set(TSS_OTHER, (uint32_t)&other_tss, bad[i].limit, bad[i].type, 0);
			gate_set(6, TSS_OTHER);
			print("%s: ", bad[i].name);
			run(way[j].name, way[j].code, TSS_OTHER);
		}
	}
	for (unsigned link = 0; link < 4; link++) {
		static const uint16_t to[] = {0, TSS_OTHER, TSS_OTHER | 4, 0xfff8};

		tasks_reset();
		main_tss.link = to[link];
		print("link %x: ", to[link]);
		run("IRET", task_iret, 0);
	}
}

/* Checks behind it: the exception is the new task's. */
static void segment_checks(void)
{
	static const struct {
		const char *name;
		size_t where;
		uint16_t selector;
		uint8_t type; /* of SCRATCH */
	} bad[] = {
		{"CS null", offsetof(struct tss32, cs), 0, 0},
		{"CS outside", offsetof(struct tss32, cs), 0x1000, 0},
		{"CS data", offsetof(struct tss32, cs), SELECTOR_DATA, 0},
		{"CS not present", offsetof(struct tss32, cs), SCRATCH, TYPE_CODE & ~PRESENT},
		{"CS of DPL 3", offsetof(struct tss32, cs), SCRATCH, TYPE_CODE | 0x60},
		{"CS conforming, of DPL 3", offsetof(struct tss32, cs), SCRATCH, TYPE_CODE | 0x64},
		{"SS null", offsetof(struct tss32, ss), 0, 0},
		{"SS outside", offsetof(struct tss32, ss), 0x1000, 0},
		{"SS code", offsetof(struct tss32, ss), SELECTOR_CODE32, 0},
		{"SS read-only", offsetof(struct tss32, ss), SCRATCH, TYPE_DATA & ~2},
		{"SS not present", offsetof(struct tss32, ss), SCRATCH, TYPE_DATA & ~PRESENT},
		{"SS of DPL 3", offsetof(struct tss32, ss), SCRATCH, TYPE_DATA | 0x60},
		{"SS with RPL 3", offsetof(struct tss32, ss), SELECTOR_DATA | 3, 0},
		{"ES outside", offsetof(struct tss32, es), 0x1000, 0},
		{"DS a TSS", offsetof(struct tss32, ds), TSS_OTHER, 0},
		{"FS execute-only", offsetof(struct tss32, fs), SCRATCH, TYPE_CODE & ~2},
		{"GS not present", offsetof(struct tss32, gs), SCRATCH, TYPE_DATA & ~PRESENT},
		{"DS with RPL 3", offsetof(struct tss32, ds), SELECTOR_DATA | 3, 0},
		{"DS without an LDT", offsetof(struct tss32, ds), 0xc, 0},
		{"LDT outside", offsetof(struct tss32, ldt), 0x1000, 0},
		{"LDT in the LDT", offsetof(struct tss32, ldt), LDT | 4, 0},
		{"LDT data", offsetof(struct tss32, ldt), SELECTOR_DATA, 0},
		{"LDT not present", offsetof(struct tss32, ldt), SCRATCH, TYPE_LDT & ~PRESENT},
	};

	mark("segments");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tasks_reset();
		descriptor_set(SCRATCH, 0, 0xfffff, bad[i].type, 0xc);
		memcpy((uint8_t *)&other_tss + bad[i].where, &bad[i].selector, sizeof(bad[i].selector));
		run(bad[i].name, task_call, TSS_OTHER);
	}
	tasks_reset();
	other_tss.ss = 0;
	run("INT n, SS null", task_int, 0);
	tasks_reset();
	gate_set(6, TSS_OTHER);
	other_tss.ss = 0;
	run("#UD, SS null", task_ud, 0);
}

/* T of the TSS. The handler of #DB is a gate's, in the new task. */
static void trap_bit(void)
{
	mark("trap");
	tasks_reset();
	other_tss.trap = 1;
	memset(&trap, 0, sizeof(trap));
	run("T", task_call, TSS_OTHER);
	print("  traps %u, at the task's start %x, DR6 %x\n", trap.debug_count, trap.debug_ip == (uint32_t)task_other,
	      trap.debug_dr6 & 0xe00f);
}

static void ltr(void *selector)
{
	__asm__ volatile("ltr %w0" : : "r"(selector));
}

static void ltr_checks(void)
{
	static const struct {
		const char *name;
		uint32_t selector;
	} bad[] = {{"null", 0},		{"busy", TSS_MAIN},	  {"an LDT", LDT},	   {"data", SELECTOR_DATA},
		   {"in the LDT", 0xc}, {"not present", SCRATCH}, {"available", TSS_OTHER}};
	uint32_t vector;

	mark("ltr");
	tasks_reset();
	descriptor_set(SCRATCH, 0, 103, TYPE_TSS & ~PRESENT, 0);
	memcpy(idt, gates, sizeof(gates));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vector = trap_call(ltr, (void *)bad[i].selector);
		print("LTR, %s: exception %x error %x, type %x\n", bad[i].name, vector, trap.error,
		      type_of(bad[i].selector & ~4u));
	}
}

void guest_main(void)
{
	memcpy(gates, idt, sizeof(gates));
	ways();
	exceptions();
	sizes();
	virtual_8086();
	paging();
	tss_checks();
	segment_checks();
	trap_bit();
	ltr_checks();
}
