/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The x87 and SSE registers as GDB counts them. The host uses none of them, so the guest's are in the CPU, and each
 * access goes through FXSAVE. Must not know packets or numbers.
 * Source: SDM vol. 1, "FXSAVE Area" (10.5.1); GDB's names and order: its feature org.gnu.gdb.i386.core.
 */
#ifndef CORE_CONTROL_FPU_H
#define CORE_CONTROL_FPU_H

#include <undercroft/types.h>

struct platform;

#define FPU_CONTROL 8  /* fctrl fstat ftag fiseg fioff foseg fooff fop */
#define FPU_SSE	    16 /* xmm0 .. xmm15 */
#define FPU_MXCSR   32
#define FPU_COUNT   33

unsigned fpu_size(unsigned index);
void fpu_name(unsigned index, char *name, size_t size);
const char *fpu_type(unsigned index);

/* One register's bytes. */
void fpu_get(struct platform *platform, unsigned index, void *value);

/* Returns 0, or -EINVAL: a control word with bits this CPU does not have. */
int fpu_set(struct platform *platform, unsigned index, const void *value);

#endif
