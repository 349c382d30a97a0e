/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/libcroft: packets as bytes, numbers in them, and descriptions in XML, from an end that is not trusted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <undercroft/types.h>

#include "client/libcroft/vm.h"

/* All bytes; returns the last event that was one. */
static enum packet_event take(struct packet_reader *reader, const char *bytes, size_t length)
{
	enum packet_event last = PACKET_NOTHING;

	for (size_t i = 0; i < length; i++) {
		enum packet_event event = packet_take(reader, (uint8_t)bytes[i]);

		if (event != PACKET_NOTHING)
			last = event;
	}
	return last;
}

static void expect_packet(const char *wire, const char *content, size_t length)
{
	struct packet_reader reader;

	packet_init(&reader);
	assert_int_equal(take(&reader, wire, strlen(wire)), PACKET_WHOLE);
	assert_int_equal(reader.length, length);
	assert_memory_equal(reader.content, content, length);
	assert_int_equal(reader.content[length], 0);
	packet_free(&reader);
}

static void test_plain_packets(void **state)
{
	(void)state;
	expect_packet("$OK#9a", "OK", 2);
	expect_packet("$"
		      "#00",
		      "", 0);
	expect_packet("+$OK#9A", "OK", 2);
	/* Debugging with GDB, "Overview" (E.1): "0* " is four zeros, and so is "0*" with a count of 3 */
	expect_packet("$0* #7a", "0000", 4);
	expect_packet("$x}\003y}]#4b", "x#y}", 4);
	/* a run of what was escaped, as some stubs write it */
	expect_packet("$}\004* #cb", "$$$$", 4);
}

static void test_wrong_packets(void **state)
{
	static const struct {
		const char *wire;
		enum packet_event event;
	} cases[] = {
		{"$OK#9b", PACKET_DAMAGED},
		{"$OK#zz", PACKET_DAMAGED},
		{"$* #4a", PACKET_DAMAGED},
		{"$0*\037#79", PACKET_DAMAGED},
		{"%Stop:T05#99", PACKET_NOTHING},
		{"hello", PACKET_NOISE},
		{"+", PACKET_ACK},
		{"-", PACKET_NACK},
		{"$OK#9", PACKET_NOTHING},
	};
	(void)state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet_reader reader;

		packet_init(&reader);
		assert_int_equal(take(&reader, cases[i].wire, strlen(cases[i].wire)), cases[i].event);
		/* whatever it was, the next one is read */
		assert_int_equal(take(&reader, "$OK#9a", 6), PACKET_WHOLE);
		assert_int_equal(reader.length, 2);
		packet_free(&reader);
	}
}

static void test_a_packet_without_end(void **state)
{
	struct packet_reader reader;
	(void)state;

	packet_init(&reader);
	take(&reader, "$0", 2);
	/* 97 more each, far beyond what anybody may make us keep */
	for (unsigned i = 0; i < 2 * PACKET_MAX / 97; i++)
		assert_int_equal(take(&reader, "*~", 2), PACKET_NOTHING);
	assert_true(reader.room <= PACKET_MAX);
	assert_int_equal(take(&reader, "#", 1), PACKET_NOTHING);
	reader.check = 0;
	packet_take(&reader, '0');
	reader.sum = 0;
	assert_int_equal(packet_take(&reader, '0'), PACKET_NO_ROOM);
	assert_int_equal(take(&reader, "$OK#9a", 6), PACKET_WHOLE);
	packet_free(&reader);
}

static void test_all_bytes_there_and_back(void **state)
{
	uint8_t content[256], wire[PACKET_WIRE_MAX(sizeof(content))];
	struct packet_reader reader;
	size_t length;
	(void)state;

	for (unsigned i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)i;
	length = packet_make(wire, content, sizeof(content));
	assert_int_equal(length, packet_size(content, sizeof(content)) + 4);
	assert_int_equal(length, sizeof(content) + 4 + 4);
	packet_init(&reader);
	assert_int_equal(take(&reader, (const char *)wire, length), PACKET_WHOLE);
	assert_int_equal(reader.length, sizeof(content));
	assert_memory_equal(reader.content, content, sizeof(content));
	packet_free(&reader);
}

