/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control registers: which bits CR0 and CR4 take, by which instruction, in which operand size and mode.
 */
#include "guest.h"

#define CR0_PE 0x00000001u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define CR4_VME	       0x00000001u
#define CR4_TSD	       0x00000004u
#define CR4_DE	       0x00000008u
#define CR4_PSE	       0x00000010u
#define CR4_PGE	       0x00000080u
#define CR4_PCE	       0x00000100u
#define CR4_OSFXSR     0x00000200u
#define CR4_OSXMMEXCPT 0x00000400u
#define CR4_LA57       0x00001000u
#define CR4_VMXE       0x00002000u
#define CR4_SMXE       0x00004000u
#define CR4_PCIDE      0x00020000u

#define BASE (CR0_ET | CR0_PE)

/* conform_cr_code.S; the 64-bit ones take struct wide, the 32-bit ones a pointer to the value */
void cr_lmsw_memory(void *value), cr_lmsw_register(void *value), cr_mod(void *value), cr_prefixed(void *value);
void cr_cr1_read(void *value), cr_cr5_write(void *value);
extern const uint8_t cr64_cr0_write[], cr64_cr0_read[], cr64_cr3_write[], cr64_cr4_write[], cr64_cr8_write[],
	cr64_cr8_read[], cr64_smsw16[], cr64_smsw32[], cr64_smsw64[], cr64_smsw_memory[], cr64_lmsw[], cr64_clts[],
	cr64_cr0_flip[], cr64_cr4_flip[];
extern const uint8_t cr16_test[], cr16_test_end[];

struct wide {
	uint64_t value, result;
};

static const char *const bit_names[2][32] = {
	{"PE", "MP", "EM", "TS", "ET", "NE", "6",  "7",	 "8",  "9",  "10", "11", "12", "13", "14", "15",
	 "WP", "17", "AM", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "NW", "CD", "PG"},
	{"VME",	 "PVI",	 "TSD",	 "DE",	  "PSE", "PAE",	     "MCE",   "PGE",	 "PCE", "OSFXSR", "OSXMMEXCPT",
	 "UMIP", "LA57", "VMXE", "SMXE",  "15",	 "FSGSBASE", "PCIDE", "OSXSAVE", "KL",	"SMEP",	  "SMAP",
	 "PKE",	 "CET",	 "PKS",	 "UINTR", "26",	 "27",	     "28",    "29",	 "30",	"31"},
};

static uint32_t cr0_get(void)
{
	uint32_t value;

	__asm__ volatile("movl %%cr0, %0" : "=r"(value));
	return value;
}

static void cr0_write(void *value)
{
	__asm__ volatile("movl %0, %%cr0" : : "r"(*(uint32_t *)value) : "memory");
}

static void cr4_write(void *value)
{
	cr4_set(*(uint32_t *)value);
}

static void cr0_set(uint32_t value)
{
	cr0_write(&value);
}

/* What an attempt to write did: the exception, or the register afterwards. */
static void outcome(const char *what, uint32_t vector, uint64_t after)
{
	if (vector != TRAP_NONE)
		print("%s: exception %x error %x, then %q\n", what, vector, trap.error, after);
	else
		print("%s: %q\n", what, after);
}

static void cr0_try(const char *what, uint32_t from, uint32_t to)
{
	uint32_t vector, after;

	cr0_set(from);
	vector = trap_call(cr0_write, &to);
	after = cr0_get();
	cr0_set(BASE);
	outcome(what, vector, after);
}

static bool is_tcg(void)
{
	struct cpuid out = cpuid(0x40000000, 0);

	return (cpuid(1, 0).ecx & 0x80000000u) && !memcmp(&out.ebx, "TCGTCGTCGTCG", 12);
}

/* Emulators let CR0.PG be set without PE: one does not check it, one does not in an SVM guest. */
static bool paged_real_mode(void)
{
	return is_tcg() || cpuid(0, 0).ecx == 0x444d4163; /* AuthenticAMD */
}

