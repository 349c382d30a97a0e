/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug registers. APM vol. 2, "Debug Registers" (13.1.1); SDM vol. 3, "Debug Registers" (17.2) */
#ifndef X86_DR_H
#define X86_DR_H

#define DR6_B  0x0000000fu
#define DR6_BS 0x00004000u
#define DR7_GD 0x00002000u

#endif
