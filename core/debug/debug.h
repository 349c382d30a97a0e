/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run control's state, and what its files share.
 */
#ifndef CORE_DEBUG_DEBUG_H
#define CORE_DEBUG_DEBUG_H

#include <undercroft/debug.h>

struct debug {
	bool stopped;
	struct stop request; /* kind STOP_NONE: none */
	struct stop stop;    /* the present one, or the last */
};

#endif
