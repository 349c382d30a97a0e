/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The head of an ELF core: what tools for dumps of Linux want to find.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <undercroft/types.h>

#include "client/libcroft/dump.h"

#define RANGES_MAX 4096u

/* Registers of Linux' struct user_regs_struct, in its order; NULL: orig_rax, and bases that a segment has. */
#define USER_REGS    27u
#define USER_FS_BASE 21u
#define USER_GS_BASE 22u
static const char *const user_regs[USER_REGS] = {
	"r15", "r14", "r13", "r12", "rbp",    "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
	"rdi", NULL,  "rip", "cs",  "eflags", "rsp", "ss",  NULL,  NULL, "ds", "es",  "fs",  "gs",
};

/* Linux' struct elf_prstatus for x86-64 */
struct prstatus {
	uint32_t signo, code, error;
	uint16_t cursig, pad;
	uint64_t sigpend, sighold;
	uint32_t pid, ppid, pgrp, sid;
	uint64_t times[8];
	uint64_t regs[USER_REGS];
	uint32_t fpvalid, pad2;
};

_Static_assert(sizeof(struct prstatus) == 336 && offsetof(struct prstatus, regs) == 112, "as Linux has it");

/* QEMU's note: its target/i386/arch_dump.c, version 1 */
#define QEMU_VERSION 1u

struct qemu_segment {
	uint32_t selector, limit, flags, pad;
	uint64_t base;
};

#define QEMU_REGS     18u
#define QEMU_SEGMENTS 8u
#define QEMU_CRS      5u

struct qemu_state {
	uint32_t version, size;
	uint64_t regs[QEMU_REGS];
	struct qemu_segment segment[QEMU_SEGMENTS], gdt, idt;
	uint64_t cr[QEMU_CRS], kernel_gs_base;
};

_Static_assert(sizeof(struct qemu_state) == 440, "as QEMU has it");

static const char *const qemu_regs[QEMU_REGS] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8",
						 "r9",	"r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags"};
static const char *const qemu_segments[QEMU_SEGMENTS] = {"cs", "ds", "es", "fs", "gs", "ss", "ldtr", "tr"};
static const char *const qemu_crs[QEMU_CRS] = {"cr0", NULL, "cr2", "cr3", "cr4"};

struct dump_cpu {
	struct prstatus prstatus;
	struct qemu_state qemu;
};

/* Those without a name stay 0. */
static enum croft_status read_registers(struct croft_cpu *cpu, const char *const *names, size_t count, uint64_t *values,
					struct croft_error *error)
{
	enum croft_status status = CROFT_OK;

	for (size_t i = 0; i < count && !status; i++) {
		if (names[i])
			status = croft_cpu_read(cpu, names[i], &values[i], error);
	}
	return status;
}

static enum croft_status read_segments(struct croft_cpu *cpu, struct dump_cpu *out, struct croft_error *error)
{
	for (size_t i = 0; i < QEMU_SEGMENTS; i++) {
		struct croft_segment segment;
		enum croft_status status = croft_cpu_segment(cpu, qemu_segments[i], &segment, error);

		if (status)
			return status;
		out->qemu.segment[i] = (struct qemu_segment){
			.selector = segment.selector,
			.limit = segment.limit,
			/* as in the second half of a descriptor */
			.flags = (segment.attributes & 0xffu) << 8 | (segment.attributes & 0xf00u) << 12,
			.base = segment.base,
		};
	}
	out->prstatus.regs[USER_FS_BASE] = out->qemu.segment[3].base;
	out->prstatus.regs[USER_GS_BASE] = out->qemu.segment[4].base;
	return CROFT_OK;
}

static enum croft_status read_tables(struct croft_cpu *cpu, struct qemu_state *out, struct croft_error *error)
{
	static const char *const names[] = {"gdtr_base", "gdtr_limit", "idtr_base", "idtr_limit", "k_gs_base"};
	uint64_t value[ARRAY_SIZE(names)];
	enum croft_status status = read_registers(cpu, names, ARRAY_SIZE(names), value, error);

