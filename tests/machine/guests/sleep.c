/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks for the sleep states as the firmware's tables say: S3 and S4, which wake at once, then S5, which does not. ACPI,
 * "PM1 Control Registers" (4.8.3.2.1), "PM1 Status Registers" (4.8.3.1.1), "\_Sx (System States)" (7.4.2)
 */
#include "guest.h"

#define DSDT	   40
#define PM1A_EVENT 56
#define PM1A_CNT   64

#define SLP_EN	      0x2000u
#define SLP_TYP	      0x1c00u
#define SLP_TYP_SHIFT 10
#define WAK_STS	      0x8000u

#define OPCODE_BYTE    0x0a
#define OPCODE_PACKAGE 0x12

static uint16_t event, control;

/* The first number of a package of constants, or -1. */
static int sleep_type(const uint8_t *dsdt, const char *name)
{
	uint32_t length = *(const uint32_t *)(dsdt + 4);

	for (uint32_t i = 36; i + 9 <= length; i++) {
		const uint8_t *at = dsdt + i;

		if (!memcmp(at, name, 4) && at[4] == OPCODE_PACKAGE)
			return at[7] == OPCODE_BYTE ? at[8] : at[7];
	}
	return -1;
}

static void ask(unsigned type)
{
	out16(control, (uint16_t)((in16(control) & ~SLP_TYP) | type << SLP_TYP_SHIFT | SLP_EN));
}

static void refused(const char *state, unsigned type)
{
	print("guest: asking for %s\n", state);
	ask(type);
	check(in16(event) & WAK_STS, "the wake status is set");
	out16(event, WAK_STS);
	check(!(in16(event) & WAK_STS), "the wake status is cleared");
	check_equal((in16(control) & SLP_TYP) >> SLP_TYP_SHIFT, type, "the type is kept");
}

void guest_main(void)
{
	const uint8_t *fadt = fadt_find(), *dsdt;
	int s3, s4, s5;

	if (!check(fadt != NULL, "there is a FADT"))
		return;
	dsdt = *(const uint8_t *const *)(fadt + DSDT);
	event = *(const uint16_t *)(fadt + PM1A_EVENT);
	control = *(const uint16_t *)(fadt + PM1A_CNT);
	s3 = sleep_type(dsdt, "_S3_");
	s4 = sleep_type(dsdt, "_S4_");
	s5 = sleep_type(dsdt, "_S5_");
	if (!check(s3 >= 0 && s4 >= 0 && s5 >= 0 && s3 != s5, "there are S3, S4 and S5"))
		return;
	for (unsigned i = 0; i < 2; i++) {
		refused("S3", (unsigned)s3);
		if (s4 != s5)
			refused("S4", (unsigned)s4);
	}
	print("guest: asking for S5\n");
	print_drain();
	ask((unsigned)s5);
	/* the chipset takes its time, in which the CPU runs on */
	for (;;)
		__asm__ volatile("hlt");
}
