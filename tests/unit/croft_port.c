/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/croft: the proxy's port, with clients on it, against a scripted stub.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <undercroft/types.h>

#include "client/croft/proxy.h"
#include "client/croft/verb.h"
#include "tests/fakes/fake_stub.h"

#define STOPPED "T05thread:1;06:0600000000000000;07:0700000000000000;10:10000081ffffffff;"

/* How often the proxy is served before what is expected of it is missing: 10 ms each, where nothing comes. */
#define SERVED_MAX 6000u

static char long_answer[4001];

static const struct fake_line script[] = {
	{"qSupported*", "PacketSize=1000;vContSupported+;qXfer:croft.stats:read+"},
	{"vCont?", "vCont;c;C;s;S;r"},
	{"?", STOPPED},
	{"g", "0011"},
	{"p0", "0000000000000000"},
	{"p12", "10000000"}, /* cs and its parts */
	{"p45", "0000000000000000"},
	{"p46", "ffffffff"},
	{"p47", "9b0a0000"},
	{"p82", "3300058000000000"},  /* cr0 */
	{"p87", "010d000000000000"},  /* efer */
	{"p100", "10000081ffffffff"}, /* linear_pc */
	{"p102", "06000000"},	      /* cpu_mode */
	{"p*", "0000000000000000"},
	{"Qcroft.as:*", "OK"},
	{"m*", "E0e"},
	{"Z*", "OK"},
	{"z*", "OK"},
	{"D", "OK"},
	{"qlong", long_answer},
	{NULL, NULL},
};

struct fixture {
	struct fake_stub stub;
	struct shell shell;
	char *text, *errors;
	size_t length, errors_length;
	FILE *real_errors;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	memset(long_answer, 'a', sizeof(long_answer) - 1);
	f->stub.script = script;
	f->stub.framed = true;
	f->stub.interrupted = "T02thread:1;";
	f->shell.out.to = open_memstream(&f->text, &f->length);
	f->real_errors = stderr;
	stderr = open_memstream(&f->errors, &f->errors_length);
	f->shell.symbols = symbols_new();
	fake_stub_start(&f->stub);
	f->shell.target = f->stub.target;
	assert_int_equal(shell_attach(&f->shell, 0, 60000), OUTCOME_DONE);
	/* the port stays open beside other verbs */
	f->shell.interactive = true;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	shell_detach(&f->shell);
	fake_stub_end(&f->stub);
	fclose(f->shell.out.to);
	fclose(stderr);
	stderr = f->real_errors;
	free(f->text);
	free(f->errors);
	symbols_free(f->shell.symbols);
	free(f->shell.copy);
	free(f);
	return 0;
}

static void do_line(struct fixture *f, const char *line, enum outcome outcome)
{
	rewind(f->shell.out.to);
	assert_int_equal(shell_line(&f->shell, line), outcome);
	fputc(0, f->shell.out.to);
	fflush(f->shell.out.to);
}

/* What was said on stderr since the last time. */
static void expect_said(struct fixture *f, const char *words)
{
	fputc(0, stderr);
	fflush(stderr);
	if (!strstr(f->errors, words)) {
		fprintf(f->real_errors, "\"%s\" is not in: %s", words, f->errors);
		fail();
	}
	rewind(stderr);
}

static unsigned port_of(const char *line)
{
	unsigned port = 0;

	assert_int_equal(sscanf(line, "gdb: target remote 127.0.0.1:%u\n", &port), 1);
	assert_in_range(port, 1, 65535);
	return port;
}

