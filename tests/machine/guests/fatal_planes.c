/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An exit that nobody handles, with the screen in the VGA's planes: mode 12h, 640 by 480 in 16 colours, after mode 13h.
 */
#include "fatal.h"

#define PLANES	   0xa0000
#define PLANE_SIZE 0x9600

void guest_main(void)
{
	real_call(fatal_video, fatal_video_end, 0x13);
	memset((void *)PLANES, 0x55, 64000);
	real_call(fatal_video, fatal_video_end, 0x12);
	memset((void *)PLANES, 0xaa, PLANE_SIZE);
	fatal_provoke();
}
