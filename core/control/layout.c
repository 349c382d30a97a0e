/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layout, from regs.def.
 */
#include "core/control/layout.h"

#include <undercroft/log.h>
#include <undercroft/regs.h>

_Static_assert(LAYOUT_FPU == LAYOUT_G && LAYOUT_CS + 6 == LAYOUT_G, "the core registers");
_Static_assert(LAYOUT_FPU + FPU_COUNT <= LAYOUT_SEG, "numbers overlap");
_Static_assert(LAYOUT_SEG + 4 * SEG_COUNT <= LAYOUT_REG && LAYOUT_REG + REG_COUNT <= LAYOUT_DERIVED, "numbers overlap");
_Static_assert(LAYOUT_LOW + GPR_COUNT == LAYOUT_EIP && LAYOUT_LOW + (int)GPR_RSP == LAYOUT_ESP &&
		       LAYOUT_EIP + 1 == LAYOUT_END,
	       "numbers overlap");

/* GDB's order */
const uint8_t layout_gpr[LAYOUT_RIP] = {GPR_RAX, GPR_RBX, GPR_RCX, GPR_RDX, GPR_RSI, GPR_RDI, GPR_RBP, GPR_RSP,
					GPR_R8,	 GPR_R9,  GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15};
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

static const struct {
	const char *suffix;
	uint8_t size;
} part_facts[] = {[PART_SELECTOR] = {"", 4},
		  [PART_BASE] = {"_base", 8},
		  [PART_LIMIT] = {"_limit", 4},
		  [PART_ATTRIBUTES] = {"_attr", 4}};

static const struct {
	const char *name, *type;
	uint8_t size;
} derived_facts[DERIVED_COUNT] = {
	[DERIVED_LINEAR_PC] = {"linear_pc", "uint64", 8}, [DERIVED_LINEAR_SP] = {"linear_sp", "uint64", 8},
	[DERIVED_CPU_MODE] = {"cpu_mode", "cpu_mode", 4}, [DERIVED_XCR0] = {"xcr0", "uint64", 8},
	[DERIVED_DEBUGCTL] = {"debugctl", "uint64", 8},
};

/* GDB's names and order: its feature org.gnu.gdb.i386.core */
static const char fpu_control_names[][6] = {"fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"};

static unsigned fpu_size(unsigned index)
{
	return index < FPU_CONTROL ? 10 : index < FPU_SSE || index == FPU_MXCSR ? 4 : 16;
}

bool layout_find(unsigned number, struct layout_place *place)
{
	*place = (struct layout_place){.size = 4};
	if (number < LAYOUT_RIP) {
		*place = (struct layout_place){.kind = LAYOUT_IS_GPR, .index = layout_gpr[number], .size = 8};
	} else if (number == LAYOUT_RIP || number == LAYOUT_RFLAGS) {
		place->kind = LAYOUT_IS_REG;
		place->index = number == LAYOUT_RIP ? REG_RIP : REG_RFLAGS;
		place->size = number == LAYOUT_RIP ? 8 : 4;
	} else if (number < LAYOUT_FPU) {
		place->kind = LAYOUT_IS_SEG;
		place->index = core_seg[number - LAYOUT_CS];
	} else if (number < LAYOUT_FPU + FPU_COUNT) {
		place->kind = LAYOUT_IS_FPU;
		place->index = number - LAYOUT_FPU;
		place->size = fpu_size(place->index);
	} else if (number >= LAYOUT_SEG && number < LAYOUT_SEG + 4 * SEG_COUNT) {
		place->kind = LAYOUT_IS_SEG;
		place->index = (number - LAYOUT_SEG) / 4;
		place->part = (number - LAYOUT_SEG) % 4;
		place->size = part_facts[place->part].size;
		return place->part != PART_SELECTOR || place->index == SEG_LDTR || place->index == SEG_TR;
	} else if (number >= LAYOUT_REG && number < LAYOUT_REG + REG_COUNT) {
		place->kind = LAYOUT_IS_REG;
		place->index = number - LAYOUT_REG;
		place->size = reg_facts[place->index].size;
		return place->index != REG_RIP && place->index != REG_RFLAGS;
	} else if (number >= LAYOUT_DERIVED && number < LAYOUT_DERIVED + DERIVED_COUNT) {
		place->kind = LAYOUT_IS_DERIVED;
		place->index = number - LAYOUT_DERIVED;
		place->size = derived_facts[place->index].size;
	} else if (number >= LAYOUT_LOW && number < LAYOUT_END) {
		place->kind = LAYOUT_IS_LOW;
		place->index = number - LAYOUT_LOW;
	} else {
		return false;
	}
	return true;
}

void layout_name(unsigned number, const struct layout_place *place, char *name)
{
	const char *word = "", *suffix = "";

	switch (place->kind) {
	case LAYOUT_IS_GPR:
		word = gpr_names[place->index];
		break;
	case LAYOUT_IS_REG:
		word = number == LAYOUT_RFLAGS ? "eflags" : reg_facts[place->index].name;
		break;
	case LAYOUT_IS_SEG:
		word = seg_names[place->index];
		suffix = part_facts[place->part].suffix;
		break;
	case LAYOUT_IS_FPU:
		if (place->index < FPU_CONTROL)
			format_string(name, LAYOUT_NAME_MAX, "st%u", place->index);
		else if (place->index >= FPU_SSE && place->index < FPU_MXCSR)
			format_string(name, LAYOUT_NAME_MAX, "xmm%u", place->index - FPU_SSE);
		else
			format_string(name, LAYOUT_NAME_MAX, "%s",
				      place->index == FPU_MXCSR ? "mxcsr"
								: fpu_control_names[place->index - FPU_CONTROL]);
		return;
	case LAYOUT_IS_DERIVED:
		word = derived_facts[place->index].name;
		break;
	case LAYOUT_IS_LOW:
		word = place->index == GPR_COUNT ? "rip" : gpr_names[place->index];
		suffix = "_low";
		break;
	}
	format_string(name, LAYOUT_NAME_MAX, "%s%s", word, suffix);
}

/* GDB checks neither, but shows by them. Control registers are plain numbers, so that they can be assigned to. */
const char *layout_type(unsigned number, const struct layout_place *place)
{
	static const char *const by_size[] = {[1] = "uint8", [4] = "uint32", [8] = "uint64"};

	if (number == LAYOUT_RIP)
		return "code_ptr";
	if (number == LAYOUT_RSP || number == LAYOUT_RBP)
		return "data_ptr";
	if (number == LAYOUT_RFLAGS)
		return "i386_eflags";
	if (place->kind == LAYOUT_IS_FPU)
		return place->index < FPU_CONTROL			     ? "i387_ext"
		       : place->index < FPU_SSE || place->index == FPU_MXCSR ? "int"
									     : "vec128";
	if (place->kind == LAYOUT_IS_DERIVED)
		return derived_facts[place->index].type;
	return number < LAYOUT_RFLAGS ? "int64" : number < LAYOUT_FPU ? "int32" : by_size[place->size];
}
