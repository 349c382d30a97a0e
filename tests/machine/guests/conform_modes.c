/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU modes: real, unreal, 16-bit and 32-bit protected, compatibility and 64-bit mode, and the ways between them.
 */
#include "guest.h"

#define MSR_EFER 0xc0000080u
#define EFER_LME 0x100u
#define CR0_NE	 0x20u
#define CR0_PG	 0x80000000u
#define CR4_PAE	 0x20u
#define CYCLES	 50

/* What conform_modes_code.S fills in; see there. */
struct modes16 {
	uint32_t flat_first, flat, flat_after_exit, flat_after_cycles, based, real_cs, stack_bytes;
	uint32_t protected16_cs, protected16_stack, protected16_same, protected16_increment;
	uint32_t protected32_cs, protected32_stack, protected32_same, protected32_increment;
	uint32_t real_again_cs, write_back;
};

struct long_cycle {
	uint32_t before, enabled, active, left, off, same, cr0;
};

struct compat {
	uint32_t cs, efer, increment, cpuid_max, stack, cs64, increment64;
};

/* conform_modes_code.S */
extern const uint8_t modes16[], modes16_end[], modes16_limit[], modes16_limit_end[], modes64[];
void modes_cycle(void *long_cycle), modes_pg(void *cr0), modes_cycle_ne(void *long_cycle);

static void real_and_unreal(void)
{
	const struct modes16 *seen = (const struct modes16 *)(REAL_CODE + 0x800);
	uint32_t vector;

	mark("real");
	memset((void *)(REAL_CODE + 0x800), 0xff, sizeof(*seen));
	vector = real_call(modes16, modes16_end, cpuid(0, 0).eax);
	print("real: end %x, CS %x, 1 MiB by FS %x\n", vector, seen->real_cs, seen->flat_first);
	print("unreal: 1 MiB by DS %x, after an exit %x, after %u mode switches %x, with another base %x, written %x\n",
	      seen->flat, seen->flat_after_exit, CYCLES, seen->flat_after_cycles, seen->based, seen->write_back);
	print("real: a CALL takes %x bytes\n", seen->stack_bytes);
	print("protected, 16 bit: CS %x, a CALL takes %x bytes, CPUID as before %x, byte 40h is INC %x\n",
	      seen->protected16_cs, seen->protected16_stack, seen->protected16_same, seen->protected16_increment);
	print("protected, 32 bit: CS %x, a CALL takes %x bytes, CPUID as before %x, byte 40h is INC %x\n",
	      seen->protected32_cs, seen->protected32_stack, seen->protected32_same, seen->protected32_increment);
	print("real again: CS %x\n", seen->real_again_cs);
	vector = real_call(modes16_limit, modes16_limit_end, 0);
	print("real, limit of 64 KiB from protected mode: exception %x at %x\n", vector, trap.ip);
}

static void compatibility(void)
{
	struct compat seen = {0};
	uint32_t vector;

	mark("compatibility");
	vector = long_call(modes64, &seen);
	print("compatibility: end %x, CS %x, EFER %x, byte 40h is INC %x, CPUID as before %x, a far CALL takes %x "
	      "bytes\n",
	      vector, seen.cs, seen.efer, seen.increment, seen.cpuid_max == cpuid(0, 0).eax, seen.stack);
	print("64 bit again: CS %x, byte 40h is INC %x\n", seen.cs64, seen.increment64);
}

static void cycle_print(const char *name, void (*code)(void *))
{
	struct long_cycle first, cycle;
	unsigned different = 0;
	uint32_t vector;

	memset(&first, 0, sizeof(first));
	first.same = cpuid(0, 0).eax;
	vector = trap_call(code, &first);
	for (unsigned i = 0; i < CYCLES && vector == TRAP_NONE; i++) {
		memset(&cycle, 0, sizeof(cycle));
		cycle.same = cpuid(0, 0).eax;
		vector = trap_call(code, &cycle);
		different += memcmp(&cycle, &first, sizeof(cycle)) != 0;
	}
	print("%s: end %x, EFER %x, with LME %x, with PG %x (CR0 %x), without %x, without LME %x; CPUID as before %x; "
	      "%u differ\n",
	      name, vector, first.before, first.enabled, first.active, first.cr0, first.left, first.off, first.same,
	      different);
}

static void into_long_mode(void)
{
	static const struct {
		const char *name;
		uint32_t bits;
	} tries[] = {{"PG", CR0_PG}, {"PG and NE", CR0_PG | CR0_NE}};
	uint32_t cr0, after, vector;

	mark("long");
	cycle_print("long mode", modes_cycle);
	cycle_print("long mode, NE with PG", modes_cycle_ne);

	/* SDM vol. 3A, "IA-32e Mode Operation" (2.2.1): without CR4.PAE */
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	msr_write(MSR_EFER, EFER_LME);
	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		uint32_t value = cr0 | tries[i].bits;

		vector = trap_call(modes_pg, &value);
		__asm__ volatile("movl %%cr0, %0" : "=r"(after));
		print("LME and %s without PAE: exception %x error %x, CR0 changed %x, EFER %q\n", tries[i].name, vector,
		      trap.error, after ^ cr0, msr_read(MSR_EFER));
		__asm__ volatile("movl %0, %%cr0" : : "r"(cr0));
	}
	msr_write(MSR_EFER, 0);
	print("EFER %q, CR4 %x\n", msr_read(MSR_EFER), cr4_get());
}

void guest_main(void)
{
	uint32_t cr0 = 0x11;

	__asm__ volatile("movl %0, %%cr0" : : "r"(cr0));
	real_and_unreal();
	compatibility();
	into_long_mode();
}
