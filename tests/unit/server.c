/* SPDX-License-Identifier: BSD-2-Clause */
/* core/control: each packet of the server, as clients send them, and clients that come, go and get lost. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <undercroft/alarm.h>
#include <undercroft/errno.h>
#include <x86/cr.h>
#include <x86/msr.h>

#include "core/control/packets.h"
#include "core/control/regs.h"
#include "core/exit.h"
#include "tests/unit/client.h"

static struct client client;
static struct vcpu *const vcpu = &client.spine.fake.vcpu.vcpu;
static struct fake_vcpu *const fake = &client.spine.fake.vcpu;
static const struct stop request = {.kind = STOP_REQUEST};

static int setup(void **state)
{
	(void)state;
	client_init(&client);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	client_free(&client);
	return 0;
}

static uint8_t *memory(uint64_t address, size_t length)
{
	return fake_memory_at(&client.spine.fake.platform, address, length);
}

static void expect(const char *ask, const char *reply)
{
	const char *got = client_ask(&client, ask);

	if (!got || strcmp(got, reply) != 0)
		fail_msg("%s: expected %s, got %s", ask, reply, got ? got : "nothing");
	assert_int_equal(client.bad, 0);
}

static void expect_all(const char *const (*pairs)[2], size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect(pairs[i][0], pairs[i][1]);
}

static bool has(const char *text, const char *part)
{
	return text && strstr(text, part) != NULL;
}

/* --- questions --- */

static void test_what_it_can_do(void **state)
{
	const char *reply =
		client_ask(&client, "qSupported:multiprocess+;swbreak+;hwbreak+;qRelocInsn+;xmlRegisters=i386");

	(void)state;
	assert_true(has(reply, "PacketSize=1000;"));
	assert_true(has(reply, "qXfer:features:read+"));
	assert_true(has(reply, "ConditionalBreakpoints+;BreakpointCommands+"));
	assert_false(has(reply, "QStartNoAckMode"));   /* the wire may lose bytes */
	assert_false(has(reply, "qXfer:memory-map:")); /* it would hide what is not listed */
	assert_false(has(reply, "multiprocess"));
	assert_true(client.server.says_swbreak);
	assert_true(client.server.says_hwbreak);
	client_ask(&client, "qSupported:xswbreak+;hwbreak-");
	assert_false(client.server.says_swbreak);
	assert_false(client.server.says_hwbreak);
}

static void test_questions(void **state)
{
	static const char *const pairs[][2] = {
		{"QStartNoAckMode", ""},
		{"qAttached", "1"},
		{"qfThreadInfo", "m1"},
		{"qsThreadInfo", "l"},
		{"qC", "QC1"},
		{"qThreadExtraInfo,1", "6372333d30207265616c2063706c30"}, /* "cr3=0 real cpl0" */
		{"Hg0", "OK"},
		{"Hg1", "OK"},
		{"Hc-1", "OK"},
		{"Hg2", "E16"},
		{"H", "E16"},
		{"T1", "OK"},
		{"T2", "E16"},
		{"qSymbol::", "OK"},
		{"vCont?", "vCont;c;C;s;S;r"},
		{"qqemu.PhyMemMode", "0"},
		{"Qqemu.PhyMemMode:1", "OK"},
		{"qqemu.PhyMemMode", "1"},
		{"qcroft.as", "phys"},
		{"qqemu.sstepbits", "ENABLE=1"},
		{"Qqemu.sstepbits", "ENABLE=1"},
		{"Qqemu.PhyMemMode:2", "E16"},
		{"Qqemu.PhyMemMode:0", "OK"},
		{"qMemoryRegionInfo:", "E16"},
		{"qMemoryRegionInfo:1,", "E16"},
		{"qHostInfo",
		 "triple:7838365f36342d756e6b6e6f776e2d756e6b6e6f776e;ptrsize:8;endian:little;vendor:unknown;"
		 "ostype:unknown;watchpoint_exceptions_received:after;"},
		{"qProcessInfo",
		 "pid:1;triple:7838365f36342d756e6b6e6f776e2d756e6b6e6f776e;ptrsize:8;endian:little;ostype:unknown;"},
	};

	(void)state;
	expect_all(pairs, ARRAY_SIZE(pairs));
}

