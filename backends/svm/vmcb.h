/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine control block. APM vol. 2, "VMCB Layout" (appendix B, tables B-1 and B-2).
 */
#ifndef SVM_VMCB_H
#define SVM_VMCB_H

#include <undercroft/types.h>

struct vmcb_segment {
	uint16_t selector, attributes;
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	/* control area */
	uint16_t intercept_cr_read, intercept_cr_write;
	uint16_t intercept_dr_read, intercept_dr_write;
	uint32_t intercept_exceptions;
	uint32_t intercept_1; /* VMCB_INTERCEPT1_x */
	uint32_t intercept_2; /* VMCB_INTERCEPT2_x */
	uint32_t intercept_3; /* VMCB_INTERCEPT3_x */
	uint8_t reserved_018[0x03c - 0x018];
	uint16_t pause_filter_threshold, pause_filter_count;
	uint64_t iopm_base, msrpm_base, tsc_offset;
	uint32_t asid;
	uint8_t tlb_control; /* VMCB_TLB_x */
	uint8_t reserved_05d[3];
	uint64_t v_intr; /* VMCB_V_x */
	uint64_t interrupt_shadow;
	uint64_t exitcode, exitinfo1, exitinfo2, exitintinfo;
	uint64_t nested_enable;
	uint64_t avic_apic_bar, ghcb;
	uint64_t eventinj;
	uint64_t nested_cr3;
	uint64_t lbr_enable;
	uint32_t clean, reserved_0c4;
	uint64_t nrip;
	uint8_t fetched_count, instruction[15];
	uint8_t reserved_0e0[0x400 - 0x0e0];
	/* state save area */
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved_4a0[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t reserved_4cc;
	uint64_t efer;
	uint8_t reserved_4d8[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t reserved_580[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t reserved_5e0[0x5f8 - 0x5e0];
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t reserved_648[0x668 - 0x648];
	uint64_t g_pat, debugctl, br_from, br_to, last_except_from, last_except_to;
	uint8_t reserved_698[0x1000 - 0x698];
};

_Static_assert(sizeof(struct vmcb_segment) == 16, "VMCB segment layout");
_Static_assert(offsetof(struct vmcb, pause_filter_threshold) == 0x03c, "VMCB layout");
_Static_assert(offsetof(struct vmcb, iopm_base) == 0x040, "VMCB layout");
_Static_assert(offsetof(struct vmcb, asid) == 0x058, "VMCB layout");
_Static_assert(offsetof(struct vmcb, v_intr) == 0x060, "VMCB layout");
_Static_assert(offsetof(struct vmcb, exitcode) == 0x070, "VMCB layout");
_Static_assert(offsetof(struct vmcb, exitintinfo) == 0x088, "VMCB layout");
_Static_assert(offsetof(struct vmcb, nested_enable) == 0x090, "VMCB layout");
_Static_assert(offsetof(struct vmcb, eventinj) == 0x0a8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, nested_cr3) == 0x0b0, "VMCB layout");
_Static_assert(offsetof(struct vmcb, nrip) == 0x0c8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "VMCB layout");
_Static_assert(offsetof(struct vmcb, tr) == 0x490, "VMCB layout");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "VMCB layout");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "VMCB layout");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "VMCB layout");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "VMCB layout");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "VMCB layout");
_Static_assert(sizeof(struct vmcb) == 4096, "VMCB layout");

/* Offset 00Ch */
#define VMCB_INTERCEPT1_INTR	 (1u << 0)
#define VMCB_INTERCEPT1_NMI	 (1u << 1)
#define VMCB_INTERCEPT1_INIT	 (1u << 3)
#define VMCB_INTERCEPT1_VINTR	 (1u << 4)
#define VMCB_INTERCEPT1_CR0_SEL	 (1u << 5) /* writes that change more than TS and MP */
#define VMCB_INTERCEPT1_CPUID	 (1u << 18)
#define VMCB_INTERCEPT1_IRET	 (1u << 20)
#define VMCB_INTERCEPT1_INTN	 (1u << 21)
#define VMCB_INTERCEPT1_INVD	 (1u << 22)
#define VMCB_INTERCEPT1_HLT	 (1u << 24)
#define VMCB_INTERCEPT1_INVLPG	 (1u << 25)
#define VMCB_INTERCEPT1_INVLPGA	 (1u << 26)
#define VMCB_INTERCEPT1_IOIO	 (1u << 27)
#define VMCB_INTERCEPT1_MSR	 (1u << 28)
#define VMCB_INTERCEPT1_TASK	 (1u << 29)
#define VMCB_INTERCEPT1_SHUTDOWN (1u << 31)
/* Offset 010h */
#define VMCB_INTERCEPT2_VMRUN	(1u << 0)
#define VMCB_INTERCEPT2_VMMCALL (1u << 1)
#define VMCB_INTERCEPT2_VMLOAD	(1u << 2)
#define VMCB_INTERCEPT2_VMSAVE	(1u << 3)
#define VMCB_INTERCEPT2_STGI	(1u << 4)
#define VMCB_INTERCEPT2_CLGI	(1u << 5)
#define VMCB_INTERCEPT2_SKINIT	(1u << 6)
#define VMCB_INTERCEPT2_MWAIT	(1u << 11)

