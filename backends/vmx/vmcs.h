/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine control structure: encodings of its fields and of what they hold. SDM vol. 3, "Field Encoding in
 * VMCS" (appendix B) and "Virtual Machine Control Structures" (24).
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

/* SDM vol. 3, "16-Bit Fields" (B.1) */
#define VMCS_VPID	       0x0000
#define VMCS_GUEST_ES_SELECTOR 0x0800 /* CS, SS, DS, FS, GS, LDTR, TR follow, two apart */
#define VMCS_HOST_ES_SELECTOR  0x0c00
#define VMCS_HOST_CS_SELECTOR  0x0c02
#define VMCS_HOST_SS_SELECTOR  0x0c04
#define VMCS_HOST_DS_SELECTOR  0x0c06
#define VMCS_HOST_FS_SELECTOR  0x0c08
#define VMCS_HOST_GS_SELECTOR  0x0c0a
#define VMCS_HOST_TR_SELECTOR  0x0c0c

/* SDM vol. 3, "64-Bit Fields" (B.2) */
#define VMCS_IO_BITMAP_A	    0x2000
#define VMCS_IO_BITMAP_B	    0x2002
#define VMCS_MSR_BITMAP		    0x2004
#define VMCS_TSC_OFFSET		    0x2010
#define VMCS_EPT_POINTER	    0x201a
#define VMCS_XSS_EXITING_BITMAP	    0x202c
#define VMCS_PCONFIG_EXITING_BITMAP 0x203e
#define VMCS_GUEST_PHYSICAL_ADDRESS 0x2400
#define VMCS_LINK_POINTER	    0x2800
#define VMCS_GUEST_DEBUGCTL	    0x2802
#define VMCS_GUEST_PAT		    0x2804
#define VMCS_GUEST_EFER		    0x2806
#define VMCS_GUEST_PDPTE0	    0x280a /* the others follow, two apart */
#define VMCS_HOST_PAT		    0x2c00
#define VMCS_HOST_EFER		    0x2c02

/* SDM vol. 3, "32-Bit Fields" (B.3) */
#define VMCS_PIN_CONTROLS	      0x4000
#define VMCS_PROCESSOR_CONTROLS	      0x4002
#define VMCS_EXCEPTION_BITMAP	      0x4004
#define VMCS_PF_ERROR_MASK	      0x4006
#define VMCS_PF_ERROR_MATCH	      0x4008
#define VMCS_CR3_TARGET_COUNT	      0x400a
#define VMCS_EXIT_CONTROLS	      0x400c
#define VMCS_EXIT_MSR_STORE_COUNT     0x400e
#define VMCS_EXIT_MSR_LOAD_COUNT      0x4010
#define VMCS_ENTRY_CONTROLS	      0x4012
#define VMCS_ENTRY_MSR_LOAD_COUNT     0x4014
#define VMCS_ENTRY_INTR_INFO	      0x4016
#define VMCS_ENTRY_EXCEPTION_ERROR    0x4018
#define VMCS_ENTRY_INSTRUCTION_LENGTH 0x401a
#define VMCS_SECONDARY_CONTROLS	      0x401e
#define VMCS_INSTRUCTION_ERROR	      0x4400
#define VMCS_EXIT_REASON	      0x4402
#define VMCS_EXIT_INTR_INFO	      0x4404
#define VMCS_EXIT_INTR_ERROR	      0x4406
#define VMCS_IDT_VECTORING_INFO	      0x4408
#define VMCS_IDT_VECTORING_ERROR      0x440a
#define VMCS_EXIT_INSTRUCTION_LENGTH  0x440c
#define VMCS_EXIT_INSTRUCTION_INFO    0x440e
#define VMCS_GUEST_ES_LIMIT	      0x4800 /* in the selectors' order; then GDTR and IDTR */
#define VMCS_GUEST_GDTR_LIMIT	      0x4810
#define VMCS_GUEST_IDTR_LIMIT	      0x4812
#define VMCS_GUEST_ES_ACCESS	      0x4814
#define VMCS_GUEST_CS_ACCESS	      0x4816
#define VMCS_GUEST_SS_ACCESS	      0x4818
#define VMCS_GUEST_INTERRUPTIBILITY   0x4824
#define VMCS_GUEST_ACTIVITY	      0x4826
#define VMCS_GUEST_SYSENTER_CS	      0x482a
#define VMCS_PREEMPTION_TIMER	      0x482e
#define VMCS_HOST_SYSENTER_CS	      0x4c00

