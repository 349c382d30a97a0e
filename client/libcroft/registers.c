/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which registers there are: Undercroft's are known, others are described by the stub.
 */
#include <stdlib.h>
#include <string.h>

#include <undercroft/types.h>

#include "client/libcroft/vm.h"
#include "core/control/layout.h"

#define DOCUMENT_MAX 16u /* a description and what it includes */
#define HREF_MAX     64u

_Static_assert(LAYOUT_NAME_MAX <= REGISTER_NAME_MAX && LAYOUT_BYTES_MAX <= CROFT_REGISTER_BYTES_MAX, "they fit");

static uint8_t group_of(unsigned number, const struct layout_place *place)
{
	switch (place->kind) {
	case LAYOUT_IS_FPU:
		return place->index < FPU_SSE ? CROFT_GROUP_FLOAT : CROFT_GROUP_VECTOR;
	case LAYOUT_IS_SEG:
		return number < LAYOUT_G ? CROFT_GROUP_GENERAL : CROFT_GROUP_SEGMENT;
	case LAYOUT_IS_REG:
		return number < LAYOUT_G ? CROFT_GROUP_GENERAL : CROFT_GROUP_SYSTEM;
	case LAYOUT_IS_DERIVED:
		return place->index < DERIVED_XCR0 ? CROFT_GROUP_DERIVED : CROFT_GROUP_SYSTEM;
	case LAYOUT_IS_LOW:
		return CROFT_GROUP_LOW;
	case LAYOUT_IS_GPR:
	default:
		return CROFT_GROUP_GENERAL;
	}
}

static void take_frozen(struct croft_vm *vm, unsigned end)
{
	struct layout_place place;

	for (unsigned number = 0; number < end; number++) {
		struct register_fact *fact = &vm->fact[vm->fact_count];

		if (!layout_find(number, &place))
			continue;
		layout_name(number, &place, fact->name);
		fact->number = (uint16_t)number;
		fact->bytes = (uint8_t)place.size;
		fact->group = group_of(number, &place);
		vm->fact_count++;
	}
}

enum croft_status registers_frozen(struct croft_vm *vm, struct croft_error *error)
{
	vm->fact = calloc(LAYOUT_END, sizeof(*vm->fact));
	if (!vm->fact)
		return error_memory(error);
	take_frozen(vm, LAYOUT_END);
	return CROFT_OK;
}

/* A register of another stub is where ours of that name would be. */
static uint8_t group_by_name(const char *name, unsigned number)
{
	struct layout_place place;
	char ours[LAYOUT_NAME_MAX];

	for (unsigned i = 0; i < LAYOUT_END; i++) {
		if (!layout_find(i, &place))
			continue;
		layout_name(i, &place, ours);
		if (strcmp(ours, name) == 0)
			return group_of(i, &place);
	}
	if (strncmp(name, "xmm", 3) == 0 || strncmp(name, "ymm", 3) == 0 || strncmp(name, "zmm", 3) == 0)
		return CROFT_GROUP_VECTOR;
	return number < LAYOUT_G ? CROFT_GROUP_GENERAL : CROFT_GROUP_SYSTEM;
}

void registers_parse(const char *xml, size_t length, struct register_fact *fact, unsigned *count, unsigned *next)
{
	const char *at = xml, *end = xml + length;
	struct xml_element element;

	while (*count < REGISTER_MAX && xml_next(&at, end, &element)) {
		struct register_fact *one = &fact[*count];
		uint64_t bits, number;

		if (!xml_is(&element, "reg") || !xml_text(&element, "name", one->name, sizeof(one->name)) ||
		    !one->name[0] || !xml_number(&element, "bitsize", &bits))
			continue;
		if (xml_number(&element, "regnum", &number) && number <= UINT16_MAX)
			*next = (unsigned)number;
		if (*next > UINT16_MAX)
			return;
		one->number = (uint16_t)(*next)++;
		if (bits == 0 || bits % 8 || bits / 8 > CROFT_REGISTER_BYTES_MAX)
			continue;
		one->bytes = (uint8_t)(bits / 8);
		(*count)++;
	}
}

static int by_number(const void *a, const void *b)
{
	const struct register_fact *left = a, *right = b;

	return left->number < right->number ? -1 : left->number > right->number;
}

/* The files that a description includes, in their order, after those that are known. */
static unsigned take_includes(const char *xml, size_t length, char (*name)[HREF_MAX], unsigned count)
{
	const char *at = xml, *end = xml + length;
	struct xml_element element;

	while (count < DOCUMENT_MAX && xml_next(&at, end, &element)) {
		if (xml_is(&element, "xi:include") && xml_text(&element, "href", name[count], HREF_MAX))
			count++;
	}
	return count;
}

static enum croft_status take_description(struct croft_vm *vm, struct croft_error *error)
{
	char name[DOCUMENT_MAX][HREF_MAX] = {"target.xml"};
	unsigned documents = 1, next = 0;
	enum croft_status status;
	size_t length;
	char *xml;

	for (unsigned i = 0; i < documents; i++) {
		status = croft_vm_object(vm, "features", name[i], &xml, &length, error);
		if (status)
			return status;
		documents = take_includes(xml, length, name, documents);
		registers_parse(xml, length, vm->fact, &vm->fact_count, &next);
		croft_free(xml);
	}
	return CROFT_OK;
}

enum croft_status registers_described(struct croft_vm *vm, bool has_description, struct croft_error *error)
{
	enum croft_status status = CROFT_OK;

	vm->fact = calloc(REGISTER_MAX, sizeof(*vm->fact));
	if (!vm->fact)
		return error_memory(error);
	if (has_description)
		status = take_description(vm, error);
	if (status && status != CROFT_ERROR_UNSUPPORTED && status != CROFT_ERROR_REFUSED)
		return status;
	qsort(vm->fact, vm->fact_count, sizeof(*vm->fact), by_number);
	for (unsigned i = 0; i < vm->fact_count; i++)
		vm->fact[i].group = group_by_name(vm->fact[i].name, vm->fact[i].number);
	if (!vm->fact_count)
		take_frozen(vm, LAYOUT_G);
	return error_none(error);
}

int register_by_number(const struct croft_vm *vm, unsigned number)
{
	for (unsigned i = 0; i < vm->fact_count; i++) {
		if (vm->fact[i].number == number)
			return (int)i;
	}
	return -1;
}

int register_find(const struct croft_vm *vm, const char *name)
{
	static const struct {
		const char *name, *means;
	} others[] = {{"pc", "rip"}, {"sp", "rsp"}, {"flags", "eflags"}, {"rflags", "eflags"}};

	for (unsigned i = 0; i < vm->fact_count; i++) {
		if (strcmp(vm->fact[i].name, name) == 0)
			return (int)i;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		if (strcmp(others[i].name, name) == 0)
			return register_find(vm, others[i].means);
	}
	return -1;
}

bool croft_vm_register(const struct croft_vm *vm, unsigned index, struct croft_register *reg)
{
	if (index >= vm->fact_count)
		return false;
	reg->name = vm->fact[index].name;
	reg->bytes = vm->fact[index].bytes;
	reg->group = vm->fact[index].group;
	reg->number = vm->fact[index].number;
	return true;
}
