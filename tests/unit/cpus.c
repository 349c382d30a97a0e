/* SPDX-License-Identifier: BSD-2-Clause */
/* core/plan/cpus.c: the firmware's tables of CPUs found in a made-up memory, read, edited, and damaged. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/firmware.h>

/* --- tables ------------------------------------------------------------------------------------------------------- */

struct table {
	uint8_t bytes[512];
	size_t length;
};

static uint8_t sum(const uint8_t *bytes, size_t length)
{
	uint8_t total = 0;

	while (length--)
		total = (uint8_t)(total + *bytes++);
	return total;
}

static void append(struct table *t, const void *bytes, size_t length)
{
	assert_true(t->length + length <= sizeof(t->bytes));
	memcpy(t->bytes + t->length, bytes, length);
	t->length += length;
}

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Corrects length and checksum. */
static void madt_close(struct table *t)
{
	put32(t->bytes + 4, (uint32_t)t->length);
	t->bytes[9] = 0;
	t->bytes[9] = (uint8_t)-sum(t->bytes, t->length);
}

static void madt_cpu(struct table *t, uint8_t id, uint8_t flags)
{
	append(t, (const uint8_t[]){0, 8, id, id, flags, 0, 0, 0x40}, 8);
}

static void madt_x2cpu(struct table *t, uint32_t id, uint8_t flags)
{
	uint8_t entry[16] = {9, 16, 0, 0, 0, 0, 0, 0, flags, 0, 0, 0x40};

	put32(entry + 4, id);
	append(t, entry, sizeof(entry));
}

static struct table madt_begin(void)
{
	struct table t = {.length = 44};

	memcpy(t.bytes, "APIC", 4);
	t.bytes[8] = 3;
	put32(t.bytes + 36, 0xfee00000);
	return t;
}

/* CPUs 0, 2, 4 (not there yet), 6 (not enabled, can be), an I/O APIC in between, x2APIC 2 (again), 300 and 301 (off).
 */
static struct table make_madt(void)
{
	struct table t = madt_begin();

	madt_cpu(&t, 0, 1);
	madt_cpu(&t, 2, 1);
	append(&t, (const uint8_t[12]){1, 12, 9}, 12);
	madt_cpu(&t, 4, 0);
	madt_cpu(&t, 6, 2);
	madt_x2cpu(&t, 2, 3);
	append(&t, (const uint8_t[2]){0xee, 2}, 2);
	madt_x2cpu(&t, 300, 1);
	madt_x2cpu(&t, 301, 0);
	madt_close(&t);
	return t;
}

static void mp_close(struct table *t)
{
	t->bytes[4] = (uint8_t)t->length;
	t->bytes[5] = (uint8_t)(t->length >> 8);
	t->bytes[7] = 0;
	t->bytes[7] = (uint8_t)-sum(t->bytes, t->length);
}

static void mp_cpu(struct table *t, uint8_t id, uint8_t flags)
{
	append(t, (const uint8_t[20]){0, id, 0x14, flags, 1, 2, 3, 4}, 20);
}

static struct table make_mp(void)
{
	struct table t = {.length = 44};

	memcpy(t.bytes, "PCMP", 4);
	t.bytes[6] = 4;
	mp_cpu(&t, 0, 0x03);
	mp_cpu(&t, 1, 0x01);
	mp_cpu(&t, 7, 0x80);
	append(&t, (const uint8_t[8]){1, 0, 'P', 'C', 'I'}, 8);
	append(&t, (const uint8_t[8]){2, 2}, 8);
	append(&t, (const uint8_t[8]){3}, 8);
	append(&t, (const uint8_t[8]){4}, 8);
	mp_cpu(&t, 3, 0x01);
	mp_close(&t);
	return t;
}

/* One kind of table with what it must give. */
struct kind {
	const char *name;
	struct table (*make)(void);
	void (*close)(struct table *t);
	int (*list)(const void *table, size_t length, uint32_t *apic_id, size_t max);
	int (*hide)(void *table, size_t length, uint32_t boot_apic_id);
	uint32_t ids[3];
	unsigned entries;
	int hidden; /* from CPU 0's point of view */
};

