/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/libcroft: every way to the other end, each with a stub behind it, and those that lead nowhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <asm/termbits.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <undercroft/types.h>

#include "client/libcroft/croft.h"
#include "tests/fakes/fake_stub.h"

#define TIMEOUT_MS 60000u

static const struct fake_line script[] = {
	{"qSupported*", "PacketSize=1000;qXfer:croft.log:read+"},
	{"?", "T05thread:1;"},
	{"Qcroft.as:*", "OK"},
	{"D", "OK"},
	{NULL, NULL},
};

/* 256 bytes, each once: whatever a terminal could swallow or change is among them. */
static bool answer_bytes(void *data, const char *question, size_t length, char *answer, size_t *answer_length)
{
	(void)data;
	(void)length;
	if (strcmp(question, "x0,100") != 0)
		return false;
	for (unsigned i = 0; i < 256; i++)
		answer[i] = (char)i;
	*answer_length = 256;
	return true;
}

static struct fake_stub *make_stub(void)
{
	struct fake_stub *stub = calloc(1, sizeof(*stub));

	stub->script = script;
	stub->framed = true;
	stub->answer = answer_bytes;
	return stub;
}

/* Attaches, reads all bytes there are, writes some, detaches. */
static void use(const char *target, unsigned flags)
{
	uint8_t bytes[256];
	struct croft_error error;
	struct croft_vm *vm;
	enum croft_status status = croft_vm_open(target, flags, TIMEOUT_MS, &vm, &error);

	if (status)
		print_message("%s\n", error.text);
	assert_int_equal(status, CROFT_OK);
	assert_string_equal(croft_vm_target(vm), target);
	assert_int_equal(croft_vm_is_framed(vm), !flags);
	assert_true(croft_vm_fd(vm) >= 0);
	assert_int_equal(croft_memory_read(vm, croft_current(), 0, bytes, sizeof(bytes), NULL, &error), CROFT_OK);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i);
	assert_int_equal(croft_vm_close(vm, &error), CROFT_OK);
}

static void use_accepted(int listener, const char *target)
{
	/* the connection is there before it is accepted */
	pid_t child = fork();
	struct fake_stub *stub;
	int status;

	if (child == 0) {
		use(target, 0);
		_exit(0);
	}
	stub = make_stub();
	fake_stub_serve(stub, accept(listener, NULL, NULL));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fake_stub_end(stub);
	free(stub);
}

static void test_tcp(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof(address);
	char target[64];
	(void)state;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	snprintf(target, sizeof(target), "tcp:127.0.0.1:%u", ntohs(address.sin_port));
	use_accepted(listener, target);
	snprintf(target, sizeof(target), "127.0.0.1:%u", ntohs(address.sin_port));
	use_accepted(listener, target);
	close(listener);
}

static void test_unix(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	char target[128], folder[] = "/tmp/croft-unit-XXXXXX";
	(void)state;

	assert_non_null(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/wire", folder);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	snprintf(target, sizeof(target), "unix:%s", address.sun_path);
	use_accepted(listener, target);
	use_accepted(listener, address.sun_path);
	close(listener);
	unlink(address.sun_path);
	rmdir(folder);
}

struct terminal {
	int master;
	char path[64];
};

static void open_terminal(struct terminal *terminal)
{
	terminal->master = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(terminal->master >= 0);
	assert_int_equal(grantpt(terminal->master), 0);
	assert_int_equal(unlockpt(terminal->master), 0);
	assert_int_equal(ptsname_r(terminal->master, terminal->path, sizeof(terminal->path)), 0);
}

static struct termios2 settings_of(const char *path)
{
	struct termios2 settings;
	int fd = open(path, O_RDWR | O_NOCTTY);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TCGETS2, &settings), 0);
	close(fd);
	return settings;
}

