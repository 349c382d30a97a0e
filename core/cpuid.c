/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID: the machine's own answers, less the virtualisation extensions and, where they are hidden, the other CPUs.
 * This is the commonest exit: its instructions are counted in docs/PERFORMANCE.md.
 */
#include <platform/cpuid.h>
#include <undercroft/vcpu.h>
#include <x86/cpuid.h>
#include <x86/cr.h>

#include "core/exit.h"

/* One CPU with one thread and one core, whatever the package has. */
static __attribute__((noinline)) enum verdict hide_topology(struct vcpu *vcpu, uint32_t leaf)
{
	uint64_t *gpr = vcpu->gpr;

	switch (leaf) {
	case CPUID_FEATURES:
		gpr[GPR_RBX] = (gpr[GPR_RBX] & ~0x00ff0000u) | 0x00010000u;
		gpr[GPR_RDX] &= ~CPUID_1_EDX_HTT;
		break;
	case CPUID_CACHE:
		/* cores in the package and threads that share the cache, both less one */
		gpr[GPR_RAX] &= ~0xffffc000u;
		break;
	case CPUID_CACHE_AMD:
		gpr[GPR_RAX] &= ~0x03ffc000u;
		break;
	case CPUID_TOPOLOGY:
	case CPUID_TOPOLOGY_V2:
	case CPUID_TOPOLOGY_AMD:
		/* levels of one logical processor: no bits to shift the APIC id by */
		if (gpr[GPR_RCX] & 0xff00u) {
			gpr[GPR_RAX] = 0;
			gpr[GPR_RBX] = 1;
		}
		break;
	case CPUID_EXT_FEATURES:
		gpr[GPR_RCX] &= ~CPUID_EXT_ECX_CMP_LEGACY;
		break;
	case CPUID_SIZES:
		/* NC, cores less one, and ApicIdSize, which would override it */
		gpr[GPR_RCX] &= ~0xf0ffu;
		break;
	case CPUID_NODE_AMD:
		/* threads per core and nodes per package, both less one */
		gpr[GPR_RBX] &= ~0xff00u;
		gpr[GPR_RCX] &= ~0x0700u;
		break;
	default:
		break;
	}
	return VERDICT_SKIP_INSN;
}

static inline enum verdict topology(struct vcpu *vcpu, uint32_t leaf)
{
	return vcpu->vm->hide_cpus ? hide_topology(vcpu, leaf) : VERDICT_SKIP_INSN;
}

/* A bit in ECX that says what the guest's CR4 has on: CPUID ran with the host's. */
static __attribute__((noinline)) enum verdict features_of_cr4(struct vcpu *vcpu, uint32_t leaf, uint64_t on,
							      uint32_t shown)
{
	if (vcpu->backend->reg_get(vcpu, REG_CR4) & on)
		vcpu->gpr[GPR_RCX] |= shown;
	return topology(vcpu, leaf);
}

/* What the CPU executes, but not in a guest. */
static void hide_instructions(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < vcpu->vm->cpuid_hidden_count; i++) {
		const struct cpuid_hidden *hidden = &vcpu->vm->cpuid_hidden[i];

		if (hidden->leaf == leaf && (hidden->subleaf == CPUID_ANY_SUBLEAF || hidden->subleaf == subleaf))
			vcpu->gpr[hidden->gpr] &= ~(uint64_t)hidden->bits;
	}
}

/*
 * The debug store. Counters count on in our code, so that records of precise events (PEBS) would be written through our
 * page tables, to the linear address in IA32_DS_AREA, or past all tables (architectural PEBS). Branch trace stores end
 * at the exit, which clears IA32_DEBUGCTL, but have the same area and feature bit; IA32_MISC_ENABLE's "unavailable"
 * bits mean something with that bit only. SDM vol. 3, "BTS and DS Save Area" (17.4.9), "Processor Event Based Sampling
 * (PEBS)" (18.3.1.1.1), "Loading Host Control Registers, Debug Registers, MSRs" (27.5.1)
 */
#define DEBUG_STORE_ECX (CPUID_1_ECX_DTES64 | CPUID_1_ECX_DS_CPL)

/*
 * What of a leaf's answer the guest gets to see; edits it where it stands, in the guest's registers. Kept out of line:
 * most leaves do not come here.
 */