static const struct kind kinds[] = {
	{"MADT", make_madt, madt_close, madt_list_cpus, madt_hide_cpus, {0, 2, 300}, 9, 4},
	{"MP table", make_mp, mp_close, mp_list_cpus, mp_hide_cpus, {0, 1, 3}, 8, 2},
};

/* --- reading and editing ------------------------------------------------------------------------------------------ */

static void test_list(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct table t = kinds[k].make(), before = t;
		uint32_t ids[8];

		memset(ids, 0xa5, sizeof(ids));
		assert_int_equal(kinds[k].list(t.bytes, t.length, ids, 8), 3);
		assert_memory_equal(ids, kinds[k].ids, sizeof(kinds[k].ids));
		assert_int_equal(ids[3], 0xa5a5a5a5);
		/* what lies behind the table does not matter; a short list is not overrun */
		assert_int_equal(kinds[k].list(t.bytes, sizeof(t.bytes), ids, 8), 3);
		memset(ids, 0xa5, sizeof(ids));
		assert_true(kinds[k].list(t.bytes, t.length, ids, 1) >= 3);
		assert_int_equal(ids[1], 0xa5a5a5a5);
		assert_true(kinds[k].list(t.bytes, t.length, NULL, 0) >= 3);
		assert_memory_equal(&t, &before, sizeof(t));
	}
}

static void test_hide(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (size_t boot = 0; boot < 3; boot++) {
			struct table t = kinds[k].make(), before = t;
			uint32_t id;
			unsigned changed = 0;

			assert_true(kinds[k].hide(t.bytes, sizeof(t.bytes), kinds[k].ids[boot]) > 0);
			assert_int_equal(sum(t.bytes, t.length), 0);
			assert_int_equal(kinds[k].list(t.bytes, t.length, &id, 1), 1);
			assert_int_equal(id, kinds[k].ids[boot]);
			/* nothing but flags and the checksum, and only bits that were set */
			for (size_t i = 0; i < sizeof(t.bytes); i++) {
				if (i == 7 || i == 9 || t.bytes[i] == before.bytes[i])
					continue;
				changed++;
				assert_true((before.bytes[i] & ~t.bytes[i] & 3) != 0);
				assert_int_equal(before.bytes[i] & ~3, t.bytes[i] & ~3);
			}
			assert_true(changed >= 2);
			/* a second time there is nothing left to do */
			before = t;
			assert_int_equal(kinds[k].hide(t.bytes, t.length, kinds[k].ids[boot]), 0);
			assert_memory_equal(&t, &before, sizeof(t));
		}
	}
}

static void test_hide_counts(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct table t = kinds[k].make();

		assert_int_equal(kinds[k].hide(t.bytes, t.length, 0), kinds[k].hidden);
	}
	/* CPU 6 could have been brought online later: no more */
	struct table t = make_madt();
	size_t cpu6 = 44 + 8 + 8 + 12 + 8;

	assert_int_equal(t.bytes[cpu6 + 3], 6);
	assert_int_equal(t.bytes[cpu6 + 4], 2);
	assert_int_equal(madt_hide_cpus(t.bytes, t.length, 0), 4);
	assert_int_equal(t.bytes[cpu6 + 4], 0);
	assert_int_equal(t.bytes[cpu6 + 7], 0x40);
	/* both entries of the boot CPU stay */
	t = make_madt();
	assert_int_equal(madt_hide_cpus(t.bytes, t.length, 2), 3);
}

static void expect_untouched(const struct kind *kind, struct table t, size_t length, uint32_t boot, int error)
{
	struct table before = t;
	uint32_t ids[8];

	assert_int_equal(kind->hide(t.bytes, length, boot), error);
	assert_memory_equal(&t, &before, sizeof(t));
	if (error == -EINVAL)
		assert_int_equal(kind->list(t.bytes, length, ids, 8), -EINVAL);
}

