/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/libcroft against a scripted stub: attaching, registers, memory, run control, breakpoints, events, and an other
 * end that is silent, damaged, slow, or lies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <undercroft/types.h>

#include "client/libcroft/croft.h"
#include "client/libcroft/wire.h"
#include "tests/fakes/fake_stub.h"

/* Long enough for any machine, whatever else it does; where it is waited for, shorter. */
#define TIMEOUT_MS 60000u
#define SHORT_MS   300u
#define MIDDLE_MS  2000u

#define LIMIT_MS  60000u
#define MOMENT_MS 10u

#define SUPPORTED_OURS                                                                                    \
	"PacketSize=1000;vContSupported+;swbreak+;hwbreak+;ConditionalBreakpoints+;qXfer:features:read+;" \
	"qXfer:croft.stats:read+"

/* rax = 1, rbx = 2, ...; rip = 1122334455667788h; eflags 46h; cs 10h; the others 18h */
#define G                                                                                                            \
	"01000000000000000200000000000000030000000000000004000000000000000500000000000000060000000000000007000000"   \
	"000000000800000000000000090000000000000"                                                                    \
	"00a000000000000000b000000000000000c000000000000000d000000000000000e000000000000000f00000000000000100000000" \
	"0000000887766554433221146000000100000001800000018000000180000001800000018000000"

static const struct fake_line ours[] = {
	{"qSupported*", SUPPORTED_OURS},
	{"vCont?", "vCont;c;C;s;S;r"},
	{"?", "T05thread:1;06:0600000000000000;07:0700000000000000;10:8877665544332211;"},
	{"g", G},
	{"p82", "3300508000000000"},
	{"p84", "0010000000000000"},
	{"p100", "8877665544332211"},
	{"p102", "06000000"},
	{"p110", "01000000"},
	{"p*", "E16"},
	{"P*", "OK"},
	{"Qcroft.as:*", "OK"},
	{"qcroft.xlate:current,1000", "7000,1000,rwu"},
	{"qcroft.xlate:*", "E.croft.nothing is mapped there"},
	{"qcroft.msr:10", "123456789abcdef0"},
	{"qcroft.msr:*", "E.croft.RDMSR raises a general protection exception"},
	{"Qcroft.msr:*", "OK"},
	{"qcroft.port:*", "5a"},
	{"Qcroft.port:*", "OK"},
	{"Z*", "OK"},
	{"z*", "OK"},
	{"D", "OK"},
	{"qXfer:croft.stats:read::0,fff", "mversion=1\n"},
	{"qXfer:croft.stats:read::a,fff", "lcpuid=7\n"},
	{"qXfer:croft.nothing:read:*", ""},
	{NULL, NULL},
};

static void open_vm_within(struct fake_stub *stub, unsigned flags, unsigned timeout_ms, struct croft_vm **vm)
{
	struct croft_error error;
	enum croft_status status;

	fake_stub_start(stub);
	status = croft_vm_open(stub->target, flags, timeout_ms, vm, &error);
	if (status)
		print_message("%s\n", error.text);
	assert_int_equal(status, CROFT_OK);
	assert_int_equal(error.status, CROFT_OK);
	assert_string_equal(error.text, "");
}

static void open_vm(struct fake_stub *stub, unsigned flags, struct croft_vm **vm)
{
	open_vm_within(stub, flags, TIMEOUT_MS, vm);
}

static void close_vm(struct fake_stub *stub, struct croft_vm *vm)
{
	struct croft_error error;
	enum croft_status status = croft_vm_close(vm, &error);

	if (status)
		print_message("%s\n", error.text);
	assert_int_equal(status, CROFT_OK);
	fake_stub_end(stub);
	free(stub);
}

static struct fake_stub *make_stub(const struct fake_line *script)
{
	struct fake_stub *stub = calloc(1, sizeof(*stub));

	stub->script = script;
	stub->interrupted = "T02thread:1;10:1000000000000000;";
	return stub;
}

static struct fake_stub *make_framed(void)
{
	struct fake_stub *stub = make_stub(ours);

	stub->framed = true;
	return stub;
}

/* --- attaching --- */

static void test_frames_are_agreed_on(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_counters counters;
	struct croft_vm *vm;
	uint64_t place;
	(void)state;

	open_vm(stub, 0, &vm);
	assert_true(croft_vm_is_framed(vm));
	assert_true(croft_vm_is_undercroft(vm));
	assert_int_equal(croft_vm_last_stop(vm)->kind, CROFT_STOP_ATTACH);
	/* frames, then everything else at once: two round trips at most, and the place is known */
	croft_vm_counters(vm, &counters);
	assert_in_range(counters.waits, 1, 2);
	assert_int_equal(counters.packets_sent, 6);
	assert_int_equal(croft_cpu_linear_pc(croft_vm_cpu(vm), &place, NULL), CROFT_OK);
	assert_true(place == 0x1122334455667788ull);
	croft_vm_counters(vm, &counters);
	assert_in_range(counters.waits, 1, 2);
	assert_string_equal(stub->said, "Qcroft.frame:1|qSupported:swbreak+;hwbreak+;vContSupported+;xmlRegisters=i386|"
					"vCont?|?|Qcroft.as:current|p100|");
	close_vm(stub, vm);
}

static void test_another_stub_stays_plain(void **state)
{
	static const struct fake_line script[] = {
		{"qSupported*", "PacketSize=1000;qXfer:features:read+;vContSupported+"},
		{"vCont?", "vCont;c;C;s;S"},
		{"?", "T05thread:p01.02;"},
		{"qfThreadInfo", "mp01.01,p01.02"},
		{"qsThreadInfo", "l"},
		{"qXfer:features:read:target.xml:0,fff",
		 "l<target><architecture>i386:x86-64</architecture><xi:include href=\"core.xml\"/></target>"},
		{"qXfer:features:read:core.xml:0,fff", "l<feature><reg name=\"cr0\" bitsize=\"64\" regnum=\"9\"/><reg "
						       "name=\"rax\" bitsize=\"64\" regnum=\"0\"/>"
						       "<reg name=\"rip\" bitsize=\"64\"/></feature>"},
		{"Hg*", "OK"},
		{"g", "11000000000000002200000000000000"},
		{"p9", "0100000000000000"},
		{"D", "OK"},
		{NULL, NULL},
	};
	struct fake_stub *stub = make_stub(script);
	struct croft_error error;
	struct croft_cpu *cpu;
	struct croft_vm *vm;
	enum croft_mode mode;
	uint64_t value;
	unsigned count;
	(void)state;

	open_vm(stub, 0, &vm);
	assert_false(croft_vm_is_framed(vm));
	assert_false(croft_vm_is_undercroft(vm));
	assert_int_equal(croft_vm_cpu_count(vm, &count, &error), CROFT_OK);
	assert_int_equal(count, 2);
	/* the CPU that stopped is the second one */
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rip", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x22);
	assert_int_equal(fake_stub_count(stub, "Hgp01.02"), 1);
	assert_int_equal(croft_cpu_mode(croft_vm_cpu(vm), &mode, &error), CROFT_OK);
	assert_int_equal(mode, CROFT_MODE_PROTECTED32);
	assert_int_equal(croft_vm_select_cpu(vm, 0, &cpu, &error), CROFT_OK);
	assert_int_equal(croft_cpu_read(cpu, "rax", &value, &error), CROFT_OK);
	assert_int_equal(fake_stub_count(stub, "Hgp01.01"), 1);
	assert_int_equal(croft_vm_select_cpu(vm, 2, &cpu, &error), CROFT_ERROR_NOT_FOUND);
	assert_int_equal(croft_cpu_msr_read(croft_vm_cpu(vm), 0x10, &value, &error), CROFT_ERROR_UNSUPPORTED);
	/* each answer was acknowledged */
	assert_true(stub->acks >= stub->questions - 1);
	assert_int_equal(stub->nacks, 0);
	close_vm(stub, vm);
}

