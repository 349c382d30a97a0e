/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An exit that nobody handles, with the screen in text mode.
 */
#include "fatal.h"

void guest_main(void)
{
	fatal_provoke();
}
