/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fakes/fake_noise.h"

#define CUT_MAX 40

/* xorshift32 */
uint32_t fake_noise_random(struct fake_noise *noise)
{
	noise->random ^= noise->random << 13;
	noise->random ^= noise->random >> 17;
	noise->random ^= noise->random << 5;
	return noise->random;
}

bool fake_noise_cuts(struct fake_noise *noise)
{
	if (!noise->cut)
		return false;
	noise->cut--;
	return true;
}

unsigned fake_noise_damage(struct fake_noise *noise, uint8_t byte, uint8_t out[2])
{
	out[0] = out[1] = byte;
	noise->faults++;
	switch (noise->fault) {
	case FAULT_BIT:
		out[0] ^= (uint8_t)(1u << fake_noise_random(noise) % 8);
		return 1;
	case FAULT_DROP:
		return 0;
	case FAULT_CUT:
		noise->cut = fake_noise_random(noise) % CUT_MAX;
		return 0;
	case FAULT_DUPLICATE:
		return 2;
	case FAULT_INVENT:
		out[0] = (uint8_t)fake_noise_random(noise);
		return 2;
	case FAULT_NONE:
	default:
		return 1;
	}
}