static void test_acknowledgements_end_where_they_can(void **state)
{
	static const struct fake_line script[] = {
		{"qSupported*", "PacketSize=1000;QStartNoAckMode+"},
		{"QStartNoAckMode", "OK"},
		{"?", "S05"},
		{"g", G},
		{"D", "OK"},
		{NULL, NULL},
	};
	struct fake_stub *stub = make_stub(script);
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	unsigned acks;
	(void)state;

	stub->no_ack = true;
	open_vm(stub, 0, &vm);
	acks = stub->acks;
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "r15", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x10);
	assert_int_equal(stub->acks, acks);
	close_vm(stub, vm);
}

static void test_flags(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	open_vm(stub, CROFT_OPEN_PLAIN, &vm);
	assert_false(croft_vm_is_framed(vm));
	assert_true(croft_vm_is_undercroft(vm));
	close_vm(stub, vm);

	stub = make_stub(ours);
	fake_stub_start(stub);
	assert_int_equal(croft_vm_open(stub->target, CROFT_OPEN_FRAMED, TIMEOUT_MS, &vm, &error),
			 CROFT_ERROR_UNSUPPORTED);
	assert_null(vm);
	fake_stub_end(stub);
	free(stub);
	assert_int_equal(croft_vm_open("fd:0", 3, TIMEOUT_MS, &vm, &error), CROFT_ERROR_ARGUMENT);
}

static void test_a_silent_wire(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t start = wire_now_us();
	(void)state;

	stub->drop = UINT32_MAX;
	fake_stub_start(stub);
	assert_int_equal(croft_vm_open(stub->target, 0, SHORT_MS, &vm, &error), CROFT_ERROR_TIMEOUT);
	assert_null(vm);
	assert_non_null(strstr(error.text, "no answer in 300 ms"));
	assert_true(wire_now_us() - start < 1000ull * CROFT_TIMEOUT_MS);
	fake_stub_end(stub);
	free(stub);
}

static void test_a_first_question_that_is_lost(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->drop = 1;
	fake_stub_start(stub);
	assert_int_equal(croft_vm_open(stub->target, 0, TIMEOUT_MS, &vm, &error), CROFT_OK);
	assert_true(croft_vm_is_framed(vm));
	close_vm(stub, vm);
}

/* A guest that sleeps is looked away from now and then only: what was said twice meanwhile ends nothing. */
static void test_a_first_answer_that_is_late(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	(void)state;

	stub->late = 3;
	open_vm(stub, 0, &vm);
	assert_true(croft_vm_is_framed(vm));
	assert_int_equal(stub->byes, 0);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rax", &value, &error), CROFT_OK);
	assert_int_equal(value, 1);
	close_vm(stub, vm);

	stub = make_stub(ours);
	stub->late = 3;
	open_vm_within(stub, 0, 3 * MIDDLE_MS, &vm);
	assert_false(croft_vm_is_framed(vm));
	assert_true(fake_stub_count(stub, "Qcroft.frame:1") >= 3);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rax", &value, &error), CROFT_OK);
	assert_int_equal(value, 1);
	/* the same, later */
	stub->late = 2;
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "cr0", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x80500033);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "cr3", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x1000);
	close_vm(stub, vm);
}

/* What a client that died was to get still comes: answers to the same questions, in frames, the first of them cut. */
static void test_leftovers(void **state)
{
	static const char *const cut[] = {"ze=1000;swbreak+;hwbreak+#be$OK#9a", "$OK#9a", "K#9a", "+"};
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		struct fake_stub *stub = make_framed();
		struct frame frame;
		const uint8_t *bytes;
		size_t length;

		frame_init(&frame, 100000, 0);
		frame.limit[0] = FRAME_BUFFER;
		stub->leftovers_length = strlen(cut[i]);
		memcpy(stub->leftovers, cut[i], stub->leftovers_length);
		/* what ends it, and two frames: a status and an answer */
		memcpy(stub->leftovers + stub->leftovers_length, "\x8e\xcb\x1c\xc0\0", 5);
		stub->leftovers_length += 5;
		assert_int_equal(frame_write(&frame, 0, "$OK#9a$T05#b9", 13), 13);
		while ((length = frame_output(&frame, &bytes, 0)) != 0) {
			memcpy(stub->leftovers + stub->leftovers_length, bytes, length);
			stub->leftovers_length += length;
			frame_sent(&frame, length, 0);
		}
		open_vm(stub, 0, &vm);
		assert_true(croft_vm_is_framed(vm));
		assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rax", &value, &error), CROFT_OK);
		assert_int_equal(value, 1);
		close_vm(stub, vm);
	}
}