static void cr0_bits(void)
{
	mark("cr0");
	cr0_set(BASE);
	print("CR0 %x\n", cr0_get());
	for (unsigned bit = 1; bit < 31; bit++) {
		if (1u << bit == CR0_NW)
			continue;
		print("CR0.");
		cr0_try(bit_names[0][bit], BASE, BASE ^ 1u << bit);
	}
	cr0_try("NE on", BASE, BASE | CR0_NE);
	cr0_try("NE off", BASE | CR0_NE, BASE);
	cr0_try("NE with TS and WP", BASE, BASE | CR0_NE | CR0_TS | 0x10000);
	cr0_try("NW with CD", BASE, BASE | CR0_CD | CR0_NW);
	if (is_tcg()) {
		print("NW without CD: not tried: the emulator takes it, but not at its next VMRUN\n");
	} else {
		cr0_try("NW but no CD", BASE, BASE | CR0_NW);
		cr0_try("NE with NW but no CD", BASE, BASE | CR0_NE | CR0_NW);
		cr0_try("CD off, NW stays", BASE | CR0_CD | CR0_NW, BASE | CR0_NW);
	}
	if (paged_real_mode()) {
		print("PG without PE: not tried: the emulator breaks\n");
	} else {
		cr0_try("PG without PE", BASE, CR0_ET | CR0_PG);
		cr0_try("PG and NE without PE", BASE, CR0_ET | CR0_PG | CR0_NE);
	}
}

static void forms(void)
{
	static const struct {
		const char *name;
		void (*code)(void *);
		uint32_t from, value;
	} tries[] = {
		{"LMSW register, all ones", cr_lmsw_register, BASE, 0xffffffff},
		{"LMSW register, zero: PE stays", cr_lmsw_register, BASE | 0xe, 0},
		{"LMSW register, zero, NE and WP stay", cr_lmsw_register, BASE | 0x1002e, 0},
		{"LMSW memory, TS", cr_lmsw_memory, BASE, CR0_TS},
		{"LMSW memory, bits above 3", cr_lmsw_memory, BASE, 0xfff0},
		{"MOV CR0 with mod 0", cr_mod, BASE, BASE | CR0_TS | CR0_NE},
		{"MOV CR0 with operand-size prefix and REP", cr_prefixed, BASE, BASE | CR0_NE | 0x10000},
		{"MOV from CR1", cr_cr1_read, BASE, 0},
		{"MOV to CR5", cr_cr5_write, BASE, 0},
	};

	mark("forms");
	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		uint32_t value = tries[i].value, vector, after;

		cr0_set(tries[i].from);
		vector = trap_call(tries[i].code, &value);
		after = cr0_get();
		cr0_set(BASE);
		outcome(tries[i].name, vector, after);
	}
}

static void smsw(void)
{
	static const uint32_t values[] = {BASE, BASE | CR0_NE, BASE | CR0_TS, BASE | CR0_NE | 0xe};
	uint32_t word = 0, wide = 0;
	uint16_t memory[2];

	mark("smsw");
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		cr0_set(values[i]);
		word = 0xa5a5a5a5;
		memory[0] = memory[1] = 0xa5a5;
		__asm__ volatile("smsww %w0" : "+r"(word));
		__asm__ volatile("smswl %0" : "=r"(wide));
		__asm__ volatile("smsw %0" : "+m"(memory[0]));
		cr0_set(BASE);
		print("SMSW 16 %x 32 %x memory %x %x\n", word, wide & 0xffff, memory[0], memory[1]);
	}
	cr0_set(BASE | CR0_TS | CR0_NE);
	__asm__ volatile("clts");
	outcome("CLTS", TRAP_NONE, cr0_get());
	__asm__ volatile("clts");
	outcome("CLTS again", TRAP_NONE, cr0_get());
	cr0_set(BASE);
}

/* Bits of CR4 that a feature stands behind; the others are reserved. SDM vol. 3A, "Control Registers" (2.5) */
static uint32_t cr4_known(void)
{
	static const struct {
		uint32_t leaf;
		uint8_t reg, bit, cr4;
	} features[] = {
		{1, 3, 1, 0},  {1, 3, 1, 1},   {1, 3, 4, 2},   {1, 3, 2, 3},   {1, 3, 3, 4},   {1, 3, 6, 5},
		{1, 3, 7, 6},  {1, 3, 13, 7},  {1, 3, 24, 9},  {1, 3, 25, 10}, {7, 2, 2, 11},  {7, 2, 16, 12},
		{7, 1, 0, 16}, {1, 2, 17, 17}, {1, 2, 26, 18}, {7, 1, 7, 20},  {7, 1, 20, 21}, {7, 2, 3, 22},
	};
	uint32_t known = CR4_PCE;

	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		struct cpuid out = {0};

		if (cpuid(0, 0).eax >= features[i].leaf)
			out = cpuid(features[i].leaf, 0);
		if ((&out.eax)[features[i].reg] >> features[i].bit & 1)
			known |= 1u << features[i].cr4;
	}
	return known;
}

