/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug registers. APM vol. 2, "Debug Registers" (13.1.1); SDM vol. 3, "Debug Registers" (17.2) */
#ifndef X86_DR_H
#define X86_DR_H

#define DR6_B	     0x0000000fu
#define DR6_BD	     0x00002000u
#define DR6_BS	     0x00004000u
#define DR6_BT	     0x00008000u
#define DR6_WRITABLE 0x0000e00fu
#define DR6_ONES     0xffff0ff0u
#define DR7_GD	     0x00002000u
#define DR7_WRITABLE 0xffff2bffu
#define DR7_ONES     0x00000400u

/*
 * DEBUGCTL, the same register on both; a debug exception clears both bits. SDM vol. 3, "IA32_DEBUGCTL MSR" (17.4.1),
 * "Single-Stepping on Branches" (17.4.3); APM vol. 2, "Debug-Control MSR (DebugCtl)" (13.1.1.7)
 */
#define DEBUGCTL_LBR 0x00000001u
#define DEBUGCTL_BTF 0x00000002u

/* L and G of all breakpoints, and what breakpoint n has: APM vol. 2, "DR7" (13.1.1.4) */
#define DR7_ENABLED	  0x000000ffu
#define DR7_IS_ENABLED(n) (3u << 2 * (n))
#define DR7_RW(dr7, n)	  ((dr7) >> (16 + 4 * (n)) & 3)
#define DR7_LEN(dr7, n)	  ((dr7) >> (18 + 4 * (n)) & 3)

#define DR7_RW_EXEC   0
#define DR7_RW_WRITE  1
#define DR7_RW_PORT   2
#define DR7_RW_ACCESS 3

/* What breakpoint n has in DR7, to be put there */
#define DR7_GLOBAL(n)	    (2ull << 2 * (n))
#define DR7_SET(n, rw, len) ((uint64_t)((rw) | (len) << 2) << (16 + 4 * (n)))
#define DR7_FIELDS(n)	    (DR7_SET(n, 3, 3) | (uint64_t)DR7_IS_ENABLED(n))

#endif
