/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/control/lz4.c: what it writes is read back by the lz4 project's own decoder. client/libcroft/unlz4.c: reads what
 * both encoders write, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <lz4.h>

#include "client/libcroft/unlz4.h"
#include "core/control/lz4.h"

#define GUARD 0xa5u

static struct lz4 lz4;

/* Compresses, checks what was written and read back. Returns the length, 0: it did not fit. */
static size_t round_trip(const uint8_t *in, size_t length, size_t room)
{
	/* each exactly as large as it may be, for the sanitizer */
	uint8_t *copy = malloc(length ? length : 1), *out = malloc(room + 1), *back = malloc(length ? length : 1);
	size_t used;

	memcpy(copy, in, length);
	memset(out, GUARD, room + 1);
	lz4_begin(&lz4);
	used = lz4_compress(&lz4, copy, length, out, room);
	assert_memory_equal(copy, in, length);
	assert_int_equal(out[room], GUARD);
	assert_true(used <= room);
	if (used) {
		assert_int_equal(LZ4_decompress_safe((char *)out, (char *)back, (int)used, (int)length), length);
		assert_memory_equal(back, in, length);
		memset(back, GUARD, length);
		assert_true(unlz4(out, used, back, length, 0));
		assert_memory_equal(back, in, length);
	}
	free(copy);
	free(out);
	free(back);
	return used;
}

static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void fill_random(uint8_t *bytes, size_t length, uint32_t seed, unsigned values)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(random_next(&seed) % values);
}

static void test_zero(void **state)
{
	static const uint8_t page[PAGE_SIZE];

	(void)state;
	/* a literal and one match of 4090: token, literal, distance, 16 bytes of length; a token and 5 literals */
	assert_int_equal(round_trip(page, PAGE_SIZE, PAGE_SIZE), 26);
}

static void test_repetitive(void **state)
{
	uint8_t page[PAGE_SIZE];

	(void)state;
	for (unsigned period = 1; period <= 600; period++) {
		fill_random(page, period, period, 256);
		for (size_t i = period; i < PAGE_SIZE; i++)
			page[i] = page[i - period];
		/* the period once, and one match */
		assert_in_range(round_trip(page, PAGE_SIZE, PAGE_SIZE), 1, period + 40);
	}
}

static void test_random_does_not_fit(void **state)
{
	uint8_t page[PAGE_SIZE];

	(void)state;
	for (uint32_t seed = 1; seed < 50; seed++) {
		fill_random(page, PAGE_SIZE, seed, 256);
		assert_int_equal(round_trip(page, PAGE_SIZE, PAGE_SIZE - 1), 0);
		/* a token, 15, 15 times 255 and the rest */
		assert_int_equal(round_trip(page, PAGE_SIZE, PAGE_SIZE + 18), PAGE_SIZE + 18);
		assert_int_equal(round_trip(page, PAGE_SIZE, PAGE_SIZE + 17), 0);
	}
}

/* Few different bytes make many short matches, at all places and of all lengths. */
static void test_all_lengths(void **state)
{
	uint8_t page[PAGE_SIZE];

	(void)state;
	for (size_t length = 0; length <= PAGE_SIZE; length += length < 600 ? 1 : 97) {
		for (unsigned values = 1; values <= 256; values *= 4) {
			fill_random(page, length, (uint32_t)length * 5 + values, values);
			assert_true(round_trip(page, length, 2 * PAGE_SIZE) > 0);
		}
	}
}

static void test_any_room(void **state)
{
	uint8_t page[PAGE_SIZE];
	size_t whole;

	(void)state;
	fill_random(page, PAGE_SIZE, 3, 3);
	whole = round_trip(page, PAGE_SIZE, PAGE_SIZE);
	assert_in_range(whole, 1500, 2000);
	for (size_t room = 0; room < whole; room++)
		assert_int_equal(round_trip(page, PAGE_SIZE, room), 0);
	assert_int_equal(round_trip(page, PAGE_SIZE, whole), whole);
}

