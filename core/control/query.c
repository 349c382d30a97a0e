/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions: what the server can do, what the machine is, and objects that are read in pieces.
 */
#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/log.h>
#include <undercroft/machine.h>
#include <undercroft/mode.h>
#include <undercroft/vcpu.h>
#include <x86/cr.h>

#include "core/control/packets.h"
#include "core/control/regs.h"
#include "core/control/regs_check.h"
#include "core/control/window.h"

/* Entries of page tables that one answer looks at, each with those above it. */
#define REGION_ENTRIES_MAX 1024u

/* --- objects --- */

static void object_features(struct server *server, struct window *w)
{
	(void)server;
	regs_describe(w);
}

static void describe_thread(struct server *server, char *text, size_t size)
{
	struct mode_state state = regs_mode(server->vcpu);

	format_string(text, size, "cr3=%llx %s cpl%u",
		      (unsigned long long)server->vcpu->backend->reg_get(server->vcpu, REG_CR3),
		      mode_name(mode_classify(&state)),
		      (unsigned)server->vcpu->backend->reg_get(server->vcpu, REG_CPL));
}

static void object_threads(struct server *server, struct window *w)
{
	char text[64];

	describe_thread(server, text, sizeof(text));
	window_printf(w, "<threads><thread id=\"1\" core=\"0\" name=\"cpu0\">%s</thread></threads>\n", text);
}

/* A range without what is hidden in it, as an element of GDB's memory map. */
static void put_memory(struct window *w, const struct vm *vm, const char *type, gpa_t start, gpa_t end)
{
	for (unsigned i = 0; i < vm->hidden_count; i++) {
		const struct hidden_range *hidden = &vm->hidden[i];

		if (hidden->start >= end || hidden->start + hidden->length <= start)
			continue;
		if (hidden->start > start)
			window_printf(w, "<memory type=\"%s\" start=\"0x%llx\" length=\"0x%llx\"/>\n", type,
				      (unsigned long long)start, (unsigned long long)(hidden->start - start));
		start = hidden->start + hidden->length;
	}
	if (start < end)
		window_printf(w, "<memory type=\"%s\" start=\"0x%llx\" length=\"0x%llx\"/>\n", type,
			      (unsigned long long)start, (unsigned long long)(end - start));
}

/* Guest-physical memory, the firmware's ROM included. */
static void object_memory_map(struct server *server, struct window *w)
{
	const struct vm *vm = server->vcpu->vm;
	const struct memory_map *map = &vm->machine->memory;

	window_printf(w, "<memory-map>\n");
	for (uint32_t i = 0; i < map->count; i++) {
		const struct memory_range *r = &map->range[i];

		if (r->type == MEMORY_USABLE || r->type == MEMORY_ACPI_RECLAIM || r->type == MEMORY_ACPI_NVS)
			put_memory(w, vm, "ram", r->base, r->base + r->length);
	}
	put_memory(w, vm, "rom", 0xc0000, 0x100000);
	put_memory(w, vm, "rom", 0xffff0000, 0x100000000);
	window_printf(w, "</memory-map>\n");
}

/* Lines of NAME=COUNT: exits, and how often the link's device lost bytes. */
static void object_stats(struct server *server, struct window *w)
{
	const struct exit_statistics *statistics = &server->vcpu->statistics;

	window_printf(w, "version=%u\n", EXIT_STATISTICS_VERSION);
	for (unsigned i = 0; i < statistics->count; i++)
		window_printf(w, "%.*s=%llu\n", (int)sizeof(statistics->counter[i].name), statistics->counter[i].name,
			      (unsigned long long)statistics->counter[i].count);
	window_printf(w, "line_overruns=%u\n", server->rsp.link->frontend->overruns);
}

static void object_log(struct server *server, struct window *w)
{
	const struct log *log = server->vcpu->vm->log;
	uint64_t kept = log->written < log->ring_size ? log->written : log->ring_size;
	size_t start, first;

	if (!log->ring)
		return;
	start = (size_t)((log->written - kept) % log->ring_size);
	first = kept < log->ring_size - start ? (size_t)kept : log->ring_size - start;
	window_put(w, log->ring + start, first);
	window_put(w, log->ring, (size_t)kept - first);
}

static const struct {
	const char *name, *annex;
	void (*make)(struct server *server, struct window *w);
	bool physical; /* there is one only while addresses are guest-physical */
} objects[] = {
	{"features", "target.xml", object_features, false}, {"threads", "", object_threads, false},
	{"memory-map", "", object_memory_map, true},	    {"croft.memory-map", "", object_memory_map, false},
	{"croft.stats", "", object_stats, false},	    {"croft.log", "", object_log, false},
};