static void test_unknown_packets(void **state)
{
	static const char *const unknown[] = {"",
					      "!",
					      "R00",
					      "vMustReplyEmpty",
					      "vAttach;1",
					      "vRun;",
					      "QNonStop:1",
					      "bc",
					      "qOffsets",
					      "qTStatus",
					      "jThreadsInfo",
					      "qCx",
					      "QSaveRegisterState",
					      "A",
					      "e",
					      "F",
					      "i",
					      "z7,1000,1",
					      "Z5,1000,1",
					      "qXfer:auxv:read::0,10",
					      "qXfer:memory-map:read::0,10",
					      "qcroft",
					      "Qcroft.x",
					      "~",
					      "\x7f"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
		expect(unknown[i], "");
}

/* --- registers --- */

static void test_registers_one_by_one(void **state)
{
	static const char *const pairs[][2] = {
		{"P0=8877665544332211", "OK"},
		{"p0", "8877665544332211"},
		{"p0;thread:1;", "8877665544332211"},
		{"P1=0100000000000000;thread:0001;", "OK"},
		{"p1", "0100000000000000"},
		{"p10", "0080000000000000"}, /* rip */
		{"p11", "02000000"},	     /* eflags */
		{"P11=46000000", "OK"},
		{"p11", "46000000"},
		{"P11=28000000", "E16"}, /* bits that are always 0 */
		{"P11=02000200", "E16"}, /* VM */
		{"P12=34120000", "OK"},	 /* cs, and in real mode its base */
		{"p12", "34120000"},
		{"p45", "4023010000000000"},  /* cs_base */
		{"p100", "40a3010000000000"}, /* linear_pc */
		{"P100=0000000000000000", "E0d"},
		{"P12=34120100", "E16"},
		{"p102", "00000000"},	      /* cpu_mode */
		{"p103", "0700000000000000"}, /* xcr0 */
		{"P103=0300000000000000", "E0d"},
		{"p104", "0200000000000000"}, /* debugctl */
		{"P104=0000000000000000", "E0d"},
		{"P110=44332211", "OK"}, /* rax_low: the other half stays */
		{"p0", "4433221144332211"},
		{"P120=78560000", "OK"}, /* rip_low */
		{"p10", "7856000000000000"},
		{"P10=0000000001000000", "E16"}, /* beyond 4 GiB outside of 64-bit code */
		{"p3a", "E16"},
		{"p60", "E16"},
		{"p9e", "E16"},
		{"pffff", "E16"},
		{"p10000", "E16"},
		{"pffffffffffffffff", "E16"},
		{"p", "E16"},
		{"P0=00", "E16"},
		{"P0=00112233445566778899", "E16"},
		{"P0=0011223344556677889", "E16"},
		{"P0=", "E16"},
		{"P0", "E16"},
		{"P3a=00", "E02"},
		{"p84", "0000000000000000"}, /* cr3 */
		{"P84=00f0ff0000000000", "OK"},
		{"p84", "00f0ff0000000000"},
		{"P84=0000000000000100", "E16"}, /* no such address */
		{"P86=0f00000000000000", "OK"},	 /* cr8 */
		{"P86=1000000000000000", "E16"},
		{"P9b=03", "E0d"}, /* cpl */
		{"P9c=01", "OK"},
		{"P9c=02", "E16"},
		{"P8f=ffff0000", "OK"}, /* gdtr_limit */
		{"P8f=00000100", "E16"},
	};

	(void)state;
	client.spine.fake.platform.xcr0 = 7;
	fake->debugctl = 2;
	expect_all(pairs, ARRAY_SIZE(pairs));
	assert_int_equal(vcpu->gpr[GPR_RBX], 1);
	assert_int_equal(fake->seg[SEG_CS].selector, 0x1234);
}

static void test_all_core_registers(void **state)
{
	char all[400], *at = all;
	const char *reply;

	(void)state;
	/* rdx and gs, recognizable */
	vcpu->gpr[GPR_RDX] = 0x1122334455667788;
	fake->seg[SEG_GS].selector = 0xabcd;
	reply = client_ask(&client, "g");
	assert_int_equal(strlen(reply), 2 * (17 * 8 + 7 * 4));
	assert_memory_equal(reply + 3 * 16, "8877665544332211", 16);
	assert_string_equal(reply + 2 * (17 * 8 + 6 * 4), "cdab0000");
	/* back again, one changed */
	at += sprintf(at, "G%s", reply);
	memcpy(all + 1, "ff", 2);
	expect(all, "OK");
	assert_int_equal(vcpu->gpr[GPR_RAX], 0xff);
	assert_int_equal(vcpu->gpr[GPR_RDX], 0x1122334455667788);
	/* a part is enough, half a register is not */
	expect("G0100000000000000", "OK");
	assert_int_equal(vcpu->gpr[GPR_RAX], 1);
	expect("G01000000", "E16");
	expect("G", "E16");
	strcat(all, "00");
	expect(all, "E16");
	(void)at;
}

static void test_control_registers_keep_the_machine_possible(void **state)
{
	static const char *const pairs[][2] = {
		{"P82=1100000000000000", "OK"},	 /* cr0: PE */
		{"P82=0000008000000000", "E16"}, /* PG without PE */
		{"P82=1100002000000000", "E16"}, /* NW without CD */
		{"P82=1100000001000000", "E16"},
		{"P85=2000000000000000", "OK"},	 /* cr4: PAE */
		{"P85=2020000000000000", "E16"}, /* VMXE: not on this CPU as far as anybody knows */
		{"P87=0009000000000000", "E16"}, /* efer: NXE, which CPUID does not show */
		{"P87=0001000000000000", "OK"},	 /* LME */
		{"P82=1100008000000000", "OK"},	 /* PG: long mode */
		{"p87", "0005000000000000"},
		{"p102", "04000000"},		 /* compat16 */
		{"P85=0000000000000000", "E16"}, /* without PAE */
		{"P47=9b020000", "OK"},		 /* cs_attr: L */
		{"p102", "06000000"},		 /* long64 */
		{"P47=9b060000", "E16"},	 /* L and D */
		{"P10=0000000000800000", "E16"}, /* not canonical */
		{"P10=0000000000f0ff7f", "E16"},
		{"P10=000000000080ffff", "OK"},
		{"P47=9b000000", "E16"},	 /* RIP would be beyond */
		{"P82=1100000000000000", "E16"}, /* out of 64-bit code */
	};

	(void)state;
	expect_all(pairs, ARRAY_SIZE(pairs));
	assert_true(fake->reg[REG_EFER] & EFER_LMA);
	assert_int_not_equal(fake->flushes, 0);
}

static void test_segments_keep_the_machine_possible(void **state)
{
	(void)state;
	expect("p46", "ffff0000"); /* cs_limit */
	fake->seg[SEG_CS].attributes = 0x9b;
	expect("P46=ffffffff", "OK");
	expect("p47", "9b080000");
	expect("P46=ff7f0000", "OK");
	expect("p47", "9b080000");
	expect("P46=fe7f0000", "OK");
	expect("p47", "9b000000");
	expect("P46=00000001", "E16");
	expect("P47=1b000000", "E16"); /* not present */
	expect("P47=fb000000", "E16"); /* another privilege level */
	expect("P47=9a000000", "E16"); /* not accessed */
	expect("P47=9b100000", "E16");
	fake->seg[SEG_DS].attributes = 0x93;
	expect("P4f=13000000", "OK");  /* ds_attr: unusable */
	expect("P4f=99000000", "E16"); /* code that cannot be read */
	expect("P4d=0000000001000000", "E16");
	expect("P51=000000000080ffff", "OK"); /* fs_base */
	expect("P51=0000000000800000", "E16");
	expect("P5c=04000000", "E16"); /* tr: in the LDT */
	expect("P5f=8b000000", "OK");
	expect("P5f=89000000", "E16");
	expect("P5b=82000000", "OK"); /* ldtr_attr */
	expect("P5b=92000000", "E16");
}

static void test_floating_point(void **state)
{
	uint8_t *fpu = client.spine.fake.platform.fpu;

	(void)state;
	expect("P18=0102030405060708ff3f", "OK"); /* st0 */
	assert_memory_equal(fpu + 32, "\1\2\3\4\5\6\7\x08\xff\x3f", 10);
	expect("p18", "0102030405060708ff3f");
	expect("P20=7f030000", "OK"); /* fctrl */
	assert_int_equal(fpu[0] | fpu[1] << 8, 0x37f);
	expect("p20", "7f030000");
	expect("P21=00180000", "OK"); /* fstat: top is 3 */
	/* registers 3 (st0, above: a denormal's exponent is not it, but the integer bit is missing), 4, 5, 6 and others
	 */
	fpu[4] = 0x38;
	memset(fpu + 32 + 16, 0, 16); /* st1: zero */
	memset(fpu + 32 + 32, 0, 16); /* st2: one */
	fpu[32 + 32 + 7] = 0x80;
	fpu[32 + 32 + 9] = 0x3f;
	expect("p22", "bff10000");
	expect("P22=fcff0000", "OK");
	assert_int_equal(fpu[4], 0x01);
	expect("P28=00112233445566778899aabbccddeeff", "OK"); /* xmm0 */
	expect("p28", "00112233445566778899aabbccddeeff");
	expect("P38=801f0000", "OK"); /* mxcsr */
	expect("P38=00000100", "E16");
	expect("p38", "801f0000");
}

/* The whole description in pieces of a size; the number of registers in it. */
static unsigned description(unsigned piece, char *out, size_t size)
{
	unsigned offset = 0, count = 0;
	char ask[64];

	for (;;) {
		const char *reply;
		size_t length;

		snprintf(ask, sizeof(ask), "qXfer:features:read:target.xml:%x,%x", offset, piece);
		reply = client_ask_binary(&client, ask, strlen(ask), &length);
		assert_non_null(reply);
		assert_true(*reply == 'm' || *reply == 'l');
		assert_true(length - 1 <= piece);
		assert_true(offset + length < size);
		memcpy(out + offset, reply + 1, length - 1);
		offset += (unsigned)length - 1;
		if (*reply == 'l')
			break;
		assert_int_not_equal(length, 1);
	}
	out[offset] = 0;
	for (const char *at = out; (at = strstr(at, "<reg ")) != NULL; at++)
		count++;
	return count;
}

static void test_description(void **state)
{
	static char text[16384], again[16384];
	unsigned count = description(0xffff, text, sizeof(text));

	(void)state;
	assert_int_equal(description(0x101, again, sizeof(again)), count);
	assert_string_equal(text, again);
	assert_true(has(text, "<osabi>none</osabi>"));
	assert_true(has(text, "<architecture>i386:x86-64</architecture>"));
	assert_true(has(text, "<reg name=\"rip\" bitsize=\"64\" type=\"code_ptr\" regnum=\"16\"/>"));
	assert_true(has(text, "<reg name=\"cr0\" bitsize=\"64\" type=\"uint64\" regnum=\"130\" save-restore=\"no\""));
	expect("qXfer:features:read:target.xml:ffffff,10", "l");
	expect("qXfer:features:read:other.xml:0,10", "E00");
	expect("qXfer:features:read:target.xml:0", "E00");
	expect("qXfer:features:read:target.xml:,1", "E00");
	/* what it names can be read, has that size, and is named once */
	for (const char *at = text; (at = strstr(at, "<reg ")) != NULL; at++) {
		unsigned number, bits;
		char name[32], type[32], ask[16], *again_named;
		const char *reply;

		assert_int_equal(sscanf(at, "<reg name=\"%31[^\"]\" bitsize=\"%u\" type=\"%31[^\"]\" regnum=\"%u\"",
					name, &bits, type, &number),
				 4);
		assert_int_equal(regs_size(number) * 8, bits);
		snprintf(ask, sizeof(ask), "p%x", number);
		reply = client_ask(&client, ask);
		assert_int_equal(strlen(reply) * 4, bits);
		snprintf(type, sizeof(type), "regnum=\"%u\"", number);
		again_named = strstr(strchr(at, '\n'), type);
		assert_null(again_named);
	}
}

/* Numbers that clients know by heart: changing one breaks them. */
static void test_numbers_are_frozen(void **state)
{
	static const struct {
		unsigned number;
		const char *name;
	} frozen[] = {{0, "rax"},	    {7, "rsp"},		{16, "rip"},
		      {17, "eflags"},	    {18, "cs"},		{23, "gs"},
		      {24, "st0"},	    {32, "fctrl"},	{39, "fop"},
		      {40, "xmm0"},	    {56, "mxcsr"},	{65, "es_base"},
		      {71, "cs_attr"},	    {81, "fs_base"},	{85, "gs_base"},
		      {88, "ldtr"},	    {92, "tr"},		{95, "tr_attr"},
		      {130, "cr0"},	    {131, "cr2"},	{132, "cr3"},
		      {133, "cr4"},	    {134, "cr8"},	{135, "efer"},
		      {136, "dr0"},	    {141, "dr7"},	{142, "gdtr_base"},
		      {145, "idtr_limit"},  {146, "star"},	{150, "k_gs_base"},
		      {154, "pat"},	    {155, "cpl"},	{156, "interrupt_shadow"},
		      {157, "nmi_blocked"}, {256, "linear_pc"}, {257, "linear_sp"},
		      {258, "cpu_mode"},    {259, "xcr0"},	{260, "debugctl"},
		      {276, "rsp_low"},	    {288, "rip_low"}};
	static char text[16384];

	(void)state;
	description(0xffff, text, sizeof(text));
	for (unsigned i = 0; i < ARRAY_SIZE(frozen); i++) {
		char name[48], number[32], *at;

		snprintf(name, sizeof(name), "<reg name=\"%s\" ", frozen[i].name);
		snprintf(number, sizeof(number), " regnum=\"%u\"", frozen[i].number);
		at = strstr(text, name);
		if (!at || strstr(at, number) > strchr(at, '\n') || !strstr(at, number))
			fail_msg("%s is not %u", frozen[i].name, frozen[i].number);
	}
}

/* --- memory --- */

static void test_memory(void **state)
{
	static const char *const pairs[][2] = {
		{"M2000,4:01020304", "OK"},
		{"m2000,4", "01020304"},
		{"m2000,0", ""},
		{"m1000000,1", "E0d"}, /* behind the end: device memory, if anything */
		{"mfffffe,4", "0000"}, /* as far as it goes */
		{"mc00000,4", "E0d"},  /* hidden */
		{"Mc00000,1:00", "E0d"},
		{"m2000", "E16"},
		{"m2000,", "E16"},
		{"m,4", "E16"},
		{"m2000,4x", "E16"},
		{"m11112222333344445,1", "E16"},
		{"M2000,4:010203", "E16"},
		{"M2000,4:0102030", "E16"},
		{"M2000,4:0102030405", "E16"},
		{"M2000,2:01zz", "E16"},
		{"M2000,4", "E16"},
		{"x0,0", "OK"},
		{"X2000,0:", "OK"},
		{"X2000,2:a", "E16"},
		{"X2000,2:abc", "E16"},
	};
	static const uint8_t binary[] = "X3000,6:}\x03}\x04}]}\x0a\0z";
	size_t length;
	const char *reply;

	(void)state;
	expect_all(pairs, ARRAY_SIZE(pairs));
	reply = client_ask_binary(&client, binary, sizeof(binary) - 1, NULL);
	assert_string_equal(reply, "OK");
	assert_memory_equal(memory(0x3000, 6), "#$}*\0z", 6);
	reply = client_ask_binary(&client, "x3000,6", 7, &length);
	assert_int_equal(length, 6);
	assert_memory_equal(reply, "#$}*\0z", 6);
}

static void test_long_reads_are_cut(void **state)
{
	const char *reply;
	size_t length;

	(void)state;
	for (unsigned i = 0; i < 8192; i++)
		memory(0x4000, 8192)[i] = (uint8_t) "#$}*"[i & 3];
	reply = client_ask_binary(&client, "x4000,ffffffffffffffff", 22, &length);
	assert_int_equal(length, SERVER_DATA_MAX);
	assert_memory_equal(reply, memory(0x4000, length), length);
	assert_int_equal(client.wire_length[0], RSP_PACKET_MAX);
	client_ask_binary(&client, "m4000,10000", 11, &length);
	assert_int_equal(length, 2 * SERVER_DATA_MAX);
}

static void test_spaces(void **state)
{
	static const char *const pairs[][2] = {
		{"qcroft.as", "current"},
		{"qcroft.xlate:current,180123", "5123,1000,rwxu"},
		{"qcroft.xlate:phys,180123", "180123,1000,rwxu"},
		{"qcroft.xlate:current,40000000", "E.croft.nothing is mapped there"},
		{"qcroft.xlate:current", "E.croft.the packet is not as docs/protocol.md has it"},
		{"qcroft.xlate:cr3=,1", "E.croft.the packet is not as docs/protocol.md has it"},
		{"m180000,3", "414243"},
		{"Qcroft.as:phys", "OK"},
		{"qcroft.as", "phys"},
		{"m5000,3", "414243"},
		{"m180000,1", "07"}, /* the page table itself? the first byte there */
		{"Qcroft.as:cr3=182000;mmio", "OK"},
		{"qcroft.as", "cr3=182000;mmio"},
		{"m5000,3", "E0e"},
		{"Qcroft.as:elsewhere", "E.croft.the packet is not as docs/protocol.md has it"},
		{"Qcroft.as:current;mmi", "E.croft.the packet is not as docs/protocol.md has it"},
		{"qcroft.as", "cr3=182000;mmio"},
		{"Qcroft.as:current", "OK"},
		{"m180000,3", "414243"},
	};
	uint64_t *table = (uint64_t *)(void *)memory(SPINE_TABLES, 4 * PAGE_SIZE);

	(void)state;
	spine_long64(&client.spine);
	/* 180000h is mapped to 5000h by tables behind the first one; the first is at 1a0000h then */
	memset(table, 0, 4 * PAGE_SIZE);
	table = (uint64_t *)(void *)memory(0x1a0000, 4 * PAGE_SIZE);
	table[0] = 0x1a1007;
	table[512] = 0x1a2007;
	table[1024] = 0x1a3007;
	table[1536 + 0x180] = 0x5007;
	memory(0x180000, 1)[0] = 7;
	fake->reg[REG_CR3] = 0x1a0000;
	memcpy(memory(0x5000, 3), "ABC", 3);
	expect_all(pairs, ARRAY_SIZE(pairs));
}

static void test_crc_and_search(void **state)
{
	static const char *const pairs[][2] = {
		{"qCRC:5000,9", "C0376e6e7"}, /* CRC-32/MPEG-2 of "123456789" */
		{"qCRC:5000,0", "Cffffffff"},
		{"qCRC:bfffff,2", "E0d"},
		{"qCRC:5000", "E16"},
		{"qSearch:memory:5000;1000;567", "1,5004"},
		{"qSearch:memory:5000;6;567", "0"},
		{"qSearch:memory:5000;7;567", "1,5004"},
		{"qSearch:memory:0;8000;89", "1,5007"},
		{"qSearch:memory:7000;2000;page", "1,77fe"}, /* across a boundary of what is looked at at once */
		{"qSearch:memory:5000;1000;", "E16"},
		{"qSearch:memory:bff000;2000;nowhere", "E0d"},
		{"qSearch:memory:5000;", "E16"},
	};

	(void)state;
	memcpy(memory(0x5000, 9), "123456789", 9);
	memcpy(memory(0x77fe, 4), "page", 4);
	expect_all(pairs, ARRAY_SIZE(pairs));
}

static void test_device_memory_on_request_only(void **state)
{
	(void)state;
	client.spine.machine.memory.range[0].length = MIB(8);
	fake_mmio_add(&client.spine.fake.platform, MIB(9), 0x1000, NULL, NULL, NULL);
	expect("m900030,4", "E0d");
	assert_int_equal(fake_access_count(&client.spine.fake.platform, FAKE_MMIO_READ, 0x900030), 0);
	expect("Qcroft.as:phys;mmio", "OK");
	expect("m900030,4", "ffffffff");
	assert_int_not_equal(fake_access_count(&client.spine.fake.platform, FAKE_MMIO_READ, 0x900030), 0);
}

/* --- MSRs, ports, objects --- */

static uint64_t port_read(void *context, uint64_t address, unsigned size)
{
	(void)context;
	return address << 4 | size;
}

static void test_msrs_and_ports(void **state)
{
	static const char *const pairs[][2] = {
		{"qcroft.msr:10", "123456789abc"},
		{"qcroft.msr:c0010117", "E.croft.RDMSR raises a general protection exception"}, /* VM_HSAVE_PA */
		{"qcroft.msr:999", "E.croft.RDMSR raises a general protection exception"},
		{"Qcroft.msr:10,5", "OK"},
		{"qcroft.msr:10", "5"},
		{"Qcroft.msr:999,5", "E.croft.WRMSR raises a general protection exception"},
		{"Qcroft.msr:c0000080,100", "OK"},
		{"qcroft.msr:c0000080", "100"},
		{"Qcroft.msr:c0000100,7000", "OK"},
		{"qcroft.msr:c0000100", "7000"},
		{"Qcroft.msr:c0000100,8000000000000000", "E.croft.WRMSR raises a general protection exception"},
		{"qcroft.msr:100000000", "E.croft.the packet is not as docs/protocol.md has it"},
		{"Qcroft.msr:10", "E.croft.the packet is not as docs/protocol.md has it"},
		{"qcroft.port:64,1", "41"},
		{"qcroft.port:64,2", "642"},
		{"qcroft.port:64,4", "644"},
		{"qcroft.port:64,3", "E.croft.the packet is not as docs/protocol.md has it"},
		{"qcroft.port:10000,1", "E.croft.the packet is not as docs/protocol.md has it"},
		{"Qcroft.port:64,1,ff", "OK"},
		{"Qcroft.port:64,1,100", "E.croft.the packet is not as docs/protocol.md has it"},
		{"Qcroft.port:64,4,ffffffff", "OK"},
		{"Qcroft.port:64,4,100000000", "E.croft.the packet is not as docs/protocol.md has it"},
		{"Qcroft.port:64,1", "E.croft.the packet is not as docs/protocol.md has it"},
	};

	(void)state;
	fake_msr_set(&client.spine.fake.platform, MSR_TSC, 0x123456789abc);
	fake_msr_set(&client.spine.fake.platform, MSR_VM_HSAVE_PA, 0x1000);
	fake_port_add(&client.spine.fake.platform, 0x64, 1, port_read, NULL, NULL);
	expect_all(pairs, ARRAY_SIZE(pairs));
	assert_int_equal(fake->seg[SEG_FS].base, 0x7000);
}

static void test_objects(void **state)
{
	const char *reply;

	(void)state;
	vcpu->statistics.counter[EXIT_CPUID].count = 12345;
	client.wire.frontend.overruns = 3;
	reply = client_ask(&client, "qXfer:croft.stats:read::0,800");
	assert_true(has(reply, "lversion=1\n"));
	assert_true(has(reply, "\ncpuid=12345\n"));
	assert_true(has(reply, "\nline_overruns=3\n"));
	reply = client_ask(&client, "qXfer:threads:read::0,800");
	assert_true(has(reply, "<thread id=\"1\" core=\"0\" name=\"cpu0\">cr3=0 real cpl0</thread>"));
	reply = client_ask(&client, "qXfer:croft.log:read::0,800");
	assert_true(has(reply, "a debugger has attached\n"));
	reply = client_ask(&client, "qXfer:croft.memory-map:read::0,800");
	assert_true(has(reply, "<memory type=\"ram\" start=\"0x0\" length=\"0xc00000\"/>"));
	assert_true(has(reply, "<memory type=\"ram\" start=\"0xd00000\" length=\"0x300000\"/>"));
	expect("Qcroft.as:phys", "OK");
	assert_true(has(client_ask(&client, "qSupported"), "qXfer:memory-map:read+"));
	assert_true(has(client_ask(&client, "qXfer:memory-map:read::0,800"), "<memory-map>"));
}

/* --- the monitor --- */

/* What a command prints, decoded. */
static const char *monitor(const char *line)
{
	static char out[65536];
	char ask[256] = "qRcmd,";
	size_t used = 0;
	unsigned first = client.server.resumed;
	const char *last = NULL;

	for (size_t i = 0; line[i]; i++)
		sprintf(ask + strlen(ask), "%02x", (unsigned char)line[i]);
	client_ask(&client, ask);
	for (unsigned i = first; i < client.frames; i++) {
		const char *at = client.frame[i];

		last = at;
		for (at += *at == 'O' && at[1] != 'K';
		     *client.frame[i] == 'O' && at != client.frame[i] && at[0] && at[1]; at += 2) {
			unsigned byte;

			assert_int_equal(sscanf(at, "%2x", &byte), 1);
			out[used++] = (char)byte;
		}
	}
	assert_string_equal(last, "OK");
	out[used] = 0;
	return out;
}

static void test_monitor(void **state)
{
	(void)state;
	/* nobody acknowledges the pieces: that each is waited for is another test's matter */
	fake_msr_set(&client.spine.fake.platform, MSR_TSC, 0x55);
	fake_port_add(&client.spine.fake.platform, 0x64, 1, port_read, NULL, NULL);
	assert_true(has(monitor("help"), "info registers"));
	assert_true(has(monitor("info registers"),
			"CR0=00000000 CR2=0000000000000000 CR3=0000000000000000 CR4=00000000\n"));
	assert_true(has(monitor("info version"), "Undercroft "));
	assert_true(has(monitor("version"), "Undercroft "));
	assert_true(has(monitor("stats"), "cpuid "));
	assert_true(has(monitor("stats"), "\nline_overruns    0\n"));
	assert_true(has(monitor("log"), "a debugger has attached"));
	assert_string_equal(monitor("msr 10"), "55\n");
	assert_string_equal(monitor("msr 0x10 77"), "77\n");
	assert_string_equal(monitor("msr 10"), "77\n");
	assert_string_equal(monitor("msr 11"), "#GP\n");
	assert_string_equal(monitor("in 64"), "41\n");
	assert_string_equal(monitor("in 64 w"), "642\n");
	assert_string_equal(monitor("out 64 b 12"), "");
	assert_string_equal(monitor("out 64"), "out PORT [b|w|l] VALUE\n");
	assert_string_equal(monitor("as phys mmio"), "phys mmio\n");
	assert_string_equal(monitor("as"), "phys mmio\n");
	assert_string_equal(monitor("as current"), "current\n");
	assert_string_equal(monitor("as nowhere"), "as [current|phys|cr3=NUMBER] [mmio]\n");
	assert_string_equal(monitor("xlate 1234"), "1234, page of 1000, rwxu\n");
	assert_string_equal(monitor("info mem"), "PG disabled\n");
	assert_true(has(monitor("help me"), "info registers"));
	assert_string_equal(monitor("helpme"), "unknown command; try help\n");
	assert_string_equal(monitor(""), "unknown command; try help\n");
	expect("qRcmd,6", "E16");
	expect("qRcmd,68zz", "E16");
}

static void test_monitor_pages(void **state)
{
	uint64_t *table = (uint64_t *)(void *)memory(0x1a0000, 4 * PAGE_SIZE);

	(void)state;
	spine_long64(&client.spine);
	table[0] = 0x1a1007;
	table[511] = 0x1a1003;
	table[512] = 0x1a2007;
	table[1024] = 0x1a3005;
	table[1024 + 1] = 0x40000083 | 1ull << 63;
	table[1536 + 5] = 0x5007;
	table[1536 + 6] = 0x5067;
	fake->reg[REG_CR3] = 0x1a0000;
	assert_string_equal(monitor("info mem"), "0000000000005000-0000000000007000 0000000000002000 ur-\n"
						 "0000000000200000-0000000000400000 0000000000200000 -rw\n"
						 "ffffff8000005000-ffffff8000007000 0000000000002000 -r-\n"
						 "ffffff8000200000-ffffff8000400000 0000000000200000 -rw\n");
	assert_string_equal(monitor("info tlb"), "0000000000005000: 0000000000005000 -------UW\n"
						 "0000000000006000: 0000000000005000 ---DA--UW\n"
						 "0000000000200000: 0000000040000000 X-P-----W\n"
						 "ffffff8000005000: 0000000000005000 -------UW\n"
						 "ffffff8000006000: 0000000000005000 ---DA--UW\n"
						 "ffffff8000200000: 0000000040000000 X-P-----W\n");
	/* tables that lead in circles end */
	for (unsigned i = 0; i < 512; i++)
		table[i] = 0x1a0007;
	client.server.rsp.no_ack = true;
	assert_true(has(monitor("info mem"), "too many tables"));
}

static void test_regions(void **state)
{
	static const char *const real[][2] = {
		{"qMemoryRegionInfo:0", "start:0;size:100000000;permissions:rwx;"},
		{"qMemoryRegionInfo:1234", "start:1000;size:fffff000;permissions:rwx;"},
		{"qMemoryRegionInfo:100000000", "start:100000000;size:fffffffeffffffff;"},
		{"Qcroft.as:phys", "OK"},
		{"qMemoryRegionInfo:1234", "start:1000;size:fffffffff000;permissions:rwx;"},
		{"qMemoryRegionInfo:1000000000001", "start:1000000000000;size:fffeffffffffffff;"},
		{"Qcroft.as:current", "OK"},
	};
	static const char *const long64[][2] = {
		{"qMemoryRegionInfo:0", "start:0;size:5000;"},
		{"qMemoryRegionInfo:5fff", "start:5000;size:2000;permissions:rx;"},
		{"qMemoryRegionInfo:7000", "start:7000;size:1f9000;"},
		{"qMemoryRegionInfo:200000", "start:200000;size:200000;permissions:rw;"},
		{"qMemoryRegionInfo:400000", "start:400000;size:27fffc00000;"}, /* enough for one answer */
		{"qMemoryRegionInfo:28000000000", "start:28000000000;size:fffffd0000005000;"},
		{"qMemoryRegionInfo:ffffff8000200000", "start:ffffff8000200000;size:200000;permissions:rw;"},
		{"qMemoryRegionInfo:ffffffffffe00000", "start:ffffffffffe00000;size:1fffff;"},
	};
	uint64_t *table = (uint64_t *)(void *)memory(0x1a0000, 4 * PAGE_SIZE);

	(void)state;
	expect_all(real, ARRAY_SIZE(real));
	spine_long64(&client.spine);
	table[0] = 0x1a1007;
	table[511] = 0x1a1003;
	table[512] = 0x1a2007;
	table[1024] = 0x1a3005;
	table[1024 + 1] = 0x40000083 | 1ull << 63;
	table[1536 + 5] = 0x5007;
	table[1536 + 6] = 0x5067;
	fake->reg[REG_CR3] = 0x1a0000;
	fake->reg[REG_EFER] |= EFER_NXE;
	expect_all(long64, ARRAY_SIZE(long64));
	/* tables that lead in circles map everything in small pages; not one answer tells */
	for (unsigned i = 0; i < 512; i++)
		table[i] = 0x1a0007;
	expect("qMemoryRegionInfo:0", "start:0;size:401000;permissions:rwx;");
	/* and the last of them ends before the end of all */
	expect("qMemoryRegionInfo:fffffffffffff000", "start:fffffffffffff000;size:fff;permissions:rwx;");
}

/* --- stops --- */

static void test_stop_replies(void **state)
{
	static const struct {
		struct stop stop;
		const char *begin;
	} stops[] = {
		{{.kind = STOP_REQUEST}, "T02thread:1;06:"},
		{{.kind = STOP_STEP}, "T05thread:1;06:"},
		{{.kind = STOP_BREAK, .address = SPINE_CODE}, "T05swbreak:;thread:1;"},
		{{.kind = STOP_BREAK_HARD, .address = SPINE_CODE}, "T05hwbreak:;thread:1;"},
		/* $pc is an offset: GDB has no breakpoint there */
		{{.kind = STOP_BREAK, .address = 0x10000 + SPINE_CODE}, "T05thread:1;"},
		{{.kind = STOP_BREAK_HARD, .address = 0x10000 + SPINE_CODE}, "T05thread:1;"},
		{{.kind = STOP_WATCH, .access = ACCESS_WRITE, .address = 0x1234}, "T05watch:1234;thread:1;"},
		{{.kind = STOP_WATCH, .access = ACCESS_READ, .address = 0xffffffff81000000},
		 "T05rwatch:ffffffff81000000;thread:1;"},
		{{.kind = STOP_WATCH, .access = ACCESS_READ | ACCESS_WRITE, .address = 1}, "T05awatch:1;thread:1;"},
	};

	(void)state;
	client_ask(&client, "qSupported:swbreak+;hwbreak+");
	vcpu->gpr[GPR_RSP] = 0x1122334455667788;
	for (unsigned i = 0; i < ARRAY_SIZE(stops); i++) {
		client_packet(&client, "c", 1);
		client.wire.out_count = 0;
		debug_stop_request(vcpu, &stops[i].stop);
		vcpu_work(vcpu);
		client_collect(&client);
		assert_int_equal(client.frames, 1);
		assert_memory_equal(client.frame[0], stops[i].begin, strlen(stops[i].begin));
		assert_true(has(client.frame[0], ";07:8877665544332211;10:0080000000000000;"));
		assert_true(has(client.frame[0], ";114:88776655;120:00800000;"));
	}
	spine_long64(&client.spine);
	assert_false(has(client_ask(&client, "?"), ";120:"));
	/* who does not know the words is not told them */
	client_ask(&client, "qSupported");
	client_packet(&client, "c", 1);
	debug_stop_request(vcpu, &stops[2].stop);
	client.wire.out_count = 0;
	vcpu_work(vcpu);
	client_collect(&client);
	assert_memory_equal(client.frame[0], "T05thread:1;", 12);
}

static void test_condition_that_failed_is_told(void **state)
{
	static const struct stop stop = {.kind = STOP_CONDITION, .text = "it divides by zero"};

	(void)state;
	client_ask(&client, "?");
	client_packet(&client, "c", 1);
	client.wire.out_count = 0;
	debug_stop_request(vcpu, &stop);
	vcpu_work(vcpu);
	client_collect(&client);
	assert_int_equal(client.frames, 2);
	assert_string_equal(client.frame[0], "O69742064697669646573206279207a65726f0a");
	assert_memory_equal(client.frame[1], "T05", 3);
}

/* The CPU does not take what the client made of the guest: it can make something else of it. */
static void test_refused_state_is_told(void **state)
{
	(void)state;
	spine_exit(&client.spine, EXIT_INVALID, 0, NULL, NULL);
	assert_string_equal(vcpu->fatal, "the CPU refused the guest's state");
	vcpu->fatal = NULL;
	vcpu->work = 0;

	vcpu->refusal = "CR3";
	for (unsigned i = 0; i < 2; i++) {
		/* a step that does not even begin, then the guest as it is */
		client_ask(&client, i ? "c" : "s");
		assert_int_equal(vcpu->single.active, !i);
		client_packet(&client, "p10", 3);
		client_packet(&client, "c", 1);
		client.wire.out_count = 0;
		spine_exit(&client.spine, EXIT_INVALID, 0, NULL, NULL);
		client_collect(&client);
		assert_int_equal(client.frames, 3);
		assert_string_equal(client.frame[0], "O4352330a");
		assert_memory_equal(client.frame[1], "T04thread:1;", 12);
		assert_string_equal(client.frame[2], "0080000000000000");
		assert_false(vcpu->single.active);
		assert_false(debug_is_stopped(vcpu));
		assert_null(vcpu->fatal);
		client.wire.in_count = client.wire.in_read = 0;
	}
	/* who leaves it like that has lost the machine */
	client_ask(&client, "D");
	spine_exit(&client.spine, EXIT_INVALID, 0, NULL, NULL);
	assert_string_equal(vcpu->fatal, "CR3");
}

static void test_going_on(void **state)
{
	static const char *const goes[] = {"c", "C05", "vCont;c", "vCont;C05:1"};
	static const char *const steps[] = {"s", "S05", "vCont;s", "vCont;r1000,1010:1"};
	static const char *const wrong[] = {
		"cx",	     "C",	  "Czz",	"C05;zz",  "vCont",   "vCont;", "vCont;x",	  "vCont;r1",
		"vCont;r1,", "vCont;c:2", "vCont;s:zz", "vCont;t", "vCont;C", "vContc", "c1000000000000", "vCont;c1"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(goes); i++) {
		assert_null(client_ask(&client, goes[i]));
		assert_true(client.server.resumed);
		assert_false(debug_is_stopped(vcpu));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		static const struct exit_detail trap = {.exception = {.vector = 1}};

		assert_null(client_ask(&client, steps[i]));
		assert_true(client.server.resumed);
		/* the guest executes it, the trap comes */
		vcpu->rip++;
		client_packet(&client, "c", 1);
		client.wire.out_count = 0;
		spine_exit(&client.spine, EXIT_EXCEPTION, 0, &trap, NULL);
		client_collect(&client);
		assert_int_equal(client.frames, 1);
		assert_memory_equal(client.frame[0], "T05thread:1;", 12);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		expect(wrong[i], "E16");
	assert_null(client_ask(&client, "vCont;s:2;c"));
	client_packet(&client, "c9000", 5);
	debug_stop_request(vcpu, &request);
	vcpu_work(vcpu);
	assert_int_equal(vcpu->rip, 0x9000);
}

/* --- breakpoints: what is handed on --- */

static void test_breakpoints_wrong(void **state)
{
	static const char *const wrong[] = {"Z0",
					    "Z0,",
					    "Z0,1000",
					    "Z0,1000,",
					    "Z0,1000,1;X",
					    "Z0,1000,1;X1",
					    "Z0,1000,1;X1,",
					    "Z0,1000,1;X2,26",
					    "Z0,1000,1;X1,26x",
					    "Z0,1000,1;cmds",
					    "Z0,1000,1;cmds:",
					    "Z0,1000,1;cmds:0",
					    "Z0,1000,1;cmds:0,X1,",
					    "Z0,1000,1x",
					    "Z0,1000,1;X1,27X1,27X1,27X1,27X1,27X1,27X1,27X1,27X1,27"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		expect(wrong[i], "E16");
	expect("z0,1000,1", "E02");
	expect("Qcroft.as:phys", "OK");
	expect("Z0,1000,1", ""); /* by linear address only */
}

/* --- clients --- */

static void stop_at_start(uint32_t timeout_ms)
{
	server_wait_at_start(&client.server, timeout_ms);
	vcpu_work(vcpu);
}

static void test_start_waits_for_a_client(void **state)
{
	(void)state;
	client_packet(&client, "?", 1);
	client_packet(&client, "c", 1);
	stop_at_start(0);
	client_collect(&client);
	assert_memory_equal(client.frame[0], "T05thread:1;", 12);
	assert_false(debug_is_stopped(vcpu));
	assert_true(client.server.attached);
}

static void test_start_does_not_wait_for_ever(void **state)
{
	uint64_t start = client.spine.fake.platform.clock_us;

	(void)state;
	stop_at_start(1000);
	assert_false(debug_is_stopped(vcpu));
	assert_in_range(client.spine.fake.platform.clock_us - start, 1000000, 1100000);
	assert_true(spine_logged(&client.spine, "no debugger came"));
}

/* The running guest's look at a packet of a client that waits for the answer before it lets the guest go on. */
static void hear_packet(const char *content)
{
	client_packet(&client, content, strlen(content));
	client.wire.on_write = client_hear;
	client_poll(&client);
	client.wire.on_write = NULL;
}

static void test_garbage_does_not_attach(void **state)
{
	(void)state;
	client_say(&client, "\x03+-noise$g#66");
	for (unsigned i = 0; i < 10; i++)
		client_poll(&client);
	assert_false(client.server.attached);
	assert_false(debug_is_stopped(vcpu));
	hear_packet("?");
	assert_true(client.server.attached);
}

/* What the device lost of a newcomer's first packet comes again while it is listened to. */
static void say_again(struct fake_frontend *wire)
{
	wire->on_write = client_hear;
	client_packet(&client, "qSupported", 10);
}

static void test_first_packet_damaged(void **state)
{
	(void)state;
	client_say(&client, "+$qSupporte");
	client_say(&client, "#37");
	client.wire.on_write = say_again;
	client_poll(&client);
	client.wire.on_write = NULL;
	assert_true(client.server.attached);
	client_collect(&client);
	assert_int_equal(client.nacks, 1);
}

/* Nobody looked for so long that the client has said it again: it waits for one answer, and would take a second one for
 * that to its next packet. */
static void test_first_packet_came_again(void **state)
{
	(void)state;
	client_packet(&client, "qAttached", 9);
	client_packet(&client, "qAttached", 9);
	hear_packet("qAttached");
	assert_true(client.server.attached);
	assert_false(debug_is_stopped(vcpu));
	client_collect(&client);
	assert_int_equal(client.frames, 1);
	assert_string_equal(client.frame[0], "1");
}

/* Noise costs the guest a moment, and no more. */
static void test_noise_is_listened_to_for_a_moment(void **state)
{
	uint64_t start;

	(void)state;
	client_say(&client, "$");
	start = client.spine.fake.platform.clock_us;
	client_poll(&client);
	assert_false(client.server.attached);
	assert_in_range(client.spine.fake.platform.clock_us - start, SERVER_SILENCE_US,
			WATCH_LISTENING_US + 2 * SERVER_SILENCE_US);
}

static void expect_watched_by(bool interrupts, bool cr3, bool exits)
{
	assert_int_equal(fake_intercept_on(fake, INTERCEPT_INTR, 0), interrupts);
	assert_int_equal(fake_intercept_on(fake, INTERCEPT_IDLE, 0), interrupts);
	assert_int_equal(fake_intercept_on(fake, INTERCEPT_CR3, 0), cr3);
	assert_int_equal((vcpu->work & WORK_POLL) != 0, exits);
	assert_int_equal(fake_intercepts_on(fake), 2u * interrupts + cr3);
}

/* What is armed in each state, on a CPU without a timer for it. */
static void test_watch_without_a_timer(void **state)
{
	static const enum watch_policy policies[] = {WATCH_AT_INTERRUPTS, WATCH_AT_CR3_WRITES, WATCH_AT_EXITS};
	struct watch *watch = &client.server.watch;

	(void)state;
	assert_int_equal(watch->policy, WATCH_AT_INTERRUPTS); /* the default */
	for (unsigned i = 0; i < ARRAY_SIZE(policies); i++) {
		enum watch_policy policy = policies[i];

		watch->policy = policy;
		watch_set(vcpu, watch, WATCH_LISTENING);
		expect_watched_by(policy == WATCH_AT_INTERRUPTS, policy == WATCH_AT_CR3_WRITES,
				  policy == WATCH_AT_EXITS);
		assert_true(policy != WATCH_AT_INTERRUPTS || vcpu->idle.sleeps);
		client_ask(&client, "?");
		expect_watched_by(true, false, false);
		assert_false(vcpu->idle.sleeps);
		client_ask(&client, "D");
		expect_watched_by(policy == WATCH_AT_INTERRUPTS, policy == WATCH_AT_CR3_WRITES,
				  policy == WATCH_AT_EXITS);
		watch_set(vcpu, watch, WATCH_OFF);
		expect_watched_by(false, false, false);
	}
}

/* Before the guest's first instruction and never after it: whether somebody came or not, nothing is left armed. */
static void test_boot_only(void **state)
{
	(void)state;
	for (unsigned comes = 0; comes < 2; comes++) {
		server_init(&client.server, vcpu, &client.link, false);
		expect_watched_by(false, false, false);
		if (comes) {
			client_packet(&client, "?", 1);
			client_packet(&client, "c", 1);
		}
		stop_at_start(1000);
		assert_false(debug_is_stopped(vcpu));
		expect_watched_by(comes, false, false);
		if (comes) {
			expect("D", "OK");
			expect_watched_by(false, false, false);
		}
		assert_false(client.server.attached);
	}
}

/* A timer that is lost: what there is without one, and the log says so. */
static void test_watch_loses_its_timer(void **state)
{
	static struct alarm alarm;
	struct watch *watch = &client.server.watch;

	(void)state;
	watch_set(vcpu, watch, WATCH_OFF);
	client.spine.fake.vm.caps |= BACKEND_CAP_TIMER;
	client.spine.fake.vm.alarm = &alarm;
	watch_set(vcpu, watch, WATCH_OFF);
	assert_int_equal(fake_intercepts_on(fake), 0);
	watch_set(vcpu, watch, WATCH_LISTENING);
	assert_int_equal(fake->timer_us, WATCH_LISTENING_US);
	watch_set(vcpu, watch, WATCH_ATTACHED);
	assert_int_equal(fake->timer_us, WATCH_ATTACHED_US);
	watch_set(vcpu, watch, WATCH_OFF);
	assert_int_equal(fake->timer_us, 0);
	assert_false(watch_is_due(vcpu, watch));
	/* an NMI may be on its way */
	assert_int_equal(fake_intercepts_on(fake), 1);
	assert_true(fake_intercept_on(fake, INTERCEPT_NMI, 0));
	watch_set(vcpu, watch, WATCH_LISTENING);
	assert_true(watch_is_due(vcpu, watch));
	assert_int_equal(fake_intercepts_on(fake), 2);

	fake->timer_result = -ENOTSUP;
	assert_true(watch_is_due(vcpu, watch));
	expect_watched_by(true, false, false);
	assert_true(spine_logged(&client.spine, "the clock has failed"));
	client_ask(&client, "?");
	expect_watched_by(true, false, false);
}

/* While nobody is there the link is looked at ten times a second at most. */
static void test_watch_is_seldom_due(void **state)
{
	unsigned looks = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		client.spine.fake.platform.clock_us += 1000;
		looks += watch_is_due(vcpu, &client.server.watch);
	}
	assert_in_range(looks, 9, 10);
	client_ask(&client, "?");
	assert_true(watch_is_due(vcpu, &client.server.watch));
	assert_true(watch_is_due(vcpu, &client.server.watch));
}

/* Of the exits that happen anyway only some look, however seldom they are. */
static void test_watch_at_exits(void **state)
{
	struct watch *watch = &client.server.watch;
	unsigned looks = 0;

	(void)state;
	watch->policy = WATCH_AT_EXITS;
	watch_set(vcpu, watch, WATCH_LISTENING);
	for (unsigned i = 0; i < 640; i++) {
		client.spine.fake.platform.clock_us += WATCH_LISTENING_US;
		looks += watch_is_due(vcpu, watch);
	}
	assert_int_equal(looks, 10);
}

/* One of each, as it may come while the guest runs. */
static const char *const examples[] = {
	"m2000,10",
	"M2000,3:616263",
	"x2000,10",
	"X2000,3:abc",
	"qCRC:2000,100",
	"qSearch:memory:2000;100;abc",
	"?",
	"vCont?",
	"Z0,1000,1;X3,220127",
	"z0,5000,1",
	"g",
	"G0000000000000000",
	"p10",
	"P0=8877665544332211",
	"Hg0",
	"T1",
	"qcroft.caps",
	"qcroft.as",
	"Qcroft.as:current",
	"qcroft.xlate:current,2000",
	"qcroft.msr:c0000080",
	"Qcroft.msr:c0000081=1",
	"qcroft.port:80,1",
	"Qcroft.port:80,1=1",
	"qSupported:swbreak+",
	"qXfer:threads:read::0,100",
	"qfThreadInfo",
	"qsThreadInfo",
	"qThreadExtraInfo,1",
	"qC",
	"qAttached",
	"qHostInfo",
	"qProcessInfo",
	"qMemoryRegionInfo:2000",
	"qRcmd,68656c70",
	"qSymbol::",
	"qqemu.PhyMemMode",
	"Qqemu.PhyMemMode:0",
	"qqemu.sstepbits",
	"Qqemu.sstepbits",
	"qUnknown",
	/* these let the guest go on by themselves */
	"vCont;c",
	"c",
	"C05",
	"vCont;s",
	"s",
	"S05",
	"D",
	"vKill;1",
	"k",
};

static bool is_example(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(examples); i++) {
		if (strncmp(examples[i], name, strlen(name)) == 0)
			return true;
	}
	/* what follows these is another way to talk: link.c, rsp.c */
	return strcmp(name, "QStartNoAckMode") == 0 || strcmp(name, "Qcroft.frame:") == 0;
}

static void test_examples_are_complete(void **state)
{
	const struct packet *const tables[] = {packets_memory, packets_run, packets_croft, packets_query};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		for (const struct packet *packet = tables[i]; packet->name; packet++) {
			if (!is_example(packet->name))
				fail_msg("no example of %s", packet->name);
		}
	}
}

