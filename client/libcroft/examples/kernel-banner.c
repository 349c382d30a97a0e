/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel-banner TARGET: attaches to a machine that runs, finds out which Linux it runs by looking through its memory,
 *and lets it go on. Nothing is known beforehand: no symbols, no addresses.
 *
 *	cc kernel-banner.c $(pkg-config --cflags --libs libcroft)
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <croft.h>

#define BANNER "Linux version "

/* Where long mode has the kernel's half of the linear addresses. */
#define KERNEL	      0xffffffff80000000u
#define KERNEL_LENGTH 0x40000000u

static int failed(const char *what, const struct croft_error *error)
{
	fprintf(stderr, "%s: %s\n", what, error->text);
	return 1;
}

static int look(struct croft_vm *vm, struct croft_error *error)
{
	struct croft_counters counters;
	struct croft_mapping mapping;
	uint64_t pc, found;
	enum croft_mode mode;
	char text[200] = "";
	size_t done;

	if (croft_cpu_mode(croft_vm_cpu(vm), &mode, error) || croft_cpu_linear_pc(croft_vm_cpu(vm), &pc, error))
		return failed("registers", error);
	printf("%s code at 0x%" PRIx64 "\n", croft_mode_name(mode), pc);
	if (croft_memory_search(vm, croft_current(), KERNEL, KERNEL_LENGTH, BANNER, strlen(BANNER), &found, error))
		return failed("search", error);
	/* it may end where its page does: then that is all there is of it */
	(void)croft_memory_read(vm, croft_current(), found, text, sizeof(text) - 1, &done, error);
	text[strcspn(text, "\n")] = 0;
	printf("%s\n", text);
	if (croft_memory_translate(vm, croft_current(), found, &mapping, error))
		return failed("translate", error);
	croft_vm_counters(vm, &counters);
	printf("at 0x%" PRIx64 ", physical 0x%" PRIx64 ", in %" PRIu64 " packets\n", found, mapping.physical,
	       counters.packets_sent);
	return 0;
}

int main(int argc, char **argv)
{
	struct croft_error error;
	struct croft_vm *vm;
	int status;

	if (argc != 2) {
		fprintf(stderr, "usage: kernel-banner TARGET\n");
		return 2;
	}
	if (croft_vm_open(argv[1], 0, 0, &vm, &error))
		return failed("attach", &error);
	status = look(vm, &error);
	if (croft_vm_close(vm, &error) && !status)
		status = failed("detach", &error);
	return status;
}
