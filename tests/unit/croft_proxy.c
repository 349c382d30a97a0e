/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/libcroft: another debugger on a VM. What it says, what reaches the wire, and what it hears.
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

#include "client/libcroft/packet.h"
#include "client/libcroft/proxy_cache.h"
#include "client/libcroft/proxy_request.h"
#include "tests/fakes/fake_stub.h"

#define TIMEOUT_MS 60000
#define STOPPED	   "T05swbreak:;thread:1;06:0600000000000000;07:0700000000000000;10:10000081ffffffff;"
#define RUNNING	   "E0b"

/* an answer without content, on the wire */
#define EMPTY \
	"$#"  \
	"00"

static const struct fake_line script[] = {
	{"qSupported*", "PacketSize=1000;multiprocess+;vContSupported+;swbreak+;QNonStop+;QStartNoAckMode+;"
			"qXfer:croft.stats:read+"},
	{"vCont?", "vCont;c;C;s;S;r"},
	{"?", STOPPED},
	{"g", "0011"},
	{"p*", "0000000000000000"},
	{"P*", "OK"},
	{"G*", "OK"},
	{"M*", "OK"},
	{"X*", "OK"},
	{"H*", "OK"},
	{"Z4*", ""},
	{"Z*", "OK"},
	{"z*", "OK"},
	{"vCont;q", "E16"},
	{"Qcroft.as:*", "OK"},
	{"Qqemu.PhyMemMode:*", "OK"},
	{"qcroft.as", "phys;mmio"},
	{"qcroft.port:*", "ff"},
	{"qRcmd,*", "OK"},
	{"D", "OK"},
	{NULL, NULL},
};

/* Memory up to 1000h, whose bytes are their addresses'; a device behind it, and then nothing. */
static bool answer_memory(void *data, const char *question, size_t length, char *answer, size_t *answer_length)
{
	unsigned long long address, size;

	(void)data;
	(void)length;
	if (sscanf(question, "%*1[mx]%llx,%llx", &address, &size) != 2)
		return false;
	if (address >= 0x1000) {
		strcpy(answer, address < 0x2000 ? "E0d" : "E0e");
		*answer_length = 3;
		return true;
	}
	if (address + size > 0x1000)
		size = 0x1000 - address;
	for (unsigned long long i = 0; i < size; i++) {
		if (question[0] == 'x')
			answer[i] = (char)(address + i);
		else
			sprintf(answer + 2 * i, "%02llx", (address + i) & 0xff);
	}
	*answer_length = (size_t)(question[0] == 'x' ? size : 2 * size);
	return true;
}

struct fixture {
	struct fake_stub stub;
	struct croft_vm *vm;
	struct croft_proxy *proxy;
	struct croft_error error;
	struct packet_reader reader;
	char text[65536]; /* what the program was told to print */
};

static void keep_text(void *data, enum croft_stream stream, const char *text, size_t length)
{
	struct fixture *f = data;

	if (stream == CROFT_STREAM_OUTPUT)
		strncat(f->text, text, length);
}

static int set_up_as(void **state, bool framed)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->stub.script = framed ? script : script + 1;
	f->stub.answer = answer_memory;
	f->stub.framed = framed;
	f->stub.stop = STOPPED;
	fake_stub_start(&f->stub);
	assert_int_equal(croft_vm_open(f->stub.target, 0, TIMEOUT_MS, &f->vm, &f->error), CROFT_OK);
	croft_vm_set_text_handler(f->vm, keep_text, f);
	assert_int_equal(croft_proxy_open(f->vm, &f->proxy, &f->error), CROFT_OK);
	packet_init(&f->reader);
	return 0;
}

static int set_up(void **state)
{
	return set_up_as(state, true);
}

static int set_up_plain(void **state)
{
	return set_up_as(state, false);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	croft_vm_close(f->vm, NULL);
	fake_stub_end(&f->stub);
	packet_free(&f->reader);
	free(f);
	return 0;
}

/* --- the debugger --- */

