/* SPDX-License-Identifier: BSD-2-Clause */
/* core/control/bulk.c: hashes and contents of pages, what is no memory, requests that are wrong, cut or many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <lz4.h>

#include <undercroft/errno.h>
#include <undercroft/region.h>

#include "core/control/bulk.h"
#include "core/debug/debug.h"
#include "tests/fakes/fake_link.h"
#include "tests/unit/spine.h"

#define HIDDEN_PAGE (SPINE_HIDDEN / PAGE_SIZE)
#define END_PAGE    (SPINE_MEMORY / PAGE_SIZE)

static struct {
	struct spine spine;
	struct debug debug;
	struct fake_link link;
	struct bulk bulk;
	size_t read;				  /* of what was written */
	uint8_t history[BULK_RECORD * PAGE_SIZE]; /* what blocks of an answer were */
	size_t history_length;
} bench;

static const uint8_t key[SIPHASH_BYTES] = {0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t absent_hash[SIPHASH_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
						   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static int setup(void **state)
{
	(void)state;
	memset(&bench, 0, sizeof(bench));
	spine_init(&bench.spine);
	debug_init(&bench.spine.fake.vcpu.vcpu, &bench.debug);
	fake_link_init(&bench.link, &bench.spine.fake.platform);
	bulk_init(&bench.bulk, &bench.spine.fake.vcpu.vcpu, &bench.link.link);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	spine_free(&bench.spine);
	return 0;
}

static uint8_t *memory(uint64_t page)
{
	return fake_memory_at(&bench.spine.fake.platform, page * PAGE_SIZE, PAGE_SIZE);
}

static void fill_random(uint64_t page, uint32_t seed, unsigned values)
{
	uint8_t *bytes = memory(page);

	for (size_t i = 0; i < PAGE_SIZE; i++) {
		seed = seed * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)((seed >> 8) % values);
	}
}

static void say(uint8_t kind, uint8_t shift, uint16_t tag, uint32_t count, uint64_t page, const uint8_t *more)
{
	uint8_t request[BULK_REQUEST] = {kind, shift};

	memcpy(request + 2, &tag, sizeof(tag));
	memcpy(request + 4, &count, sizeof(count));
	memcpy(request + 8, &page, sizeof(page));
	memcpy(request + 16, more, SIPHASH_BYTES);
	fake_link_say(&bench.link, request, sizeof(request));
}

static void say_pages(uint64_t page, uint64_t wanted)
{
	uint8_t more[SIPHASH_BYTES] = {0};

	memcpy(more, &wanted, sizeof(wanted));
	say(BULK_PAGES, 0, 7, 0, page, more);
}

/* Polls until everything that was said is answered. Returns how often. */
static unsigned serve(void)
{
	unsigned polls = 0;

	do {
		bulk_poll(&bench.bulk);
		assert_true(++polls < 1000000);
	} while (bulk_is_busy(&bench.bulk) || bench.link.in_read < bench.link.in_count);
	return polls;
}

/* The next bytes of the answers. */
static const uint8_t *take(size_t length)
{
	const uint8_t *at = bench.link.out + bench.read;

	assert_true(bench.link.out_count - bench.read >= length);
	bench.read += length;
	return at;
}

static void take_header(uint8_t kind, uint8_t status, uint16_t tag)
{
	const uint8_t expected[BULK_HEADER] = {kind, status, (uint8_t)tag, (uint8_t)(tag >> 8)};

	assert_memory_equal(take(BULK_HEADER), expected, BULK_HEADER);
	bench.history_length = 0;
}

static void take_end(void)
{
	assert_int_equal(bench.read, bench.link.out_count);
}

static uint64_t take_bitmap(void)
{
	uint64_t bitmap;

	memcpy(&bitmap, take(sizeof(bitmap)), sizeof(bitmap));
	return bitmap;
}

static void hash_of(const void *bytes, size_t length, uint8_t hash[SIPHASH_BYTES])
{
	struct siphash sip;

	siphash_init(&sip, key);
	siphash_add(&sip, bytes, length);
	siphash_end(&sip, hash);
}

static void take_hash_of(const void *bytes, size_t length)
{
	uint8_t hash[SIPHASH_BYTES];

	hash_of(bytes, length, hash);
	assert_memory_equal(take(SIPHASH_BYTES), hash, SIPHASH_BYTES);
}

/* One page of an answer, as its receiver makes it of that. Returns what stood before it. */
static uint16_t take_page(uint8_t content[PAGE_SIZE])
{
	uint16_t head, length;
	uint8_t *block = bench.history + bench.history_length;

	memcpy(&head, take(sizeof(head)), sizeof(head));
	memset(content, 0, PAGE_SIZE);
	if (head == BULK_PAGE_ZERO || head == BULK_PAGE_ABSENT)
		return head;
	length = (uint16_t)(head & ~BULK_PAGE_TURNED);
	assert_in_range(length, 1, PAGE_SIZE);
	if (length == PAGE_SIZE)
		memcpy(block, take(PAGE_SIZE), PAGE_SIZE);
	else
		assert_int_equal(LZ4_decompress_safe_usingDict((const char *)take(length), (char *)block, length,
							       PAGE_SIZE, (const char *)bench.history,
							       (int)bench.history_length),
				 PAGE_SIZE);
	bench.history_length += PAGE_SIZE;
	for (size_t i = 0; i < PAGE_SIZE; i++)
		content[i] = head & BULK_PAGE_TURNED ? block[i % 4 * 1024 + i / 4] : block[i];
	return head;
}

static void expect_page(uint64_t page, uint16_t from, uint16_t to)
{
	uint8_t content[PAGE_SIZE];

	assert_in_range(take_page(content), from, to);
	assert_memory_equal(content, memory(page), PAGE_SIZE);
}

/* --- hashes --- */

static void test_page_hashes(void **state)
{
	(void)state;
	fill_random(0x400, 1, 256);
	fill_random(0x401, 2, 2);
	memory(0x43f)[PAGE_SIZE - 1] = 1;
	memory(0x440)[0] = 1;
	say(BULK_HASH, 0, 0x1234, 66, 0x400, key);
	serve();
	take_header(BULK_HASH, 0, 0x1234);
	assert_int_equal(take_bitmap(), 0x8000000000000003ull);
	take_hash_of(memory(0x400), PAGE_SIZE);
	take_hash_of(memory(0x401), PAGE_SIZE);
	take_hash_of(memory(0x43f), PAGE_SIZE);
	assert_int_equal(take_bitmap(), 1);
	take_hash_of(memory(0x440), PAGE_SIZE);
	take_end();
}

static void test_group_hashes(void **state)
{
	uint8_t hashes[64][SIPHASH_BYTES] = {{0}};

	(void)state;
	fill_random(0x441, 1, 256);
	fill_random(0x47f, 2, 4);
	hash_of(memory(0x441), PAGE_SIZE, hashes[1]);
	hash_of(memory(0x47f), PAGE_SIZE, hashes[63]);
	/* 0x400, 0x440, 0x480: the first and the last are zero */
	say(BULK_HASH, 6, 1, 3, 0x400, key);
	say(BULK_HASH, 1, 2, 1, 0x441, key);
	serve();
	take_header(BULK_HASH, 0, 1);
	assert_int_equal(take_bitmap(), 2);
	take_hash_of(hashes, sizeof(hashes));
	take_header(BULK_HASH, 0, 2);
	assert_int_equal(take_bitmap(), 1);
	take_hash_of(hashes + 1, 2 * SIPHASH_BYTES);
	take_end();
}

static void test_absent_hashes(void **state)
{
	uint8_t hashes[4][SIPHASH_BYTES];

	(void)state;
	/* the last page of memory, and three behind it */
	say(BULK_HASH, 0, 1, 4, END_PAGE - 1, key);
	say(BULK_HASH, 2, 2, 1, END_PAGE - 2, key);
	serve();
	take_header(BULK_HASH, 0, 1);
	assert_int_equal(take_bitmap(), 0xe);
	for (unsigned i = 0; i < 3; i++)
		assert_memory_equal(take(SIPHASH_BYTES), absent_hash, SIPHASH_BYTES);
	take_header(BULK_HASH, 0, 2);
	assert_int_equal(take_bitmap(), 1);
	memset(hashes, 0, sizeof(hashes));
	memset(hashes[2], 0xff, 2 * SIPHASH_BYTES);
	take_hash_of(hashes, sizeof(hashes));
	take_end();
}

/* --- contents --- */

static void test_contents(void **state)
{
	(void)state;
	fill_random(0x500, 1, 256); /* cannot be compressed */
	fill_random(0x502, 2, 3);
	memset(memory(0x503), 0x77, PAGE_SIZE);
	/* like a page table: 8 bytes that count */
	for (uint64_t i = 0; i < PAGE_SIZE / 8; i++) {
		uint64_t entry = 0x8000000012345067ull + (i << PAGE_SHIFT) * 3;

		memcpy(memory(0x53f) + 8 * i, &entry, sizeof(entry));
	}
	say_pages(0x500, 0x800000000000000dull);
	say_pages(0x501, 1);
	serve();
	take_header(BULK_PAGES, 0, 7);
	expect_page(0x500, PAGE_SIZE, PAGE_SIZE);
	expect_page(0x502, 1, 2000);
	expect_page(0x503, 1, 32);
	expect_page(0x53f, BULK_PAGE_TURNED, BULK_PAGE_TURNED + 2200);
	take_header(BULK_PAGES, 0, 7);
	expect_page(0x501, BULK_PAGE_ZERO, BULK_PAGE_ZERO);
	take_end();
}

/* Pages refer to those before them, however these came, and to none of another answer. */
static void test_history(void **state)
{
	(void)state;
	fill_random(0x500, 1, 256);
	memcpy(memory(0x502), memory(0x500), PAGE_SIZE);
	memory(0x502)[2000] ^= 1;
	for (uint32_t i = 0; i < PAGE_SIZE / 4; i++) {
		uint32_t number = 0x12340000u + i * i * 77;

		memcpy(memory(0x503) + 4 * i, &number, sizeof(number));
	}
	memcpy(memory(0x504), memory(0x503), PAGE_SIZE);
	memory(0x504)[1] ^= 1;
	say_pages(0x500, 0x1f);
	say_pages(0x502, 1);
	serve();
	take_header(BULK_PAGES, 0, 7);
	expect_page(0x500, PAGE_SIZE, PAGE_SIZE);
	expect_page(0x501, BULK_PAGE_ZERO, BULK_PAGE_ZERO);
	expect_page(0x502, 1, 60);
	expect_page(0x503, BULK_PAGE_TURNED, BULK_PAGE_TURNED + PAGE_SIZE - 1);
	expect_page(0x504, BULK_PAGE_TURNED, BULK_PAGE_TURNED + 60);
	take_header(BULK_PAGES, 0, 7);
	expect_page(0x502, PAGE_SIZE, PAGE_SIZE);
	take_end();
}

/* More pages than a distance reaches over. */
static void test_long_history(void **state)
{
	unsigned shorter = 0;

	(void)state;
	for (unsigned page = 0; page < BULK_RECORD; page++) {
		fill_random(0x500 + page, page % 3, 256);
		memory(0x500 + page)[0] = (uint8_t)page;
	}
	say_pages(0x500, ~0ull);
	serve();
	take_header(BULK_PAGES, 0, 7);
	for (unsigned page = 0; page < BULK_RECORD; page++) {
		uint8_t content[PAGE_SIZE];

		shorter += take_page(content) < 60;
		assert_memory_equal(content, memory(0x500 + page), PAGE_SIZE);
	}
	take_end();
	/* all but the first three have one like them just before */
	assert_int_equal(shorter, BULK_RECORD - 3);
}

/* Nothing of hidden memory comes out, and what is on both sides of it does. */
static void test_hidden_memory(void **state)
{
	uint8_t content[PAGE_SIZE];

	(void)state;
	/* but for the tables that are kept there */
	for (unsigned page = 0; page < 3; page++)
		memset(memory(HIDDEN_PAGE - 2 + page), 0x55, PAGE_SIZE);
	memset(memory(HIDDEN_PAGE + 255), 0x55, PAGE_SIZE);
	/* the first page behind the window is half hidden */
	bench.spine.fake.vm.hidden[0].length += PAGE_SIZE / 2;
	memset(memory(HIDDEN_PAGE + 256), 0x66, PAGE_SIZE);
	say_pages(HIDDEN_PAGE - 2, 0xf);
	say_pages(HIDDEN_PAGE + 255, 3);
	say(BULK_HASH, 0, 3, 2, HIDDEN_PAGE, key);
	serve();
	take_header(BULK_PAGES, 0, 7);
	expect_page(HIDDEN_PAGE - 2, 1, PAGE_SIZE);
	expect_page(HIDDEN_PAGE - 1, 1, PAGE_SIZE);
	assert_int_equal(take_page(content), BULK_PAGE_ABSENT);
	assert_int_equal(take_page(content), BULK_PAGE_ABSENT);
	take_header(BULK_PAGES, 0, 7);
	assert_int_equal(take_page(content), BULK_PAGE_ABSENT);
	assert_in_range(take_page(content), 1, PAGE_SIZE);
	for (size_t i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(content[i], i < PAGE_SIZE / 2 ? 0 : 0x66);
	take_header(BULK_HASH, 0, 3);
	assert_int_equal(take_bitmap(), 3);
	assert_memory_equal(take(SIPHASH_BYTES), absent_hash, SIPHASH_BYTES);
	assert_memory_equal(take(SIPHASH_BYTES), absent_hash, SIPHASH_BYTES);
	take_end();
}

/* Memory that ends within a page, and a part of one that is a device's. */
static void test_partial_pages(void **state)
{
	uint8_t content[PAGE_SIZE];

	(void)state;
	bench.spine.machine.memory.range[0].length = 0x600000 + 0x123;
	memset(memory(0x600), 0x11, PAGE_SIZE);
	say_pages(0x600, 3);
	serve();
	take_header(BULK_PAGES, 0, 7);
	assert_in_range(take_page(content), 1, PAGE_SIZE);
	for (size_t i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(content[i], i < 0x123 ? 0x11 : 0);
	assert_int_equal(take_page(content), BULK_PAGE_ABSENT);
	take_end();
}

static uint64_t device_read(struct vcpu *vcpu, struct region *region, uint64_t offset, unsigned size)
{
	(void)vcpu;
	(void)region;
	(void)offset;
	(void)size;
	fail_msg("a device was read");
	return 0;
}

static void test_devices_are_not_touched(void **state)
{
	static const struct owner owner = {.name = "test"};
	struct vcpu *vcpu = &bench.spine.fake.vcpu.vcpu;
	struct region region = {.space = REGION_MMIO,
				.start = 0x700800,
				.length = 0x100,
				.trap_reads = true,
				.read = device_read,
				.owner = &owner};
	const struct region *conflict;
	uint8_t content[PAGE_SIZE];
	unsigned before;

	(void)state;
	memset(memory(0x700), 0x22, PAGE_SIZE);
	assert_int_equal(region_add(vcpu, &region, &conflict), 0);
	before = bench.spine.fake.platform.access_count;
	say_pages(0x700, 1);
	say_pages(0xfee00, 1); /* the local APIC */
	say(BULK_HASH, 0, 1, 1, 0x700, key);
	serve();
	take_header(BULK_PAGES, 0, 7);
	assert_in_range(take_page(content), 1, PAGE_SIZE);
	for (size_t i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(content[i], i < 0x800 || i >= 0x900 ? 0x22 : 0);
	take_header(BULK_PAGES, 0, 7);
	assert_int_equal(take_page(content), BULK_PAGE_ABSENT);
	assert_int_equal(bench.spine.fake.platform.access_count, before);
}

/* --- requests --- */

static void test_wrong_requests(void **state)
{
	static const uint8_t nothing[SIPHASH_BYTES];
	static const struct {
		uint8_t kind, shift;
		uint32_t count;
		uint64_t page;
		const uint8_t *more;
	} wrong[] = {
		{0, 0, 1, 0, key},
		{3, 0, 1, 0, key},
		{0xff, 0xff, 0xffffffff, ~0ull, key},
		{BULK_HASH, 17, 1, 0, key},
		{BULK_HASH, 255, 1, 0, key},
		{BULK_HASH, 0, 0, 0, key},
		{BULK_HASH, 0, 65537, 0, key},
		{BULK_HASH, 0, 0xffffffff, 0, key},
		{BULK_HASH, 0, 1, 1ull << 40, key},
		{BULK_HASH, 0, 1, ~0ull, key},
		{BULK_PAGES, 0, 0, 0, nothing},
		{BULK_PAGES, 0, 0, 1ull << 40, key},
		{BULK_PAGES, 0, 0, 1ull << 63, key},
	};

	(void)state;
	for (uint16_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		say(wrong[i].kind, wrong[i].shift, i, wrong[i].count, wrong[i].page, wrong[i].more);
		serve();
		take_header(wrong[i].kind, EINVAL, i);
		take_end();
	}
	/* and the next one is not harmed */
	say_pages(0x400, 1);
	serve();
	take_header(BULK_PAGES, 0, 7);
	expect_page(0x400, BULK_PAGE_ZERO, BULK_PAGE_ZERO);
	take_end();
}

static size_t parse_bytes(const char *text, uint8_t *bytes, size_t size)
{
	size_t count = 0;
	unsigned value;
	int used;

	for (; sscanf(text, "%2x%n", &value, &used) == 1; text += used) {
		assert_true(count < size);
		bytes[count++] = (uint8_t)value;
	}
	return count;
}

static void check_example(const uint8_t *request, size_t length, const uint8_t *answer, size_t answer_length)
{
	assert_int_equal(length, BULK_REQUEST);
	fake_link_say(&bench.link, request, length);
	serve();
	assert_memory_equal(take(answer_length), answer, answer_length);
	take_end();
}

/* Lines "    HASH WORDS: BYTES" and "    answer: BYTES" of docs/protocol.md, which go on in lines without a colon. */
static void test_examples(void **state)
{
	FILE *file = fopen("docs/protocol.md", "r");
	uint8_t bytes[2][80];
	size_t length[2] = {0};
	unsigned which = 0, count = 0;
	char line[200];

	(void)state;
	assert_non_null(file);
	memset(memory(0x401), 0x77, PAGE_SIZE);
	memset(memory(0x402), 0x77, PAGE_SIZE);
	while (fgets(line, sizeof(line), file)) {
		const char *at = strchr(line, ':');
		bool request = !strncmp(line, "    HASH ", 9) || !strncmp(line, "    PAGES ", 10);
		bool answer = !strncmp(line, "    answer:", 11);

		if (length[1] && (request || strncmp(line, "    ", 4) != 0)) {
			check_example(bytes[0], length[0], bytes[1], length[1]);
			length[0] = length[1] = 0;
			count++;
		}
		if (request || answer)
			which = answer;
		else if (!length[0] || strncmp(line, "     ", 5) != 0)
			continue;
		length[which] += parse_bytes(at ? at + 1 : line, bytes[which] + length[which],
					     sizeof(bytes[which]) - length[which]);
	}
	fclose(file);
	assert_int_equal(count, 5);
}

/* The last pages that can be asked for, with nothing there. */
static void test_limits(void **state)
{
	uint8_t content[PAGE_SIZE];

	(void)state;
	say_pages(BULK_PAGE_END - 1, 0x8000000000000001ull);
	say(BULK_HASH, 16, 9, 1, BULK_PAGE_END - 1, key);
	serve();
	take_header(BULK_PAGES, 0, 7);
	assert_int_equal(take_page(content), BULK_PAGE_ABSENT);
	assert_int_equal(take_page(content), BULK_PAGE_ABSENT);
	take_header(BULK_HASH, 0, 9);
	assert_int_equal(take_bitmap(), 1);
	take(SIPHASH_BYTES);
	take_end();
}

/* The wire gives and takes a byte at a time: what is said and answered does not change. */
static void test_cut_into_bytes(void **state)
{
	static uint8_t whole[3 * PAGE_SIZE];
	size_t length;

	(void)state;
	fill_random(0x401, 1, 256);
	fill_random(0x402, 2, 2);
	for (unsigned round = 0; round < 2; round++) {
		say(BULK_HASH, 0, 1, 8, 0x400, key);
		say_pages(0x400, 0xff);
		if (round) {
			size_t end = bench.link.in_count;

			bench.link.room = 1;
			for (bench.link.in_count = bench.link.in_read + 1; bench.link.in_count < end;
			     bench.link.in_count++)
				bulk_poll(&bench.bulk);
		}
		serve();
		if (!round) {
			length = bench.link.out_count;
			assert_in_range(length, PAGE_SIZE, sizeof(whole));
			memcpy(whole, bench.link.out, length);
			bench.link.out_count = 0;
		}
	}
	assert_int_equal(bench.link.out_count, length);
	assert_memory_equal(bench.link.out, whole, length);
}

/* No single look takes long, however much is asked for; one that takes nothing stops the work. */
static void test_work_is_bounded(void **state)
{
	uint64_t start_us;

	(void)state;
	say(BULK_HASH, 16, 1, 65536, 0, key);
	for (unsigned i = 0; i < 5; i++) {
		start_us = bench.spine.fake.platform.clock_us;
		bulk_poll(&bench.bulk);
		assert_true(bulk_is_busy(&bench.bulk));
		assert_in_range(bench.spine.fake.platform.clock_us - start_us, BULK_POLL_US, BULK_POLL_US + 50);
	}
	bulk_reset(&bench.bulk);
	assert_false(bulk_is_busy(&bench.bulk));
	bench.link.room = 0;
	bench.link.out_count = 0;
	say_pages(0, ~0ull);
	start_us = bench.spine.fake.platform.clock_us;
	for (unsigned i = 0; i < 10; i++)
		bulk_poll(&bench.bulk);
	assert_in_range(bench.spine.fake.platform.clock_us - start_us, 10, 60);
	assert_true(bulk_is_busy(&bench.bulk));
	assert_int_equal(bench.link.out_count, 0);
}

/* What a client that went asked for, and the half request it left behind, is not answered to the next one. */
static void test_reset(void **state)
{
	uint8_t half[BULK_REQUEST / 2] = {BULK_PAGES};

	(void)state;
	fill_random(0x400, 1, 256);
	bench.link.room = 100;
	say_pages(0x400, ~0ull);
	bulk_poll(&bench.bulk);
	bench.link.room = 0;
	bulk_poll(&bench.bulk);
	bulk_reset(&bench.bulk);
	fake_link_say(&bench.link, half, sizeof(half));
	bulk_poll(&bench.bulk);
	bulk_reset(&bench.bulk);
	bench.link.room = FAKE_LINK_QUEUE;
	bench.read = bench.link.out_count;
	say_pages(0x401, 1);
	serve();
	take_header(BULK_PAGES, 0, 7);
	expect_page(0x401, BULK_PAGE_ZERO, BULK_PAGE_ZERO);
	take_end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_page_hashes),	   TEST(test_group_hashes),    TEST(test_absent_hashes),
		TEST(test_contents),	   TEST(test_hidden_memory),   TEST(test_partial_pages),
		TEST(test_wrong_requests), TEST(test_limits),	       TEST(test_devices_are_not_touched),
		TEST(test_cut_into_bytes), TEST(test_work_is_bounded), TEST(test_reset),
		TEST(test_examples),	   TEST(test_history),	       TEST(test_long_history),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