static __attribute__((noinline)) enum verdict filter(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	uint64_t *gpr = vcpu->gpr;

	if (vcpu->vm->cpuid_hidden_count)
		hide_instructions(vcpu, leaf, subleaf);
	switch (leaf) {
	case CPUID_FEATURES:
		gpr[GPR_RCX] &= ~(uint64_t)(CPUID_1_ECX_VMX | CPUID_1_ECX_SMX | CPUID_1_ECX_OSXSAVE | DEBUG_STORE_ECX);
		gpr[GPR_RDX] &= ~(uint64_t)CPUID_1_EDX_DS;
		if (gpr[GPR_RCX] & CPUID_1_ECX_XSAVE)
			return features_of_cr4(vcpu, leaf, CR4_OSXSAVE, CPUID_1_ECX_OSXSAVE);
		break;
	case CPUID_STRUCTURED:
		if (subleaf != 0)
			break;
		gpr[GPR_RBX] &= ~(uint64_t)CPUID_7_EBX_TRACE;
		gpr[GPR_RCX] &= ~(uint64_t)CPUID_7_ECX_OSPKE;
		return features_of_cr4(vcpu, leaf, CR4_PKE, CPUID_7_ECX_OSPKE);
	case CPUID_PERFMON:
		if (subleaf == 0)
			gpr[GPR_RAX] &= ~(uint64_t)CPUID_23_EAX_PEBS;
		else if (subleaf == 4 || subleaf == 5)
			gpr[GPR_RAX] = gpr[GPR_RBX] = gpr[GPR_RCX] = gpr[GPR_RDX] = 0;
		break;
	case CPUID_EXT_FEATURES:
		gpr[GPR_RCX] &= ~(uint64_t)(CPUID_EXT_ECX_SVM | CPUID_EXT_ECX_SKINIT);
		/* it was asked in 64-bit mode: SDM vol. 2A, "CPUID" */
		if (vcpu->vm->caps & BACKEND_CAP_SYSCALL_64 && !code_is_64bit(vcpu))
			gpr[GPR_RDX] &= ~(uint64_t)CPUID_EXT_EDX_SYSCALL;
		break;
	case CPUID_SVM:
	case CPUID_TRACE:      /* its output goes to physical addresses, whatever our tables say */
	case CPUID_ENCRYPTION: /* the guest's tables cannot ask for it below ours, and encrypted guests need SVM */
		gpr[GPR_RAX] = gpr[GPR_RBX] = gpr[GPR_RCX] = gpr[GPR_RDX] = 0;
		break;
	default:
		break;
	}
	return topology(vcpu, leaf);
}

/* The leaves that filter() looks at lie in two short runs; everything else goes through as it is. */
#define FILTERED(leaf) (1ull << ((leaf)&63u))
#define FILTERED_ANY                                                                                                \
	(FILTERED(CPUID_FEATURES) | FILTERED(CPUID_CACHE) | FILTERED(CPUID_STRUCTURED) | FILTERED(CPUID_TOPOLOGY) | \
	 FILTERED(CPUID_XSAVE) | FILTERED(CPUID_TRACE) | FILTERED(CPUID_TOPOLOGY_V2) | FILTERED(CPUID_PERFMON) |    \
	 FILTERED(CPUID_EXT_FEATURES) | FILTERED(CPUID_SIZES) | FILTERED(CPUID_SVM) | FILTERED(CPUID_CACHE_AMD) |   \
	 FILTERED(CPUID_NODE_AMD) | FILTERED(CPUID_ENCRYPTION) | FILTERED(CPUID_TOPOLOGY_AMD))

static inline bool is_filtered(uint32_t leaf)
{
	return !(leaf & 0x7fffffc0u) && FILTERED_ANY >> (leaf & 63u) & 1;
}

enum verdict exit_cpuid(struct vcpu *vcpu)
{
	uint32_t leaf = (uint32_t)vcpu->gpr[GPR_RAX], subleaf = (uint32_t)vcpu->gpr[GPR_RCX];

	platform_cpuid(vcpu->vm->platform, vcpu->gpr);
	if (__builtin_expect(is_filtered(leaf), 0))
		return filter(vcpu, leaf, subleaf);
	return VERDICT_SKIP_INSN;
}