static const char *frame_of(const char *content, unsigned off_by)
{
	static char frame[256];
	uint8_t sum = (uint8_t)off_by;

	for (const char *at = content; *at; at++)
		sum = (uint8_t)(sum + (uint8_t)*at);
	sprintf(frame, "$%s#%02x", content, sum);
	return frame;
}

/* What is stepped comes to its end, and goes on. */
static void step_on(void)
{
	static const struct exit_detail trap = {.exception = {.vector = 1}};

	if (!vcpu->single.active)
		return;
	client.awaited = 0;
	client.wire.on_write = client_hear;
	spine_exit(&client.spine, EXIT_EXCEPTION, 0, &trap, NULL);
	client.wire.on_write = NULL;
	client_collect(&client);
	assert_int_equal(client.frames, 1);
	assert_memory_equal(client.frame[0], "T05", 3);
}

/* One of the examples in two parts, a running guest in between. */
static void cut(const char *content, size_t at, const char *expected)
{
	const char *frame = frame_of(content, 0);
	bool goes = client_lets_go(content, strlen(content));

	client.server.resumed = false;
	client.wire.out_count = 0;
	fake_frontend_say(&client.wire, frame, at);
	client_poll(&client);
	assert_false(debug_is_stopped(vcpu));
	assert_int_equal(client.wire.out_count, 0);
	fake_frontend_say(&client.wire, frame + at, strlen(frame) - at);
	client.awaited = 0;
	client.wire.on_write = goes ? NULL : client_hear;
	client_poll(&client);
	client.wire.on_write = NULL;
	assert_false(debug_is_stopped(vcpu));
	client_collect(&client);
	assert_int_equal(client.acks, goes ? 1 : 2);
	assert_int_equal(client.nacks, 0);
	assert_int_equal(client.frames > 0, expected != NULL);
	if (expected)
		assert_string_equal(client.frame[0], expected);
	step_on();
	client.wire.in_count = client.wire.in_read = 0;
}