/* Offset 014h */
#define VMCB_INTERCEPT3_INVPCID (1u << 2)
/* Offset 002h: writes of CR3, and of CR3 and CR4 */
#define VMCB_INTERCEPT_CR3	 0x0008u
#define VMCB_INTERCEPT_CR_PAGING 0x0018u

#define VMCB_TLB_NOTHING   0
#define VMCB_TLB_FLUSH_ALL 1

#define VMCB_V_IRQ	    (1ull << 8)
#define VMCB_V_INTR_PRIO    (0xfull << 16)
#define VMCB_V_IGN_TPR	    (1ull << 20)
#define VMCB_V_INTR_MASKING (1ull << 24)

#define VMCB_NESTED_ENABLE_NP 1ull

/* Exit codes: APM vol. 2, "SVM Intercept Exit Codes" (appendix C) */
#define VMEXIT_CR3_WRITE  0x013
#define VMEXIT_CR4_WRITE  0x014
#define VMEXIT_DR0_READ	  0x020
#define VMEXIT_DR0_WRITE  0x030
#define VMEXIT_EXCEPTION  0x040
#define VMEXIT_INTR	  0x060
#define VMEXIT_NMI	  0x061
#define VMEXIT_INIT	  0x063
#define VMEXIT_VINTR	  0x064
#define VMEXIT_CR0_SEL	  0x065
#define VMEXIT_CPUID	  0x072
#define VMEXIT_IRET	  0x074
#define VMEXIT_SWINT	  0x075
#define VMEXIT_INVD	  0x076
#define VMEXIT_HLT	  0x078
#define VMEXIT_INVLPG	  0x079
#define VMEXIT_INVLPGA	  0x07a
#define VMEXIT_IOIO	  0x07b
#define VMEXIT_MSR	  0x07c
#define VMEXIT_TASK	  0x07d
#define VMEXIT_SHUTDOWN	  0x07f
#define VMEXIT_VMRUN	  0x080
#define VMEXIT_VMMCALL	  0x081
#define VMEXIT_VMLOAD	  0x082
#define VMEXIT_SKINIT	  0x086
#define VMEXIT_MWAIT	  0x08b
#define VMEXIT_INVPCID	  0x0a2
#define VMEXIT_CODE_COUNT 0x0a3 /* all codes above are sparse */
#define VMEXIT_NPF	  0x400
#define VMEXIT_INVALID	  0xffffffffu /* the low half of -1 */

/* EVENTINJ and EXITINTINFO: APM vol. 2, "Event Injection" (15.20) */
#define VMCB_EVENT_TYPE_SHIFT  8
#define VMCB_EVENT_TYPE_INTR   0u
#define VMCB_EVENT_TYPE_NMI    2u
#define VMCB_EVENT_TYPE_EXCEPT 3u
#define VMCB_EVENT_TYPE_SOFT   4u
#define VMCB_EVENT_ERROR_VALID (1ull << 11)
#define VMCB_EVENT_VALID       (1ull << 31)
#define VMCB_EVENT_ERROR_SHIFT 32

/* EXITINFO1 of IOIO: APM vol. 2, "IOIO Intercepts" (15.10.2) */
#define VMCB_IOIO_IN	     (1u << 0)
#define VMCB_IOIO_STRING     (1u << 2)
#define VMCB_IOIO_REP	     (1u << 3)
#define VMCB_IOIO_SIZE_SHIFT 4
#define VMCB_IOIO_SIZE_MASK  7u
#define VMCB_IOIO_PORT_SHIFT 16

/* EXITINFO1 of TASK_SWITCH is the selector; EXITINFO2: APM vol. 2, "Task Switch Intercept" (15.14.1) */
#define VMCB_TASK_IRET (1ull << 36)
#define VMCB_TASK_JMP  (1ull << 38)

/* EXITINFO1 of NPF: APM vol. 2, "Nested versus Guest Page Faults, Fault Ordering" (15.25.6) */
#define VMCB_NPF_PRESENT    (1ull << 0)
#define VMCB_NPF_WRITE	    (1ull << 1)
#define VMCB_NPF_EXEC	    (1ull << 4)
#define VMCB_NPF_TABLE_WALK (1ull << 33)

#endif
