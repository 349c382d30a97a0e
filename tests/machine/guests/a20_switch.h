/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways to switch address line 20.
 */
#ifndef TESTS_MACHINE_GUESTS_A20_SWITCH_H
#define TESTS_MACHINE_GUESTS_A20_SWITCH_H

#include "guest.h"

#define PORT_A	    0x92
#define KBD_COMMAND 0x64

void a20_by_port_a(bool on);
void a20_by_output_port(bool on);
void a20_by_command(bool on);

/* A command to the keyboard controller, and what its output port says. */
void a20_command(uint8_t value);
uint8_t a20_output_port(void);

#endif