static void test_packets_cut_at_each_byte_while_the_guest_runs(void **state)
{
	(void)state;
	client_ask(&client, "?");
	for (unsigned i = 0; i < ARRAY_SIZE(examples); i++) {
		static char expected[RSP_PACKET_MAX];
		const char *reply = client_ask(&client, examples[i]);

		if (reply)
			strcpy(expected, reply);
		step_on();
		client.wire.in_count = client.wire.in_read = 0;
		for (size_t at = 1; at < strlen(examples[i]) + 4; at++)
			cut(examples[i], at, reply ? expected : NULL);
	}
}

static void test_packets_with_wrong_checksums(void **state)
{
	(void)state;
	client_ask(&client, "?");
	for (unsigned i = 0; i < ARRAY_SIZE(examples); i++) {
		for (unsigned off_by = 1; off_by < 256; off_by += 51) {
			client.wire.out_count = 0;
			client_say(&client, frame_of(examples[i], off_by));
			client_poll(&client);
			assert_false(debug_is_stopped(vcpu));
			assert_int_equal(client.wire.out_count, 1);
			assert_int_equal(client.wire.out[0], '-');
			assert_true(client.server.attached);
			client.wire.in_count = client.wire.in_read = 0;
		}
	}
}

static void test_interrupt_stops(void **state)
{
	(void)state;
	client_ask(&client, "?");
	assert_false(debug_is_stopped(vcpu));
	client_say(&client, "\x03");
	client_packet(&client, "c", 1);
	client_poll(&client);
	client_collect(&client);
	assert_int_equal(client.frames, 1);
	assert_memory_equal(client.frame[0], "T02", 3);
}

