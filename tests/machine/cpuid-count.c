// SPDX-License-Identifier: BSD-2-Clause
/*
 * A plugin of the emulator: counts the CPUID instructions that a CPU executes from the last time on that it began a
 * boot sector (7C00h in real mode). Written to the file that the argument out=FILE names, at the end.
 *
 * The functions of the emulator that are used, declared as its interface version 1 has them ("QEMU TCG Plugins",
 * "API"): the package brings no header.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { PLUGIN_INLINE_ADD_U64 = 0, PLUGIN_CB_NO_REGS = 0 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int operation, void *counter,
						uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*executed)(unsigned cpu, void *data),
					    int flags, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*ended)(qemu_plugin_id_t id, void *data), void *data);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *machine, int count,
							       char **words);

#define BOOT_SECTOR 0x7c00

static uint64_t cpuids, before;
static const char *out;

static void boot_sector_began(unsigned cpu, void *data)
{
	(void)cpu;
	(void)data;
	before = cpuids;
}

static bool is_prefix(uint8_t byte)
{
	return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || (byte >= 0x64 && byte <= 0x67) ||
	       byte == 0xf2 || byte == 0xf3 || (byte & 0xf0) == 0x40;
}

/* 0F A2, with whatever prefixes */
static bool is_cpuid(const uint8_t *bytes, size_t size)
{
	size_t at = 0;

	while (at < size && is_prefix(bytes[at]))
		at++;
	return size - at == 2 && bytes[at] == 0x0f && bytes[at + 1] == 0xa2;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);

		if (is_cpuid(qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn)))
			qemu_plugin_register_vcpu_insn_exec_inline(insn, PLUGIN_INLINE_ADD_U64, &cpuids, 1);
		if (qemu_plugin_insn_vaddr(insn) == BOOT_SECTOR)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, boot_sector_began, PLUGIN_CB_NO_REGS, NULL);
	}
}

static void ended(qemu_plugin_id_t id, void *data)
{
	FILE *file = fopen(out, "w");

	(void)id;
	(void)data;
	if (!file)
		return;
	fprintf(file, "%llu\n", (unsigned long long)(cpuids - before));
	fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *machine, int count, char **words)
{
	(void)machine;
	if (count != 1 || strncmp(words[0], "out=", 4) != 0)
		return 1;
	out = strdup(words[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
