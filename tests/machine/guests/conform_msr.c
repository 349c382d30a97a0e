/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model-specific registers, XCR0 and the caches: what takes a value, what faults, from which mode and privilege level.
 */
#include "guest.h"

#define MSR_APIC_BASE	   0x0000001bu
#define MSR_MTRR_CAP	   0x000000feu
#define MSR_MTRR_BASE0	   0x00000200u
#define MSR_MTRR_FIX64K	   0x00000250u
#define MSR_SYSENTER_CS	   0x00000174u
#define MSR_SYSENTER_ESP   0x00000175u
#define MSR_SYSENTER_EIP   0x00000176u
#define MSR_PAT		   0x00000277u
#define MSR_MTRR_DEF_TYPE  0x000002ffu
#define MSR_EFER	   0xc0000080u
#define MSR_STAR	   0xc0000081u
#define MSR_LSTAR	   0xc0000082u
#define MSR_CSTAR	   0xc0000083u
#define MSR_FMASK	   0xc0000084u
#define MSR_FS_BASE	   0xc0000100u
#define MSR_GS_BASE	   0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX	   0xc0000103u

#define CR4_OSXSAVE 0x00040000u
#define PAT_RESET   0x0007040600070406ull

struct access {
	uint32_t index;
	uint64_t value;
};

/* conform_msr_code.S */
void msr_xsetbv(void *access), msr_xgetbv(void *access), msr_wbinvd(void *flags), msr_invd(void *flags);
void user_enter(void *code);
extern const uint8_t msr64_read[], msr64_write[], msr64_xsetbv[], msr64_caches[], msr16_test[], msr16_test_end[];
extern const uint8_t user_rdmsr[], user_wrmsr[], user_xsetbv[], user_xgetbv[], user_wbinvd[], user_invd[], user_hlt[],
	user_cr0_read[], user_cr0_write[], user_cr4_read[], user_lmsw[], user_smsw[], user_clts[], user_cpuid[],
	user_dr7_read[], user_invlpg[], user_lgdt[];

static void access_read(void *argument)
{
	struct access *access = argument;

	access->value = msr_read(access->index);
}

static void access_write(void *argument)
{
	const struct access *access = argument;

	msr_write(access->index, access->value);
}

static void outcome(const char *name, uint32_t vector, uint64_t value)
{
	if (vector != TRAP_NONE)
		print("%s: exception %x error %x\n", name, vector, trap.error);
	else
		print("%s: %q\n", name, value);
}

static void read_try(const char *name, uint32_t index)
{
	struct access access = {.index = index};
	uint32_t vector = trap_call(access_read, &access);

	outcome(name, vector, access.value);
}

/* Writes, reads back what is there then, and restores. */
static void write_try(const char *name, uint32_t index, uint64_t value)
{
	struct access before = {.index = index}, access = {.index = index, .value = value};
	bool is_there = trap_call(access_read, &before) == TRAP_NONE;
	uint32_t vector = trap_call(access_write, &access), error = trap.error;

	access.value = 0;
	(void)trap_call(access_read, &access);
	trap.error = error;
	outcome(name, vector, access.value);
	if (is_there)
		(void)trap_call(access_write, &before);
}

static void system_call(void)
{
	static const struct {
		const char *name;
		uint32_t index;
		bool is_address;
	} registers[] = {
		{"STAR", MSR_STAR, false},	{"LSTAR", MSR_LSTAR, true},
		{"CSTAR", MSR_CSTAR, true},	{"FS_BASE", MSR_FS_BASE, true},
		{"GS_BASE", MSR_GS_BASE, true}, {"KERNEL_GS_BASE", MSR_KERNEL_GS_BASE, true},
	};

	mark("system-call");
	for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		write_try(registers[i].name, registers[i].index, 0xffff812345678000);
		if (!registers[i].is_address)
			continue;
		print("not canonical, ");
		write_try(registers[i].name, registers[i].index, 0x0001000000000000);
		print("not canonical from bit 63, ");
		write_try(registers[i].name, registers[i].index, 0x8000000000000000);
	}
	write_try("FMASK", MSR_FMASK, 0x47700);
	write_try("SYSENTER_CS", MSR_SYSENTER_CS, 0x18);
	write_try("SYSENTER_ESP", MSR_SYSENTER_ESP, 0x12345678);
	write_try("SYSENTER_EIP", MSR_SYSENTER_EIP, 0x87654321);
	write_try("TSC_AUX", MSR_TSC_AUX, 0x7fffffff);
}

/* APM vol. 2, "Extended Feature Enable Register (EFER)" (3.1.7); SDM vol. 3A, "Enabling Advanced ... Features" */
static void efer(void)
{
	mark("efer");
	read_try("EFER", MSR_EFER);
	write_try("EFER, SCE", MSR_EFER, 0x1);
	write_try("EFER, LME", MSR_EFER, 0x100);
	write_try("EFER, NXE", MSR_EFER, 0x800);
	write_try("EFER, all three", MSR_EFER, 0x901);
	write_try("EFER, bit 1", MSR_EFER, 0x2);
	write_try("EFER, bit 9", MSR_EFER, 0x200);
	write_try("EFER, bit 32", MSR_EFER, 1ull << 32);
	write_try("EFER, bit 63", MSR_EFER, 1ull << 63);
}

