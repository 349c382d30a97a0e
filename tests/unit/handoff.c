/* SPDX-License-Identifier: BSD-2-Clause */
/* core/plan/handoff.c: what is written is read back; a damaged buffer is refused and never followed out of its bounds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/handoff.h>

#define SIZE 512u

/* A handoff with three records in an allocation of its own, so that any step outside is seen. */
static struct handoff *make(void)
{
	struct handoff *handoff = calloc(1, SIZE);

	assert_non_null(handoff);
	assert_int_equal(handoff_begin(handoff, SIZE), 0);
	assert_int_equal(handoff_add(handoff, SIZE, HANDOFF_FONT, "hello", 5), 0);
	assert_int_equal(handoff_add(handoff, SIZE, HANDOFF_REMAP, &(struct handoff_remap){1, 2}, 16), 0);
	assert_int_equal(handoff_add(handoff, SIZE, HANDOFF_REMAP, &(struct handoff_remap){3, 4}, 16), 0);
	return handoff;
}

/* Reads everything there is; bounded by the number of records that can lie in the buffer. */
static void walk(const struct handoff *handoff)
{
	for (uint32_t type = 0; type < 12; type++) {
		const void *content = NULL;
		unsigned found = 0;
		size_t length;

		while ((content = handoff_find(handoff, type, content, &length)) != NULL) {
			assert_true((const char *)content + length <= (const char *)handoff + handoff->size);
			assert_true(++found <= SIZE / sizeof(struct handoff_record));
		}
	}
}

static void test_round_trip(void **state)
{
	struct handoff *handoff = make();
	const struct handoff_remap *first, *second;
	size_t length = 0;
	const char *text;

	(void)state;
	assert_int_equal(handoff_check(handoff, SIZE), 0);
	assert_int_equal(handoff_check(handoff, handoff->size), 0);
	assert_int_equal(handoff_check(handoff, handoff->size - 1), -EINVAL);
	text = handoff_find(handoff, HANDOFF_FONT, NULL, &length);
	assert_int_equal(length, 5);
	assert_memory_equal(text, "hello", 5);
	assert_null(handoff_find(handoff, HANDOFF_FONT, text, &length));
	first = handoff_find(handoff, HANDOFF_REMAP, NULL, &length);
	assert_int_equal(length, sizeof(*first));
	assert_int_equal((uintptr_t)first % 8, 0);
	assert_int_equal(first->copy, 2);
	second = handoff_find(handoff, HANDOFF_REMAP, first, &length);
	assert_int_equal(second->copy, 4);
	assert_null(handoff_find(handoff, HANDOFF_REMAP, second, &length));
	/* from one type's record to the next of another; a cursor that is no record */
	assert_ptr_equal(handoff_find(handoff, HANDOFF_REMAP, text, &length), first);
	assert_null(handoff_find(handoff, HANDOFF_REMAP, (const char *)first + 8, &length));
	assert_null(handoff_find(handoff, HANDOFF_REMAP, "elsewhere", &length));
	assert_null(handoff_find(handoff, HANDOFF_MACHINE, NULL, &length));
	assert_null(handoff_find(handoff, HANDOFF_END, NULL, &length));
	free(handoff);
}

static void test_empty_records(void **state)
{
	struct handoff *handoff = calloc(1, SIZE);
	const void *first, *second;
	size_t length = 7;

	(void)state;
	assert_int_equal(handoff_begin(handoff, SIZE), 0);
	assert_int_equal(handoff_check(handoff, SIZE), 0);
	assert_int_equal(handoff_add(handoff, SIZE, HANDOFF_FONT, NULL, 0), 0);
	assert_int_equal(handoff_add(handoff, SIZE, HANDOFF_FONT, NULL, 0), 0);
	assert_int_equal(handoff_check(handoff, SIZE), 0);
	first = handoff_find(handoff, HANDOFF_FONT, NULL, &length);
	assert_non_null(first);
	assert_int_equal(length, 0);
	second = handoff_find(handoff, HANDOFF_FONT, first, &length);
	assert_non_null(second);
	assert_ptr_not_equal(first, second);
	assert_null(handoff_find(handoff, HANDOFF_FONT, second, &length));
	free(handoff);
}

/* Buffers of every size: what fits is written inside, what does not leaves a good handoff. */
static void test_sizes(void **state)
{
	static const char content[40] = "forty bytes";

	(void)state;
	for (size_t size = 0; size < 200; size++) {
		for (size_t length = 0; length <= sizeof(content); length++) {
			struct handoff *handoff = malloc(size ? size : 1);
			size_t padded = ALIGN_UP(length, 8);
			int error;

			assert_non_null(handoff);
			error = handoff_begin(handoff, size);
			assert_int_equal(error, size < 32 ? -ENOSPC : 0);
			if (!error) {
				error = handoff_add(handoff, size, HANDOFF_FONT, content, length);
				assert_int_equal(handoff_check(handoff, size), 0);
				if (size >= 32 + 16 + padded + 8)
					assert_int_equal(error, 0);
				if (size < 32 + 16 + padded)
					assert_int_equal(error, -ENOSPC);
				assert_int_equal(handoff_add(handoff, size, HANDOFF_FONT, content, SIZE_MAX), -ENOSPC);
				assert_int_equal(handoff_add(handoff, size, HANDOFF_END, content, 1), -EINVAL);
				assert_int_equal(handoff_check(handoff, size), 0);
			}
			free(handoff);
		}
	}
}

