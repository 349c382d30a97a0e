/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers by their number in the protocol, and their description.
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
#include "core/control/regs_check.h"
#include "core/control/window.h"

/* Where the kinds begin. */
#define NUMBER_RFLAGS  17
#define NUMBER_CS      18
#define NUMBER_FPU     24
#define NUMBER_SEG     64
#define NUMBER_REG     128
#define NUMBER_DERIVED 256
#define NUMBER_LOW     272

_Static_assert(NUMBER_FPU == REGS_G && NUMBER_CS + 6 == REGS_G, "the core registers");
_Static_assert(NUMBER_FPU + FPU_COUNT <= NUMBER_SEG, "numbers overlap");
_Static_assert(NUMBER_SEG + 4 * SEG_COUNT <= NUMBER_REG && NUMBER_REG + REG_COUNT <= NUMBER_DERIVED, "numbers overlap");
_Static_assert(NUMBER_LOW + GPR_COUNT == REGS_EIP && NUMBER_LOW + (int)GPR_RSP == REGS_ESP, "numbers overlap");

/* GDB's order */
static const uint8_t core_gpr[] = {GPR_RAX, GPR_RBX, GPR_RCX, GPR_RDX, GPR_RSI, GPR_RDI, GPR_RBP, GPR_RSP,
				   GPR_R8,  GPR_R9,  GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15};
static const uint8_t core_seg[] = {SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS};

static const char *const gpr_names[GPR_COUNT] = {
#define GPR(symbol, name) [GPR_##symbol] = name,
#include <undercroft/regs.def>
};

static const struct {
	const char *name;
	uint8_t size;
} reg_facts[REG_COUNT] = {
#define REG(symbol, name, bytes) [REG_##symbol] = {name, bytes},
#include <undercroft/regs.def>
};

static const char *const seg_names[SEG_COUNT] = {
#define SEG(symbol, name) [SEG_##symbol] = name,
#include <undercroft/regs.def>
};

enum part { PART_SELECTOR, PART_BASE, PART_LIMIT, PART_ATTRIBUTES };

static const struct {
	const char *suffix;
	uint8_t size;
} part_facts[] = {[PART_SELECTOR] = {"", 4},
		  [PART_BASE] = {"_base", 8},
		  [PART_LIMIT] = {"_limit", 4},
		  [PART_ATTRIBUTES] = {"_attr", 4}};

enum derived { DERIVED_LINEAR_PC, DERIVED_LINEAR_SP, DERIVED_CPU_MODE, DERIVED_COUNT };

static const struct {
	const char *name, *type;
	uint8_t size;
} derived_facts[DERIVED_COUNT] = {
	[DERIVED_LINEAR_PC] = {"linear_pc", "uint64", 8},
	[DERIVED_LINEAR_SP] = {"linear_sp", "uint64", 8},
	[DERIVED_CPU_MODE] = {"cpu_mode", "cpu_mode", 4},
};

/* What a number names. */
struct place {
	enum { PLACE_GPR, PLACE_REG, PLACE_SEG, PLACE_FPU, PLACE_DERIVED, PLACE_LOW } kind;
	unsigned index; /* PLACE_LOW: GPR_COUNT for rip */
	enum part part;
	unsigned size;
};