static enum croft_status say_bytes(struct fixture *f, const void *bytes, size_t length)
{
	return croft_proxy_take(f->proxy, bytes, length, &f->error);
}

static enum croft_status say(struct fixture *f, const void *content, size_t length)
{
	uint8_t *packet = malloc(PACKET_WIRE_MAX(length));
	enum croft_status status = say_bytes(f, packet, packet_make(packet, content, length));

	free(packet);
	return status;
}

/* The next packet for the debugger; NULL: none has come. */
static const char *hear(struct fixture *f)
{
	const uint8_t *bytes;
	size_t length;

	while ((bytes = croft_proxy_output(f->proxy, &length)) && length) {
		croft_proxy_sent(f->proxy, 1);
		if (packet_take(&f->reader, *bytes) == PACKET_WHOLE)
			return f->reader.content;
	}
	return NULL;
}

/* All bytes that are there. */
static void expect_bytes(struct fixture *f, const char *expected)
{
	size_t length;
	const char *bytes = croft_proxy_output(f->proxy, &length);

	assert_int_equal(length, strlen(expected));
	assert_memory_equal(bytes ? bytes : "", expected, length);
	croft_proxy_sent(f->proxy, length);
}

static uint64_t packets(const struct fixture *f)
{
	struct croft_counters counters;

	croft_vm_counters(f->vm, &counters);
	return counters.packets_sent;
}

/* Asks; so many packets have to go over the wire. */
static void ask(struct fixture *f, const char *question, const char *answer, unsigned cost)
{
	uint64_t before = packets(f);
	const char *heard;

	assert_int_equal(say(f, question, strlen(question)), CROFT_OK);
	heard = hear(f);
	if (!heard || strcmp(heard, answer) != 0 || packets(f) - before != cost)
		fail_msg("%s: %s for %u packets", question, heard ? heard : "nothing", (unsigned)(packets(f) - before));
	assert_null(hear(f));
}

static void wait_for_stop(struct fixture *f)
{
	assert_int_equal(croft_vm_wait(f->vm, TIMEOUT_MS, NULL, &f->error), CROFT_OK);
}

/* --- bytes --- */

static void test_acknowledgements(void **state)
{
	struct fixture *f = *state;

	say_bytes(f, "+$qC#b4", 7);
	expect_bytes(f, "+" EMPTY);
	say_bytes(f, "-", 1);
	expect_bytes(f, EMPTY);
	say_bytes(f, "$qC#b5", 6);
	expect_bytes(f, "-");
	/* noise, and what a client of ours sends first */
	say_bytes(f, "\0\2\100\1\1\5\40\24\301\343\0hello", 16);
	expect_bytes(f, "");
	say_bytes(f, "$QStartNoAckMode#b0", 19);
	expect_bytes(f, "+$OK#9a");
	say_bytes(f, "$qC#b4$qC#b5-", 13);
	expect_bytes(f, EMPTY);
	/* in pieces */
	for (const char *at = "$qC#b4"; *at; at++)
		say_bytes(f, at, 1);
	expect_bytes(f, EMPTY);
	assert_int_equal(fake_stub_count(&f->stub, "QStartNoAckMode"), 0);
	assert_int_equal(fake_stub_count(&f->stub, "qC"), 3);
}

static void test_features(void **state)
{
	struct fixture *f = *state;

	ask(f, "qSupported:multiprocess+;xmlRegisters=i386;no-resumed+",
	    "PacketSize=1000;vContSupported+;swbreak+;qXfer:croft.stats:read+;QStartNoAckMode+", 1);
	assert_int_equal(fake_stub_count(&f->stub, "qSupported:swbreak+;hwbreak+;vContSupported+;xmlRegisters=i386"),
			 2);
	/* this one did not say that it knows swbreak */
	say(f, "c", 1);
	wait_for_stop(f);
	assert_string_equal(hear(f), "T05thread:1;06:0600000000000000;07:0700000000000000;10:10000081ffffffff;");
}

