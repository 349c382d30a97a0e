/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/plan/sleep.c and core/sleep.c: what tables say about sleep, well-formed and damaged, and a guest that wants to
 * sleep in every way.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/firmware.h>

#include "core/sleep.h"
#include "tests/unit/spine.h"

/* --- tables ------------------------------------------------------------------------------------------------------- */

#define ROM	0xe0000u
#define RSDT_AT 0xe0100u
#define FADT_AT 0xe0200u
#define SSDT_AT 0xe0400u
#define DSDT_AT 0xe1000u
#define SIZE	0x8000u

static uint8_t rom[SIZE];

static int read_memory(struct firmware_memory *memory, paddr_t address, void *to, size_t length)
{
	(void)memory;
	if (address < ROM || address - ROM > SIZE || length > SIZE - (address - ROM))
		return -EFAULT;
	memcpy(to, rom + (address - ROM), length);
	return 0;
}

static struct firmware_memory memory = {.read = read_memory};

static void put32(uint32_t at, uint32_t value)
{
	memcpy(rom + (at - ROM), &value, 4);
}

static void put64(uint32_t at, uint64_t value)
{
	memcpy(rom + (at - ROM), &value, 8);
}

static void checksum(uint32_t at, uint32_t length, uint32_t where)
{
	uint8_t sum = 0;

	rom[at - ROM + where] = 0;
	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + rom[at - ROM + i]);
	rom[at - ROM + where] = (uint8_t)-sum;
}

static void table_close(uint32_t at, const char *signature, uint32_t length)
{
	memcpy(rom + (at - ROM), signature, 4);
	put32(at + 4, length);
	checksum(at, length, 9);
}

/* A DSDT of length bytes with this AML at an offset of it. */
static void dsdt_make(const void *aml, size_t size, uint32_t offset, uint32_t length)
{
	memset(rom + (DSDT_AT - ROM), 0x5b, length);
	memcpy(rom + (DSDT_AT - ROM) + offset, aml, size);
	table_close(DSDT_AT, "DSDT", length);
}

/* Name (\_S3, Package (4) {1, 1, 0, 0}), S4 with 2, S5 with 0: as QEMU's PC says it */
static const uint8_t aml_qemu[] = {
	0x08, '_', 'S', '3', '_', 0x12, 0x06, 0x04, 0x01, 0x01, 0x00, 0x00,		/* S3 */
	0x08, '_', 'S', '4', '_', 0x12, 0x08, 0x04, 0x0a, 0x02, 0x0a, 0x02, 0x00, 0x00, /* S4 */
	0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x00, 0x00, 0x00, 0x00,		/* S5 */
};

/* As chipsets of laptops have it: with the root prefix, two-byte package lengths, other numbers for PM1b */
static const uint8_t aml_laptop[] = {
	0x08, '\\', '_', 'S', '1', '_',	 0x12, 0x46, 0x00, 0x04, 0x0a, 0x01, 0x00, 0x00, 0x00, 0x08,
	'\\', '_',  'S', '3', '_', 0x12, 0x46, 0x00, 0x04, 0x0a, 0x05, 0x0b, 0x03, 0x00, 0x00, 0x08,
	'\\', '_',  'S', '4', '_', 0x12, 0x07, 0x04, 0x0c, 0x06, 0x00, 0x00, 0x00, 0x0a, 0x06, 0x08,
	'\\', '_',  'S', '5', '_', 0x12, 0x07, 0x02, 0x0a, 0x07, 0x0a, 0x07, 0x00, 0x00,
};

static void tables_make(void)
{
	memset(rom, 0, sizeof(rom));
	memcpy(rom, "RSD PTR ", 8);
	put32(ROM + 16, RSDT_AT);
	checksum(ROM, 20, 8);
	put32(RSDT_AT + 36, FADT_AT);
	table_close(RSDT_AT, "RSDT", 40);
	put32(FADT_AT + 40, DSDT_AT);
	put32(FADT_AT + 56, 0x600);
	put32(FADT_AT + 64, 0x604);
	table_close(FADT_AT, "FACP", 116);
	dsdt_make(aml_qemu, sizeof(aml_qemu), 100, 400);
}

