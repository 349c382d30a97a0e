/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that exit, in video memory: what the hypervisor has to read to carry them out, it does not.
 */
#include "guest.h"

#define VIDEO	  0xb8000
#define VECTOR_GP 13
#define PORT	  0x2ff /* not the guest's */

static void video_write(const void *code, size_t length)
{
	memcpy((void *)VIDEO, code, length);
}

void guest_main(void)
{
	/* pushl %esi; movl %esp, %esi; movw $PORT, %dx; the instruction; popl %esi; ret */
	static const uint8_t in[] = {0x56, 0x89, 0xe6, 0x66, 0xba, PORT & 0xff, PORT >> 8, 0xec, 0x5e, 0xc3};
	static const uint8_t outs[] = {0x56, 0x89, 0xe6, 0x66, 0xba, PORT & 0xff, PORT >> 8, 0x6e, 0x5e, 0xc3};
	uint32_t vector;

	for (unsigned i = 0; i < 3; i++) {
		video_write(in, sizeof(in));
		check_equal(trap_call((void (*)(void *))VIDEO, NULL), TRAP_NONE, "IN from video memory");
		video_write(outs, sizeof(outs));
		vector = trap_call((void (*)(void *))VIDEO, NULL);
		print("guest: OUTS: vector %x\n", vector);
		check(vector == TRAP_NONE || (vector == VECTOR_GP && trap.ip == VIDEO + 7), "OUTS from video memory");
	}
}
