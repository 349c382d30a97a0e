/* SPDX-License-Identifier: BSD-2-Clause */
/* plugins/smap/smap.c: interrupt 15h answered by the hypervisor, over a low megabyte of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/plugin.h>

#include "plugins/smap/smap.h"

#define STUB_SEGMENT  0x9ec0
#define STACK_SEGMENT 0x2000
#define OUT_SEGMENT   0x3000
#define FLAGS_IMAGE   0xf246 /* interrupts on, CF clear */

/* The linker set, of which the test wants the one member. */
extern const struct plugin *const __start_plugins[];

struct bench {
	struct vcpu vcpu;
	uint8_t memory[0x100000];
	gva_t refused; /* a byte that faults on writes; 0: none */
	unsigned faults;
	uint8_t vector;
};

static struct bench *bench_of(struct vcpu *vcpu)
{
	return CONTAINER_OF(vcpu, struct bench, vcpu);
}

/* What the plugin needs of core. */

int mem_linear(struct vcpu *vcpu, enum seg seg, uint64_t offset, size_t length, unsigned access, gva_t *linear,
	       struct mem_fault *fault)
{
	(void)vcpu;
	(void)access;
	if (offset + length > 0x10000) {
		*fault = (struct mem_fault){.vector = 13};
		return -EFAULT;
	}
	assert_true(seg == SEG_CS || seg == SEG_SS || seg == SEG_ES);
	*linear = offset + (seg == SEG_CS ? STUB_SEGMENT : seg == SEG_SS ? STACK_SEGMENT : OUT_SEGMENT) * 16u;
	return 0;
}

int mem_read(struct vcpu *vcpu, gva_t address, void *buffer, size_t length, unsigned access, struct mem_fault *fault)
{
	(void)fault;
	assert_int_equal(access, ACCESS_READ);
	memcpy(buffer, bench_of(vcpu)->memory + address, length);
	return 0;
}

int mem_write(struct vcpu *vcpu, gva_t address, const void *buffer, size_t length, struct mem_fault *fault)
{
	struct bench *bench = bench_of(vcpu);

	if (bench->refused && address <= bench->refused && bench->refused - address < length) {
		*fault = (struct mem_fault){.vector = 14, .address = address};
		return -EFAULT;
	}
	memcpy(bench->memory + address, buffer, length);
	return 0;
}

void event_queue_exception(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error, uint64_t address)
{
	(void)has_error;
	(void)error;
	(void)address;
	bench_of(vcpu)->faults++;
	bench_of(vcpu)->vector = vector;
}

static const struct smap_range ranges[] = {
	{0, 0x9ec00, 1},
	{0xf0000, 0x10000, 2},
	{0x100000, 0x1fe00000, 1},
};

static struct bench *bench_make(void)
{
	static struct bench bench;
	const struct smap_header header = {
		.count = ARRAY_SIZE(ranges),
		.ranges = 0x40,
		.kib_below_16m = 0x3c00,
		.units_64kib_from_16m = 0x1234,
		.kib_capped = 0xfc00,
		.kib = 0x56789a,
	};
	const uint16_t flags = FLAGS_IMAGE;

	memset(&bench, 0, sizeof(bench));
	memcpy(bench.memory + STUB_SEGMENT * 16, &header, sizeof(header));
	memcpy(bench.memory + STUB_SEGMENT * 16 + 0x40, ranges, sizeof(ranges));
	for (unsigned i = 0; i < GPR_COUNT; i++)
		bench.vcpu.gpr[i] = 0x1111222233330000ull + i;
	bench.vcpu.gpr[GPR_RSP] = 0x100;
	memcpy(bench.memory + STACK_SEGMENT * 16 + 0x104, &flags, sizeof(flags));
	return &bench;
}

static enum verdict call(struct bench *bench)
{
	struct plugin_ctx ctx = {.plugin = __start_plugins[0]};

	return ctx.plugin->guest_call(&ctx, &bench->vcpu);
}

static uint16_t flags_of(const struct bench *bench)
{
	uint16_t flags;

	memcpy(&flags, bench->memory + STACK_SEGMENT * 16 + 0x104, sizeof(flags));
	return flags;
}

static struct bench *e820(uint32_t index, uint32_t room, uint16_t di)
{
	struct bench *bench = bench_make();

	bench->vcpu.gpr[GPR_RAX] = 0xe820;
	bench->vcpu.gpr[GPR_RBX] = index;
	bench->vcpu.gpr[GPR_RCX] = room;
	bench->vcpu.gpr[GPR_RDX] = SMAP_SIGNATURE;
	bench->vcpu.gpr[GPR_RDI] = 0xabcd0000u | di;
	return bench;
}

