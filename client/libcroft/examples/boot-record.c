/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot-record TARGET: attaches to a machine that has not booted yet, lets it run to its boot record, looks around, and
 * leaves it alone. What libcroft can do, one thing after the other.
 *
 *	cc boot-record.c $(pkg-config --cflags --libs libcroft)
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <croft.h>

#define BOOT_RECORD 0x7c00u
#define SIGNATURE   0x1feu /* 55h AAh in its last two bytes */
#define WAIT_MS	    60000

/* Every function says what went wrong in words. */
static int failed(const char *what, const struct croft_error *error)
{
	fprintf(stderr, "%s: %s\n", what, error->text);
	return 1;
}

/* Asked at each stop. The guest stands, and everything can be looked at; true: it stays so. */
static bool is_wanted(void *data, struct croft_vm *vm, const struct croft_stop *stop)
{
	unsigned *asked = (unsigned *)data;
	enum croft_mode mode;

	(void)stop;
	++*asked;
	return croft_cpu_mode(croft_vm_cpu(vm), &mode, NULL) == CROFT_OK && mode == CROFT_MODE_REAL;
}

static int run_to_boot_record(struct croft_vm *vm, struct croft_error *error)
{
	struct croft_break what = {.kind = CROFT_BREAK_SOFT, .address = BOOT_RECORD, .name = "boot"};
	struct croft_breakpoint *breakpoint;
	const struct croft_stop *stop;
	struct croft_event *event;
	unsigned asked = 0;
	char line[80];

	if (croft_breakpoint_add(vm, &what, &breakpoint, error))
		return failed("breakpoint", error);
	croft_breakpoint_describe(breakpoint, line, sizeof(line));
	printf("%s\n", line);
	if (croft_event_add(vm, is_wanted, &asked, &event, error) || croft_vm_run(vm, error) ||
	    croft_vm_wait(vm, WAIT_MS, &stop, error))
		return failed("run", error);
	printf("stopped by %s, %s at 0x%" PRIx64 ", asked %u\n", croft_stop_name(stop->kind),
	       stop->breakpoint ? croft_breakpoint_what(stop->breakpoint)->name : "nothing", stop->address, asked);
	croft_event_remove(event);
	if (croft_breakpoint_remove(breakpoint, error))
		return failed("remove", error);
	return 0;
}

static int look_around(struct croft_vm *vm, struct croft_error *error)
{
	struct croft_cpu *cpu = croft_vm_cpu(vm);
	struct croft_mapping mapping;
	uint64_t pc, cs, found;
	enum croft_mode mode;
	uint8_t record[512];

	/* one round trip for all general registers */
	if (croft_cpu_load(cpu, CROFT_GROUP_GENERAL, error) || croft_cpu_linear_pc(cpu, &pc, error) ||
	    croft_cpu_read(cpu, "cs", &cs, error) || croft_cpu_mode(cpu, &mode, error))
		return failed("registers", error);
	printf("%s code at 0x%" PRIx64 ", cs 0x%" PRIx64 "\n", croft_mode_name(mode), pc, cs);
	if (croft_memory_read(vm, croft_physical(), BOOT_RECORD, record, sizeof(record), NULL, error))
		return failed("memory", error);
	printf("boot record ends with %02x %02x\n", record[SIGNATURE], record[SIGNATURE + 1]);
	if (croft_memory_search(vm, croft_physical(), 0, 0x10000, record, 16, &found, error))
		return failed("search", error);
	printf("its first bytes are at 0x%" PRIx64 "\n", found);
	if (croft_memory_translate(vm, croft_current(), pc, &mapping, error))
		return failed("translate", error);
	printf("it is physical 0x%" PRIx64 "\n", mapping.physical);
	return 0;
}

/* A register that is changed, and memory that is: both as they were, before the guest notices. */
static int change_and_restore(struct croft_vm *vm, struct croft_error *error)
{
	static const uint8_t other[4] = {'#', '$', '}', '*'};
	struct croft_cpu *cpu = croft_vm_cpu(vm);
	uint8_t before[4], after[4];
	uint64_t rax, seen;

	if (croft_memory_read(vm, croft_current(), BOOT_RECORD, before, 4, NULL, error) ||
	    croft_memory_write(vm, croft_current(), BOOT_RECORD, other, 4, NULL, error) ||
	    croft_memory_read(vm, croft_current(), BOOT_RECORD, after, 4, NULL, error) ||
	    croft_memory_write(vm, croft_current(), BOOT_RECORD, before, 4, NULL, error))
		return failed("memory", error);
	if (croft_cpu_read(cpu, "rax", &rax, error) || croft_cpu_write(cpu, "rax", 0x1234, error) ||
	    croft_cpu_flush(cpu, error) || croft_cpu_read(cpu, "rax", &seen, error) ||
	    croft_cpu_write(cpu, "rax", rax, error))
		return failed("registers", error);
	printf("memory and registers %s\n",
	       memcmp(after, other, 4) == 0 && seen == 0x1234 ? "can be changed" : "did not change");
	return 0;
}

static int step(struct croft_vm *vm, struct croft_error *error)
{
	const struct croft_stop *stop;
	uint64_t pc;

	if (croft_vm_step(vm, error) || croft_vm_wait(vm, WAIT_MS, &stop, error) ||
	    croft_cpu_linear_pc(croft_vm_cpu(vm), &pc, error))
		return failed("step", error);
	printf("stopped by %s, %s\n", croft_stop_name(stop->kind), pc == BOOT_RECORD ? "where it was" : "elsewhere");
	return 0;
}

int main(int argc, char **argv)
{
	struct croft_error error;
	struct croft_vm *vm;
	int status;

	if (argc != 2) {
		fprintf(stderr, "usage: boot-record TARGET\n");
		return 2;
	}
	if (croft_vm_open(argv[1], 0, 0, &vm, &error))
		return failed("attach", &error);
	status = run_to_boot_record(vm, &error);
	if (!status)
		status = look_around(vm, &error);
	if (!status)
		status = change_and_restore(vm, &error);
	if (!status)
		status = step(vm, &error);
	if (croft_vm_close(vm, &error) && !status)
		status = failed("detach", &error);
	return status;
}
