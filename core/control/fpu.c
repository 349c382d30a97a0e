/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87 and SSE registers in an FXSAVE image of 64-bit form.
 */
#include "core/control/fpu.h"

#include <string.h>

#include <undercroft/errno.h>
#include <undercroft/platform.h>

#include "core/control/layout.h"

/* SDM vol. 1, "FXSAVE Area" (10.5.1), table 10-2; with REX.W the two pointers have 64 bits */
#define IMAGE_FTW	 4 /* one bit for each register that is not empty */
#define IMAGE_MXCSR	 24
#define IMAGE_MXCSR_MASK 28
#define IMAGE_ST	 32
#define IMAGE_XMM	 160
#define IMAGE_STRIDE	 16

#define MXCSR_MASK_DEFAULT                                                                        \
	0xffbfu /* where the image has 0: SDM vol. 1, "SIMD Floating-Point Exception..." (11.6.6) \
		 */

#define ST_SIZE	    10
#define TAG_EMPTY   3u
#define TAG_SPECIAL 2u
#define TAG_ZERO    1u
#define TAG_VALID   0u

enum control { FCTRL, FSTAT, FTAG, FISEG, FIOFF, FOSEG, FOOFF, FOP };

static const struct {
	uint8_t offset, size;
} controls[FPU_CONTROL] = {
	[FCTRL] = {0, 2}, [FSTAT] = {2, 2},  [FTAG] = {IMAGE_FTW, 1}, [FISEG] = {12, 4},
	[FIOFF] = {8, 4}, [FOSEG] = {20, 4}, [FOOFF] = {16, 4},	      [FOP] = {6, 2},
};

struct image {
	uint8_t bytes[PLATFORM_FPU_IMAGE];
} __attribute__((aligned(16)));

/* SDM vol. 1, "x87 FPU Tag Word" (8.1.7): two bits a register, by its content */
static unsigned tag_of(const uint8_t *st)
{
	unsigned exponent = (unsigned)(st[8] | st[9] << 8) & 0x7fff;
	uint64_t mantissa;

	memcpy(&mantissa, st, sizeof(mantissa));
	if (exponent == 0)
		return mantissa ? TAG_SPECIAL : TAG_ZERO;
	return exponent != 0x7fff && mantissa >> 63 ? TAG_VALID : TAG_SPECIAL;
}

/* The bits of FTW are the registers' own, the image has them from the top of the stack on. */
static uint32_t tag_word(const struct image *image)
{
	unsigned top = image->bytes[3] >> 3 & 7;
	uint32_t word = 0;

	for (unsigned i = 0; i < 8; i++) {
		unsigned st = (i - top) & 7;
		unsigned tag = TAG_EMPTY;

		if (image->bytes[IMAGE_FTW] >> i & 1)
			tag = tag_of(&image->bytes[IMAGE_ST + st * IMAGE_STRIDE]);
		word |= tag << 2 * i;
	}
	return word;
}

static uint8_t *place_of(struct image *image, unsigned index)
{
	if (index < FPU_CONTROL)
		return &image->bytes[IMAGE_ST + index * IMAGE_STRIDE];
	if (index < FPU_SSE)
		return &image->bytes[controls[index - FPU_CONTROL].offset];
	if (index < FPU_MXCSR)
		return &image->bytes[IMAGE_XMM + (index - FPU_SSE) * IMAGE_STRIDE];
	return &image->bytes[IMAGE_MXCSR];
}

/* Bytes the image has of a register. */
static unsigned image_size(unsigned index)
{
	if (index < FPU_CONTROL)
		return ST_SIZE;
	if (index < FPU_SSE)
		return controls[index - FPU_CONTROL].size;
	return index < FPU_MXCSR ? IMAGE_STRIDE : sizeof(uint32_t);
}

void fpu_get(struct platform *platform, unsigned index, void *value)
{
	struct image image;
	uint32_t word;

	platform->ops->fpu_save(platform, image.bytes);
	if (index == FPU_CONTROL + FTAG) {
		word = tag_word(&image);
		memcpy(value, &word, sizeof(word));
		return;
	}
	/* the control registers have 32 bits here, whatever the image has of them */
	if (index >= FPU_CONTROL && index < FPU_SSE)
		memset(value, 0, sizeof(word));
	memcpy(value, place_of(&image, index), image_size(index));
}

int fpu_set(struct platform *platform, unsigned index, const void *value)
{
	struct image image;
	uint32_t word = 0, mask;

	platform->ops->fpu_save(platform, image.bytes);
	if ((index >= FPU_CONTROL && index < FPU_SSE) || index == FPU_MXCSR)
		memcpy(&word, value, sizeof(word));
	if (index == FPU_CONTROL + FTAG) {
		uint8_t *ftw = &image.bytes[IMAGE_FTW];

		*ftw = 0;
		for (unsigned i = 0; i < 8; i++)
			*ftw = (uint8_t)(*ftw | ((word >> 2 * i & 3) != TAG_EMPTY) << i);
	} else {
		memcpy(place_of(&image, index), value, image_size(index));
	}
	if (index == FPU_MXCSR) {
		memcpy(&mask, &image.bytes[IMAGE_MXCSR_MASK], sizeof(mask));
		if (word & ~(mask ? mask : MXCSR_MASK_DEFAULT))
			return -EINVAL;
	}
	platform->ops->fpu_load(platform, image.bytes);
	return 0;
}
