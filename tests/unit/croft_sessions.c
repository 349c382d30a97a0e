/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/libcroft against sessions that were recorded with real stubs: what it asks, and what it makes of the answers,
 * is what it was then. "croft_sessions record TARGET FILE [plain]" records one, with a machine that has not booted yet:
 *
 *	> a question		< an answer		= what came of it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <undercroft/types.h>

#include "client/libcroft/croft.h"
#include "client/libcroft/transport.h"
#include "tests/fakes/fake_stub.h"

#define TIMEOUT_MS 60000u
#define LINE_SIZE  16384

/* --- the session ------------------------------------------------------------------------------------------------- */

struct outcome {
	const char *target; /* not named in what is told: another one each time */
	char text[8192];
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void tell(struct outcome *outcome, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	outcome->used +=
		(size_t)vsnprintf(outcome->text + outcome->used, sizeof(outcome->text) - outcome->used, format, args);
	va_end(args);
	if (outcome->used >= sizeof(outcome->text))
		abort();
}

static void tell_status(struct outcome *o, const char *what, enum croft_status status, const struct croft_error *error)
{
	const char *named = status ? strstr(error->text, o->target) : NULL;

	tell(o, "= %s: %s", what, croft_status_name(status));
	if (named)
		tell(o, ": %.*sTARGET%s\n", (int)(named - error->text), error->text, named + strlen(o->target));
	else
		tell(o, "%s%s\n", status ? ": " : "", status ? error->text : "");
}

static void tell_place(struct outcome *o, struct croft_vm *vm)
{
	const struct croft_stop *stop = croft_vm_last_stop(vm);
	struct croft_error error;
	enum croft_mode mode = CROFT_MODE_INVALID;
	uint64_t pc = 0;
	enum croft_status status = croft_cpu_mode(croft_vm_cpu(vm), &mode, &error);

	tell_status(o, croft_mode_name(mode), status, &error);
	status = croft_cpu_linear_pc(croft_vm_cpu(vm), &pc, &error);
	tell_status(o, "pc", status, &error);
	tell(o, "= %s at %llx, breakpoint %s\n", croft_stop_name(stop->kind), (unsigned long long)pc,
	     stop->breakpoint ? croft_breakpoint_what(stop->breakpoint)->name : "none");
}

static void tell_register(struct outcome *o, struct croft_vm *vm, const char *name)
{
	struct croft_error error;
	uint64_t value;
	enum croft_status status = croft_cpu_read(croft_vm_cpu(vm), name, &value, &error);

	if (status)
		tell_status(o, name, status, &error);
	else
		tell(o, "= %s %llx\n", name, (unsigned long long)value);
}

static void run_to(struct outcome *o, struct croft_vm *vm, uint64_t address)
{
	struct croft_break what = {.address = address, .name = "there"};
	struct croft_breakpoint *breakpoint;
	struct croft_error error;
	enum croft_status status = croft_breakpoint_add(vm, &what, &breakpoint, &error);

	tell_status(o, "breakpoint", status, &error);
	if (status)
		return;
	tell_status(o, "run", croft_vm_run(vm, &error), &error);
	tell_status(o, "wait", croft_vm_wait(vm, 60000, NULL, &error), &error);
	tell_place(o, vm);
	tell_status(o, "remove", croft_breakpoint_remove(breakpoint, &error), &error);
}

static void look_at_memory(struct outcome *o, struct croft_vm *vm)
{
	struct croft_mapping mapping = {0};
	struct croft_error error;
	enum croft_status status;
	uint8_t bytes[512];
	uint64_t found = 0;
	size_t done;

	status = croft_memory_read(vm, croft_physical(), 0x7c00, bytes, sizeof(bytes), &done, &error);
	tell_status(o, "memory", status, &error);
	tell(o, "= %zu bytes, %02x %02x\n", done, bytes[510], bytes[511]);
	status = croft_memory_search(vm, croft_physical(), 0x7000, 0x1000, bytes + 500, 12, &found, &error);
	tell_status(o, "search", status, &error);
	tell(o, "= at %llx\n", (unsigned long long)found);
	tell_status(o, "write", croft_memory_write(vm, croft_current(), 0x7000, "#$}*", 4, NULL, &error), &error);
	tell_status(o, "read", croft_memory_read(vm, croft_current(), 0x7000, bytes, 4, NULL, &error), &error);
	tell(o, "= %.4s\n", bytes);
	status = croft_memory_translate(vm, croft_current(), 0x7000, &mapping, &error);
	tell_status(o, "translate", status, &error);
	tell(o, "= %llx\n", (unsigned long long)mapping.physical);
	tell_status(o, "nowhere", croft_memory_read(vm, croft_physical(), 1ull << 50, bytes, 4, NULL, &error), &error);
}

static void session(const char *target, unsigned flags, struct outcome *o)
{
	static const char *const names[] = {"rax", "rsp", "eflags", "cs", "cr0", "cr4", "efer", "cs_base", "linear_sp"};
	struct croft_error error;
	struct croft_vm *vm;
	uint64_t value;
	enum croft_status status = croft_vm_open(target, flags, TIMEOUT_MS, &vm, &error);

	o->target = target;
	tell_status(o, "open", status, &error);
	if (status)
		return;
	tell_place(o, vm);
	run_to(o, vm, 0x7c00);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		tell_register(o, vm, names[i]);
	tell_status(o, "efer", croft_cpu_msr_read(croft_vm_cpu(vm), 0xc0000080, &value, &error), &error);
	look_at_memory(o, vm);
	tell_status(o, "write", croft_cpu_write(croft_vm_cpu(vm), "rbx", 0x12345678, &error), &error);
	tell_status(o, "step", croft_vm_step(vm, &error), &error);
	tell_status(o, "wait", croft_vm_wait(vm, 60000, NULL, &error), &error);
	tell_place(o, vm);
	tell_register(o, vm, "rbx");
	tell_status(o, "close", croft_vm_close(vm, &error), &error);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static void write_content(FILE *file, char direction, const char *content, size_t length)
{
	fprintf(file, "%c ", direction);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)content[i];

		if (c < ' ' || c > '~' || c == '\\')
			fprintf(file, "\\%02x", c);
		else
			fputc(c, file);
	}
	fputc('\n', file);
}

