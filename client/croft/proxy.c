/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets of the proxy.
 */
#include "client/croft/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One look takes so much of a client: the VM is not to wait longer for its signs of life. */
#define LOOK_MAX 16384u

struct proxy {
	int listener, client; /* -1: none */
	bool is_local, is_done;
	struct croft_proxy *end;	    /* of the client's */
	struct croft_proxy_counters before; /* of those that were here before */
	char address[PROXY_ADDRESS_MAX], peer[PROXY_ADDRESS_MAX];
};

/* --- addresses --- */

static void describe(const struct sockaddr_storage *address, char *text)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;
	char host[INET6_ADDRSTRLEN] = "";

	if (address->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
		snprintf(text, PROXY_ADDRESS_MAX, "[%s]:%u", host, ntohs(six->sin6_port));
	} else {
		inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
		snprintf(text, PROXY_ADDRESS_MAX, "%s:%u", host, ntohs(four->sin_port));
	}
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;

	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
	return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* "HOST:PORT", HOST perhaps in brackets. */
static struct addrinfo *find_address(const char *text)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	const char *colon = strrchr(text, ':'), *end = colon;
	struct addrinfo *found = NULL;
	char host[PROXY_ADDRESS_MAX];

	if (!colon || !colon[1] || colon == text)
		return NULL;
	if (*text == '[' && end[-1] == ']') {
		text++;
		end--;
	}
	snprintf(host, sizeof(host), "%.*s", (int)(end - text), text);
	return getaddrinfo(host, colon + 1, &hints, &found) ? NULL : found;
}

/* --- listening --- */

static int open_listener(const struct addrinfo *address, struct sockaddr_storage *bound)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, error;
	socklen_t length = sizeof(*bound);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, 4) == 0 &&
	    getsockname(fd, (struct sockaddr *)bound, &length) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

enum outcome proxy_listen(struct shell *shell, const char *address)
{
	struct addrinfo *found = find_address(address);
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	struct sockaddr_storage bound;
	enum outcome outcome = OUTCOME_DONE;

	if (!found)
		outcome = shell_usage(shell, "%s: not ADDRESS:PORT, as 127.0.0.1:0", address);
	else if (!proxy)
		outcome = shell_failed(shell, "no memory");
	else if ((proxy->listener = open_listener(found, &bound)) < 0)
		outcome = shell_failed(shell, "%s: %s", address, strerror(errno));
	if (found)
		freeaddrinfo(found);
	if (outcome) {
		free(proxy);
		return outcome;
	}
	proxy->client = -1;
	proxy->is_local = is_loopback(&bound);
	describe(&bound, proxy->address);
	shell->proxy = proxy;
	return OUTCOME_DONE;
}

/* --- one client --- */

static void add_counters(struct croft_proxy_counters *to, const struct croft_proxy *end)
{
	struct croft_proxy_counters more;

	croft_proxy_counters(end, &more);
	to->packets += more.packets;
	to->reads += more.reads;
	to->reads_known += more.reads_known;
}

/* The client is hung up on, or has hung up. */
static enum outcome hang_up(struct shell *shell, const char *why)
{
	struct proxy *proxy = shell->proxy;
	struct croft_error error;
	enum croft_status status;

	if (proxy->client < 0)
		return OUTCOME_DONE;
	close(proxy->client);
	proxy->client = -1;
	proxy->is_done = true;
	add_counters(&proxy->before, proxy->end);
	shell_note(shell, "%s %s", proxy->peer, why);
	status = croft_proxy_close(proxy->end, &error);
	proxy->end = NULL;
	if (status && !shell->lost)
		shell_note(shell, "breakpoints of %s may have stayed: %s", proxy->peer, error.text);
	if (status == CROFT_ERROR_LOST && !shell->lost)
		return shell_fail(shell, &error);
	return OUTCOME_DONE;
}

