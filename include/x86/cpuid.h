/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID. APM vol. 3, "Obtaining Processor Information Via the CPUID Instruction" (appendix E); SDM vol. 2, "CPUID" */
#ifndef X86_CPUID_H
#define X86_CPUID_H

#include <undercroft/platform.h>

#define CPUID_VENDOR	   0x00000000u
#define CPUID_FEATURES	   0x00000001u
#define CPUID_CACHE	   0x00000004u
#define CPUID_POWER	   0x00000006u
#define CPUID_STRUCTURED   0x00000007u
#define CPUID_TOPOLOGY	   0x0000000bu
#define CPUID_XSAVE	   0x0000000du
#define CPUID_TRACE	   0x00000014u
#define CPUID_TOPOLOGY_V2  0x0000001fu
#define CPUID_PERFMON	   0x00000023u /* "Architectural Performance Monitoring Extended": not in revision 075 */
#define CPUID_HYPERVISOR   0x40000000u
#define CPUID_EXT_MAX	   0x80000000u
#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_SIZES	   0x80000008u
#define CPUID_SVM	   0x8000000au
#define CPUID_CACHE_AMD	   0x8000001du
#define CPUID_NODE_AMD	   0x8000001eu
#define CPUID_ENCRYPTION   0x8000001fu
#define CPUID_TOPOLOGY_AMD 0x80000026u

#define CPUID_1_ECX_DTES64     (1u << 2)
#define CPUID_1_ECX_DS_CPL     (1u << 4)
#define CPUID_1_ECX_VMX	       (1u << 5)
#define CPUID_1_ECX_SMX	       (1u << 6)
#define CPUID_1_ECX_X2APIC     (1u << 21)
#define CPUID_1_ECX_XSAVE      (1u << 26)
#define CPUID_1_ECX_OSXSAVE    (1u << 27)
#define CPUID_1_ECX_HYPERVISOR (1u << 31) /* reserved for hypervisors: APM vol. 3, "Function 0000_0001h" (E.3.2) */
#define CPUID_1_EDX_MCE	       (1u << 7)
#define CPUID_1_EDX_MTRR       (1u << 12)
#define CPUID_1_EDX_PAT	       (1u << 16)
#define CPUID_1_EDX_DS	       (1u << 21)
#define CPUID_1_EDX_HTT	       (1u << 28)
#define CPUID_6_EAX_ARAT       (1u << 2)
#define CPUID_7_EBX_INVPCID    (1u << 10)
#define CPUID_7_EBX_TRACE      (1u << 25)
#define CPUID_7_ECX_OSPKE      (1u << 4)
#define CPUID_7_ECX_WAITPKG    (1u << 5)
#define CPUID_7_ECX_RDPID      (1u << 22)
#define CPUID_7_EDX_PCONFIG    (1u << 18)
#define CPUID_D1_EAX_XSAVES    (1u << 3)
#define CPUID_23_EAX_PEBS      (3u << 4) /* subleaves 4 and 5 are there */

/* Subleaf 1 of CPUID_STRUCTURED; not in revision 075 of the SDM */
#define CPUID_71_EAX_MSRLIST  (1u << 27)
#define CPUID_71_EBX_PBNDKB   (1u << 1)
#define CPUID_71_ECX_MSR_IMM  (1u << 5)
#define CPUID_71_EDX_USER_MSR (1u << 15)

#define CPUID_EXT_ECX_CMP_LEGACY (1u << 1)
#define CPUID_EXT_ECX_SVM	 (1u << 2)
#define CPUID_EXT_ECX_SKINIT	 (1u << 12)
#define CPUID_EXT_EDX_SYSCALL	 (1u << 11)
#define CPUID_EXT_EDX_NX	 (1u << 20)
#define CPUID_EXT_EDX_PAGE1GB	 (1u << 26)
#define CPUID_EXT_EDX_RDTSCP	 (1u << 27)

#define CPUID_SVM_EDX_NP	    (1u << 0)
#define CPUID_SVM_EDX_NRIPS	    (1u << 3)
#define CPUID_SVM_EDX_DECODE_ASSIST (1u << 7)

#define CPUID_VENDOR_AMD   "AuthenticAMD"
#define CPUID_VENDOR_HYGON "HygonGenuine"
#define CPUID_VENDOR_INTEL "GenuineIntel"

/* regs of leaf 0 against a 12-character name */
static inline bool cpuid_vendor_is(const struct cpuid_regs *regs, const char name[12])
{
	const uint32_t words[3] = {regs->ebx, regs->edx, regs->ecx};

	for (unsigned i = 0; i < 12; i++) {
		if ((char)(words[i / 4] >> (i % 4 * 8)) != name[i])
			return false;
	}
	return true;
}

#endif