static void test_e820(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		for (uint32_t room = 20; room <= 64; room++) {
			struct bench *bench = e820(i, room, 0x500);
			const uint8_t *out = bench->memory + OUT_SEGMENT * 16 + 0x500;
			static const uint8_t attributes[] = {1, 0, 0, 0}, untouched[] = {0, 0, 0, 0};

			assert_int_equal(call(bench), VERDICT_SKIP_INSN);
			assert_memory_equal(out, &ranges[i], 20);
			assert_memory_equal(out + 20, room < 24 ? untouched : attributes, 4);
			assert_int_equal(bench->vcpu.gpr[GPR_RAX], SMAP_SIGNATURE);
			assert_int_equal(bench->vcpu.gpr[GPR_RBX], i + 1 < ARRAY_SIZE(ranges) ? i + 1 : 0);
			assert_int_equal(bench->vcpu.gpr[GPR_RCX], room < 24 ? 20 : 24);
			assert_int_equal(bench->vcpu.gpr[GPR_RDI], 0xabcd0500u);
			assert_int_equal(flags_of(bench), FLAGS_IMAGE);
		}
	}
}

static void test_e820_wraps(void **state)
{
	struct bench *bench = e820(0, 20, 0xfff8);

	(void)state;
	assert_int_equal(call(bench), VERDICT_SKIP_INSN);
	assert_memory_equal(bench->memory + OUT_SEGMENT * 16 + 0xfff8, &ranges[0], 8);
	assert_memory_equal(bench->memory + OUT_SEGMENT * 16, (const uint8_t *)&ranges[0] + 8, 12);
}

static void check_refused(struct bench *bench)
{
	uint64_t before = bench->vcpu.gpr[GPR_RBX];

	assert_int_equal(call(bench), VERDICT_SKIP_INSN);
	assert_int_equal(bench->vcpu.gpr[GPR_RAX] >> 8 & 0xff, SMAP_UNSUPPORTED);
	assert_int_equal(bench->vcpu.gpr[GPR_RBX], before);
	assert_int_equal(flags_of(bench), FLAGS_IMAGE | 1);
}

static void test_e820_refused(void **state)
{
	struct bench *bench;

	(void)state;
	check_refused(e820(3, 20, 0));
	check_refused(e820(0x10000, 20, 0));
	check_refused(e820(0xffffffff, 20, 0));
	check_refused(e820(0, 19, 0));
	check_refused(e820(0, 0, 0));
	bench = e820(0, 20, 0);
	bench->vcpu.gpr[GPR_RDX]++;
	check_refused(bench);
	bench = bench_make();
	bench->vcpu.gpr[GPR_RAX] = 0xe8ff;
	check_refused(bench);
}

static void test_faults_go_to_the_guest(void **state)
{
	struct bench *bench = e820(0, 20, 0x500);

	(void)state;
	bench->refused = OUT_SEGMENT * 16 + 0x503;
	assert_int_equal(call(bench), VERDICT_RESUME);
	assert_int_equal(bench->faults, 1);
	assert_int_equal(bench->vector, 14);
	assert_int_equal(bench->vcpu.gpr[GPR_RAX], 0xe820);
	/* the guest made the header absurd: whatever follows, it is the guest's own affair */
	bench = e820(0xcccc, 20, 0x500);
	memset(bench->memory + STUB_SEGMENT * 16, 0xff, sizeof(struct smap_header));
	call(bench);
	bench = bench_make();
	bench->vcpu.gpr[GPR_RSP] = 0xfffb;
	assert_int_equal(call(bench), VERDICT_RESUME);
	assert_int_equal(bench->vector, 13);
}

static void test_sizes(void **state)
{
	struct bench *bench = bench_make();

	(void)state;
	bench->vcpu.gpr[GPR_RAX] = 0x11112222abcde801ull;
	assert_int_equal(call(bench), VERDICT_SKIP_INSN);
	assert_int_equal(bench->vcpu.gpr[GPR_RAX], 0x11112222abcd3c00ull);
	assert_int_equal(bench->vcpu.gpr[GPR_RCX], 0x1111222233333c00ull);
	assert_int_equal(bench->vcpu.gpr[GPR_RBX], 0x1111222233331234ull);
	assert_int_equal(bench->vcpu.gpr[GPR_RDX], 0x1111222233331234ull);

	bench->vcpu.gpr[GPR_RAX] = 0xabcde881ull;
	assert_int_equal(call(bench), VERDICT_SKIP_INSN);
	assert_int_equal(bench->vcpu.gpr[GPR_RAX], 0x3c00);
	assert_int_equal(bench->vcpu.gpr[GPR_RDX], 0x1111222200001234ull);

	bench->vcpu.gpr[GPR_RAX] = 0xabcd88ffull;
	assert_int_equal(call(bench), VERDICT_SKIP_INSN);
	assert_int_equal(bench->vcpu.gpr[GPR_RAX], 0xabcdfc00ull);

	bench->vcpu.gpr[GPR_RAX] = 0xabcd8a00ull;
	assert_int_equal(call(bench), VERDICT_SKIP_INSN);
	assert_int_equal(bench->vcpu.gpr[GPR_RAX], 0xabcd789aull);
	assert_int_equal(bench->vcpu.gpr[GPR_RDX], 0x1111222200000056ull);
	assert_int_equal(flags_of(bench), FLAGS_IMAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_e820),	     cmocka_unit_test(test_e820_wraps),
		cmocka_unit_test(test_e820_refused), cmocka_unit_test(test_faults_go_to_the_guest),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
