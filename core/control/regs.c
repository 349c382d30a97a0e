/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers by their number in the protocol: values, and the description.
 */
#include "core/control/regs.h"

#include <string.h>

#include <undercroft/debug.h>
#include <undercroft/errno.h>
#include <undercroft/log.h>
#include <undercroft/mode.h>
#include <undercroft/platform.h>
#include <undercroft/vcpu.h>

#include "core/control/fpu.h"
#include "core/control/layout.h"
#include "core/control/regs_check.h"
#include "core/control/window.h"

unsigned regs_size(unsigned number)
{
	struct layout_place place;

	return layout_find(number, &place) ? place.size : 0;
}

/* --- values --- */

/* 0: the CPU has none. */
static uint64_t xcr0_get(struct platform *platform)
{
	uint64_t value = 0;

	(void)platform->ops->xcr_read(platform, 0, &value);
	return value;
}

static uint64_t derived_get(struct vcpu *vcpu, enum layout_derived which)
{
	struct mode_state state;
	enum cpu_mode mode;
	struct segment s;

	if (which == DERIVED_LINEAR_PC)
		return debug_pc(vcpu);
	if (which == DERIVED_XCR0)
		return xcr0_get(vcpu->vm->platform);
	if (which == DERIVED_DEBUGCTL)
		return vcpu->backend->debugctl_get(vcpu);
	state = regs_mode(vcpu);
	mode = mode_classify(&state);
	if (which == DERIVED_CPU_MODE)
		return mode;
	if (mode == MODE_LONG64)
		return vcpu->gpr[GPR_RSP];
	vcpu->backend->seg_get(vcpu, SEG_SS, &s);
	return (uint32_t)(s.base + (vcpu->gpr[GPR_RSP] & (s.attributes & SEG_ATTR_DB ? 0xffffffff : 0xffff)));
}

static uint64_t segment_part(struct vcpu *vcpu, enum seg seg, enum layout_part part)
{
	struct segment s;

	vcpu->backend->seg_get(vcpu, seg, &s);
	switch (part) {
	case PART_SELECTOR:
		return s.selector;
	case PART_BASE:
		return s.base;
	case PART_LIMIT:
		return s.limit;
	case PART_ATTRIBUTES:
	default:
		return s.attributes;
	}
}

unsigned regs_get(struct vcpu *vcpu, unsigned number, void *value)
{
	struct layout_place place;
	uint64_t word = 0;

	if (!layout_find(number, &place))
		return 0;
	switch (place.kind) {
	case LAYOUT_IS_GPR:
		word = vcpu->gpr[place.index];
		break;
	case LAYOUT_IS_REG:
		word = debug_register_get(vcpu, place.index);
		break;
	case LAYOUT_IS_SEG:
		word = segment_part(vcpu, place.index, place.part);
		break;
	case LAYOUT_IS_DERIVED:
		word = derived_get(vcpu, place.index);
		break;
	case LAYOUT_IS_LOW:
		word = place.index == GPR_COUNT ? vcpu->rip : vcpu->gpr[place.index];
		break;
	case LAYOUT_IS_FPU:
		fpu_get(vcpu->vm->platform, place.index, value);
		return place.size;
	}
	memcpy(value, &word, place.size);
	return place.size;
}

static int segment_set(struct vcpu *vcpu, enum seg seg, enum layout_part part, uint64_t word)
{
	struct segment s;
	int error;

	vcpu->backend->seg_get(vcpu, seg, &s);
	switch (part) {
	case PART_SELECTOR:
		if (word > 0xffff)
			return -EINVAL;
		s.selector = (uint16_t)word;
		break;
	case PART_BASE:
		s.base = word;
		break;
	case PART_LIMIT:
		s.limit = (uint32_t)word;
		break;
	case PART_ATTRIBUTES:
		if (word > 0xffff)
			return -EINVAL;
		s.attributes = (uint16_t)word;
		break;
	}
	error = regs_check_segment(vcpu, seg, part == PART_SELECTOR, &s);
	if (error)
		return error;
	vcpu->backend->seg_set(vcpu, seg, &s);
	if (seg == SEG_CS)
		vcpu->code_flags = s.attributes & (SEG_ATTR_L | SEG_ATTR_DB);
	return 0;
}

int regs_set(struct vcpu *vcpu, unsigned number, const void *value, unsigned size)
{
	struct layout_place place;
	uint64_t word = 0;

	if (!layout_find(number, &place))
		return -ENOENT;
	if (size != place.size)
		return -EINVAL;
	if (place.kind == LAYOUT_IS_FPU)
		return fpu_set(vcpu->vm->platform, place.index, value);
	memcpy(&word, value, size);
	switch (place.kind) {
	case LAYOUT_IS_GPR:
		vcpu->gpr[place.index] = word;
		return 0;
	case LAYOUT_IS_LOW:
		if (place.index == GPR_COUNT)
			return regs_change(vcpu, REG_RIP, word);
		memcpy(&vcpu->gpr[place.index], value, size); /* the upper half stays */
		return 0;
	case LAYOUT_IS_REG:
		return regs_change(vcpu, place.index, word);
	case LAYOUT_IS_SEG:
		return segment_set(vcpu, place.index, place.part, word);
	case LAYOUT_IS_DERIVED:
	case LAYOUT_IS_FPU:
	default:
		return -EACCES;
	}
}