/* As from a serial port at another speed. */
static void test_noise(void **state)
{
	static const char noise[] = "\xfe\x1c\xe0\xff\x9c\x9c";
	struct croft_error error;
	struct croft_vm *vm;
	pid_t child;
	int pair[2];
	char target[16];
	(void)state;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	snprintf(target, sizeof(target), "fd:%d", pair[1]);
	/* what came before is dropped: so it has to come while we ask */
	child = fork();
	if (child == 0) {
		close(pair[1]);
		for (unsigned i = 0; i < 500 && write(pair[0], noise, sizeof(noise) - 1) > 0; i++)
			usleep(20000);
		_exit(0);
	}
	close(pair[0]);
	assert_int_equal(croft_vm_open(target, 0, MIDDLE_MS, &vm, &error), CROFT_ERROR_PROTOCOL);
	assert_non_null(strstr(error.text, "another speed"));
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* --- registers --- */

static void test_registers_are_read_once(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_cpu *cpu;
	struct croft_vm *vm;
	uint64_t value;
	(void)state;

	open_vm(stub, 0, &vm);
	cpu = croft_vm_cpu(vm);
	/* these came with the stop */
	assert_int_equal(croft_cpu_read(cpu, "pc", &value, &error), CROFT_OK);
	assert_true(value == 0x1122334455667788);
	assert_int_equal(croft_cpu_read(cpu, "rbp", &value, &error), CROFT_OK);
	assert_int_equal(value, 6);
	assert_int_equal(fake_stub_count(stub, "g"), 0);
	/* one packet for all of these */
	assert_int_equal(croft_cpu_read(cpu, "rbx", &value, &error), CROFT_OK);
	assert_int_equal(value, 2);
	assert_int_equal(croft_cpu_read(cpu, "flags", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x46);
	assert_int_equal(croft_cpu_read(cpu, "cs", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x10);
	assert_int_equal(fake_stub_count(stub, "g"), 1);
	assert_int_equal(croft_cpu_read(cpu, "cr0", &value, &error), CROFT_OK);
	assert_int_equal(croft_cpu_read(cpu, "cr0", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x80500033);
	assert_int_equal(fake_stub_count(stub, "p82"), 1);
	assert_int_equal(croft_cpu_read(cpu, "nothing", &value, &error), CROFT_ERROR_ARGUMENT);
	assert_non_null(strstr(error.text, "nothing"));
	/* a register that the stub has no value for */
	assert_int_equal(croft_cpu_read(cpu, "cr2", &value, &error), CROFT_ERROR_REFUSED);
	close_vm(stub, vm);
}

static void test_registers_are_written_before_it_goes_on(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_cpu *cpu;
	struct croft_vm *vm;
	uint64_t value;
	(void)state;

	open_vm(stub, 0, &vm);
	cpu = croft_vm_cpu(vm);
	assert_int_equal(croft_cpu_write(cpu, "rbx", 0x1234, &error), CROFT_OK);
	assert_int_equal(croft_cpu_write(cpu, "rax", 0xfedcba9876543210, &error), CROFT_OK);
	assert_int_equal(croft_cpu_read(cpu, "rbx", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x1234);
	/* what is read of the others leaves it */
	assert_int_equal(croft_cpu_read(cpu, "rcx", &value, &error), CROFT_OK);
	assert_int_equal(croft_cpu_read(cpu, "rbx", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x1234);
	assert_null(strstr(stub->said, "|P"));
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_stop(vm, NULL, &error), CROFT_OK);
	/* in the order in which they were changed */
	assert_non_null(strstr(stub->said, "|P1=3412000000000000|P0=1032547698badcfe|c|"));
	assert_int_equal(croft_cpu_write(cpu, "eflags", 1ull << 32, &error), CROFT_ERROR_ARGUMENT);
	assert_int_equal(croft_cpu_write(cpu, "linear_pc", 1, &error), CROFT_ERROR_REFUSED);
	close_vm(stub, vm);
}

static void test_a_register_that_is_refused(void **state)
{
	static const struct fake_line script[] = {
		{"qSupported*", SUPPORTED_OURS}, {"?", "S05"}, {"g", G}, {"P0=*", "E16"}, {"D", "OK"}, {NULL, NULL}};
	struct fake_stub *stub = make_stub(script);
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	(void)state;

	stub->framed = true;
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_cpu_write(croft_vm_cpu(vm), "rax", 5, &error), CROFT_OK);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_ERROR_REFUSED);
	assert_non_null(strstr(error.text, "rax"));
	assert_false(croft_vm_is_running(vm));
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rax", &value, &error), CROFT_OK);
	assert_int_equal(value, 1);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	close_vm(stub, vm);
}

/* Every p, m and x is on its way before the first answer has come. */
static void test_questions_at_once(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_counters before, after;
	struct croft_register reg;
	struct croft_error error;
	struct croft_vm *vm;
	unsigned count = 0;
	(void)state;

	stub->delay_ms = 1;
	open_vm(stub, 0, &vm);
	for (unsigned i = 0; croft_vm_register(vm, i, &reg); i++)
		count += reg.group == CROFT_GROUP_SYSTEM || reg.group == CROFT_GROUP_SEGMENT;
	croft_vm_counters(vm, &before);
	assert_int_equal(croft_cpu_load(croft_vm_cpu(vm),
					CROFT_GROUP_GENERAL | CROFT_GROUP_SYSTEM | CROFT_GROUP_SEGMENT, &error),
			 CROFT_OK);
	croft_vm_counters(vm, &after);
	assert_int_equal(after.packets_sent - before.packets_sent, count + 1);
	close_vm(stub, vm);
}

/* What was asked ahead is not taken for the answer to something else. */
static void test_a_wrong_answer_among_many(void **state)
{
	static const struct fake_line lines[] = {
		{"qSupported*", SUPPORTED_OURS}, {"?", "S05"},	{"g", G},    {"p82", "zz"}, {"p84", "0010000000000000"},
		{"p85", "2000000000000000"},	 {"p*", "E16"}, {"D", "OK"}, {NULL, NULL}};
	struct fake_stub *stub = make_stub(lines);
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	(void)state;

	stub->framed = true;
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_cpu_load(croft_vm_cpu(vm), CROFT_GROUP_SYSTEM, &error), CROFT_ERROR_PROTOCOL);
	assert_non_null(strstr(error.text, "cr0"));
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "cr4", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x20);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "cr3", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x1000);
	close_vm(stub, vm);
}

static void test_modes_and_places(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	enum croft_mode mode;
	uint64_t value;
	uint32_t port;
	(void)state;

	open_vm(stub, 0, &vm);
	assert_int_equal(croft_cpu_mode(croft_vm_cpu(vm), &mode, &error), CROFT_OK);
	assert_int_equal(mode, CROFT_MODE_LONG64);
	assert_string_equal(croft_mode_name(mode), "long64");
	/* the stop told that it is 64-bit code: no question */
	assert_int_equal(croft_cpu_linear_pc(croft_vm_cpu(vm), &value, &error), CROFT_OK);
	assert_true(value == 0x1122334455667788);
	assert_int_equal(fake_stub_count(stub, "p100"), 1);
	assert_int_equal(croft_cpu_msr_read(croft_vm_cpu(vm), 0x10, &value, &error), CROFT_OK);
	assert_true(value == 0x123456789abcdef0);
	assert_int_equal(croft_cpu_msr_read(croft_vm_cpu(vm), 0x11, &value, &error), CROFT_ERROR_REFUSED);
	assert_string_equal(error.text, "MSR 11: RDMSR raises a general protection exception");
	assert_int_equal(croft_cpu_msr_write(croft_vm_cpu(vm), 0x10, 0x99, &error), CROFT_OK);
	assert_int_equal(fake_stub_count(stub, "Qcroft.msr:10,99"), 1);
	assert_int_equal(croft_cpu_port_read(croft_vm_cpu(vm), 0x60, 1, &port, &error), CROFT_OK);
	assert_int_equal(port, 0x5a);
	assert_int_equal(croft_cpu_port_write(croft_vm_cpu(vm), 0xcf8, 4, 0x80000000, &error), CROFT_OK);
	assert_int_equal(fake_stub_count(stub, "Qcroft.port:cf8,4,80000000"), 1);
	assert_int_equal(croft_cpu_port_write(croft_vm_cpu(vm), 0x80, 1, 0x100, &error), CROFT_ERROR_ARGUMENT);
	close_vm(stub, vm);
}

