/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is made of the verb table when croft is built.
 */
#ifndef CROFT_GENERATE_H
#define CROFT_GENERATE_H

#include <stdio.h>

/* Completion for bash. */
void generate_completion(FILE *to);

/* The section of croft(1) on the verbs, for man(7). */
void generate_manual(FILE *to);

#endif