static void expect_types(const struct sleep_control *found, unsigned state, unsigned a, unsigned b)
{
	assert_int_equal(found->types[state][0], a);
	assert_int_equal(found->types[state][1], b);
}

static void test_find(void **state)
{
	struct sleep_control found;

	(void)state;
	tables_make();
	assert_int_equal(firmware_find_sleep(&memory, ROM, &found), 0);
	assert_int_equal(found.control_port[0], 0x604);
	assert_int_equal(found.status_port[0], 0x600);
	assert_int_equal(found.control_port[1], 0);
	expect_types(&found, 1, 0, 0);
	expect_types(&found, 3, 1 << 1, 1 << 1);
	expect_types(&found, 4, 1 << 2, 1 << 2);
	expect_types(&found, 5, 1 << 0, 1 << 0);
}

static void test_find_smi_command(void **state)
{
	(void)state;
	tables_make();
	assert_int_equal(firmware_find_smi_command(&memory, ROM), 0);
	put32(FADT_AT + 48, 0xb2);
	table_close(FADT_AT, "FACP", 116);
	assert_int_equal(firmware_find_smi_command(&memory, ROM), 0xb2);
	assert_int_equal(firmware_find_smi_command(&memory, 0), 0);
	put32(FADT_AT + 48, 0x100b2);
	table_close(FADT_AT, "FACP", 116);
	assert_int_equal(firmware_find_smi_command(&memory, ROM), 0);
	put32(FADT_AT + 48, 0xb2);
	table_close(FADT_AT, "FACP", 70);
	assert_int_equal(firmware_find_smi_command(&memory, ROM), 0);
}

static void test_notations(void **state)
{
	static const uint8_t old[] = {0x08, '_', 'S', '3', '_', 0x12, 0x05, 0x01, 0x0b, 0x05, 0x06};
	struct sleep_control found = {0};

	(void)state;
	sleep_scan(aml_laptop, sizeof(aml_laptop), &found);
	expect_types(&found, 1, 1 << 1, 1 << 0);
	expect_types(&found, 3, 1 << 5, 1 << 3);
	expect_types(&found, 4, 1 << 6, 1 << 6);
	expect_types(&found, 5, 1 << 7, 1 << 7);
	/* one number with both in it; several definitions add up */
	sleep_scan(old, sizeof(old), &found);
	expect_types(&found, 3, 1 << 5, 1 << 3 | 1 << 6);
}

/* Not a name, not a package, no numbers, numbers no register holds, cut off anywhere. */
static void test_damaged_aml(void **state)
{
	static const uint8_t good[] = {0x08, '_', 'S', '3', '_', 0x12, 0x08, 0x04, 0x0a, 0x05, 0x0a, 0x05};
	static const struct {
		uint8_t at, value;
	} damage[] = {{0, 0x14}, {1, 'X'},  {2, 'T'}, {3, '6'},	 {3, '/'},  {4, 'S'},
		      {5, 0x13}, {6, 0xc8}, {7, 0},   {8, 0x70}, {10, 0x68}};
	struct sleep_control found = {0}, none = {0};
	uint8_t aml[sizeof(good)];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(damage); i++) {
		memcpy(aml, good, sizeof(good));
		aml[damage[i].at] = damage[i].value;
		sleep_scan(aml, sizeof(aml), &found);
		assert_memory_equal(&found, &none, sizeof(found));
	}
	for (unsigned length = 0; length < sizeof(good); length++) {
		memcpy(aml, good, length);
		sleep_scan(aml, length, &found);
		assert_memory_equal(&found, &none, sizeof(found));
	}
	memcpy(aml, good, sizeof(good));
	aml[9] = aml[11] = 8;
	sleep_scan(aml, sizeof(aml), &found);
	assert_memory_equal(&found, &none, sizeof(found));
	sleep_scan(good, sizeof(good), &found);
	expect_types(&found, 3, 1 << 5, 1 << 5);
}

