/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory with known contents, for dumps; then, at each tick of the timer, some pages change. control/dump-pages knows
 * the same numbers.
 */
#include "interrupts.h"
#include "pages.h"

#define PAGE_WORDS 1024u

/* All usable memory from here on is filled. */
#define FIRST_PAGE 0x400u

/* Their first words are the tick's number: of these pages always, and of one of those, by turns. */
#define HOT_PAGE    0x400u
#define HOT_COUNT   8u
#define TURNS_PAGE  0x800u
#define TURNS_COUNT 0x800u

#define PIC1_DATA    0x21
#define PIT_CHANNEL0 0x40
#define PIT_MODE     0x43
#define PIT_RATE     0x34   /* channel 0, both bytes, mode 2 */
#define PIT_DIVISOR  11932u /* 100 a second */

static volatile uint32_t *page_at(uint32_t page)
{
	return (volatile uint32_t *)(page << 12);
}

/* One in 8 is zero, one in 8 is like others, one in 256 cannot be compressed; the others repeat 16 words of theirs. */
static void page_fill(uint32_t page)
{
	uint32_t seed = (page % 8 == 1 ? 1 : page) * 2654435761u;
	volatile uint32_t *word = page_at(page);

	for (uint32_t i = 0; i < PAGE_WORDS; i++) {
		if (page % 8 == 0)
			word[i] = 0;
		else if (page % 256 == 2)
			word[i] = seed = seed * 1664525u + 1013904223u;
		else
			word[i] = seed + i % 16 * 0x01030507u;
	}
}

static void memory_fill(void)
{
	for (unsigned i = 0; i < memory_range_count; i++) {
		uint64_t page = (memory_range[i].base + 0xfff) >> 12;
		uint64_t end = (memory_range[i].base + memory_range[i].length) >> 12;

		if (memory_range[i].type != 1)
			continue;
		for (page = page < FIRST_PAGE ? FIRST_PAGE : page; page < end && page < 1u << 20; page++)
			page_fill((uint32_t)page);
	}
}

void guest_main(void)
{
	interrupts_init();
	idt_set(idt, VECTOR_IRQ0, pages_interrupt);
	memory_fill();
	print("guest: memory is filled\n");
	out8(PIT_MODE, PIT_RATE);
	out8(PIT_CHANNEL0, PIT_DIVISOR & 0xff);
	out8(PIT_CHANNEL0, PIT_DIVISOR >> 8);
	out8(PIC1_DATA, 0xfe);
	for (uint32_t tick = 1;; tick++) {
		pages_wait();
		for (uint32_t i = 0; i < HOT_COUNT; i++)
			*page_at(HOT_PAGE + i) = tick;
		*page_at(TURNS_PAGE + tick % TURNS_COUNT) = tick;
	}
}
