// SPDX-License-Identifier: BSD-2-Clause
/*
 * The first program of a Linux guest whose start is measured: the time stamp counter on the console, and then nothing,
 * so that the machine can be looked at as it was then.
 */
#include <stdio.h>
#include <unistd.h>
#include <x86intrin.h>

int main(void)
{
	printf("bench: init %llu .\n", __rdtsc());
	fflush(stdout);
	for (;;)
		pause();
}
