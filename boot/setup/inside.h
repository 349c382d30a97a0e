/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is this machine Undercroft's own virtual machine?
 */
#ifndef BOOT_SETUP_INSIDE_H
#define BOOT_SETUP_INSIDE_H

#include <undercroft/types.h>

/* What the resident low memory begins with; the start stub follows on the next paragraph. */
#define INSIDE_SIGNATURE "UNDERCROFT here"

/* Does Undercroft run already, with us inside? */
bool inside_itself(void);

/* Only if it does: puts a line of at most START_LINE_MAX - 1 characters into its log, whose port is hidden from us. */
void inside_say(const char *line);

#endif
