/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What record.h promises, as far as it is C: descriptors, the record of 32-bit code, its print.
 */
#include "record.h"

#define VECTOR_DB 1
#define VECTOR_GP 13
#define VECTOR_PF 14
#define HLT	  0xf4

#define GATE_INTERRUPT	    0x8e
#define GATE_INTERRUPT_USER 0xee
#define STUB_SIZE	    16
#define TYPE_TSS	    0x89u
#define TYPE_TASK_GATE	    0x85u

#define EFLAGS_VM 0x20000u
/* what is printed: not the arithmetic flags, and not RF, which conform-debug looks at */
#define EFLAGS_PRINTED 0x3a7700u
#define DR6_CLEAR      0xffff0ff0u
#define DR7_CLEAR      0x400u
#define ERROR_CODES    0x60227d00u

#define PIC1_DATA 0x21
#define PIC2_DATA 0xa1

#define CR0_PG	0x80000000u
#define CR4_PSE 0x10u
#define PDE_PS	0x80u

/* record_code.S */
extern uint8_t record_user_stack_top[];
extern const uint8_t record_stubs32[], record_stubs64[], record16[], record16_end[], record_run64[];
void record_run(void (*code)(void), uint32_t argument);
void record_user(void), record_protected16(void), record_v86(void);
bool record_event(struct frame32 *frame);

struct record record[RECORD_MAX];
bool (*record_hook)(struct frame32 *frame);
bool record_strings;
struct tss record_tss, record_task;
struct tss64 record_tss64;
struct gate64 record_idt64[RECORD_VECTORS];
static uint8_t task_stack[4096], ring0_stack[8192];
static uint32_t page_directory[1024] __attribute__((aligned(4096)));
static uint32_t page_table[1024] __attribute__((aligned(4096)));

struct target {
	void (*code)(void);
	uint32_t argument, is_compat, flags;
};

bool record_event(struct frame32 *frame)
{
	bool v86 = frame->eflags & EFLAGS_VM;
	uint32_t vector = frame->vector, cr2, dr6;

	if (vector == RECORD_END)
		return true;
	if (v86 && vector == VECTOR_GP && *(const uint8_t *)(frame->cs * 16 + frame->eip) == HLT)
		return true;
	if (record_count == RECORD_MAX)
		return true;
	__asm__ volatile("movl %%cr2, %0" : "=r"(cr2));
	__asm__ volatile("movl %%dr6, %0" : "=r"(dr6));
	record[record_count++] = (struct record){
		.vector = vector,
		.error = frame->error,
		.ip = frame->eip,
		.cs = frame->cs,
		.flags = frame->eflags,
		.cr2 = cr2,
		.dr6 = dr6,
		.ecx = frame->ecx,
		.esi = frame->esi,
		.edi = frame->edi,
	};
	if (vector == VECTOR_DB) {
		__asm__ volatile("movl %0, %%dr6" : : "r"(DR6_CLEAR));
		frame->eflags = (frame->eflags | record_debug_set) & ~record_debug_clear;
	}
	if (record_hook)
		return record_hook(frame);
	return vector < 32 && !(record_returns >> vector & 1);
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t attributes)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attributes & 0xf0ff) << 40 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)(base >> 24) << 56;
}

static void gdt_set(unsigned selector, uint64_t value)
{
	gdt[selector / 8] = value;
}

static void task_register_load(unsigned selector, uint32_t base, uint32_t size)
{
	gdt_set(selector, descriptor(base, size - 1, TYPE_TSS));
	__asm__ volatile("ltr %w0" : : "r"(selector));
}

void record_tss_reset(void)
{
	uint32_t cr3;

	__asm__ volatile("movl %%cr3, %0" : "=r"(cr3));
	memset(&record_tss, 0, sizeof(record_tss));
	record_tss.esp0 = (uint32_t)ring0_stack + sizeof(ring0_stack);
	record_tss.ss0 = SELECTOR_DATA;
	record_tss.io_base = offsetof(struct tss, io_bitmap);
	memset(record_tss.io_bitmap, 0xff, sizeof(record_tss.io_bitmap));
	record_task = record_tss;
	record_task.cr3 = cr3;
	record_task.eflags = 2;
	record_task.esp = (uint32_t)task_stack + sizeof(task_stack);
	record_task.cs = SELECTOR_CODE32;
	record_task.ss = record_task.ds = record_task.es = record_task.fs = record_task.gs = SELECTOR_DATA;
	gdt_set(SELECTOR_TASK, descriptor((uint32_t)&record_task, sizeof(record_task) - 1, TYPE_TSS));
	task_register_load(SELECTOR_TSS, (uint32_t)&record_tss, sizeof(record_tss));
}

