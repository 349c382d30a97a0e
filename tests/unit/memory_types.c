/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/plan/memory_types.c and core/mtrr.c: recorded register sets, every overlap, and a page-by-page reference as the
 * judge.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/memory_type.h>
#include <x86/cpuid.h>
#include <x86/msr.h>

#include "tests/fakes/fake_platform.h"
#include "tests/unit/mtrr_records.h"

#define VALID 0x800ull
#define E     0x800ull
#define FE    0x400ull
#define FIX   0x100ull

#define RANGE_MASK(size, bits) ((~((size)-1) & ((1ull << (bits)) - 1)) | VALID)

/* The rules are tried on this one: 16 GiB, 36 bits, 512 MiB of devices below 4 GiB as UC over WB. */
static const struct mtrr_set desktop = {
	.capability = 0xd0a,
	.default_type = E | FE | MTRR_UC,
	.fixed = {0x0606060606060606, 0x0606060606060606, 0, 0x0505050505050505, 0x0505050505050505, 0x0505050505050505,
		  0x0505050505050505, 0x0505050505050505, 0x0505050505050505, 0x0505050505050505, 0x0505050505050505},
	.base = {0 | MTRR_WB, 0x400000000 | MTRR_WB, 0xe0000000 | MTRR_UC},
	.mask = {RANGE_MASK(GIB(16), 36), RANGE_MASK(MIB(512), 36), RANGE_MASK(MIB(512), 36)},
	.physical_bits = 36,
};

/* --- the reference ------------------------------------------------------------------------------------------------ */

static bool defined(unsigned type)
{
	return type < 7 && type != 2 && type != 3;
}

/* One page after the manual's text, one range after the other. Returns the type, and whether it is a defined one. */
static unsigned reference(const struct mtrr_set *set, paddr_t address, bool *is_defined)
{
	unsigned seen[MTRR_VARIABLE_MAX], count = 0, type;
	bool uc = false, wt_wb_only = true, same = true;

	*is_defined = true;
	if (set->capability == 0 || !(set->default_type & E))
		return MTRR_UC;
	if (address < 0x100000 && (set->default_type & FE) && (set->capability & FIX)) {
		unsigned slot = address < 0x80000   ? (unsigned)(address >> 16)
				: address < 0xc0000 ? 8 + (unsigned)((address - 0x80000) >> 14)
						    : 24 + (unsigned)((address - 0xc0000) >> 12);

		type = (unsigned)(set->fixed[slot / 8] >> (slot % 8 * 8)) & 7;
		goto out;
	}
	for (unsigned i = 0; i < (set->capability & 0xff) && i < MTRR_VARIABLE_MAX; i++) {
		uint64_t reserved = ~((1ull << set->physical_bits) - 1) | 0xfff;

		if ((set->mask[i] & VALID) &&
		    (address & set->mask[i] & ~reserved) == (set->base[i] & set->mask[i] & ~reserved))
			seen[count++] = (unsigned)set->base[i] & 7;
	}
	if (count == 0) {
		type = address >= GIB(4) && address < set->top_mem2 ? MTRR_WB : (unsigned)set->default_type & 0xff;
		goto out;
	}
	for (unsigned i = 0; i < count; i++) {
		uc |= seen[i] == MTRR_UC;
		wt_wb_only &= seen[i] == MTRR_WT || seen[i] == MTRR_WB;
		same &= seen[i] == seen[0];
	}
	if (uc)
		return MTRR_UC;
	type = same ? seen[0] : wt_wb_only ? MTRR_WT : 7;
out:
	*is_defined = defined(type);
	return *is_defined ? type : MTRR_UC;
}