/* The client presses ^C while a reply is on its way: it stands already, the reply is whole, and nothing is lost. */
static void interrupt_once(struct fake_frontend *wire)
{
	if (memchr(wire->out, '$', wire->out_count)) {
		wire->on_write = NULL;
		fake_frontend_say(wire, "\x03", 1);
		client_packet(&client, "p10", 3);
		client_packet(&client, "c", 1);
	}
}

static void test_interrupt_within_a_reply(void **state)
{
	(void)state;
	client_packet(&client, "m2000,100", 9);
	client.wire.on_write = interrupt_once;
	client_poll(&client);
	client_collect(&client);
	assert_int_equal(client.frames, 2);
	assert_int_equal(client.length[0], 0x200);
	assert_string_equal(client.frame[1], "0080000000000000");
	assert_int_equal(client.bad, 0);
}

/* One of each that a client can leave behind. */
static void arm_everything(void)
{
	expect("Z0,1000,1", "OK");
	expect("Z1,1010,1", "OK");
	expect("Z2,2000,4", "OK");
	expect("Z4,3000,3", "OK");
	expect("Qcroft.as:phys;mmio", "OK");
	assert_true(fake_intercept_on(fake, INTERCEPT_DR, 0));
	assert_true(fake_intercept_on(fake, INTERCEPT_PAGING, 0));
}