static size_t read_content(const char *line, char *content)
{
	size_t length = 0;

	for (; *line && *line != '\n'; line++) {
		if (*line == '\\') {
			hex_bytes(line + 1, 2, content + length++, 1);
			line += 2;
		} else {
			content[length++] = *line;
		}
	}
	return length;
}

/* --- replaying --------------------------------------------------------------------------------------------------- */

struct recording {
	FILE *file;
	bool differs;
	char line[LINE_SIZE], content[LINE_SIZE];
};

/* The next line of a session, without what came of it. */
static bool next_line(struct recording *r, char direction, size_t *length)
{
	while (fgets(r->line, sizeof(r->line), r->file)) {
		if (r->line[0] != '>' && r->line[0] != '<')
			continue;
		*length = read_content(r->line + 2, r->content);
		return r->line[0] == direction;
	}
	return false;
}

static bool replay(void *data, const char *question, size_t length, char *answer, size_t *answer_length)
{
	struct recording *r = data;
	size_t expected;

	if (!next_line(r, '>', &expected) || expected != length || memcmp(r->content, question, length) != 0) {
		if (!r->differs)
			print_message("asked: %s\nrecorded: %s\n", question, r->line);
		r->differs = true;
		return false;
	}
	if (!next_line(r, '<', answer_length))
		r->differs = true;
	memcpy(answer, r->content, *answer_length);
	return true;
}

