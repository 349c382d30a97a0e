/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM on the fakes whose vCPU has core's whole exit spine: what its tests share. Must not know any test.
 */
#ifndef TESTS_UNIT_SPINE_H
#define TESTS_UNIT_SPINE_H

#include <undercroft/machine.h>

#include "tests/fakes/fake_backend.h"

#define SPINE_MEMORY MIB(16)
#define SPINE_HIDDEN MIB(12) /* 1 MiB of it; the page pool begins one page behind its start */
#define SPINE_CODE   0x8000ull
#define SPINE_TABLES 0x180000ull /* the guest's, in 64-bit code */

struct spine {
	struct fake_vm fake;
	struct machine machine;
	char log[4096]; /* what was logged, terminated */
};

/*
 * 16 MiB of memory, identity map, a step's pages, all defaults. The vCPU is in 16-bit real mode at 0:8000 with flat
 * segments; every exit of it goes through vcpu_exit().
 */
void spine_init(struct spine *spine);
void spine_free(struct spine *spine);

/* The same as fixtures for cmocka_unit_test_prestate_setup_teardown(), whose state is the struct spine. */
int spine_setup(void **state);
int spine_teardown(void **state);

/* Places bytes at the instruction pointer, padded with NOPs. */
void spine_code(struct spine *spine, const void *bytes, size_t length);

/* One exit with this detail; delivery may be NULL. */
void spine_exit(struct spine *spine, enum exit_kind kind, unsigned length, const struct exit_detail *detail,
		const struct event *delivery);

/* The one event that the next entry delivers, or NULL. */
const struct event *spine_injected(const struct spine *spine);

/* Was this logged? */
bool spine_logged(const struct spine *spine, const char *text);

/* Switches the vCPU to 64-bit code, the first 4 GiB mapped 1:1. */
void spine_long64(struct spine *spine);

/* Switches to 32-bit protected mode code. */
void spine_prot32(struct spine *spine);

#endif
