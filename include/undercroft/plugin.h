/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of a plugin: all a plugin's source includes. One folder, one struct plugin for the vmm, and, where
 * something must be prepared before the guest starts, one struct plugin_setup for the setup tier.
 */
#ifndef UNDERCROFT_PLUGIN_H
#define UNDERCROFT_PLUGIN_H

#include <undercroft/types.h>
#include <undercroft/a20.h>
#include <undercroft/backend.h>
#include <undercroft/platform.h>
#include <undercroft/errno.h>
#include <undercroft/event.h>
#include <undercroft/exit.h>
#include <undercroft/log.h>
#include <undercroft/machine.h>
#include <undercroft/mem.h>
#include <undercroft/owner.h>
#include <undercroft/plan.h>
#include <undercroft/region.h>
#include <undercroft/vcpu.h>
#include <undercroft/vm.h>

#define PLUGIN_API_VERSION 1

/* Order of hooks: phase first, then name; never link order. */
enum plugin_phase { PLUGIN_OBSERVE, PLUGIN_POLICY, PLUGIN_EMULATE };

struct plugin;

struct plugin_ctx {
	const struct plugin *plugin;
	struct vm *vm;
	struct owner owner; /* names the plugin: pass it to whatever arms something */
	const void *params; /* what the setup half parsed, params_size bytes; zeroes without it */
	void *vm_state;	    /* vm_state_size bytes, zeroed at start */
};

typedef enum verdict (*plugin_hook_fn)(struct plugin_ctx *ctx, struct vcpu *vcpu);

struct plugin_hook {
	enum exit_kind kind;
	plugin_hook_fn fn; /* VERDICT_PASS: not mine */
};

struct plugin {
	const char *name;
	uint32_t api_version; /* PLUGIN_API_VERSION */
	enum plugin_phase phase;
	size_t vm_state_size, params_size;
	/* Called once, after the VM is built and before its first entry. 0, or a negative errno: the plugin stays off.
	 */
	int (*init)(struct plugin_ctx *ctx, struct vcpu *vcpu);
	const struct plugin_hook *hooks; /* ends with fn == NULL; NULL: none */
	/* VMMCALL/VMCALL at a place that the setup half declared with plan_guest_call(); NULL: none. */
	plugin_hook_fn guest_call;
};

#define PLUGIN_REGISTER(object)                           \
	static const struct plugin *const plugin_##object \
		__attribute__((used, section("plugins"), aligned(sizeof(void *)))) = &(object)

/* The setup half. */
struct plugin_setup {
	const char *name;	/* the plugin's */
	const char *compatible; /* of its configuration node: "undercroft,smap" */
	size_t params_size;
	/* Reads the node into params (zeroed). node < 0: there is none, fill in the defaults. 0, or -EINVAL with
	 * *error. */
	int (*parse)(const void *fdt, int node, void *params, struct config_error *error);
	/* Plants what the guest needs. The guest's memory map in the plan is final. 0, or a negative errno with *why.
	 */
	int (*prepare)(struct plan *plan, const void *params, const char **why);
};

#define PLUGIN_SETUP_REGISTER(setup)                                 \
	static const struct plugin_setup *const plugin_setup_##setup \
		__attribute__((used, section("plugin_setups"), aligned(sizeof(void *)))) = &(setup)

#endif
