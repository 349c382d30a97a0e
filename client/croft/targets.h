/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration file, which gives targets names:
 *
 *	default = lab		# what is meant without -t
 *
 *	[lab]
 *	target = serial:/dev/ttyUSB0,115200
 *	symbols = /boot/System.map
 *	timeout = 10000		# milliseconds
 */
#ifndef CROFT_TARGETS_H
#define CROFT_TARGETS_H

#include <stdbool.h>
#include <stdio.h>

struct target {
	char *target;	     /* as libcroft takes it */
	char *symbols;	     /* a file, or "kallsyms"; NULL: none */
	unsigned timeout_ms; /* 0: the default */
};

/* "$XDG_CONFIG_HOME/croft/config", or the same below ~/.config. False: there is no such place. */
bool targets_path(char *path, size_t size);

/*
 * What a name means; NULL: the default. A name that is not in the file is a target itself. from may be NULL: there is
 * no file. Returns 0, or the number of the line that is wrong (why: in words), or -1: no memory. target is to be given
 * back by target_free().
 */
int targets_find(FILE *from, const char *name, struct target *target, const char **why);
void target_free(struct target *target);

#endif