static bool place_find(unsigned number, struct place *place)
{
	*place = (struct place){.size = 4};
	if (number < ARRAY_SIZE(core_gpr)) {
		*place = (struct place){.kind = PLACE_GPR, .index = core_gpr[number], .size = 8};
	} else if (number == REGS_RIP || number == NUMBER_RFLAGS) {
		place->kind = PLACE_REG;
		place->index = number == REGS_RIP ? REG_RIP : REG_RFLAGS;
		place->size = number == REGS_RIP ? 8 : 4;
	} else if (number < NUMBER_FPU) {
		place->kind = PLACE_SEG;
		place->index = core_seg[number - NUMBER_CS];
	} else if (number < NUMBER_FPU + FPU_COUNT) {
		place->kind = PLACE_FPU;
		place->index = number - NUMBER_FPU;
		place->size = fpu_size(place->index);
	} else if (number >= NUMBER_SEG && number < NUMBER_SEG + 4 * SEG_COUNT) {
		place->kind = PLACE_SEG;
		place->index = (number - NUMBER_SEG) / 4;
		place->part = (number - NUMBER_SEG) % 4;
		place->size = part_facts[place->part].size;
		return place->part != PART_SELECTOR || place->index == SEG_LDTR || place->index == SEG_TR;
	} else if (number >= NUMBER_REG && number < NUMBER_REG + REG_COUNT) {
		place->kind = PLACE_REG;
		place->index = number - NUMBER_REG;
		place->size = reg_facts[place->index].size;
		return place->index != REG_RIP && place->index != REG_RFLAGS;
	} else if (number >= NUMBER_DERIVED && number < NUMBER_DERIVED + DERIVED_COUNT) {
		place->kind = PLACE_DERIVED;
		place->index = number - NUMBER_DERIVED;
		place->size = derived_facts[place->index].size;
	} else if (number >= NUMBER_LOW && number <= REGS_EIP) {
		place->kind = PLACE_LOW;
		place->index = number - NUMBER_LOW;
	} else {
		return false;
	}
	return true;
}

unsigned regs_size(unsigned number)
{
	struct place place;

	return place_find(number, &place) ? place.size : 0;
}

/* --- values --- */

static uint64_t derived_get(struct vcpu *vcpu, enum derived which)
{
	struct mode_state state;
	enum cpu_mode mode;
	struct segment s;

	state = regs_mode(vcpu);
	mode = mode_classify(&state);
	if (which == DERIVED_CPU_MODE)
		return mode;
	vcpu->backend->seg_get(vcpu, which == DERIVED_LINEAR_PC ? SEG_CS : SEG_SS, &s);
	if (which == DERIVED_LINEAR_PC)
		return mode == MODE_LONG64 ? vcpu->rip : (uint32_t)(s.base + vcpu->rip);
	if (mode == MODE_LONG64)
		return vcpu->gpr[GPR_RSP];
	return (uint32_t)(s.base + (vcpu->gpr[GPR_RSP] & (s.attributes & SEG_ATTR_DB ? 0xffffffff : 0xffff)));
}

static uint64_t segment_part(struct vcpu *vcpu, enum seg seg, enum part part)
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
	struct place place;
	uint64_t word = 0;

	if (!place_find(number, &place))
		return 0;
	switch (place.kind) {
	case PLACE_GPR:
		word = vcpu->gpr[place.index];
		break;
	case PLACE_REG:
		word = debug_register_get(vcpu, place.index);
		break;
	case PLACE_SEG:
		word = segment_part(vcpu, place.index, place.part);
		break;
	case PLACE_DERIVED:
		word = derived_get(vcpu, place.index);
		break;
	case PLACE_LOW:
		word = place.index == GPR_COUNT ? vcpu->rip : vcpu->gpr[place.index];
		break;
	case PLACE_FPU:
		fpu_get(vcpu->vm->platform, place.index, value);
		return place.size;
	}
	memcpy(value, &word, place.size);
	return place.size;
}

static int segment_set(struct vcpu *vcpu, enum seg seg, enum part part, uint64_t word)
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
	struct place place;
	uint64_t word = 0;

	if (!place_find(number, &place))
		return -ENOENT;
	if (size != place.size)
		return -EINVAL;
	if (place.kind == PLACE_FPU)
		return fpu_set(vcpu->vm->platform, place.index, value);
	memcpy(&word, value, size);
	switch (place.kind) {
	case PLACE_GPR:
		vcpu->gpr[place.index] = word;
		return 0;
	case PLACE_LOW:
		if (place.index == GPR_COUNT)
			return regs_change(vcpu, REG_RIP, word);
		memcpy(&vcpu->gpr[place.index], value, size); /* the upper half stays */
		return 0;
	case PLACE_REG:
		return regs_change(vcpu, place.index, word);
	case PLACE_SEG:
		return segment_set(vcpu, place.index, place.part, word);
	case PLACE_DERIVED:
	case PLACE_FPU:
	default:
		return -EACCES;
	}
}