static void expect_outcome(const char *path, const struct outcome *outcome)
{
	FILE *file = fopen(path, "r");
	const char *at = outcome->text;
	char line[LINE_SIZE];

	while (fgets(line, sizeof(line), file)) {
		size_t length = strcspn(at, "\n") + 1;

		if (line[0] != '=')
			continue;
		if (strncmp(line, at, length) != 0)
			print_message("got: %.*srecorded: %s", (int)length, at, line);
		assert_int_equal(strncmp(line, at, length), 0);
		at += length;
	}
	assert_int_equal(*at, 0);
	fclose(file);
}

static void replay_session(const char *path, unsigned flags, bool no_ack)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	struct fake_stub *stub = calloc(1, sizeof(*stub));
	struct outcome outcome = {.used = 0};

	recording->file = fopen(path, "r");
	assert_non_null(recording->file);
	stub->answer = replay;
	stub->data = recording;
	stub->no_ack = no_ack;
	fake_stub_start(stub);
	session(stub->target, flags, &outcome);
	fake_stub_end(stub);
	assert_false(recording->differs);
	expect_outcome(path, &outcome);
	fclose(recording->file);
	free(recording);
	free(stub);
}

static void test_undercroft(void **state)
{
	(void)state;
	replay_session("tests/unit/sessions/undercroft", CROFT_OPEN_PLAIN, false);
}

static void test_qemu(void **state)
{
	(void)state;
	replay_session("tests/unit/sessions/qemu-7.2", 0, true);
}

/* --- recording --------------------------------------------------------------------------------------------------- */

struct relay {
	struct transport target;
	int client;
	FILE *file;
	struct packet_reader reader[2];
};

static void keep(struct relay *relay, unsigned from, const uint8_t *bytes, size_t length)
{
	struct packet_reader *reader = &relay->reader[from];

	for (size_t i = 0; i < length; i++) {
		if (packet_take(reader, bytes[i]) == PACKET_WHOLE)
			write_content(relay->file, from ? '<' : '>', reader->content, reader->length);
	}
}

/* Hands bytes on until the client hangs up. */
static void *relay_bytes(void *data)
{
	struct relay *relay = data;
	struct pollfd wait[2] = {{.fd = relay->client, .events = POLLIN}, {.fd = relay->target.fd, .events = POLLIN}};
	uint8_t bytes[4096];
	long count;

	for (;;) {
		poll(wait, 2, -1);
		if (wait[0].revents) {
			count = read(relay->client, bytes, sizeof(bytes));
			if (count <= 0)
				return NULL;
			keep(relay, 0, bytes, (size_t)count);
			(void)transport_write(&relay->target, bytes, (size_t)count);
		}
		if (wait[1].revents) {
			count = transport_read(&relay->target, bytes, sizeof(bytes));
			if (count < 0)
				return NULL;
			keep(relay, 1, bytes, (size_t)count);
			(void)!write(relay->client, bytes, (size_t)count);
		}
	}
}

static int record(const char *target, const char *path, unsigned flags)
{
	struct relay relay = {.file = fopen(path, "w")};
	struct outcome outcome = {.used = 0};
	struct croft_error error;
	pthread_t thread;
	char name[16];
	int pair[2];

	if (!relay.file || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
	    transport_open(&relay.target, target, TIMEOUT_MS, &error))
		return 1;
	relay.client = pair[0];
	pthread_create(&thread, NULL, relay_bytes, &relay);
	snprintf(name, sizeof(name), "fd:%d", pair[1]);
	session(name, flags, &outcome);
	pthread_join(thread, NULL);
	fputs(outcome.text, relay.file);
	fclose(relay.file);
	fputs(outcome.text, stdout);
	transport_close(&relay.target);
	packet_free(&relay.reader[0]);
	packet_free(&relay.reader[1]);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_undercroft),
		cmocka_unit_test(test_qemu),
	};

	if (argc >= 4 && strcmp(argv[1], "record") == 0)
		return record(argv[2], argv[3], argc > 4 ? CROFT_OPEN_PLAIN : 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
