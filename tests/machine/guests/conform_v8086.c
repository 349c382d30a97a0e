/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: virtual-8086 mode. What IOPL guards, what ring 3 may not do, I/O permission, exceptions, interrupts and
 * page faults out of it. Nothing here exits. SDM vol. 3, "8086 Emulation" (21).
 */
#include "conform_v8086.h"

#define CR0_AM	0x40000u
#define CR4_TSD 0x4u

#define VECTOR_BP 3
#define VECTOR_OF 4

#define PORT 0x80 /* the BIOS's codes */

/* clang-format off */
#define GUARDED(S) \
	S(v_cli) S(v_sti) S(v_pushf) S(v_pushf32) S(v_popf) S(v_popf32) S(v_iret) S(v_iret32) \
	S(v_int) S(v_int_kernel) S(v_int3) S(v_into) S(v_icebp)
#define PRIVILEGED(S) \
	S(v_hlt) S(v_clts) S(v_invd) S(v_wbinvd) S(v_lmsw) S(v_cr0) S(v_cr0_read) S(v_dr7) S(v_rdmsr) S(v_wrmsr) S(v_lgdt) \
	S(v_lidt) S(v_invlpg) S(v_rdtsc) S(v_lldt) S(v_ltr) S(v_sldt) S(v_str) S(v_lar) S(v_verr) S(v_arpl) \
	S(v_smsw) S(v_sgdt)
#define FAULTS(S) \
	S(v_divide) S(v_ud2) S(v_bound) S(v_limit) S(v_limit_stack) S(v_limit_32) S(v_far) S(v_unaligned)
#define INTERRUPTS(S) \
	S(v_irq_nop) S(v_irq_sti)
/* clang-format on */

GUARDED(DECLARE16)
PRIVILEGED(DECLARE16)
FAULTS(DECLARE16)
INTERRUPTS(DECLARE16)
DECLARE16(v_step)
DECLARE16(v_load)
DECLARE16(v_store)
DECLARE(iret_vm)

static void guarded(uint32_t flags)
{
	GUARDED(ONE)
}

static void privileged(uint32_t flags)
{
	PRIVILEGED(ONE)
	print("CR4.TSD: ");
	cr4_set(cr4_get() | CR4_TSD);
	ONE(v_rdtsc)
	cr4_set(cr4_get() & ~CR4_TSD);
}

static void faults(void)
{
	uint32_t flags = 0;

	FAULTS(ONE)
	print("CR0.AM and AC: ");
	__asm__ volatile("movl %%cr0, %%eax; orl %0, %%eax; movl %%eax, %%cr0" : : "i"(CR0_AM) : "eax");
	RUN_V86(v_unaligned, FLAGS_AC);
	__asm__ volatile("movl %%cr0, %%eax; andl %0, %%eax; movl %%eax, %%cr0" : : "i"(~CR0_AM) : "eax");
	record_strings = false;
	RUN_V86(v_step, FLAGS_TF);
	RUN_V86(v_step, FLAGS_TF | FLAGS_IOPL);
	record_strings = true;
}

static void gates(void)
{
	static const struct {
		uint16_t selector;
		uint8_t type;
	} tried[] = {{SELECTOR_CODE32, 0xef},	  {SELECTOR_CODE32, 0x8e}, {SELECTOR_CODE32, 0x6e},
		     {SELECTOR_CONFORMING, 0xee}, {SELECTOR_DATA, 0xee},   {SELECTOR_USER_CODE, 0xee},
		     {SELECTOR_ABSENT_CODE, 0xee}};
	struct idt_gate saved = idt[VECTOR_TRIED];
	uint32_t flags = 0;

	for (unsigned i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		idt[VECTOR_TRIED].selector = tried[i].selector;
		idt[VECTOR_TRIED].type = tried[i].type;
		print("selector %x, type %x ", tried[i].selector, tried[i].type);
		RUN_V86(v_int, FLAGS_IOPL);
	}
	idt[VECTOR_TRIED] = saved;
	idt[VECTOR_BP].type = idt[VECTOR_OF].type = 0x8e;
	ONE(v_int3)
	ONE(v_into)
	idt[VECTOR_BP].type = idt[VECTOR_OF].type = 0xee;
}

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

	port_set(PORT);
	port_permit(PORT, true);
	v8086_paging_on();
	for (unsigned i = 0; i < sizeof(tried); i++) {
		print("PTE %x:\n", tried[i]);
		v8086_page_set(tried[i]);
		ONE(v_load)
		ONE(v_store)
		ONE(v_insb)
	}
	v8086_paging_off();
	port_permit(PORT, false);
}

/* Ring 3 cannot turn VM on. */
static void iret_to_v8086(void)
{
	run_user(iret_vm, 0);
	print("IRET to v8086 mode in ring 3: %s\n",
	      record_count == 1 && record[0].vector == 0x30 && record[0].cs == SELECTOR_USER_CODE ? "VM stays clear"
												  : "wrong");
}

void guest_main(void)
{
	record_init();
	record_strings = true;
	mark("IOPL");
	guarded(0);
	guarded(FLAGS_IOPL);
	iret_to_v8086();
	mark("instructions");
	privileged(0);
	mark("ports");
	v8086_ports(PORT, 0);
	v8086_ports(PORT, FLAGS_IOPL);
	mark("exceptions");
	faults();
	mark("gates");
	gates();
	mark("interrupts");
	interrupts();
	mark("page faults");
	page_faults();
}