static bool object_exists(const struct server *server, unsigned i)
{
	return !objects[i].physical || server->space.kind == SPACE_PHYSICAL;
}

/* "OBJECT:read:ANNEX:OFFSET,LENGTH" */
static void packet_xfer(struct server *server, char *at)
{
	struct window w = {.buffer = (char *)server->data};
	uint64_t length;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		char *rest = at;

		if (object_exists(server, i) && take_word(&rest, objects[i].name) && take_word(&rest, ":read:")) {
			at = rest;
			break;
		}
	}
	if (i == ARRAY_SIZE(objects)) {
		reply_text(server, "");
		return;
	}
	/* "E00": the request was malformed or there is no such annex */
	if (!take_word(&at, objects[i].annex) || !take_char(&at, ':') || !take_hex(&at, &w.offset) ||
	    !take_char(&at, ',') || !take_hex(&at, &length) || *at) {
		reply_text(server, "E00");
		return;
	}
	/* escaped, each byte may need two characters */
	w.length = length < SERVER_DATA_MAX - 1 ? (size_t)length : SERVER_DATA_MAX - 1;
	objects[i].make(server, &w);
	rsp_begin(&server->rsp);
	rsp_char(&server->rsp, w.more ? 'm' : 'l');
	rsp_binary(&server->rsp, w.buffer, w.used);
	rsp_end(&server->rsp);
}

/* --- what both sides can do --- */

/* Is a word in a list ":WORD;WORD..."? */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (; *list; list++) {
		if ((*list == ':' || *list == ';') && strncmp(list + 1, word, length) == 0 &&
		    (!list[length + 1] || list[length + 1] == ';'))
			return true;
	}
	return false;
}

static void packet_supported(struct server *server, char *arguments)
{
	struct rsp *rsp = &server->rsp;

	server->says_swbreak = has_word(arguments, "swbreak+");
	server->says_hwbreak = has_word(arguments, "hwbreak+");
	rsp_begin(rsp);
	rsp_printf(rsp, "PacketSize=%x;vContSupported+;swbreak+;hwbreak+;ConditionalBreakpoints+;BreakpointCommands+",
		   RSP_PACKET_MAX);
	if (link_is_reliable(rsp->link))
		rsp_text(rsp, ";QStartNoAckMode+");
	for (unsigned i = 0; i < ARRAY_SIZE(objects); i++) {
		if (object_exists(server, i))
			rsp_printf(rsp, ";qXfer:%s:read+", objects[i].name);
	}
	rsp_end(rsp);
}

static void packet_no_ack(struct server *server, char *arguments)
{
	(void)arguments;
	if (!link_is_reliable(server->rsp.link)) {
		reply_text(server, "");
		return;
	}
	/* this reply is still acknowledged */
	reply_ok(server);
	server->rsp.no_ack = true;
}

/* --- threads --- */

static void packet_threads(struct server *server, char *arguments)
{
	(void)arguments;
	reply_text(server, "m1");
}

static void packet_threads_end(struct server *server, char *arguments)
{
	(void)arguments;
	reply_text(server, "l");
}

static void packet_current_thread(struct server *server, char *arguments)
{
	/* "qC" alone: other questions begin like it */
	reply_text(server, *arguments ? "" : "QC1");
}

static void packet_thread_info(struct server *server, char *arguments)
{
	char text[64];

	(void)arguments;
	describe_thread(server, text, sizeof(text));
	rsp_begin(&server->rsp);
	rsp_hex(&server->rsp, text, strlen(text));
	rsp_end(&server->rsp);
}

/* --- the machine --- */

/* It was there before: a client that ends detaches. */
static void packet_attached(struct server *server, char *arguments)
{
	(void)arguments;
	reply_text(server, "1");
}

static void put_triple(struct rsp *rsp)
{
	static const char triple[] = "x86_64-unknown-unknown";

	rsp_text(rsp, "triple:");
	rsp_hex(rsp, triple, sizeof(triple) - 1);
	rsp_text(rsp, ";ptrsize:8;endian:little;");
}

static void packet_host(struct server *server, char *arguments)
{
	(void)arguments;
	rsp_begin(&server->rsp);
	put_triple(&server->rsp);
	rsp_text(&server->rsp, "vendor:unknown;ostype:unknown;watchpoint_exceptions_received:after;");
	rsp_end(&server->rsp);
}

static void packet_process(struct server *server, char *arguments)
{
	(void)arguments;
	rsp_begin(&server->rsp);
	rsp_text(&server->rsp, "pid:1;");
	put_triple(&server->rsp);
	rsp_text(&server->rsp, "ostype:unknown;");
	rsp_end(&server->rsp);
}

