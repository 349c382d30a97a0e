/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mode-transition engine's pure half: which mode a CPU is in, and what a change of control registers asks of us.
 */
#ifndef UNDERCROFT_MODE_H
#define UNDERCROFT_MODE_H

#include <undercroft/types.h>

/* APM vol. 2, "Modes of Operation" (1.3) */
enum cpu_mode {
	MODE_REAL,
	MODE_V8086,
	MODE_PROTECTED16,
	MODE_PROTECTED32,
	MODE_COMPATIBILITY16,
	MODE_COMPATIBILITY32,
	MODE_LONG64,
	MODE_INVALID, /* a combination no CPU can be in, or enter a guest with */
	MODE_COUNT
};

/* APM vol. 2, "Page Translation and Protection" (5.1) */
enum paging_mode { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_4_LEVEL, PAGING_5_LEVEL, PAGING_COUNT };

/* The control state that decides. */
struct mode_state {
	uint64_t cr0, cr4, efer, rflags;
	uint16_t cs_attributes; /* SEG_ATTR_x */
};

enum cpu_mode mode_classify(const struct mode_state *state);
enum paging_mode mode_paging(const struct mode_state *state);

/* "real", "v8086", "prot16", "prot32", "compat16", "compat32", "long64", "invalid" */
const char *mode_name(enum cpu_mode mode);

/* What has to be done when a guest goes from one state to another. */
#define MODE_ACTION_LOAD_PDPTES	 0x01u /* PAE paging came on or its pointers may have changed */
#define MODE_ACTION_LONG_ENTER	 0x02u /* EFER.LMA becomes 1; VMX: IA-32e-mode guest */
#define MODE_ACTION_LONG_LEAVE	 0x04u /* EFER.LMA becomes 0 */
#define MODE_ACTION_FLUSH_TLB	 0x08u /* all translations, global ones included */
#define MODE_ACTION_CACHE_CHANGE 0x10u /* CR0.CD or CR0.NW changed: the host follows */
#define MODE_ACTION_MODE_EVENT	 0x20u /* cpu_mode or paging_mode differ: plugins may want to know */
#define MODE_ACTION_REFUSE	 0x80u /* the CPU raises #GP: nothing changes */

uint32_t mode_transition(const struct mode_state *from, const struct mode_state *to);

/*
 * Does a CPU load this page directory pointer of PAE paging? physical_limit: the first address behind what the CPU has.
 * Source: SDM vol. 3, "PDPTE Registers" (4.4.1), table 4-8.
 */
static inline bool mode_pdpte_is_valid(uint64_t pdpte, uint64_t physical_limit)
{
	return !(pdpte & 1) || !(pdpte & (0x1e6 | ~(physical_limit - 1)));
}

/*
 * The instruction pointer behind an instruction. 64-bit code: plain sum. 32-bit code: modulo 4 GiB. 16-bit code: modulo
 * 64 KiB if the instruction began below 64 KiB, else modulo 4 GiB (code in a 16-bit segment with a larger limit).
 * Source: SDM vol. 1, "Instruction Pointer" (3.5); APM vol. 2, "Real Addressing" (2.1.3).
 */
static inline uint64_t mode_rip_after(uint64_t rip, unsigned length, bool long64, bool db)
{
	uint64_t next = rip + length;

	if (long64)
		return next;
	if (!db && rip <= 0xffff)
		return next & 0xffff;
	return next & 0xffffffff;
}

#endif
