/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of a client, by their names.
 */
#include "client/libcroft/proxy_request.h"

#include <string.h>

#include <undercroft/log.h>
#include <undercroft/types.h>

#include "client/libcroft/packet.h"
#include "core/control/layout.h"

#define FEATURE_MAX 128u

static bool begins(const char *content, const char *name)
{
	return strncmp(content, name, strlen(name)) == 0;
}

static bool take_word(const char **at, const char *word)
{
	if (!begins(*at, word))
		return false;
	*at += strlen(word);
	return true;
}

/* --- packets with arguments --- */

bool request_take_space(const char *text, struct croft_space *space)
{
	const char *at = text;

	if (take_word(&at, "current"))
		*space = croft_current();
	else if (take_word(&at, "phys"))
		*space = croft_physical();
	else if (take_word(&at, "cr3=") && hex_take(&at, &space->cr3))
		*space = croft_cr3(space->cr3);
	else
		return false;
	space->device = take_word(&at, ";mmio");
	return !*at;
}

/* "ADDRESS,LENGTH" */
static bool take_range(const char **at, struct request *r)
{
	return hex_take(at, &r->address) && *(*at)++ == ',' && hex_take(at, &r->length);
}

static void parse_read(const char *content, const char *end, struct request *r)
{
	const char *at = content + 1;

	r->keeps_memory = true;
	r->is_binary = *content == 'x';
	/* there is no range that goes round */
	if (take_range(&at, r) && at == end && r->length && r->address + r->length - 1 >= r->address)
		r->kind = REQUEST_READ;
}

/* "ZTYPE,ADDRESS,KIND;..." */
static void parse_break(const char *content, const char *end, struct request *r)
{
	const char *at = content + 1;
	uint64_t type;

	r->keeps_memory = true;
	r->inserts = *content == 'Z';
	if (hex_take(&at, &type) && type <= CROFT_WATCH_ACCESS && *at++ == ',' && take_range(&at, r) &&
	    (at == end || *at == ';')) {
		r->kind = REQUEST_BREAK;
		r->type = (unsigned)type;
	}
}

/* General, floating-point and vector registers: none of them says where an address leads. Undercroft's numbers. */
static void parse_register(const char *content, struct request *r)
{
	const char *at = content + 1;
	uint64_t number;

	r->keeps_memory = hex_take(&at, &number) && *at == '=' && number < LAYOUT_SEG;
}

static void parse_space(const char *text, struct request *r)
{
	if (request_take_space(text, &r->space))
		r->kind = REQUEST_SPACE;
}

/* QEMU's, which Undercroft knows, too. */
static void parse_physical(const char *text, struct request *r)
{
	if ((text[0] != '0' && text[0] != '1') || text[1])
		return;
	r->kind = REQUEST_SPACE;
	r->space = text[0] == '1' ? croft_physical() : croft_current();
}

/* --- packets by name --- */

static const struct {
	const char *name;
	enum request_kind kind;
	bool keeps_memory;
} names[] = {
	{"?", REQUEST_ASK, true},
	{"g", REQUEST_ASK, true},
	{"G", REQUEST_ASK, true},
	{"p", REQUEST_ASK, true},
	{"Hg", REQUEST_THREAD, true},
	{"H", REQUEST_ASK, true},
	{"T", REQUEST_ASK, true},
	{"vCont?", REQUEST_ASK, true},
	{"vCont;", REQUEST_GO, false},
	{"vKill", REQUEST_DETACH, false},
	{"c", REQUEST_GO, false},
	{"C", REQUEST_GO, false},
	{"s", REQUEST_GO, false},
	{"S", REQUEST_GO, false},
	{"bc", REQUEST_GO, false},
	{"bs", REQUEST_GO, false},
	{"D", REQUEST_DETACH, false},
	{"k", REQUEST_KILL, false},
	{"qSupported", REQUEST_SUPPORTED, true},
	{"QStartNoAckMode", REQUEST_NO_ACK, true},
	{"QNonStop", REQUEST_UNKNOWN, true},
	{"Qcroft.frame", REQUEST_UNKNOWN, true},
	{"qRcmd,", REQUEST_COMMAND, false},
	/* reading a port may change what devices do to memory */
	{"qcroft.port:", REQUEST_ASK, false},
	{"q", REQUEST_ASK, true},
};