static void memory_types(void)
{
	mark("types");
	write_try("PAT, as after a reset", MSR_PAT, PAT_RESET);
	write_try("PAT, every type", MSR_PAT, 0x0706050401000706);
	write_try("PAT, type 2", MSR_PAT, PAT_RESET | 2ull << 24);
	write_try("PAT, type 3", MSR_PAT, 0x0007040600070403);
	write_try("PAT, reserved bit", MSR_PAT, PAT_RESET | 1ull << 63);
	write_try("MTRR, base of uncacheable memory", MSR_MTRR_BASE0 + 12, 0xfe000000);
	write_try("MTRR, base, type 2", MSR_MTRR_BASE0 + 12, 0xfe000002);
	write_try("MTRR, base, reserved bit", MSR_MTRR_BASE0 + 12, 0xfe000000 | 1ull << 60);
	write_try("MTRR, mask that is not valid", MSR_MTRR_BASE0 + 13, 0xff000000);
	write_try("MTRR, fixed, type 2", MSR_MTRR_FIX64K, 0x0606060606060602);
	write_try("MTRR, default, type 2", MSR_MTRR_DEF_TYPE, 0xc02);
	write_try("MTRR, default, reserved bit", MSR_MTRR_DEF_TYPE, 0x1c06);
}

static void absent(void)
{
	static const uint32_t absent_msrs[] = {0x00000003, 0x00001fff, 0x00002000, 0x40000000, 0x7fffffff,
					       0xc0001fff, 0xc0002000, 0xc0011fff, 0xffffffff};

	mark("absent");
	for (unsigned i = 0; i < sizeof(absent_msrs) / sizeof(absent_msrs[0]); i++) {
		print("MSR %x, ", absent_msrs[i]);
		read_try("read", absent_msrs[i]);
		print("MSR %x, ", absent_msrs[i]);
		write_try("write", absent_msrs[i], 0x1234);
	}
	write_try("MTRRCAP, which is read-only", MSR_MTRR_CAP, 0x508);
}

/* SDM vol. 2, "XSETBV"; vol. 1, "Enabling the XSAVE Feature Set and XSAVE-Enabled Features" (13.3) */
static void xcr0(void)
{
	static const struct {
		const char *name;
		uint32_t index;
		uint64_t value;
	} tries[] = {
		{"x87", 0, 1},
		{"x87 and SSE", 0, 3},
		{"with AVX", 0, 7},
		{"nothing", 0, 0},
		{"SSE without x87", 0, 2},
		{"AVX without SSE", 0, 5},
		{"bit 63", 0, 1ull << 63 | 1},
		{"bit 32", 0, 1ull << 32 | 1},
		{"XCR1", 1, 1},
		{"XCR7fffffff", 0x7fffffff, 1},
		{"x87 and SSE again", 0, 3},
	};
	uint32_t cr4 = cr4_get(), vector;
	struct access access = {.value = 1};

	mark("xcr0");
	vector = trap_call(msr_xsetbv, &access);
	outcome("XSETBV without OSXSAVE", vector, 0);
	vector = trap_call(msr_xgetbv, &access);
	outcome("XGETBV without OSXSAVE", vector, 0);
	cr4_set(cr4 | CR4_OSXSAVE);
	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		uint32_t error;

		access = (struct access){.index = tries[i].index, .value = tries[i].value};
		vector = trap_call(msr_xsetbv, &access);
		error = trap.error;
		access.index = 0;
		(void)trap_call(msr_xgetbv, &access);
		trap.error = error;
		print("XSETBV, ");
		outcome(tries[i].name, vector, access.value);
		print("machine: XSAVE area %x\n", cpuid(0xd, 0).ebx);
	}
	access = (struct access){.index = 2};
	vector = trap_call(msr_xgetbv, &access);
	outcome("XGETBV, XCR2", vector, access.value);
	access = (struct access){.value = 7};
	vector = long_call(msr64_xsetbv, &access);
	outcome("64 bit: XSETBV", vector, access.value);
	access = (struct access){.value = 4};
	vector = long_call(msr64_xsetbv, &access);
	outcome("64 bit: XSETBV, AVX alone", vector, access.value);
	access = (struct access){.value = 1};
	(void)trap_call(msr_xsetbv, &access);
	cr4_set(cr4);
}

static void caches(void)
{
	uint32_t flags, vector;

	mark("caches");
	flags = 0x8d7;
	vector = trap_call(msr_wbinvd, &flags);
	outcome("WBINVD, flags", vector, flags);
	flags = 0x8d7;
	vector = trap_call(msr_invd, &flags);
	outcome("INVD, flags", vector, flags);
	vector = long_call(msr64_caches, &flags);
	outcome("64 bit: WBINVD, INVD", vector, flags);
}

