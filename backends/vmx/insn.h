/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single instructions that the VMX backend needs; VMREAD and VMWRITE are in <platform/vmcs.h>. SDM vol. 3, "VMX
 * Instruction Reference" (30).
 */
#ifndef VMX_INSN_H
#define VMX_INSN_H

#include <undercroft/types.h>

/* What the host's descriptor tables and selectors are; all of it goes into the VMCS. */
struct vmx_host_tables {
	uint64_t gdt_base, idt_base, tr_base;
	uint16_t cs, ss, ds, es, fs, gs, tr;
};

/* Defined by insn.c on metal and by the fakes for hosted tests. The int ones return 0, or -EIO: VMfail. */
int vmx_insn_vmxon(paddr_t region);
int vmx_insn_vmclear(paddr_t vmcs);
int vmx_insn_vmptrld(paddr_t vmcs);
void vmx_insn_invept(uint64_t type, uint64_t eptp);
void vmx_insn_invvpid(uint64_t type, uint16_t vpid);
void vmx_insn_host_tables(struct vmx_host_tables *out);

/* IRET to the next instruction: ends the CPU's blocking of NMIs. SDM vol. 3, "Handling Multiple NMIs" (6.7.1) */
void vmx_insn_nmi_unblock(void);

#endif