static int connect_to(unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Serves once, and until one of the sockets has something more; fd may be that of a client. */
static void serve(struct fixture *f, int fd)
{
	struct pollfd wait[1 + PROXY_FDS] = {{.fd = fd, .events = POLLIN}};

	if (proxy_serve(&f->shell))
		f->shell.quit = true;
	poll(wait, 1 + (f->shell.quit ? 0 : proxy_wait(f->shell.proxy, wait + 1)), 10);
}

/* Serves until the client has as much as this, in however many pieces, which has to be this; NULL: it is hung up on. */
static void expect_answer(struct fixture *f, int fd, const char *expected)
{
	size_t length = expected ? strlen(expected) : 1, done = 0;
	char text[4096] = "";
	ssize_t count = -1;

	for (unsigned i = 0; i < SERVED_MAX && done < length && count; i++) {
		serve(f, fd);
		count = recv(fd, text + done, sizeof(text) - 1 - done, MSG_DONTWAIT);
		done += count > 0 ? (size_t)count : 0;
	}
	assert_string_equal(text, expected ? expected : "");
	assert_int_equal(count == 0, !expected);
}

static void test_listening(void **state)
{
	static const char *const wrong[] = {"nonsense", "127.0.0.1",	    ":1", "127.0.0.1:", "127.0.0.1:http",
					    "[::1:1",	"nowhere.invalid:1"};
	struct fixture *f = *state;
	char line[80];

	do_line(f, "proxy", OUTCOME_DONE);
	port_of(f->text);
	do_line(f, "proxy --listen 127.0.0.1:0", OUTCOME_FAILED);
	expect_said(f, "\"proxy off\" first");
	do_line(f, "proxy", OUTCOME_DONE);
	snprintf(line, sizeof(line), "proxy --listen 127.0.0.1:%u", port_of(f->text));
	do_line(f, "proxy off", OUTCOME_DONE);
	do_line(f, "proxy off", OUTCOME_FAILED);
	do_line(f, line, OUTCOME_DONE);
	assert_int_equal(port_of(f->text), strtoul(strrchr(line, ':') + 1, NULL, 10));
	do_line(f, "proxy off", OUTCOME_DONE);
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(line, sizeof(line), "proxy --listen %s", wrong[i]);
		do_line(f, line, OUTCOME_USAGE);
		expect_said(f, "not ADDRESS:PORT");
	}
	do_line(f, "proxy --listen", OUTCOME_USAGE);
	do_line(f, "proxy -x", OUTCOME_USAGE);
	do_line(f, "proxy on", OUTCOME_USAGE);
	assert_null(f->shell.proxy);
}

static void test_a_port_that_is_taken(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct fixture *f = *state;
	char line[80];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)) | listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&address, &length);
	snprintf(line, sizeof(line), "proxy --listen 127.0.0.1:%u", ntohs(address.sin_port));
	do_line(f, line, OUTCOME_FAILED);
	expect_said(f, "in use");
	close(fd);
}

static void test_clients(void **state)
{
	struct fixture *f = *state;
	int first, second;
	unsigned port;

	do_line(f, "proxy", OUTCOME_DONE);
	port = port_of(f->text);
	first = connect_to(port);
	send_text(first, "+$g#67");
	expect_answer(f, first, "+$0011#c2");
	expect_said(f, " has attached\n");
	assert_non_null(proxy_client(f->shell.proxy));
	/* one at a time */
	second = connect_to(port);
	expect_answer(f, second, NULL);
	expect_said(f, " was refused: ");
	close(second);
	send_text(first, "+$QStartNoAckMode#b0$Z0,140,1#a8");
	expect_answer(f, first, "+$OK#9a$OK#9a");
	do_line(f, "proxy", OUTCOME_DONE);
	assert_non_null(strstr(f->text, " is attached: 3 packets"));
	/* it dies: the VM stays as it is, without its breakpoint */
	send_text(first, "$g#67");
	close(first);
	second = connect_to(port);
	for (unsigned i = 0; i < SERVED_MAX && !fake_stub_count(&f->stub, "z0,140,1"); i++)
		serve(f, second);
	assert_false(f->shell.quit);
	expect_said(f, " is gone without a word\n");
	assert_false(croft_vm_is_running(f->shell.vm));
	/* the next one; it leaves */
	send_text(second, "$g#67");
	expect_answer(f, second, "+$0011#c2");
	send_text(second, "$D#44");
	expect_answer(f, second, "+$OK#9a");
	expect_answer(f, second, NULL);
	expect_said(f, " has left\n");
	assert_true(croft_vm_is_running(f->shell.vm));
	close(second);
}

static void test_a_stop_for_both(void **state)
{
	struct fixture *f = *state;
	unsigned port;
	int fd;

	do_line(f, "proxy", OUTCOME_DONE);
	port = port_of(f->text);
	fd = connect_to(port);
	send_text(fd, "$c#63");
	expect_answer(f, fd, "+");
	assert_true(proxy_is_waiting(f->shell.proxy));
	do_line(f, "stop", OUTCOME_DONE);
	assert_non_null(strstr(f->text, "stopped\n"));
	expect_answer(f, fd, "$T02thread:1;#d4");
	assert_false(proxy_is_waiting(f->shell.proxy));
	close(fd);
}

static void test_no_debugger(void **state)
{
	struct fixture *f = *state;
	int fd;

	do_line(f, "proxy", OUTCOME_DONE);
	fd = connect_to(port_of(f->text));
	send_text(fd, "POST / HTTP/1.1\r\n\r\n$k#6b");
	expect_answer(f, fd, NULL);
	expect_said(f, "what connected is no debugger\n\r\033[Kproxy: 127.0.0.1:");
	assert_false(croft_vm_is_running(f->shell.vm));
	close(fd);
}