/* --- memory --- */

/* Bytes as the address has them; nothing from 100000h on, where reads that begin below it are cut. */
static uint8_t byte_at(uint64_t address)
{
	return (uint8_t)(address * 7 + (address >> 8));
}

#define MEMORY_END 0x100000u

static bool answer_memory(void *data, const char *question, size_t length, char *answer, size_t *answer_length)
{
	const char *at = question + 1;
	uint64_t address, count;
	(void)data;
	(void)length;

	if ((question[0] != 'x' && question[0] != 'm') || !hex_take(&at, &address) || *at++ != ',' ||
	    !hex_take(&at, &count))
		return false;
	if (address >= MEMORY_END) {
		strcpy(answer, "E0e");
		*answer_length = 3;
		return true;
	}
	if (count > 2048)
		count = 2048;
	if (address + count > MEMORY_END)
		count = MEMORY_END - address;
	for (uint64_t i = 0; i < count; i++) {
		uint8_t byte = byte_at(address + i);

		if (question[0] == 'x')
			answer[i] = (char)byte;
		else
			hex_make(answer + 2 * i, &byte, 1);
	}
	*answer_length = question[0] == 'x' ? count : 2 * count;
	return true;
}

static void check_memory(struct croft_vm *vm)
{
	uint8_t *bytes = malloc(100000);
	struct croft_error error;
	size_t done;

	assert_int_equal(croft_memory_read(vm, croft_current(), 0x1234, bytes, 100000, &done, &error), CROFT_OK);
	assert_int_equal(done, 100000);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(bytes[i], byte_at(0x1234 + i));
	/* what there is, then why there is no more */
	assert_int_equal(croft_memory_read(vm, croft_current(), MEMORY_END - 5000, bytes, 100000, &done, &error),
			 CROFT_ERROR_UNMAPPED);
	assert_int_equal(done, 5000);
	assert_string_equal(error.text, "memory at 0x100000: nothing is mapped there");
	for (unsigned i = 0; i < done; i++)
		assert_int_equal(bytes[i], byte_at(MEMORY_END - 5000 + i));
	assert_int_equal(croft_memory_read(vm, croft_current(), UINT64_MAX, bytes, 2, &done, &error),
			 CROFT_ERROR_ARGUMENT);
	assert_int_equal(croft_memory_read(vm, croft_current(), 0, bytes, 0, &done, &error), CROFT_OK);
	free(bytes);
}

static void test_memory_is_read(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_vm *vm;
	(void)state;

	stub->answer = answer_memory;
	open_vm(stub, 0, &vm);
	check_memory(vm);
	close_vm(stub, vm);

	stub = make_stub(ours);
	stub->answer = answer_memory;
	open_vm(stub, CROFT_OPEN_PLAIN, &vm);
	check_memory(vm);
	close_vm(stub, vm);
}

static void test_memory_that_looks_like_an_error(void **state)
{
	static const struct fake_line script[] = {{"qSupported*", SUPPORTED_OURS},
						  {"?", "S05"},
						  {"Qcroft.as:*", "OK"},
						  {"x10,3", "E01"},
						  {"m10,3", "453031"},
						  {"x20,8", "E.croft."},
						  {"m20,8", "452e63726f66742e"},
						  {"x30,4", "E0d"},
						  {"m30,4", "E0d"},
						  {"x40,4", "wxyz!"},
						  {"D", "OK"},
						  {NULL, NULL}};
	struct fake_stub *stub = make_stub(script);
	struct croft_error error;
	struct croft_vm *vm;
	char bytes[9] = "";
	(void)state;

	stub->framed = true;
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_memory_read(vm, croft_physical(), 0x10, bytes, 3, NULL, &error), CROFT_OK);
	assert_string_equal(bytes, "E01");
	assert_int_equal(croft_memory_read(vm, croft_physical(), 0x20, bytes, 8, NULL, &error), CROFT_OK);
	assert_string_equal(bytes, "E.croft.");
	assert_int_equal(croft_memory_read(vm, croft_physical(), 0x30, bytes, 4, NULL, &error), CROFT_ERROR_DENIED);
	assert_int_equal(croft_memory_read(vm, croft_physical(), 0x40, bytes, 4, NULL, &error), CROFT_ERROR_PROTOCOL);
	/* the space is said once */
	assert_int_equal(fake_stub_count(stub, "Qcroft.as:phys"), 1);
	close_vm(stub, vm);
}

static bool take_write(void *data, const char *question, size_t length, char *answer, size_t *answer_length)
{
	const char *at = question + 1;
	uint64_t address, count;
	uint8_t *memory = data;

	if (question[0] != 'X' && question[0] != 'M')
		return false;
	/* no longer than was said */
	if (packet_size(question, length) > (question[0] == 'X' ? 0x1000 : 0x200))
		return false;
	if (!hex_take(&at, &address) || *at++ != ',' || !hex_take(&at, &count) || *at++ != ':')
		return false;
	length -= (size_t)(at - question);
	if (question[0] == 'X' && length == count)
		memcpy(memory + address, at, count);
	else if (question[0] != 'M' || hex_bytes(at, length, memory + address, count) != (long)count)
		return false;
	strcpy(answer, "OK");
	*answer_length = 2;
	return true;
}

static void test_memory_is_written(void **state)
{
	(void)state;

	for (unsigned plain = 0; plain < 2; plain++) {
		static const struct fake_line other[] = {
			{"qSupported*", "PacketSize=200"}, {"?", "S05"}, {"D", "OK"}, {NULL, NULL}};
		struct fake_stub *stub = plain ? make_stub(other) : make_framed();
		uint8_t *memory = calloc(1, 65536), bytes[20000];
		struct croft_error error;
		struct croft_vm *vm;
		size_t done;

		/* much to escape */
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = i % 3 ? (uint8_t) "#$}*"[i % 4] : (uint8_t)i;
		stub->answer = take_write;
		stub->data = memory;
		open_vm(stub, 0, &vm);
		assert_int_equal(croft_memory_write(vm, croft_current(), 0x123, bytes, sizeof(bytes), &done, &error),
				 CROFT_OK);
		assert_int_equal(done, sizeof(bytes));
		close_vm(stub, vm);
		assert_memory_equal(memory + 0x123, bytes, sizeof(bytes));
		assert_int_equal(memory[0x122], 0);
		assert_int_equal(memory[0x123 + sizeof(bytes)], 0);
		free(memory);
	}
}