/* --- description --- */

static void name_of(unsigned number, const struct place *place, char *name, size_t size)
{
	static const char core[] = "cs\0ss\0ds\0es\0fs\0gs";

	switch (place->kind) {
	case PLACE_GPR:
		format_string(name, size, "%s", gpr_names[place->index]);
		break;
	case PLACE_REG:
		format_string(name, size, "%s", number == NUMBER_RFLAGS ? "eflags" : reg_facts[place->index].name);
		break;
	case PLACE_SEG:
		if (number < NUMBER_FPU)
			format_string(name, size, "%s", core + 3 * (number - NUMBER_CS));
		else
			format_string(name, size, "%s%s", seg_names[place->index], part_facts[place->part].suffix);
		break;
	case PLACE_FPU:
		fpu_name(place->index, name, size);
		break;
	case PLACE_DERIVED:
		format_string(name, size, "%s", derived_facts[place->index].name);
		break;
	case PLACE_LOW:
		format_string(name, size, "%s_low", place->index == GPR_COUNT ? "rip" : gpr_names[place->index]);
		break;
	}
}

/* GDB checks neither, but shows by them. Control registers are plain numbers, so that they can be assigned to. */
static const char *type_of(unsigned number, const struct place *place)
{
	static const char *const by_size[] = {[1] = "uint8", [4] = "uint32", [8] = "uint64"};

	if (number == REGS_RIP)
		return "code_ptr";
	if (number == REGS_RSP || number == REGS_RBP)
		return "data_ptr";
	if (number == NUMBER_RFLAGS)
		return "i386_eflags";
	if (place->kind == PLACE_FPU)
		return fpu_type(place->index);
	if (place->kind == PLACE_DERIVED)
		return derived_facts[place->index].type;
	return number < NUMBER_RFLAGS ? "int64" : number < NUMBER_FPU ? "int32" : by_size[place->size];
}

static bool is_segments_feature(unsigned number)
{
	return number == NUMBER_SEG + 4 * SEG_FS + PART_BASE || number == NUMBER_SEG + 4 * SEG_GS + PART_BASE;
}

static void describe_register(struct window *w, unsigned number)
{
	struct place place;
	char name[24];

	if (!place_find(number, &place))
		return;
	name_of(number, &place, name, sizeof(name));
	window_printf(w, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s/>\n", name, place.size * 8,
		      type_of(number, &place), number,
		      number >= NUMBER_SEG ? " save-restore=\"no\" group=\"system\"" : "");
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
static const uint16_t described_low[] = {REGS_ESP, REGS_EBP, REGS_EIP};

void regs_describe(struct window *w)
{
	window_put(w, head, sizeof(head) - 1);
	feature_begin(w, "org.gnu.gdb.i386.core");
	window_put(w, flags_type, sizeof(flags_type) - 1);
	for (unsigned number = 0; number < NUMBER_FPU + FPU_SSE; number++)
		describe_register(w, number);
	feature_end(w);
	feature_begin(w, "org.gnu.gdb.i386.sse");
	window_put(w, vector_type, sizeof(vector_type) - 1);
	for (unsigned number = NUMBER_FPU + FPU_SSE; number < NUMBER_FPU + FPU_COUNT; number++)
		describe_register(w, number);
	feature_end(w);
	feature_begin(w, "org.gnu.gdb.i386.segments");
	for (unsigned number = NUMBER_SEG; number < NUMBER_REG; number++) {
		if (is_segments_feature(number))
			describe_register(w, number);
	}
	feature_end(w);
	feature_begin(w, "org.undercroft.x86.system");
	describe_modes(w);
	for (unsigned number = NUMBER_SEG; number < NUMBER_LOW; number++) {
		if (!is_segments_feature(number))
			describe_register(w, number);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(described_low); i++)
		describe_register(w, described_low[i]);
	feature_end(w);
	window_printf(w, "</target>\n");
}