/* Answers wait until they are read, and nothing more is asked meanwhile. */
static void test_a_client_that_reads_late(void **state)
{
	struct fixture *f = *state;
	unsigned sent = 0, answers = 0, idle = 0;
	struct pollfd fds[PROXY_FDS], wait = {.events = POLLIN};
	char bytes[4096];
	ssize_t count;
	int fd, size = 4096, one = 1;

	do_line(f, "proxy", OUTCOME_DONE);
	/* who accepts has the listener's buffers: small ones are full soon */
	assert_int_equal(proxy_wait(f->shell.proxy, fds), 1);
	setsockopt(fds[0].fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fd = connect_to(port_of(f->text));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	send_text(fd, "$QStartNoAckMode#b0");
	do {
		send_text(fd, "$qlong#21");
		sent++;
		assert_int_equal(proxy_serve(&f->shell), OUTCOME_DONE);
		if (poll(fds, proxy_wait(f->shell.proxy, fds), 10) < 0 || !proxy_client(f->shell.proxy))
			fds[1].events = 0;
	} while (sent < 2000 && fds[1].events != POLLOUT);
	assert_int_equal(fds[1].events, POLLOUT);
	wait.fd = fd;
	/* now it reads: each answer is there, that to QStartNoAckMode too */
	while (answers < sent + 1 && idle < 1000) {
		assert_int_equal(proxy_serve(&f->shell), OUTCOME_DONE);
		count = recv(fd, bytes, sizeof(bytes), 0);
		idle = count > 0 ? 0 : idle + 1;
		if (count <= 0)
			poll(&wait, 1, 10);
		for (ssize_t i = 0; i < count; i++)
			answers += bytes[i] == '#';
	}
	assert_int_equal(answers, sent + 1);
	close(fd);
}

static void test_a_lost_link(void **state)
{
	struct fixture *f = *state;
	int fd;

	do_line(f, "proxy", OUTCOME_DONE);
	fd = connect_to(port_of(f->text));
	send_text(fd, "$Z0,140,1#a8");
	expect_answer(f, fd, "+$OK#9a");
	f->stub.deaf = f->stub.questions + 1;
	send_text(fd, "$g#67");
	expect_answer(f, fd, "+$E05#aa");
	expect_answer(f, fd, NULL);
	assert_true(f->shell.lost);
	expect_said(f, "the other end has hung up\n");
	close(fd);
}

/* --- as a single command --- */

struct guest {
	pthread_t thread;
	FILE *from;
	const char *says; /* NULL: it sends SIGINT instead */
};

static void *visit(void *data)
{
	struct guest *guest = data;
	char line[80] = "";
	unsigned port;
	int fd;

	if (!fgets(line, sizeof(line), guest->from) || sscanf(line, "gdb: target remote 127.0.0.1:%u", &port) != 1)
		return "no line";
	if (!guest->says) {
		kill(getpid(), SIGINT);
		return NULL;
	}
	fd = connect_to(port);
	send_text(fd, guest->says);
	/* until it is hung up on, or hangs up */
	while (strstr(guest->says, "$D") && recv(fd, line, sizeof(line), 0) > 0)
		continue;
	close(fd);
	return NULL;
}

static void check_single(struct fixture *f, const char *says, enum outcome outcome)
{
	struct guest guest = {.says = says};
	FILE *before = f->shell.out.to;
	int ends[2];
	void *wrong;

	assert_int_equal(pipe(ends), 0);
	guest.from = fdopen(ends[0], "r");
	f->shell.out.to = fdopen(ends[1], "w");
	f->shell.interactive = false;
	assert_int_equal(pthread_create(&guest.thread, NULL, visit, &guest), 0);
	assert_int_equal(shell_line(&f->shell, "proxy"), outcome);
	assert_null(f->shell.proxy);
	fclose(f->shell.out.to);
	f->shell.out.to = before;
	pthread_join(guest.thread, &wrong);
	assert_null(wrong);
	fclose(guest.from);
}

static void test_single(void **state)
{
	struct fixture *f = *state;

	/* one that nobody waited for */
	raise(SIGINT);
	check_single(f, "+$g#67$D#44", OUTCOME_DONE);
	assert_true(croft_vm_is_running(f->shell.vm));
	check_single(f, "+$g#67", OUTCOME_DONE);
	assert_false(croft_vm_is_running(f->shell.vm));
	check_single(f, NULL, OUTCOME_INTERRUPTED);
	f->stub.deaf = f->stub.questions + 1;
	check_single(f, "+$g#67", OUTCOME_LOST);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_listening),	TEST(test_a_port_that_is_taken),
		TEST(test_clients),	TEST(test_a_stop_for_both),
		TEST(test_no_debugger), TEST(test_a_client_that_reads_late),
		TEST(test_a_lost_link), TEST(test_single),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
