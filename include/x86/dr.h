/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug registers. APM vol. 2, "Debug Registers" (13.1.1); SDM vol. 3, "Debug Registers" (17.2) */
#ifndef X86_DR_H
#define X86_DR_H

#define DR6_B  0x0000000fu
#define DR6_BS 0x00004000u
#define DR6_BT 0x00008000u
#define DR7_GD 0x00002000u

/* L and G of all breakpoints, and what breakpoint n has: APM vol. 2, "DR7" (13.1.1.4) */
#define DR7_ENABLED	  0x000000ffu
#define DR7_IS_ENABLED(n) (3u << 2 * (n))
#define DR7_RW(dr7, n)	  ((dr7) >> (16 + 4 * (n)) & 3)
#define DR7_LEN(dr7, n)	  ((dr7) >> (18 + 4 * (n)) & 3)

#define DR7_RW_WRITE  1
#define DR7_RW_PORT   2
#define DR7_RW_ACCESS 3

#endif