static bool nothing_is_left(void)
{
	for (unsigned i = 0; i < DEBUG_BREAK_MAX; i++) {
		if (client.debug.breaks[i].used)
			return false;
	}
	/* but what listens for the next one */
	if (fake_intercepts_on(fake) != 2 || !vcpu->idle.sleeps)
		return false;
	return !client.server.attached && !client.server.resumed && !debug_is_stopped(vcpu) && !client.link.attached &&
	       client.server.space.kind == SPACE_CURRENT && !client.server.device;
}

static void test_ways_to_leave(void **state)
{
	static const char *const ways[] = {"D", "D;1", "k", "vKill;1"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		const char *reply;

		arm_everything();
		assert_true(client.link.attached);
		client.wire.in_count = client.wire.in_read = 0;
		reply = client_ask(&client, ways[i]);
		if (*ways[i] == 'k')
			assert_null(reply);
		else
			assert_string_equal(reply, "OK");
		assert_true(nothing_is_left());
	}
	assert_true(spine_logged(&client.spine, "the guest runs on"));
}

/* The next client is there as soon as the one before it has its answer. */
static void successor(struct fake_frontend *wire)
{
	if (wire->out_count >= 3 && memcmp(wire->out + wire->out_count - 3, "#9a", 3) == 0) {
		wire->on_write = client_hear;
		fake_frontend_say(wire, "+", 1);
		client_packet(&client, "p10", 3);
	}
}