static void test_no_boot_cpu(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct table t = kinds[k].make();

		expect_untouched(&kinds[k], t, t.length, 5, -ENOENT);
		expect_untouched(&kinds[k], t, t.length, 7, -ENOENT); /* the MP table has it, off */
		expect_untouched(&kinds[k], t, t.length, 4, -ENOENT); /* the MADT has it, off */
		expect_untouched(&kinds[k], t, t.length, 256, -ENOENT);
	}
}

static void test_damaged_head(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct table t = kinds[k].make();

		for (size_t length = 0; length < t.length; length++)
			expect_untouched(&kinds[k], t, length, 0, -EINVAL);
		for (size_t i = 0; i < t.length; i++) {
			struct table bad = t;

			bad.bytes[i] ^= 1;
			expect_untouched(&kinds[k], bad, sizeof(bad.bytes), 0, -EINVAL);
		}
		/* claims to be longer than it is, and shorter than its head; the checksum is right */
		struct table bad = t;

		bad.length = 44;
		bad.length = sizeof(bad.bytes);
		kinds[k].close(&bad);
		expect_untouched(&kinds[k], bad, t.length, 0, -EINVAL);
		bad = t;
		bad.length = 43;
		kinds[k].close(&bad);
		expect_untouched(&kinds[k], bad, t.length, 0, -EINVAL);
		bad.length = 0;
		kinds[k].close(&bad);
		expect_untouched(&kinds[k], bad, t.length, 0, -EINVAL);
	}
}

/* Entries cut off by the table's end, everything else right. */
static void test_cut_entries(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		const struct table whole = kinds[k].make();
		unsigned good = 0;

		for (size_t length = 44; length <= whole.length; length++) {
			struct table t = whole;
			uint8_t *exact = malloc(length);
			int error;

			assert_non_null(exact);
			t.length = length;
			kinds[k].close(&t);
			memcpy(exact, t.bytes, length);
			error = kinds[k].hide(exact, length, 0);
			if (error < 0)
				assert_memory_equal(exact, t.bytes, length);
			else
				good++;
			free(exact);
		}
		assert_int_equal(good, kinds[k].entries); /* cut where one ends */
	}
}

static void test_bad_entries(void **state)
{
	static const uint8_t madt_bad[][2] = {{0, 0},  {0, 1}, {0, 2}, {0, 7},	 {9, 0},  {9, 8},
					      {9, 15}, {1, 0}, {1, 1}, {1, 255}, {0, 255}};
	struct table t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(madt_bad); i++) {
		t = madt_begin();
		madt_cpu(&t, 0, 1);
		madt_cpu(&t, 1, 1);
		append(&t, madt_bad[i], 2);
		append(&t, (const uint8_t[32]){0}, 32);
		madt_close(&t);
		expect_untouched(&kinds[0], t, t.length, 0, -EINVAL);
	}
	/* longer entries than today's are tomorrow's */
	t = madt_begin();
	append(&t, (const uint8_t[12]){0, 12, 0, 0, 1}, 12);
	append(&t, (const uint8_t[12]){0, 12, 1, 1, 1}, 12);
	madt_close(&t);
	assert_int_equal(madt_hide_cpus(t.bytes, t.length, 0), 1);

	t = make_mp();
	t.bytes[44 + 60] = 5; /* the bus entry */
	mp_close(&t);
	expect_untouched(&kinds[1], t, t.length, 0, -EINVAL);
}

/* Random damage with a right checksum: stays inside the buffer, changes nothing that it refuses. */
static void test_random_damage(void **state)
{
	uint32_t seed = 7;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (unsigned turn = 0; turn < 5000; turn++) {
			struct table t = kinds[k].make();
			uint8_t *exact = malloc(t.length);
			int error;

			assert_non_null(exact);
			for (unsigned i = 0; i < 3; i++) {
				seed = seed * 1664525u + 1013904223u;
				t.bytes[44 + (seed >> 16) % (t.length - 44)] = (uint8_t)(seed >> 8);
			}
			kinds[k].close(&t);
			memcpy(exact, t.bytes, t.length);
			error = kinds[k].hide(exact, t.length, 0);
			if (error < 0)
				assert_memory_equal(exact, t.bytes, t.length);
			else
				assert_int_equal(sum(exact, t.length), 0);
			free(exact);
		}
	}
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