static void test_stop_replies(void **state)
{
	struct request_abilities all = {true, true}, none = {false, false};
	char text[128];
	(void)state;

	strcpy(text, "T05swbreak:;thread:1;hwbreak:;06:00;");
	assert_int_equal(request_stop(text, strlen(text), &all), strlen(text));
	assert_int_equal(request_stop(text, strlen(text), &none), 18);
	assert_memory_equal(text, "T05thread:1;06:00;", 18);
	/* without its last semicolon, and nothing that is one */
	strcpy(text, "T05hwbreak:");
	assert_int_equal(request_stop(text, strlen(text), &none), 3);
	strcpy(text, "T0");
	assert_int_equal(request_stop(text, 2, &none), 2);
	strcpy(text, "S05");
	assert_int_equal(request_stop(text, 3, &none), 3);
	strcpy(text, "E16");
	assert_int_equal(request_stop(text, 3, &none), 3);
}

static void test_what_is_between_the_ends(void **state)
{
	struct fixture *f = *state;
	char *long_one = malloc(8192);

	ask(f, "Qcroft.frame:1", "", 0);
	ask(f, "QNonStop:1", "", 0);
	ask(f, "!", "", 1);
	ask(f, "vRun;6c73", "", 1);
	memset(long_one, 'q', 4095);
	memcpy(long_one + 4095, "$", 2);
	/* the escape makes it too long for the other end */
	ask(f, long_one, "E.croft.the packet is too long", 0);
	long_one[4095] = 0;
	ask(f, long_one, "", 1);
	free(long_one);
}

static void test_a_packet_without_end(void **state)
{
	struct fixture *f = *state;
	char *bytes = malloc(PACKET_MAX + 1);

	memset(bytes, 'q', PACKET_MAX + 1);
	bytes[0] = '$';
	say_bytes(f, bytes, PACKET_MAX + 1);
	/* the sum of PACKET_MAX letters q is 0 */
	say_bytes(f, "#00", 3);
	expect_bytes(f, "+$E.croft.the packet is too long#d6");
	ask(f, "g", "0011", 1);
	free(bytes);
}

/* Who does not read is hung up on before it has all of our memory. */
static void test_one_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;
	size_t length;

	while (!croft_proxy_is_over(f->proxy) && count++ < 4000)
		say(f, "m0,7f8", 6);
	assert_true(croft_proxy_is_over(f->proxy));
	croft_proxy_output(f->proxy, &length);
	assert_in_range(length, 1u << 20, 4u << 20);
}

/* --- memory --- */

static void test_memory_is_read_once(void **state)
{
	struct fixture *f = *state;
	char question[32], answer[16];
	struct croft_proxy_counters counters;

	/* "x/64xb": byte by byte */
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < 64; i++) {
			snprintf(question, sizeof(question), "m%x,1", 0x140 + i);
			snprintf(answer, sizeof(answer), "%02x", 0x40 + i);
			ask(f, question, answer, pass == 0 && i == 0);
		}
	}
	assert_int_equal(fake_stub_count(&f->stub, "x100,100"), 1);
	ask(f, "x141,3", "ABC", 0);
	/* beyond what is known */
	ask(f, "m1fe,4", "feff0001", 1);
	ask(f, "m2ff,1", "ff", 0);
	ask(f, "m300,1", "00", 1);
	/* and registers of a stop do not matter, nor do questions and breakpoints */
	ask(f, "g", "0011", 1);
	ask(f, "p10", "0000000000000000", 1);
	ask(f, "P0=0100000000000000", "OK", 1);
	ask(f, "Z0,140,1", "OK", 1);
	ask(f, "z0,140,1", "OK", 1);
	ask(f, "m140,1", "40", 0);
	croft_proxy_counters(f->proxy, &counters);
	assert_int_equal(counters.reads, 133);
	assert_int_equal(counters.reads_known, 130);
	assert_int_equal(counters.packets, 138);
}