static void test_next_client_at_once(void **state)
{
	(void)state;
	client_ask(&client, "?");
	client_packet(&client, "D", 1);
	client.wire.on_write = successor;
	client_poll(&client);
	client_poll(&client);
	client.wire.on_write = NULL;
	client_collect(&client);
	assert_int_equal(client.frames, 2);
	assert_string_equal((const char *)client.frame[0], "OK");
	assert_int_equal(client.length[1], 16);
	assert_true(client.server.attached);
}

static void test_noise_releases_a_stopped_guest(void **state)
{
	static char noise[RSP_GARBAGE_MAX + 1];

	(void)state;
	memset(noise, 'x', RSP_GARBAGE_MAX);
	arm_everything();
	client_say(&client, noise);
	debug_stop_request(vcpu, &request);
	vcpu_work(vcpu);
	assert_true(nothing_is_left());
	/* and the next one finds a server */
	expect("qAttached", "1");
}

static void test_noise_releases_a_running_guest(void **state)
{
	static char noise[RSP_GARBAGE_MAX + 1];

	(void)state;
	memset(noise, 'x', RSP_GARBAGE_MAX);
	arm_everything();
	client_say(&client, noise);
	for (unsigned i = 0; i < 10; i++)
		client_poll(&client);
	assert_true(nothing_is_left());
}

