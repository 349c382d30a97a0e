/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/libcroft: page tables that are walked here, and searches, on a stub with a memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <undercroft/types.h>

#include "client/libcroft/croft.h"
#include "tests/fakes/fake_stub.h"

#define TIMEOUT_MS 60000u
#define MEMORY	   0x100000u
#define HIDDEN	   0x80000u /* a page that cannot be read */

#define CR0_PAGING 0x80000001u

struct machine {
	uint8_t memory[MEMORY];
	uint64_t cr0, cr3, cr4, efer;
	bool physical, searches, tells_map;
	unsigned reads, searched;
};

/* Its tables are at 1000h. */
static void long_mode(struct machine *m)
{
	m->cr0 = CR0_PAGING;
	m->cr3 = 0x1000;
	m->cr4 = 0x20;
	m->efer = 0x500;
}

static void put_entry(struct machine *m, uint64_t address, uint64_t entry, unsigned size)
{
	memcpy(m->memory + address, &entry, size);
}

/* What the stub's addresses mean: a walk of its own, for four levels and 4 KiB pages alone. */
static bool to_physical(const struct machine *m, uint64_t *address)
{
	uint64_t at = m->cr3, entry = 0;

	if (m->physical)
		return *address < MEMORY;
	for (int shift = 39; shift >= 12; shift -= 9) {
		memcpy(&entry, m->memory + (at & 0xff000) + (*address >> shift & 511) * 8, 8);
		if (!(entry & 1))
			return false;
		at = entry;
	}
	*address = (entry & 0xff000) | (*address & 0xfff);
	return true;
}

/* As much as lies in one page. */
static size_t read_page(struct machine *m, uint64_t address, size_t length, uint8_t *bytes)
{
	if (!to_physical(m, &address) || (address & PAGE_MASK) == HIDDEN)
		return 0;
	if (length > PAGE_SIZE - (address & ~PAGE_MASK))
		length = PAGE_SIZE - (address & ~PAGE_MASK);
	memcpy(bytes, m->memory + address, length);
	return length;
}

static size_t read_all(struct machine *m, uint64_t address, size_t length, uint8_t *bytes)
{
	size_t done = 0, count;

	while (done < length && (count = read_page(m, address + done, length - done, bytes + done)) != 0)
		done += count;
	return done;
}

static void search(struct machine *m, const char *at, const char *end, char *answer)
{
	uint64_t address, length;
	uint8_t *bytes, *found;

	m->searched++;
	hex_take(&at, &address);
	at++;
	hex_take(&at, &length);
	at++;
	bytes = malloc(length);
	if (read_all(m, address, length, bytes) != length) {
		strcpy(answer, "E0d");
	} else {
		found = memmem(bytes, length, at, (size_t)(end - at));
		if (found)
			sprintf(answer, "1,%llx", (unsigned long long)(address + (uint64_t)(found - bytes)));
		else
			strcpy(answer, "0");
	}
	free(bytes);
}

