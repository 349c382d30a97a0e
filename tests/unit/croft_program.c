/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * croft as a program: processes of their own, told the way by the command line. Targets that are none, lines at the
 * wrong speed, silence, ends in the midst, two clients of one wire, and whatever a hostile other end may answer: each
 * has to end in time, with a message and the exit status that croft(1) says.
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
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <undercroft/types.h>
#include <valgrind/valgrind.h>

#include "tests/fakes/fake_stub.h"
#include "tests/unit/croft_program.h"

#define SAID_MAX 65536u

/* Whatever happens, croft has ended by then; what it was told as its timeout is far below that. */
#define LIMIT_MS   60000
#define TIMEOUT_MS "400"

/* One that an answer in time must not reach, however much else the computer does. */
#define PATIENT_MS "2000"

/* --- processes ---------------------------------------------------------------------------------------------------- */

struct process {
	pid_t pid;
	int gate; /* it begins when something comes out of that */
	int out;  /* its output, both kinds */
	char said[SAID_MAX];
	size_t length;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A fork's program: croft, when the gate opens. */
static void be_croft(int gate, int out, int count, char **words)
{
	int in = open("/dev/null", O_RDONLY);
	char byte;

	(void)!read(gate, &byte, 1);
	close(gate);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	close(in);
	close(out);
	setenv("HOME", "/nonexistent", 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_CACHE_HOME");
	count = croft_main(count, words);
	fflush(NULL);
	_exit(count);
}

/* Prepares croft with words that end with NULL. No thread may be there: a fork has none, but has its locks. */
static void prepare(struct process *process, const char *const *words)
{
	char *argument[16] = {(char *)"croft"};
	int gate[2], out[2], count = 1;

	for (; words[count - 1]; count++)
		argument[count] = (char *)words[count - 1];
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	process->length = 0;
	process->said[0] = 0;
	fflush(NULL);
	process->pid = fork();
	assert_true(process->pid >= 0);
	if (process->pid == 0) {
		close(gate[1]);
		close(out[0]);
		be_croft(gate[0], out[1], count, argument);
	}
	close(gate[0]);
	close(out[1]);
	process->gate = gate[1];
	process->out = out[0];
}

static void go(struct process *process)
{
	assert_int_equal(write(process->gate, "", 1), 1);
	close(process->gate);
}

static void start(struct process *process, const char *const *words)
{
	prepare(process, words);
	go(process);
}

/* Takes in what it says until that has come (NULL: until its end). False: it did not in time. */
static bool expect(struct process *process, const char *words, int limit_ms)
{
	uint64_t until = now_ms() + (uint64_t)limit_ms;

	while (!words || !strstr(process->said, words)) {
		struct pollfd wait = {.fd = process->out, .events = POLLIN};
		uint64_t now = now_ms();
		ssize_t count;

		if (now >= until || poll(&wait, 1, (int)(until - now)) <= 0)
			return false;
		count = read(process->out, process->said + process->length, SAID_MAX - 1 - process->length);
		if (count <= 0)
			return !words;
		process->length += (size_t)count;
		process->said[process->length] = 0;
		/* the end of it is what matters */
		if (process->length == SAID_MAX - 1)
			process->length = 0;
	}
	return true;
}

/* Waits for its end. Returns its exit status; below 0: the signal that ended it. */
static int end(struct process *process)
{
	bool in_time = expect(process, NULL, LIMIT_MS);
	int status;

	if (!in_time)
		kill(process->pid, SIGKILL);
	assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
	close(process->out);
	if (!in_time)
		fail_msg("croft does not end; it said:\n%s", process->said);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void ends(struct process *process, int status, const char *words)
{
	int ended = end(process);

	if (ended != status || !strstr(process->said, words))
		fail_msg("status %d instead of %d, or no \"%s\" in:\n%s", ended, status, words, process->said);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- the other end ------------------------------------------------------------------------------------------------ */

#define ZEROES_41 "00000000000000000000000000000000000000000"

static const struct fake_line script[] = {
	/* 16 registers and rip of 8 bytes, eflags and six selectors of 4 */
	{"g", ZEROES_41 ZEROES_41 ZEROES_41 ZEROES_41 ZEROES_41 ZEROES_41 ZEROES_41 ZEROES_41},
	{"qSupported*", "PacketSize=1000;qXfer:croft.log:read+;vContSupported+"},
	{"vCont?", "vCont;c;C;s;S;r"},
	{"?", "T05thread:1;"},
	{"Qcroft.as:*", "OK"},
	{"qRcmd,*", "OK"},
	{"p100", "007c000000000000"},
	{"p102", "00000000"},
	{"x*", "E0e"},
	{"m*", "E0e"},
	{"D", "OK"},
	{NULL, NULL},
};

/* Not of the heap: a fork has them, too, and would be told that it has lost them. */
static struct fake_stub *make_stub(bool framed)
{
	static struct fake_stub stubs[3];
	static unsigned next;
	struct fake_stub *stub = &stubs[next++ % ARRAY_SIZE(stubs)];

	memset(stub, 0, sizeof(*stub));
	stub->script = script;
	stub->framed = framed;
	stub->interrupted = "T02thread:1;";
	return stub;
}

/* A listener at 127.0.0.1 or at a path. */
struct listener {
	int fd;
	char target[128], folder[32];
};

static void listen_tcp(struct listener *l)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	l->folder[0] = 0;
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l->fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(l->fd, 1), 0);
	assert_int_equal(getsockname(l->fd, (struct sockaddr *)&address, &size), 0);
	snprintf(l->target, sizeof(l->target), "tcp:127.0.0.1:%u", ntohs(address.sin_port));
}

static void listen_unix(struct listener *l)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(l->folder, "/tmp/croft-unit-XXXXXX");
	assert_non_null(mkdtemp(l->folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/wire", l->folder);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(l->fd, 1), 0);
	snprintf(l->target, sizeof(l->target), "unix:%s", address.sun_path);
}

static void stop_listening(struct listener *l)
{
	close(l->fd);
	if (!l->folder[0])
		return;
	unlink(l->target + strlen("unix:"));
	rmdir(l->folder);
}

static void open_terminal(int *master, char *path, size_t size)
{
	*master = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(*master >= 0);
	assert_int_equal(grantpt(*master), 0);
	assert_int_equal(unlockpt(*master), 0);
	assert_int_equal(ptsname_r(*master, path, size), 0);
}

/* --- nobody, or the wrong one ------------------------------------------------------------------------------------- */

static void test_no_target(void **state)
{
	static const struct {
		const char *target;
		int status;
		const char *words;
	} cases[] = {
		{"nobody", 2, "a target is tcp:HOST:PORT"},
		{"tcp:127.0.0.1", 2, "the form is tcp:HOST:PORT"},
		{"serial:/dev/null,fast", 2, "the form is serial:PATH[,BAUD]"},
		{"tcp:127.0.0.1:1", 3, "Connection refused"},
		{"unix:/nonexistent/wire", 3, "No such file"},
		{"serial:/nonexistent/tty", 3, "No such file"},
		{"serial:/dev/null", 3, "Inappropriate ioctl"},
		{"pty:/dev/null", 3, "Inappropriate ioctl"},
	};
	struct process croft;
	(void)state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		start(&croft, WORDS("-t", cases[i].target, "--timeout", TIMEOUT_MS, "regs"));
		ends(&croft, cases[i].status, cases[i].words);
		assert_non_null(strstr(croft.said, strchr(cases[i].target, ':') ? strchr(cases[i].target, ':') + 1
										: cases[i].target));
	}
	start(&croft, WORDS("regs"));
	ends(&croft, 2, "no target");
	start(&croft, WORDS("-t", "tcp:127.0.0.1:1", "-o", "json", "regs"));
	ends(&croft, 3, "\"status\":\"system\"");
}

/* A line whose other end has another speed: what comes is bytes that nobody has sent, and what is said is not heard. */
static void test_wrong_baud(void **state)
{
	static const char noise[] = "\xf8\x80\xfe\x00\x1e\xe0\xff\x98\xf0\x00\x78\xfe\x80\xe6";
	char path[64], target[80];
	struct process croft;
	int master;
	(void)state;

	open_terminal(&master, path, sizeof(path));
	snprintf(target, sizeof(target), "serial:%s,9600", path);
	start(&croft, WORDS("-t", target, "--timeout", PATIENT_MS, "regs"));
	while (!expect(&croft, NULL, 20)) {
		if (write(master, noise, sizeof(noise) - 1) < 0)
			break;
	}
	ends(&croft, 3, "what comes is not a debugger's protocol: another speed, or another port?");
	close(master);
}

static void test_silent_wire(void **state)
{
	char path[64], target[80];
	struct listener l;
	struct process croft;
	uint64_t began;
	int master;
	(void)state;

	open_terminal(&master, path, sizeof(path));
	snprintf(target, sizeof(target), "pty:%s", path);
	began = now_ms();
	start(&croft, WORDS("-t", target, "--timeout", TIMEOUT_MS, "regs"));
	ends(&croft, 3, "no answer in 400 ms: another port or speed, or nobody there?");
	assert_true(now_ms() - began >= 400);
	close(master);
	listen_tcp(&l);
	start(&croft, WORDS("-t", l.target, "--timeout", TIMEOUT_MS, "regs"));
	ends(&croft, 3, "connected, but no answer in 400 ms: another client has the wire");
	stop_listening(&l);
}

/* Attached; then the other end falls silent, hangs up, or says nonsense. */
static void test_silent_later(void **state)
{
	static const struct fake_line forgetful[] = {
		{"g", NULL},	       {"p100", "007c000000000000"},
		{"p*", NULL},	       {"qSupported*", "PacketSize=1000;qXfer:croft.log:read+"},
		{"vCont?", ""},	       {"?", "T05thread:1;"},
		{"Qcroft.as:*", "OK"}, {"D", "OK"},
		{NULL, NULL},
	};
	static const struct fake_line nonsense[] = {
		{"g", "nonsense"},     {"p100", "007c000000000000"},
		{"p*", "nonsense"},    {"qSupported*", "PacketSize=1000;qXfer:croft.log:read+"},
		{"vCont?", "vCont;"},  {"?", "T05thread:1;"},
		{"Qcroft.as:*", "OK"}, {"D", "OK"},
		{NULL, NULL},
	};
	struct {
		const struct fake_line *script;
		unsigned deaf;
		const char *plain, *framed;
	} cases[] = {
		/* without frames the answer may be lost: the last one is said again */
		{forgetful, 0, "not a value", "no answer"},
		{nonsense, 0, "not a value", "not a value"},
		{script, 7, "hung up", "hung up"},
	};
	(void)state;

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		struct fake_stub *stub = make_stub(i % 2);
		struct listener l;
		struct process croft;

		stub->script = cases[i / 2].script;
		stub->deaf = cases[i / 2].deaf;
		listen_unix(&l);
		start(&croft, WORDS("-t", l.target, "--timeout", PATIENT_MS, "regs"));
		fake_stub_serve(stub, accept(l.fd, NULL, NULL));
		ends(&croft, 4, i % 2 ? cases[i / 2].framed : cases[i / 2].plain);
		fake_stub_end(stub);
		stop_listening(&l);
	}
}

/* --- two clients of one wire -------------------------------------------------------------------------------------- */

static void wait_for(struct fake_stub *stub, const char *question)
{
	static const struct timespec moment = {.tv_nsec = 5000000};

	for (uint64_t until = now_ms() + LIMIT_MS; !fake_stub_count(stub, question); nanosleep(&moment, NULL)) {
		if (now_ms() > until)
			fail_msg("nobody says %s", question);
	}
}

static void second_of_terminal(const char *form)
{
	struct fake_stub *stub = make_stub(true);
	struct process first, second, third;
	char path[64], target[80];
	int master, held;

	open_terminal(&master, path, sizeof(path));
	held = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC); /* else it hangs up between two clients */
	snprintf(target, sizeof(target), form, path);
	prepare(&first, WORDS("-t", target, "run"));
	prepare(&second, WORDS("-t", target, "regs"));
	prepare(&third, WORDS("-t", target, "monitor", "version"));
	fake_stub_serve(stub, master);
	go(&first);
	wait_for(stub, "c");
	go(&second);
	ends(&second, 3, "another program has it");
	/* and the first one does not notice */
	kill(first.pid, SIGINT);
	ends(&first, 130, "");
	assert_int_equal(fake_stub_count(stub, "Qcroft.frame:1"), 1);
	go(&third);
	ends(&third, 0, "");
	fake_stub_end(stub);
	close(held);
}