/* Wherever a name lies in a table that is read in pieces. */
static void test_everywhere_in_a_table(void **state)
{
	struct sleep_control found;

	(void)state;
	tables_make();
	for (uint32_t offset = 36; offset < 1300; offset++) {
		dsdt_make(aml_laptop, sizeof(aml_laptop), offset, offset + (uint32_t)sizeof(aml_laptop));
		assert_int_equal(firmware_find_sleep(&memory, ROM, &found), 0);
		expect_types(&found, 1, 1 << 1, 1 << 0);
		expect_types(&found, 3, 1 << 5, 1 << 3);
		expect_types(&found, 4, 1 << 6, 1 << 6);
		expect_types(&found, 5, 1 << 7, 1 << 7);
	}
}

static void test_extended_fields(void **state)
{
	struct sleep_control found;

	(void)state;
	tables_make();
	put32(FADT_AT + 40, 0);
	put64(FADT_AT + 140, DSDT_AT);
	rom[FADT_AT - ROM + 148] = 1;
	put64(FADT_AT + 152, 0x1800);
	rom[FADT_AT - ROM + 172] = 1;
	put64(FADT_AT + 176, 0x1804);
	rom[FADT_AT - ROM + 184] = 1;
	put64(FADT_AT + 188, 0x1904);
	table_close(FADT_AT, "FACP", 276);
	assert_int_equal(firmware_find_sleep(&memory, ROM, &found), 0);
	assert_int_equal(found.control_port[0], 0x1804);
	assert_int_equal(found.control_port[1], 0x1904);
	assert_int_equal(found.status_port[0], 0x1800);
	expect_types(&found, 3, 1 << 1, 1 << 1);
	/* not in I/O space: the old field; beyond it: none */
	rom[FADT_AT - ROM + 172] = 0;
	table_close(FADT_AT, "FACP", 276);
	assert_int_equal(firmware_find_sleep(&memory, ROM, &found), 0);
	assert_int_equal(found.control_port[0], 0x604);
	rom[FADT_AT - ROM + 172] = 1;
	put64(FADT_AT + 176, 0x10000);
	table_close(FADT_AT, "FACP", 276);
	assert_int_equal(firmware_find_sleep(&memory, ROM, &found), -ENOENT);
	assert_int_equal(found.control_port[1], 0);
}

static void test_other_tables(void **state)
{
	struct sleep_control found;

	(void)state;
	/* the types in an SSDT, behind another one */
	tables_make();
	dsdt_make("", 0, 100, 400);
	memcpy(rom + (SSDT_AT - ROM) + 36, aml_qemu, sizeof(aml_qemu));
	table_close(SSDT_AT, "SSDT", 36 + sizeof(aml_qemu));
	table_close(SSDT_AT + 0x100, "SSDT", 36);
	put32(RSDT_AT + 40, SSDT_AT + 0x100);
	put32(RSDT_AT + 44, SSDT_AT);
	table_close(RSDT_AT, "RSDT", 48);
	assert_int_equal(firmware_find_sleep(&memory, ROM, &found), 0);
	expect_types(&found, 3, 1 << 1, 1 << 1);
	/* a DSDT that is none, is damaged, or claims too much: the ports are known all the same */
	for (unsigned i = 0; i < 3; i++) {
		tables_make();
		if (i == 0)
			put32(FADT_AT + 40, SSDT_AT);
		else if (i == 1)
			rom[DSDT_AT - ROM + 200] ^= 1;
		else
			put32(DSDT_AT + 4, 0x7fffffff);
		table_close(FADT_AT, "FACP", 116);
		assert_int_equal(firmware_find_sleep(&memory, ROM, &found), 0);
		assert_int_equal(found.control_port[0], 0x604);
		expect_types(&found, 3, 0, 0);
	}
	/* no FADT, one that is too short */
	tables_make();
	table_close(FADT_AT, "FACP", 71);
	assert_int_equal(firmware_find_sleep(&memory, ROM, &found), -ENOENT);
	table_close(FADT_AT, "FACX", 116);
	assert_int_equal(firmware_find_sleep(&memory, ROM, &found), -ENOENT);
	assert_int_equal(firmware_find_sleep(&memory, ROM + 16, &found), -ENOENT);
}