static bool answer(void *data, const char *question, size_t length, char *text, size_t *answer_length)
{
	struct machine *m = data;
	uint64_t address, count;
	uint8_t bytes[2048];
	const char *at;

	if (strncmp(question, "Qcroft.as:", 10) == 0 || strncmp(question, "Qqemu.PhyMemMode:", 17) == 0) {
		m->physical = strcmp(question, "Qcroft.as:phys") == 0 || question[length - 1] == '1';
		strcpy(text, "OK");
	} else if (strcmp(question, "g") == 0) {
		hex_make(text, &m->cr0, 8);
		hex_make(text + 16, &m->cr3, 8);
		hex_make(text + 32, &m->cr4, 8);
		hex_make(text + 48, &m->efer, 8);
	} else if (question[0] == 'p') {
		at = question + 1;
		hex_take(&at, &address);
		/* ours, and the other stub's */
		hex_make(text,
			 address == 0x82 || address == 0   ? &m->cr0
			 : address == 0x84 || address == 1 ? &m->cr3
			 : address == 0x85 || address == 2 ? &m->cr4
							   : &m->efer,
			 8);
	} else if (m->searches && strncmp(question, "qSearch:memory:", 15) == 0) {
		search(m, question + 15, question + length, text);
	} else if (m->tells_map && strncmp(question, "qXfer:croft.memory-map:read::0,", 31) == 0) {
		strcpy(text, "l<memory-map><memory type=\"ram\" start=\"0x0\" length=\"0x80000\"/>"
			     "<memory type=\"rom\" start=\"0x81000\" length=\"0x7f000\"/></memory-map>");
	} else if (question[0] == 'm' || question[0] == 'x') {
		m->reads++;
		at = question + 1;
		hex_take(&at, &address);
		at++;
		hex_take(&at, &count);
		count = read_all(m, address, count < sizeof(bytes) ? count : sizeof(bytes), bytes);
		if (!count) {
			strcpy(text, "E0e");
		} else if (question[0] == 'm') {
			hex_make(text, bytes, count);
		} else {
			memcpy(text, bytes, count);
			*answer_length = count;
			return true;
		}
	} else {
		return false;
	}
	*answer_length = strlen(text);
	return true;
}

static const struct fake_line other[] = {
	{"qSupported*", "PacketSize=1000;qXfer:features:read+"},
	{"?", "S05"},
	{"qXfer:features:read:target.xml:*", "l<reg name=\"cr0\" bitsize=\"64\"/><reg name=\"cr3\" bitsize=\"64\"/>"
					     "<reg name=\"cr4\" bitsize=\"64\"/><reg name=\"efer\" bitsize=\"64\"/>"},
	{"D", "OK"},
	{NULL, NULL},
};

static const struct fake_line ours[] = {
	{"qSupported*", "PacketSize=1000;qXfer:croft.memory-map:read+"}, {"?", "S05"}, {"D", "OK"}, {NULL, NULL}};

struct bench {
	struct fake_stub stub;
	struct machine machine;
	struct croft_vm *vm;
	struct croft_error error;
};

static struct bench *bench_make(bool undercroft)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->stub.script = undercroft ? ours : other;
	b->stub.framed = undercroft;
	b->stub.answer = answer;
	b->stub.data = &b->machine;
	b->machine.searches = b->machine.tells_map = undercroft;
	return b;
}

static void bench_open(struct bench *b)
{
	fake_stub_start(&b->stub);
	assert_int_equal(croft_vm_open(b->stub.target, 0, TIMEOUT_MS, &b->vm, &b->error), CROFT_OK);
}

static void bench_end(struct bench *b)
{
	assert_int_equal(croft_vm_close(b->vm, &b->error), CROFT_OK);
	fake_stub_end(&b->stub);
	free(b);
}

static void expect_mapped(struct bench *b, uint64_t address, uint64_t physical, uint64_t size, const char *rights)
{
	struct croft_mapping mapping;

	assert_int_equal(croft_memory_translate(b->vm, croft_current(), address, &mapping, &b->error), CROFT_OK);
	assert_int_equal(mapping.physical, physical);
	assert_int_equal(mapping.page_size, size);
	assert_int_equal(mapping.writable, strchr(rights, 'w') != NULL);
	assert_int_equal(mapping.executable, strchr(rights, 'x') != NULL);
	assert_int_equal(mapping.user, strchr(rights, 'u') != NULL);
}

static void expect_unmapped(struct bench *b, uint64_t address)
{
	struct croft_mapping mapping;

	assert_int_equal(croft_memory_translate(b->vm, croft_current(), address, &mapping, &b->error),
			 CROFT_ERROR_UNMAPPED);
}

