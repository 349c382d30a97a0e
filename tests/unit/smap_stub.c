/* SPDX-License-Identifier: BSD-2-Clause */
/* plugins/smap/stub.S: the resident piece, executed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <asm/ldt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <undercroft/plugin.h>

#include "plugins/smap/smap.h"
#include "run16.h"

#define SEGMENT_SIZE 0x10000
#define FLAGS_CF     0x0001
#define FLAGS_DF     0x0400
#define FLAGS_STATUS 0x08d5 /* CF, PF, AF, ZF, SF, OF */

/* The linker set, of which the test wants the one member. */
extern const struct plugin_setup *const __start_plugin_setups[];

struct bench {
	struct machine machine;
	struct config config;
	struct plan plan;
	uint8_t *segment;
	struct run16_regs *regs;
};

static int descriptor_set(unsigned entry, uint32_t base, bool code)
{
	struct user_desc descriptor = {
		.entry_number = entry,
		.base_addr = base,
		.limit = SEGMENT_SIZE - 1,
		.contents = code ? MODIFY_LDT_CONTENTS_CODE : MODIFY_LDT_CONTENTS_DATA,
	};

	return (int)syscall(SYS_modify_ldt, 1, &descriptor, sizeof(descriptor));
}

/* A planted stub with a map of that many ranges. Skips the test where the kernel has no 16-bit segments. */
static void bench_init(struct bench *bench, uint32_t ranges)
{
	struct smap_header header;
	const char *why;
	uint32_t base;

	memset(bench, 0, sizeof(*bench));
	bench->plan.machine = &bench->machine;
	bench->plan.config = &bench->config;
	for (uint32_t i = 0; i < ranges; i++)
		bench->plan.guest_memory.range[bench->plan.guest_memory.count++] = (struct memory_range){
			.base = MIB(1) + i * MIB(2), .length = i ? MIB(1) + i : MIB(32), .type = 1 + i % 5};
	assert_int_equal(__start_plugin_setups[0]->prepare(&bench->plan, NULL, &why), 0);
	bench->segment = mmap(NULL, SEGMENT_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	assert_true(bench->segment != MAP_FAILED);
	base = (uint32_t)(uintptr_t)bench->segment;
	if (descriptor_set(RUN16_CODE >> 3, base, true) || descriptor_set(RUN16_DATA >> 3, base, false)) {
		munmap(bench->segment, SEGMENT_SIZE);
		print_message("this kernel has no modify_ldt: 16-bit code cannot be run\n");
		skip();
	}
	memcpy(bench->segment, bench->plan.low_image, bench->plan.low_used);
	memcpy(&header, bench->segment, sizeof(header));
	header.enter_segment = RUN16_CODE;
	header.old_vector = (uint32_t)(RUN16_CODE << 16 | (RUN16_ENTER + (run16_old - run16_code)));
	memcpy(bench->segment, &header, sizeof(header));
	memcpy(bench->segment + RUN16_ENTER, run16_code, (size_t)(run16_code_end - run16_code));
	memcpy(bench->segment + RUN16_LEAVE, run16_leave, (size_t)(run16_leave_end - run16_leave));
	bench->regs = (struct run16_regs *)(void *)(bench->segment + RUN16_REGS);
}

static void bench_free(struct bench *bench)
{
	munmap(bench->segment, SEGMENT_SIZE);
}

/* Calls with these registers; everything must come back but what the caller of this then checks. */
static struct run16_regs call(struct bench *bench, struct run16_regs in)
{
	*bench->regs = in;
	run16((uint32_t)(uintptr_t)bench->segment);
	assert_int_equal(bench->regs->esp, RUN16_STACK);
	assert_int_equal(bench->regs->es, RUN16_DATA);
	assert_int_equal(bench->regs->esi, in.esi);
	assert_int_equal(bench->regs->edi, in.edi);
	assert_int_equal(bench->regs->ebp, in.ebp);
	assert_int_equal(bench->regs->flags & FLAGS_DF, in.flags & FLAGS_DF);
	return *bench->regs;
}

static struct run16_regs registers(uint32_t eax)
{
	return (struct run16_regs){
		.eax = eax,
		.ebx = 0x22220000,
		.ecx = 0x33330000,
		.edx = 0x44440000,
		.esi = 0x55555555,
		.edi = 0x66660000 + RUN16_OUT,
		.ebp = 0x77777777,
		.flags = FLAGS_CF | FLAGS_DF,
	};
}

static struct run16_regs e820(uint32_t index, uint32_t room)
{
	struct run16_regs regs = registers(0x1234e820);

	regs.ebx = index;
	regs.ecx = room;
	regs.edx = SMAP_SIGNATURE;
	return regs;
}

static void check_e820(uint32_t ranges, uint32_t room)
{
	static const uint8_t attributes[] = {1, 0, 0, 0}, untouched[] = {0xee, 0xee, 0xee, 0xee};
	struct bench bench;
	uint32_t index = 0;

	bench_init(&bench, ranges);
	for (uint32_t i = 0; i < ranges; i++) {
		const struct memory_range *range = &bench.plan.guest_memory.range[i];
		struct run16_regs out;
		struct smap_range told;

		memset(bench.segment + RUN16_OUT, 0xee, 64);
		out = call(&bench, e820(index, room));
		memcpy(&told, bench.segment + RUN16_OUT, sizeof(told));
		assert_int_equal(out.flags & FLAGS_CF, 0);
		assert_int_equal(out.eax, SMAP_SIGNATURE);
		assert_int_equal(out.ebx, i + 1 < ranges ? i + 1 : 0);
		assert_int_equal(out.ecx, room < 24 ? 20 : 24);
		assert_int_equal(out.edx, SMAP_SIGNATURE);
		assert_int_equal(out.old_calls, 0);
		assert_int_equal(told.base, range->base);
		assert_int_equal(told.length, range->length);
		assert_int_equal(told.type, range->type);
		assert_memory_equal(bench.segment + RUN16_OUT + 20, room < 24 ? untouched : attributes, 4);
		assert_memory_equal(bench.segment + RUN16_OUT + 24, untouched, 4);
		index = out.ebx;
	}
	assert_int_equal(index, 0);
	bench_free(&bench);
}

static void test_e820(void **state)
{
	(void)state;
	check_e820(1, 20);
	check_e820(7, 23);
	check_e820(30, 24);
	check_e820(MACHINE_MEMORY_MAX, 0x10014);
}

static void test_e820_refused(void **state)
{
	struct run16_regs cases[] = {e820(7, 20), e820(0x10000, 20), e820(UINT32_MAX, 20),
				     e820(0, 19), e820(0, 0),	     e820(0, 20)};
	struct bench bench;

	(void)state;
	cases[ARRAY_SIZE(cases) - 1].edx = 0x44444d50;
	bench_init(&bench, 7);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run16_regs out;

		cases[i].flags = 0;
		out = call(&bench, cases[i]);
		assert_int_equal(out.flags & FLAGS_CF, FLAGS_CF);
		assert_int_equal(out.eax, 0x12340020 | SMAP_UNSUPPORTED << 8);
		assert_int_equal(out.ebx, cases[i].ebx);
		assert_int_equal(out.ecx, cases[i].ecx);
		assert_int_equal(out.edx, cases[i].edx);
		assert_int_equal(bench.segment[RUN16_OUT], 0);
		assert_int_equal(out.old_calls, 0);
	}
	bench_free(&bench);
}