/* Rights that hold from one address to another. */
struct region_rights {
	uint64_t last;
	bool mapped, writable, executable;
};

/* As far as one entry of the page tables, or one limit, says. */
static struct region_rights rights_at(struct server *server, uint64_t address)
{
	struct mode_state state = regs_mode(server->vcpu);
	bool physical = server->space.kind == SPACE_PHYSICAL, linear64 = !physical && state.efer & EFER_LMA;
	uint64_t limit = physical ? server->vcpu->vm->physical_limit : 1ull << 32;
	struct mem_mapping mapping;
	bool mapped;

	if (!linear64 && address >= limit)
		return (struct region_rights){.last = UINT64_MAX};
	if (physical || mode_paging(&state) == PAGING_NONE)
		return (struct region_rights){limit - 1, true, true, true};
	mapped = !debug_translate(server->vcpu, &server->space, address, &mapping);
	return (struct region_rights){
		.last = address | (mapping.page_size - 1),
		.mapped = mapped,
		.writable = mapped && mapping.writable,
		.executable = mapped && mapping.executable,
	};
}

/*
 * "qMemoryRegionInfo:ADDRESS": from its page to where the rights change, or to where we have looked enough: the next
 * question goes on there. LLDB looks for room from address 0, so each page alone would be a question too many.
 */
static void packet_region(struct server *server, char *arguments)
{
	struct rsp *rsp = &server->rsp;
	struct region_rights all, next;
	uint64_t address;

	if (!take_hex(&arguments, &address) || *arguments) {
		reply_error(server, -EINVAL);
		return;
	}
	address &= PAGE_MASK;
	all = rights_at(server, address);
	for (unsigned i = 0; i < REGION_ENTRIES_MAX && all.last != UINT64_MAX; i++) {
		next = rights_at(server, all.last + 1);
		if (next.mapped != all.mapped || next.writable != all.writable || next.executable != all.executable)
			break;
		all.last = next.last;
	}
	rsp_begin(rsp);
	/* an end of 2^64 would be 0; LLDB takes the last address for the end of all */
	rsp_printf(rsp, "start:%llx;size:%llx;", (unsigned long long)address,
		   (unsigned long long)(all.last - address + (all.last != UINT64_MAX)));
	if (all.mapped)
		rsp_printf(rsp, "permissions:r%s%s;", all.writable ? "w" : "", all.executable ? "x" : "");
	rsp_end(rsp);
}

/* --- what tools for another stub ask for --- */

static void packet_physical_get(struct server *server, char *arguments)
{
	(void)arguments;
	reply_text(server, server->space.kind == SPACE_PHYSICAL ? "1" : "0");
}

static void packet_physical_set(struct server *server, char *arguments)
{
	uint64_t on;

	if (!take_hex(&arguments, &on) || *arguments || on > 1) {
		reply_error(server, -EINVAL);
		return;
	}
	server->space = (struct debug_space){.kind = on ? SPACE_PHYSICAL : SPACE_CURRENT};
	reply_ok(server);
}

/* What pwndbg takes a stub with QEMU's monitor commands for one by: bits of its stepping, of which one is here. */
static void packet_step_bits(struct server *server, char *arguments)
{
	(void)arguments;
	reply_text(server, "ENABLE=1");
}

/* "qRcmd,LINE" */
static void packet_command(struct server *server, char *arguments)
{
	int length = take_bytes(&arguments, server->data, SERVER_DATA_MAX - 1);

	if (length < 0 || *arguments) {
		reply_error(server, -EINVAL);
		return;
	}
	server->data[length] = 0;
	monitor_run(server, (char *)server->data);
}

static void packet_symbol(struct server *server, char *arguments)
{
	(void)arguments;
	reply_ok(server); /* none is wanted */
}

const struct packet packets_query[] = {
	{"qSupported", packet_supported},
	{"QStartNoAckMode", packet_no_ack},
	{"qXfer:", packet_xfer},
	{"qfThreadInfo", packet_threads},
	{"qsThreadInfo", packet_threads_end},
	{"qThreadExtraInfo,", packet_thread_info},
	{"qC", packet_current_thread},
	{"qAttached", packet_attached},
	{"qHostInfo", packet_host},
	{"qProcessInfo", packet_process},
	{"qMemoryRegionInfo:", packet_region},
	{"qRcmd,", packet_command},
	{"qSymbol:", packet_symbol},
	{"qqemu.PhyMemMode", packet_physical_get},
	{"Qqemu.PhyMemMode:", packet_physical_set},
	{"qqemu.sstepbits", packet_step_bits},
	{"Qqemu.sstepbits", packet_step_bits},
	{NULL, NULL},
};