/* APM vol. 2, "Long-Mode Page Translation" (5.3) */
static void test_four_levels(void **state)
{
	struct bench *b = bench_make(false);
	struct machine *m = &b->machine;
	(void)state;

	m->cr0 = CR0_PAGING;
	m->cr3 = 0x1018; /* with flags */
	m->cr4 = 0x20;
	m->efer = 0xd00;
	put_entry(m, 0x1000, 0x2007, 8);
	put_entry(m, 0x1ff8, 0x2007, 8);
	put_entry(m, 0x2000, 0x3007, 8);
	put_entry(m, 0x2008, 0x40000083, 8);	     /* 1 GiB */
	put_entry(m, 0x3000, 0x4005, 8);	     /* a directory that nobody writes through */
	put_entry(m, 0x3008, 0x8000000000200087, 8); /* 2 MiB */
	put_entry(m, 0x4028, 0x77067, 8);
	put_entry(m, 0x4030, 0x8000000000078063, 8);
	bench_open(b);
	expect_mapped(b, 0x5123, 0x77123, 0x1000, "xu");
	expect_mapped(b, 0x6000, 0x78000, 0x1000, "");
	expect_mapped(b, 0x212345, 0x212345, 0x200000, "wu");
	expect_mapped(b, 0x40000000 + 0x3abcdef, 0x43abcdef, 0x40000000, "wx");
	expect_mapped(b, 0xffffff8000005123, 0x77123, 0x1000, "xu");
	expect_unmapped(b, 0x7000);
	expect_unmapped(b, 0x400000);
	expect_unmapped(b, 0x80000000);
	expect_unmapped(b, 0x8000000000);
	expect_unmapped(b, 0x0000800000000000);
	bench_end(b);
}

/* APM vol. 2, "Legacy-Mode Page Translation" (5.2) */
static void test_legacy_paging(void **state)
{
	struct bench *b = bench_make(false);
	struct machine *m = &b->machine;
	(void)state;

	m->cr0 = CR0_PAGING;
	m->cr3 = 0x1000;
	m->cr4 = 0x10;
	put_entry(m, 0x1000, 0x2007, 4);
	put_entry(m, 0x1004, 0x00802083, 4); /* 4 MiB, with bit 32 of its address */
	put_entry(m, 0x1ffc, 0x2003, 4);
	put_entry(m, 0x2014, 0x77065, 4);
	bench_open(b);
	expect_mapped(b, 0x5123, 0x77123, 0x1000, "xu");
	expect_mapped(b, 0x412345, 0x100812345, 0x400000, "wx");
	expect_mapped(b, 0xffc05123, 0x77123, 0x1000, "x");
	expect_unmapped(b, 0x6000);
	expect_unmapped(b, 0x800000);
	expect_unmapped(b, 0x100005123);
	bench_end(b);

	b = bench_make(false);
	m = &b->machine;
	m->cr0 = CR0_PAGING;
	m->cr3 = 0x1020;
	m->cr4 = 0x20;
	m->efer = 0x800;
	put_entry(m, 0x1020, 0x2001, 8);
	put_entry(m, 0x1038, 0x2001, 8);
	put_entry(m, 0x2000, 0x3007, 8);
	put_entry(m, 0x2008, 0x8000000000600087, 8);
	put_entry(m, 0x3028, 0x77067, 8);
	bench_open(b);
	expect_mapped(b, 0x5123, 0x77123, 0x1000, "wxu");
	expect_mapped(b, 0x212345, 0x612345, 0x200000, "wu");
	expect_mapped(b, 0xc0005123, 0x77123, 0x1000, "wxu");
	expect_unmapped(b, 0x40005123);
	bench_end(b);
}

static void test_no_paging(void **state)
{
	struct bench *b = bench_make(false);
	struct croft_mapping mapping;
	(void)state;

	b->machine.cr0 = 0x10;
	bench_open(b);
	expect_mapped(b, 0x7c00, 0x7c00, 0x1000, "wxu");
	assert_int_equal(croft_memory_translate(b->vm, croft_physical(), 0x7c00, &mapping, &b->error), CROFT_OK);
	assert_int_equal(mapping.physical, 0x7c00);
	bench_end(b);
}

