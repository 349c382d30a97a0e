/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses and numbers as people write them:
 *
 *	0x7c00  31744  4K  1M		numbers; K, M, G and T are powers of 1024
 *	rsp  $rsp  eax  al		registers of the CPU
 *	start_kernel			a symbol
 *	cs:ip  0x9ec0:0x10		a segment and an offset: a linear address
 *	start_kernel+0x10*2-(rsp)	sums and products
 */
#ifndef CROFT_EXPR_H
#define CROFT_EXPR_H

#include "client/croft/shell.h"

/* A register or a part of one: "rax", "$eax", "al". */
struct expr_register {
	const char *name; /* of all of it; as long as the VM is */
	unsigned number;  /* in RSP */
	unsigned shift, bits;
};

/* Is it one, of up to 8 bytes? False without a VM, too. */
bool expr_find_register(const struct shell *shell, const char *name, struct expr_register *reg);

/* Evaluates all of text. Errors: ARGUMENT, and those of reading registers. vm may be NULL: then there are none. */
enum croft_status expr_evaluate(struct shell *shell, const char *text, uint64_t *value, struct croft_error *error);

/* The same; says what is wrong with it. */
enum outcome expr_take(struct shell *shell, const char *text, uint64_t *value);

#endif
