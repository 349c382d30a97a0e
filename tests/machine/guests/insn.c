/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that exit, in all modes: their length with prefixes, TF over them, what is hidden and what must fault.
 * Natively only what a bare machine does, too, is checked.
 */
#include "guest.h"

#define CPUID_EXT_ECX_SVM   (1u << 2)
#define CPUID_1_ECX_XSAVE   (1u << 26)
#define CPUID_1_ECX_OSXSAVE (1u << 27)
#define CR4_OSXSAVE	    (1u << 18)

#define MSR_EFER	 0xc0000080
#define MSR_VM_CR	 0xc0010114
#define MSR_VM_HSAVE_PA	 0xc0010117
#define MSR_SVM_KEY	 0xc0010118
#define MSR_UCODE_WRITE	 0x79
#define MSR_PATCH_LOADER 0xc0010020
#define EFER_SVME	 (1u << 12)
#define EFER_NXE	 (1u << 11)

/* the MSR permission map's first range ends at 1FFFh; neither of these exists */
#define MSR_IN_MAP	1999
#define MSR_OUTSIDE_MAP 0x12345678

#define DR6_BS 0x4000u

#define VECTOR_UD 6
#define VECTOR_GP 13

#define COM2 0x2f8

/* insn_code.S: results in the order of insn64_result */
struct insn64_result {
	uint32_t plain, rex, operand_size, rep, segment, longest;
};

extern const uint8_t insn64_cpuid[], insn64_too_long[], insn64_trap_cpuid[], insn64_trap_cpuid_next[];
extern const uint8_t insn64_trap_rdmsr[], insn64_trap_rdmsr_next[], insn64_vmrun[], insn64_stgi[], insn64_vmmcall[];
extern const uint8_t insn64_insb[];
extern const uint8_t insn16_cpuid[], insn16_cpuid_end[], insn16_wrap[], insn16_wrap_end[], insn16_insb[];
extern const uint8_t insn16_insb_end[], insn16_vmmcall[], insn16_vmmcall_end[], insn16_trap[], insn16_trap_end[];
extern const uint8_t insn32_trap_cpuid_next[], insn32_trap_rdmsr_next[], insn32_trap_wrmsr_next[];
extern const uint8_t insn32_trap_in_next[], insn32_trap_insb_at[];
void insn32_prefixes(void *result);
void insn32_too_long(void *unused);
void insn32_trap_cpuid(void *unused);
void insn32_trap_rdmsr(void *unused);
void insn32_trap_wrmsr(void *unused);
void insn32_trap_in(void *unused);
void insn32_trap_insb(void *buffer);
void insn32_vmrun(void *unused), insn32_vmmcall(void *unused), insn32_vmload(void *unused), insn32_vmsave(void *unused);
void insn32_stgi(void *unused), insn32_clgi(void *unused), insn32_skinit(void *unused), insn32_invlpga(void *unused);

struct msr_access {
	uint32_t index;
	uint64_t value;
};

static void do_msr_read(void *argument)
{
	struct msr_access *access = argument;

	access->value = msr_read(access->index);
}

static void do_msr_write(void *argument)
{
	struct msr_access *access = argument;

	msr_write(access->index, access->value);
}

static void check_hidden_bits(void)
{
	struct cpuid svm = cpuid(0x8000000a, 0);

	check(!(cpuid(0x80000001, 0).ecx & CPUID_EXT_ECX_SVM), "CPUID shows no SVM");
	check(!(svm.eax | svm.ebx | svm.ecx | svm.edx), "the SVM leaf of CPUID is empty");
}