/* Tables that lead to themselves, and nowhere. */
static void test_hostile_tables(void **state)
{
	struct bench *b = bench_make(false);
	struct croft_mapping mapping;
	uint64_t found;
	(void)state;

	long_mode(&b->machine);
	put_entry(&b->machine, 0x1000, 0x1007, 8);
	put_entry(&b->machine, 0x1008, 0xffffffffff007, 8);
	bench_open(b);
	expect_mapped(b, 0, 0x1000, 0x1000, "wxu");
	assert_int_equal(croft_memory_translate(b->vm, croft_current(), 0x8000000000, &mapping, &b->error),
			 CROFT_ERROR_UNMAPPED);
	assert_int_equal(croft_memory_search(b->vm, croft_current(), 0, 0x4000, "nothing", 7, &found, &b->error),
			 CROFT_ERROR_NOT_FOUND);
	bench_end(b);
}

static void expect_found(struct bench *b, struct croft_space space, uint64_t start, uint64_t length, const char *what,
			 uint64_t where)
{
	uint64_t found = 0;
	enum croft_status status =
		croft_memory_search(b->vm, space, start, length, what, strlen(what), &found, &b->error);

	if (where == UINT64_MAX) {
		assert_int_equal(status, CROFT_ERROR_NOT_FOUND);
		assert_string_equal(b->error.text, "not found");
		return;
	}
	assert_int_equal(status, CROFT_OK);
	assert_int_equal(found, where);
}

static void search_physical(struct bench *b)
{
	struct croft_space space = croft_physical();

	memcpy(b->machine.memory + 0x12345, "needle#$}*", 10);
	memcpy(b->machine.memory + 0x1fffd, "across", 6);
	memcpy(b->machine.memory + 0x90000, "needle#$}*", 10);
	memcpy(b->machine.memory + MEMORY - 3, "end", 3);
	bench_open(b);
	expect_found(b, space, 0, MEMORY, "needle#$}*", 0x12345);
	expect_found(b, space, 0x12345, 10, "needle#$}*", 0x12345);
	expect_found(b, space, 0x12345, 9, "needle#$}*", UINT64_MAX);
	/* behind what cannot be read */
	expect_found(b, space, 0x12346, MEMORY - 0x12346, "needle#$}*", 0x90000);
	expect_found(b, space, 0, MEMORY, "across", 0x1fffd);
	expect_found(b, space, 0, MEMORY, "end", MEMORY - 3);
	expect_found(b, space, 0, UINT64_MAX, "nowhere", UINT64_MAX);
	assert_int_equal(croft_memory_search(b->vm, space, 0, 1, "", 0, &(uint64_t){0}, &b->error),
			 CROFT_ERROR_ARGUMENT);
}

static void test_searches_there(void **state)
{
	struct bench *b = bench_make(true);
	(void)state;

	search_physical(b);
	assert_int_equal(b->machine.reads, 0);
	assert_true(b->machine.searched > 0);
	bench_end(b);
}

static void test_searches_here(void **state)
{
	struct bench *b = bench_make(true);
	(void)state;

	b->machine.searches = false;
	search_physical(b);
	bench_end(b);
}

/* Three pages far apart, of which two follow each other elsewhere in memory. */
static void test_searches_through_holes(void **state)
{
	struct bench *b = bench_make(true);
	struct machine *m = &b->machine;
	(void)state;

	long_mode(m);
	put_entry(m, 0x1000, 0x2007, 8);
	put_entry(m, 0x1ff8, 0x2007, 8);
	put_entry(m, 0x2000, 0x3007, 8);
	put_entry(m, 0x2ff8, 0x3007, 8);
	put_entry(m, 0x3ff8, 0x4007, 8);
	put_entry(m, 0x4028, 0x20007, 8);
	put_entry(m, 0x4030, 0x10007, 8);
	memcpy(m->memory + 0x20ffd, "acr", 3);
	memcpy(m->memory + 0x10000, "oss", 3);
	memcpy(m->memory + 0x10ff0, "last", 4);
	bench_open(b);
	expect_found(b, croft_current(), 0, 0x800000000000, "across", 0x3fe05ffd);
	expect_found(b, croft_current(), 0x3fe05ffe, UINT64_MAX - 0x3fe05ffe, "across", 0x7fffe05ffd);
	expect_found(b, croft_current(), 0x7fffe06000, UINT64_MAX - 0x7fffe06000, "across", 0xffffff803fe05ffd);
	expect_found(b, croft_current(), 0xffffffffffe06000, 0x1fa000, "last", 0xffffffffffe06ff0);
	expect_found(b, croft_cr3(0x1000), 0, UINT64_MAX, "nowhere", UINT64_MAX);
	bench_end(b);
}

