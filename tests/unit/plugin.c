/* SPDX-License-Identifier: BSD-2-Clause */
/* core/plugin.c: order, refusals, parameters, the chain of hooks, and a start that fails. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <undercroft/handoff.h>

#include "core/plugin.h"
#include "tests/unit/spine.h"

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static uint64_t handoff[512];

static char started[64];  /* names in the order of their start */
static char hooked[64];	  /* names in the order their hooks ran */
static const char *taker; /* whose hook takes the exit */
static const void *params;
static void *vm_state;

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	started[0] = hooked[0] = 0;
	taker = NULL;
	params = NULL;
	vm_state = NULL;
	return handoff_begin(handoff, sizeof(handoff));
}

static int init(struct plugin_ctx *ctx, struct vcpu *v)
{
	assert_ptr_equal(v, vcpu);
	assert_ptr_equal(ctx->vm, &spine.fake.vm);
	assert_string_equal(ctx->owner.name, ctx->plugin->name);
	strcat(started, ctx->plugin->name);
	params = ctx->params;
	vm_state = ctx->vm_state;
	return 0;
}

static int init_arms_and_fails(struct plugin_ctx *ctx, struct vcpu *v)
{
	assert_int_equal(intercept_arm(v, &ctx->owner, INTERCEPT_PORT, 0x60), 0);
	assert_int_equal(intercept_arm(v, &ctx->owner, INTERCEPT_MSR_READ, 0x10), 0);
	return -5;
}

static enum verdict hook(struct plugin_ctx *ctx, struct vcpu *v)
{
	assert_ptr_equal(v, vcpu);
	strcat(hooked, ctx->plugin->name);
	return taker && !strcmp(taker, ctx->plugin->name) ? VERDICT_RESUME : VERDICT_PASS;
}

static const struct plugin_hook hooks[] = {{EXIT_CPUID, hook}, {EXIT_NESTED, hook}, {0, NULL}};

#define PLUGIN(id, at)                                                                                   \
	{                                                                                                \
		.name = id, .api_version = PLUGIN_API_VERSION, .phase = at, .init = init, .hooks = hooks \
	}

static void start(const struct plugin *const *plugins, size_t count)
{
	assert_int_equal(plugin_registry_init(vcpu, plugins, count, handoff), 0);
}

static void test_none(void **state)
{
	(void)state;
	start(NULL, 0);
	for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++)
		assert_ptr_equal(vcpu->slot[kind], exit_defaults[kind]);
	assert_int_equal(plugin_guest_call(vcpu, "a"), VERDICT_PASS);
}

static void test_order(void **state)
{
	static const struct plugin a = PLUGIN("a", PLUGIN_EMULATE), b = PLUGIN("b", PLUGIN_OBSERVE),
				   c = PLUGIN("c", PLUGIN_POLICY), d = PLUGIN("d", PLUGIN_OBSERVE);
	static const struct plugin *const orders[][4] = {{&a, &b, &c, &d}, {&d, &c, &b, &a}, {&c, &a, &d, &b}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
		started[0] = hooked[0] = 0;
		start(orders[i], 4);
		assert_string_equal(started, "bdca");
		spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
		assert_string_equal(hooked, "bdca");
	}
}

static void test_chain(void **state)
{
	static const struct plugin a = PLUGIN("a", PLUGIN_OBSERVE), b = PLUGIN("b", PLUGIN_OBSERVE);
	static const struct plugin *const plugins[] = {&a, &b};

	(void)state;
	start(plugins, 2);
	assert_false(spine_logged(&spine, "stays off"));
	/* only what is hooked goes the long way */
	for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++)
		assert_int_equal(vcpu->slot[kind] == exit_defaults[kind], kind != EXIT_CPUID && kind != EXIT_NESTED);
	/* all pass: the default carries it out */
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_string_equal(hooked, "ab");
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	/* taken by the first: nobody else is asked */
	hooked[0] = 0;
	taker = "a";
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_string_equal(hooked, "a");
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
	hooked[0] = 0;
	taker = "b";
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_string_equal(hooked, "ab");
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
}

static void check_refused(const struct plugin *plugin, const char *why)
{
	static const struct plugin good = PLUGIN("good", PLUGIN_EMULATE);
	const struct plugin *const plugins[] = {plugin, &good};

	started[0] = 0;
	memset(spine.log, 0, sizeof(spine.log));
	spine.fake.log.written = 0;
	start(plugins, 2);
	assert_string_equal(started, "good");
	assert_true(spine_logged(&spine, why));
	assert_int_equal(spine.fake.vm.pool.available > 0, 1);
}

