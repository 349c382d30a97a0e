/* SPDX-License-Identifier: BSD-2-Clause */
/* core/control/siphash.c against values of OpenSSL's SIPHASH with 16 bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/control/siphash.h"

static const uint8_t key[SIPHASH_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static const struct {
	size_t length;
	uint8_t factor; /* byte i of the message is i times that */
	uint8_t hash[SIPHASH_BYTES];
} known[] = {
	{0, 1, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
	{8, 1, {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97, 0xb4}},
	{16, 1, {0x6e, 0xe2, 0xa4, 0xca, 0x67, 0xb0, 0x54, 0xbb, 0xfd, 0x33, 0x15, 0xbf, 0x85, 0x23, 0x05, 0x77}},
	{64, 1, {0x1e, 0xaf, 0x07, 0x7d, 0xc0, 0xd4, 0xcd, 0x3f, 0x8c, 0xad, 0x4d, 0x38, 0x36, 0x58, 0xa7, 0x4b}},
	{4096, 7, {0x9d, 0xca, 0xad, 0x01, 0x15, 0xce, 0x7a, 0x90, 0x82, 0x22, 0x1d, 0x5a, 0x4a, 0x5a, 0x12, 0xba}},
};

static void test_known_values(void **state)
{
	uint8_t message[4096], hash[SIPHASH_BYTES];
	struct siphash sip;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		for (size_t at = 0; at < known[i].length; at++)
			message[at] = (uint8_t)(at * known[i].factor);
		/* whole, and in pieces of growing size */
		for (size_t step = known[i].length; step; step = step > 8 ? step / 16 * 8 : 0) {
			siphash_init(&sip, key);
			for (size_t at = 0; at < known[i].length; at += step) {
				size_t left = known[i].length - at;

				siphash_add(&sip, message + at, left < step ? left : step);
			}
			siphash_end(&sip, hash);
			assert_memory_equal(hash, known[i].hash, sizeof(hash));
		}
	}
	siphash_init(&sip, key);
	siphash_end(&sip, hash);
	assert_memory_equal(hash, known[0].hash, sizeof(hash));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_values)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
