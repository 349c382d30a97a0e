/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two parts of this guest share.
 */
#ifndef TESTS_MACHINE_GUESTS_STEPS_H
#define TESTS_MACHINE_GUESTS_STEPS_H

#define STEPS_INT	 0x28
#define STEPS_REAL_FLAGS 0x3ff0 /* in the segment of real-mode code */

#endif