/* --- description --- */

static bool is_segments_feature(unsigned number)
{
	return number == LAYOUT_SEG + 4 * SEG_FS + PART_BASE || number == LAYOUT_SEG + 4 * SEG_GS + PART_BASE;
}

static void describe_register(struct window *w, unsigned number)
{
	struct layout_place place;
	char name[LAYOUT_NAME_MAX];

	if (!layout_find(number, &place))
		return;
	layout_name(number, &place, name);
	window_printf(w, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s/>\n", name, place.size * 8,
		      layout_type(number, &place), number,
		      number >= LAYOUT_SEG ? " save-restore=\"no\" group=\"system\"" : "");
}

static const char head[] = "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
			   "<target version=\"1.0\">\n<architecture>i386:x86-64</architecture>\n"
			   "<osabi>none</osabi>\n";

static const char flags_type[] = "<flags id=\"i386_eflags\" size=\"4\">\n"
#define FLAG(name, bit) "<field name=\"" name "\" start=\"" bit "\" end=\"" bit "\"/>\n"
	FLAG("CF", "0") FLAG("PF", "2") FLAG("AF", "4") FLAG("ZF", "6") FLAG("SF", "7") FLAG("TF", "8") FLAG("IF", "9")
		FLAG("DF", "10") FLAG("OF", "11") FLAG("NT", "14") FLAG("RF", "16") FLAG("VM", "17") FLAG("AC", "18")
			FLAG("VIF", "19") FLAG("VIP", "20") FLAG("ID", "21") "</flags>\n";

static const char vector_type[] =
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>\n<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>\n"
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>\n<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>\n"
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>\n<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
	"<union id=\"vec128\">\n<field name=\"v4_float\" type=\"v4f\"/>\n<field name=\"v2_double\" type=\"v2d\"/>\n"
	"<field name=\"v16_int8\" type=\"v16i8\"/>\n<field name=\"v8_int16\" type=\"v8i16\"/>\n"
	"<field name=\"v4_int32\" type=\"v4i32\"/>\n<field name=\"v2_int64\" type=\"v2i64\"/>\n"
	"<field name=\"uint128\" type=\"uint128\"/>\n</union>\n";

static void describe_modes(struct window *w)
{
	window_printf(w, "<enum id=\"cpu_mode\" size=\"4\">\n");
	for (enum cpu_mode mode = 0; mode < MODE_COUNT; mode++)
		window_printf(w, "<evalue name=\"%s\" value=\"%u\"/>\n", mode_name(mode), mode);
	window_printf(w, "</enum>\n");
}

static void feature_begin(struct window *w, const char *name)
{
	window_printf(w, "<feature name=\"%s\">\n", name);
}

static void feature_end(struct window *w)
{
	window_printf(w, "</feature>\n");
}

/* Only what stop replies carry: the others are for descriptions that the client has. */
static const uint16_t described_low[] = {LAYOUT_ESP, LAYOUT_EBP, LAYOUT_EIP};

void regs_describe(struct window *w)
{
	window_put(w, head, sizeof(head) - 1);
	feature_begin(w, "org.gnu.gdb.i386.core");
	window_put(w, flags_type, sizeof(flags_type) - 1);
	for (unsigned number = 0; number < LAYOUT_FPU + FPU_SSE; number++)
		describe_register(w, number);
	feature_end(w);
	feature_begin(w, "org.gnu.gdb.i386.sse");
	window_put(w, vector_type, sizeof(vector_type) - 1);
	for (unsigned number = LAYOUT_FPU + FPU_SSE; number < LAYOUT_FPU + FPU_COUNT; number++)
		describe_register(w, number);
	feature_end(w);
	feature_begin(w, "org.gnu.gdb.i386.segments");
	for (unsigned number = LAYOUT_SEG; number < LAYOUT_REG; number++) {
		if (is_segments_feature(number))
			describe_register(w, number);
	}
	feature_end(w);
	feature_begin(w, "org.undercroft.x86.system");
	describe_modes(w);
	for (unsigned number = LAYOUT_SEG; number < LAYOUT_LOW; number++) {
		if (!is_segments_feature(number))
			describe_register(w, number);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(described_low); i++)
		describe_register(w, described_low[i]);
	feature_end(w);
	window_printf(w, "</target>\n");
}