static void test_translation(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_mapping mapping;
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	open_vm(stub, 0, &vm);
	assert_int_equal(croft_memory_translate(vm, croft_current(), 0x1000, &mapping, &error), CROFT_OK);
	assert_int_equal(mapping.physical, 0x7000);
	assert_int_equal(mapping.page_size, 0x1000);
	assert_true(mapping.writable && mapping.user && !mapping.executable);
	assert_int_equal(croft_memory_translate(vm, croft_cr3(0x5000), 0x1000, &mapping, &error), CROFT_ERROR_UNMAPPED);
	assert_int_equal(fake_stub_count(stub, "qcroft.xlate:cr3=5000,1000"), 1);
	close_vm(stub, vm);
}

/* --- running --- */

static void test_run_and_stop(void **state)
{
	struct fake_stub *stub = make_framed();
	const struct croft_stop *stop;
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	(void)state;

	open_vm(stub, 0, &vm);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_true(croft_vm_is_running(vm));
	assert_int_equal(croft_vm_last_stop(vm)->kind, CROFT_STOP_NONE);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rax", &value, &error), CROFT_ERROR_RUNNING);
	assert_int_equal(croft_vm_wait(vm, 30, &stop, &error), CROFT_ERROR_TIMEOUT);
	assert_string_equal(error.text, "the VM still runs");
	assert_int_equal(croft_vm_stop(vm, &stop, &error), CROFT_OK);
	assert_int_equal(stop->kind, CROFT_STOP_REQUEST);
	assert_int_equal(stub->interrupts, 1);
	/* again is no matter */
	assert_int_equal(croft_vm_stop(vm, &stop, &error), CROFT_OK);
	assert_int_equal(stub->interrupts, 1);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rip", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x10);
	close_vm(stub, vm);
}

static void test_a_guest_that_cannot_be_stopped(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->interrupted = NULL;
	open_vm_within(stub, 0, MIDDLE_MS, &vm);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_stop(vm, NULL, &error), CROFT_ERROR_TIMEOUT);
	assert_non_null(strstr(error.text, "does not stop"));
	assert_true(croft_vm_is_running(vm));
	/* frames end it all the same */
	assert_int_equal(croft_vm_close(vm, &error), CROFT_OK);
	for (unsigned i = 0; i < LIMIT_MS / MOMENT_MS && !stub->byes; i++)
		usleep(1000 * MOMENT_MS);
	assert_int_equal(stub->byes, 1);
	fake_stub_end(stub);
	free(stub);
}

/* Of a machine whose clock is fast: what is a moment to us is silence that ends the session to it. */
static void test_a_fast_clock(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->fast = 5; /* 4 s are 0.8 */
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_wait(vm, 1600, NULL, &error), CROFT_ERROR_TIMEOUT);
	assert_false(stub->was_alone);
	close_vm(stub, vm);
}

/* We were held up for so long that the other end took us for lost. */
static void test_an_end_that_gives_up(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->gives_up = true;
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_wait(vm, TIMEOUT_MS, NULL, &error), CROFT_ERROR_LOST);
	assert_non_null(strstr(error.text, "has ended the session"));
	close_vm(stub, vm);
}

static void test_interrupting_a_wait(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	open_vm(stub, 0, &vm);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	croft_vm_interrupt(vm);
	assert_int_equal(croft_vm_wait(vm, -1, NULL, &error), CROFT_ERROR_INTERRUPTED);
	assert_true(croft_vm_is_running(vm));
	/* once */
	assert_int_equal(croft_vm_wait(vm, 20, NULL, &error), CROFT_ERROR_TIMEOUT);
	close_vm(stub, vm);
}

struct asked {
	unsigned count, until;
	uint64_t rip;
	enum croft_status nested;
};

static bool ask(void *data, struct croft_vm *vm, const struct croft_stop *stop)
{
	struct asked *asked = data;

	assert_int_not_equal(stop->kind, CROFT_STOP_NONE);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rip", &asked->rip, NULL), CROFT_OK);
	asked->nested = croft_vm_run(vm, NULL);
	return ++asked->count == asked->until;
}

static void test_events_decide(void **state)
{
	struct fake_stub *stub = make_framed();
	struct asked first = {.until = 3}, second = {0};
	const struct croft_stop *stop;
	struct croft_event *event;
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->stop = "T05thread:1;10:3412000000000000;";
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_event_add(vm, ask, &first, NULL, &error), CROFT_OK);
	assert_int_equal(croft_event_add(vm, ask, &second, &event, &error), CROFT_OK);
	assert_int_equal(croft_vm_step(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_wait(vm, TIMEOUT_MS, &stop, &error), CROFT_OK);
	assert_int_equal(stop->kind, CROFT_STOP_STEP);
	assert_int_equal(first.count, 3);
	assert_int_equal(second.count, 3);
	assert_int_equal(first.rip, 0x1234);
	assert_int_equal(first.nested, CROFT_ERROR_NESTED);
	/* it went on as it had begun */
	assert_int_equal(fake_stub_count(stub, "s"), 3);
	croft_event_remove(event);
	first.count = 2;
	assert_int_equal(croft_vm_step(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_wait(vm, TIMEOUT_MS, &stop, &error), CROFT_OK);
	assert_int_equal(second.count, 3);
	close_vm(stub, vm);
}

static void test_a_stop_that_comes_meanwhile(void **state)
{
	struct fake_stub *stub = make_framed();
	const struct croft_stop *stop;
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->stop = "T05watch:1000;thread:1;10:3412000000000000;";
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_pump(vm, TIMEOUT_MS, &error), CROFT_OK);
	assert_true(croft_vm_is_running(vm));
	assert_int_equal(croft_vm_wait(vm, 0, &stop, &error), CROFT_OK);
	assert_int_equal(stop->kind, CROFT_STOP_WATCH_WRITE);
	assert_int_equal(stop->address, 0x1000);
	close_vm(stub, vm);
}

