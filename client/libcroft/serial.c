/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux' termios2, which takes any number as a speed: <termios.h> has a list of some.
 */
#include "client/libcroft/serial.h"

#include <asm/termbits.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <time.h>

#include "client/libcroft/error.h"

/* How long what was written may take to leave. */
#define MOMENT_NS    5000000
#define SENT_MOMENTS 100u

struct transport_tty {
	struct termios2 before;
};

/* A receiver samples the middle of the tenth bit by its own clock: half a bit in ten, over both ends. */
static bool is_near(unsigned speed, unsigned wanted)
{
	unsigned difference = speed > wanted ? speed - wanted : wanted - speed;

	return difference <= wanted / 40;
}

enum croft_status serial_open(struct transport *transport, const char *name, unsigned baud, struct croft_error *error)
{
	struct termios2 now;
	struct transport_tty *tty;

	/* the second is for those whom the first does not stop: the superuser */
	if (flock(transport->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return error_set(error, CROFT_ERROR_BUSY, "%s: another program has it", name);
	tty = calloc(1, sizeof(*tty));
	if (!tty)
		return error_memory(error);
	if (ioctl(transport->fd, TCGETS2, &tty->before) < 0) {
		free(tty);
		return error_system(error, CROFT_ERROR_SYSTEM, errno, "%s", name);
	}
	now = tty->before;
	now.c_iflag = IGNBRK;
	now.c_oflag = 0;
	now.c_lflag = 0;
	now.c_cflag = CS8 | CREAD | CLOCAL | HUPCL;
	now.c_cc[VMIN] = 1;
	now.c_cc[VTIME] = 0;
	if (baud) {
		now.c_cflag |= BOTHER | BOTHER << IBSHIFT;
		now.c_ispeed = now.c_ospeed = baud;
	} else {
		now.c_cflag |= tty->before.c_cflag & (CBAUD | CBAUD << IBSHIFT);
	}
	if (ioctl(transport->fd, TCSETS2, &now) < 0 || ioctl(transport->fd, TCGETS2, &now) < 0) {
		int number = errno;

		ioctl(transport->fd, TCSETS2, &tty->before);
		free(tty);
		return error_system(error, CROFT_ERROR_SYSTEM, number, "%s", name);
	}
	if (baud && !is_near(now.c_ospeed, baud)) {
		ioctl(transport->fd, TCSETS2, &tty->before);
		free(tty);
		return error_set(error, CROFT_ERROR_SYSTEM, "%s: it cannot do %u bits per second, only %u", name, baud,
				 now.c_ospeed);
	}
	ioctl(transport->fd, TIOCEXCL);
	transport->tty = tty;
	transport->baud = baud;
	return CROFT_OK;
}

/* No event tells it. */
static void wait_until_sent(int fd)
{
	static const struct timespec moment = {.tv_nsec = MOMENT_NS};
	int left = 0;

	for (unsigned i = 0; i < SENT_MOMENTS && ioctl(fd, TIOCOUTQ, &left) == 0 && left > 0; i++)
		nanosleep(&moment, NULL);
}

void serial_close(struct transport *transport)
{
	wait_until_sent(transport->fd);
	ioctl(transport->fd, TIOCNXCL);
	ioctl(transport->fd, TCSETS2, &transport->tty->before);
	free(transport->tty);
	transport->tty = NULL;
}

void serial_drop(struct transport *transport)
{
	ioctl(transport->fd, TCFLSH, 0 /* TCIFLUSH */);
}