static void test_second_client_of_a_terminal(void **state)
{
	(void)state;
	second_of_terminal("pty:%s");
	second_of_terminal("serial:%s,115200");
	second_of_terminal("%s");
}

/*
 * An emulator's server talks to one client and leaves the next one waiting. That one gives up, and what it has said is
 * heard when the first one leaves: the guest is not to stand for nobody then.
 */
static void second_of_socket(void (*listen_there)(struct listener *), const char *plain)
{
	struct fake_stub *stub = make_stub(!plain), *ghost = make_stub(!plain), *later = make_stub(!plain);
	struct process first, second, third;
	struct listener l;

	listen_there(&l);
	prepare(&first, WORDS("-t", l.target, "run"));
	prepare(&second, WORDS("-t", l.target, "--timeout", TIMEOUT_MS, plain ? plain : "regs", "regs"));
	prepare(&third, WORDS("-t", l.target, "monitor", "version"));
	go(&first);
	fake_stub_serve(stub, accept(l.fd, NULL, NULL));
	wait_for(stub, "c");
	go(&second);
	ends(&second, 3, "another client has the wire");
	kill(first.pid, SIGINT);
	ends(&first, 130, "");
	fake_stub_end(stub);
	fake_stub_serve(ghost, accept(l.fd, NULL, NULL));
	wait_for(ghost, "D");
	assert_int_equal(ghost->byes, plain ? 0 : 1);
	fake_stub_end(ghost);
	go(&third);
	fake_stub_serve(later, accept(l.fd, NULL, NULL));
	ends(&third, 0, "");
	fake_stub_end(later);
	stop_listening(&l);
}

