/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that let the guest go on and stop, breakpoints, registers.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/mode.h>
#include <undercroft/vcpu.h>

#include "core/control/layout.h"
#include "core/control/packets.h"
#include "core/control/regs.h"
#include "core/control/regs_check.h"

/* "Debugging with GDB", "Standard Replies" (E.3): numbers of signals are GDB's */
#define SIGNAL_INT  2
#define SIGNAL_ILL  4
#define SIGNAL_TRAP 5

#define EXPRESSION_MAX 8 /* conditions and commands of one breakpoint, each */

/* --- stops --- */

static void put_register(struct server *server, unsigned number)
{
	uint8_t value[LAYOUT_BYTES_MAX];
	unsigned size = regs_get(server->vcpu, number, value);

	rsp_printf(&server->rsp, "%02x:", number);
	rsp_hex(&server->rsp, value, size);
	rsp_char(&server->rsp, ';');
}

/*
 * What a client wants to know at each stop, so that it need not ask. The low halves are for descriptions of 16- and
 * 32-bit code, which have a register of that size for each.
 */
static void put_expedited(struct server *server)
{
	static const uint16_t always[] = {LAYOUT_RBP, LAYOUT_RSP, LAYOUT_RIP},
			      legacy[] = {LAYOUT_EBP, LAYOUT_ESP, LAYOUT_EIP};
	struct mode_state state = regs_mode(server->vcpu);

	for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
		put_register(server, always[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(legacy) && mode_classify(&state) != MODE_LONG64; i++)
		put_register(server, legacy[i]);
}

/*
 * GDB looks for its breakpoint at $pc, and if it has none there it goes on without a word: so it is not told of one
 * whose linear address is another.
 */
static void put_reason(struct server *server, const struct stop *stop)
{
	bool at_pc = stop->address == server->vcpu->rip;
	struct rsp *rsp = &server->rsp;

	switch (stop->kind) {
	case STOP_BREAK:
		if (server->says_swbreak && at_pc)
			rsp_text(rsp, "swbreak:;");
		break;
	case STOP_BREAK_HARD:
		if (server->says_hwbreak && at_pc)
			rsp_text(rsp, "hwbreak:;");
		break;
	case STOP_WATCH:
		rsp_printf(rsp, "%s:%llx;",
			   stop->access == ACCESS_WRITE	 ? "watch"
			   : stop->access == ACCESS_READ ? "rwatch"
							 : "awatch",
			   (unsigned long long)stop->address);
		break;
	default:
		break;
	}
}

void reply_stop(struct server *server)
{
	const struct stop *stop = debug_stop(server->vcpu);
	struct rsp *rsp = &server->rsp;

	/* behind the reply it would be taken for that of the next command */
	if (stop->text && (stop->kind == STOP_CONDITION || stop->kind == STOP_REFUSED)) {
		rsp_begin(rsp);
		rsp_char(rsp, 'O');
		rsp_hex(rsp, stop->text, strlen(stop->text));
		rsp_hex(rsp, "\n", 1);
		rsp_end(rsp);
	}
	rsp_begin(rsp);
	rsp_printf(rsp, "T%02x",
		   stop->kind == STOP_REQUEST	? SIGNAL_INT
		   : stop->kind == STOP_REFUSED ? SIGNAL_ILL
						: SIGNAL_TRAP);
	put_reason(server, stop);
	rsp_text(rsp, "thread:1;");
	put_expedited(server);
	rsp_end(rsp);
}

static void packet_why(struct server *server, char *arguments)
{
	(void)arguments;
	reply_stop(server);
}

/* --- going on --- */

static void go(struct server *server)
{
	server->resumed = true;
	debug_resume(server->vcpu);
}

static void step(struct server *server, uint64_t start, uint64_t end)
{
	server->resumed = true;
	debug_step(server->vcpu, start, end);
}

/* "c", "s", and "C", "S" with a signal, which the guest has no use for; then perhaps an address to go on at. */
static void go_at(struct server *server, char *arguments, bool has_signal, bool steps)
{
	uint64_t value;

	if (has_signal) {
		if (!take_hex(&arguments, &value) || (*arguments && !take_char(&arguments, ';'))) {
			reply_error(server, -EINVAL);
			return;
		}
	}
	if (*arguments && (!take_hex(&arguments, &value) || *arguments || regs_change(server->vcpu, REG_RIP, value))) {
		reply_error(server, -EINVAL);
		return;
	}
	if (steps)
		step(server, 0, 0);
	else
		go(server);
}

static void packet_c(struct server *server, char *arguments)
{
	go_at(server, arguments, false, false);
}

static void packet_C(struct server *server, char *arguments)
{
	go_at(server, arguments, true, false);
}

static void packet_s(struct server *server, char *arguments)
{
	go_at(server, arguments, false, true);
}

static void packet_S(struct server *server, char *arguments)
{
	go_at(server, arguments, true, true);
}

/* There is one thread, 1; -1 is all of them, 0 any. */
static bool take_thread(char **at)
{
	uint64_t thread;

	if (take_char(at, '-'))
		return take_hex(at, &thread) && thread == 1;
	return take_hex(at, &thread) && thread <= 1;
}

/* "vCont;ACTION[:THREAD]...": the first action that means our thread. */
static void packet_vcont(struct server *server, char *at)
{
	while (take_char(&at, ';')) {
		uint64_t start = 0, end = 0, signal;
		char action = *at ? *at++ : 0;
		bool good = true, ours = true;

		if (action == 'r')
			good = take_hex(&at, &start) && take_char(&at, ',') && take_hex(&at, &end);
		else if (action == 'C' || action == 'S')
			good = take_hex(&at, &signal);
		else
			good = action == 'c' || action == 's';
		if (good && take_char(&at, ':'))
			ours = take_thread(&at);
		if (!good || (*at && *at != ';'))
			break;
		if (!ours)
			continue;
		if (action == 'c' || action == 'C')
			go(server);
		else
			step(server, start, end);
		return;
	}
	reply_error(server, -EINVAL);
}

static void packet_vcont_ask(struct server *server, char *arguments)
{
	(void)arguments;
	reply_text(server, "vCont;c;C;s;S;r");
}

/* --- leaving --- */

static void packet_detach(struct server *server, char *arguments)
{
	(void)arguments;
	reply_ok(server);
	link_flush(server->rsp.link);
	server_release(server);
}

/* The target is a machine: nobody kills it by closing a debugger. */
static void packet_kill(struct server *server, char *arguments)
{
	(void)arguments;
	server_release(server);
}

/* --- breakpoints --- */

/* "XLENGTH,BYTES", any number of them in a row. Returns how many, or -1. */
static int take_expressions(char **at, uint8_t **room, const uint8_t *end, struct break_code *out)
{
	unsigned count = 0;

	while (take_char(at, 'X')) {
		uint64_t length;
		int bytes;

		if (count == EXPRESSION_MAX || !take_hex(at, &length) || !take_char(at, ','))
			return -1;
		bytes = take_bytes(at, *room, (size_t)(end - *room));
		if (bytes < 0 || (uint64_t)bytes != length)
			return -1;
		out[count++] = (struct break_code){.bytes = *room, .length = (size_t)bytes};
		*room += bytes;
	}
	return (int)count;
}

/* "TYPE,ADDRESS,KIND[;CONDITIONS][;cmds:PERSIST,COMMANDS]" */
static void breakpoint(struct server *server, char *at, bool insert)
{
	struct break_code condition[EXPRESSION_MAX], command[EXPRESSION_MAX];
	struct break_request request = {.condition = condition, .command = command};
	uint8_t *room = server->data;
	const uint8_t *end = server->data + SERVER_DATA_MAX;
	int conditions = 0, commands = 0;
	uint64_t kind, persist;

	if (!take_hex(&at, &kind) || !take_char(&at, ',') || !take_hex(&at, &request.address) || !take_char(&at, ',') ||
	    !take_hex(&at, &request.length)) {
		reply_error(server, -EINVAL);
		return;
	}
	if (kind > WATCH_ACCESS || server->space.kind == SPACE_PHYSICAL) {
		reply_text(server, ""); /* there is no such breakpoint */
		return;
	}
	request.kind = (enum break_kind)kind;
	request.bound = server->space.kind == SPACE_CR3;
	request.cr3 = server->space.cr3;
	if (insert && at[0] == ';' && at[1] == 'X') {
		at++;
		conditions = take_expressions(&at, &room, end, condition);
	}
	if (insert && take_word(&at, ";cmds:")) {
		commands = -1;
		if (take_hex(&at, &persist) && take_char(&at, ','))
			commands = take_expressions(&at, &room, end, command);
	}
	if (conditions < 0 || commands < 0 || (insert && *at)) {
		reply_error(server, -EINVAL);
		return;
	}
	request.condition_count = (unsigned)conditions;
	request.command_count = (unsigned)commands;
	reply_error(server,
		    insert ? debug_break_add(server->vcpu, &request) : debug_break_remove(server->vcpu, &request));
}

static void packet_Z(struct server *server, char *arguments)
{
	breakpoint(server, arguments, true);
}

static void packet_z(struct server *server, char *arguments)
{
	breakpoint(server, arguments, false);
}

/* --- registers --- */

/* Short on purpose: what it does not carry, clients ask for by p as they need it. */
static void packet_g(struct server *server, char *arguments)
{
	uint8_t value[LAYOUT_BYTES_MAX];

	(void)arguments;
	rsp_begin(&server->rsp);
	for (unsigned number = 0; number < LAYOUT_G; number++)
		rsp_hex(&server->rsp, value, regs_get(server->vcpu, number, value));
	rsp_end(&server->rsp);
}

/* Whole or not at all, as far as that can be told beforehand. */
static void packet_G(struct server *server, char *arguments)
{
	int count = take_bytes(&arguments, server->data, SERVER_DATA_MAX), used = 0, error = 0;
	unsigned number;

	for (number = 0; number < LAYOUT_G && used < count; number++)
		used += (int)regs_size(number);
	if (count <= 0 || *arguments || used != count) {
		reply_error(server, -EINVAL);
		return;
	}
	used = 0;
	for (unsigned i = 0; i < number && !error; i++) {
		uint8_t present[LAYOUT_BYTES_MAX];
		unsigned size = regs_get(server->vcpu, i, present);

		if (memcmp(present, server->data + used, size) != 0)
			error = regs_set(server->vcpu, i, server->data + used, size);
		used += (int)size;
	}
	reply_error(server, error);
}

/* Some clients append ";thread:ID;" to what names one register. */
static bool ends_well(char *at)
{
	return !*at || strncmp(at, ";thread:", 8) == 0;
}

static void packet_p(struct server *server, char *arguments)
{
	uint8_t value[LAYOUT_BYTES_MAX];
	uint64_t number;
	unsigned size = 0;

	if (take_hex(&arguments, &number) && ends_well(arguments) && number <= UINT16_MAX)
		size = regs_get(server->vcpu, (unsigned)number, value);
	if (!size) {
		reply_error(server, -EINVAL);
		return;
	}
	rsp_begin(&server->rsp);
	rsp_hex(&server->rsp, value, size);
	rsp_end(&server->rsp);
}

static void packet_P(struct server *server, char *arguments)
{
	uint8_t value[LAYOUT_BYTES_MAX];
	uint64_t number;
	int size = -1;

	if (take_hex(&arguments, &number) && take_char(&arguments, '='))
		size = take_bytes(&arguments, value, sizeof(value));
	if (size <= 0 || !ends_well(arguments) || number > UINT16_MAX)
		reply_error(server, -EINVAL);
	else
		reply_error(server, regs_set(server->vcpu, (unsigned)number, value, (unsigned)size));
}

/* --- threads --- */

/* "H" with a letter, and "T": is this a thread of ours? */
static void packet_H(struct server *server, char *arguments)
{
	if (*arguments)
		arguments++;
	reply_error(server, take_thread(&arguments) && !*arguments ? 0 : -EINVAL);
}

static void packet_T(struct server *server, char *arguments)
{
	reply_error(server, take_thread(&arguments) && !*arguments ? 0 : -EINVAL);
}

const struct packet packets_run[] = {
	{"?", packet_why},
	{"vCont?", packet_vcont_ask},
	{"vCont", packet_vcont},
	{"vKill", packet_detach},
	{"c", packet_c},
	{"C", packet_C},
	{"s", packet_s},
	{"S", packet_S},
	{"D", packet_detach},
	{"k", packet_kill},
	{"Z", packet_Z},
	{"z", packet_z},
	{"g", packet_g},
	{"G", packet_G},
	{"p", packet_p},
	{"P", packet_P},
	{"H", packet_H},
	{"T", packet_T},
	{NULL, NULL},
};