static void test_wrong_stops(void **state)
{
	static const char *const stops[] = {"", "T", "Tzz", "OK", "S0", "Q05"};
	(void)state;

	for (unsigned i = 0; i < ARRAY_SIZE(stops); i++) {
		struct fake_stub *stub = make_framed();
		struct croft_error error;
		struct croft_vm *vm;

		stub->stop = stops[i];
		open_vm(stub, 0, &vm);
		assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
		assert_int_equal(croft_vm_wait(vm, TIMEOUT_MS, NULL, &error), CROFT_ERROR_PROTOCOL);
		close_vm(stub, vm);
	}
}

static void test_a_machine_that_goes(void **state)
{
	struct fake_stub *stub = make_framed();
	const struct croft_stop *stop;
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	(void)state;

	stub->stop = "W00";
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_wait(vm, TIMEOUT_MS, &stop, &error), CROFT_OK);
	assert_int_equal(stop->kind, CROFT_STOP_GONE);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rax", &value, &error), CROFT_ERROR_LOST);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_ERROR_LOST);
	close_vm(stub, vm);
}

/* --- breakpoints --- */

static void expect_described(const struct croft_breakpoint *breakpoint, const char *text)
{
	char line[128];

	assert_int_equal(croft_breakpoint_describe(breakpoint, line, sizeof(line)), strlen(text));
	assert_string_equal(line, text);
}

static void test_breakpoints_have_names(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_break what = {.kind = CROFT_WATCH_WRITE, .address = 0xc1331f14, .length = 4, .name = "esp0"};
	struct croft_breakpoint *esp0, *second, *third;
	struct croft_error error;
	struct croft_vm *vm;
	char cut[5];
	(void)state;

	open_vm(stub, 0, &vm);
	assert_int_equal(croft_breakpoint_add(vm, &what, &esp0, &error), CROFT_OK);
	expect_described(esp0, "esp0 0xc1331f14 Write (4)");
	assert_int_equal(fake_stub_count(stub, "Z2,c1331f14,4"), 1);
	assert_int_equal(croft_breakpoint_describe(esp0, cut, sizeof(cut)), 25);
	assert_string_equal(cut, "esp0");
	/* the same again, and the same name for another */
	assert_int_equal(croft_breakpoint_add(vm, &what, NULL, &error), CROFT_ERROR_ARGUMENT);
	what.address = 0x7c00;
	assert_int_equal(croft_breakpoint_add(vm, &what, NULL, &error), CROFT_ERROR_ARGUMENT);
	assert_non_null(strstr(error.text, "esp0"));
	what.name = "two words";
	assert_int_equal(croft_breakpoint_add(vm, &what, NULL, &error), CROFT_ERROR_ARGUMENT);
	what = (struct croft_break){.address = 0x7c00,
				    .space = croft_cr3(0x5000),
				    .condition = (const uint8_t *)"\x22\x01\x27",
				    .condition_length = 3};
	assert_int_equal(croft_breakpoint_add(vm, &what, &second, &error), CROFT_OK);
	expect_described(second, "b1 0x7c00 eXecute (1) cr3=0x5000 if");
	assert_int_equal(fake_stub_count(stub, "Qcroft.as:cr3=5000"), 1);
	assert_int_equal(fake_stub_count(stub, "Z0,7c00,1;X3,220127"), 1);
	what = (struct croft_break){.kind = CROFT_BREAK_HARD, .address = 0x7c00};
	assert_int_equal(croft_breakpoint_add(vm, &what, &third, &error), CROFT_OK);
	assert_int_equal(fake_stub_count(stub, "Z1,7c00,1"), 1);
	assert_ptr_equal(croft_breakpoint_find(vm, "b1"), second);
	assert_ptr_equal(croft_breakpoint_next(vm, NULL), esp0);
	assert_ptr_equal(croft_breakpoint_next(vm, esp0), second);
	assert_int_equal(croft_breakpoint_remove(second, &error), CROFT_OK);
	assert_int_equal(fake_stub_count(stub, "z0,7c00,1"), 1);
	assert_null(croft_breakpoint_find(vm, "b1"));
	assert_ptr_equal(croft_breakpoint_next(vm, esp0), third);
	assert_null(croft_breakpoint_next(vm, third));
	what = (struct croft_break){.address = 0x7c00, .space = croft_physical()};
	assert_int_equal(croft_breakpoint_add(vm, &what, NULL, &error), CROFT_ERROR_ARGUMENT);
	close_vm(stub, vm);
}

static void test_a_breakpoint_hits(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_break what = {.address = 0x1234, .name = "here"};
	struct croft_breakpoint *here;
	const struct croft_stop *stop;
	struct asked asked = {.until = 4};
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->stop = "T05swbreak:;thread:1;10:3412000000000000;";
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_breakpoint_add(vm, &what, &here, &error), CROFT_OK);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_wait(vm, TIMEOUT_MS, &stop, &error), CROFT_OK);
	assert_int_equal(stop->kind, CROFT_STOP_BREAK);
	assert_ptr_equal(stop->breakpoint, here);
	assert_int_equal(stop->address, 0x1234);
	assert_int_equal(croft_breakpoint_hits(here), 1);
	assert_int_equal(croft_breakpoint_remove(here, &error), CROFT_OK);
	/* one that asks before it stops */
	what.handler = ask;
	what.data = &asked;
	assert_int_equal(croft_breakpoint_add(vm, &what, &here, &error), CROFT_OK);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_wait(vm, TIMEOUT_MS, &stop, &error), CROFT_OK);
	assert_int_equal(asked.count, 4);
	assert_int_equal(croft_breakpoint_hits(here), 4);
	close_vm(stub, vm);
}

/* A stub that would stop at the same place again and again. */
static void test_stepping_over_a_breakpoint(void **state)
{
	static const struct fake_line script[] = {
		{"qSupported*", "PacketSize=1000"}, {"?", "S05"}, {"g", G},    {"Z0,1122334455667788,1", "OK"},
		{"z0,1122334455667788,1", "OK"},    {"s", "S05"}, {"D", "OK"}, {NULL, NULL}};
	struct fake_stub *stub = make_stub(script);
	struct croft_break what = {
		.address = 0x1122334455667788, .condition = (const uint8_t *)"\x22\x01\x27", .condition_length = 3};
	const struct croft_stop *stop;
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->stop = "S05";
	open_vm(stub, 0, &vm);
	/* it would stop whatever the condition says */
	assert_int_equal(croft_breakpoint_add(vm, &what, NULL, &error), CROFT_ERROR_UNSUPPORTED);
	what.condition_length = 0;
	assert_int_equal(croft_breakpoint_add(vm, &what, NULL, &error), CROFT_OK);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_wait(vm, TIMEOUT_MS, &stop, &error), CROFT_OK);
	assert_non_null(strstr(stub->said, "|z0,1122334455667788,1|s|g|Z0,1122334455667788,1|c|"));
	assert_int_equal(stop->kind, CROFT_STOP_BREAK);
	assert_non_null(stop->breakpoint);
	close_vm(stub, vm);
}

