/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shows the guest's code. For disas, stops and frames.
 */
#ifndef CROFT_CODE_H
#define CROFT_CODE_H

#include "client/croft/shell.h"

struct code_place {
	uint64_t pc;   /* linear */
	uint64_t base; /* of the code segment: pc - base is the offset that instructions reckon with */
	enum croft_mode mode;
};

/* Where the CPU stands. */
enum croft_status code_place(struct shell *shell, struct code_place *place, struct croft_error *error);

/*
 * count instructions from a linear address, in the CPU's mode. Code and symbols as text, "code" in JSON. *next (may be
 * NULL): behind the last one.
 */
enum croft_status code_show(struct shell *shell, struct croft_space space, const struct code_place *place,
			    uint64_t address, unsigned count, uint64_t *next, struct croft_error *error);

#endif