static void test_silence_releases_a_stopped_guest(void **state)
{
	uint64_t start;

	(void)state;
	client.spine.fake.platform.clock_step_us = 100;
	server_silence_limit(&client.server, 5000);
	arm_everything();
	/* while the guest runs nobody has to say anything */
	client.spine.fake.platform.clock_us += 60000000;
	client_poll(&client);
	assert_true(client.server.attached);
	/* whatever comes counts, even if it is only noise */
	start = client.spine.fake.platform.clock_us;
	client.wire.next_us = start + 4000000;
	client_say(&client, "x");
	debug_stop_request(vcpu, &request);
	vcpu_work(vcpu);
	assert_in_range(client.spine.fake.platform.clock_us - start, 9000000, 9100000);
	assert_true(nothing_is_left());
	expect("qAttached", "1");

	/* as it is without the property: as long as it takes */
	server_silence_limit(&client.server, 0);
	start = client.spine.fake.platform.clock_us;
	client.wire.next_us = start + 4000000;
	client_packet(&client, "c", 1);
	debug_stop_request(vcpu, &request);
	vcpu_work(vcpu);
	assert_true(client.server.attached);
	assert_in_range(client.spine.fake.platform.clock_us - start, 4000000, 4100000);
}

static void let_it_run(struct fake_frontend *wire)
{
	(void)wire;
	if (client.link.framed)
		debug_resume(vcpu);
}

/* In frames a guest that stands is released when its client's heartbeat ends. */
static void test_framed_client_dies(void **state)
{
	uint64_t start;

	(void)state;
	client.spine.fake.platform.clock_step_us = 100;
	arm_everything();
	start = client.spine.fake.platform.clock_us;
	assert_string_equal(client_ask(&client, "Qcroft.frame:1"), "OK");
	assert_in_range(client.spine.fake.platform.clock_us - start, FRAME_LOST_US, FRAME_LOST_US + 200000);
	assert_true(nothing_is_left());
	assert_true(spine_logged(&client.spine, "the guest runs on"));
	expect("qAttached", "1");
}

/* While it runs, too. */
static void test_framed_client_dies_while_the_guest_runs(void **state)
{
	(void)state;
	client.spine.fake.platform.clock_step_us = 100;
	arm_everything();
	client_packet(&client, "Qcroft.frame:1", 14);
	debug_stop_request(vcpu, &request);
	client.wire.on_write = let_it_run;
	vcpu_work(vcpu);
	client.wire.on_write = NULL;
	assert_true(client.link.framed);
	assert_false(debug_is_stopped(vcpu));
	for (unsigned i = 0; i < FRAME_LOST_US / 100000 + 1; i++) {
		assert_true(client.server.attached || i >= FRAME_LOST_US / 100000 - 2);
		client.spine.fake.platform.clock_us += 100000;
		client_poll(&client);
	}
	assert_true(nothing_is_left());
	expect("qAttached", "1");
}

static void test_another_client_takes_over(void **state)
{
	(void)state;
	client_ask(&client, "?");
	assert_true(client.server.resumed);
	/* the first is gone without a word; this one does not wait for a stop reply */
	client.wire.out_count = 0;
	hear_packet("qAttached");
	client_collect(&client);
	assert_int_equal(client.frames, 1);
	assert_string_equal(client.frame[0], "1");
}

/* The answer does not come; the client goes on without it. */
static void go_on(struct fake_frontend *wire)
{
	if (debug_is_stopped(vcpu)) {
		wire->on_silence = NULL;
		client_packet(&client, "c", 1);
	}
}

static void test_wire_that_takes_nothing(void **state)
{
	(void)state;
	client.wire.stuck = true;
	client.wire.on_silence = go_on;
	client_packet(&client, "m0,1000", 7);
	client_poll(&client);
	assert_int_equal(client.wire.out_count, 0);
	client.wire.stuck = false;
	expect("qAttached", "1");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_it_can_do),
		T(test_questions),
		T(test_unknown_packets),
		T(test_registers_one_by_one),
		T(test_all_core_registers),
		T(test_control_registers_keep_the_machine_possible),
		T(test_segments_keep_the_machine_possible),
		T(test_floating_point),
		T(test_description),
		T(test_numbers_are_frozen),
		T(test_memory),
		T(test_long_reads_are_cut),
		T(test_spaces),
		T(test_crc_and_search),
		T(test_device_memory_on_request_only),
		T(test_msrs_and_ports),
		T(test_objects),
		T(test_monitor),
		T(test_monitor_pages),
		T(test_regions),
		T(test_stop_replies),
		T(test_condition_that_failed_is_told),
		T(test_refused_state_is_told),
		T(test_going_on),
		T(test_breakpoints_wrong),
		T(test_start_waits_for_a_client),
		T(test_start_does_not_wait_for_ever),
		T(test_garbage_does_not_attach),
		T(test_first_packet_damaged),
		T(test_first_packet_came_again),
		T(test_noise_is_listened_to_for_a_moment),
		T(test_watch_without_a_timer),
		T(test_boot_only),
		T(test_watch_loses_its_timer),
		T(test_watch_is_seldom_due),
		T(test_watch_at_exits),
		T(test_examples_are_complete),
		T(test_packets_cut_at_each_byte_while_the_guest_runs),
		T(test_packets_with_wrong_checksums),
		T(test_interrupt_stops),
		T(test_interrupt_within_a_reply),
		T(test_ways_to_leave),
		T(test_next_client_at_once),
		T(test_noise_releases_a_stopped_guest),
		T(test_noise_releases_a_running_guest),
		T(test_silence_releases_a_stopped_guest),
		T(test_framed_client_dies),
		T(test_framed_client_dies_while_the_guest_runs),
		T(test_another_client_takes_over),
		T(test_wire_that_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