#define HIGH_BASE 0x7fe0000ull
#define HIGH_SIZE 0x20000u

/* The first MiB and a piece where firmware keeps its tables; everything else is not there. */
struct world {
	struct firmware_memory memory;
	uint8_t *low, *high;
	size_t reads;
};

static uint8_t *at(struct world *w, paddr_t address, size_t length)
{
	if (address < MIB(1) && length <= MIB(1) - address)
		return w->low + address;
	if (address >= HIGH_BASE && address < HIGH_BASE + HIGH_SIZE && length <= HIGH_BASE + HIGH_SIZE - address)
		return w->high + (address - HIGH_BASE);
	return NULL;
}

static int world_read(struct firmware_memory *memory, paddr_t address, void *to, size_t length)
{
	struct world *w = CONTAINER_OF(memory, struct world, memory);
	const uint8_t *from = at(w, address, length);

	w->reads++;
	if (!from)
		return -EFAULT;
	memcpy(to, from, length);
	return 0;
}

static void put(struct world *w, paddr_t address, const void *bytes, size_t length)
{
	memcpy(at(w, address, length), bytes, length);
}

static void poke32(struct world *w, paddr_t address, uint32_t value)
{
	put(w, address, &value, sizeof(value));
}

/* Makes length bytes add up to 0 through the one at checksum. */
static void fix(struct world *w, paddr_t address, size_t checksum, size_t length)
{
	uint8_t *bytes = at(w, address, length);

	bytes[checksum] = 0;
	bytes[checksum] = (uint8_t)-sum(bytes, length);
}

#define RSDP 0xf5a00ull
#define RSDT 0x7fe1000ull
#define XSDT 0x7fe2010ull
#define FADT 0x7fe3000ull
#define MADT 0x7fe4004ull /* as real ones are, not aligned */
#define EBDA 0x9fc00ull
#define MP   0xf5b00ull
#define PCMP 0xf6000ull

static void put_rsdp(struct world *w, paddr_t address, uint8_t revision)
{
	uint8_t rsdp[36] = "RSD PTR ";
	uint64_t xsdt = XSDT;

	rsdp[15] = revision;
	put32(rsdp + 16, (uint32_t)RSDT);
	put32(rsdp + 20, 36);
	memcpy(rsdp + 24, &xsdt, sizeof(xsdt));
	put(w, address, rsdp, sizeof(rsdp));
	fix(w, address, 8, 20);
	fix(w, address, 32, 36);
}

static void put_acpi(struct world *w, paddr_t address, const char *signature, const void *content, size_t length)
{
	uint8_t head[36] = {0};

	memcpy(head, signature, 4);
	put32(head + 4, (uint32_t)(sizeof(head) + length));
	put(w, address, head, sizeof(head));
	put(w, address + sizeof(head), content, length);
	fix(w, address, 9, sizeof(head) + length);
}

static void put_mp(struct world *w, paddr_t address)
{
	uint8_t floating[16] = "_MP_";

	put32(floating + 4, (uint32_t)PCMP);
	floating[8] = 1;
	floating[9] = 4;
	put(w, address, floating, sizeof(floating));
	fix(w, address, 10, 16);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	const struct table madt = make_madt(), mp = make_mp();
	const uint32_t rsdt[2] = {(uint32_t)FADT, (uint32_t)MADT};
	const uint64_t xsdt[2] = {FADT, MADT};

	assert_non_null(w);
	w->memory.read = world_read;
	w->low = calloc(1, MIB(1));
	w->high = calloc(1, HIGH_SIZE);
	assert_true(w->low && w->high);
	put(w, 0x40e, (const uint8_t[]){0xc0, 0x9f}, 2);
	put(w, 0x413, (const uint8_t[]){0x7f, 0x02}, 2);
	put_rsdp(w, RSDP, 2);
	put_acpi(w, RSDT, "RSDT", rsdt, sizeof(rsdt));
	put_acpi(w, XSDT, "XSDT", xsdt, sizeof(xsdt));
	put_acpi(w, FADT, "FACP", "something", 9);
	put(w, MADT, madt.bytes, madt.length);
	put_mp(w, MP);
	put(w, PCMP, mp.bytes, mp.length);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	free(w->low);
	free(w->high);
	free(w);
	return 0;
}