static void test_memory_that_may_have_changed(void **state)
{
	static const char *const changes[] = {"M140,1:00",
					      "X140,1:a",
					      "P84=0000000000000000",
					      "P86=00",
					      "P87=00",
					      "Pzz",
					      "Qcroft.as:current",
					      "qRcmd,6173",
					      "qcroft.port:60,1",
					      "Qcroft.msr:c0000080",
					      "vFile:open",
					      "Qqemu.PhyMemMode:0",
					      "j"};
	struct fixture *f = *state;
	uint64_t value, before;

	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		ask(f, "Qcroft.as:current", "OK", 1);
		ask(f, "m140,1", "40", 1);
		ask(f, "m140,1", "40", 0);
		say(f, changes[i], strlen(changes[i]));
		assert_non_null(hear(f));
		before = packets(f);
		say(f, "m140,1", 6);
		assert_string_equal(hear(f), "40");
		if (packets(f) == before)
			fail_msg("still known after %s", changes[i]);
	}
	/* the program's questions */
	ask(f, "Qcroft.as:current", "OK", 1);
	ask(f, "m140,1", "40", 1);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(f->vm), "cr0", &value, &f->error), CROFT_OK);
	ask(f, "m140,1", "40", 1);
	ask(f, "m140,1", "40", 0);
	/* and running */
	say(f, "s", 1);
	wait_for_stop(f);
	assert_non_null(hear(f));
	ask(f, "m140,1", "40", 1);
}

static void test_memory_that_is_none(void **state)
{
	struct fixture *f = *state;

	/* nothing there, a device: the other end's own words, each time */
	ask(f, "m5000,4", "E0e", 3);
	ask(f, "m5000,4", "E0e", 3);
	ask(f, "m1800,4", "E0d", 3);
	/* an end of memory */
	ask(f, "mffe,4", "feff", 3);
	ask(f, "mffe,2", "feff", 0);
	ask(f, "mfff,2", "ff", 3);
	/* what is no range is the other end's */
	ask(f, "m0,0", "", 1);
	ask(f, "m,4", "", 1);
	ask(f, "m4", "", 1);
	ask(f, "mffffffffffffffff,2", "E0e", 1);
	ask(f, "mffffffffffffffff,1", "E0e", 3);
}

static void test_long_reads(void **state)
{
	struct fixture *f = *state;
	const char *heard;

	/* no more than the debugger has room for, nor around what takes a whole packet */
	say(f, "m10,fff", 7);
	heard = hear(f);
	assert_int_equal(strlen(heard), 4096);
	assert_memory_equal(heard, "1011", 4);
	assert_int_equal(fake_stub_count(&f->stub, "x10,800"), 1);
	ask(f, "m10,2", "1011", 0);
	ask(f, "mf,1", "0f", 1);
}

static void test_device_memory_is_never_kept(void **state)
{
	struct fixture *f = *state;

	ask(f, "Qcroft.as:current;mmio", "OK", 1);
	ask(f, "m140,1", "40", 1);
	ask(f, "m140,1", "40", 1);
	assert_int_equal(fake_stub_count(&f->stub, "m140,1"), 2);
	ask(f, "Qcroft.as:phys", "OK", 1);
	ask(f, "m140,1", "40", 1);
	ask(f, "m140,1", "40", 0);
	/* "monitor as": the other end is asked what came of it */
	ask(f, "qRcmd,6173", "OK", 2);
	ask(f, "m140,1", "40", 1);
	ask(f, "m140,1", "40", 1);
}

static void test_other_stubs(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;

	/* what they give may be a device's: as it was said, each time */
	ask(f, "m140,1", "40", 1);
	ask(f, "m140,1", "40", 1);
	assert_int_equal(fake_stub_count(&f->stub, "m140,1"), 2);
	/* whose addresses are meant */
	ask(f, "Qqemu.PhyMemMode:1", "OK", 1);
	assert_int_equal(croft_memory_read(f->vm, croft_current(), 1, &byte, 1, NULL, &f->error), CROFT_OK);
	assert_int_equal(fake_stub_count(&f->stub, "Qqemu.PhyMemMode:0"), 1);
	ask(f, "m140,1", "40", 2);
	assert_int_equal(fake_stub_count(&f->stub, "Qqemu.PhyMemMode:1"), 2);
}

