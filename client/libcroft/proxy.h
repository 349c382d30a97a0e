/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a proxy's files share, and what the library's other files tell a proxy.
 */
#ifndef LIBCROFT_PROXY_H
#define LIBCROFT_PROXY_H

#include "client/libcroft/proxy_cache.h"
#include "client/libcroft/proxy_request.h"
#include "client/libcroft/vm.h"

/* Answers of ours: docs/protocol.md, "Packets" */
#define ANSWER_RUNNING "E0b"
#define ANSWER_FAILED  "E05"
#define ANSWER_FULL    "E1c"

struct proxy_break {
	struct proxy_break *next;
	struct croft_break what;
	size_t length;
	char content[]; /* the packet that set it */
};

struct croft_proxy {
	struct croft_vm *vm;
	struct packet_reader reader;
	struct cache cache;
	uint64_t packets_sent; /* by the VM's wire, when we looked last: more are somebody else's */
	struct croft_space space;
	char thread[THREAD_MAX + 2]; /* "Hg" and its name, if it was said */
	struct request_abilities abilities;
	bool heard, begun, acks_off;
	bool waiting;		  /* it has let the VM go */
	bool over;		  /* it has detached, or is to be hung up on */
	struct croft_stop before; /* it let it go */
	char *stop;		  /* the last stop reply */
	size_t stop_length;
	struct proxy_break *breaks;
	unsigned break_count;
	uint8_t *out;
	size_t out_sent, out_length, out_room;
	size_t last_length; /* of the last packet, which is at the end of out, or was */
	uint8_t *last;
	struct croft_proxy_counters counters;
};

/* --- proxy.c: for the library's other files ------------------------------------------------------------------------
 */

/* Does the debugger get what is printed while the VM runs? It can only take it if it waits for the stop. */
bool proxy_wants_output(const struct croft_proxy *proxy);

/*
 * The VM has answered to whatever let it go; a stop reply is kept for the debugger. Returns false if it is none, but
 * the answer to a packet of the debugger's that was refused: *stop then is the one before it.
 */
bool proxy_take_stop(struct croft_proxy *proxy, const char *content, size_t length, struct croft_stop *stop);

/* The VM is gone. */
void proxy_free(struct croft_proxy *proxy);

/* --- proxy_output.c: to the debugger -------------------------------------------------------------------------------
 */

void proxy_put_bytes(struct croft_proxy *proxy, const void *bytes, size_t length);
void proxy_put_packet(struct croft_proxy *proxy, const void *content, size_t length);
void proxy_put_text(struct croft_proxy *proxy, const char *text);

/* The last packet again. */
void proxy_put_again(struct croft_proxy *proxy);

/* A croft_text_fn: an O packet. data: the proxy. */
void proxy_put_output(void *data, enum croft_stream stream, const char *text, size_t length);

/* What could not be asked is answered as such. Returns status. */
enum croft_status proxy_failed(struct croft_proxy *proxy, enum croft_status status);

/* --- proxy_ask.c: passing on ---------------------------------------------------------------------------------------
 */

/* The other end means what the debugger does: the program that has the VM may have meant something else. */
enum croft_status proxy_prepare(struct croft_proxy *proxy, struct croft_error *error);

/* Asks the other end, and hands its answer on, which still is in vm->answer. */
enum croft_status proxy_pass_on(struct croft_proxy *proxy, const char *content, size_t length,
				struct croft_error *error);

/* Anything of a VM that stands, but what lets it go on. */
enum croft_status proxy_ask(struct croft_proxy *proxy, const struct request *request, const char *content,
			    size_t length, struct croft_error *error);

/* --- proxy_break.c: breakpoints ------------------------------------------------------------------------------------
 */

enum croft_status proxy_set_break(struct croft_proxy *proxy, const struct request *request, const char *content,
				  size_t length, struct croft_error *error);

/* The library has removed a breakpoint. If the debugger has the same it is planted again, as the debugger's. */
enum croft_status proxy_replant(struct croft_proxy *proxy, const struct croft_break *what, struct croft_error *error);

/* Takes up all. A VM that runs is stopped for as long as it takes. */
enum croft_status proxy_take_up_breaks(struct croft_proxy *proxy, struct croft_error *error);

/* Forgets all. */
void proxy_drop_breaks(struct croft_proxy *proxy);

#endif
