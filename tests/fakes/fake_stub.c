/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stub in a thread.
 */
#include "tests/fakes/fake_stub.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS	    5
#define LOOK_MAX_US 10000u
#define RETRY_US    100000u

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A fast clock stands while we get no CPU: then the client may have got none either, and is not silent. */
static uint64_t clock_us(struct fake_stub *stub)
{
	uint64_t now = now_us(), passed = now - stub->looked_us;

	if (!stub->fast)
		return now;
	stub->looked_us = now;
	stub->fast_us += stub->fast * (passed < LOOK_MAX_US ? passed : LOOK_MAX_US);
	return stub->fast_us;
}

/* Bytes to the client; a client that has gone does not matter. */
static void put(struct fake_stub *stub, const void *data, size_t length)
{
	const char *bytes = data;

	while (length) {
		ssize_t count = write(stub->fd, bytes, length);

		if (count <= 0)
			return;
		bytes += count;
		length -= (size_t)count;
	}
}

/* What a channel takes of a text. */
static void feed(struct fake_stub *stub, unsigned channel, const char **left)
{
	if (*left)
		*left += frame_write(&stub->frame, channel, *left, strlen(*left));
}

/* Frames that are due. */
static void pump(struct fake_stub *stub)
{
	const uint8_t *bytes;
	size_t length;

	if (!stub->in_frames)
		return;
	feed(stub, 1, &stub->log);
	feed(stub, 2, &stub->bulk_left);
	while ((length = frame_output(&stub->frame, &bytes, clock_us(stub))) != 0) {
		put(stub, bytes, length);
		frame_sent(&stub->frame, length, clock_us(stub));
	}
	if (frame_is_over(&stub->frame))
		stub->was_alone = true;
}

static void say(struct fake_stub *stub, const void *bytes, size_t length)
{
	const char *at = bytes;

	if (!stub->in_frames) {
		put(stub, bytes, length);
		return;
	}
	while (length && !stub->over) {
		size_t count = frame_write(&stub->frame, 0, at, length);

		at += count;
		length -= count;
		pump(stub);
		if (length) {
			struct pollfd wait = {.fd = stub->fd, .events = POLLIN};
			uint8_t room[4096];
			ssize_t got;

			poll(&wait, 1, LOOK_MS);
			got = wait.revents ? read(stub->fd, room, sizeof(room)) : 0;
			if (wait.revents && got <= 0)
				return;
			if (got > 0)
				frame_receive(&stub->frame, room, (size_t)got, clock_us(stub));
		}
	}
}

static void say_packet(struct fake_stub *stub, const char *content, size_t length)
{
	if (stub->delay_ms) {
		struct timespec time = {.tv_nsec = stub->delay_ms * 1000000l};

		nanosleep(&time, NULL);
	}
	if (stub->noise)
		say(stub, stub->noise, strlen(stub->noise));
	stub->reply_length = packet_make((uint8_t *)stub->reply, content, length);
	if (stub->damage) {
		char damaged[sizeof(stub->reply)];

		stub->damage--;
		memcpy(damaged, stub->reply, stub->reply_length);
		damaged[stub->reply_length - 1] ^= 1;
		say(stub, damaged, stub->reply_length);
		return;
	}
	say(stub, stub->reply, stub->reply_length);
}

static void stop(struct fake_stub *stub, const char *reply)
{
	if (!reply)
		return;
	if (stub->output)
		say_packet(stub, stub->output, strlen(stub->output));
	stub->running = false;
	say_packet(stub, reply, strlen(reply));
}

static bool lets_go(const char *question)
{
	return question[0] == 'c' || question[0] == 's' || strncmp(question, "vCont;", 6) == 0;
}

static const struct fake_line *find_line(const struct fake_stub *stub, const char *question)
{
	for (const struct fake_line *line = stub->script; line && line->question; line++) {
		size_t length = strlen(line->question);

		if (length && line->question[length - 1] == '*' ? strncmp(line->question, question, length - 1) == 0
								: strcmp(line->question, question) == 0)
			return line;
	}
	return NULL;
}

static void keep(struct fake_stub *stub, const char *question, size_t length)
{
	if (stub->said_length + length + 2 > sizeof(stub->said))
		return;
	memcpy(stub->said + stub->said_length, question, length);
	stub->said_length += length;
	stub->said[stub->said_length++] = '|';
	stub->said[stub->said_length] = 0;
}

static void begin_frames(struct fake_stub *stub)
{
	put(stub, "+$OK#9a", 7);
	frame_init(&stub->frame, RETRY_US, clock_us(stub));
	stub->in_frames = true;
	stub->acks_off = true;
}

