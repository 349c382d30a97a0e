/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What conform_v8086.h promises.
 */
#include "conform_v8086.h"

#define TOUCHED (REAL_CODE + 0x4000)
#define LAST	(REAL_CODE + 0xffff)

static uint32_t table[1024] __attribute__((aligned(4096)));
static uint32_t large; /* what it stands in for */

void port_set(uint16_t port)
{
	*(volatile uint16_t *)(REAL_CODE + PORT_AT) = port;
	*(volatile uint8_t *)TOUCHED = 2;
	*(volatile uint8_t *)LAST = 2;
}

void port_permit(uint16_t port, bool is_permitted)
{
	uint8_t *byte = &record_tss.io_bitmap[port / 8], bit = (uint8_t)(1 << port % 8);

	*byte = is_permitted ? (uint8_t)(*byte & ~bit) : (uint8_t)(*byte | bit);
}

void v8086_ports(uint16_t port, uint32_t flags)
{
	port_set(port);
	PORTS(ONE)
	print("permitted:\n");
	port_permit(port, true);
	PORTS(ONE)
	print("both ports permitted:\n");
	port_permit((uint16_t)(port + 1), true);
	ONE(v_in_word)
	ONE(v_insw)
	port_permit(port, false);
	port_permit((uint16_t)(port + 1), false);
	print("no bitmap:\n");
	record_tss.io_base = sizeof(record_tss);
	ONE(v_in)
	ONE(v_insb)
	record_tss.io_base = offsetof(struct tss, io_bitmap);
}

static uint32_t *directory(void)
{
	uint32_t *value;

	__asm__ volatile("movl %%cr3, %0" : "=r"(value));
	return value;
}

void v8086_paging_on(void)
{
	for (uint32_t i = 0; i < 1024; i++)
		table[i] = i * PAGE_BYTES | PTE_P | PTE_W | PTE_U;
	paging_on();
	large = directory()[0];
	directory()[0] = (uint32_t)table | PTE_P | PTE_W | PTE_U;
	__asm__ volatile("movl %0, %%cr3" : : "r"(directory()) : "memory");
}

void v8086_page_set(uint32_t flags)
{
	table[TOUCHED / PAGE_BYTES] = TOUCHED | flags;
	__asm__ volatile("invlpg (%0)" : : "r"(TOUCHED) : "memory");
}

void v8086_paging_off(void)
{
	directory()[0] = large;
	paging_off();
}
