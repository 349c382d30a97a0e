/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Non-maskable interrupts: one by one, with their blocking, and in a stream that meets the hypervisor's code more often
 * than the guest's.
 */
#include "guest.h"

/* SDM vol. 3, "Interrupt Command Register (ICR)" (10.6.1) */
#define APIC_ID	      0xfee00020u
#define APIC_ICR_LOW  0xfee00300u
#define APIC_ICR_HIGH 0xfee00310u
#define ICR_NMI	      0x4400u /* to the CPU named above; asserted */

/* 82093AA I/O APIC, "Register Description" (3): the PIT is its input 2 */
#define IOAPIC_SELECT 0xfec00000u
#define IOAPIC_DATA   0xfec00010u
#define IOAPIC_PIT    (0x10 + 2 * 2)
#define IOAPIC_NMI    0x00400u
#define IOAPIC_MASKED 0x10000u

#define PIT_HZ	  1193182
#define STREAM_HZ 2000
#define STREAM	  300
#define TRIES	  20000000

#define VECTOR_NMI 2

static volatile uint32_t taken, depth, depth_most, send_inside;

static volatile uint32_t *device(uint32_t address)
{
	return (volatile uint32_t *)address;
}

static void leave_and_come_back(void)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx) : : "memory");
}

static void nmi_send(void)
{
	*device(APIC_ICR_HIGH) = *device(APIC_ID) & 0xff000000u;
	*device(APIC_ICR_LOW) = ICR_NMI;
	leave_and_come_back();
}

void nmi_take(void);
void nmi_take(void)
{
	taken++;
	if (++depth > depth_most)
		depth_most = depth;
	while (send_inside) {
		send_inside--;
		nmi_send();
	}
	depth--;
}

void nmi_entry(void);
__asm__(".globl nmi_entry\n"
	"nmi_entry:\n"
	"pusha\n cld\n call nmi_take\n popa\n iret\n");

/* How many are taken when this many are sent at once and as many again by the first one's handler. */
static uint32_t taken_of(uint32_t inside)
{
	taken = depth_most = 0;
	send_inside = inside;
	nmi_send();
	for (unsigned i = 0; i < 100; i++)
		leave_and_come_back();
	return taken;
}

static void ioapic_pit_set(uint32_t low)
{
	*device(IOAPIC_SELECT) = IOAPIC_PIT + 1;
	*device(IOAPIC_DATA) = *device(APIC_ID) & 0xff000000u;
	*device(IOAPIC_SELECT) = IOAPIC_PIT;
	*device(IOAPIC_DATA) = low;
}

/* NMIs from a timer, while the guest does nothing but leave the VM. */
static bool stream(void)
{
	out8(0x43, 0x34);
	out8(0x40, PIT_HZ / STREAM_HZ & 0xff);
	out8(0x40, PIT_HZ / STREAM_HZ >> 8);
	taken = depth_most = 0;
	ioapic_pit_set(IOAPIC_NMI);
	for (uint32_t i = 0; i < TRIES && taken < STREAM; i++)
		leave_and_come_back();
	ioapic_pit_set(IOAPIC_MASKED);
	return taken >= STREAM;
}

void guest_main(void)
{
	idt_set(idt, VECTOR_NMI, nmi_entry);
	check_equal(taken_of(0), 1, "an NMI is taken once");
	check_equal(taken_of(1), 2, "one that comes during the first is taken behind it");
	check_equal(depth_most, 1, "behind its IRET");
	check_equal(taken_of(3), 2, "those that come while one waits are lost in it");
	check_equal(depth_most, 1, "each behind the one before");
	check(stream(), "a stream of NMIs");
	check_equal(depth_most, 1, "one after the other");
	check_equal(taken_of(1), 2, "and then as before");
}
