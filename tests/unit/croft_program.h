/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * croft's main(), by another name, for a test that has one of its own. The Makefile includes this before its source.
 */
#ifndef TESTS_UNIT_CROFT_PROGRAM_H
#define TESTS_UNIT_CROFT_PROGRAM_H

int croft_main(int count, char **words);

#endif