static void test_addresses_of_two(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;

	ask(f, "Qcroft.as:cr3=1000", "OK", 1);
	ask(f, "Hg1", "OK", 1);
	assert_int_equal(croft_memory_read(f->vm, croft_physical(), 1, &byte, 1, NULL, &f->error), CROFT_OK);
	assert_int_equal(fake_stub_count(&f->stub, "Qcroft.as:phys"), 1);
	/* the debugger's own are told again, once */
	ask(f, "m140,1", "40", 2);
	ask(f, "qCRC:0,1", "", 1);
	assert_int_equal(fake_stub_count(&f->stub, "Qcroft.as:cr3=1000"), 2);
	assert_int_equal(croft_memory_read(f->vm, croft_physical(), 1, &byte, 1, NULL, &f->error), CROFT_OK);
	ask(f, "qCRC:0,1", "", 2);
}

static void test_cache(void **state)
{
	struct cache *cache = malloc(sizeof(*cache));
	uint8_t bytes[8];
	(void)state;

	cache_init(cache);
	assert_false(cache_get(cache, 0, bytes, 1));
	cache_put(cache, 0xffe, "abcd", 4);
	assert_true(cache_get(cache, 0xfff, bytes, 2));
	assert_memory_equal(bytes, "bc", 2);
	assert_false(cache_get(cache, 0xffd, bytes, 2));
	assert_false(cache_get(cache, 0x1001, bytes, 2));
	/* another page in the same place */
	cache_put(cache, 0xffe + 4096ull * CACHE_PAGES, "x", 1);
	assert_false(cache_get(cache, 0xffe, bytes, 1));
	assert_true(cache_get(cache, 0x1000, bytes, 2));
	cache_drop(cache);
	assert_false(cache_get(cache, 0x1000, bytes, 1));
	/* the last byte of all */
	cache_put(cache, UINT64_MAX, "z", 1);
	assert_true(cache_get(cache, UINT64_MAX, bytes, 1));
	cache_free(cache);
	free(cache);
}

/* --- running --- */

static void test_running(void **state)
{
	struct fixture *f = *state;

	ask(f, "qSupported:swbreak+",
	    "PacketSize=1000;vContSupported+;swbreak+;qXfer:croft.stats:read+;QStartNoAckMode+", 1);
	f->stub.output = "O68690a"; /* "hi\n" */
	say(f, "vCont;c", 7);
	assert_true(croft_proxy_is_waiting(f->proxy));
	assert_true(croft_vm_is_running(f->vm));
	wait_for_stop(f);
	assert_int_equal(croft_vm_last_stop(f->vm)->kind, CROFT_STOP_BREAK);
	assert_string_equal(hear(f), "O68690a");
	assert_string_equal(hear(f), STOPPED);
	assert_null(hear(f));
	assert_string_equal(f->text, "");
	/* without a debugger that waits the program has it */
	assert_int_equal(croft_vm_run(f->vm, &f->error), CROFT_OK);
	wait_for_stop(f);
	assert_string_equal(f->text, "hi\n");
	assert_null(hear(f));
}

static void test_interrupts(void **state)
{
	struct fixture *f = *state;

	f->stub.stop = NULL;
	f->stub.interrupted = "T02thread:1;";
	ask(f, "g", "0011", 1);
	/* it stands */
	say_bytes(f, "\3", 1);
	say(f, "c", 1);
	assert_null(hear(f));
	ask(f, "g", RUNNING, 0);
	ask(f, "c", RUNNING, 0);
	say_bytes(f, "\3", 1);
	wait_for_stop(f);
	assert_string_equal(hear(f), "T02thread:1;");
	assert_int_equal(f->stub.interrupts, 1);
	assert_int_equal(croft_vm_last_stop(f->vm)->kind, CROFT_STOP_REQUEST);
}