static void gates_set(void)
{
	for (unsigned i = 0; i < RECORD_VECTORS; i++) {
		uint32_t stub64 = (uint32_t)(record_stubs64 + i * STUB_SIZE);
		bool user = i == 3 || i == 4 || i >= 0x30;

		idt_set(idt, i, (void (*)(void))(uintptr_t)(record_stubs32 + i * STUB_SIZE));
		idt[i].type = user ? GATE_INTERRUPT_USER : GATE_INTERRUPT;
		record_idt64[i] = (struct gate64){
			.offset_low = (uint16_t)stub64,
			.selector = SELECTOR_CODE64,
			.type = idt[i].type,
			.offset_middle = (uint16_t)(stub64 >> 16),
		};
	}
}

static void long_pages_for_user(void)
{
	long_pml4[0] |= PTE_U;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t *pdpt = (uint64_t *)((uint32_t)long_pml4[0] & ~(PAGE_BYTES - 1));
		uint64_t *directory = (uint64_t *)((uint32_t)pdpt[i] & ~(PAGE_BYTES - 1));

		pdpt[i] |= PTE_U;
		for (unsigned j = 0; j < 512; j++)
			directory[j] |= PTE_U;
	}
}

void record_init(void)
{
	static const struct {
		unsigned selector;
		uint64_t value;
	} fixed[] = {
		{SELECTOR_USER_CODE & ~7u, 0x00cffb000000ffff},
		{SELECTOR_USER_DATA & ~7u, 0x00cff3000000ffff},
		{SELECTOR_USER_CODE64 & ~7u, 0x00affb000000ffff},
		{SELECTOR_SNIPPET16, 0x00009b020000ffff},
		{SELECTOR_SNIPPET16_DATA, 0x000093020000ffff},
		{SELECTOR_ABSENT_CODE, 0x00cf1b000000ffff},
		{SELECTOR_ABSENT_DATA, 0x00cf13000000ffff},
		{SELECTOR_SMALL_DATA, 0x0040930000000fff},
		{SELECTOR_ABSENT_TSS, 0x0000090000000067},
		{SELECTOR_CONFORMING, 0x00cf9f000000ffff},
		{SELECTOR_READ_ONLY, 0x00cf91000000ffff},
		{SELECTOR_BASED_DATA, 0x00cf93020000ffff},
		{SELECTOR_TASK_GATE, (uint64_t)TYPE_TASK_GATE << 40 | (uint64_t)SELECTOR_TASK << 16},
	};

	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		gdt_set(fixed[i].selector, fixed[i].value);
	/* only what a guest asks for interrupts */
	out8(PIC1_DATA, 0xff);
	out8(PIC2_DATA, 0xff);
	record_tss64.rsp[0] = (uint32_t)ring0_stack + sizeof(ring0_stack);
	record_tss64.ist[0] = (uint32_t)task_stack + sizeof(task_stack);
	record_tss64.io_base = sizeof(record_tss64);
	gates_set();
	idt_load(idt);
	record_tss_reset();
	long_pages_for_user();
	for (uint32_t i = 0; i < 1024; i++) {
		page_directory[i] = i << 22 | PDE_PS | PTE_U | PTE_W | PTE_P;
		page_table[i] = (PAGED + i * PAGE_BYTES) | PTE_U | PTE_W | PTE_P;
	}
	page_directory[PAGED >> 22] = (uint32_t)page_table | PTE_U | PTE_W | PTE_P;
}

static void begin(void)
{
	uint32_t dr6 = DR6_CLEAR, dr7 = DR7_CLEAR;

	record_count = 0;
	__asm__ volatile("movl %0, %%dr6; movl %1, %%dr7" : : "r"(dr6), "r"(dr7));
}

