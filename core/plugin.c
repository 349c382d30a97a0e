/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plugin registry: checks, contexts, the order of hooks. Must not name a plugin.
 */
#include <string.h>

#include <undercroft/handoff.h>
#include <undercroft/plugin.h>
#include <undercroft/platform.h>

#include "core/plugin.h"

struct hook_entry {
	struct plugin_ctx *ctx;
	plugin_hook_fn fn;
};

struct plugin_registry {
	unsigned count;
	struct plugin_ctx ctx[CONFIG_PLUGIN_MAX];
	unsigned hook_count[EXIT_KIND_COUNT];
	struct hook_entry hook[EXIT_KIND_COUNT][CONFIG_PLUGIN_MAX];
};

_Static_assert(sizeof(struct plugin_registry) <= PAGE_SIZE, "the registry takes one page");

/* What slot[kind] is while somebody listens: hooks in order, then the default. */
static enum verdict dispatch(struct vcpu *vcpu)
{
	struct plugin_registry *registry = vcpu->vm->plugins;
	unsigned kind = vcpu->exit.kind;

	for (unsigned i = 0; i < registry->hook_count[kind]; i++) {
		const struct hook_entry *hook = &registry->hook[kind][i];
		enum verdict verdict = hook->fn(hook->ctx, vcpu);

		if (verdict != VERDICT_PASS)
			return verdict;
	}
	return exit_defaults[kind](vcpu);
}

static bool plugin_is_before(const struct plugin *a, const struct plugin *b)
{
	/* a nameless one is refused later, in its turn */
	return a->phase != b->phase ? a->phase < b->phase : strcmp(a->name ? a->name : "", b->name ? b->name : "") < 0;
}

static bool hooks_twice(const struct plugin_hook *hooks)
{
	uint32_t seen = 0;

	_Static_assert(EXIT_KIND_COUNT <= 32, "one bit each");
	for (const struct plugin_hook *hook = hooks; hook && hook->fn; hook++) {
		if (seen & 1u << hook->kind)
			return true;
		seen |= 1u << hook->kind;
	}
	return false;
}

static const char *plugin_refuse(const struct plugin *plugin)
{
	if (!plugin->name || !*plugin->name || strlen(plugin->name) >= sizeof(((struct plugin_params *)0)->name))
		return "its name is missing or too long";
	if (plugin->api_version != PLUGIN_API_VERSION)
		return "it was made for another version of the plugin contract";
	if (plugin->phase > PLUGIN_EMULATE)
		return "its phase is none";
	if (plugin->params_size > CONFIG_PLUGIN_PARAMS || plugin->vm_state_size > PAGE_SIZE)
		return "its parameters or state are too large";
	for (const struct plugin_hook *hook = plugin->hooks; hook && hook->fn; hook++) {
		if (hook->kind >= EXIT_KIND_COUNT)
			return "it hooks an exit that does not exist";
	}
	return hooks_twice(plugin->hooks) ? "it hooks the same exit twice" : NULL;
}

static void *page_take(struct vm *vm)
{
	paddr_t page = page_pool_alloc(vm);

	return page ? vm->platform->ops->phys_map(vm->platform, page, PAGE_SIZE) : NULL;
}

/* The parameters the plugin's setup half left, or NULL. */
static const void *params_find(const void *handoff, const struct plugin *plugin)
{
	const struct plugin_params *params = NULL;
	size_t length;

	while ((params = handoff_find(handoff, HANDOFF_PLUGIN, params, &length)) != NULL) {
		if (length >= sizeof(*params) && params->size >= plugin->params_size &&
		    !strcmp(params->name, plugin->name))
			return params->data;
	}
	return NULL;
}

static int plugin_start(struct plugin_registry *registry, const struct plugin *plugin, struct vcpu *vcpu,
			const void *handoff)
{
	struct plugin_ctx *ctx = &registry->ctx[registry->count];
	struct vm *vm = vcpu->vm;
	int error;

	*ctx = (struct plugin_ctx){.plugin = plugin, .vm = vm, .owner = {.name = plugin->name}};
	ctx->params = plugin->params_size ? params_find(handoff, plugin) : NULL;
	if (plugin->params_size && !ctx->params) {
		ctx->params = page_take(vm);
		if (!ctx->params)
			return -ENOMEM;
	}
	if (plugin->vm_state_size) {
		ctx->vm_state = page_take(vm);
		if (!ctx->vm_state)
			return -ENOMEM;
	}
	if (plugin->init) {
		error = plugin->init(ctx, vcpu);
		if (error) {
			owner_release(vcpu, &ctx->owner);
			return error;
		}
	}
	registry->count++;
	for (const struct plugin_hook *hook = plugin->hooks; hook && hook->fn; hook++) {
		registry->hook[hook->kind][registry->hook_count[hook->kind]++] =
			(struct hook_entry){.ctx = ctx, .fn = hook->fn};
		vcpu->slot[hook->kind] = dispatch;
	}
	return 0;
}

int plugin_registry_init(struct vcpu *vcpu, const struct plugin *const *plugins, size_t count, const void *handoff)
{
	const struct plugin *last = NULL;
	struct vm *vm = vcpu->vm;
	size_t seen = 0;

	vm->plugins = page_take(vm);
	if (!vm->plugins)
		return -ENOMEM;
	/* the next one in order, again and again: there are a handful */
	for (; seen < count; seen++) {
		const struct plugin *next = NULL;
		const char *refused;
		int error;

		for (size_t i = 0; i < count; i++) {
			if ((!last || plugin_is_before(last, plugins[i])) &&
			    (!next || plugin_is_before(plugins[i], next)))
				next = plugins[i];
		}
		if (!next)
			break;
		last = next;
		refused = vm->plugins->count == CONFIG_PLUGIN_MAX ? "there are too many" : plugin_refuse(next);
		if (refused) {
			log_printf(vm->log, "undercroft: plugin %s stays off: %s\n", next->name ? next->name : "?",
				   refused);
			continue;
		}
		error = plugin_start(vm->plugins, next, vcpu, handoff);
		if (error)
			log_printf(vm->log, "undercroft: plugin %s stays off: error %d\n", next->name, -error);
	}
	if (seen < count)
		log_printf(vm->log, "undercroft: %zu plugins stay off: others have the same phase and name\n",
			   count - seen);
	return 0;
}

enum verdict plugin_guest_call(struct vcpu *vcpu, const char *name)
{
	struct plugin_registry *registry = vcpu->vm->plugins;

	for (unsigned i = 0; i < registry->count; i++) {
		struct plugin_ctx *ctx = &registry->ctx[i];

		if (ctx->plugin->guest_call && !strcmp(ctx->plugin->name, name))
			return ctx->plugin->guest_call(ctx, vcpu);
	}
	return VERDICT_PASS;
}