/* Many pages that are a little like each other, and pages that were only tried. */
static void test_history(void **state)
{
	enum { PAGES = 70 };
	static uint8_t pages[PAGES * PAGE_SIZE];
	uint8_t out[PAGE_SIZE + 32], first[PAGE_SIZE + 32], other[PAGE_SIZE], page[PAGE_SIZE];
	size_t used, same, length = 0, longest = 0;
	uint32_t seed = 1;

	(void)state;
	lz4_begin(&lz4);
	for (unsigned i = 0; i < PAGES; i++) {
		uint8_t *at = pages + length, *back = malloc(length + PAGE_SIZE);
		size_t size = i % 5 ? PAGE_SIZE : 1 + random_next(&seed) % PAGE_SIZE;

		fill_random(at, size, i % 7, i % 2 ? 256 : 3);
		for (unsigned j = 0; j < 20; j++)
			at[random_next(&seed) % size] = (uint8_t)random_next(&seed);
		memcpy(page, at, size);
		used = lz4_compress(&lz4, page, size, first, sizeof(first));
		/* what is tried leaves no trace */
		fill_random(other, size, i, 4);
		assert_true(lz4_compress(&lz4, other, size, out, sizeof(out)) > 0);
		assert_int_equal(lz4_compress(&lz4, page, size, out, 10), 0);
		same = lz4_compress(&lz4, page, size, out, sizeof(out));
		assert_int_equal(same, used);
		assert_memory_equal(first, out, used);
		assert_int_equal(LZ4_decompress_safe_usingDict((char *)out, (char *)back, (int)used, (int)size,
							       (char *)pages, (int)length),
				 size);
		assert_memory_equal(back, page, size);
		memcpy(back, pages, length);
		assert_true(unlz4(out, used, back + length, size, length));
		assert_memory_equal(back + length, page, size);
		/* nothing before the history is touched */
		longest = lz4.length > longest ? lz4.length : longest;
		assert_true(unlz4(out, used, back + length, size, lz4.length));
		lz4_add(&lz4, page, size);
		length += size;
		free(back);
	}
	assert_in_range(longest, LZ4_HISTORY - 2 * PAGE_SIZE, LZ4_HISTORY);
	/* the page before once more */
	assert_in_range(lz4_compress(&lz4, page, PAGE_SIZE, out, sizeof(out)), 1, 32);
}

/* At least as good as the lz4 project's fast encoder on records: an address, a constant, a count, flags. */
static void test_ratio(void **state)
{
	uint8_t page[PAGE_SIZE];
	char out[2 * PAGE_SIZE];
	size_t ours = 0, theirs = 0;
	uint32_t seed = 9;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		for (size_t at = 0; at < PAGE_SIZE; at += 16) {
			uint32_t record[4] = {(uint32_t)at * (i + 1), 0xffff8880u, i, random_next(&seed) % 4};

			memcpy(page + at, record, sizeof(record));
		}
		ours += round_trip(page, PAGE_SIZE, PAGE_SIZE);
		theirs += (size_t)LZ4_compress_default((const char *)page, out, PAGE_SIZE, sizeof(out));
	}
	assert_in_range(ours, 1, theirs);
}

/* Blocks that are damaged, cut, or for another size: nothing beyond its ends is touched, and a size is never wrong. */
static void test_damaged_blocks(void **state)
{
	uint8_t page[PAGE_SIZE], packed[2 * PAGE_SIZE];
	uint32_t seed = 1;
	unsigned refused = 0;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		size_t length = 200 + random_next(&seed) % 3000, history = random_next(&seed) % 300, cut;
		int used;
		uint8_t *block, *whole = calloc(1, history + length), *out = whole + history;

		fill_random(page, length, seed, 3);
		used = LZ4_compress_default((char *)page, (char *)packed, (int)length, sizeof(packed));
		assert_true(unlz4(packed, (size_t)used, out, length, 0));
		assert_memory_equal(out, page, length);
		assert_false(unlz4(packed, (size_t)used, page, length - 1, 0));
		assert_false(unlz4(packed, (size_t)used, page, length + 1, 0));
		cut = random_next(&seed) % 4 ? (size_t)used : random_next(&seed) % (size_t)used;
		/* as long as it is, for the sanitizer */
		block = malloc(cut ? cut : 1);
		memcpy(block, packed, cut);
		for (unsigned i = random_next(&seed) % 4; i && cut; i--)
			block[random_next(&seed) % cut] = (uint8_t)random_next(&seed);
		refused += !unlz4(block, cut, out, length, history);
		for (size_t i = 0; i < history; i++)
			assert_int_equal(whole[i], 0);
		free(block);
		free(whole);
	}
	assert_in_range(refused, 1000, 2999);
	/* a literal, and a match of 4 that begins 4 bytes before it */
	for (size_t history = 0; history < 6; history++) {
		static const uint8_t far[] = {0x10, 'x', 5, 0, 0x10, 'y'};
		uint8_t out[16] = "0123456789";

		assert_int_equal(unlz4(far, sizeof(far), out + history, 6, history), history >= 4);
		if (history == 4)
			assert_memory_equal(out, "0123x0123y", 10);
	}
	assert_false(unlz4(page, 0, page, 0, 0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_repetitive),
		cmocka_unit_test(test_random_does_not_fit),
		cmocka_unit_test(test_all_lengths),
		cmocka_unit_test(test_any_room),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_ratio),
		cmocka_unit_test(test_damaged_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