void run32(void (*code)(void), uint32_t argument)
{
	begin();
	record_run(code, argument);
}

void run_user_flags(void (*code)(void), uint32_t argument, uint32_t flags)
{
	struct target target = {.code = code, .argument = argument, .flags = flags | 2};

	begin();
	record_run(record_user, (uint32_t)&target);
}

void run_user(void (*code)(void), uint32_t argument)
{
	run_user_flags(code, argument, 0);
}

static void long_run(struct target target)
{
	begin();
	gdt_set(SELECTOR_TSS64, descriptor((uint32_t)&record_tss64, sizeof(record_tss64) - 1, TYPE_TSS));
	gdt_set(SELECTOR_TSS64 + 8, 0);
	(void)long_call(record_run64, &target);
	task_register_load(SELECTOR_TSS, (uint32_t)&record_tss, sizeof(record_tss));
}

void run64(void (*code)(void), uint32_t argument)
{
	long_run((struct target){.code = code, .argument = argument});
}

void run_compat(void (*code)(void), uint32_t argument)
{
	long_run((struct target){.code = code, .argument = argument, .is_compat = true});
}

void run_user_long(void (*code)(void), uint32_t argument, uint16_t cs, uint32_t flags)
{
	struct iret64 frame = {
		.rip = (uint32_t)code,
		.cs = cs,
		.rflags = flags | 2,
		.rsp = (uint32_t)record_user_stack_top,
		.ss = SELECTOR_USER_DATA,
		.argument = argument,
	};

	run64(iret_frame64, (uint32_t)&frame);
}

static void snippet16_place(const void *code, const void *end)
{
	memcpy((void *)REAL_CODE, record16, (size_t)(record16_end - record16));
	memcpy((void *)(REAL_CODE + SNIPPET16_AT), code, (size_t)((const uint8_t *)end - (const uint8_t *)code));
	begin();
}

void run16(const void *code, const void *end)
{
	snippet16_place(code, end);
	record_run(record_protected16, 0);
}

void run_real(const void *code, const void *end)
{
	snippet16_place(code, end);
	(void)real_call(record16, record16_end, 0);
	task_register_load(SELECTOR_TSS, (uint32_t)&record_tss, sizeof(record_tss));
}

void run_v86(const void *code, const void *end, uint32_t flags)
{
	snippet16_place(code, end);
	record_run(record_v86, flags);
}

void record_print(const char *name, const void *base)
{
	print("%s:", name);
	for (uint32_t i = 0; i < record_count; i++) {
		const struct record *r = &record[i];

		print("%s %u", i ? ";" : "", r->vector);
		if (r->vector < 32 && ERROR_CODES >> r->vector & 1)
			print(" error %x", r->error);
		print(" at %x:%x flags %x", r->cs, r->ip - (uint32_t)base, r->flags & EFLAGS_PRINTED);
		if (r->vector == VECTOR_PF)
			print(" cr2 %x", r->cr2);
		if (r->vector == VECTOR_DB)
			print(" dr6 %x", r->dr6);
		if (record_strings)
			print(" ecx %x esi %x edi %x", r->ecx, r->esi, r->edi);
	}
	print("%s\n", record_count ? "" : " nothing");
}

void paging_on(void)
{
	cr4_set(cr4_get() | CR4_PSE);
	__asm__ volatile("movl %0, %%cr3; movl %%cr0, %%eax; orl %1, %%eax; movl %%eax, %%cr0"
			 :
			 : "r"(page_directory), "i"(CR0_PG)
			 : "eax", "memory");
	record_task.cr3 = (uint32_t)page_directory;
}

void paging_off(void)
{
	__asm__ volatile("movl %%cr0, %%eax; andl %0, %%eax; movl %%eax, %%cr0" : : "i"(~CR0_PG) : "eax", "memory");
}

void page_set(uint32_t linear, uint32_t flags)
{
	page_table[linear / PAGE_BYTES % 1024] = (linear & ~(PAGE_BYTES - 1)) | flags;
	__asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory");
}