static void check_prefixes(void)
{
	uint32_t vendor = cpuid(0, 0).ebx;
	uint32_t result[4] = {0};
	struct insn64_result result64 = {0};

	check(trap_call(insn32_prefixes, result) == TRAP_NONE, "CPUID with prefixes");
	check_equal(result[0], vendor, "CPUID after an operand-size prefix");
	check_equal(result[1], vendor, "CPUID after a REP prefix");
	check_equal(result[2], vendor, "CPUID after a segment prefix");
	check_equal(result[3], vendor, "CPUID of 15 bytes");
	check_equal(trap_call(insn32_too_long, NULL), VECTOR_GP, "CPUID of 16 bytes is #GP");

	check(long_call(insn64_cpuid, &result64) == TRAP_NONE, "64 bit: CPUID with prefixes");
	check_equal(result64.plain, vendor, "64 bit: CPUID");
	check_equal(result64.rex, vendor, "64 bit: CPUID after REX.W");
	check_equal(result64.operand_size, vendor, "64 bit: CPUID after an operand-size prefix and REX.W");
	check_equal(result64.rep, vendor, "64 bit: CPUID after a REP prefix");
	check_equal(result64.segment, vendor, "64 bit: CPUID after a segment prefix");
	check_equal(result64.longest, vendor, "64 bit: CPUID of 15 bytes");
	check_equal(long_call(insn64_too_long, NULL), VECTOR_GP, "64 bit: CPUID of 16 bytes is #GP");

	check(real_call(insn16_cpuid, insn16_cpuid_end, (uint32_t)result) == TRAP_NONE, "16 bit: CPUID with prefixes");
	check_equal(*(uint32_t *)REAL_CODE, vendor, "16 bit: CPUID");
	check_equal(*(uint32_t *)(REAL_CODE + 4), vendor, "16 bit: CPUID after an operand-size prefix");
}

static void check_wrap(void)
{
	/* in the last two bytes of the segment; what follows is its first byte */
	memcpy((void *)(REAL_CODE + 0xfffe), "\x0f\xa2", 2);
	check(real_call(insn16_wrap, insn16_wrap_end, 0) == TRAP_NONE, "16 bit: IP wraps at 64 KiB");
	check_equal(*(uint32_t *)(REAL_CODE + 0x100), cpuid(0, 0).ebx, "16 bit: CPUID at the end of 64 KiB");
}

static void check_trap_here(uint32_t vector, const void *next, const char *name)
{
	check(vector == TRAP_NONE && trap.debug_count == 1 && trap.debug_ip == (uint32_t)next &&
		      trap.debug_dr6 & DR6_BS,
	      name);
	if (vector != TRAP_NONE || trap.debug_count != 1 || trap.debug_ip != (uint32_t)next)
		print("  vector %x, %u traps, at %x, DR6 %x, expected at %x\n", vector, trap.debug_count, trap.debug_ip,
		      trap.debug_dr6, (uint32_t)next);
	__asm__ volatile("movl %0, %%dr6" : : "r"(0xffff0ff0));
}

static void check_traps(void)
{
	uint32_t vector;

	check_trap_here(trap_call(insn32_trap_cpuid, NULL), insn32_trap_cpuid_next, "TF over CPUID");
	check_trap_here(trap_call(insn32_trap_rdmsr, NULL), insn32_trap_rdmsr_next, "TF over RDMSR");
	check_trap_here(trap_call(insn32_trap_wrmsr, NULL), insn32_trap_wrmsr_next, "TF over WRMSR");
	check_trap_here(long_call(insn64_trap_cpuid, NULL), insn64_trap_cpuid_next, "64 bit: TF over CPUID");
	check_trap_here(long_call(insn64_trap_rdmsr, NULL), insn64_trap_rdmsr_next, "64 bit: TF over RDMSR");
	vector = real_call(insn16_trap, insn16_trap_end, 0);
	check_trap_here(vector, (const void *)(uint32_t) * (const uint16_t *)REAL_CODE, "16 bit: TF over CPUID");
}

