/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands for people: "monitor" in GDB, "process plugin packet monitor" in LLDB. Where tools read the answers of
 * another stub, names and forms are that one's: QEMU, "info registers", "info mem", "info tlb", "info version".
 */
#include "core/control/monitor.h"

#include <stdarg.h>
#include <string.h>

#include <undercroft/log.h>
#include <undercroft/region.h>
#include <undercroft/vcpu.h>
#include <undercroft/version.h>

#include "core/control/msr.h"
#include "core/control/regs.h"
#include "core/control/regs_check.h"

/* --- output --- */

static void flush(struct monitor *m)
{
	if (!m->used)
		return;
	rsp_begin(&m->server->rsp);
	rsp_char(&m->server->rsp, 'O');
	rsp_hex(&m->server->rsp, m->text, m->used);
	rsp_end(&m->server->rsp);
	m->used = 0;
}

static void write_text(struct monitor *m, const char *text, size_t length)
{
	while (length) {
		size_t part = sizeof(m->text) - m->used;

		if (part > length)
			part = length;
		memcpy(m->text + m->used, text, part);
		m->used += part;
		text += part;
		length -= part;
		if (m->used == sizeof(m->text))
			flush(m);
	}
}

void monitor_say(struct monitor *m, const char *format, ...)
{
	char line[160];
	va_list args;
	size_t length;

	va_start(args, format);
	length = format_vstring(line, sizeof(line), format, args);
	va_end(args);
	write_text(m, line, length < sizeof(line) ? length : sizeof(line) - 1);
}

/* --- arguments --- */

static void skip_blanks(char **at)
{
	while (take_char(at, ' '))
		continue;
}

/* A hexadecimal number, with or without 0x, and the blanks behind it. */
static bool take_number(char **at, uint64_t *value)
{
	(void)take_word(at, "0x");
	if (!take_hex(at, value) || (**at && **at != ' '))
		return false;
	skip_blanks(at);
	return true;
}

/* --- commands --- */

static void say_segment(struct monitor *m, const char *name, enum seg seg)
{
	struct segment s;
	uint32_t flags;

	m->server->vcpu->backend->seg_get(m->server->vcpu, seg, &s);
	/* as the descriptor's second word has them */
	flags = (s.attributes & 0xffu) << 8 | (s.attributes & 0xf00u) << 12;
	monitor_say(m, "%s=%04x %016llx %08x %08x\n", name, s.selector, (unsigned long long)s.base, s.limit, flags);
}

static uint64_t reg(struct monitor *m, enum reg which)
{
	return debug_register_get(m->server->vcpu, which);
}

