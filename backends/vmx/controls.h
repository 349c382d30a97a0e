/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the CPU's capability registers allow, and what we make of it. Pure; shared by setup, which refuses a CPU that
 * cannot do it, and the vmm, which then does it.
 */
#ifndef VMX_CONTROLS_H
#define VMX_CONTROLS_H

#include <undercroft/types.h>

struct platform;

enum vmx_control {
	VMX_CONTROL_PIN,
	VMX_CONTROL_PROCESSOR,
	VMX_CONTROL_SECONDARY,
	VMX_CONTROL_EXIT,
	VMX_CONTROL_ENTRY,
	VMX_CONTROL_COUNT
};

/* The value of each control field, as long as nothing is asked for. */
struct vmx_controls {
	uint32_t value[VMX_CONTROL_COUNT];
	bool timer; /* the preemption timer can be turned on, and saved at exits */
};

/*
 * What IA32_FEATURE_CONTROL has to be for VMXON outside of SMX, from what it is: every other bit is kept. Returns 0
 * with *wanted, which is value if nothing has to be written, or -EACCES: the firmware has locked VMX off. SDM vol. 3,
 * "Enabling and Entering VMX Operation" (23.7)
 */
int vmx_feature_control(uint64_t value, uint64_t *wanted);

/*
 * A control field from its capability register, allowed-0 settings in the low half and allowed-1 settings in the high
 * one: all of required, as much of optional as there is, and what the CPU insists on. Returns the bits of required that
 * the CPU does not allow; 0: *value is good. SDM vol. 3, "VM-Execution Controls" (A.3)
 */
uint32_t vmx_control_adjust(uint64_t capability, uint32_t required, uint32_t optional, uint32_t *value);

/*
 * All control fields for this CPU. Returns 0, or -ENODEV with *why a sentence for the user: what it cannot do.
 */
int vmx_controls_choose(struct platform *platform, struct vmx_controls *out, const char **why);

#endif