/* SDM vol. 3, "Natural-Width Fields" (B.4) */
#define VMCS_CR0_MASK		  0x6000
#define VMCS_CR4_MASK		  0x6002
#define VMCS_CR0_SHADOW		  0x6004
#define VMCS_CR4_SHADOW		  0x6006
#define VMCS_EXIT_QUALIFICATION	  0x6400
#define VMCS_GUEST_LINEAR_ADDRESS 0x640a
#define VMCS_GUEST_CR0		  0x6800
#define VMCS_GUEST_CR3		  0x6802
#define VMCS_GUEST_CR4		  0x6804
#define VMCS_GUEST_ES_BASE	  0x6806 /* in the selectors' order; then GDTR and IDTR */
#define VMCS_GUEST_GDTR_BASE	  0x6816
#define VMCS_GUEST_IDTR_BASE	  0x6818
#define VMCS_GUEST_DR7		  0x681a
#define VMCS_GUEST_RSP		  0x681c
#define VMCS_GUEST_RIP		  0x681e
#define VMCS_GUEST_RFLAGS	  0x6820
#define VMCS_GUEST_PENDING_DEBUG  0x6822
#define VMCS_GUEST_SYSENTER_ESP	  0x6824
#define VMCS_GUEST_SYSENTER_EIP	  0x6826
#define VMCS_HOST_CR0		  0x6c00
#define VMCS_HOST_CR3		  0x6c02
#define VMCS_HOST_CR4		  0x6c04
#define VMCS_HOST_FS_BASE	  0x6c06
#define VMCS_HOST_GS_BASE	  0x6c08
#define VMCS_HOST_TR_BASE	  0x6c0a
#define VMCS_HOST_GDTR_BASE	  0x6c0c
#define VMCS_HOST_IDTR_BASE	  0x6c0e
#define VMCS_HOST_SYSENTER_ESP	  0x6c10
#define VMCS_HOST_SYSENTER_EIP	  0x6c12
#define VMCS_HOST_RSP		  0x6c14
#define VMCS_HOST_RIP		  0x6c16

#ifndef __ASSEMBLER__

/* SDM vol. 3, "Pin-Based VM-Execution Controls" (24.6.1) */
#define VMCS_PIN_INTR_EXITING (1u << 0)
#define VMCS_PIN_NMI_EXITING  (1u << 3)
#define VMCS_PIN_VIRTUAL_NMIS (1u << 5)
#define VMCS_PIN_TIMER	      (1u << 6)

/* SDM vol. 3, "Processor-Based VM-Execution Controls" (24.6.2) */
#define VMCS_PROCESSOR_INVLPG_EXITING	 (1u << 9) /* INVPCID, too */
#define VMCS_PROCESSOR_CR3_LOAD_EXITING	 (1u << 15)
#define VMCS_PROCESSOR_CR3_STORE_EXITING (1u << 16)
#define VMCS_PROCESSOR_NMI_WINDOW	 (1u << 22)
#define VMCS_PROCESSOR_MOV_DR_EXITING	 (1u << 23)
#define VMCS_PROCESSOR_IO_BITMAPS	 (1u << 25)
#define VMCS_PROCESSOR_MSR_BITMAPS	 (1u << 28)
#define VMCS_PROCESSOR_SECONDARY	 (1u << 31)

#define VMCS_SECONDARY_EPT		  (1u << 1)
#define VMCS_SECONDARY_RDTSCP		  (1u << 3)
#define VMCS_SECONDARY_VPID		  (1u << 5)
#define VMCS_SECONDARY_UNRESTRICTED_GUEST (1u << 7)
#define VMCS_SECONDARY_INVPCID		  (1u << 12)
#define VMCS_SECONDARY_XSAVES		  (1u << 20)
#define VMCS_SECONDARY_WAITPKG		  (1u << 26)
#define VMCS_SECONDARY_PCONFIG		  (1u << 27)

