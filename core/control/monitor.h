/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the commands of the monitor share: output that is sent while they run.
 */
#ifndef CORE_CONTROL_MONITOR_H
#define CORE_CONTROL_MONITOR_H

#include "core/control/packets.h"

struct monitor {
	struct server *server;
	char *arguments; /* behind the command's name and blanks */
	size_t used;
	char text[512];
};

/* Up to 159 characters. */
__attribute__((format(printf, 2, 3))) void monitor_say(struct monitor *m, const char *format, ...);

/* pages.c: what the guest's page tables map, in ranges and entry by entry. */
void monitor_mem(struct monitor *m);
void monitor_tlb(struct monitor *m);

#endif
