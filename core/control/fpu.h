/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The x87 and SSE registers as GDB counts them. The host uses none of them, so the guest's are in the CPU, and each
 * access goes through FXSAVE. Must not know packets or numbers.
 * Source: SDM vol. 1, "FXSAVE Area" (10.5.1).
 */
#ifndef CORE_CONTROL_FPU_H
#define CORE_CONTROL_FPU_H

#include <undercroft/types.h>

struct platform;

/* One register's bytes, by its index: layout.h. */
void fpu_get(struct platform *platform, unsigned index, void *value);

/* Returns 0, or -EINVAL: a control word with bits this CPU does not have. */
int fpu_set(struct platform *platform, unsigned index, const void *value);

#endif