static void test_breakpoints_that_are_refused(void **state)
{
	static const struct fake_line script[] = {{"qSupported*", SUPPORTED_OURS},
						  {"?", "S05"},
						  {"Qcroft.as:*", "OK"},
						  {"Z0,1,1", "E1c"},
						  {"Z0,2,1", "E0e"},
						  {"D", "OK"},
						  {NULL, NULL}};
	struct fake_stub *stub = make_stub(script);
	struct croft_break what = {.address = 1};
	struct croft_breakpoint *none;
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->framed = true;
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_breakpoint_add(vm, &what, &none, &error), CROFT_ERROR_FULL);
	assert_null(none);
	what.address = 2;
	assert_int_equal(croft_breakpoint_add(vm, &what, NULL, &error), CROFT_ERROR_UNMAPPED);
	what.kind = CROFT_WATCH_READ;
	assert_int_equal(croft_breakpoint_add(vm, &what, NULL, &error), CROFT_ERROR_UNSUPPORTED);
	assert_null(croft_breakpoint_next(vm, NULL));
	close_vm(stub, vm);
}

/* --- what else there is --- */

struct text {
	char log[8192], output[256];
};

static void keep_text(void *data, enum croft_stream stream, const char *text, size_t length)
{
	struct text *kept = data;

	strncat(stream == CROFT_STREAM_LOG ? kept->log : kept->output, text, length);
}

static void test_log_text_flows(void **state)
{
	struct fake_stub *stub = make_framed();
	struct text kept = {.log = ""};
	struct croft_error error;
	struct croft_vm *vm;
	char *log = calloc(1, 6001);
	(void)state;

	/* more than there is credit for at first */
	for (unsigned i = 0; i < 6000; i++)
		log[i] = (char)('a' + i % 26);
	open_vm(stub, 0, &vm);
	croft_vm_set_text_handler(vm, keep_text, &kept);
	stub->log = log;
	for (unsigned i = 0; i < LIMIT_MS / MOMENT_MS && strlen(kept.log) < 6000; i++)
		assert_int_equal(croft_vm_pump(vm, MOMENT_MS, &error), CROFT_OK);
	assert_string_equal(kept.log, log);
	close_vm(stub, vm);
	free(log);
}

static void test_monitor(void **state)
{
	static const struct fake_line script[] = {
		{"qSupported*", SUPPORTED_OURS}, {"?", "S05"}, {"qRcmd,68656c70", "OK"}, {"D", "OK"}, {NULL, NULL}};
	struct fake_stub *stub = make_stub(script);
	struct text kept = {.log = ""};
	struct croft_error error;
	struct croft_vm *vm;
	(void)state;

	stub->framed = true;
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_vm_monitor(vm, "help", keep_text, &kept, &error), CROFT_OK);
	assert_int_equal(croft_vm_monitor(vm, "other", keep_text, &kept, &error), CROFT_ERROR_UNSUPPORTED);
	/* output belongs to the text handler while it runs */
	stub->output = "O68690a";
	stub->stop = "S05";
	croft_vm_set_text_handler(vm, keep_text, &kept);
	assert_int_equal(croft_vm_run(vm, &error), CROFT_OK);
	assert_int_equal(croft_vm_wait(vm, TIMEOUT_MS, NULL, &error), CROFT_OK);
	assert_string_equal(kept.output, "hi\n");
	close_vm(stub, vm);
}

static void test_objects(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	size_t length;
	char *content;
	(void)state;

	open_vm(stub, 0, &vm);
	assert_int_equal(croft_vm_object(vm, "croft.stats", NULL, &content, &length, &error), CROFT_OK);
	assert_string_equal(content, "version=1\ncpuid=7\n");
	assert_int_equal(length, 18);
	croft_free(content);
	assert_int_equal(croft_vm_object(vm, "croft.nothing", NULL, &content, &length, &error),
			 CROFT_ERROR_UNSUPPORTED);
	assert_null(content);
	close_vm(stub, vm);
}

static void test_packets_as_they_are(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_break what = {.address = 0x1234};
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	size_t length;
	char *reply;
	(void)state;

	stub->stop = "T05thread:1;10:3412000000000000;";
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_packet_ask(vm, "p82", 3, &reply, &length, &error), CROFT_OK);
	assert_string_equal(reply, "3300508000000000");
	croft_free(reply);
	assert_int_equal(croft_packet_receive(vm, 100, &reply, &length, &error), CROFT_ERROR_ARGUMENT);
	assert_int_equal(croft_packet_go(vm, "c", 1, &error), CROFT_OK);
	assert_int_equal(croft_packet_ask(vm, "g", 1, &reply, &length, &error), CROFT_ERROR_RUNNING);
	assert_int_equal(croft_packet_receive(vm, TIMEOUT_MS, &reply, &length, &error), CROFT_OK);
	assert_string_equal(reply, stub->stop);
	croft_free(reply);
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rip", &value, &error), CROFT_OK);
	assert_int_equal(value, 0x1234);
	/* one that has come before it is asked for, at a place that has to be asked for */
	assert_int_equal(croft_breakpoint_add(vm, &what, NULL, &error), CROFT_OK);
	stub->stop = "T05thread:1;10:3412000000000000;120:34120000;";
	assert_int_equal(croft_packet_go(vm, "c", 1, &error), CROFT_OK);
	assert_int_equal(croft_vm_pump(vm, TIMEOUT_MS, &error), CROFT_OK);
	assert_int_equal(croft_packet_receive(vm, 0, &reply, &length, &error), CROFT_OK);
	assert_string_equal(reply, stub->stop);
	croft_free(reply);
	assert_false(croft_vm_is_running(vm));
	close_vm(stub, vm);
}

static void test_bulk(void **state)
{
	struct fake_stub *stub = make_framed();
	struct croft_error error;
	struct croft_vm *vm;
	char bytes[32] = "", *reply;
	size_t done, length;
	(void)state;

	stub->bulk = "large contents";
	open_vm(stub, 0, &vm);
	assert_int_equal(croft_bulk_read(vm, bytes, sizeof(bytes), 20, &done, &error), CROFT_ERROR_TIMEOUT);
	assert_int_equal(croft_packet_ask(vm, "qbulk", 5, &reply, &length, &error), CROFT_OK);
	croft_free(reply);
	assert_int_equal(croft_bulk_read(vm, bytes, sizeof(bytes), TIMEOUT_MS, &done, &error), CROFT_OK);
	assert_string_equal(bytes, "large contents");
	close_vm(stub, vm);
}

/* --- an other end that fails --- */