static void handle(struct fake_stub *stub)
{
	const char *question = stub->reader.content;
	const struct fake_line *line = find_line(stub, question);
	size_t length = 0;
	char *answer;

	if (stub->drop) {
		stub->drop--;
		return;
	}
	if (stub->held)
		return;
	keep(stub, question, stub->reader.length);
	if (++stub->questions == stub->deaf) {
		shutdown(stub->fd, SHUT_RDWR);
		return;
	}
	put(stub, stub->leftovers, stub->leftovers_length);
	stub->leftovers_length = 0;
	if (stub->framed && strcmp(question, "Qcroft.frame:1") == 0) {
		begin_frames(stub);
		return;
	}
	if (!stub->acks_off)
		put(stub, "+", 1);
	answer = malloc(FAKE_STUB_ANSWER_MAX);
	if (stub->answer && stub->answer(stub->data, question, stub->reader.length, answer, &length)) {
		say_packet(stub, answer, length);
		free(answer);
		if (stub->no_ack && strcmp(question, "QStartNoAckMode") == 0)
			stub->acks_off = true;
		return;
	}
	free(answer);
	if (lets_go(question) && !line) {
		stub->running = true;
		if (stub->gives_up)
			put(stub, frame_bye, sizeof(frame_bye));
		stop(stub, stub->stop);
		return;
	}
	if (stub->bulk && strcmp(question, "qbulk") == 0)
		stub->bulk_left = stub->bulk;
	if (!line)
		say_packet(stub, "", 0);
	else if (line->answer)
		say_packet(stub, line->answer, strlen(line->answer));
	if (stub->no_ack && strcmp(question, "QStartNoAckMode") == 0)
		stub->acks_off = true;
}

static void take(struct fake_stub *stub, uint8_t byte)
{
	if (byte == PACKET_INTERRUPT && !packet_is_begun(&stub->reader)) {
		stub->interrupts++;
		if (stub->running)
			stop(stub, stub->interrupted);
		if (stub->held) {
			stub->held = false;
			handle(stub);
		}
		return;
	}
	switch (packet_take(&stub->reader, byte)) {
	case PACKET_WHOLE:
		handle(stub);
		break;
	case PACKET_ACK:
		stub->acks++;
		break;
	case PACKET_NACK:
		stub->nacks++;
		say(stub, stub->reply, stub->reply_length);
		break;
	case PACKET_DAMAGED:
		put(stub, "-", 1);
		break;
	case PACKET_NOTHING:
	case PACKET_NO_ROOM:
	case PACKET_NOISE:
		break;
	}
}

static void take_in(struct fake_stub *stub, const uint8_t *bytes, size_t length)
{
	uint8_t byte;

	for (size_t i = 0; i < length; i++) {
		if (!stub->in_frames) {
			take(stub, bytes[i]);
			continue;
		}
		frame_receive(&stub->frame, &bytes[i], 1, clock_us(stub));
		while (stub->in_frames && frame_read(&stub->frame, 0, &byte, 1))
			take(stub, byte);
		if (stub->frame.over) {
			stub->byes++;
			stub->in_frames = stub->acks_off = stub->running = false;
			stub->frame.over = false;
		}
	}
}

static unsigned count_questions(const uint8_t *bytes, size_t length)
{
	unsigned count = 0;

	for (size_t i = 0; i < length; i++)
		count += bytes[i] == '#';
	return count;
}

/* What has come, with so many questions in it as it is late by. Returns 0 at the end. */
static size_t hear(struct fake_stub *stub, uint8_t *bytes, size_t size)
{
	size_t length = 0;

	do {
		ssize_t count = read(stub->fd, bytes + length, size - length);

		if (count <= 0)
			return 0;
		length += (size_t)count;
	} while (count_questions(bytes, length) < stub->late);
	stub->late = 0;
	return length;
}

static void *run(void *data)
{
	struct fake_stub *stub = data;
	uint8_t bytes[4096];

	while (!stub->over) {
		struct pollfd wait = {.fd = stub->fd, .events = POLLIN};
		size_t length;

		pump(stub);
		if (poll(&wait, 1, LOOK_MS) <= 0)
			continue;
		length = hear(stub, bytes, sizeof(bytes));
		if (!length)
			break;
		take_in(stub, bytes, length);
	}
	return NULL;
}

void fake_stub_serve(struct fake_stub *stub, int fd)
{
	signal(SIGPIPE, SIG_IGN);
	stub->fd = fd;
	packet_init(&stub->reader);
	if (pthread_create(&stub->thread, NULL, run, stub))
		abort();
}

void fake_stub_start(struct fake_stub *stub)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	snprintf(stub->target, sizeof(stub->target), "fd:%d", pair[1]);
	fake_stub_serve(stub, pair[0]);
}

void fake_stub_end(struct fake_stub *stub)
{
	stub->over = true;
	pthread_join(stub->thread, NULL);
	close(stub->fd);
	packet_free(&stub->reader);
}

unsigned fake_stub_count(const struct fake_stub *stub, const char *question)
{
	size_t length = strlen(question);
	unsigned count = 0;

	for (const char *at = stub->said; *at; at += *at == '|') {
		if (strncmp(at, question, length) == 0 && at[length] == '|')
			count++;
		at = strchr(at, '|');
		if (!at)
			break;
	}
	return count;
}