static void expect_page(const char *name, const struct mtrr_set *set, const struct memory_type_range *ranges, int count,
			paddr_t address)
{
	bool is_defined;
	unsigned type = reference(set, address, &is_defined);
	int low = 0, high = count - 1;

	while (low < high) {
		int middle = (low + high) / 2;

		if (ranges[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	if (ranges[low].type != type || ranges[low].undefined == is_defined)
		fail_msg("%s: %llx: %u in [%llx, %llx), reference %u", name, (unsigned long long)address,
			 ranges[low].type, (unsigned long long)ranges[low].start, (unsigned long long)ranges[low].end,
			 type);
}

/* Sorted, adjacent, complete, and each two neighbours differ. */
static void expect_list(const struct mtrr_set *set, const struct memory_type_range *ranges, int count)
{
	assert_true(count > 0);
	assert_true(ranges[0].start == 0);
	assert_true(ranges[count - 1].end == 1ull << set->physical_bits);
	for (int i = 0; i < count; i++) {
		assert_true(ranges[i].start < ranges[i].end);
		assert_true(((ranges[i].start | ranges[i].end) & (PAGE_SIZE - 1)) == 0);
		if (i == 0)
			continue;
		assert_true(ranges[i].start == ranges[i - 1].end);
		assert_true(ranges[i].type != ranges[i - 1].type || ranges[i].undefined != ranges[i - 1].undefined);
	}
}

static struct memory_type_range ranges[4096];
static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return random_state >> 16;
}

/* --- recorded machines -------------------------------------------------------------------------------------------- */

static void expect_record(const struct mtrr_record *record, int count)
{
	uint64_t covered = MIB(1);

	for (int i = 0; i < count; i++) {
		const struct memory_type_range *range = &ranges[i];

		if (i == ARRAY_SIZE(record->range) || range->end != record->range[i].end ||
		    range->type != record->range[i].type || range->undefined)
			fail_msg("%s: range %d is [%llx, %llx), type %u", record->name, i,
				 (unsigned long long)range->start, (unsigned long long)range->end, range->type);
		if (range->type == MTRR_WB && range->end > MIB(1))
			covered += range->end - (range->start < MIB(1) ? MIB(1) : range->start);
	}
	if (record->covered_mib != 0 && covered != MIB((uint64_t)record->covered_mib))
		fail_msg("%s: %llu MiB", record->name, (unsigned long long)(covered / MIB(1)));
}

static void test_records(void **state)
{
	(void)state;
	for (unsigned r = 0; r < mtrr_record_count; r++) {
		const struct mtrr_record *record = &mtrr_records[r];
		const struct mtrr_set *set = &record->set;
		paddr_t limit = 1ull << set->physical_bits;
		int count = memory_types_resolve(set, ranges, MEMORY_TYPE_RANGE_MAX);

		expect_list(set, ranges, count);
		expect_record(record, count);
		/* all of the first 4 MiB, and around each place where anything could change */
		for (paddr_t at = 0; at < MIB(4); at += PAGE_SIZE)
			expect_page(record->name, set, ranges, count, at);
		for (unsigned bit = PAGE_SHIFT; bit < set->physical_bits; bit++) {
			for (unsigned i = 0; i < 10; i++) {
				paddr_t at = (set->base[i] + (1ull << bit)) & (limit - 1);

				expect_page(record->name, set, ranges, count, at);
				expect_page(record->name, set, ranges, count, (at - PAGE_SIZE) & (limit - 1));
			}
		}
		random_state = r;
		for (unsigned i = 0; i < 20000; i++)
			expect_page(record->name, set, ranges, count, next_random() * PAGE_SIZE & (limit - 1));
	}
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

/* Every combination of the eight numbers in three overlapping ranges: an overlap of all three, of two, of one. */
static void test_overlaps(void **state)
{
	(void)state;
	for (unsigned types = 0; types < 512; types++) {
		const struct mtrr_set set = {
			.capability = 3,
			.default_type = E | MTRR_WP,
			.base = {0 | (types & 7), 0 | (types >> 3 & 7), 0x3000 | (types >> 6 & 7)},
			.mask = {RANGE_MASK(0x8000ull, 32), RANGE_MASK(0x4000ull, 32), RANGE_MASK(0x1000ull, 32)},
			.physical_bits = 32,
		};
		int count = memory_types_resolve(&set, ranges, MEMORY_TYPE_RANGE_MAX);

		expect_list(&set, ranges, count);
		for (paddr_t at = 0; at < 0x10000; at += PAGE_SIZE)
			expect_page("overlap", &set, ranges, count, at);
	}
}

/* The table of two, as the manual has it. */
static void test_overlap_table(void **state)
{
	static const enum mtrr_type type[] = {MTRR_UC, MTRR_WC, MTRR_WT, MTRR_WP, MTRR_WB};
	static const enum mtrr_type wanted[5][5] = {
		{MTRR_UC, MTRR_UC, MTRR_UC, MTRR_UC, MTRR_UC}, {MTRR_UC, MTRR_WC, MTRR_UC, MTRR_UC, MTRR_UC},
		{MTRR_UC, MTRR_UC, MTRR_WT, MTRR_UC, MTRR_WT}, {MTRR_UC, MTRR_UC, MTRR_UC, MTRR_WP, MTRR_UC},
		{MTRR_UC, MTRR_UC, MTRR_WT, MTRR_UC, MTRR_WB},
	};
	static const bool undefined[5][5] = {
		{0, 0, 0, 0, 0}, {0, 0, 1, 1, 1}, {0, 1, 0, 1, 0}, {0, 1, 1, 0, 1}, {0, 1, 0, 1, 0},
	};

	(void)state;
	for (unsigned a = 0; a < 5; a++) {
		for (unsigned b = 0; b < 5; b++) {
			const struct mtrr_set set = {
				.capability = 2,
				.default_type = E | MTRR_WB,
				.base = {type[a], type[b]},
				.mask = {VALID, VALID},
				.physical_bits = 36,
			};

			assert_int_equal(memory_types_resolve(&set, ranges, 1), 1);
			assert_int_equal(ranges[0].type, wanted[a][b]);
			assert_int_equal(ranges[0].undefined, undefined[a][b]);
		}
	}
}

static enum mtrr_type type_at(const struct mtrr_set *set, paddr_t address)
{
	struct memory_types types;
	enum mtrr_type type;
	int count = memory_types_resolve(set, types.range, MEMORY_TYPE_RANGE_MAX);

	assert_true(count > 0);
	types.count = (unsigned)count;
	assert_true(memory_types_uniform(&types, address & PAGE_MASK, PAGE_SIZE, &type));
	return type;
}

static void test_enables(void **state)
{
	struct mtrr_set set = desktop;

	(void)state;
	/* AMD: bits 3 and 4 of a fixed range are not the type's */
	set.fixed[0] = 0x1e1e1e1e1e1e1e1e;
	set.fixed[3] = 0x1515151515151515;
	assert_int_equal(type_at(&set, 0x1000), MTRR_WB);
	assert_int_equal(type_at(&set, 0xc0000), MTRR_WP);
	/* fixed ranges off, by either bit: variable ranges rule below 1 MiB, too */
	set.default_type = E | MTRR_UC;
	assert_int_equal(type_at(&set, 0xa0000), MTRR_WB);
	set.default_type = E | FE;
	set.capability &= ~FIX;
	assert_int_equal(type_at(&set, 0xa0000), MTRR_WB);
	/* a register the CPU does not have, one that is not valid */
	set.capability = (set.capability & ~0xffull) | 2;
	assert_int_equal(type_at(&set, 0xe0000000), MTRR_WB);
	set.mask[0] &= ~VALID;
	assert_int_equal(type_at(&set, 0xe0000000), MTRR_UC);
	/* reserved bits above the CPU's width do not make a range miss */
	set = desktop;
	set.mask[0] |= 0xfffull << 40;
	set.base[1] |= 1ull << 45;
	set.mask[1] |= 1ull << 45;
	assert_int_equal(type_at(&set, MIB(16)), MTRR_WB);
	assert_int_equal(type_at(&set, GIB(16)), MTRR_WB);
	assert_int_equal(type_at(&set, ~0ull), MTRR_UC);
	/* the system management ranges have registers of their own: the capability alone changes nothing */
	set.capability |= 0x800;
	assert_int_equal(type_at(&set, MIB(16)), MTRR_WB);
	/* all off, and no MTRRs at all: one range, UC */
	set.default_type = FE | MTRR_WB;
	assert_int_equal(type_at(&set, 0x1000), MTRR_UC);
	assert_int_equal(memory_types_resolve(&set, ranges, 1), 1);
	assert_int_equal(ranges[0].type, MTRR_UC);
	assert_true(ranges[0].end == GIB(64));
	set = (struct mtrr_set){.physical_bits = 36};
	assert_int_equal(type_at(&set, GIB(4)), MTRR_UC);
	assert_int_equal(memory_types_resolve(&set, ranges, 1), 1);
	assert_int_equal(ranges[0].type, MTRR_UC);
}

/* More ranges than there is room for. */
static void test_room(void **state)
{
	(void)state;
	assert_int_equal(memory_types_resolve(&desktop, ranges, 7), 7);
	assert_int_equal(memory_types_resolve(&desktop, ranges, 6), -E2BIG);
	assert_int_equal(memory_types_resolve(&desktop, ranges, 0), -E2BIG);
}

/* Masks with holes: pages alternate. */
static void test_masks_with_holes(void **state)
{
	const struct mtrr_set alternating = {
		.capability = 1,
		.default_type = E | MTRR_WB,
		.base = {0 | MTRR_UC},
		.mask = {0xfff00000ull | 0x1000 | VALID},
		.physical_bits = 32,
	};
	const struct mtrr_set absurd = {
		.capability = 1,
		.default_type = E | MTRR_WB,
		.base = {0 | MTRR_WC},
		.mask = {0x1000 | VALID},
		.physical_bits = 52,
	};
	const struct mtrr_set useless = {
		.capability = 1,
		.default_type = E | MTRR_WB,
		.base = {0 | MTRR_WB},
		.mask = {0x1000 | VALID},
		.physical_bits = 52,
	};
	int count = memory_types_resolve(&alternating, ranges, ARRAY_SIZE(ranges));

	(void)state;
	assert_int_equal(count, 256);
	for (paddr_t at = 0; at < MIB(2); at += PAGE_SIZE)
		expect_page("alternating", &alternating, ranges, count, at);
	assert_int_equal(memory_types_resolve(&alternating, ranges, MEMORY_TYPE_RANGE_MAX), -E2BIG);
	assert_int_equal(memory_types_resolve(&absurd, ranges, ARRAY_SIZE(ranges)), -E2BIG);
	/* one range in the end, but 2^39 places to look at */
	assert_int_equal(memory_types_resolve(&useless, ranges, ARRAY_SIZE(ranges)), -E2BIG);
}

/* Random sets of a small CPU, each page of them. */
static void test_random_sets(void **state)
{
	static const uint8_t type[] = {MTRR_UC, MTRR_WC, MTRR_WT, MTRR_WP, MTRR_WB, MTRR_WB, MTRR_WB, 3};

	(void)state;
	for (unsigned seed = 0; seed < 40; seed++) {
		struct mtrr_set set = {.capability = FIX | (seed % 10), .physical_bits = 32};
		int count;

		random_state = seed * 977;
		set.default_type = E | (seed % 3 ? FE : 0) | type[next_random() % 8];
		for (unsigned i = 0; i < MTRR_FIXED_COUNT; i++) {
			for (unsigned j = 0; j < 8; j++)
				set.fixed[i] |= (uint64_t)type[next_random() % 8] << (8 * j);
		}
		for (unsigned i = 0; i < 10; i++) {
			uint64_t size = 1ull << (PAGE_SHIFT + 6 + next_random() % 15);
			uint64_t hole = next_random() % 4 == 0 ? 1ull << (20 + next_random() % 12) : 0;

			set.base[i] = (next_random() * size & 0xffffffff) | type[next_random() % 8];
			set.mask[i] = (RANGE_MASK(size, 32) & ~hole) | VALID;
		}
		count = memory_types_resolve(&set, ranges, ARRAY_SIZE(ranges));
		expect_list(&set, ranges, count);
		for (paddr_t at = 0; at < GIB(4); at += at < MIB(2) ? PAGE_SIZE : 7 * PAGE_SIZE)
			expect_page("random", &set, ranges, count, at);
		for (int i = 0; i < count; i++) {
			expect_page("random", &set, ranges, count, ranges[i].start);
			expect_page("random", &set, ranges, count, ranges[i].end - 1);
		}
	}
}

/* As many borders as there can be still fit what is kept of a VM. */
static void test_most_ranges(void **state)
{
	struct mtrr_set set = {.capability = FIX | 32,
			       .default_type = E | FE | MTRR_UC,
			       .physical_bits = 52,
			       .top_mem2 = GIB(64) + MIB(8)};
	int count;

	(void)state;
	for (unsigned i = 0; i < MTRR_FIXED_COUNT; i++)
		set.fixed[i] = 0x0605060506050605;
	for (unsigned i = 0; i < 32; i++) {
		set.base[i] = MIB(64) * (2 * i + 1) | MTRR_WB;
		set.mask[i] = RANGE_MASK(MIB(64), 52);
	}
	count = memory_types_resolve(&set, ranges, MEMORY_TYPE_RANGE_MAX);
	/* the last range runs into what TOP_MEM2 makes WB */
	assert_int_equal(count, 88 + 64 + 1);
	expect_list(&set, ranges, count);
}

static void test_uniform(void **state)
{
	struct memory_types types = {0};
	enum mtrr_type type = MTRR_WB;

	(void)state;
	/* nothing known: all is UC */
	assert_true(memory_types_uniform(&types, GIB(1), GIB(1), &type));
	assert_int_equal(type, MTRR_UC);
	types.count = (unsigned)memory_types_resolve(&desktop, types.range, MEMORY_TYPE_RANGE_MAX);
	assert_false(memory_types_uniform(&types, 0, MIB(2), &type));
	assert_true(memory_types_uniform(&types, MIB(2), MIB(2), &type));
	assert_int_equal(type, MTRR_WB);
	assert_false(memory_types_uniform(&types, GIB(3), GIB(1), &type));
	assert_true(memory_types_uniform(&types, 0xe0000000, MIB(512), &type));
	assert_int_equal(type, MTRR_UC);
	assert_true(memory_types_uniform(&types, GIB(4), GIB(1), &type));
	assert_int_equal(type, MTRR_WB);
	assert_false(memory_types_uniform(&types, GIB(16), GIB(1), &type));
	assert_true(memory_types_uniform(&types, 0x9f000, PAGE_SIZE, &type));
	assert_int_equal(type, MTRR_WB);
	assert_false(memory_types_uniform(&types, 0x9f000, 2 * PAGE_SIZE, &type));
	/* across the last range's end, and beyond it */
	assert_true(memory_types_uniform(&types, GIB(63), GIB(2), &type));
	assert_true(memory_types_uniform(&types, GIB(64), GIB(1), &type));
	assert_int_equal(type, MTRR_UC);
	types.range[types.count - 1].type = MTRR_WB;
	assert_false(memory_types_uniform(&types, GIB(63), GIB(2), &type));
}

/* --- the registers ------------------------------------------------------------------------------------------------ */

static struct fake_platform fake;

static void cpu(const char *vendor, uint32_t features_edx, uint32_t bits)
{
	struct cpuid_regs regs = {0};

	memcpy(&regs.ebx, vendor, 4);
	memcpy(&regs.edx, vendor + 4, 4);
	memcpy(&regs.ecx, vendor + 8, 4);
	fake_platform_init(&fake, 0);
	fake_cpuid_set(&fake, CPUID_VENDOR, 0, regs);
	fake_cpuid_set(&fake, CPUID_FEATURES, 0, (struct cpuid_regs){.edx = features_edx});
	if (bits != 0) {
		fake_cpuid_set(&fake, CPUID_EXT_MAX, 0, (struct cpuid_regs){.eax = CPUID_SIZES});
		fake_cpuid_set(&fake, CPUID_SIZES, 0, (struct cpuid_regs){.eax = 0x3000 | bits});
	}
}

static void test_read(void **state)
{
	struct mtrr_set set;

	(void)state;
	cpu(CPUID_VENDOR_AMD, CPUID_1_EDX_MTRR, 48);
	fake_msr_set(&fake, MSR_MTRR_CAP, 0x508);
	fake_msr_set(&fake, MSR_MTRR_DEF_TYPE, 0xc06);
	fake_msr_set(&fake, MSR_MTRR_FIX_64K, 0x0606060606060606);
	fake_msr_set(&fake, MSR_MTRR_FIX_4K_C0 + 7, 0x0505050505050505);
	for (unsigned i = 0; i < 8; i++) {
		fake_msr_set(&fake, MSR_MTRR_PHYS_BASE0 + 2 * i, 0x1000 * i);
		fake_msr_set(&fake, MSR_MTRR_PHYS_MASK0 + 2 * i, 0x2000 * i);
	}
	fake_msr_set(&fake, MSR_SYSCFG, SYSCFG_TOM2_ENABLE | SYSCFG_TOM2_WB);
	fake_msr_set(&fake, MSR_TOP_MEM2, 0x43f800000 | 0x7ff);
	mtrr_set_read(&fake.platform, &set);
	assert_int_equal(set.physical_bits, 48);
	assert_true(set.capability == 0x508 && set.default_type == 0xc06);
	assert_true(set.fixed[0] == 0x0606060606060606 && set.fixed[10] == 0x0505050505050505);
	assert_true(set.base[7] == 0x7000 && set.mask[7] == 0xe000 && set.mask[8] == 0);
	assert_true(set.top_mem2 == 0x43f800000);
	fake_msr_set(&fake, MSR_SYSCFG, SYSCFG_TOM2_ENABLE);
	mtrr_set_read(&fake.platform, &set);
	assert_true(set.top_mem2 == 0);

	/* the same number is another register elsewhere */
	cpu(CPUID_VENDOR_INTEL, CPUID_1_EDX_MTRR, 0);
	fake_msr_set(&fake, MSR_SYSCFG, ~0ull);
	fake_msr_set(&fake, MSR_MTRR_CAP, 0);
	mtrr_set_read(&fake.platform, &set);
	assert_int_equal(set.physical_bits, 36);
	assert_true(set.top_mem2 == 0 && set.base[0] == 0);
	assert_int_equal(fake_access_count(&fake, FAKE_MSR_READ, MSR_SYSCFG), 0);
	assert_int_equal(fake_access_count(&fake, FAKE_MSR_READ, MSR_MTRR_FIX_64K), 0);

	/* no MTRRs; a width that cannot be */
	cpu(CPUID_VENDOR_INTEL, 0, 255);
	mtrr_set_read(&fake.platform, &set);
	assert_int_equal(set.physical_bits, 52);
	assert_int_equal(fake.access_count, 0);

	/* a capability that claims more than there is */
	cpu(CPUID_VENDOR_INTEL, CPUID_1_EDX_MTRR, 36);
	fake_msr_set(&fake, MSR_MTRR_CAP, 0x1ff);
	mtrr_set_read(&fake.platform, &set);
	assert_true(set.base[MTRR_VARIABLE_MAX - 1] == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),	    cmocka_unit_test(test_room),
		cmocka_unit_test(test_overlaps),    cmocka_unit_test(test_overlap_table),
		cmocka_unit_test(test_enables),	    cmocka_unit_test(test_masks_with_holes),
		cmocka_unit_test(test_random_sets), cmocka_unit_test(test_most_ranges),
		cmocka_unit_test(test_uniform),	    cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