static void test_writer_refuses(void **state)
{
	uint64_t buffer[32] = {0};
	struct handoff *handoff = (void *)buffer;

	(void)state;
	assert_int_equal(handoff_begin((char *)buffer + 4, 128), -EINVAL);
	assert_int_equal(handoff_add(buffer, sizeof(buffer), HANDOFF_FONT, "x", 1), -EINVAL);
	assert_int_equal(handoff_begin(buffer, sizeof(buffer)), 0);
	assert_int_equal(handoff_add((char *)buffer + 4, 128, HANDOFF_FONT, "x", 1), -EINVAL);
	handoff->size = sizeof(buffer) + 8;
	assert_int_equal(handoff_add(buffer, sizeof(buffer), HANDOFF_FONT, "x", 1), -EINVAL);
	handoff->size = 33;
	assert_int_equal(handoff_add(buffer, sizeof(buffer), HANDOFF_FONT, "x", 1), -EINVAL);
}

static void test_header_damage(void **state)
{
	struct handoff *handoff = make();
	void *tiny = malloc(8);

	(void)state;
	assert_non_null(tiny);
	memcpy(tiny, handoff, 8);
	assert_int_equal(handoff_check(tiny, 8), -EINVAL);
	free(tiny);
	handoff->magic ^= 1;
	assert_int_equal(handoff_check(handoff, SIZE), -EINVAL);
	handoff->magic ^= 1;
	handoff->version++;
	assert_int_equal(handoff_check(handoff, SIZE), -EINVAL);
	handoff->version--;
	handoff->size += 8;
	assert_int_equal(handoff_check(handoff, SIZE), -EINVAL);
	handoff->size = SIZE + 1;
	assert_int_equal(handoff_check(handoff, SIZE), -EINVAL);
	handoff->size = 0;
	assert_int_equal(handoff_check(handoff, SIZE), -EINVAL);
	assert_int_equal(handoff_check(handoff, 31), -EINVAL);
	assert_int_equal(handoff_check(handoff, 0), -EINVAL);
	assert_int_equal(handoff_check((char *)handoff + 4, SIZE - 4), -EINVAL);
	free(handoff);
}

static void test_record_damage(void **state)
{
	static const uint64_t sizes[] = {6,	    16, 4096, UINT32_MAX, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 15,
					 1ull << 63};
	struct handoff *handoff = make();
	struct handoff_record *record = (void *)(handoff + 1);
	size_t length;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		record->size = sizes[i];
		walk(handoff);
		assert_int_equal(handoff_check(handoff, SIZE), sizes[i] == 6 ? 0 : -EINVAL);
	}
	record->size = 5;

	/* an empty record whose size, rounded up, is 0 again */
	assert_int_equal(handoff_begin(handoff, SIZE), 0);
	assert_int_equal(handoff_add(handoff, SIZE, HANDOFF_FONT, NULL, 0), 0);
	record->size = UINT64_MAX;
	assert_int_equal(handoff_check(handoff, SIZE), -EINVAL);
	assert_null(handoff_find(handoff, HANDOFF_FONT, NULL, &length));
	record->size = 0;
	record->version = 2;
	assert_int_equal(handoff_check(handoff, SIZE), -EINVAL);
	record->version = 1;
	record->type = HANDOFF_END;
	assert_int_equal(handoff_check(handoff, SIZE), -EINVAL);
	assert_null(handoff_find(handoff, HANDOFF_REMAP, NULL, &length));
	free(handoff);
}

/* Each single bit flipped: accepted or not, reading stays inside and ends. */
static void test_every_bit(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 160u * 8; bit++) {
		struct handoff *whole = make();
		size_t size = whole->size;
		uint8_t *handoff = malloc(size);

		assert_non_null(handoff);
		memcpy(handoff, whole, size);
		handoff[bit / 8 % size] ^= (uint8_t)(1u << bit % 8);
		if (handoff_check(handoff, size) == 0)
			walk((struct handoff *)(void *)handoff);
		free(handoff);
		free(whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_empty_records),
		cmocka_unit_test(test_sizes),	      cmocka_unit_test(test_writer_refuses),
		cmocka_unit_test(test_header_damage), cmocka_unit_test(test_record_damage),
		cmocka_unit_test(test_every_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