/* 2 MiB of pages, most of them the same: what is looked for lies across the end of a piece. */
static void test_searches_across_pieces(void **state)
{
	struct bench *b = bench_make(true);
	struct machine *m = &b->machine;
	(void)state;

	long_mode(m);
	put_entry(m, 0x1000, 0x2007, 8);
	put_entry(m, 0x2000, 0x3007, 8);
	put_entry(m, 0x3000, 0x4007, 8);
	for (unsigned i = 0; i < 512; i++)
		put_entry(m, 0x4000 + 8 * i, i == 255 ? 0x30007 : i == 256 ? 0x31007 : 0x32007, 8);
	memcpy(m->memory + 0x30ffd, "acr", 3);
	memcpy(m->memory + 0x31000, "oss", 3);
	bench_open(b);
	expect_found(b, croft_current(), 0, 0x200000, "across", 0xffffd);
	m->searches = false;
	expect_found(b, croft_current(), 0, 0x200000, "across", 0xffffd);
	bench_end(b);
}

/* Nobody tells which memory there is: it is found out by halves. */
static void test_searches_without_a_map(void **state)
{
	(void)state;

	for (unsigned here = 0; here < 2; here++) {
		struct bench *b = bench_make(true);

		b->machine.tells_map = false;
		b->machine.searches = !here;
		memcpy(b->machine.memory + 0xbfffd, "middle", 6);
		memcpy(b->machine.memory + HIDDEN - 4, "before", 4);
		memcpy(b->machine.memory + HIDDEN + PAGE_SIZE, "behind", 6);
		bench_open(b);
		expect_found(b, croft_physical(), 0, MEMORY, "middle", 0xbfffd);
		expect_found(b, croft_physical(), 0, MEMORY, "befo", HIDDEN - 4);
		expect_found(b, croft_physical(), 0, MEMORY, "before", UINT64_MAX);
		expect_found(b, croft_physical(), 0, MEMORY, "behind", HIDDEN + PAGE_SIZE);
		bench_end(b);
	}
}

static void test_the_map(void **state)
{
	struct bench *b = bench_make(true);
	struct croft_range *ranges;
	size_t count;
	(void)state;

	bench_open(b);
	assert_int_equal(croft_memory_map(b->vm, &ranges, &count, &b->error), CROFT_OK);
	assert_int_equal(count, 2);
	assert_int_equal(ranges[0].length, 0x80000);
	assert_true(ranges[0].is_ram);
	assert_int_equal(ranges[1].start, 0x81000);
	assert_false(ranges[1].is_ram);
	croft_free(ranges);
	b->machine.tells_map = false;
	assert_int_equal(croft_memory_map(b->vm, &ranges, &count, &b->error), CROFT_ERROR_UNSUPPORTED);
	assert_null(ranges);
	bench_end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_four_levels),
		cmocka_unit_test(test_legacy_paging),
		cmocka_unit_test(test_no_paging),
		cmocka_unit_test(test_hostile_tables),
		cmocka_unit_test(test_searches_there),
		cmocka_unit_test(test_searches_here),
		cmocka_unit_test(test_searches_through_holes),
		cmocka_unit_test(test_searches_across_pieces),
		cmocka_unit_test(test_searches_without_a_map),
		cmocka_unit_test(test_the_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
