/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions of the guest: fetching their bytes, their length, what they do to memory and flags.
 * Must not know why anybody asks, nor how the decoder is called inside.
 */
#ifndef UNDERCROFT_INSN_H
#define UNDERCROFT_INSN_H

#include <undercroft/types.h>
#include <undercroft/mem.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>

/* APM vol. 3, "Instruction Encoding" (1): longer ones are #GP */
#define INSN_LENGTH_MAX 15

/* What an instruction does. */
#define INSN_LOADS_FLAGS   0x001u /* RFLAGS, TF included, come from memory or a register: POPF, IRET, SYSRET */
#define INSN_STORES_FLAGS  0x002u /* TF becomes visible in memory or a register: PUSHF, INT n, SYSCALL */
#define INSN_STRING	   0x004u
#define INSN_REP	   0x008u /* a string instruction that repeats */
#define INSN_LOADS_SS	   0x010u /* MOV SS, POP SS: blocks interrupts and traps for one instruction */
#define INSN_READS_MEMORY  0x020u /* the stack counts as memory, and INVLPG, PREFETCH and the like as reads */
#define INSN_WRITES_MEMORY 0x040u
#define INSN_SYSTEM_CALL   0x080u  /* SYSCALL, SYSRET */
#define INSN_INTERRUPT	   0x100u  /* INT n, INT1, INT3, INTO */
#define INSN_HALT	   0x200u  /* HLT */
#define INSN_READS_MSR	   0x400u  /* RDMSR */
#define INSN_WRITES_MSR	   0x800u  /* WRMSR */
#define INSN_MOVES_DR	   0x1000u /* MOV to or from a debug register */

struct insn {
	uint32_t flags;	      /* INSN_x */
	uint16_t memory_size; /* bytes of its widest memory operand, one element for strings; 0: it has none */
	uint8_t length;
	uint8_t bytes[INSN_LENGTH_MAX]; /* length of them */
};

/*
 * Reads the bytes at CS:RIP as the CPU would fetch them: as many as there are before the end of the segment or of the
 * translated pages, at most 15, at least 1. Returns 0 with *length, or -EFAULT with the *fault of the first byte.
 */
int insn_fetch(struct vcpu *vcpu, uint8_t bytes[INSN_LENGTH_MAX], unsigned *length, struct mem_fault *fault);

/* What MOV DR moves: the debug register as the instruction names it, 0 to 7, and a general register */
struct insn_dr {
	bool to_dr;
	uint8_t number, gpr;
};

/* Of an instruction with INSN_MOVES_DR. APM vol. 3, "MOV DRn" (4) */
struct insn_dr insn_dr_move(struct vcpu *vcpu, const struct insn *insn);

/*
 * Is it a legacy prefix (26, 2E, 36, 3E; 64 to 67; F2, F3) other than LOCK, which the decoder knows what it is good
 * for, or, in 64-bit code, REX? APM vol. 3, "Legacy Prefixes" (1.2.1), "REX Prefix" (1.2.7)
 */
static inline bool insn_is_prefix(uint8_t byte, bool long64)
{
	/* a bit for each byte */
	static const uint64_t legacy[4] = {0x4040404000000000, 0x000000f000000000, 0, 0x000c000000000000};

	return legacy[byte >> 6] >> (byte & 63) & 1 || (long64 && (byte & 0xf0) == 0x40);
}

/* Decodes the instruction at CS:RIP. Returns 0, -EFAULT if it cannot be fetched, or -EINVAL if it is none. */
int insn_decode(struct vcpu *vcpu, struct insn *out);

/* Memory that an instruction accesses. */
struct insn_access {
	gva_t linear;
	uint32_t size;	/* bytes */
	uint8_t access; /* ACCESS_READ or ACCESS_WRITE: what does both writes */
};

#define INSN_ACCESS_MAX 4

/*
 * What the operands of the instruction at CS:RIP will access, of a repeated string instruction its next element. Writes
 * at most INSN_ACCESS_MAX entries and returns how many, or an error as insn_decode() does. Not among them is what only
 * the CPU knows: descriptors, page tables, other stacks, the elements of gathers. Stores under a mask are taken for
 * whole ones.
 */
int insn_accesses(struct vcpu *vcpu, struct insn_access out[INSN_ACCESS_MAX]);

/* Physical addresses in CR3 and page table entries. APM vol. 2, "Long-Mode Page Translation" (5.3) */
#define INSN_QUICK_FRAME 0x000ffffffffff000ull
#define INSN_QUICK_LARGE 0x80u /* PS */

/*
 * The first byte of the instruction that made the guest exit, where it lies for us, or NULL: to be found another way.
 * For the exit path, where the backend has this state at hand.
 *
 * Reads memory below vm->direct_limit alone, and only what the CPU has just read itself to execute the instruction: no
 * permissions are checked, and a guest that changed its tables since misleads its own instruction pointer, not us.
 * Knows unpaged code, and 64-bit code under 4-level paging.
 */
static inline const uint8_t *insn_byte_quick(const struct vcpu *vcpu, uint64_t cs_base, uint64_t cr0, uint64_t cr3,
					     uint64_t cr4, uint64_t efer)
{
	gpa_t limit = vcpu->vm->direct_limit, at;
	uint64_t entry, present;
	gva_t rip = vcpu->rip;

	if (!(vcpu->code_flags & SEG_ATTR_L)) {
		if (cr0 & CR0_PG)
			return NULL;
		at = (uint32_t)(cs_base + rip);
	} else {
		/* Legacy code may have L set, too: there, it means nothing. */
		if (!(efer & EFER_LMA) || (cr4 & CR4_LA57))
			return NULL;
		at = cr3 & INSN_QUICK_FRAME;
		if (__builtin_expect(at >= limit, 0))
			return NULL;
		present = entry = ((const uint64_t *)at)[(rip >> 39) & 511];
		at = entry & INSN_QUICK_FRAME;
		if (__builtin_expect(at >= limit, 0))
			return NULL;
		entry = ((const uint64_t *)at)[(rip >> 30) & 511];
		present &= entry;
		at = entry & INSN_QUICK_FRAME;
		if (__builtin_expect(entry & INSN_QUICK_LARGE, 0)) {
			at = (at & ~(GIB(1) - 1)) | (rip & (GIB(1) - 1));
		} else {
			if (__builtin_expect(at >= limit, 0))
				return NULL;
			entry = ((const uint64_t *)at)[(rip >> 21) & 511];
			present &= entry;
			at = entry & INSN_QUICK_FRAME;
			if (__builtin_expect(entry & INSN_QUICK_LARGE, 1)) {
				at = (at & ~(MIB(2) - 1)) | (rip & (MIB(2) - 1));
			} else {
				if (__builtin_expect(at >= limit, 0))
					return NULL;
				entry = ((const uint64_t *)at)[(rip >> 12) & 511];
				present &= entry;
				at = (entry & INSN_QUICK_FRAME) | (rip & (PAGE_SIZE - 1));
			}
		}
		/* One test for all levels: reading on behind an absent entry does no harm below the limit. */
		if (!(present & 1))
			return NULL;
	}
	return __builtin_expect(at < limit, 1) ? (const uint8_t *)at : NULL;
}

/*
 * Is it 0F? The opcodes of CPUID, RDMSR, WRMSR, VMCALL and VMMCALL begin with that, so then there are no prefixes and
 * the length is known.
 */
#define INSN_QUICK_OPCODE 0x0f

#endif
