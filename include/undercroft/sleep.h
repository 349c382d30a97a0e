/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How this machine is sent to sleep. Flat and pointer-free: part of struct machine.
 * Source: ACPI 6.4, "PM1 Control Registers" (4.8.3.2) and "\_Sx (System States)" (7.4.2).
 */
#ifndef UNDERCROFT_SLEEP_H
#define UNDERCROFT_SLEEP_H

#include <undercroft/types.h>

#define SLEEP_STATES 6 /* S0 to S5 */
#define SLEEP_BLOCKS 2 /* PM1a and PM1b */

struct sleep_control {
	uint16_t control_port[SLEEP_BLOCKS];	   /* of the 16-bit control registers; 0: none */
	uint16_t status_port[SLEEP_BLOCKS];	   /* of the 16-bit status registers; 0: none */
	uint8_t types[SLEEP_STATES][SLEEP_BLOCKS]; /* bit n: SLP_TYP n asks for this state */
	uint8_t reserved[4];
};

#endif
