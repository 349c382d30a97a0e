/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: virtual-8086 mode, and instructions in it that exit; interrupts and page faults in between.
 */
#include "conform_v8086.h"

#define PORT 0x92 /* intercepted by Undercroft, with a value that stays */

/* clang-format off */
#define EXITING(S) \
	S(v_in_direct) S(v_cpuid) S(v_vmcall) S(v_vmmcall)
#define INTERRUPTS(S) \
	S(v_irq_cpuid) S(v_irq_in) S(v_irq_sti_cpuid)
/* clang-format on */

EXITING(DECLARE16)
INTERRUPTS(DECLARE16)
DECLARE16(v_step_exits)

#define IRQ(name) irq0_raise(), ONE(name)

static void interrupts(void)
{
	uint32_t flags = FLAGS_IF;

	interrupts_init();
	record_strings = false;
	INTERRUPTS(IRQ)
	flags = FLAGS_IOPL;
	INTERRUPTS(IRQ)
	irq0_forget();
	record_strings = true;
}

static void page_faults(void)
{
	static const uint8_t tried[] = {0, PTE_P, PTE_P | PTE_W, PTE_P | PTE_U, PTE_P | PTE_U | PTE_W};
	uint32_t flags = 0;

	v8086_paging_on();
	for (unsigned i = 0; i < sizeof(tried); i++) {
		print("PTE %x:\n", tried[i]);
		v8086_page_set(tried[i]);
		ONE(v_insb)
		ONE(v_outsb)
	}
	v8086_paging_off();
}

void guest_main(void)
{
	uint32_t flags = 0;

	record_init();
	record_strings = true;
	mark("ports");
	v8086_ports(PORT, 0);
	v8086_ports(PORT, FLAGS_IOPL);
	port_permit(PORT, true);
	mark("instructions");
	EXITING(ONE)
	mark("single step");
	record_strings = false;
	RUN_V86(v_step_exits, FLAGS_TF);
	record_strings = true;
	mark("interrupts");
	interrupts();
	mark("page faults");
	page_faults();
}
