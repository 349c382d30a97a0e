/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symbols out of files: System.map, as nm(1) prints it, and ELF files with a symbol table.
 */
#include "client/croft/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum croft_status fail(struct croft_error *error, enum croft_status status, const char *path, const char *why)
{
	error->status = status;
	snprintf(error->text, sizeof(error->text), "%s: %s", path, why);
	return status;
}

/* "ffffffff81000000 T startup_64", perhaps with "\t[module]" behind it. False: another form. */
static bool take_line(struct symbols *symbols, char *line, bool *memory)
{
	char *end, *name;
	uint64_t address = strtoull(line, &end, 16);
	char type;

	if (end == line || end[0] != ' ' || !end[1] || end[2] != ' ' || !end[3])
		return false;
	type = end[1];
	name = end + 3;
	if (!symbols_add(symbols, address, type, name, strcspn(name, " \t\n")))
		*memory = false;
	return true;
}

static enum croft_status load_map(struct symbols *symbols, const char *path, struct croft_error *error)
{
	FILE *file = fopen(path, "r");
	bool memory = true, good = true;
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return fail(error, CROFT_ERROR_SYSTEM, path, strerror(errno));
	while (good && memory && getline(&line, &size, file) > 0)
		good = take_line(symbols, line, &memory);
	free(line);
	fclose(file);
	if (!memory)
		return fail(error, CROFT_ERROR_MEMORY, path, strerror(ENOMEM));
	if (!good || !symbols_count(symbols))
		return fail(error, CROFT_ERROR_ARGUMENT, path, "neither a System.map nor an ELF file");
	return CROFT_OK;
}

/* As nm has it, as far as anybody here wants to know. */
static char type_of(const GElf_Sym *symbol)
{
	char type;

	if (symbol->st_shndx == SHN_ABS)
		type = 'A';
	else if (GELF_ST_TYPE(symbol->st_info) == STT_FUNC || GELF_ST_TYPE(symbol->st_info) == STT_NOTYPE)
		type = 'T';
	else
		type = 'D';
	return GELF_ST_BIND(symbol->st_info) == STB_LOCAL ? (char)(type | 0x20) : type;
}

static bool load_table(struct symbols *symbols, Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t count = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;

	for (size_t i = 0; i < count && i <= INT32_MAX; i++) {
		const char *name;
		GElf_Sym symbol;

		if (!gelf_getsym(data, (int)i, &symbol) || symbol.st_shndx == SHN_UNDEF ||
		    GELF_ST_TYPE(symbol.st_info) == STT_FILE || GELF_ST_TYPE(symbol.st_info) == STT_SECTION)
			continue;
		name = elf_strptr(elf, header->sh_link, symbol.st_name);
		if (name && name[0] && !symbols_add(symbols, symbol.st_value, type_of(&symbol), name, strlen(name)))
			return false;
	}
	return true;
}

static enum croft_status load_elf(struct symbols *symbols, Elf *elf, const char *path, struct croft_error *error)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB)
			continue;
		if (!load_table(symbols, elf, section, &header))
			return fail(error, CROFT_ERROR_MEMORY, path, strerror(ENOMEM));
	}
	if (!symbols_count(symbols))
		return fail(error, CROFT_ERROR_ARGUMENT, path, "an ELF file without a symbol table");
	return CROFT_OK;
}

enum croft_status symbols_load(struct symbols *symbols, const char *path, struct croft_error *error)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	enum croft_status status;
	Elf *elf;

	if (file < 0)
		return fail(error, CROFT_ERROR_SYSTEM, path, strerror(errno));
	symbols_clear(symbols);
	elf_version(EV_CURRENT);
	elf = elf_begin(file, ELF_C_READ, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF)
		status = load_elf(symbols, elf, path, error);
	else
		status = load_map(symbols, path, error);
	elf_end(elf);
	close(file);
	if (!status && !symbols_done(symbols))
		status = fail(error, CROFT_ERROR_MEMORY, path, strerror(ENOMEM));
	if (status)
		symbols_clear(symbols);
	else
		symbols_set_source(symbols, path);
	return status;
}