static void expect_madt(struct world *w, bool there)
{
	paddr_t table = 0;
	uint32_t length = 0;

	assert_int_equal(firmware_find_table(&w->memory, RSDP, "APIC", &table, &length), there ? 0 : -ENOENT);
	if (!there)
		return;
	assert_int_equal(table, MADT);
	assert_int_equal(length, make_madt().length);
}

static void test_find_rsdp(void **state)
{
	struct world *w = *state;
	paddr_t rsdp = 0;

	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), 0);
	assert_int_equal(rsdp, RSDP);
	/* a false one before it, and the checksum of revision 2 */
	put(w, 0xe0010, "RSD PTR false", 13);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), 0);
	assert_int_equal(rsdp, RSDP);
	w->low[RSDP + 32]++;
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), -ENOENT);
	put_rsdp(w, RSDP, 0);
	w->low[RSDP + 32]++;
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), 0);
	/* the EBDA comes first; its pointer may be rubbish */
	put_rsdp(w, EBDA + 0x3f0 - 32, 2);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), 0);
	assert_int_equal(rsdp, EBDA + 0x3f0 - 32);
	put(w, 0x40e, (const uint8_t[]){0, 0}, 2);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), 0);
	assert_int_equal(rsdp, RSDP);
	put(w, 0x40e, (const uint8_t[]){0xff, 0xff}, 2);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), 0);
	put(w, 0x40e, (const uint8_t[]){0x10, 0x10}, 2);
	put_rsdp(w, 0x10110, 2);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), 0);
	assert_int_equal(rsdp, 0x10110);
	put(w, 0x40e, (const uint8_t[]){0x50, 0}, 2);
	put_rsdp(w, 0x510, 2);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), 0);
	assert_int_equal(rsdp, RSDP);
	memset(w->low + RSDP, 0, 36);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), -ENOENT);
	/* not aligned; the last place; claims to go on where nothing is */
	put_rsdp(w, 0xf0008, 2);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), -ENOENT);
	memset(w->low + 0xf0008, 0, 36);
	put(w, 0xffff0, "RSD PTR ", 8);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), -ENOENT);
	put_rsdp(w, 0xf0000, 2);
	poke32(w, 0xf0000 + 20, UINT32_MAX);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), -ENOENT);
	poke32(w, 0xf0000 + 20, 35);
	fix(w, 0xf0000, 32, 35);
	assert_int_equal(firmware_find_rsdp(&w->memory, &rsdp), -ENOENT);
}

static void test_find_table(void **state)
{
	struct world *w = *state;
	paddr_t table;
	uint32_t length;

	expect_madt(w, true);
	assert_int_equal(firmware_find_table(&w->memory, RSDP, "DMAR", &table, &length), -ENOENT);
	assert_int_equal(firmware_find_table(&w->memory, 0, "APIC", &table, &length), -ENOENT);
	assert_int_equal(firmware_find_table(&w->memory, UINT64_MAX, "APIC", &table, &length), -ENOENT);
	/* either root will do, none does not */
	w->high[RSDT - HIGH_BASE + 9]++;
	expect_madt(w, true);
	w->high[XSDT - HIGH_BASE + 9]++;
	expect_madt(w, false);
	w->high[RSDT - HIGH_BASE + 9]--;
	expect_madt(w, true);
	put_rsdp(w, RSDP, 0);
	expect_madt(w, true);
	/* the table itself damaged, too long, too short, out of memory */
	w->high[MADT - HIGH_BASE + 9]++;
	expect_madt(w, false);
	w->high[MADT - HIGH_BASE + 9]--;
	poke32(w, MADT + 4, UINT32_MAX);
	expect_madt(w, false);
	poke32(w, MADT + 4, 8);
	expect_madt(w, false);
	poke32(w, MADT + 4, (uint32_t)FIRMWARE_TABLE_MAX);
	fix(w, MADT, 9, FIRMWARE_TABLE_MAX);
	assert_int_equal(firmware_find_table(&w->memory, RSDP, "APIC", &table, &length), 0);
	assert_int_equal(length, FIRMWARE_TABLE_MAX);
	poke32(w, MADT + 4, (uint32_t)FIRMWARE_TABLE_MAX + 1);
	fix(w, MADT, 9, FIRMWARE_TABLE_MAX + 1);
	expect_madt(w, false);
}