/* With rAX aligned: an address that VMRUN and its like refuse is #GP before the CPU looks at the intercept. */
static void check_virtualisation_instructions(void)
{
	check_equal(trap_call(insn32_vmrun, NULL), VECTOR_UD, "VMRUN is #UD");
	check_equal(trap_call(insn32_vmmcall, NULL), VECTOR_UD, "VMMCALL is #UD");
	check_equal(trap_call(insn32_vmload, NULL), VECTOR_UD, "VMLOAD is #UD");
	check_equal(trap_call(insn32_vmsave, NULL), VECTOR_UD, "VMSAVE is #UD");
	check_equal(trap_call(insn32_stgi, NULL), VECTOR_UD, "STGI is #UD");
	check_equal(trap_call(insn32_clgi, NULL), VECTOR_UD, "CLGI is #UD");
	check_equal(trap_call(insn32_skinit, NULL), VECTOR_UD, "SKINIT is #UD");
	check_equal(trap_call(insn32_invlpga, NULL), VECTOR_UD, "INVLPGA is #UD");
	check_equal(long_call(insn64_vmrun, NULL), VECTOR_UD, "64 bit: VMRUN is #UD");
	check_equal(long_call(insn64_stgi, NULL), VECTOR_UD, "64 bit: STGI is #UD");
	check_equal(long_call(insn64_vmmcall, NULL), VECTOR_UD, "64 bit: VMMCALL is #UD");
	check_equal(trap.ip, (uint32_t)insn64_vmmcall + 2, "#UD points at the instruction");
	check_equal(real_call(insn16_vmmcall, insn16_vmmcall_end, 0), VECTOR_UD, "16 bit: VMMCALL is #UD");
}

static void check_own_msrs(void)
{
	static const uint32_t refused[] = {MSR_VM_CR, MSR_VM_HSAVE_PA, MSR_SVM_KEY};
	uint32_t efer = (uint32_t)msr_read(MSR_EFER);
	struct msr_access access = {.index = MSR_EFER, .value = efer | EFER_SVME};

	check(!(efer & EFER_SVME), "EFER shows no SVME");
	check_equal(trap_call(do_msr_write, &access), VECTOR_GP, "EFER.SVME cannot be set");
	check_equal((uint32_t)msr_read(MSR_EFER), efer, "EFER is unchanged");
	access.value = efer | 1ull << 63;
	check_equal(trap_call(do_msr_write, &access), VECTOR_GP, "a reserved bit of EFER cannot be set");
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		access = (struct msr_access){.index = refused[i]};
		print("MSR %x\n", refused[i]);
		check_equal(trap_call(do_msr_read, &access), VECTOR_GP, "an MSR of SVM cannot be read");
		check_equal(trap_call(do_msr_write, &access), VECTOR_GP, "an MSR of SVM cannot be written");
	}
	access = (struct msr_access){.index = MSR_UCODE_WRITE, .value = 0x1000};
	check_equal(trap_call(do_msr_write, &access), TRAP_NONE, "a microcode update (Intel) is ignored");
	access.index = MSR_PATCH_LOADER;
	check_equal(trap_call(do_msr_write, &access), TRAP_NONE, "a microcode update (AMD) is ignored");
}

static void check_msrs(void)
{
	uint32_t efer = (uint32_t)msr_read(MSR_EFER), vector;
	struct msr_access access = {.index = MSR_EFER, .value = efer | EFER_NXE};

	check_equal(trap_call(do_msr_write, &access), TRAP_NONE, "EFER.NXE can be set");
	check_equal((uint32_t)msr_read(MSR_EFER), efer | EFER_NXE, "EFER.NXE is set");
	msr_write(MSR_EFER, efer);
	check_equal((uint32_t)msr_read(MSR_EFER), efer, "EFER.NXE is clear again");

	access = (struct msr_access){.index = MSR_IN_MAP};
	vector = trap_call(do_msr_read, &access);
	access.index = MSR_OUTSIDE_MAP;
	check_equal(trap_call(do_msr_read, &access), vector, "an MSR outside of the maps reads like any unknown one");
	access.index = MSR_IN_MAP;
	vector = trap_call(do_msr_write, &access);
	access.index = MSR_OUTSIDE_MAP;
	check_equal(trap_call(do_msr_write, &access), vector,
		    "an MSR outside of the maps is written like any unknown one");
}

static void check_osxsave(void)
{
	uint32_t cr4 = cr4_get();

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE)) {
		print("skip CPUID follows CR4.OSXSAVE: this CPU has no XSAVE\n");
		return;
	}
	check(!(cpuid(1, 0).ecx & CPUID_1_ECX_OSXSAVE), "CPUID shows no OSXSAVE while CR4 has none");
	cr4_set(cr4 | CR4_OSXSAVE);
	check(cpuid(1, 0).ecx & CPUID_1_ECX_OSXSAVE, "CPUID shows OSXSAVE when CR4 has it");
	cr4_set(cr4);
	check(!(cpuid(1, 0).ecx & CPUID_1_ECX_OSXSAVE), "CPUID shows no OSXSAVE again");
}