static void test_e820_wraps(void **state)
{
	struct run16_regs regs = e820(0, 20);
	struct bench bench;
	uint8_t before[8];

	(void)state;
	bench_init(&bench, 2);
	regs.edi = 0x6666fff8;
	memcpy(before, bench.segment + 12, sizeof(before));
	call(&bench, regs);
	assert_memory_equal(bench.segment + 0xfff8, &bench.plan.guest_memory.range[0].base, 8);
	assert_memory_equal(bench.segment, &bench.plan.guest_memory.range[0].length, 8);
	assert_memory_equal(bench.segment + 12, before, sizeof(before));
	bench_free(&bench);
}

static void test_sizes(void **state)
{
	struct run16_regs out;
	struct bench bench;

	(void)state;
	bench_init(&bench, 1); /* 1 to 33 MiB */
	out = call(&bench, registers(0x1111e801));
	assert_int_equal(out.flags & FLAGS_CF, 0);
	assert_int_equal(out.eax, 0x11113c00);
	assert_int_equal(out.ebx, 0x22220000 + 17 * 16);
	assert_int_equal(out.ecx, 0x33333c00);
	assert_int_equal(out.edx, 0x44440000 + 17 * 16);
	out = call(&bench, registers(0x1111e881));
	assert_int_equal(out.flags & FLAGS_CF, 0);
	assert_int_equal(out.eax, 0x3c00);
	assert_int_equal(out.ebx, 17 * 16);
	assert_int_equal(out.ecx, 0x3c00);
	assert_int_equal(out.edx, 17 * 16);
	out = call(&bench, registers(0x111188aa));
	assert_int_equal(out.flags & FLAGS_CF, 0);
	assert_int_equal(out.eax, 0x11118000);
	assert_int_equal(out.ebx, 0x22220000);
	out = call(&bench, registers(0x11118a00));
	assert_int_equal(out.flags & FLAGS_CF, 0);
	assert_int_equal(out.eax, 0x11118000);
	assert_int_equal(out.edx, 0x44440000);
	bench_free(&bench);
}

static void test_others_go_on(void **state)
{
	static const uint32_t functions[] = {0x0000, 0x2401, 0x4f00, 0x8700, 0x8900, 0xc000, 0xe800, 0xe821, 0xffff};
	static const uint16_t flags[] = {0, FLAGS_STATUS, FLAGS_DF, FLAGS_STATUS | FLAGS_DF, FLAGS_CF};
	struct bench bench;

	(void)state;
	bench_init(&bench, 5);
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(flags); j++) {
			struct run16_regs in = registers(0xdead0000 | functions[i]), out;

			in.flags = flags[j];
			out = call(&bench, in);
			assert_int_equal(out.old_calls, 1);
			assert_int_equal(out.old_flags & (FLAGS_STATUS | FLAGS_DF), flags[j]);
			assert_int_equal(out.flags & (FLAGS_STATUS | FLAGS_DF), flags[j]);
			assert_int_equal(out.eax, in.eax);
			assert_int_equal(out.ebx, in.ebx);
			assert_int_equal(out.ecx, in.ecx);
			assert_int_equal(out.edx, in.edx);
		}
	}
	bench_free(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_e820),  cmocka_unit_test(test_e820_refused), cmocka_unit_test(test_e820_wraps),
		cmocka_unit_test(test_sizes), cmocka_unit_test(test_others_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