static void test_second_client_of_a_socket(void **state)
{
	(void)state;
	second_of_socket(listen_tcp, NULL);
	second_of_socket(listen_unix, NULL);
	second_of_socket(listen_unix, "--plain");
}

/* --- a hostile other end ------------------------------------------------------------------------------------------ */

#define WORKERS		 8u
#define RUNS		 300u /* of each worker */
#define FUZZ_TIMEOUT_MS	 "40"
#define FUZZ_PATIENCE_MS 400 /* then ^C, as to "run" without an end */
#define SESSION_MAX	 128u
#define SANITIZER_STATUS 99

const char *__asan_default_options(void);

/* croft's own statuses are not to be taken for it. */
const char *__asan_default_options(void)
{
	return "exitcode=99";
}

struct hostile {
	uint64_t random;
	unsigned lines;
	struct {
		char *question, *answer;
		size_t length;
	} line[SESSION_MAX];
};

static unsigned below(struct hostile *h, unsigned limit)
{
	h->random ^= h->random << 13;
	h->random ^= h->random >> 7;
	h->random ^= h->random << 17;
	return (unsigned)((h->random >> 11) % limit);
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
	content[length] = 0;
	return length;
}

/* A session that was recorded with a real stub: see croft_sessions.c. */
static void load_session(struct hostile *h, const char *path)
{
	static char line[16384], content[16384];
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) && h->lines < SESSION_MAX) {
		size_t length = read_content(line + 2, content);

		if (line[0] == '>') {
			h->line[h->lines].question = strdup(content);
		} else if (line[0] == '<' && h->line[h->lines].question) {
			h->line[h->lines].answer = malloc(length + 1);
			memcpy(h->line[h->lines].answer, content, length + 1);
			h->line[h->lines++].length = length;
		}
	}
	fclose(file);
}