static void test_refusals(void **state)
{
	static const struct plugin_hook beyond[] = {{EXIT_KIND_COUNT, hook}, {0, NULL}};
	static const struct plugin_hook twice[] = {{EXIT_CPUID, hook}, {EXIT_IO, hook}, {EXIT_CPUID, hook}, {0, NULL}};
	static char name[sizeof(((struct plugin_params *)0)->name) + 1];
	const struct plugin fits = PLUGIN("x", PLUGIN_OBSERVE);
	struct plugin plugin;

	(void)state;
	plugin = fits;
	plugin.name = NULL;
	check_refused(&plugin, "plugin ? stays off: its name is missing");
	plugin.name = NULL;
	plugin.phase = PLUGIN_EMULATE; /* beside another of its phase */
	check_refused(&plugin, "plugin ? stays off: its name is missing");
	plugin = fits;
	plugin.name = "";
	check_refused(&plugin, "its name is missing");
	memset(name, 'n', sizeof(name) - 1);
	plugin.name = name;
	check_refused(&plugin, "or too long");
	plugin = fits;
	plugin.api_version++;
	check_refused(&plugin, "plugin x stays off: it was made for another version");
	plugin = fits;
	plugin.phase = (enum plugin_phase)(PLUGIN_EMULATE + 1);
	check_refused(&plugin, "its phase is none");
	plugin = fits;
	plugin.params_size = CONFIG_PLUGIN_PARAMS + 1;
	check_refused(&plugin, "too large");
	plugin = fits;
	plugin.vm_state_size = PAGE_SIZE + 1;
	check_refused(&plugin, "too large");
	plugin = fits;
	plugin.hooks = beyond;
	check_refused(&plugin, "an exit that does not exist");
	plugin = fits;
	plugin.hooks = twice;
	check_refused(&plugin, "the same exit twice");
	plugin = fits;
	plugin.name = "good";
	plugin.phase = PLUGIN_EMULATE;
	check_refused(&plugin, "1 plugins stay off: others have the same phase and name");
}

static void test_too_many(void **state)
{
	static char names[CONFIG_PLUGIN_MAX + 1][2];
	static struct plugin plugin[CONFIG_PLUGIN_MAX + 1];
	const struct plugin *plugins[CONFIG_PLUGIN_MAX + 1];

	(void)state;
	for (unsigned i = 0; i <= CONFIG_PLUGIN_MAX; i++) {
		names[i][0] = (char)('a' + i);
		plugin[i] = (struct plugin)PLUGIN(names[i], PLUGIN_OBSERVE);
		plugins[i] = &plugin[i];
	}
	start(plugins, CONFIG_PLUGIN_MAX + 1);
	assert_string_equal(started, "abcdefgh");
	assert_true(spine_logged(&spine, "plugin i stays off: there are too many"));
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_string_equal(hooked, "abcdefgh");
}

static void test_params(void **state)
{
	static const struct plugin plain = PLUGIN("p", PLUGIN_OBSERVE);
	static struct plugin_params other = {.name = "q", .size = 8, .data = {9}}, record = {.name = "p", .data = {7}};
	struct plugin plugin = plain;
	const struct plugin *plugins[] = {&plugin};
	unsigned pages;

	(void)state;
	/* none are wanted */
	start(plugins, 1);
	assert_null(params);
	assert_null(vm_state);
	/* nobody left any: zeroes; and state, zeroed */
	plugin.params_size = 8;
	plugin.vm_state_size = PAGE_SIZE;
	pages = spine.fake.vm.pool.available;
	start(plugins, 1);
	assert_int_equal(pages - spine.fake.vm.pool.available, 3); /* with the registry itself */
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(((const uint8_t *)params)[i], 0);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(((const uint8_t *)vm_state)[i], 0);
	/* one that is too short is not taken, the right one is found behind others */
	record.size = 7;
	assert_int_equal(handoff_add(handoff, sizeof(handoff), HANDOFF_PLUGIN, &other, sizeof(other)), 0);
	assert_int_equal(handoff_add(handoff, sizeof(handoff), HANDOFF_PLUGIN, &record, sizeof(record)), 0);
	start(plugins, 1);
	assert_int_equal(*(const uint8_t *)params, 0);
	record.size = 8;
	assert_int_equal(handoff_add(handoff, sizeof(handoff), HANDOFF_PLUGIN, &record, sizeof(record)), 0);
	start(plugins, 1);
	assert_int_equal(*(const uint8_t *)params, 7);
}

static void test_init_fails(void **state)
{
	static const struct plugin good = PLUGIN("good", PLUGIN_EMULATE);
	struct plugin bad = PLUGIN("bad", PLUGIN_OBSERVE);
	const struct plugin *plugins[] = {&good, &bad};

	(void)state;
	bad.init = init_arms_and_fails;
	start(plugins, 2);
	assert_int_equal(fake_intercepts_on(fake), 0);
	assert_int_equal(fake->intercept_count, 2);
	assert_true(spine_logged(&spine, "plugin bad stays off: error 5"));
	assert_string_equal(started, "good");
	/* its hooks are not in the chain */
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_string_equal(hooked, "good");
	assert_int_equal(plugin_guest_call(vcpu, "bad"), VERDICT_PASS);
}

static void test_no_memory(void **state)
{
	struct plugin plugin = PLUGIN("p", PLUGIN_OBSERVE);
	const struct plugin *plugins[] = {&plugin};

	(void)state;
	plugin.params_size = 8;
	plugin.vm_state_size = 8;
	for (uint32_t pages = 0; pages < 4; pages++) {
		started[0] = 0;
		spine.fake.vm.pool.available = pages;
		assert_int_equal(plugin_registry_init(vcpu, plugins, 1, handoff), pages ? 0 : -ENOMEM);
		assert_string_equal(started, pages == 3 ? "p" : "");
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_none),     TEST(test_order),	TEST(test_chain),      TEST(test_refusals),
		TEST(test_too_many), TEST(test_params), TEST(test_init_fails), TEST(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
