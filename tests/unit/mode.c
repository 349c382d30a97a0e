/* SPDX-License-Identifier: BSD-2-Clause */
/* core/mode.c: every combination of what decides a mode against a table of patterns, and what transitions ask for. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/mode.h>
#include <undercroft/regs.h>
#include <x86/cr.h>
#include <x86/flags.h>

enum { PE, PG, CD, NW, PAE, LA57, PCIDE, LME, LMA, L, D, VM, BITS };

#define COMBINATIONS (1u << BITS)

static struct mode_state state_from(unsigned key)
{
	static const struct {
		size_t offset;
		uint64_t bit;
	} where[BITS] = {
		[PE] = {offsetof(struct mode_state, cr0), CR0_PE},
		[PG] = {offsetof(struct mode_state, cr0), CR0_PG},
		[CD] = {offsetof(struct mode_state, cr0), CR0_CD},
		[NW] = {offsetof(struct mode_state, cr0), CR0_NW},
		[PAE] = {offsetof(struct mode_state, cr4), CR4_PAE},
		[LA57] = {offsetof(struct mode_state, cr4), CR4_LA57},
		[PCIDE] = {offsetof(struct mode_state, cr4), CR4_PCIDE},
		[LME] = {offsetof(struct mode_state, efer), EFER_LME},
		[LMA] = {offsetof(struct mode_state, efer), EFER_LMA},
		[VM] = {offsetof(struct mode_state, rflags), X86_FLAGS_VM},
	};
	/* Bits that decide nothing are set in one half of the combinations. */
	struct mode_state s = {.rflags = X86_FLAGS_FIXED};

	if (__builtin_popcount(key) & 1)
		s = (struct mode_state){.cr0 = CR0_ET | CR0_WP | CR0_TS,
					.cr4 = CR4_PSE | CR4_PGE | CR4_OSXSAVE,
					.efer = EFER_SCE | EFER_NXE | EFER_SVME,
					.rflags = X86_FLAGS_FIXED | X86_FLAGS_IF | X86_FLAGS_AC,
					.cs_attributes = SEG_ATTR_PRESENT | SEG_ATTR_S | SEG_ATTR_CODE | SEG_ATTR_G};
	for (unsigned i = 0; i < BITS; i++) {
		if (key >> i & 1 && where[i].bit)
			*(uint64_t *)(void *)((char *)&s + where[i].offset) |= where[i].bit;
	}
	if (key >> L & 1)
		s.cs_attributes |= SEG_ATTR_L;
	if (key >> D & 1)
		s.cs_attributes |= SEG_ATTR_DB;
	return s;
}

/* In the order of the enum; x: any. What matches no row is a state no CPU can be in. NW without CD is none. */
static const struct {
	const char *pattern;
	enum cpu_mode mode;
	enum paging_mode paging;
} valid[] = {
	/* PE PG  CD NW  PAE LA57 PCIDE  LME LMA  L D  VM */
	{"00 cc xx0 x0 xx 0", MODE_REAL, PAGING_NONE},
	{"10 cc xx0 x0 xx 1", MODE_V8086, PAGING_NONE},
	{"10 cc xx0 x0 x0 0", MODE_PROTECTED16, PAGING_NONE},
	{"10 cc xx0 x0 x1 0", MODE_PROTECTED32, PAGING_NONE},
	{"11 cc 0x0 00 xx 1", MODE_V8086, PAGING_32},
	{"11 cc 0x0 00 x0 0", MODE_PROTECTED16, PAGING_32},
	{"11 cc 0x0 00 x1 0", MODE_PROTECTED32, PAGING_32},
	{"11 cc 1x0 00 xx 1", MODE_V8086, PAGING_PAE},
	{"11 cc 1x0 00 x0 0", MODE_PROTECTED16, PAGING_PAE},
	{"11 cc 1x0 00 x1 0", MODE_PROTECTED32, PAGING_PAE},
	{"11 cc 10x 11 00 0", MODE_COMPATIBILITY16, PAGING_4_LEVEL},
	{"11 cc 10x 11 01 0", MODE_COMPATIBILITY32, PAGING_4_LEVEL},
	{"11 cc 10x 11 10 0", MODE_LONG64, PAGING_4_LEVEL},
	{"11 cc 11x 11 00 0", MODE_COMPATIBILITY16, PAGING_5_LEVEL},
	{"11 cc 11x 11 01 0", MODE_COMPATIBILITY32, PAGING_5_LEVEL},
	{"11 cc 11x 11 10 0", MODE_LONG64, PAGING_5_LEVEL},
};

