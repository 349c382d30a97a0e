/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Targets and how they are reached.
 */
#include "client/libcroft/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <undercroft/types.h>

#include "client/libcroft/error.h"
#include "client/libcroft/serial.h"

#define BAUD_DEFAULT 115200u
#define BAUD_MAX     20000000u
#define HOST_MAX     256 /* of a host, with its terminator; RFC 1035, "Size limits" (2.3.4) */

/* Waits for a connection that is being made. 0 or an error number. */
static int connect_wait(int fd, unsigned timeout_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	socklen_t size = sizeof(int);
	int number = 0, ready;

	do
		ready = poll(&wait, 1, (int)timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0 ? errno : number;
}

static int connect_socket(int family, const struct sockaddr *address, socklen_t length, unsigned timeout_ms,
			  int *number)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*number = 0;
	if (fd < 0) {
		*number = errno;
		return -1;
	}
	if (connect(fd, address, length) < 0)
		*number = errno == EINPROGRESS ? connect_wait(fd, timeout_ms) : errno;
	if (!*number)
		return fd;
	close(fd);
	return -1;
}

/* "HOST:PORT", "[ADDRESS]:PORT" */
static enum croft_status open_tcp(struct transport *transport, const char *where, unsigned timeout_ms,
				  struct croft_error *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
	const char *colon = strrchr(where, ':');
	size_t length = colon ? (size_t)(colon - where) : 0;
	int number = 0, one = 1;
	char host[HOST_MAX];

	if (length > 2 && where[0] == '[' && where[length - 1] == ']') {
		where++;
		length -= 2;
	}
	if (!length || !colon[1] || length >= sizeof(host))
		return error_set(error, CROFT_ERROR_ARGUMENT, "tcp:%s: the form is tcp:HOST:PORT", where);
	memcpy(host, where, length);
	host[length] = 0;
	number = getaddrinfo(host, colon + 1, &hints, &found);
	if (number)
		return error_set(error, CROFT_ERROR_SYSTEM, "tcp:%s: %s", where, gai_strerror(number));
	transport->fd = -1;
	for (struct addrinfo *at = found; at && transport->fd < 0; at = at->ai_next)
		transport->fd = connect_socket(at->ai_family, at->ai_addr, at->ai_addrlen, timeout_ms, &number);
	freeaddrinfo(found);
	if (transport->fd < 0)
		return error_system(error, number == ETIMEDOUT ? CROFT_ERROR_TIMEOUT : CROFT_ERROR_SYSTEM, number,
				    "tcp:%s", where);
	setsockopt(transport->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	transport->is_socket = true;
	return CROFT_OK;
}

static enum croft_status open_unix(struct transport *transport, const char *path, unsigned timeout_ms,
				   struct croft_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int number;

	if (!*path || strlen(path) >= sizeof(address.sun_path))
		return error_set(error, CROFT_ERROR_ARGUMENT, "unix:%s: a path of 1 to %u characters is needed", path,
				 (unsigned)sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	transport->fd =
		connect_socket(AF_UNIX, (const struct sockaddr *)&address, sizeof(address), timeout_ms, &number);
	/* the queue of those who wait to be accepted is full */
	if (transport->fd < 0 && number == EAGAIN)
		return error_set(error, CROFT_ERROR_BUSY, "unix:%s: other programs wait for it already", path);
	if (transport->fd < 0)
		return error_system(error, CROFT_ERROR_SYSTEM, number, "unix:%s", path);
	transport->is_socket = true;
	return CROFT_OK;
}

/* A decimal number up to the end of the text. */
static bool take_decimal(const char *text, unsigned max, unsigned *value)
{
	uint64_t number = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		number = number * 10 + (unsigned)(*text - '0');
		if (number > max)
			return false;
	}
	*value = (unsigned)number;
	return true;
}

static enum croft_status open_terminal(struct transport *transport, const char *scheme, const char *path, unsigned baud,
				       struct croft_error *error)
{
	enum croft_status status;

	transport->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (transport->fd < 0)
		return errno == EBUSY ? error_set(error, CROFT_ERROR_BUSY, "%s: another program has it", path)
				      : error_system(error, CROFT_ERROR_SYSTEM, errno, "%s:%s", scheme, path);
	status = serial_open(transport, path, baud, error);
	if (status)
		close(transport->fd);
	return status;
}

/* "PATH[,BAUD]" */
static enum croft_status open_serial(struct transport *transport, const char *where, struct croft_error *error)
{
	const char *comma = strrchr(where, ',');
	size_t length = comma ? (size_t)(comma - where) : strlen(where);
	unsigned baud = BAUD_DEFAULT;
	char path[108];

	if (!length || length >= sizeof(path) || (comma && (!take_decimal(comma + 1, BAUD_MAX, &baud) || !baud)))
		return error_set(error, CROFT_ERROR_ARGUMENT, "serial:%s: the form is serial:PATH[,BAUD]", where);
	memcpy(path, where, length);
	path[length] = 0;
	return open_terminal(transport, "serial", path, baud, error);
}

static enum croft_status open_fd(struct transport *transport, const char *where, struct croft_error *error)
{
	unsigned number;
	struct stat what;
	int flags;

	if (!take_decimal(where, INT32_MAX, &number))
		return error_set(error, CROFT_ERROR_ARGUMENT, "fd:%s: the form is fd:NUMBER", where);
	flags = fcntl((int)number, F_GETFL);
	if (flags < 0 || fstat((int)number, &what) < 0 || fcntl((int)number, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_system(error, CROFT_ERROR_SYSTEM, errno, "fd:%s", where);
	transport->fd = (int)number;
	transport->is_socket = S_ISSOCK(what.st_mode);
	return CROFT_OK;
}

/* A path, by what lies there. */
static enum croft_status open_path(struct transport *transport, const char *path, unsigned timeout_ms,
				   struct croft_error *error)
{
	static const char pseudo[] = "/dev/pts/";
	struct stat what;

	if (stat(path, &what) < 0)
		return strchr(path, ',') ? open_serial(transport, path, error)
					 : error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", path);
	if (S_ISSOCK(what.st_mode))
		return open_unix(transport, path, timeout_ms, error);
	if (strncmp(path, pseudo, sizeof(pseudo) - 1) == 0)
		return open_terminal(transport, "pty", path, 0, error);
	return open_serial(transport, path, error);
}

enum croft_status transport_open(struct transport *transport, const char *target, unsigned timeout_ms,
				 struct croft_error *error)
{
	const char *rest = strchr(target, ':');
	size_t length = rest ? (size_t)(rest - target) : 0;

	memset(transport, 0, sizeof(*transport));
	if (length == 3 && strncmp(target, "tcp", length) == 0)
		return open_tcp(transport, rest + 1, timeout_ms, error);
	if (length == 4 && strncmp(target, "unix", length) == 0)
		return open_unix(transport, rest + 1, timeout_ms, error);
	if (length == 6 && strncmp(target, "serial", length) == 0)
		return open_serial(transport, rest + 1, error);
	if (length == 3 && strncmp(target, "pty", length) == 0)
		return open_terminal(transport, "pty", rest + 1, 0, error);
	if (length == 2 && strncmp(target, "fd", length) == 0)
		return open_fd(transport, rest + 1, error);
	if (target[0] == '/')
		return open_path(transport, target, timeout_ms, error);
	if (rest)
		return open_tcp(transport, target, timeout_ms, error);
	return error_set(error, CROFT_ERROR_ARGUMENT,
			 "%s: a target is tcp:HOST:PORT, unix:PATH, serial:PATH[,BAUD], pty:PATH or fd:NUMBER", target);
}

void transport_close(struct transport *transport)
{
	if (transport->tty)
		serial_close(transport);
	close(transport->fd);
}

/* What a call on the descriptor returned, as the header has it. */
static long outcome(ssize_t count, bool zero_is_end)
{
	if (count > 0)
		return count;
	if (count == 0)
		return zero_is_end ? -1 : 0;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

long transport_read(struct transport *transport, void *buffer, size_t size)
{
	return outcome(read(transport->fd, buffer, size), true);
}

long transport_write(struct transport *transport, const void *data, size_t length)
{
	if (transport->is_socket)
		return outcome(send(transport->fd, data, length, MSG_NOSIGNAL), false);
	return outcome(write(transport->fd, data, length), false);
}

void transport_drop(struct transport *transport)
{
	uint8_t bytes[256];

	if (transport->tty)
		serial_drop(transport);
	for (unsigned i = 0; i < 64 && transport_read(transport, bytes, sizeof(bytes)) > 0; i++)
		continue;
}