static void test_the_program_stops_it(void **state)
{
	struct fixture *f = *state;

	f->stub.stop = NULL;
	f->stub.interrupted = "T02thread:1;";
	say(f, "c", 1);
	assert_int_equal(croft_vm_stop(f->vm, NULL, &f->error), CROFT_OK);
	assert_string_equal(hear(f), "T02thread:1;");
}

static void test_the_program_lets_it_run(void **state)
{
	struct fixture *f = *state;

	f->stub.stop = NULL;
	f->stub.interrupted = "T02thread:1;";
	ask(f, "g", "0011", 1);
	assert_int_equal(croft_vm_run(f->vm, &f->error), CROFT_OK);
	ask(f, "g", RUNNING, 0);
	ask(f, "m140,1", RUNNING, 0);
	ask(f, "s", RUNNING, 0);
	ask(f, "vCont;s:1", RUNNING, 0);
	say(f, "vCont;c:1", 9);
	assert_null(hear(f));
	assert_int_equal(croft_vm_stop(f->vm, NULL, &f->error), CROFT_OK);
	assert_string_equal(hear(f), "T02thread:1;");
}

static void test_coming_to_one_that_runs(void **state)
{
	struct fixture *f = *state;

	f->stub.stop = NULL;
	f->stub.interrupted = "T02thread:1;";
	assert_int_equal(croft_vm_run(f->vm, &f->error), CROFT_OK);
	say_bytes(f, "+", 1);
	assert_true(croft_vm_is_running(f->vm));
	ask(f, "g", "0011", 1);
	assert_false(croft_vm_is_running(f->vm));
}

static void test_going_on_is_refused(void **state)
{
	struct fixture *f = *state;

	ask(f, "g", "0011", 1);
	say(f, "vCont;q", 7);
	wait_for_stop(f);
	assert_string_equal(hear(f), "E16");
	/* it stands where it stood */
	assert_int_equal(croft_vm_last_stop(f->vm)->kind, CROFT_STOP_ATTACH);
	ask(f, "g", "0011", 1);
}

/* --- breakpoints, leaving --- */

static void test_leaving(void **state)
{
	struct fixture *f = *state;

	f->stub.stop = NULL;
	f->stub.interrupted = "T02thread:1;";
	ask(f, "Z0,140,1", "OK", 1);
	ask(f, "Z0,140,1;X3,220027", "OK", 1);
	ask(f, "Z1,150,1", "OK", 1);
	ask(f, "Z4,160,4", "", 1);
	ask(f, "z1,150,1", "OK", 1);
	ask(f, "D", "OK", 2);
	assert_true(croft_proxy_is_over(f->proxy));
	assert_true(croft_vm_is_running(f->vm));
	assert_int_equal(fake_stub_count(&f->stub, "z0,140,1"), 1);
	assert_int_equal(fake_stub_count(&f->stub, "z4,160,4"), 0);
	assert_int_equal(fake_stub_count(&f->stub, "D"), 0);
	assert_int_equal(croft_proxy_close(f->proxy, &f->error), CROFT_OK);
	/* the next one */
	assert_int_equal(croft_proxy_open(f->vm, &f->proxy, &f->error), CROFT_OK);
	ask(f, "g", "0011", 1);
	say(f, "k", 1);
	assert_null(hear(f));
	assert_true(croft_proxy_is_over(f->proxy));
	assert_true(croft_vm_is_running(f->vm));
}

