/* SPDX-License-Identifier: BSD-2-Clause */
/* core/hypercall.c: ours at the declared places, an invalid opcode everywhere else. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/handoff.h>
#include <x86/cr.h>

#include "core/plugin.h"
#include "tests/unit/spine.h"

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

static unsigned calls;
static enum verdict verdict;

static enum verdict guest_call(struct plugin_ctx *ctx, struct vcpu *v)
{
	assert_string_equal(ctx->plugin->name, "test");
	assert_ptr_equal(v, vcpu);
	calls++;
	return verdict;
}

static const struct plugin plugin = {.name = "test", .api_version = PLUGIN_API_VERSION, .guest_call = guest_call};
static const struct plugin silent = {.name = "silent", .api_version = PLUGIN_API_VERSION};

static int setup(void **state)
{
	static const struct plugin *const plugins[] = {&plugin, &silent};
	static struct handoff handoff = {.magic = HANDOFF_MAGIC, .version = HANDOFF_VERSION, .size = sizeof(handoff)};

	(void)state;
	spine_init(&spine);
	fake->reg[REG_CR0] = CR0_PE;
	spine.fake.vm.guest_call_count = 3;
	spine.fake.vm.guest_call[0] = (struct guest_call){.address = 0x18000, .name = "test"};
	spine.fake.vm.guest_call[1] = (struct guest_call){.address = 0x18010, .name = "start"};
	spine.fake.vm.guest_call[2] = (struct guest_call){.address = 0x18020, .name = "silent"};
	calls = 0;
	verdict = VERDICT_SKIP_INSN;
	return plugin_registry_init(vcpu, plugins, ARRAY_SIZE(plugins), &handoff);
}

static void call(uint64_t base, uint64_t rip)
{
	fake->seg[SEG_CS].base = base;
	vcpu->rip = rip;
	spine_exit(&spine, EXIT_HYPERCALL, 3, NULL, NULL);
	assert_null(vcpu->fatal);
}

static void check_ud(uint64_t rip)
{
	assert_non_null(spine_injected(&spine));
	assert_int_equal(spine_injected(&spine)->vector, 6);
	assert_int_equal(vcpu->rip, rip);
}

static void test_declared_place(void **state)
{
	(void)state;
	/* the linear address counts, however it is made up */
	call(0x10000, 0x8000);
	assert_int_equal(vcpu->rip, 0x8003);
	call(0x18000, 0);
	assert_int_equal(calls, 2);
	assert_null(spine_injected(&spine));
}

static void test_anywhere_else(void **state)
{
	static const uint64_t places[] = {0, 0x17fff, 0x18001, 0x18003, 0x18030};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		call(0, places[i]);
		check_ud(places[i]);
	}
	assert_int_equal(calls, 0);
	/* places beyond the count are none */
	spine.fake.vm.guest_call_count = 0;
	call(0, 0x18000);
	check_ud(0x18000);
}

static void test_plugin_passes(void **state)
{
	(void)state;
	verdict = VERDICT_PASS;
	call(0, 0x18000);
	assert_int_equal(calls, 1);
	check_ud(0x18000);
	/* one that takes no calls */
	call(0, 0x18020);
	check_ud(0x18020);
}

static void test_start_line(void **state)
{
	char *text = fake_memory_at(&spine.fake.platform, 0x20010, 256);

	(void)state;
	fake->seg[SEG_DS].base = 0x20000;
	vcpu->gpr[GPR_RSI] = 0xaaaa0010;
	strcpy(text, "disk 81h");
	call(0, 0x18010);
	assert_int_equal(vcpu->rip, 0x18013);
	assert_true(spine_logged(&spine, "start: disk 81h\n"));
	/* a line without an end */
	memset(text, 'x', 256);
	text[79] = 'y';
	call(0, 0x18010);
	assert_true(spine_logged(&spine, "xxxy\n"));
	/* one that cannot be read */
	fake->reg[REG_CR0] = CR0_PE | CR0_PG;
	fake->reg[REG_CR3] = 0x300000;
	call(0, 0x18010);
	assert_int_equal(vcpu->rip, 0x18013);
	assert_null(spine_injected(&spine));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_declared_place),
		TEST(test_anywhere_else),
		TEST(test_plugin_passes),
		TEST(test_start_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