static int matches(const char *pattern, unsigned key)
{
	unsigned i = 0;

	for (; *pattern; pattern++) {
		if (*pattern == ' ')
			continue;
		if ((*pattern == '0' || *pattern == '1') && (key >> i & 1) != (unsigned)(*pattern - '0'))
			return 0;
		if (*pattern == 'c' && (key >> NW & 1) && !(key >> CD & 1))
			return 0;
		i++;
	}
	assert_int_equal(i, BITS);
	return 1;
}

static int row_of(unsigned key)
{
	int row = -1;

	for (unsigned i = 0; i < ARRAY_SIZE(valid); i++) {
		if (matches(valid[i].pattern, key)) {
			assert_int_equal(row, -1);
			row = (int)i;
		}
	}
	return row;
}

static void test_classify_every_combination(void **state)
{
	unsigned seen[MODE_COUNT] = {0};

	(void)state;
	for (unsigned key = 0; key < COMBINATIONS; key++) {
		struct mode_state s = state_from(key);
		int row = row_of(key);
		enum cpu_mode expected = row < 0 ? MODE_INVALID : valid[row].mode;

		if (mode_classify(&s) != expected)
			fail_msg("combination %03x: %s, expected %s", key, mode_name(mode_classify(&s)),
				 mode_name(expected));
		if (row >= 0)
			assert_int_equal(mode_paging(&s), valid[row].paging);
		seen[expected]++;
	}
	for (unsigned i = 0; i < MODE_COUNT; i++)
		assert_true(seen[i] > 0);
}

static void test_high_cr0_bits(void **state)
{
	struct mode_state s = {.cr0 = 1ull << 32};

	(void)state;
	assert_int_equal(mode_classify(&s), MODE_INVALID);
	s.cr0 = 0;
	assert_int_equal(mode_classify(&s), MODE_REAL);
}

static void test_names(void **state)
{
	static const char *const names[] = {"real",	"v8086",    "prot16", "prot32",
					    "compat16", "compat32", "long64", "invalid"};

	(void)state;
	for (unsigned i = 0; i < MODE_COUNT; i++)
		assert_string_equal(mode_name((enum cpu_mode)i), names[i]);
	assert_string_equal(mode_name(MODE_COUNT), "invalid");
	assert_string_equal(mode_name((enum cpu_mode) - 1), "invalid");
}

