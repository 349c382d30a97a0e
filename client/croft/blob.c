/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads device trees, by dtc where they are source.
 */
#include "client/croft/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Until size or the end; -1: errno. */
static ssize_t read_all(int file, uint8_t *to, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t got = read(file, to + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

/* dtc's output. -1: it could not be run (errno), or it refused (errno is 0). */
static ssize_t compile(const char *path, uint8_t *to, size_t size)
{
	char *arguments[] = {"dtc", "-q", "-I", "dts", "-O", "dtb", "-o", "-", "--", (char *)path, NULL};
	posix_spawn_file_actions_t actions;
	int ends[2], status = -1, error;
	ssize_t length;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	error = posix_spawnp(&child, "dtc", &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (error) {
		close(ends[0]);
		errno = error;
		return -1;
	}
	length = read_all(ends[0], to, size);
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		errno = 0;
		return -1;
	}
	return length;
}

static bool is_source(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && strcmp(dot, ".dts") == 0;
}

static ssize_t read_file(const char *path, uint8_t *to, size_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (file < 0)
		return -1;
	length = read_all(file, to, size);
	close(file);
	return length;
}

ssize_t blob_read(const char *path, uint8_t *to, size_t size, char *why, size_t why_size)
{
	bool source = is_source(path);
	ssize_t length = source ? compile(path, to, size) : read_file(path, to, size);

	if (length < 0 && source)
		snprintf(why, why_size, "dtc %s%s", errno ? "cannot be run: " : "refuses it",
			 errno ? strerror(errno) : "");
	else if (length < 0)
		snprintf(why, why_size, "%s", strerror(errno));
	return length;
}