static void test_terminals(void **state)
{
	static const struct {
		const char *form;
		unsigned flags, baud;
	} cases[] = {{"pty:%s", 0, 0},
		     {"%s", 0, 0},
		     {"serial:%s", 0, 115200},
		     {"serial:%s,9600", CROFT_OPEN_PLAIN, 9600},
		     /* no constant has this one */
		     {"serial:%s,1234567", 0, 1234567}};
	(void)state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct termios2 before, now;
		struct terminal terminal;
		struct fake_stub *stub = make_stub();
		struct croft_error error;
		struct croft_vm *vm, *other;
		char target[80];
		int held;

		open_terminal(&terminal);
		snprintf(target, sizeof(target), cases[i].form, terminal.path);
		held = open(terminal.path, O_RDWR | O_NOCTTY); /* else it hangs up between two clients */
		before = settings_of(terminal.path);
		fake_stub_serve(stub, terminal.master);
		use(target, cases[i].flags);
		assert_int_equal(croft_vm_open(target, cases[i].flags, TIMEOUT_MS, &vm, &error), CROFT_OK);
		assert_int_equal(ioctl(held, TCGETS2, &now), 0);
		if (cases[i].baud)
			assert_int_equal(now.c_ospeed, cases[i].baud);
		assert_int_equal(now.c_lflag, 0);
		/* a second client is told so */
		assert_int_equal(croft_vm_open(target, 0, TIMEOUT_MS, &other, &error), CROFT_ERROR_BUSY);
		assert_null(other);
		assert_int_equal(croft_vm_close(vm, &error), CROFT_OK);
		now = settings_of(terminal.path);
		assert_memory_equal(&now, &before, sizeof(now));
		fake_stub_end(stub);
		free(stub);
		close(held);
	}
}

static void test_a_terminal_that_is_cut(void **state)
{
	struct terminal terminal;
	struct croft_error error;
	struct croft_vm *vm;
	struct fake_stub *stub = make_stub();
	char target[80];
	uint8_t byte;
	(void)state;

	open_terminal(&terminal);
	snprintf(target, sizeof(target), "serial:%s", terminal.path);
	fake_stub_serve(stub, terminal.master);
	assert_int_equal(croft_vm_open(target, 0, TIMEOUT_MS, &vm, &error), CROFT_OK);
	fake_stub_end(stub); /* as a USB adapter that is pulled */
	assert_int_equal(croft_memory_read(vm, croft_current(), 0, &byte, 1, NULL, &error), CROFT_ERROR_LOST);
	croft_vm_close(vm, NULL);
	free(stub);
}

static void test_targets_that_are_none(void **state)
{
	static const struct {
		const char *target;
		enum croft_status status;
	} cases[] = {
		{"", CROFT_ERROR_ARGUMENT},
		{"nothing", CROFT_ERROR_ARGUMENT},
		{"tcp:host", CROFT_ERROR_ARGUMENT},
		{"tcp::1", CROFT_ERROR_ARGUMENT},
		{"tcp:host:", CROFT_ERROR_ARGUMENT},
		{"tcp:127.0.0.1:1", CROFT_ERROR_SYSTEM},
		{"[127.0.0.1]:1", CROFT_ERROR_SYSTEM},
		{"unix:", CROFT_ERROR_ARGUMENT},
		{"unix:/nonexistent/wire", CROFT_ERROR_SYSTEM},
		{"serial:", CROFT_ERROR_ARGUMENT},
		{"serial:/dev/null", CROFT_ERROR_SYSTEM},
		{"serial:/dev/null,", CROFT_ERROR_ARGUMENT},
		{"serial:/dev/null,0", CROFT_ERROR_ARGUMENT},
		{"serial:/dev/null,99999999999", CROFT_ERROR_ARGUMENT},
		{"serial:/nonexistent,9600", CROFT_ERROR_SYSTEM},
		{"pty:/dev/null", CROFT_ERROR_SYSTEM},
		{"/nonexistent", CROFT_ERROR_SYSTEM},
		{"/nonexistent,9600", CROFT_ERROR_SYSTEM},
		{"fd:", CROFT_ERROR_ARGUMENT},
		{"fd:x", CROFT_ERROR_ARGUMENT},
		{"fd:99999", CROFT_ERROR_SYSTEM},
	};
	(void)state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct croft_error error;
		struct croft_vm *vm;
		enum croft_status status = croft_vm_open(cases[i].target, 0, 200, &vm, &error);

		if (status != cases[i].status)
			print_message("%s: %s\n", cases[i].target, error.text);
		assert_int_equal(status, cases[i].status);
		assert_int_equal(error.status, status);
		assert_null(vm);
		assert_true(strlen(error.text) > 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_terminals),
		cmocka_unit_test(test_a_terminal_that_is_cut),
		cmocka_unit_test(test_targets_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
