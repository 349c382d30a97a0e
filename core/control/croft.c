/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of our own: address spaces, translation, model-specific registers, ports.
 */
#include <undercroft/platform.h>
#include <undercroft/region.h>
#include <undercroft/vcpu.h>
#include <x86/msr.h>

#include "core/control/msr.h"
#include "core/control/packets.h"

static const char wrong[] = "the packet is not as docs/protocol.md has it";

/* Version 1 of the framed mode, which needs no acknowledgements. */
static void packet_frame(struct server *server, char *arguments)
{
	if (*arguments != '1' || arguments[1]) {
		reply_refuse(server, "there is no such version");
		return;
	}
	reply_ok(server);
	server->rsp.unacked = false;
	server->rsp.no_ack = true;
	bulk_reset(&server->bulk);
	link_frame(server->rsp.link);
}

/* What a client may rely on, as words. */
static void packet_caps(struct server *server, char *arguments)
{
	(void)arguments;
	reply_text(server, "version=1;frame;bulk;as;xlate;msr;port;stats;log;memory-map");
}

static void packet_space_get(struct server *server, char *arguments)
{
	struct rsp *rsp = &server->rsp;

	(void)arguments;
	rsp_begin(rsp);
	switch (server->space.kind) {
	case SPACE_PHYSICAL:
		rsp_text(rsp, "phys");
		break;
	case SPACE_CR3:
		rsp_printf(rsp, "cr3=%llx", (unsigned long long)server->space.cr3);
		break;
	case SPACE_CURRENT:
	default:
		rsp_text(rsp, "current");
		break;
	}
	if (server->device)
		rsp_text(rsp, ";mmio");
	rsp_end(rsp);
}

static void packet_space_set(struct server *server, char *at)
{
	struct debug_space space;
	bool device;

	if (!take_space(&at, &space)) {
		reply_refuse(server, wrong);
		return;
	}
	device = take_word(&at, ";mmio");
	if (*at) {
		reply_refuse(server, wrong);
		return;
	}
	server->space = space;
	server->device = device;
	reply_ok(server);
}

/* "SPACE,ADDRESS" */
static void packet_translate(struct server *server, char *at)
{
	struct debug_space space;
	struct mem_mapping to;
	uint64_t address;
	int error;

	if (!take_space(&at, &space) || !take_char(&at, ',') || !take_hex(&at, &address) || *at) {
		reply_refuse(server, wrong);
		return;
	}
	error = debug_translate(server->vcpu, &space, address, &to);
	if (error) {
		reply_refuse(server, error_words(error));
		return;
	}
	rsp_begin(&server->rsp);
	rsp_printf(&server->rsp, "%llx,%llx,r%s%s%s", (unsigned long long)to.gpa, (unsigned long long)to.page_size,
		   to.writable ? "w" : "", to.executable ? "x" : "", to.user ? "u" : "");
	rsp_end(&server->rsp);
}

/* "INDEX" */
static void packet_msr_get(struct server *server, char *at)
{
	uint64_t index, value;

	if (!take_hex(&at, &index) || *at || index > UINT32_MAX) {
		reply_refuse(server, wrong);
		return;
	}
	if (!control_msr_read(server->vcpu, (uint32_t)index, &value)) {
		reply_refuse(server, "RDMSR raises a general protection exception");
		return;
	}
	rsp_begin(&server->rsp);
	rsp_printf(&server->rsp, "%llx", (unsigned long long)value);
	rsp_end(&server->rsp);
}

/* "INDEX,VALUE" */
static void packet_msr_set(struct server *server, char *at)
{
	uint64_t index, value;

	if (!take_hex(&at, &index) || !take_char(&at, ',') || !take_hex(&at, &value) || *at || index > UINT32_MAX)
		reply_refuse(server, wrong);
	else if (!control_msr_write(server->vcpu, (uint32_t)index, value))
		reply_refuse(server, "WRMSR raises a general protection exception");
	else
		reply_ok(server);
}

/* "PORT,SIZE" */
static bool take_port(char **at, uint16_t *port, unsigned *size)
{
	uint64_t number, bytes;

	if (!take_hex(at, &number) || !take_char(at, ',') || !take_hex(at, &bytes) || number > UINT16_MAX ||
	    (bytes != 1 && bytes != 2 && bytes != 4))
		return false;
	*port = (uint16_t)number;
	*size = (unsigned)bytes;
	return true;
}

static void packet_port_get(struct server *server, char *at)
{
	unsigned size;
	uint16_t port;

	if (!take_port(&at, &port, &size) || *at) {
		reply_refuse(server, wrong);
		return;
	}
	rsp_begin(&server->rsp);
	rsp_printf(&server->rsp, "%llx", (unsigned long long)region_port_read(server->vcpu, port, size));
	rsp_end(&server->rsp);
}

/* "PORT,SIZE,VALUE" */
static void packet_port_set(struct server *server, char *at)
{
	unsigned size;
	uint16_t port;
	uint64_t value;

	if (!take_port(&at, &port, &size) || !take_char(&at, ',') || !take_hex(&at, &value) || *at ||
	    value >> (size * 8 - 1) > 1) {
		reply_refuse(server, wrong);
		return;
	}
	region_port_write(server->vcpu, port, size, value);
	reply_ok(server);
}

const struct packet packets_croft[] = {
	{"Qcroft.frame:", packet_frame},     {"qcroft.caps", packet_caps},
	{"qcroft.as", packet_space_get},     {"Qcroft.as:", packet_space_set},
	{"qcroft.xlate:", packet_translate}, {"qcroft.msr:", packet_msr_get},
	{"Qcroft.msr:", packet_msr_set},     {"qcroft.port:", packet_port_get},
	{"Qcroft.port:", packet_port_set},   {NULL, NULL},
};