static void test_damage_is_repaired(void **state)
{
	struct fake_stub *stub = make_stub(ours);
	struct croft_counters counters;
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	(void)state;

	open_vm_within(stub, CROFT_OPEN_PLAIN, 3 * MIDDLE_MS, &vm);
	stub->damage = 1;
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rax", &value, &error), CROFT_OK);
	assert_int_equal(stub->nacks, 1);
	/* a question that is lost is said again */
	stub->drop = 1;
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "cr0", &value, &error), CROFT_OK);
	croft_vm_counters(vm, &counters);
	assert_int_equal(counters.packets_repeated, 1);
	close_vm(stub, vm);
}

static void test_an_answer_that_never_comes(void **state)
{
	static const struct fake_line script[] = {
		{"qSupported*", SUPPORTED_OURS}, {"?", "S05"}, {"p82", NULL}, {"g", G}, {"D", "OK"}, {NULL, NULL}};
	struct fake_stub *stub = make_stub(script);
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value, start;
	(void)state;

	stub->framed = true;
	open_vm_within(stub, 0, MIDDLE_MS, &vm);
	start = wire_now_us();
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "cr0", &value, &error), CROFT_ERROR_TIMEOUT);
	assert_true(wire_now_us() - start >= MIDDLE_MS * 1000);
	/* nothing that comes later is taken for another answer */
	assert_int_equal(croft_cpu_read(croft_vm_cpu(vm), "rbx", &value, &error), CROFT_ERROR_TIMEOUT);
	assert_int_not_equal(croft_vm_close(vm, &error), CROFT_OK);
	fake_stub_end(stub);
	free(stub);
}

static void test_an_end_that_hangs_up(void **state)
{
	(void)state;

	for (unsigned at = 1; at < 8; at++) {
		struct fake_stub *stub = make_framed();
		struct croft_error error;
		struct croft_vm *vm;
		enum croft_status status;
		uint64_t value;

		stub->deaf = at;
		fake_stub_start(stub);
		status = croft_vm_open(stub->target, 0, TIMEOUT_MS, &vm, &error);
		if (!status) {
			status = croft_cpu_read(croft_vm_cpu(vm), "rax", &value, &error);
			if (!status)
				status = croft_cpu_read(croft_vm_cpu(vm), "cr0", &value, &error);
			if (!status)
				status = croft_cpu_read(croft_vm_cpu(vm), "cr4", &value, &error);
		}
		assert_int_equal(status, CROFT_ERROR_LOST);
		croft_vm_close(vm, NULL);
		fake_stub_end(stub);
		free(stub);
	}
}

/* Wrong answers to every question, one kind after the other. */
static void test_an_end_that_lies(void **state)
{
	static const char *const lies[] = {"",
					   "OK",
					   "E01",
					   "E.croft.\033[2Jno",
					   "zz",
					   "m",
					   "l",
					   "1,",
					   "xxxxxxxxxxxxxxxx",
					   "T05",
					   "O",
					   "O4",
					   "ffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
	(void)state;

	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		struct fake_line script[] = {
			{"qSupported*", SUPPORTED_OURS}, {"?", "S05"}, {"*", lies[i]}, {NULL, NULL}};
		struct fake_stub *stub = make_stub(script);
		struct croft_break what = {.address = 1};
		struct croft_mapping mapping;
		struct croft_range *ranges;
		struct croft_error error;
		struct croft_vm *vm;
		uint64_t value;
		uint8_t bytes[64];
		size_t count;
		char *text;

		fake_stub_start(stub);
		if (croft_vm_open(stub->target, CROFT_OPEN_PLAIN, SHORT_MS, &vm, &error) == CROFT_OK) {
			(void)croft_cpu_read(croft_vm_cpu(vm), "rax", &value, &error);
			(void)croft_cpu_load(croft_vm_cpu(vm), 0xff, &error);
			(void)croft_memory_read(vm, croft_physical(), 0, bytes, 64, &count, &error);
			assert_null(strchr(error.text, '\033'));
			(void)croft_memory_translate(vm, croft_current(), 0, &mapping, &error);
			(void)croft_memory_search(vm, croft_physical(), 0, 4096, "x", 1, &value, &error);
			if (croft_memory_map(vm, &ranges, &count, &error) == CROFT_OK)
				croft_free(ranges);
			if (croft_vm_object(vm, "threads", NULL, &text, &count, &error) == CROFT_OK)
				croft_free(text);
			(void)croft_cpu_msr_read(croft_vm_cpu(vm), 1, &value, &error);
			(void)croft_breakpoint_add(vm, &what, NULL, &error);
			(void)croft_vm_monitor(vm, "help", NULL, NULL, &error);
		}
		croft_vm_close(vm, NULL);
		fake_stub_end(stub);
		free(stub);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_are_agreed_on),
		cmocka_unit_test(test_another_stub_stays_plain),
		cmocka_unit_test(test_acknowledgements_end_where_they_can),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_a_silent_wire),
		cmocka_unit_test(test_a_first_question_that_is_lost),
		cmocka_unit_test(test_a_first_answer_that_is_late),
		cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_registers_are_read_once),
		cmocka_unit_test(test_registers_are_written_before_it_goes_on),
		cmocka_unit_test(test_a_register_that_is_refused),
		cmocka_unit_test(test_questions_at_once),
		cmocka_unit_test(test_a_wrong_answer_among_many),
		cmocka_unit_test(test_modes_and_places),
		cmocka_unit_test(test_memory_is_read),
		cmocka_unit_test(test_memory_that_looks_like_an_error),
		cmocka_unit_test(test_memory_is_written),
		cmocka_unit_test(test_translation),
		cmocka_unit_test(test_run_and_stop),
		cmocka_unit_test(test_a_guest_that_cannot_be_stopped),
		cmocka_unit_test(test_a_fast_clock),
		cmocka_unit_test(test_an_end_that_gives_up),
		cmocka_unit_test(test_interrupting_a_wait),
		cmocka_unit_test(test_events_decide),
		cmocka_unit_test(test_a_stop_that_comes_meanwhile),
		cmocka_unit_test(test_wrong_stops),
		cmocka_unit_test(test_a_machine_that_goes),
		cmocka_unit_test(test_breakpoints_have_names),
		cmocka_unit_test(test_a_breakpoint_hits),
		cmocka_unit_test(test_stepping_over_a_breakpoint),
		cmocka_unit_test(test_breakpoints_that_are_refused),
		cmocka_unit_test(test_log_text_flows),
		cmocka_unit_test(test_monitor),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_packets_as_they_are),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_damage_is_repaired),
		cmocka_unit_test(test_an_answer_that_never_comes),
		cmocka_unit_test(test_an_end_that_hangs_up),
		cmocka_unit_test(test_an_end_that_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
