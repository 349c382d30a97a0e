/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: the virtual interrupt flag, in virtual-8086 mode and in ring 3 of protected mode; INT n by the program's
 * own vectors. Needs a CPU that has CR4.VME. SDM vol. 3, "Virtual-8086 Mode: Interrupt Handling" (21.3).
 */
#include "conform_v8086.h"

#define CR4_VME 0x1u
#define CR4_PVI 0x2u

/* clang-format off */
#define VIRTUAL(S) \
	S(v_cli) S(v_sti) S(v_pushf) S(v_pushf32) S(v_popf) S(v_popf_if) S(v_popf_tf) S(v_popf32) S(v_iret) S(v_iret_if) \
	S(v_iret_tf) S(v_iret32)
#define INTERRUPTS(S) \
	S(v_int) S(v_int3)
#define PROTECTED(S) \
	S(p_cli) S(p_sti) S(p_pushf) S(p_popf)
/* clang-format on */

VIRTUAL(DECLARE16)
INTERRUPTS(DECLARE16)
PROTECTED(DECLARE)
extern const uint8_t v_int_handler[];

/* INT VECTOR_TRIED by the 8086 program's own vector, or not; what follows is the same in both. */
static void redirect(bool own)
{
	uint8_t *byte = &record_tss.redirection[VECTOR_TRIED / 8], bit = (uint8_t)(1 << VECTOR_TRIED % 8);

	*byte = own ? (uint8_t)(*byte & ~bit) : (uint8_t)(*byte | bit);
}

static const uint32_t flags_tried[] = {0, FLAGS_VIF, FLAGS_VIP, FLAGS_IOPL, FLAGS_IOPL | FLAGS_VIP};

static void virtual_interrupts(void)
{
	memset(record_tss.redirection, 0xff, sizeof(record_tss.redirection));
	cr4_set(cr4_get() | CR4_VME);
	for (unsigned i = 0; i < sizeof(flags_tried) / sizeof(flags_tried[0]); i++) {
		uint32_t flags = flags_tried[i];

		VIRTUAL(ONE)
	}
	/* at once, with the registers of whoever was before */
	record_strings = false;
	print("VIF and VIP: ");
	RUN_V86(v_cli, FLAGS_VIF | FLAGS_VIP);
	record_strings = true;
	cr4_set(cr4_get() & ~CR4_VME);
}

static void software_interrupts(void)
{
	volatile uint32_t *vector = (volatile uint32_t *)(VECTOR_TRIED * 4);
	uint32_t saved = *vector;

	*vector = (REAL_CODE >> 4) << 16 | (SNIPPET16_AT + (uint32_t)(v_int_handler - v_int));
	cr4_set(cr4_get() | CR4_VME);
	for (unsigned i = 0; i < sizeof(flags_tried) / sizeof(flags_tried[0]); i++) {
		uint32_t flags = flags_tried[i];

		INTERRUPTS(ONE)
		print("redirected: ");
		redirect(true);
		ONE(v_int)
		redirect(false);
	}
	cr4_set(cr4_get() & ~CR4_VME);
	*vector = saved;
}

#define ONE_USER(name)                  \
	print("flags %x ", flags);      \
	run_user_flags(name, 0, flags); \
	record_print(#name, (const void *)name);

static void protected_interrupts(void)
{
	static const uint32_t tried[] = {0, FLAGS_VIF, FLAGS_VIP, FLAGS_IOPL};

	cr4_set(cr4_get() | CR4_PVI);
	for (unsigned i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		uint32_t flags = tried[i];

		PROTECTED(ONE_USER)
	}
	cr4_set(cr4_get() & ~CR4_PVI);
}

void guest_main(void)
{
	record_init();
	record_strings = true;
	mark("virtual-8086 mode");
	virtual_interrupts();
	mark("software interrupts");
	software_interrupts();
	mark("protected mode");
	protected_interrupts();
}
