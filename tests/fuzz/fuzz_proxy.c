/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcroft's proxy on anything a debugger may say: no crash, no leak, no packet that is none, no memory that is not the
 * guest's. Input: a byte that says how, then what it says. 'p', 'P': lines, each becomes a packet with the right
 * checksum, and "!" at its beginning is the program's turn; others: bytes as they are. Upper case: what lets the guest
 * go brings no stop at once.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/libcroft/croft.h"
#include "client/libcroft/packet.h"
#include "tests/fakes/fake_stub.h"

#define TIMEOUT_MS 1000u
#define SAID_MAX   8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fake_line script[] = {
	{"qSupported*", "PacketSize=1000;swbreak+;multiprocess+;qXfer:croft.stats:read+"},
	{"vCont?", "vCont;c;C;s;S;r"},
	{"?", "T05swbreak:;thread:1;"},
	{"g", "00"},
	{"P*", "OK"},
	{"M*", "OK"},
	{"X*", "OK"},
	{"H*", "OK"},
	{"Z*", "OK"},
	{"z*", "OK"},
	{"Qcroft.as:*", "OK"},
	{"qcroft.as", "phys;mmio"},
	{"qRcmd,*", "OK"},
	{"D", "OK"},
	{NULL, NULL},
};

/* Bytes that are their addresses', but on every third page. */
static bool answer_memory(void *data, const char *question, size_t length, char *answer, size_t *answer_length)
{
	unsigned long long address, size;

	(void)data;
	(void)length;
	if (sscanf(question, "%*1[mx]%llx,%llx", &address, &size) != 2)
		return false;
	for (*answer_length = 0; size && (address >> 12) % 3 != 2 && *answer_length < 2000; size--, address++) {
		if (question[0] == 'x')
			answer[(*answer_length)++] = (char)address;
		else
			*answer_length += (size_t)sprintf(answer + *answer_length, "%02x", (unsigned)address & 0xff);
	}
	if (!*answer_length) {
		strcpy(answer, "E0e");
		*answer_length = 3;
	}
	return true;
}

/* One machine for all inputs: what one of them leaves behind is no matter for the next. */
static struct croft_vm *open_vm(struct fake_stub *stub)
{
	struct croft_vm *vm;

	stub->script = script;
	stub->answer = answer_memory;
	stub->framed = true;
	stub->interrupted = "T02thread:1;";
	fake_stub_start(stub);
	if (croft_vm_open(stub->target, 0, TIMEOUT_MS, &vm, NULL))
		abort();
	return vm;
}

/* What it hears has to be packets. Returns the last one's content. */
static const char *hear(struct croft_proxy *proxy, struct packet_reader *reader)
{
	const char *last = NULL;
	const uint8_t *bytes;
	size_t length;

	while ((bytes = croft_proxy_output(proxy, &length)) && length) {
		for (size_t i = 0; i < length; i++) {
			enum packet_event event = packet_take(reader, bytes[i]);

			if (event == PACKET_DAMAGED || event == PACKET_NOISE || event == PACKET_NO_ROOM)
				abort();
			if (event == PACKET_WHOLE)
				last = reader->content;
		}
		croft_proxy_sent(proxy, length);
	}
	return last;
}

static void say(struct croft_proxy *proxy, const uint8_t *content, size_t length)
{
	static uint8_t packet[PACKET_WIRE_MAX(SAID_MAX)];

	(void)croft_proxy_take(proxy, packet, packet_make(packet, content, length), NULL);
}

/* The program's turn. */
static void act(struct croft_vm *vm, uint8_t what)
{
	struct croft_break place = {.address = 0x100u + what};
	struct croft_breakpoint *first = croft_breakpoint_next(vm, NULL);
	uint8_t byte;

	switch (what) {
	case 'r':
		(void)croft_vm_run(vm, NULL);
		break;
	case 'w':
		(void)croft_vm_wait(vm, 0, NULL, NULL);
		break;
	case 's':
		(void)croft_vm_stop(vm, NULL, NULL);
		break;
	case 'd':
		if (first)
			(void)croft_breakpoint_remove(first, NULL);
		break;
	case 'm':
		(void)croft_memory_read(vm, croft_physical(), 0x100, &byte, 1, NULL, NULL);
		break;
	default:
		(void)croft_breakpoint_add(vm, &place, NULL, NULL);
		break;
	}
}

static void say_lines(struct croft_vm *vm, struct croft_proxy *proxy, struct packet_reader *reader, const uint8_t *data,
		      size_t size)
{
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;

		if (length == 2 && data[0] == '!')
			act(vm, data[1]);
		else
			say(proxy, data, length);
		(void)hear(proxy, reader);
		data += length + (end != NULL);
		size -= length + (end != NULL);
	}
}

/* Whatever was said, memory is what it is. */
static void check_memory(struct croft_vm *vm, struct croft_proxy *proxy, struct packet_reader *reader)
{
	static const char as[] = "Qcroft.as:current", question[] = "m1fd,4", expected[] = "fdfeff00";
	const char *heard;

	(void)croft_proxy_take(proxy, "#00", 3, NULL);
	if (croft_vm_stop(vm, NULL, NULL) || croft_proxy_is_over(proxy))
		return;
	say(proxy, (const uint8_t *)as, sizeof(as) - 1);
	(void)hear(proxy, reader);
	say(proxy, (const uint8_t *)question, sizeof(question) - 1);
	heard = hear(proxy, reader);
	if (!heard || (strcmp(heard, expected) != 0 && strcmp(heard, "E05") != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_stub stub;
	static struct croft_vm *vm;
	struct packet_reader reader;
	struct croft_proxy *proxy;

	if (size < 1 || size > SAID_MAX)
		return 0;
	if (!vm)
		vm = open_vm(&stub);
	stub.stop = isupper(data[0]) ? NULL : "T05swbreak:;thread:1;";
	packet_init(&reader);
	if (croft_proxy_open(vm, &proxy, NULL))
		abort();
	if (tolower(data[0]) == 'p')
		say_lines(vm, proxy, &reader, data + 1, size - 1);
	else
		(void)croft_proxy_take(proxy, data + 1, size - 1, NULL);
	(void)hear(proxy, &reader);
	check_memory(vm, proxy, &reader);
	(void)croft_proxy_close(proxy, NULL);
	(void)croft_vm_stop(vm, NULL, NULL);
	while (croft_breakpoint_next(vm, NULL) && !croft_breakpoint_remove(croft_breakpoint_next(vm, NULL), NULL))
		continue;
	packet_free(&reader);
	return 0;
}
