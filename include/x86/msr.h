/* SPDX-License-Identifier: BSD-2-Clause */
/* Model-specific registers. APM vol. 2, "MSR Cross-Reference" (appendix A); SDM vol. 4 */
#ifndef X86_MSR_H
#define X86_MSR_H

#define MSR_TSC		     0x00000010u
#define MSR_APIC_BASE	     0x0000001bu
#define MSR_FEATURE_CONTROL  0x0000003au
#define MSR_UCODE_WRITE	     0x00000079u /* IA32_BIOS_UPDT_TRIG */
#define MSR_MTRR_CAP	     0x000000feu
#define MSR_SYSENTER_CS	     0x00000174u
#define MSR_SYSENTER_ESP     0x00000175u
#define MSR_SYSENTER_EIP     0x00000176u
#define MSR_MCG_STATUS	     0x0000017au
#define MSR_MTRR_PHYS_BASE0  0x00000200u
#define MSR_MTRR_PHYS_MASK0  0x00000201u
#define MSR_MTRR_FIX_64K     0x00000250u
#define MSR_MTRR_FIX_16K_80  0x00000258u
#define MSR_MTRR_FIX_16K_A0  0x00000259u
#define MSR_MTRR_FIX_4K_C0   0x00000268u
#define MSR_PAT		     0x00000277u
#define MSR_MTRR_DEF_TYPE    0x000002ffu
#define MSR_PEBS_ENABLE	     0x000003f1u
#define MSR_PEBS_BASE	     0x000003f4u /* this and the next: not in revision 075 of the SDM */
#define MSR_PEBS_INDEX	     0x000003f5u
#define MSR_VMX_BASIC	     0x00000480u
#define MSR_VMX_MISC	     0x00000485u
#define MSR_VMX_CR0_FIXED0   0x00000486u
#define MSR_VMX_CR4_FIXED0   0x00000488u
#define MSR_VMX_SECONDARY    0x0000048bu
#define MSR_VMX_EPT_VPID_CAP 0x0000048cu
#define MSR_VMX_TRUE_PIN     0x0000048du
#define MSR_VMX_TRUE_PROC    0x0000048eu
#define MSR_VMX_TRUE_EXIT    0x0000048fu
#define MSR_VMX_TRUE_ENTRY   0x00000490u
#define MSR_VMX_LAST	     0x00000493u
#define MSR_DEBUGCTL	     0x000001d9u
#define MSR_RTIT_CTL	     0x00000570u
#define MSR_DS_AREA	     0x00000600u
#define MSR_X2APIC	     0x00000800u /* its registers, by their offset in memory / 16 */
#define MSR_X2APIC_ICR	     0x00000830u
#define MSR_EFER	     0xc0000080u
#define MSR_STAR	     0xc0000081u
#define MSR_LSTAR	     0xc0000082u
#define MSR_CSTAR	     0xc0000083u
#define MSR_FMASK	     0xc0000084u
#define MSR_FS_BASE	     0xc0000100u
#define MSR_GS_BASE	     0xc0000101u
#define MSR_KERNEL_GS_BASE   0xc0000102u
#define MSR_SYSCFG	     0xc0010010u
#define MSR_IORR_BASE0	     0xc0010016u
#define MSR_IORR_MASK0	     0xc0010017u
#define MSR_IORR_BASE1	     0xc0010018u
#define MSR_IORR_MASK1	     0xc0010019u
#define MSR_TOP_MEM	     0xc001001au
#define MSR_TOP_MEM2	     0xc001001du
#define MSR_AMD_PATCH_LOADER 0xc0010020u
#define MSR_INT_PENDING	     0xc0010055u /* AMD BKDG 10h, "MSRC001_0055 Interrupt Pending and CMP-Halt Register" */
#define MSR_MMIO_CFG_BASE    0xc0010058u /* AMD BKDG 10h, "MSRC001_0058 MMIO Configuration Base Address Register" */
#define MSR_SMM_BASE	     0xc0010111u
#define MSR_SMM_ADDR	     0xc0010112u
#define MSR_SMM_MASK	     0xc0010113u
#define MSR_VM_CR	     0xc0010114u
#define MSR_VM_HSAVE_PA	     0xc0010117u
#define MSR_SVM_KEY	     0xc0010118u

/* APM vol. 2, "PAT Register" (7.8.1): WB, WT, UC-, UC, twice */
#define PAT_RESET 0x0007040600070406ull

#define APIC_BASE_BSP	 0x00000100u
#define APIC_BASE_X2APIC 0x00000400u
#define APIC_BASE_ENABLE 0x00000800u

/* SmiOnCmpHalt, C1eOnCmpHalt */
#define INT_PENDING_C1E 0x18000000u

#define MCG_STATUS_RIPV 0x00000001u

#define FEATURE_CONTROL_LOCK	    0x00000001u
#define FEATURE_CONTROL_INSIDE_SMX  0x00000002u
#define FEATURE_CONTROL_OUTSIDE_SMX 0x00000004u

/* SDM vol. 3, "Memory Type Range Registers (MTRRs)" (11.11); APM vol. 2, "Memory-Type Range Registers" (7.7) */
#define MTRR_CAP_COUNT	      0x000000ffu /* variable ranges */
#define MTRR_CAP_FIXED	      0x00000100u
#define MTRR_DEF_TYPE	      0x000000ffu
#define MTRR_DEF_FIXED_ENABLE 0x00000400u
#define MTRR_DEF_ENABLE	      0x00000800u
#define MTRR_MASK_VALID	      0x00000800u

/* APM vol. 2, "System Configuration Register (SYSCFG)" (3.2.1) */
#define SYSCFG_FIXED	   0x000c0000u /* MtrrFixDramEn, MtrrFixDramModEn: memory below 1 MiB */
#define SYSCFG_TOM2_ENABLE 0x00200000u
#define SYSCFG_TOM2_WB	   0x00400000u /* memory from 4 GiB to TOP_MEM2 is write back by default */
#define TOP_MEM2_ADDRESS   0x000fffffff800000ull

#define VM_CR_SVMDIS 0x00000010u
#define VM_CR_LOCK   0x00000008u

#endif