static void free_session(struct hostile *h)
{
	for (unsigned i = 0; i < SESSION_MAX; i++) {
		free(h->line[i].question);
		free(h->line[i].answer);
	}
}

/* What was not asked then: memory as if it was there, values as wide as registers are. */
static size_t invent(struct hostile *h, const char *question, char *answer)
{
	static const char *const texts[] = {"OK",
					    "E01",
					    "E0e",
					    "E.croft.no",
					    "",
					    "l",
					    "F1000,1",
					    "T05thread:1;",
					    "1000,fff,7;2000,1000,3",
					    "lversion=1\ncpuid=7\n",
					    "O6f6b0a"};
	unsigned long long address, length;
	const char *text = texts[below(h, ARRAY_SIZE(texts))];

	if (sscanf(question, "m%llx,%llx", &address, &length) == 2 && length <= 2000) {
		for (size_t i = 0; i < length; i++)
			sprintf(answer + 2 * i, "%02x", below(h, 4) ? 0x63 : below(h, 256));
		return 2 * (size_t)length;
	}
	if (question[0] == 'p')
		return (size_t)sprintf(answer, "%016llx", below(h, 2) ? 0ull : (unsigned long long)h->random);
	strcpy(answer, text);
	return strlen(text);
}

static void mutate(struct hostile *h, char *answer, size_t *length)
{
	static const char digits[] = "0123456789abcdef,;:#$}*-+OETWX.lm<>\"";
	unsigned times = 1 + below(h, 4);

	while (times--) {
		size_t at = *length ? below(h, (unsigned)*length) : 0, left = *length - at;

		switch (below(h, 7)) {
		case 0:
			*length = at;
			break;
		case 1:
			if (left)
				answer[at] = (char)below(h, 256);
			break;
		case 2:
			if (left)
				answer[at] = digits[below(h, sizeof(digits) - 1)];
			break;
		case 3: /* a piece twice */
			if (*length + left < FAKE_STUB_ANSWER_MAX) {
				memmove(answer + at + left, answer + at, left);
				*length += left;
			}
			break;
		case 4:
			memmove(answer + at, answer + at + left / 2, left - left / 2);
			*length -= left / 2;
			break;
		case 5: /* numbers without an end */
			for (size_t i = at; i < *length && i < at + 20; i++)
				answer[i] = 'f';
			break;
		default:
			*length += (size_t)sprintf(answer + *length, ";%x:%llx", below(h, 1000),
						   (unsigned long long)h->random);
			break;
		}
		if (*length > FAKE_STUB_ANSWER_MAX / 2)
			*length = FAKE_STUB_ANSWER_MAX / 2;
	}
}

