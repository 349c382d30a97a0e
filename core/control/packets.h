/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the server's files share: the handlers of packets, the readers of their arguments, the common replies.
 */
#ifndef CORE_CONTROL_PACKETS_H
#define CORE_CONTROL_PACKETS_H

#include "core/control/server.h"

/*
 * One kind of packet. arguments is what follows the name, terminated; binary content goes on to the end of rsp.in.
 * A handler sends exactly one reply, or lets the guest go on and the stop is the reply.
 */
struct packet {
	const char *name;
	void (*handle)(struct server *server, char *arguments);
};

/* In the order in which they are compared: a name that begins like another comes before it. */
extern const struct packet packets_query[], packets_memory[], packets_run[], packets_croft[];

/* server.c */
void reply_ok(struct server *server);
void reply_text(struct server *server, const char *text);
/* "E" and an error number, for packets of GDB's. error is negative or 0: then it is "OK". */
void reply_error(struct server *server, int error);
/* "E.croft." and why, for packets of ours and for what people read. */
void reply_refuse(struct server *server, const char *why);
const char *error_words(int error);

/* A hexadecimal number of 1 to 16 digits; *at moves behind it. False: there is none, or it is too long. */
bool take_hex(char **at, uint64_t *value);
/* Moves *at past one character if it is there. */
bool take_char(char **at, char character);
/* Moves *at past a word if it is there. */
bool take_word(char **at, const char *word);
/* Pairs of digits to bytes, up to what is no digit. Returns how many bytes, or -1: half a byte, or more than max. */
int take_bytes(char **at, uint8_t *bytes, size_t max);
/* "current", "phys" or "cr3=" and a number. */
bool take_space(char **at, struct debug_space *space);

/* run.c */
void reply_stop(struct server *server);

/* monitor.c: a line typed by a person; sends the reply. */
void monitor_run(struct server *server, char *line);

#endif
