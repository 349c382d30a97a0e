/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors as text.
 */
#include "client/croft/descriptor.h"

#include <stdio.h>
#include <string.h>

#define ATTRIBUTE_S   0x010u
#define ATTRIBUTE_P   0x080u
#define ATTRIBUTE_L   0x200u
#define ATTRIBUTE_DB  0x400u
#define ATTRIBUTE_G   0x800u
#define TYPE_CODE     0x8u
#define TYPE_EXPAND   0x4u /* data: expand-down; code: conforming */
#define TYPE_WRITABLE 0x2u /* code: readable */

/* APM vol. 2, "System Descriptors" (4.7.4), table 4-5 */
static const char *const system_types[16] = {
	"reserved 0",	  "tss16",	"ldt", "tss16 busy",  "call gate16", "task gate", "interrupt gate16",
	"trap gate16",	  "reserved 8", "tss", "reserved 10", "tss busy",    "call gate", "reserved 13",
	"interrupt gate", "trap gate"};

static const char *width(uint16_t attributes)
{
	if (attributes & TYPE_CODE && attributes & ATTRIBUTE_L)
		return "64-bit";
	return attributes & ATTRIBUTE_DB ? "32-bit" : "16-bit";
}

void descriptor_attributes_text(uint16_t attributes, char *text)
{
	unsigned type = attributes & 0xf, dpl = attributes >> 5 & 3;
	bool code = type & TYPE_CODE;

	if (!(attributes & ATTRIBUTE_P))
		snprintf(text, DESCRIPTOR_TEXT, "not present");
	else if (!(attributes & ATTRIBUTE_S))
		snprintf(text, DESCRIPTOR_TEXT, "%s dpl %u", system_types[type], dpl);
	else if (code)
		snprintf(text, DESCRIPTOR_TEXT, "code %c-x dpl %u %s%s", type & TYPE_WRITABLE ? 'r' : '-', dpl,
			 width(attributes), type & TYPE_EXPAND ? " conforming" : "");
	else
		snprintf(text, DESCRIPTOR_TEXT, "data r%c- dpl %u %s%s", type & TYPE_WRITABLE ? 'w' : '-', dpl,
			 width(attributes), type & TYPE_EXPAND ? " expand-down" : "");
}

static uint64_t number(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, bytes, size);
	return value;
}

struct descriptor descriptor_decode(const uint8_t *bytes, bool is_long)
{
	uint64_t low = number(bytes, 8);
	struct descriptor d = {.attributes = (uint16_t)((low >> 40 & 0xff) | (low >> 44 & 0xf00))};
	unsigned type = d.attributes & 0xf;

	d.is_gate = !(d.attributes & ATTRIBUTE_S) && (type >= 0xc || (type >= 4 && type <= 7));
	/* type 0 is none: it also keeps the null descriptor and upper halves apart */
	d.is_wide = is_long && !(d.attributes & ATTRIBUTE_S) && type;
	if (d.is_gate) {
		d.selector = (uint16_t)number(bytes + 2, 2);
		d.offset = number(bytes, 2) | number(bytes + 6, 2) << 16;
		d.ist = d.is_wide ? bytes[4] & 7 : 0;
		/* bits 8 to 11 are part of the offset there */
		d.attributes &= 0xff;
		if (type < 8)
			d.offset &= 0xffff;
		if (d.is_wide)
			d.offset |= number(bytes + 8, 4) << 32;
		return d;
	}
	d.base = (low >> 16 & 0xffffff) | (low >> 56) << 24;
	d.limit = (uint32_t)((low & 0xffff) | (low >> 32 & 0xf0000));
	if (d.attributes & ATTRIBUTE_G)
		d.limit = d.limit << 12 | 0xfff;
	if (d.is_wide)
		d.base |= number(bytes + 8, 4) << 32;
	return d;
}
