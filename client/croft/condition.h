/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conditions of breakpoints as people write them, made into GDB's agent expressions, which the hypervisor evaluates.
 * Values have 64 bits. Operators are C's, with its precedence: ! ~ - * / % + - << >> < <= > >= == != & ^ | && ||
 *
 *	rax  $rax  eax  al		registers when it hits
 *	0x7c00  4K  jiffies		numbers and symbols, as they are now
 *	u32[rsp+8]  i8[rsi]		memory: 8, 16, 32 or 64 bits, unsigned or signed
 *	u8(rax)  i32(rax)		a value's low bits, extended
 *
 * As in C, both sides of /, %, <, <=, >, >= and the left one of >> decide on signs: iN and numbers are signed, all else
 * is not, and what is not wins.
 */
#ifndef CROFT_CONDITION_H
#define CROFT_CONDITION_H

#include "client/croft/shell.h"

/* The longest expression; the hypervisor's packets have room for as much. */
#define CONDITION_MAX 480u

/* Compiles all of text. Returns how many bytes code has then. Errors: ARGUMENT; *length is 0. */
enum croft_status condition_compile(struct shell *shell, const char *text, uint8_t code[CONDITION_MAX], size_t *length,
				    struct croft_error *error);

#endif