static bool is_ones(const uint8_t *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (bytes[i] != 0xff)
			return false;
	}
	return true;
}

struct string_in {
	uint8_t *to;
	uint32_t count;
};

static void do_insb(void *argument)
{
	struct string_in *in = argument;

	__asm__ volatile("rep insb" : "+D"(in->to), "+c"(in->count) : "d"(COM2 + 5) : "memory");
}

static void do_insw_down(void *argument)
{
	struct string_in *in = argument;

	__asm__ volatile("std; rep insw; cld" : "+D"(in->to), "+c"(in->count) : "d"(COM2) : "memory");
}

static void do_outsb(void *argument)
{
	uint32_t count = 4;

	__asm__ volatile("rep outsb" : "+S"(argument), "+c"(count) : "d"(COM2) : "memory");
}

static void check_ports(void)
{
	uint8_t buffer[16];
	struct string_in in;
	bool ones = true;

	for (uint16_t port = COM2; port < COM2 + 8; port++)
		ones &= in8(port) == 0xff;
	check(ones, "IN from COM2, bytes");
	check_equal(in16(COM2 + 2), 0xffff, "IN from COM2, a word");
	check_equal(in32(COM2 + 4), 0xffffffff, "IN from COM2, a doubleword");
	check_equal(in16(COM2 - 1) >> 8, 0xff, "IN of a word whose upper half is COM2's");
	check_equal(in32(COM2 + 6) & 0xffff, 0xffff, "IN of a doubleword whose lower half is COM2's");
	out8(COM2 + 7, 0x5a);
	out16(COM2 + 6, 0x5a5a);
	out32(COM2 + 4, 0x5a5a5a5a);
	check_equal(in8(COM2 + 7), 0xff, "OUT to COM2 changes nothing");

	memset(buffer, 0, sizeof(buffer));
	in = (struct string_in){.to = buffer, .count = 8};
	check(trap_call(do_insb, &in) == TRAP_NONE && in.to == buffer + 8 && !in.count && is_ones(buffer, 8) &&
		      !buffer[8],
	      "REP INSB from COM2");
	in = (struct string_in){.to = buffer, .count = 0};
	check(trap_call(do_insb, &in) == TRAP_NONE && in.to == buffer, "REP INSB of nothing");
	memset(buffer, 0, sizeof(buffer));
	in = (struct string_in){.to = buffer + 6, .count = 3};
	check(trap_call(do_insw_down, &in) == TRAP_NONE && in.to == buffer && !buffer[0] && is_ones(buffer + 2, 6) &&
		      !buffer[8],
	      "REP INSW downwards from COM2");
	check(trap_call(do_outsb, buffer) == TRAP_NONE, "REP OUTSB to COM2");

	memset(buffer, 0, sizeof(buffer));
	check(long_call(insn64_insb, buffer) == TRAP_NONE && is_ones(buffer, 5) && !buffer[5],
	      "64 bit: REP INSB from COM2");
	check(real_call(insn16_insb, insn16_insb_end, 0) == TRAP_NONE && is_ones((uint8_t *)REAL_CODE + 0x200, 5) &&
		      !*(uint8_t *)(REAL_CODE + 0x205),
	      "16 bit: REP INSB from COM2");

	check_trap_here(trap_call(insn32_trap_in, NULL), insn32_trap_in_next, "TF over IN");
	memset(buffer, 0, sizeof(buffer));
	check_trap_here(trap_call(insn32_trap_insb, buffer), insn32_trap_insb_at, "TF over one element of REP INSB");
	check(is_ones(buffer, 3) && !buffer[3], "the elements after it");
}

void guest_main(void)
{
	bool native = cpuid(0x80000001, 0).ecx & CPUID_EXT_ECX_SVM;

	check_prefixes();
	check_wrap();
	check_traps();
	check_virtualisation_instructions();
	check_msrs();
	check_osxsave();
	if (native) {
		print("guest: native, nothing is hidden\n");
		return;
	}
	check_hidden_bits();
	check_own_msrs();
	check_ports();
}