	if (status)
		return status;
	out->gdt = (struct qemu_segment){.base = value[0], .limit = (uint32_t)value[1]};
	out->idt = (struct qemu_segment){.base = value[2], .limit = (uint32_t)value[3]};
	out->kernel_gs_base = value[4];
	return CROFT_OK;
}

enum croft_status dump_cpu_read(struct croft_vm *vm, struct dump_cpu **out, struct croft_error *error)
{
	struct croft_cpu *cpu = croft_vm_cpu(vm);
	struct dump_cpu *state = calloc(1, sizeof(*state));
	enum croft_status status;

	if (!state)
		return error_memory(error);
	state->prstatus.pid = 1;
	state->qemu.version = QEMU_VERSION;
	state->qemu.size = sizeof(state->qemu);
	status = croft_cpu_load(cpu, CROFT_GROUP_GENERAL | CROFT_GROUP_SEGMENT | CROFT_GROUP_SYSTEM, error);
	if (!status)
		status = read_registers(cpu, user_regs, USER_REGS, state->prstatus.regs, error);
	if (!status)
		status = read_registers(cpu, qemu_regs, QEMU_REGS, state->qemu.regs, error);
	if (!status)
		status = read_registers(cpu, qemu_crs, QEMU_CRS, state->qemu.cr, error);
	if (!status)
		status = read_segments(cpu, state, error);
	if (!status)
		status = read_tables(cpu, &state->qemu, error);
	if (status)
		free(state);
	else
		*out = state;
	return status;
}

/* --- VMCOREINFO --- */

/* Linux keeps it as a note, ready to be copied: a head, the name, and lines of text, at a multiple of 4. */
#define INFO_NAME "VMCOREINFO"
#define INFO_HEAD (sizeof(Elf64_Nhdr) + sizeof(INFO_NAME) + 1)
#define INFO_MAX  65536u
#define INFO_TEXT "OSRELEASE="

/* False: not all of it is memory, or the store fails. */
static bool read_bytes(const struct dump *dump, uint64_t address, uint8_t *to, size_t length)
{
	uint8_t content[DUMP_PAGE];

	while (length) {
		size_t skip = address % DUMP_PAGE, piece = DUMP_PAGE - skip < length ? DUMP_PAGE - skip : length;

		if (dump_index(dump, address / DUMP_PAGE) == UINT64_MAX ||
		    dump_page(dump, address / DUMP_PAGE, content, NULL))
			return false;
		memcpy(to, content + skip, piece);
		to += piece;
		address += piece;
		length -= piece;
	}
	return true;
}

static bool is_text(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] != '\n' && (bytes[i] < 0x20 || bytes[i] > 0x7e))
			return false;
	}
	return length > sizeof(INFO_TEXT) && !memcmp(bytes, INFO_TEXT, sizeof(INFO_TEXT) - 1);
}

/* The note at an address, its text's length in *length; NULL: there is none. */
static uint8_t *info_at(const struct dump *dump, uint64_t address, const uint8_t *head, size_t *length)
{
	Elf64_Nhdr note;
	uint8_t *text;

	memcpy(&note, head, sizeof(note));
	if (note.n_namesz != sizeof(INFO_NAME) || note.n_type != 0 || note.n_descsz > INFO_MAX ||
	    memcmp(head + sizeof(note), INFO_NAME, sizeof(INFO_NAME)) != 0)
		return NULL;
	text = malloc(note.n_descsz + 1u);
	*length = note.n_descsz;
	if (text && read_bytes(dump, address + INFO_HEAD, text, *length) && is_text(text, *length))
		return text;
	free(text);
	return NULL;
}