static void test_find_table_bad_roots(void **state)
{
	struct world *w = *state;
	const uint32_t self[4] = {(uint32_t)RSDT, 0, UINT32_MAX, 0x12345};

	put_rsdp(w, RSDP, 0);
	/* pointers to itself and to nowhere; half a pointer; none; a length of everything */
	put_acpi(w, RSDT, "RSDT", self, sizeof(self));
	expect_madt(w, false);
	put_acpi(w, RSDT, "RSDT", (const uint32_t[]){(uint32_t)MADT}, 3);
	expect_madt(w, false);
	put_acpi(w, RSDT, "RSDT", "", 0);
	expect_madt(w, false);
	poke32(w, RSDT + 4, UINT32_MAX);
	expect_madt(w, false);
	put_acpi(w, RSDT, "XSDT", (const uint32_t[]){(uint32_t)MADT}, 4);
	expect_madt(w, false);
	put_acpi(w, RSDT, "RSDT", (const uint32_t[]){(uint32_t)MADT}, 4);
	expect_madt(w, true);
	assert_true(w->reads < 1000);
}

static void expect_mp(struct world *w, paddr_t where, paddr_t there)
{
	paddr_t floating = 0, table = 1;
	uint32_t length = 1;

	assert_int_equal(firmware_find_mp(&w->memory, &floating, &table, &length), where ? 0 : -ENOENT);
	if (!where)
		return;
	assert_int_equal(floating, where);
	assert_int_equal(table, there);
	assert_int_equal(length, there ? make_mp().length : 0);
}

static void test_find_mp(void **state)
{
	struct world *w = *state;

	expect_mp(w, MP, PCMP);
	/* in the last KiB of conventional memory, whatever the BIOS says it has of it; in the EBDA */
	put_mp(w, KIB(639) - 16);
	expect_mp(w, KIB(639) - 16, PCMP);
	put(w, 0x413, (const uint8_t[]){0xff, 0xff}, 2);
	put(w, 0x40e, (const uint8_t[]){0, 0}, 2);
	expect_mp(w, MP, PCMP);
	put_mp(w, KIB(640) - 16);
	expect_mp(w, KIB(640) - 16, PCMP);
	memset(w->low + KIB(640) - 16, 0, 16);
	put(w, 0x40e, (const uint8_t[]){0xc0, 0x9f}, 2);
	put_mp(w, EBDA);
	expect_mp(w, EBDA, PCMP);
	/* a default configuration has no table */
	w->low[EBDA + 11] = 5;
	fix(w, EBDA, 10, 16);
	expect_mp(w, EBDA, 0);
	/* damaged: the next one counts */
	w->low[EBDA + 10]++;
	expect_mp(w, MP, PCMP);
	w->low[MP + 8] = 2;
	fix(w, MP, 10, 16);
	expect_mp(w, 0, 0);
	put_mp(w, MP);
	/* the table damaged or nowhere */
	w->low[PCMP + 7]++;
	expect_mp(w, 0, 0);
	w->low[PCMP + 7]--;
	w->low[PCMP]++;
	expect_mp(w, 0, 0);
	w->low[PCMP]--;
	poke32(w, MP + 4, 0x1234567);
	fix(w, MP, 10, 16);
	expect_mp(w, 0, 0);
	poke32(w, MP + 4, 0);
	fix(w, MP, 10, 16);
	expect_mp(w, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_hide),
		cmocka_unit_test(test_hide_counts),
		cmocka_unit_test(test_no_boot_cpu),
		cmocka_unit_test(test_damaged_head),
		cmocka_unit_test(test_cut_entries),
		cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test_setup_teardown(test_find_rsdp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find_table_bad_roots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find_mp, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
