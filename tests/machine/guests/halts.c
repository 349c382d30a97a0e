/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HLTs that interrupts end, and nothing else: each of them is counted against the interrupts that came. Once, at a
 * place where the hypervisor has seen none, one may end without (docs/hardware.md).
 */
#include "interrupts.h"

#define PIT_CHANNEL0 0x40
#define PIT_MODE     0x43
#define PIT_RATE     0x34 /* channel 0, both bytes, mode 2 */
#define PIT_HZ	     1193182
#define TICK_HZ	     25
#define PIC1_DATA    0x21

#define HALTS 100

#define FLAGS_RF 0x10000u

/* How many interrupts there were; the flags that they found, one or'd to the other. */
volatile uint32_t ticks, flags;

/* It returns with interrupts off: a tick that has come meanwhile ends the next HLT. */
void tick_entry(void);
__asm__(".globl tick_entry\n"
	"tick_entry:\n"
	"pushl %eax\n movl 12(%esp), %eax\n orl %eax, flags\n andl $~0x200, 12(%esp)\n popl %eax\n"
	"incl ticks\n iret\n");

/* So many HLTs. Returns how many more of them ended than there were interrupts. */
static uint32_t halt(uint32_t count)
{
	uint32_t start = ticks, ended = 0;

	while (ended < count) {
		__asm__ volatile("sti; hlt; cli" : : : "memory");
		ended++;
	}
	return ended - (ticks - start);
}

void guest_main(void)
{
	interrupts_init();
	idt_set(idt, VECTOR_IRQ0, tick_entry);
	out8(PIT_MODE, PIT_RATE);
	out8(PIT_CHANNEL0, PIT_HZ / TICK_HZ & 0xff);
	out8(PIT_CHANNEL0, PIT_HZ / TICK_HZ >> 8);
	out8(PIC1_DATA, 0xfe);
	check(halt(HALTS) <= 1, "halts at a new place");
	check_equal(halt(HALTS), 0, "halts at a known place");
	out8(PIC1_DATA, 0xff);
	check_equal(flags & FLAGS_RF, 0, "the flags behind a HLT");
}