static void command_registers(struct monitor *m)
{
	static const char *const names[GPR_COUNT] = {"RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP",
						     "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};
	struct vcpu *vcpu = m->server->vcpu;
	uint64_t flags = vcpu->rflags, value;
	static const struct {
		uint8_t bit;
		char letter;
	} letters[] = {{10, 'D'}, {11, 'O'}, {7, 'S'}, {6, 'Z'}, {4, 'A'}, {2, 'P'}, {0, 'C'}};

	for (unsigned i = 0; i < GPR_COUNT; i++) {
		regs_get(vcpu, i, &value);
		monitor_say(m, "%s=%016llx%s", names[i], (unsigned long long)value, i % 4 == 3 ? "\n" : " ");
	}
	monitor_say(m, "RIP=%016llx RFL=%08x [", (unsigned long long)vcpu->rip, (unsigned)flags);
	for (unsigned i = 0; i < ARRAY_SIZE(letters); i++)
		monitor_say(m, "%c", flags >> letters[i].bit & 1 ? letters[i].letter : '-');
	monitor_say(m, "] CPL=%u II=%u A20=%u\n", (unsigned)reg(m, REG_CPL), (unsigned)reg(m, REG_INTERRUPT_SHADOW),
		    !vcpu->vm->a20_off);
	say_segment(m, "ES ", SEG_ES);
	say_segment(m, "CS ", SEG_CS);
	say_segment(m, "SS ", SEG_SS);
	say_segment(m, "DS ", SEG_DS);
	say_segment(m, "FS ", SEG_FS);
	say_segment(m, "GS ", SEG_GS);
	say_segment(m, "LDT", SEG_LDTR);
	say_segment(m, "TR ", SEG_TR);
	monitor_say(m, "GDT=     %016llx %08x\n", (unsigned long long)reg(m, REG_GDTR_BASE),
		    (unsigned)reg(m, REG_GDTR_LIMIT));
	monitor_say(m, "IDT=     %016llx %08x\n", (unsigned long long)reg(m, REG_IDTR_BASE),
		    (unsigned)reg(m, REG_IDTR_LIMIT));
	monitor_say(m, "CR0=%08x CR2=%016llx CR3=%016llx CR4=%08x\n", (unsigned)reg(m, REG_CR0),
		    (unsigned long long)reg(m, REG_CR2), (unsigned long long)reg(m, REG_CR3),
		    (unsigned)reg(m, REG_CR4));
	for (enum reg i = REG_DR0; i <= REG_DR3; i++)
		monitor_say(m, "DR%u=%016llx%s", i - REG_DR0, (unsigned long long)reg(m, i), i == REG_DR3 ? "\n" : " ");
	monitor_say(m, "DR6=%016llx DR7=%016llx\nEFER=%016llx\n", (unsigned long long)reg(m, REG_DR6),
		    (unsigned long long)reg(m, REG_DR7), (unsigned long long)reg(m, REG_EFER));
}

static void command_version(struct monitor *m)
{
	monitor_say(m, "Undercroft " UNDERCROFT_VERSION "\n");
}

static void command_stats(struct monitor *m)
{
	const struct exit_statistics *statistics = &m->server->vcpu->statistics;

	for (unsigned i = 0; i < statistics->count; i++)
		monitor_say(m, "%-16s %llu\n", statistics->counter[i].name,
			    (unsigned long long)statistics->counter[i].count);
	monitor_say(m, "%-16s %u\n", "line_overruns", m->server->rsp.link->frontend->overruns);
}

static void command_log(struct monitor *m)
{
	const struct log *log = m->server->vcpu->vm->log;
	uint64_t kept = log->written < log->ring_size ? log->written : log->ring_size;
	size_t start, first;

	if (!log->ring)
		return;
	start = (size_t)((log->written - kept) % log->ring_size);
	first = kept < log->ring_size - start ? (size_t)kept : log->ring_size - start;
	write_text(m, log->ring + start, first);
	write_text(m, log->ring, (size_t)kept - first);
}

static void command_space(struct monitor *m)
{
	struct server *server = m->server;
	struct debug_space space;
	bool device;

	if (*m->arguments) {
		if (!take_space(&m->arguments, &space)) {
			monitor_say(m, "as [current|phys|cr3=NUMBER] [mmio]\n");
			return;
		}
		skip_blanks(&m->arguments);
		device = take_word(&m->arguments, "mmio");
		server->space = space;
		server->device = device;
	}
	if (server->space.kind == SPACE_CR3)
		monitor_say(m, "cr3=%llx", (unsigned long long)server->space.cr3);
	else
		monitor_say(m, server->space.kind == SPACE_PHYSICAL ? "phys" : "current");
	monitor_say(m, server->device ? " mmio\n" : "\n");
}

static void command_translate(struct monitor *m)
{
	struct mem_mapping to;
	uint64_t address;

	if (!take_number(&m->arguments, &address))
		monitor_say(m, "xlate ADDRESS\n");
	else if (debug_translate(m->server->vcpu, &m->server->space, address, &to))
		monitor_say(m, "not mapped\n");
	else
		monitor_say(m, "%llx, page of %llx, r%s%s%s\n", (unsigned long long)to.gpa,
			    (unsigned long long)to.page_size, to.writable ? "w" : "", to.executable ? "x" : "",
			    to.user ? "u" : "");
}

static void command_msr(struct monitor *m)
{
	struct vcpu *vcpu = m->server->vcpu;
	uint64_t index, value;
	bool good;

	if (!take_number(&m->arguments, &index) || index > UINT32_MAX) {
		monitor_say(m, "msr INDEX [VALUE]\n");
		return;
	}
	if (take_number(&m->arguments, &value))
		good = control_msr_write(vcpu, (uint32_t)index, value);
	else
		good = control_msr_read(vcpu, (uint32_t)index, &value);
	if (good)
		monitor_say(m, "%llx\n", (unsigned long long)value);
	else
		monitor_say(m, "#GP\n");
}

/* "PORT [b|w|l]" */
static bool take_port(struct monitor *m, uint16_t *port, unsigned *size)
{
	uint64_t number;

	if (!take_number(&m->arguments, &number) || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	*size = take_char(&m->arguments, 'l') ? 4 : take_char(&m->arguments, 'w') ? 2 : 1;
	(void)take_char(&m->arguments, 'b');
	skip_blanks(&m->arguments);
	return true;
}

static void command_in(struct monitor *m)
{
	unsigned size;
	uint16_t port;

	if (take_port(m, &port, &size))
		monitor_say(m, "%llx\n", (unsigned long long)region_port_read(m->server->vcpu, port, size));
	else
		monitor_say(m, "in PORT [b|w|l]\n");
}

static void command_out(struct monitor *m)
{
	uint64_t value;
	unsigned size;
	uint16_t port;

	if (take_port(m, &port, &size) && take_number(&m->arguments, &value))
		region_port_write(m->server->vcpu, port, size, value & (0xffffffffu >> (32 - size * 8)));
	else
		monitor_say(m, "out PORT [b|w|l] VALUE\n");
}

static void command_help(struct monitor *m);

static const struct {
	const char *name, *help;
	void (*run)(struct monitor *m);
} commands[] = {
	{"help", "this", command_help},
	{"info registers", "all registers", command_registers},
	{"info mem", "ranges that the page tables map", monitor_mem},
	{"info tlb", "pages that the page tables map", monitor_tlb},
	{"info version", "what this is", command_version},
	{"version", "the same", command_version},
	{"stats", "exits, by kind, and overruns of the line", command_stats},
	{"log", "the hypervisor's log", command_log},
	{"as", "[current|phys|cr3=NUMBER] [mmio]: which addresses are meant; mmio: device memory, too", command_space},
	{"xlate", "ADDRESS: where it leads", command_translate},
	{"msr", "INDEX [VALUE]: reads or writes an MSR", command_msr},
	{"in", "PORT [b|w|l]: reads a port", command_in},
	{"out", "PORT [b|w|l] VALUE: writes a port", command_out},
};

static void command_help(struct monitor *m)
{
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		monitor_say(m, "%-16s%s\n", commands[i].name, commands[i].help);
	monitor_say(m, "Numbers are hexadecimal.\n");
}

void monitor_run(struct server *server, char *line)
{
	struct monitor m = {.server = server};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		m.arguments = line;
		if (take_word(&m.arguments, commands[i].name) && (!*m.arguments || *m.arguments == ' '))
			break;
	}
	if (i < ARRAY_SIZE(commands)) {
		skip_blanks(&m.arguments);
		commands[i].run(&m);
	} else {
		monitor_say(&m, "unknown command; try help\n");
	}
	flush(&m);
	reply_ok(server);
}
