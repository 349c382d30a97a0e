/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a line does to bytes, the same in each run. When it does something is the test's to say.
 */
#ifndef TESTS_FAKES_FAKE_NOISE_H
#define TESTS_FAKES_FAKE_NOISE_H

#include <stdbool.h>
#include <stdint.h>

enum fault { FAULT_NONE, FAULT_BIT, FAULT_DROP, FAULT_DUPLICATE, FAULT_CUT, FAULT_INVENT };

struct fake_noise {
	enum fault fault;
	uint32_t random; /* not 0 */
	unsigned cut;	 /* bytes that are still to be lost */
	unsigned faults;
};

uint32_t fake_noise_random(struct fake_noise *noise);

/* Is the next byte lost in a cut that has begun? To be asked for each byte once, before anything else. */
bool fake_noise_cuts(struct fake_noise *noise);

/* Does to a byte what this noise does. Returns how many bytes arrive in its place: 0 to 2, in out. */
unsigned fake_noise_damage(struct fake_noise *noise, uint8_t byte, uint8_t out[2]);

#endif