static void wide(void)
{
	struct {
		uint64_t rcx, rax, rdx;
	} registers = {.rcx = 0xffffffff00000000 | MSR_STAR, .rax = 0x8765432112345678, .rdx = 0x1234567887654321};
	uint32_t vector;

	mark("64-bit");
	vector = long_call(msr64_write, &registers);
	outcome("64 bit: WRMSR ignores the upper halves", vector, msr_read(MSR_STAR));
	vector = long_call(msr64_read, &registers);
	outcome("64 bit: RDMSR, RAX", vector, registers.rax);
	outcome("64 bit: RDMSR, RDX", vector, registers.rdx);
	registers.rcx = MSR_EFER;
	vector = long_call(msr64_read, &registers);
	outcome("64 bit: EFER", vector, registers.rax);
	/* APM vol. 2, "Long Mode Enable (LME) Bit" (3.1.7): not while paging is on */
	registers.rdx = 0;
	registers.rax = 0;
	vector = long_call(msr64_write, &registers);
	outcome("64 bit: EFER, LME off", vector, 0);
	registers.rax = 0xd01;
	vector = long_call(msr64_write, &registers);
	outcome("64 bit: EFER, SCE and NXE on", vector, msr_read(MSR_EFER));
	msr_write(MSR_EFER, 0);
	msr_write(MSR_STAR, 0);
}

static void real_mode(void)
{
	const uint32_t *values = (const uint32_t *)(REAL_CODE + 0x200);
	uint32_t vector;

	mark("16-bit");
	vector = real_call(msr16_test, msr16_test_end, 0);
	print("16 bit: end %x: STAR %x %x, EFER %x, XCR0 %x %x, INVD and WBINVD %x\n", vector, values[0], values[1],
	      values[2], values[3], values[4], values[5]);
	read_try("STAR", MSR_STAR);
	msr_write(MSR_STAR, 0);
	msr_write(MSR_EFER, 0);
}

/* Ring 3, which ends by INT3: a GDT, a TSS and a gate for it. */
#define SELECTOR_USER_CODE 0x33
#define SELECTOR_USER_DATA 0x3b
#define SELECTOR_TSS	   0x40
#define VECTOR_BP	   3
#define GATE_USER	   0xee

static void user(void)
{
	static const struct {
		const char *name;
		const uint8_t *code;
	} tries[] = {
		{"CPUID", user_cpuid},
		{"RDMSR", user_rdmsr},
		{"WRMSR", user_wrmsr},
		{"XSETBV", user_xsetbv},
		{"XGETBV", user_xgetbv},
		{"WBINVD", user_wbinvd},
		{"INVD", user_invd},
		{"HLT", user_hlt},
		{"MOV from CR0", user_cr0_read},
		{"MOV to CR0", user_cr0_write},
		{"MOV from CR4", user_cr4_read},
		{"LMSW", user_lmsw},
		{"SMSW", user_smsw},
		{"CLTS", user_clts},
		{"MOV from DR7", user_dr7_read},
		{"INVLPG", user_invlpg},
		{"LGDT", user_lgdt},
	};
	static uint64_t table[10];
	static uint32_t tss[26], ring0_stack[512];
	struct descriptor_table pointer = {.limit = sizeof(table) - 1, .base = (uint32_t)table};
	uint32_t at = (uint32_t)tss, cr4 = cr4_get();

	mark("ring-3");
	memcpy(table, (const void *)gdt_pointer.base, 6 * sizeof(table[0]));
	table[SELECTOR_USER_CODE / 8] = 0x00cffb000000ffff;
	table[SELECTOR_USER_DATA / 8] = 0x00cff3000000ffff;
	table[SELECTOR_TSS / 8] =
		(sizeof(tss) - 1) | (uint64_t)(at & 0xffffff) << 16 | 0x89ull << 40 | (uint64_t)(at >> 24) << 56;
	tss[1] = (uint32_t)(ring0_stack + 512);
	tss[2] = SELECTOR_DATA;
	tss[25] = sizeof(tss) << 16;
	__asm__ volatile("lgdt %0\n\tltr %w1" : : "m"(pointer), "r"(SELECTOR_TSS));
	idt[VECTOR_BP].type = GATE_USER;
	cr4_set(cr4 | CR4_OSXSAVE);
	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		uint32_t vector = trap_call(user_enter, (void *)(uintptr_t)tries[i].code);

		print("ring 3: ");
		outcome(tries[i].name, vector == VECTOR_BP ? TRAP_NONE : vector, 0);
	}
	cr4_set(cr4);
	__asm__ volatile("lgdt %0" : : "m"(gdt_pointer));
}

void guest_main(void)
{
	efer();
	system_call();
	memory_types();
	absent();
	xcr0();
	caches();
	wide();
	real_mode();
	user();
}