/* SDM vol. 3, "VM-Exit Controls" (24.7.1) and "VM-Entry Controls" (24.8.1) */
#define VMCS_EXIT_SAVE_DEBUG	 (1u << 2)
#define VMCS_EXIT_HOST_LONG_MODE (1u << 9)
#define VMCS_EXIT_SAVE_PAT	 (1u << 18)
#define VMCS_EXIT_LOAD_PAT	 (1u << 19)
#define VMCS_EXIT_SAVE_EFER	 (1u << 20)
#define VMCS_EXIT_LOAD_EFER	 (1u << 21)
#define VMCS_EXIT_SAVE_TIMER	 (1u << 22)
#define VMCS_ENTRY_LOAD_DEBUG	 (1u << 2)
#define VMCS_ENTRY_LONG_MODE	 (1u << 9)
#define VMCS_ENTRY_LOAD_PAT	 (1u << 14)
#define VMCS_ENTRY_LOAD_EFER	 (1u << 15)

/* SDM vol. 3, "Guest Register State" (24.4.1), table 24-2 */
#define VMCS_ACCESS_LOW	       0x000000ffu /* type, S, DPL, P, as in a descriptor */
#define VMCS_ACCESS_HIGH_SHIFT 4	   /* AVL, L, D/B, G lie this much higher than without the limit's bits */
#define VMCS_ACCESS_HIGH       0x0000f000u
#define VMCS_ACCESS_PRESENT    0x00000080u
#define VMCS_ACCESS_UNUSABLE   0x00010000u
#define VMCS_ACCESS_DPL_SHIFT  5

/* SDM vol. 3, "Guest Non-Register State" (24.4.2), tables 24-3 and 24-4 */
#define VMCS_BLOCKING_STI    0x1u
#define VMCS_BLOCKING_MOV_SS 0x2u
#define VMCS_BLOCKING_SHADOW 0x3u
#define VMCS_BLOCKING_NMI    0x8u

#define VMCS_PENDING_BS 0x4000u

/* SDM vol. 3, "VM-Entry Controls for Event Injection" (24.8.3), table 24-15 */
#define VMCS_EVENT_VECTOR      0x000000ffu
#define VMCS_EVENT_TYPE_SHIFT  8
#define VMCS_EVENT_TYPE	       0x00000700u
#define VMCS_EVENT_TYPE_INTR   0u
#define VMCS_EVENT_TYPE_NMI    2u
#define VMCS_EVENT_TYPE_EXCEPT 3u
#define VMCS_EVENT_TYPE_SOFT   4u
#define VMCS_EVENT_TYPE_INT1   5u
#define VMCS_EVENT_TYPE_INT3   6u /* and INTO */
#define VMCS_EVENT_ERROR_VALID (1u << 11)
#define VMCS_EVENT_IRET	       (1u << 12) /* exits only: an IRET that had just ended the blocking of NMIs */
#define VMCS_EVENT_VALID       (1u << 31)

/* SDM vol. 3, "VMX Basic Exit Reasons" (appendix C) */
#define VMX_EXIT_EXCEPTION     0 /* or an NMI */
#define VMX_EXIT_INTR	       1
#define VMX_EXIT_TRIPLE_FAULT  2
#define VMX_EXIT_INIT	       3
#define VMX_EXIT_NMI_WINDOW    8
#define VMX_EXIT_TASK_SWITCH   9
#define VMX_EXIT_CPUID	       10
#define VMX_EXIT_GETSEC	       11
#define VMX_EXIT_INVD	       13
#define VMX_EXIT_INVLPG	       14
#define VMX_EXIT_VMCALL	       18
#define VMX_EXIT_VMCLEAR       19
#define VMX_EXIT_VMXON	       27
#define VMX_EXIT_CR	       28
#define VMX_EXIT_DR	       29
#define VMX_EXIT_IO	       30
#define VMX_EXIT_RDMSR	       31
#define VMX_EXIT_WRMSR	       32
#define VMX_EXIT_ENTRY_CHECK   41 /* with VMX_EXIT_REASON_FAILED: a machine check */
#define VMX_EXIT_EPT_VIOLATION 48
#define VMX_EXIT_EPT_MISCONFIG 49
#define VMX_EXIT_INVEPT	       50
#define VMX_EXIT_TIMER	       52
#define VMX_EXIT_INVVPID       53
#define VMX_EXIT_XSETBV	       55
#define VMX_EXIT_INVPCID       58
#define VMX_EXIT_VMFUNC	       59
#define VMX_EXIT_REASON_COUNT  64
#define VMX_EXIT_REASON_BASIC  0x0000ffffu
#define VMX_EXIT_REASON_FAILED (1u << 31)