static uint8_t *info_find(const struct dump *dump, size_t *length)
{
	uint8_t content[DUMP_PAGE];

	for (size_t i = 0; i < dump->run_count; i++) {
		for (uint64_t at = 0; at < dump->run[i].count; at++) {
			uint64_t page = dump->run[i].first + at;

			if (hash_is(&dump->hash[dump->run[i].index + at], &hash_zero) ||
			    dump_page(dump, page, content, NULL))
				continue;
			for (size_t offset = 0; offset + INFO_HEAD <= DUMP_PAGE; offset += 4) {
				uint8_t *text =
					content[offset] == sizeof(INFO_NAME)
						? info_at(dump, page * DUMP_PAGE + offset, content + offset, length)
						: NULL;

				if (text)
					return text;
			}
		}
	}
	return NULL;
}

/* --- the file --- */

static size_t note_size(size_t name, size_t content)
{
	return sizeof(Elf64_Nhdr) + ALIGN_UP(name, 4) + ALIGN_UP(content, 4);
}

static enum croft_status put_note(struct output *output, const char *name, uint32_t type, const void *content,
				  size_t length, struct croft_error *error)
{
	static const char zeros[4];
	size_t named = strlen(name) + 1;
	Elf64_Nhdr note = {.n_namesz = (uint32_t)named, .n_descsz = (uint32_t)length, .n_type = type};
	enum croft_status status = output_put(output, &note, sizeof(note), error);

	if (!status)
		status = output_put(output, name, named, error);
	if (!status)
		status = output_put(output, zeros, ALIGN_UP(named, 4) - named, error);
	if (!status)
		status = output_put(output, content, length, error);
	return status ? status : output_put(output, zeros, ALIGN_UP(length, 4) - length, error);
}

static enum croft_status put_headers(const struct dump *dump, struct output *output, size_t notes, uint64_t *data,
				     struct croft_error *error)
{
	Elf64_Ehdr elf = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(elf),
		.e_ehsize = sizeof(elf),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (uint16_t)(dump->range_count + 1),
	};
	uint64_t at = sizeof(elf) + (dump->range_count + 1) * sizeof(Elf64_Phdr);
	Elf64_Phdr segment = {.p_type = PT_NOTE, .p_offset = at, .p_filesz = notes, .p_memsz = notes};
	enum croft_status status = output_put(output, &elf, sizeof(elf), error);

	if (!status)
		status = output_put(output, &segment, sizeof(segment), error);
	at = *data = ALIGN_UP(at + notes, DUMP_PAGE);
	for (size_t i = 0; i < dump->range_count && !status; i++) {
		const struct croft_range *range = &dump->range[i];

		segment = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_offset = at,
				       .p_paddr = range->start,
				       .p_filesz = range->length,
				       .p_memsz = range->length};
		status = output_put(output, &segment, sizeof(segment), error);
		at += range->length;
	}
	return status;
}

enum croft_status dump_write_elf_head(struct dump *dump, const struct dump_cpu *cpu, struct output *output,
				      struct croft_error *error)
{
	size_t length = 0, notes;
	enum croft_status status;
	uint64_t data;
	uint8_t *info;

	if (dump->range_count > RANGES_MAX)
		return error_set(error, CROFT_ERROR_PROTOCOL, "memory in more than %u ranges", RANGES_MAX);
	info = info_find(dump, &length);
	dump->result->has_vmcoreinfo = info != NULL;
	notes = note_size(sizeof("CORE"), sizeof(cpu->prstatus)) + note_size(sizeof("QEMU"), sizeof(cpu->qemu)) +
		(info ? note_size(sizeof(INFO_NAME), length) : 0);
	status = put_headers(dump, output, notes, &data, error);
	if (!status)
		status = put_note(output, "CORE", NT_PRSTATUS, &cpu->prstatus, sizeof(cpu->prstatus), error);
	if (!status)
		status = put_note(output, "QEMU", 0, &cpu->qemu, sizeof(cpu->qemu), error);
	if (!status && info)
		status = put_note(output, INFO_NAME, 0, info, length, error);
	output->at = data;
	free(info);
	return status;
}
