/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers and EFER. APM vol. 2, "System-Control Registers" (3.1); SDM vol. 3, "Control Registers" (2.5) */
#ifndef X86_CR_H
#define X86_CR_H

#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define CR4_VME	    0x00000001u
#define CR4_TSD	    0x00000004u
#define CR4_DE	    0x00000008u
#define CR4_PSE	    0x00000010u
#define CR4_PAE	    0x00000020u
#define CR4_MCE	    0x00000040u
#define CR4_PGE	    0x00000080u
#define CR4_OSFXSR  0x00000200u
#define CR4_LA57    0x00001000u
#define CR4_VMXE    0x00002000u
#define CR4_SMXE    0x00004000u
#define CR4_PCIDE   0x00020000u
#define CR4_OSXSAVE 0x00040000u
#define CR4_SMEP    0x00100000u
#define CR4_SMAP    0x00200000u
#define CR4_PKE	    0x00400000u

#define EFER_SCE  0x0001u
#define EFER_LME  0x0100u
#define EFER_LMA  0x0400u
#define EFER_NXE  0x0800u
#define EFER_SVME 0x1000u

#endif
