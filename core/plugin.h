/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry, for whoever wires the vmm.
 */
#ifndef CORE_PLUGIN_H
#define CORE_PLUGIN_H

#include <undercroft/plugin.h>

/*
 * Starts all plugins of a linker set, in the order of phase and name; one that fails stays off and is named in the log.
 * handoff carries their parameters. Returns 0 or -ENOMEM.
 */
int plugin_registry_init(struct vcpu *vcpu, const struct plugin *const *plugins, size_t count, const void *handoff);

/* Hands a VMMCALL/VMCALL at a declared place to the plugin it was declared for. VERDICT_PASS: it is not there. */
enum verdict plugin_guest_call(struct vcpu *vcpu, const char *name);

#endif