static void test_numbers(void **state)
{
	const char *at = "1fF,", *long_one = "10000000000000000", *full = "ffffffffffffffff;", *none = ",1";
	uint8_t bytes[4];
	uint64_t value;
	char text[9];
	(void)state;

	assert_true(hex_take(&at, &value));
	assert_int_equal(value, 0x1ff);
	assert_int_equal(*at, ',');
	assert_false(hex_take(&long_one, &value));
	assert_true(hex_take(&full, &value));
	assert_true(value == UINT64_MAX);
	assert_false(hex_take(&none, &value));
	assert_int_equal(hex_bytes("deadBEEF", 8, bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "\xde\xad\xbe\xef", 4);
	assert_int_equal(hex_bytes("deadb", 5, bytes, sizeof(bytes)), -1);
	assert_int_equal(hex_bytes("deadbeef00", 10, bytes, sizeof(bytes)), -1);
	assert_int_equal(hex_bytes("dexx", 4, bytes, sizeof(bytes)), -1);
	hex_make(text, "\x01\xf0\x7f\x80", 4);
	assert_string_equal(text, "01f07f80");
}

static void test_elements(void **state)
{
	static const char xml[] =
		"<?xml version=\"1.0\"?><!-- <reg name=\"no\"/> --><target><reg name='rax' bitsize=\"64\"\n"
		"type=\"a=b\"/><reg/><reg name=\"far too long a name\"/></target><reg name=\"cut";
	const char *at = xml, *end = xml + strlen(xml);
	struct xml_element element;
	char value[8];
	uint64_t number;
	unsigned regs = 0;
	(void)state;

	while (xml_next(&at, end, &element)) {
		if (!xml_is(&element, "reg"))
			continue;
		if (regs++ == 0) {
			assert_true(xml_text(&element, "name", value, sizeof(value)));
			assert_string_equal(value, "rax");
			assert_true(xml_text(&element, "type", value, sizeof(value)));
			assert_string_equal(value, "a=b");
			assert_true(xml_number(&element, "bitsize", &number));
			assert_int_equal(number, 64);
			assert_false(xml_text(&element, "regnum", value, sizeof(value)));
		} else {
			assert_false(xml_text(&element, "name", value, sizeof(value)));
		}
	}
	assert_int_equal(regs, 3);
}

static void test_descriptions(void **state)
{
	static const char xml[] =
		"<reg name=\"a\" bitsize=\"32\"/><reg name=\"b\" bitsize=\"64\" regnum=\"7\"/>"
		"<reg name=\"wide\" bitsize=\"99999\"/><reg name=\"c\" bitsize=\"128\"/>"
		"<reg name=\"d\" bitsize=\"8\" regnum=\"99999999999\"/><reg name=\"odd\" bitsize=\"7\"/>"
		"<reg name=\"\" bitsize=\"8\"/>";
	struct register_fact *fact = calloc(REGISTER_MAX, sizeof(*fact));
	unsigned count = 0, next = 0;
	char *many;
	(void)state;

	registers_parse(xml, sizeof(xml) - 1, fact, &count, &next);
	assert_int_equal(count, 4);
	assert_string_equal(fact[0].name, "a");
	assert_int_equal(fact[0].bytes, 4);
	assert_int_equal(fact[1].number, 7);
	assert_string_equal(fact[2].name, "c");
	assert_int_equal(fact[2].number, 9);
	assert_int_equal(fact[2].bytes, 16);
	assert_int_equal(fact[3].number, 10);
	/* no more than there is room for */
	many = calloc(REGISTER_MAX + 1, 32);
	for (unsigned i = 0; i <= REGISTER_MAX; i++)
		strcat(many + 24 * i, "<reg name=\"x\" bitsize=\"8\">");
	count = 0;
	registers_parse(many, strlen(many), fact, &count, &next);
	assert_int_equal(count, REGISTER_MAX);
	free(many);
	free(fact);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_packets),
		cmocka_unit_test(test_wrong_packets),
		cmocka_unit_test(test_a_packet_without_end),
		cmocka_unit_test(test_all_bytes_there_and_back),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_descriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