void request_parse(const char *content, size_t length, struct request *r)
{
	const char *end = content + length, *at = content;

	memset(r, 0, sizeof(*r));
	switch (*content) {
	case 'm':
	case 'x':
		parse_read(content, end, r);
		return;
	case 'Z':
	case 'z':
		parse_break(content, end, r);
		return;
	case 'P':
		parse_register(content, r);
		return;
	default:
		break;
	}
	if (take_word(&at, "Qcroft.as:")) {
		parse_space(at, r);
		return;
	}
	if (take_word(&at, "Qqemu.PhyMemMode:")) {
		parse_physical(at, r);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (begins(content, names[i].name)) {
			r->kind = names[i].kind;
			r->keeps_memory = names[i].keeps_memory;
			return;
		}
	}
}

/* --- features --- */

/* The next of "WORD;WORD;..."; *at moves behind it. */
static size_t next_word(const char **at, const char *end, const char **word)
{
	const char *semicolon = *at < end ? memchr(*at, ';', (size_t)(end - *at)) : NULL,
		   *stop = semicolon ? semicolon : end;

	*word = *at;
	*at = semicolon ? semicolon + 1 : end;
	return (size_t)(stop - *word);
}

static bool is_word(const char *word, size_t length, const char *name)
{
	return length == strlen(name) && memcmp(word, name, length) == 0;
}

size_t request_offer(const char *content, char *text, size_t size, struct request_abilities *abilities)
{
	const char *at = strchr(content, ':'), *end = content + strlen(content), *word;
	size_t used = format_string(text, size, "qSupported:swbreak+;hwbreak+;vContSupported+");

	memset(abilities, 0, sizeof(*abilities));
	for (at = at ? at + 1 : end; at < end;) {
		size_t length = next_word(&at, end, &word);

		abilities->swbreak |= is_word(word, length, "swbreak+");
		abilities->hwbreak |= is_word(word, length, "hwbreak+");
		if (length <= FEATURE_MAX && begins(word, "xmlRegisters=") && used + length + 2 <= size)
			used += format_string(text + used, size - used, ";%.*s", (int)length, word);
	}
	return used;
}

size_t request_answer(char *text, size_t length)
{
	static const char *const dropped[] = {"QStartNoAckMode", "QNonStop", "multiprocess"};
	static const char ours[] = "QStartNoAckMode+";
	const char *at = text, *end = text + length, *word;
	size_t used = 0;

	while (at < end) {
		size_t count = next_word(&at, end, &word);
		bool drop = false;

		for (unsigned i = 0; i < ARRAY_SIZE(dropped); i++)
			drop |= count >= strlen(dropped[i]) && memcmp(word, dropped[i], strlen(dropped[i])) == 0;
		if (drop || !count)
			continue;
		memmove(text + used, word, count);
		used += count;
		/* never in front of what is still to be read: each word had one of its own, or was the last */
		text[used++] = ';';
	}
	memcpy(text + used, ours, sizeof(ours) - 1);
	return used + sizeof(ours) - 1;
}

_Static_assert(sizeof(";QStartNoAckMode+") <= REQUEST_ANSWER_MORE, "there is room for it");

size_t request_stop(char *text, size_t length, const struct request_abilities *abilities)
{
	const char *at = text + 3, *end = text + length, *word;
	size_t used = 3;

	if (length < 3 || text[0] != 'T')
		return length;
	while (at < end) {
		size_t count = next_word(&at, end, &word), with = (size_t)(at - word);

		if ((!abilities->swbreak && is_word(word, count, "swbreak:")) ||
		    (!abilities->hwbreak && is_word(word, count, "hwbreak:")))
			continue;
		memmove(text + used, word, with);
		used += with;
	}
	return used;
}
