/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guests that touch hidden memory share. They run only inside Undercroft: natively there is RAM.
 */
#ifndef TESTS_MACHINE_GUESTS_HIDING_H
#define TESTS_MACHINE_GUESTS_HIDING_H

#include "guest.h"

#define PAGE 0x1000u

extern uint32_t window, window_end;
extern unsigned accesses; /* that Undercroft must have counted */
extern uint8_t ones[PAGE];

/* Finds the window. False, and said so, if there is none. */
bool hiding_start(void);

/* Reads one page and compares; every doubleword is an access. */
void check_untouched(uint32_t at, const char *name);

#endif