/* --- the guest ---------------------------------------------------------------------------------------------------- */

#define STATUS	  0x600
#define CONTROL	  0x604
#define CONTROL_B 0x704
#define ENABLE	  0x2000u
#define WAKE	  0x8000u

static struct spine spine;
static struct fake_platform *const platform = &spine.fake.platform;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	sleep_scan(aml_laptop, sizeof(aml_laptop), &spine.machine.sleep);
	spine.machine.sleep.control_port[0] = CONTROL;
	spine.machine.sleep.control_port[1] = CONTROL_B;
	spine.machine.sleep.status_port[0] = STATUS;
	fake_port_add(platform, 0x600, 0x200, NULL, NULL, NULL);
	sleep_watch(vcpu);
	return 0;
}

static uint32_t io(uint16_t port, unsigned size, bool in, uint32_t value)
{
	const struct exit_detail detail = {.io = {.port = port, .size = (uint8_t)size, .in = in}};

	fake_access_clear(platform);
	vcpu->gpr[GPR_RAX] = value;
	vcpu->rip = SPINE_CODE;
	spine_exit(&spine, EXIT_IO, 2, &detail, NULL);
	assert_null(vcpu->fatal);
	return (uint32_t)vcpu->gpr[GPR_RAX];
}

static bool watched(uint16_t port)
{
	return fake_intercept_on(&spine.fake.vcpu, INTERCEPT_PORT, port);
}

static void expect_out(unsigned index, uint16_t port, unsigned size, uint32_t value)
{
	const struct fake_access *access = &platform->access[index];

	assert_true(index < platform->access_count);
	assert_int_equal(access->kind, FAKE_PORT_OUT);
	assert_int_equal(access->address, port);
	assert_int_equal(access->size, size);
	assert_int_equal(access->value, value);
}

static void test_states(void **state)
{
	static const struct {
		uint16_t port;
		uint8_t type, state; /* state 0: passes */
	} cases[] = {
		{CONTROL, 0, 0},   {CONTROL, 1, 0},   {CONTROL, 2, 0},	 {CONTROL, 3, 0},   {CONTROL, 4, 0},
		{CONTROL, 5, 3},   {CONTROL, 6, 4},   {CONTROL, 7, 0},	 {CONTROL_B, 3, 3}, {CONTROL_B, 5, 0},
		{CONTROL_B, 6, 4}, {CONTROL_B, 7, 0}, {CONTROL_B, 0, 0},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t value = 0x0001u | (uint32_t)cases[i].type << 10;
		char line[32];

		memset(spine.log, 0, sizeof(spine.log));
		spine.fake.log.written = 0;
		/* the type alone sends nobody to sleep */
		io(cases[i].port, 2, false, value);
		expect_out(0, cases[i].port, 2, value);
		assert_false(spine_logged(&spine, "refused"));
		io(cases[i].port, 2, false, value | ENABLE);
		assert_int_equal(platform->access_count, 1);
		expect_out(0, cases[i].port, 2, cases[i].state ? value : value | ENABLE);
		format_string(line, sizeof(line), "sleep state S%u refused", cases[i].state);
		assert_int_equal(spine_logged(&spine, line), cases[i].state != 0);
	}
}

