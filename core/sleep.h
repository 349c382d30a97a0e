/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeping the machine awake: sleep would end in the firmware, and the guest would come back without its hypervisor.
 */
#ifndef CORE_SLEEP_H
#define CORE_SLEEP_H

#include <undercroft/vcpu.h>

/*
 * Watches the control registers that vm->machine names. Requests for S2, S3 and S4 are logged and end at once, as if
 * something had woken the machine; S1 and S5 pass. What cannot be watched is logged.
 */
void sleep_watch(struct vcpu *vcpu);

#endif