/* Every step between two valid states: properties that follow from the ends alone. */
static void test_transition_every_pair(void **state)
{
	static unsigned keys[COMBINATIONS];
	static struct mode_state states[COMBINATIONS];
	static int rows[COMBINATIONS];
	unsigned count = 0;

	(void)state;
	for (unsigned key = 0; key < COMBINATIONS; key++) {
		struct mode_state s = state_from(key), real = {.rflags = X86_FLAGS_FIXED};
		int row = row_of(key);

		if (row < 0) {
			assert_int_equal(mode_transition(&real, &s), MODE_ACTION_REFUSE);
			continue;
		}
		keys[count] = key;
		states[count] = s;
		rows[count++] = row;
	}
	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = 0; j < count; j++) {
			uint32_t actions = mode_transition(&states[i], &states[j]);
			unsigned changed = keys[i] ^ keys[j];
			int was_long = keys[i] >> LMA & 1, is_long = keys[j] >> LMA & 1;
			int refuse = ((keys[i] >> PG & 1) && (changed >> LME & 1)) ||
				     (was_long && is_long && (changed >> LA57 & 1)) ||
				     (!was_long && is_long && (keys[j] >> L & 1)) ||
				     (was_long && !is_long && (keys[i] >> L & 1));
			int event = valid[rows[i]].mode != valid[rows[j]].mode ||
				    valid[rows[i]].paging != valid[rows[j]].paging;

			if (refuse) {
				assert_int_equal(actions, MODE_ACTION_REFUSE);
				continue;
			}
			assert_false(actions & MODE_ACTION_REFUSE);
			assert_int_equal(!!(actions & MODE_ACTION_LONG_ENTER), !was_long && is_long);
			assert_int_equal(!!(actions & MODE_ACTION_LONG_LEAVE), was_long && !is_long);
			assert_int_equal(!!(actions & MODE_ACTION_MODE_EVENT), event);
			assert_int_equal(!!(actions & MODE_ACTION_CACHE_CHANGE),
					 changed >> CD & 1 || changed >> NW & 1);
			if (valid[rows[i]].paging != valid[rows[j]].paging)
				assert_true(actions & MODE_ACTION_FLUSH_TLB);
			if (valid[rows[j]].paging != PAGING_PAE)
				assert_false(actions & MODE_ACTION_LOAD_PDPTES);
			else if (valid[rows[i]].paging != PAGING_PAE || changed >> CD & 1 || changed >> NW & 1)
				assert_true(actions & MODE_ACTION_LOAD_PDPTES);
			if (i == j)
				assert_int_equal(actions, 0);
		}
	}
}