static bool answer_hostile(void *data, const char *question, size_t length, char *answer, size_t *answer_length)
{
	struct hostile *h = data;
	unsigned first = below(h, h->lines), i;

	(void)length;
	for (i = 0; i < h->lines; i++) {
		unsigned at = (first + i) % h->lines;

		if (strcmp(h->line[at].question, question) == 0) {
			memcpy(answer, h->line[at].answer, h->line[at].length);
			*answer_length = h->line[at].length;
			break;
		}
	}
	if (i == h->lines)
		*answer_length = invent(h, question, answer);
	if (below(h, 5) == 0)
		mutate(h, answer, answer_length);
	return true;
}

/* One verb, whatever its answers. NULL: it went as it should. */
static const char *hostile_run(uint64_t seed, struct process *croft)
{
	static const char *const verbs[][4] = {{"regs"},
					       {"regs", "rip"},
					       {"regs", "-a"},
					       {"sregs"},
					       {"msr", "efer"},
					       {"mem", "0x7c00", "512"},
					       {"mem", "-c", "0x1000", "0x7c00"},
					       {"phys", "0x7c00", "64"},
					       {"mem", "-w", "0x7000", "1"},
					       {"disas", "0x7c00", "20"},
					       {"xlate", "0x7c00"},
					       {"pagetables"},
					       {"gdt"},
					       {"idt"},
					       {"idt", "14"},
					       {"break", "0x7c00"},
					       {"watch", "0x7000", "4"},
					       {"bt"},
					       {"search", "0", "64K", "55aa"},
					       {"symbols", "-k"},
					       {"stats"},
					       {"log"},
					       {"console"},
					       {"monitor", "version"},
					       {"stop"},
					       {"step", "3"},
					       {"run"},
					       {"dump", "-n", "/nonexistent/core"}};
	static struct fake_stub stub;
	struct hostile h = {.random = seed * 0x9e3779b97f4a7c15u + 1};
	const char *words[12] = {"-t", NULL, "--timeout", FUZZ_TIMEOUT_MS}, *wrong = NULL;
	unsigned count = 4;
	const char *const *verb;
	char target[16];
	int pair[2], status;

	load_session(&h, below(&h, 2) ? "tests/unit/sessions/undercroft" : "tests/unit/sessions/qemu-7.2");
	memset(&stub, 0, sizeof(stub));
	stub.answer = answer_hostile;
	stub.data = &h;
	stub.framed = below(&h, 2);
	stub.no_ack = below(&h, 2);
	stub.damage = below(&h, 8) ? 0 : below(&h, 12);
	stub.drop = below(&h, 8) ? 0 : below(&h, 3);
	stub.deaf = below(&h, 8) ? 0 : 1 + below(&h, 20);
	stub.noise = below(&h, 8) ? NULL : "+-$#\xff}\x03+";
	stub.output = below(&h, 8) ? NULL : "O6f6b0";
	stub.log = below(&h, 2) ? NULL : "a line\n\x1b[H and no line";
	stub.stop = below(&h, 2) ? NULL : "T05hwbreak:;thread:1;";
	stub.interrupted = below(&h, 2) ? NULL : "T02thread:1;";
	if (below(&h, 3) == 0)
		words[count++] = "--plain";
	if (below(&h, 3) == 0) {
		words[count++] = "-o";
		words[count++] = "json";
	}
	verb = verbs[below(&h, ARRAY_SIZE(verbs))];
	for (unsigned i = 0; i < 4 && verb[i]; i++)
		words[count++] = verb[i];
	words[count] = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		abort();
	snprintf(target, sizeof(target), "fd:%d", pair[1]);
	words[1] = target;
	prepare(croft, words);
	close(pair[1]);
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	fake_stub_serve(&stub, pair[0]);
	go(croft);
	for (unsigned i = 0; i < 3 && !expect(croft, NULL, FUZZ_PATIENCE_MS); i++)
		kill(croft->pid, SIGINT);
	if (!expect(croft, NULL, LIMIT_MS)) {
		kill(croft->pid, SIGKILL);
		wrong = "it does not end";
	}
	if (waitpid(croft->pid, &status, 0) != croft->pid)
		abort();
	close(croft->out);
	fake_stub_end(&stub);
	free_session(&h);
	if (wrong)
		return wrong;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGINT ? NULL : "a signal ended it";
	status = WEXITSTATUS(status);
	if (status == SANITIZER_STATUS || (status > 4 && status != 130))
		return "a status that croft does not have";
	return status && status != 130 && !croft->length ? "no message" : NULL;
}