static void cr4_bits(void)
{
	uint32_t base = CR4_DE | CR4_PGE, known = cr4_known();

	mark("cr4");
	print("machine: CR4 knows %x\n", known);
	cr4_set(base);
	print("CR4 %x\n", cr4_get());
	for (unsigned bit = 0; bit < 32; bit++) {
		uint32_t value = base ^ 1u << bit, vector, after;

		/* the guest has neither of these features, a machine may */
		if ((1u << bit) & (CR4_VMXE | CR4_SMXE))
			continue;
		if (!(known >> bit & 1) && is_tcg())
			continue;
		if ((1u << bit) & CR4_PCIDE)
			known &= ~CR4_PCIDE; /* long mode only */
		vector = trap_call(cr4_write, &value);
		after = cr4_get();
		cr4_set(base);
		if (known >> bit & 1 ? vector != TRAP_NONE || after != value
				     : vector != 13 || trap.error || after != base) {
			print("CR4.%s wrong: ", bit_names[1][bit]);
			outcome(known >> bit & 1 ? "a feature of this CPU" : "reserved", vector, after);
		}
	}
	print("CR4: known and reserved bits tried\n");
	print(is_tcg() ? "CR4: reserved bits not tried: the emulator breaks\n" : "CR4: reserved bits are #GP\n");
	cr4_set(base | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_TSD | CR4_PSE);
	print("CR4 %x\n", cr4_get());
	cr4_set(0);
	print("CR4 %x\n", cr4_get());
}

static void wide_try(const char *name, const uint8_t *code, uint64_t value)
{
	struct wide wide = {.value = value, .result = 0xa5a5a5a5a5a5a5a5};
	uint32_t vector = long_call(code, &wide);

	cr0_set(BASE);
	outcome(name, vector, wide.result);
}

/* SDM vol. 3A, "Control Registers" (2.5); vol. 2, "MOV - Move to/from Control Registers" */
static void long_mode(void)
{
	const uint64_t base = CR0_PG | BASE;

	mark("64-bit");
	wide_try("64 bit: CR0", cr64_cr0_read, 0);
	wide_try("64 bit: CR0, TS, NE and WP", cr64_cr0_write, base | CR0_TS | CR0_NE | 0x10000);
	wide_try("64 bit: CR0, bit 32", cr64_cr0_write, base | 1ull << 32);
	wide_try("64 bit: CR0, bit 63 and NE", cr64_cr0_write, base | 1ull << 63 | CR0_NE);
	wide_try("64 bit: CR4, PGE and OSFXSR", cr64_cr4_write, 0x2a0);
	wide_try("64 bit: CR8, 5", cr64_cr8_write, 5);
	wide_try("64 bit: CR8, reserved bit", cr64_cr8_write, 0x10);
	wide_try("64 bit: CR8, 0", cr64_cr8_write, 0);
	wide_try("64 bit: SMSW 16", cr64_smsw16, base | CR0_NE);
	wide_try("64 bit: SMSW 32", cr64_smsw32, base | CR0_NE);
	wide_try("64 bit: SMSW 64", cr64_smsw64, base | CR0_NE | CR0_TS);
	wide_try("64 bit: SMSW memory", cr64_smsw_memory, base | CR0_TS);
	wide_try("64 bit: LMSW", cr64_lmsw, 0xfff0 | CR0_TS);
	wide_try("64 bit: CLTS", cr64_clts, base | CR0_TS | CR0_NE);
	wide_try("64 bit: NE a hundred times", cr64_cr0_flip, 100);
	if (!is_tcg()) {
		wide_try("64 bit: CR0, PG off", cr64_cr0_write, BASE);
		wide_try("64 bit: CR0, NW without CD", cr64_cr0_write, base | CR0_NW);
		wide_try("64 bit: CR4, PAE off", cr64_cr4_write, 0);
		wide_try("64 bit: CR3, bit 63", cr64_cr3_write, 1ull << 63);
		wide_try("64 bit: CR4, bit 32", cr64_cr4_write, 1ull << 32 | 0x20);
		wide_try("64 bit: CR4, bit 63", cr64_cr4_write, 1ull << 63 | 0x20);
	} else {
		print("64 bit: PG off, NW without CD, PAE off, reserved bits of CR3 and CR4: not tried: the emulator "
		      "breaks\n");
	}
}

static void real_mode(void)
{
	static const char *const names[] = {"CR0",     "CR0, NE", "CR0, PG without PE", "SMSW 16",
					    "SMSW 32", "CLTS",	  "LMSW, TS and MP",	"CR4, OSFXSR"};
	const uint32_t *values = (const uint32_t *)(REAL_CODE + 0x200);
	uint32_t vector;

	mark("16-bit");
	vector = real_call(cr16_test, cr16_test_end, paged_real_mode());
	print("16 bit: exceptions %x at the end\n", vector);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		print("16 bit: %s: %x\n", names[i], values[i]);
}

void guest_main(void)
{
	cr0_bits();
	forms();
	smsw();
	cr4_bits();
	long_mode();
	real_mode();
}