static void test_gone_without_a_word(void **state)
{
	struct fixture *f = *state;
	struct croft_proxy *second;

	f->stub.stop = NULL;
	f->stub.interrupted = "T02thread:1;";
	assert_int_equal(croft_proxy_open(f->vm, &second, &f->error), CROFT_ERROR_BUSY);
	ask(f, "Z0,140,1", "OK", 1);
	assert_int_equal(croft_proxy_close(f->proxy, &f->error), CROFT_OK);
	assert_int_equal(fake_stub_count(&f->stub, "z0,140,1"), 1);
	assert_false(croft_vm_is_running(f->vm));
	/* while it runs, and it goes on running */
	assert_int_equal(croft_proxy_open(f->vm, &f->proxy, &f->error), CROFT_OK);
	ask(f, "Z2,140,4", "OK", 1);
	say(f, "c", 1);
	assert_int_equal(croft_proxy_close(f->proxy, &f->error), CROFT_OK);
	assert_int_equal(fake_stub_count(&f->stub, "z2,140,4"), 1);
	assert_true(croft_vm_is_running(f->vm));
	/* what was said before is heard then */
	assert_int_equal(croft_vm_stop(f->vm, NULL, &f->error), CROFT_OK);
	assert_int_equal(fake_stub_count(&f->stub, "c"), 2);
}

static void test_breakpoints_of_two(void **state)
{
	struct croft_break what = {.kind = CROFT_BREAK_SOFT, .address = 0x140};
	struct croft_breakpoint *breakpoint;
	struct fixture *f = *state;

	assert_int_equal(croft_breakpoint_add(f->vm, &what, &breakpoint, &f->error), CROFT_OK);
	ask(f, "Z0,140,1;X3,220027", "OK", 0);
	ask(f, "z0,140,1", "OK", 0);
	ask(f, "Z0,140,1;X3,220027", "OK", 0);
	assert_int_equal(fake_stub_count(&f->stub, "z0,140,1"), 0);
	assert_int_equal(croft_breakpoint_remove(breakpoint, &f->error), CROFT_OK);
	assert_int_equal(fake_stub_count(&f->stub, "Z0,140,1;X3,220027"), 1);
	ask(f, "z0,140,1", "OK", 1);
	/* nobody has all of our memory for breakpoints */
	for (unsigned i = 0; i < 1024; i++) {
		char question[32];

		snprintf(question, sizeof(question), "Z0,%x,1", i);
		say(f, question, strlen(question));
		assert_string_equal(hear(f), "OK");
	}
	ask(f, "Z0,5000,1", "E1c", 0);
}

static void test_a_lost_link(void **state)
{
	struct fixture *f = *state;

	f->stub.deaf = f->stub.questions + 1;
	assert_int_equal(say(f, "g", 1), CROFT_ERROR_LOST);
	assert_int_equal(f->error.status, CROFT_ERROR_LOST);
	assert_non_null(strstr(f->error.text, "hung up"));
	assert_string_equal(hear(f), "E05");
	assert_true(croft_proxy_is_over(f->proxy));
}

static void test_an_answer_that_does_not_come(void **state)
{
	struct fixture *f = *state;

	croft_vm_interrupt(f->vm);
	f->stub.held = true;
	assert_int_equal(say(f, "g", 1), CROFT_ERROR_INTERRUPTED);
	assert_string_equal(hear(f), "E05");
	/* whose addresses are meant is not known any more */
	ask(f, "g", "0011", 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_acknowledgements),
		TEST(test_features),
		cmocka_unit_test(test_stop_replies),
		TEST(test_what_is_between_the_ends),
		TEST(test_a_packet_without_end),
		TEST(test_one_that_does_not_read),
		TEST(test_memory_is_read_once),
		TEST(test_memory_that_may_have_changed),
		TEST(test_memory_that_is_none),
		TEST(test_long_reads),
		TEST(test_device_memory_is_never_kept),
		cmocka_unit_test_setup_teardown(test_other_stubs, set_up_plain, tear_down),
		TEST(test_addresses_of_two),
		cmocka_unit_test(test_cache),
		TEST(test_running),
		TEST(test_interrupts),
		TEST(test_the_program_stops_it),
		TEST(test_the_program_lets_it_run),
		TEST(test_coming_to_one_that_runs),
		TEST(test_going_on_is_refused),
		TEST(test_leaving),
		TEST(test_gone_without_a_word),
		TEST(test_breakpoints_of_two),
		TEST(test_a_lost_link),
		TEST(test_an_answer_that_does_not_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
