/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An exit that nobody handles, with the screen in a VESA mode with a linear frame buffer.
 */
#include "fatal.h"

#define VBE_SET_MODE   0x4f02
#define VBE_LINEAR     0x4000u
#define VBE_1024_768_8 0x105u /* what every display of Bochs shows */

void guest_main(void)
{
	real_call(fatal_video, fatal_video_end, (VBE_LINEAR | VBE_1024_768_8) << 16 | VBE_SET_MODE);
	fatal_provoke();
}