static void welcome(struct shell *shell)
{
	struct proxy *proxy = shell->proxy;
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	struct croft_error error;
	char peer[PROXY_ADDRESS_MAX];
	int one = 1, fd = accept4(proxy->listener, (struct sockaddr *)&from, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	describe(&from, peer);
	if (proxy->client >= 0) {
		close(fd);
		shell_note(shell, "%s was refused: %s is here, and there is one debugger at a time", peer, proxy->peer);
		return;
	}
	if (croft_proxy_open(shell->vm, &proxy->end, &error)) {
		close(fd);
		shell_note(shell, "%s was refused: %s", peer, error.text);
		return;
	}
	/* packets are short, and each is waited for */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	proxy->client = fd;
	strcpy(proxy->peer, peer);
	shell_note(shell, "%s has attached", peer);
}

/* Sends what there is. Returns false if not all was taken. */
static bool send_output(struct proxy *proxy, bool *gone)
{
	const void *bytes;
	size_t length;

	while ((bytes = croft_proxy_output(proxy->end, &length)) && length) {
		ssize_t count = send(proxy->client, bytes, length, MSG_NOSIGNAL);

		if (count < 0) {
			*gone = errno != EAGAIN && errno != EINTR;
			return false;
		}
		croft_proxy_sent(proxy->end, (size_t)count);
	}
	return true;
}

/* Takes in what the client says. Returns how much it was, -1: it has hung up. */
static ssize_t hear(struct shell *shell, enum croft_status *status)
{
	struct proxy *proxy = shell->proxy;
	struct croft_error error;
	char bytes[LOOK_MAX];
	ssize_t count = recv(proxy->client, bytes, sizeof(bytes), 0);

	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (count == 0)
		return -1;
	*status = croft_proxy_take(proxy->end, bytes, (size_t)count, &error);
	if (*status == CROFT_ERROR_LOST)
		shell_fail(shell, &error);
	else if (*status)
		shell_note(shell, "%s", error.text);
	return count;
}

/* *heard: the client has said something, and may have more to say. */
static enum outcome attend_client(struct shell *shell, bool *heard)
{
	struct proxy *proxy = shell->proxy;
	enum croft_status status = CROFT_OK;
	bool gone = false, sent = send_output(proxy, &gone);

	/* who does not read what he is told is not listened to */
	if (sent && !croft_proxy_is_over(proxy->end)) {
		ssize_t count = hear(shell, &status);

		gone |= count < 0;
		*heard = count > 0;
		sent = send_output(proxy, &gone);
	}
	if (status == CROFT_ERROR_LOST) {
		(void)hang_up(shell, "was hung up on: the link is lost");
		return OUTCOME_LOST;
	}
	if (gone)
		return hang_up(shell, "is gone without a word");
	/* the last answer is still to be read */
	if (croft_proxy_is_over(proxy->end) && sent)
		return hang_up(shell, status ? "was hung up on" : "has left");
	return OUTCOME_DONE;
}

enum outcome proxy_serve(struct shell *shell)
{
	struct proxy *proxy = shell->proxy;
	struct pollfd wait = {.events = POLLIN};
	enum outcome outcome = OUTCOME_DONE;
	bool heard = false;

	if (!proxy)
		return OUTCOME_DONE;
	if (proxy->client >= 0)
		outcome = attend_client(shell, &heard);
	/* a client that comes when another hangs up is not to be refused: first the end of that one has to be heard */
	wait.fd = proxy->listener;
	if (!outcome && !heard && poll(&wait, 1, 0) > 0)
		welcome(shell);
	return outcome;
}

unsigned proxy_wait(const struct proxy *proxy, struct pollfd *fds)
{
	size_t length = 0;

	if (!proxy)
		return 0;
	fds[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
	if (proxy->client < 0)
		return 1;
	(void)croft_proxy_output(proxy->end, &length);
	fds[1] = (struct pollfd){.fd = proxy->client, .events = length ? POLLOUT : POLLIN};
	return 2;
}

void proxy_close(struct shell *shell)
{
	struct proxy *proxy = shell->proxy;

	if (!proxy)
		return;
	(void)hang_up(shell, shell->lost ? "was hung up on: the link is lost" : "was hung up on");
	close(proxy->listener);
	free(proxy);
	shell->proxy = NULL;
}

/* --- what it is like --- */

const char *proxy_address(const struct proxy *proxy)
{
	return proxy->address;
}

bool proxy_is_local(const struct proxy *proxy)
{
	return proxy->is_local;
}

const char *proxy_client(const struct proxy *proxy)
{
	return proxy->client >= 0 ? proxy->peer : NULL;
}

bool proxy_is_done(const struct proxy *proxy)
{
	return proxy->is_done;
}

bool proxy_is_waiting(const struct proxy *proxy)
{
	return proxy && proxy->client >= 0 && croft_proxy_is_waiting(proxy->end);
}

struct croft_proxy_counters proxy_counters(const struct proxy *proxy)
{
	struct croft_proxy_counters all = proxy->before;

	if (proxy->end)
		add_counters(&all, proxy->end);
	return all;
}