/* By bytes, with neighbours, by one access over both. */
static void test_sizes(void **state)
{
	(void)state;
	assert_false(watched(CONTROL - 1) || watched(CONTROL + 2));
	assert_true(watched(CONTROL) && watched(CONTROL + 1));
	io(CONTROL + 1, 1, false, 0x34);
	expect_out(0, CONTROL + 1, 1, 0x14);
	assert_true(spine_logged(&spine, "S3 refused"));
	io(CONTROL, 1, false, 0x35);
	expect_out(0, CONTROL, 1, 0x35);
	io(CONTROL, 4, false, 0xabcd3401);
	expect_out(0, CONTROL, 2, 0x1401);
	expect_out(1, CONTROL + 2, 2, 0xabcd);
	io(CONTROL - 2, 4, false, 0x34010000);
	expect_out(0, CONTROL - 2, 2, 0x0000);
	expect_out(1, CONTROL, 2, 0x1401);
	io(CONTROL, 2, true, 0);
	assert_int_equal(fake_access_count(platform, FAKE_PORT_IN, CONTROL), 1);
}

static uint64_t status_zero(void *context, uint64_t address, unsigned size)
{
	(void)context;
	(void)address;
	(void)size;
	return 0x0001;
}

/* What an OS does around it: clears the status, asks, waits for it, clears it again. */
static void test_wakes_at_once(void **state)
{
	(void)state;
	platform->port[0].read = status_zero;
	assert_false(watched(STATUS));
	io(CONTROL, 2, false, 0x3400);
	assert_true(watched(STATUS) && watched(STATUS + 1));
	assert_int_equal(io(STATUS, 2, true, 0) & 0xffff, WAKE | 1);
	assert_int_equal(io(STATUS + 1, 1, true, 0) & 0xff, 0x81);
	io(STATUS, 2, false, 0x0001);
	assert_true(watched(STATUS));
	io(STATUS, 2, false, WAKE);
	expect_out(0, STATUS, 2, WAKE);
	assert_false(watched(STATUS) || watched(STATUS + 1));
	/* again, by bytes, and asked twice as for PM1a and PM1b */
	io(CONTROL, 2, false, 0x3400);
	io(CONTROL_B, 2, false, 0x2c00);
	assert_true(watched(STATUS));
	io(STATUS + 1, 1, false, 0x80);
	assert_false(watched(STATUS));
}

/* Nothing known, the same port twice, a port of somebody else. */
static void test_odd_machines(void **state)
{
	struct fake_vcpu *fake = &spine.fake.vcpu;

	(void)state;
	spine_free(&spine);
	spine_init(&spine);
	sleep_watch(vcpu);
	assert_int_equal(fake_intercepts_on(fake), 0);
	spine.machine.sleep.control_port[0] = CONTROL;
	spine.machine.sleep.control_port[1] = CONTROL;
	sleep_watch(vcpu);
	assert_int_equal(fake_intercepts_on(fake), 2);
	assert_true(spine_logged(&spine, "PM1b control at 604 cannot be watched: PM1a control"));
	fake_port_add(platform, 0x600, 0x200, NULL, NULL, NULL);
	/* no types known: everything passes */
	io(CONTROL, 2, false, 0x3400);
	expect_out(0, CONTROL, 2, 0x3400);
	/* no status port: refused all the same */
	spine.machine.sleep.types[3][0] = 1 << 5;
	io(CONTROL, 2, false, 0x3400);
	expect_out(0, CONTROL, 2, 0x1400);
	assert_int_equal(fake_intercepts_on(fake), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_smi_command),
		cmocka_unit_test(test_notations),
		cmocka_unit_test(test_damaged_aml),
		cmocka_unit_test(test_everywhere_in_a_table),
		cmocka_unit_test(test_extended_fields),
		cmocka_unit_test(test_other_tables),
		TEST(test_states),
		TEST(test_sizes),
		TEST(test_wakes_at_once),
		TEST(test_odd_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
