/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcroft on anything the other end may say: no crash, no leak, no endless wait. Input: a byte that says how, then
 * what the other end says. 'p' and 'f': lines, each becomes a packet with the right checksum, plain or in frames;
 * anything else: bytes as they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/libcroft/croft.h"
#include "client/libcroft/packet.h"
#include "core/control/frame.h"

/* What a client drops before it begins. */
#define BEFORE 16384u

#define SAID_MAX   32768u
#define TIMEOUT_MS 20u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lines to packets. Their content is not escaped: what is in it is taken as it comes. */
static size_t make_packets(const uint8_t *data, size_t size, char *out)
{
	size_t used = 0;

	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;
		uint8_t sum = 0;

		if (used + length + 8 > SAID_MAX)
			break;
		out[used++] = '$';
		for (size_t i = 0; i < length; i++) {
			sum = (uint8_t)(sum + data[i]);
			out[used++] = (char)data[i];
		}
		used += (size_t)sprintf(out + used, "#%02x", sum);
		data += length + (end != NULL);
		size -= length + (end != NULL);
	}
	return used;
}

static void say(int fd, const void *bytes, size_t length)
{
	if (write(fd, bytes, length) != (ssize_t)length)
		abort();
}

/* As many frames as there are without an answer. */
static void say_in_frames(int fd, const char *bytes, size_t length)
{
	static struct frame frame;
	const uint8_t *out;
	size_t count;

	say(fd, "+$OK#9a", 7);
	frame_init(&frame, 1000000, 0);
	for (unsigned i = 0; i < FRAME_CHANNELS; i++)
		frame.limit[i] = FRAME_BUFFER;
	count = frame_write(&frame, 0, bytes, length);
	frame_write(&frame, 1, bytes, length - count);
	while ((count = frame_output(&frame, &out, 0)) != 0) {
		say(fd, out, count);
		frame_sent(&frame, count, 0);
	}
}

static bool ask(void *data, struct croft_vm *vm, const struct croft_stop *stop)
{
	unsigned *asked = data;
	uint64_t value;

	(void)stop;
	(void)croft_cpu_linear_pc(croft_vm_cpu(vm), &value, NULL);
	return ++*asked == 3;
}

static void keep(void *data, enum croft_stream stream, const char *text, size_t length)
{
	unsigned *sum = data;

	(void)stream;
	while (length--)
		*sum += (unsigned char)text[length];
}

/* One call of each kind, whatever comes of the one before. */
static void use(struct croft_vm *vm)
{
	static uint8_t bytes[10000];
	struct croft_break what = {.kind = CROFT_WATCH_WRITE, .address = 0x1000, .length = 4};
	struct croft_cpu *cpu = croft_vm_cpu(vm);
	struct croft_segment segment;
	struct croft_mapping mapping;
	struct croft_range *ranges;
	struct croft_error error;
	enum croft_mode mode;
	unsigned asked = 0, sum = 0;
	uint64_t value;
	size_t count;
	char *text;

	croft_vm_set_text_handler(vm, keep, &sum);
	(void)croft_cpu_read(cpu, "rax", &value, &error);
	(void)croft_cpu_load(cpu, 0xff, &error);
	(void)croft_cpu_mode(cpu, &mode, &error);
	(void)croft_cpu_segment(cpu, "cs", &segment, &error);
	(void)croft_memory_read(vm, croft_current(), 0x1000, bytes, sizeof(bytes), &count, &error);
	(void)croft_memory_write(vm, croft_physical(), 0x1000, bytes, 100, &count, &error);
	(void)croft_memory_translate(vm, croft_cr3(0x2000), 0x1000, &mapping, &error);
	(void)croft_memory_search(vm, croft_current(), 0, 0x10000, "x", 1, &value, &error);
	if (croft_memory_map(vm, &ranges, &count, &error) == CROFT_OK)
		croft_free(ranges);
	if (croft_vm_object(vm, "threads", NULL, &text, &count, &error) == CROFT_OK)
		croft_free(text);
	(void)croft_cpu_msr_read(cpu, 0x10, &value, &error);
	(void)croft_vm_monitor(vm, "help", NULL, NULL, &error);
	(void)croft_breakpoint_add(vm, &what, NULL, &error);
	(void)croft_cpu_write(cpu, "rbx", 1, &error);
	(void)croft_event_add(vm, ask, &asked, NULL, &error);
	if (croft_vm_run(vm, &error) == CROFT_OK)
		(void)croft_vm_wait(vm, TIMEOUT_MS, NULL, &error);
	if (croft_vm_step(vm, &error) == CROFT_OK)
		(void)croft_vm_stop(vm, NULL, &error);
	if (croft_packet_ask(vm, "qC", 2, &text, &count, &error) == CROFT_OK)
		croft_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char before[BEFORE], packets[SAID_MAX];
	struct croft_vm *vm;
	size_t length;
	char target[16];
	int pair[2];

	if (size < 1 || size > SAID_MAX / 2)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		abort();
	say(pair[0], before, sizeof(before));
	if (data[0] == 'p' || data[0] == 'f')
		length = make_packets(data + 1, size - 1, packets);
	if (data[0] == 'f')
		say_in_frames(pair[0], packets, length);
	else if (data[0] == 'p')
		say(pair[0], packets, length);
	else
		say(pair[0], data + 1, size - 1);
	/* nothing more is to come: so nobody waits */
	shutdown(pair[0], SHUT_WR);
	snprintf(target, sizeof(target), "fd:%d", pair[1]);
	if (croft_vm_open(target, 0, TIMEOUT_MS, &vm, NULL) == CROFT_OK)
		use(vm);
	croft_vm_close(vm, NULL);
	close(pair[0]);
	return 0;
}