static int hostile_worker(unsigned number)
{
	struct process *croft = malloc(sizeof(*croft));
	const char *wrong = NULL;

	for (unsigned i = 0; i < (RUNNING_ON_VALGRIND ? 2 : RUNS) && !wrong; i++) {
		wrong = hostile_run(number * RUNS + i, croft);
		if (wrong)
			fprintf(stderr, "croft_program hostile %u: %s:\n%s\n", number * RUNS + i, wrong, croft->said);
	}
	free(croft);
	return wrong ? 1 : 0;
}

/* "croft_program hostile SEED" does one of these again. */
static void test_hostile(void **state)
{
	pid_t worker[WORKERS];
	unsigned bad = 0;
	int status;
	(void)state;

	fflush(NULL);
	for (unsigned i = 0; i < WORKERS; i++) {
		worker[i] = fork();
		if (worker[i] == 0)
			_exit(hostile_worker(i));
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(worker[i], &status, 0), worker[i]);
		bad += status != 0;
	}
	assert_int_equal(bad, 0);
}

static int hostile_again(uint64_t seed)
{
	struct process *croft = malloc(sizeof(*croft));
	const char *wrong = hostile_run(seed, croft);

	printf("%s\n%s\n", croft->said, wrong ? wrong : "as it should");
	free(croft);
	return wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_target),
		cmocka_unit_test(test_wrong_baud),
		cmocka_unit_test(test_silent_wire),
		cmocka_unit_test(test_silent_later),
		cmocka_unit_test(test_second_client_of_a_terminal),
		cmocka_unit_test(test_second_client_of_a_socket),
		cmocka_unit_test(test_hostile),
	};

	if (argc == 3 && strcmp(argv[1], "hostile") == 0)
		return hostile_again(strtoull(argv[2], NULL, 10));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