static void test_transition_named(void **state)
{
	static const struct {
		const char *what;
		struct mode_state from, to;
		uint32_t actions;
	} cases[] = {
		{"protection on", {.cr0 = CR0_ET}, {.cr0 = CR0_ET | CR0_PE}, MODE_ACTION_MODE_EVENT},
		{"far jump to 32-bit code",
		 {.cr0 = CR0_PE},
		 {.cr0 = CR0_PE, .cs_attributes = SEG_ATTR_DB},
		 MODE_ACTION_MODE_EVENT},
		{"32-bit paging on",
		 {.cr0 = CR0_PE},
		 {.cr0 = CR0_PE | CR0_PG},
		 MODE_ACTION_MODE_EVENT | MODE_ACTION_FLUSH_TLB},
		{"PAE paging on",
		 {.cr0 = CR0_PE, .cr4 = CR4_PAE},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE},
		 MODE_ACTION_MODE_EVENT | MODE_ACTION_FLUSH_TLB | MODE_ACTION_LOAD_PDPTES},
		{"global pages under PAE",
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE | CR4_PGE},
		 MODE_ACTION_FLUSH_TLB | MODE_ACTION_LOAD_PDPTES},
		{"SMEP on", {.cr0 = CR0_PE | CR0_PG}, {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_SMEP}, MODE_ACTION_FLUSH_TLB},
		{"SMEP off", {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_SMEP}, {.cr0 = CR0_PE | CR0_PG}, 0},
		{"SMEP off under PAE",
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE | CR4_SMEP},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE},
		 MODE_ACTION_LOAD_PDPTES},
		{"page size extension",
		 {.cr0 = CR0_PE | CR0_PG},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PSE},
		 MODE_ACTION_FLUSH_TLB},
		{"write protection", {.cr0 = CR0_PE | CR0_PG}, {.cr0 = CR0_PE | CR0_PG | CR0_WP}, 0},
		{"caches off", {.cr0 = 0}, {.cr0 = CR0_CD | CR0_NW}, MODE_ACTION_CACHE_CHANGE},
		{"process identifiers on",
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA, .cs_attributes = SEG_ATTR_L},
		 {.cr0 = CR0_PE | CR0_PG,
		  .cr4 = CR4_PAE | CR4_PCIDE,
		  .efer = EFER_LME | EFER_LMA,
		  .cs_attributes = SEG_ATTR_L},
		 0},
		{"process identifiers off",
		 {.cr0 = CR0_PE | CR0_PG,
		  .cr4 = CR4_PAE | CR4_PCIDE,
		  .efer = EFER_LME | EFER_LMA,
		  .cs_attributes = SEG_ATTR_L},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA, .cs_attributes = SEG_ATTR_L},
		 MODE_ACTION_FLUSH_TLB},
		{"process identifiers outside long mode",
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE | CR4_PCIDE},
		 MODE_ACTION_REFUSE},
		{"long mode asked for", {.cr4 = CR4_PAE}, {.cr4 = CR4_PAE, .efer = EFER_LME}, 0},
		{"long mode on",
		 {.cr0 = CR0_PE, .cr4 = CR4_PAE, .efer = EFER_LME},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA},
		 MODE_ACTION_LONG_ENTER | MODE_ACTION_MODE_EVENT | MODE_ACTION_FLUSH_TLB},
		{"long mode on from real mode at once",
		 {.cr4 = CR4_PAE, .efer = EFER_LME},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA},
		 MODE_ACTION_LONG_ENTER | MODE_ACTION_MODE_EVENT | MODE_ACTION_FLUSH_TLB},
		{"long mode on without PAE",
		 {.cr0 = CR0_PE, .efer = EFER_LME},
		 {.cr0 = CR0_PE | CR0_PG, .efer = EFER_LME | EFER_LMA},
		 MODE_ACTION_REFUSE},
		{"PAE off in long mode",
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA},
		 {.cr0 = CR0_PE | CR0_PG, .efer = EFER_LME | EFER_LMA},
		 MODE_ACTION_REFUSE},
		{"five levels in long mode",
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE | CR4_LA57, .efer = EFER_LME | EFER_LMA},
		 MODE_ACTION_REFUSE},
		{"LME under paging",
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE},
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA},
		 MODE_ACTION_REFUSE},
		{"paging off in 64-bit code",
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA, .cs_attributes = SEG_ATTR_L},
		 {.cr0 = CR0_PE, .cr4 = CR4_PAE, .efer = EFER_LME, .cs_attributes = SEG_ATTR_L},
		 MODE_ACTION_REFUSE},
		{"paging off in compatibility mode",
		 {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .efer = EFER_LME | EFER_LMA, .cs_attributes = SEG_ATTR_DB},
		 {.cr0 = CR0_PE, .cr4 = CR4_PAE, .efer = EFER_LME, .cs_attributes = SEG_ATTR_DB},
		 MODE_ACTION_LONG_LEAVE | MODE_ACTION_MODE_EVENT | MODE_ACTION_FLUSH_TLB},
		{"paging without protection", {.cr0 = 0}, {.cr0 = CR0_PG}, MODE_ACTION_REFUSE},
		{"not write-through without cache-disable", {.cr0 = 0}, {.cr0 = CR0_NW}, MODE_ACTION_REFUSE},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t actions = mode_transition(&cases[i].from, &cases[i].to);

		if (actions != cases[i].actions)
			fail_msg("%s: %x, expected %x", cases[i].what, actions, cases[i].actions);
	}
}

static void test_rip_after(void **state)
{
	(void)state;
	assert_true(mode_rip_after(0xfffe, 2, false, false) == 0);
	assert_true(mode_rip_after(0xfffe, 2, false, true) == 0x10000);
	assert_true(mode_rip_after(0x10000, 2, false, false) == 0x10002);
	assert_true(mode_rip_after(0xffffffff, 2, false, false) == 1);
	assert_true(mode_rip_after(0xfffffffe, 3, false, true) == 1);
	assert_true(mode_rip_after(0xfffffffe, 3, true, false) == 0x100000001);
	assert_true(mode_rip_after(~0ull, 1, true, false) == 0);
}

static void test_pdpte(void **state)
{
	const uint64_t limit = 1ull << 36;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		bool reserved = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= 36;

		assert_int_equal(mode_pdpte_is_valid(1 | 1ull << bit, limit), !reserved);
		assert_true(mode_pdpte_is_valid((1ull << bit) & ~1ull, limit));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classify_every_combination),
		cmocka_unit_test(test_high_cr0_bits),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_transition_every_pair),
		cmocka_unit_test(test_transition_named),
		cmocka_unit_test(test_rip_after),
		cmocka_unit_test(test_pdpte),
	};

	return cmocka_run_group_tests_name("mode", tests, NULL, NULL);
}
