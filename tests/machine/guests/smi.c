/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMIs by software, in protected and in real mode: what follows the OUT runs in the mode that was.
 */
#include "guest.h"

#define SMI_COMMAND 0xb2 /* the i440FX's and the Q35's */
#define COMMAND	    0x5a /* none that the firmware knows */
#define COUNT	    5

/* smi_code.S: does that COUNT times; how often, at 100h of its segment, and CR0 at 104h. */
extern const uint8_t smi16[], smi16_end[];

void guest_main(void)
{
	const volatile uint32_t *result = (const volatile uint32_t *)(REAL_CODE + 0x100);
	uint32_t cr0, cr0_after;

	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	out8(SMI_COMMAND, COMMAND);
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0_after));
	check_equal(cr0_after, cr0, "protected mode: CR0 after an SMI");
	check_equal(in8(SMI_COMMAND), COMMAND, "protected mode: the command register");
	check(real_call(smi16, smi16_end, COMMAND << 16 | COUNT) == TRAP_NONE, "real mode: SMIs");
	check_equal(result[0], COUNT, "real mode: as many as it made");
	check_equal(result[1] & 0x80000001, 0, "real mode: CR0.PE and CR0.PG after them");
	check_equal(in8(SMI_COMMAND), COMMAND, "real mode: the command register");
}
