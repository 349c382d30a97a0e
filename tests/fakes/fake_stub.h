/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other end of a client's wire: a stub that answers by a script, plain or in frames, and misbehaves as it is told.
 * It runs in a thread of its own. Must not know the client.
 */
#ifndef TESTS_FAKES_FAKE_STUB_H
#define TESTS_FAKES_FAKE_STUB_H

#include <pthread.h>
#include <stdatomic.h>

#include "client/libcroft/packet.h"
#include "core/control/frame.h"

#define FAKE_STUB_SAID_MAX   65536
#define FAKE_STUB_ANSWER_MAX 8192

/* One question and its answer. question: all of it, or what is before its last character if that is "*". */
struct fake_line {
	const char *question, *answer; /* NULL: silence */
};

struct fake_stub {
	/* to be set before fake_stub_start() */
	const struct fake_line *script; /* ends with a question that is NULL; what is not in it gets the empty answer */
	bool framed;			/* it knows frames */
	bool no_ack;			/* it offers to do without acknowledgements; plain */
	const char *stop;		/* what comes of letting it go; NULL: nothing until it is interrupted */
	const char *interrupted;	/* what comes of that; NULL: nothing */
	const char *output;		/* O packet before each stop */
	const char *log;		/* text for LOG; moves on as it is sent */
	const char *bulk;		/* bytes on BULK, after "qbulk" */
	const char *noise;		/* bytes that come before each answer */
	uint8_t leftovers[256];		/* bytes that come before anything else */
	size_t leftovers_length;
	unsigned damage;   /* so many answers are damaged first */
	unsigned drop;	   /* so many questions are not heard */
	unsigned deaf;	   /* hangs up at this question, counted from 1; 0: never */
	unsigned delay_ms; /* before each answer */
	unsigned late;	   /* answers nothing until so many questions have come; plain */
	bool held;	   /* answers the next question when it is interrupted */
	unsigned fast;	   /* framed: its clock is so many times as fast; 0: it is not */
	bool gives_up;	   /* framed: takes a client that lets it go for lost, and says so */
	/* more than the script: returns whether it has written an answer, or NULL */
	bool (*answer)(void *data, const char *question, size_t length, char *answer, size_t *answer_length);
	void *data;

	/* what happened; to be looked at after fake_stub_end() or while it waits */
	char said[FAKE_STUB_SAID_MAX]; /* questions, each with a bar behind it */
	atomic_uint questions, acks, nacks, interrupts, byes;
	atomic_bool was_alone; /* framed: has heard nothing for so long that the session was over */

	/* its own */
	int fd;
	char target[16];
	pthread_t thread;
	atomic_bool over;
	bool in_frames, running, acks_off;
	size_t said_length;
	uint64_t looked_us, fast_us;
	const char *bulk_left;
	struct packet_reader reader;
	char reply[2 * FAKE_STUB_ANSWER_MAX + 8];
	size_t reply_length;
	struct frame frame;
};

/* Starts it. stub->target then names it. */
void fake_stub_start(struct fake_stub *stub);

/* Starts it on a descriptor, which is then its own. */
void fake_stub_serve(struct fake_stub *stub, int fd);

/* Ends it, whether the client has hung up or not. */
void fake_stub_end(struct fake_stub *stub);

/* How often a question was heard. */
unsigned fake_stub_count(const struct fake_stub *stub, const char *question);

#endif