/* SDM vol. 3, "Basic VM-Exit Information" (27.2.1), tables 27-2, 27-3, 27-5 and 27-7 */
#define VMX_CR_NUMBER	     0x0fu
#define VMX_CR_GPR_SHIFT     8
#define VMX_CR_GPR	     15u
#define VMX_IO_SIZE	     7u /* less one */
#define VMX_IO_IN	     (1u << 3)
#define VMX_IO_STRING	     (1u << 4)
#define VMX_IO_REP	     (1u << 5)
#define VMX_IO_PORT_SHIFT    16
#define VMX_TASK_SELECTOR    0xffffu
#define VMX_TASK_FROM_SHIFT  30
#define VMX_TASK_FROM	     3u
#define VMX_EPT_WRITE	     0x002u
#define VMX_EPT_EXEC	     0x004u
#define VMX_EPT_ALLOWED	     0x038u /* what the translation allowed: 0 if there is none */
#define VMX_EPT_LINEAR_VALID 0x080u
#define VMX_EPT_TRANSLATED   0x100u /* the access itself, not a walk of the guest's tables */
#define VMX_EPT_IRET	     0x1000u
#define VMX_DEBUG_HITS	     0x600fu /* of DR6: B0..B3, BD, BS */

/* SDM vol. 3, "VMX Capability Reporting Facility" (appendix A) */
#define VMX_BASIC_REVISION	0x7fffffffull
#define VMX_BASIC_TRUE_CONTROLS (1ull << 55)
#define VMX_MISC_TIMER_RATE	0x1full /* the timer counts down when this bit of the TSC changes */
#define VMX_EPT_CAP_EXEC_ONLY	(1ull << 0)
#define VMX_EPT_CAP_WALK_4	(1ull << 6)
#define VMX_EPT_CAP_WB		(1ull << 14)
#define VMX_EPT_CAP_2M		(1ull << 16)
#define VMX_EPT_CAP_1G		(1ull << 17)
#define VMX_EPT_CAP_INVEPT	(1ull << 20)
#define VMX_EPT_CAP_INVEPT_ALL	(1ull << 26)
#define VMX_EPT_CAP_INVVPID	(1ull << 32)
#define VMX_EPT_CAP_INVVPID_ALL (1ull << 42)

/* SDM vol. 3, "INVEPT" and "INVVPID" (30.3) */
#define VMX_INVEPT_ALL	2
#define VMX_INVVPID_ALL 2

/* SDM vol. 3, "EPT Translation Mechanism" (28.2.2), tables 28-1 to 28-6 */
#define VMX_EPTE_READ	    0x001ull
#define VMX_EPTE_WRITE	    0x002ull
#define VMX_EPTE_EXEC	    0x004ull
#define VMX_EPTE_ACCESS	    (VMX_EPTE_READ | VMX_EPTE_WRITE | VMX_EPTE_EXEC)
#define VMX_EPTE_TYPE	    0x038ull
#define VMX_EPTE_TYPE_SHIFT 3
#define VMX_EPTE_LARGE	    0x080ull
#define VMX_EPTE_ADDRESS    0x000ffffffffff000ull

/* SDM vol. 3, "VM-Instruction Error Numbers" (30.4) */
#define VMX_ERROR_CONTROL 7

/* SDM vol. 3, "Extended-Page-Table Pointer (EPTP)" (24.6.11) */
#define VMX_EPTP_WB	0x06u
#define VMX_EPTP_WALK_4 0x18u

#endif

#endif
