/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/plan/mcfg.c: where configuration space is in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <undercroft/firmware.h>

#define FUNCTION 0x8000b300u

static void test_mcfg(void **state)
{
	uint8_t table[44 + 3 * 16] = {0};
	uint64_t base = 0xe0000000, other = 0x1d0000000;

	(void)state;
	/* segment 1; buses 4 to 7 of segment 0; buses 0 to 3 */
	memcpy(table + 44, &other, 8);
	table[44 + 8] = 1;
	table[44 + 11] = 255;
	memcpy(table + 60, &other, 8);
	table[60 + 10] = 4;
	table[60 + 11] = 7;
	memcpy(table + 76, &base, 8);
	table[76 + 11] = 3;
	assert_int_equal(mcfg_config_page(table, sizeof(table), FUNCTION), 0xe00b3000);
	assert_int_equal(mcfg_config_page(table, sizeof(table), FUNCTION | 0x050000), 0x1d05b3000);
	assert_int_equal(mcfg_config_page(table, sizeof(table), FUNCTION | 0x080000), 0);
	/* cut short */
	assert_int_equal(mcfg_config_page(table, sizeof(table) - 1, FUNCTION), 0);
	assert_int_equal(mcfg_config_page(table, 44, FUNCTION), 0);
	assert_int_equal(mcfg_config_page(table, 0, FUNCTION), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mcfg)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
