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
static void hide_topology(uint32_t leaf, struct cpuid_regs *regs)
{
	switch (leaf) {
	case CPUID_FEATURES:
		regs->ebx = (regs->ebx & ~0x00ff0000u) | 0x00010000u;
		regs->edx &= ~CPUID_1_EDX_HTT;
		break;
	case CPUID_CACHE:
		/* cores in the package and threads that share the cache, both less one */
		regs->eax &= ~0xffffc000u;
		break;
	case CPUID_CACHE_AMD:
		regs->eax &= ~0x03ffc000u;
		break;
	case CPUID_TOPOLOGY:
	case CPUID_TOPOLOGY_V2:
	case CPUID_TOPOLOGY_AMD:
		/* levels of one logical processor: no bits to shift the APIC id by */
		if (regs->ecx & 0xff00u) {
			regs->eax = 0;
			regs->ebx = 1;
		}
		break;
	case CPUID_EXT_FEATURES:
		regs->ecx &= ~CPUID_EXT_ECX_CMP_LEGACY;
		break;
	case CPUID_SIZES:
		/* NC, cores less one, and ApicIdSize, which would override it */
		regs->ecx &= ~0xf0ffu;
		break;
	case CPUID_NODE_AMD:
		/* threads per core and nodes per package, both less one */
		regs->ebx &= ~0xff00u;
		regs->ecx &= ~0x0700u;
		break;
	default:
		break;
	}
}

/*
 * What of a leaf's answer the guest gets to see; edits it where it stands, in the guest's registers. Kept out of line:
 * most leaves do not come here.
 */
static __attribute__((noinline)) enum verdict filter(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	uint64_t *rax = &vcpu->gpr[GPR_RAX], *rbx = &vcpu->gpr[GPR_RBX];
	uint64_t *rcx = &vcpu->gpr[GPR_RCX], *rdx = &vcpu->gpr[GPR_RDX];
	struct cpuid_regs regs = {
		.eax = (uint32_t)*rax,
		.ebx = (uint32_t)*rbx,
		.ecx = (uint32_t)*rcx,
		.edx = (uint32_t)*rdx,
	};

	switch (leaf) {
	case CPUID_FEATURES:
		regs.ecx &= ~(CPUID_1_ECX_VMX | CPUID_1_ECX_SMX | CPUID_1_ECX_OSXSAVE);
		/* CPUID ran with the host's CR4 */
		if (vcpu->backend->reg_get(vcpu, REG_CR4) & CR4_OSXSAVE)
			regs.ecx |= CPUID_1_ECX_OSXSAVE;
		break;
	case CPUID_STRUCTURED:
		if (subleaf != 0)
			break;
		regs.ecx &= ~CPUID_7_ECX_OSPKE;
		if (vcpu->backend->reg_get(vcpu, REG_CR4) & CR4_PKE)
			regs.ecx |= CPUID_7_ECX_OSPKE;
		break;
	case CPUID_EXT_FEATURES:
		regs.ecx &= ~(CPUID_EXT_ECX_SVM | CPUID_EXT_ECX_SKINIT);
		break;
	case CPUID_SVM:
	case CPUID_ENCRYPTION: /* the guest's tables cannot ask for it below ours, and encrypted guests need SVM */
		regs = (struct cpuid_regs){0};
		break;
	default:
		break;
	}
	if (vcpu->vm->hide_cpus)
		hide_topology(leaf, &regs);
	*rax = regs.eax;
	*rbx = regs.ebx;
	*rcx = regs.ecx;
	*rdx = regs.edx;
	return VERDICT_SKIP_INSN;
}

/* The leaves that filter() looks at lie in two short runs; everything else goes through as it is. */
#define FILTERED(leaf) (1ull << ((leaf)&63u))
#define FILTERED_ANY                                                                                                \
	(FILTERED(CPUID_FEATURES) | FILTERED(CPUID_CACHE) | FILTERED(CPUID_STRUCTURED) | FILTERED(CPUID_TOPOLOGY) | \
	 FILTERED(CPUID_TOPOLOGY_V2) | FILTERED(CPUID_EXT_FEATURES) | FILTERED(CPUID_SIZES) | FILTERED(CPUID_SVM) | \
	 FILTERED(CPUID_CACHE_AMD) | FILTERED(CPUID_NODE_AMD) | FILTERED(CPUID_ENCRYPTION) |                        \
	 FILTERED(CPUID_TOPOLOGY_AMD))

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
