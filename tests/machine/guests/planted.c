/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Code with breakpoints in it: who reads it finds what is the guest's, who writes to it changes what is executed, and a
 * linear address is where the page tables lead at the moment. The addresses are those of control/planted.gdb.
 */
#include "guest.h"

/* Frames with the same code, but for what its function returns. The first has more: */
#define FRAMES	 4
#define FRAME(n) ((n) == 3 ? PAGE : 0x30000u + (n)*0x1000u)
#define SYNC	 0x040u /* where the debugger comes in */
#define FUNCTION 0x100u
#define READ	 0x200u /* reads the function's first byte */
#define WRITE	 0x220u /* writes what the function returns */
#define ACROSS	 0xffdu /* begins in the first frame, ends in the second */
#define OPCODE	 0xb8u	/* the function's first byte */

/* What is mapped to one frame after the other; while paging is off, the last of them. And that frame's other address.
 */
#define PAGE  0x800000u
#define ALIAS 0x900000u
#define OTHER 0xa00000u /* never mapped */

#define DIRECTORY(n) (0x34000u + (n)*0x1000u)
#define TABLE(n)     (0x36000u + (n)*0x1000u)
#define ENTRY_RW     0x03u
#define ENTRY_LARGE  0x80u
#define CR4_PSE	     0x10u
#define VECTOR_BP    3
#define VECTOR_PF    14

static uint32_t call(uint32_t address)
{
	return ((uint32_t(*)(void))(uintptr_t)address)();
}

/* MOV EAX, value; RET. */
static void function_write(uint32_t page, uint32_t value)
{
	volatile uint8_t *at = (volatile uint8_t *)(page + FUNCTION);

	at[0] = OPCODE;
	*(volatile uint32_t *)(at + 1) = value;
	at[5] = 0xc3;
}

static void frame_write(uint32_t page, uint32_t value)
{
	uint32_t from = page + FUNCTION;

	memset((void *)page, 0x90, 0x1000);
	*(uint8_t *)(page + SYNC + 1) = 0xc3;
	function_write(page, value);
	/* MOVZX EAX, byte [from]; RET */
	memcpy((void *)(page + READ), "\x0f\xb6\x05", 3);
	memcpy((void *)(page + READ + 3), &from, 4);
	*(uint8_t *)(page + READ + 7) = 0xc3;
	/* MOV byte [from + 1], 7; RET */
	from++;
	memcpy((void *)(page + WRITE), "\xc6\x05", 2);
	memcpy((void *)(page + WRITE + 2), &from, 4);
	memcpy((void *)(page + WRITE + 6), "\x07\xc3", 2);
}

/* Not the same for bytes in another order. */
static uint32_t sum(uint32_t page)
{
	uint32_t value = 0;

	for (uint32_t at = page; at < page + 0x1000; at++)
		value = value * 31 + *(const volatile uint8_t *)at;
	return value;
}

static void sync(void)
{
	(void)call(FRAME(0) + SYNC);
}

static void tables_write(void)
{
	cr4_set(cr4_get() | CR4_PSE);
	for (unsigned n = 0; n < 2; n++) {
		memset((void *)DIRECTORY(n), 0, 0x1000);
		memset((void *)TABLE(n), 0, 0x1000);
		((uint32_t *)DIRECTORY(n))[0] = ENTRY_LARGE | ENTRY_RW;
		((uint32_t *)DIRECTORY(n))[PAGE >> 22] = TABLE(n) | ENTRY_RW;
		((uint32_t *)TABLE(n))[ALIAS >> 12 & 1023] = FRAME(3) | ENTRY_RW;
	}
}

static void page_set(unsigned n, uint32_t frame)
{
	((volatile uint32_t *)TABLE(n))[PAGE >> 12 & 1023] = frame | ENTRY_RW;
}

static void cr3_set(uint32_t directory)
{
	__asm__ volatile("movl %0, %%cr3" : : "r"(directory) : "memory");
}

static void read(void *address)
{
	(void)*(volatile uint8_t *)address;
}

static uint32_t before[FRAMES];

static void check_sums(const char *name)
{
	for (unsigned i = 0; i < FRAMES; i++)
		check_equal(sum(i == 3 ? ALIAS : FRAME(i)), before[i], name);
}

static void function(void *argument)
{
	(void)argument;
	(void)call(FRAME(0) + FUNCTION);
}

static void without_paging(void)
{
	uint32_t own = sum(FRAME(0));

	sync();
	check_equal(sum(FRAME(0)), own, "breakpoints in what is read");
	check_equal(call(FRAME(0) + FUNCTION), 1, "what is under a breakpoint");
	(void)call(FRAME(0) + READ);
	function_write(FRAME(0), 5);
	check_equal(call(FRAME(0) + FUNCTION), 5, "what is written over one");
	*(volatile uint8_t *)(FRAME(0) + FUNCTION + 1) = 1;
	check_equal(call(FRAME(0) + FUNCTION), 1, "a part of it");
	/* from where it is executed */
	(void)call(FRAME(0) + WRITE);
	check_equal(call(FRAME(0) + FUNCTION), 7, "what its own page has written");
	/* the guest's own breakpoint in the place of the debugger's */
	*(volatile uint8_t *)(FRAME(0) + FUNCTION) = 0xcc;
	check_equal(trap_call(function, NULL), VECTOR_BP, "an INT3 of the guest's");
	check_equal(trap.ip, FRAME(0) + FUNCTION + 1, "and what it pushes");
	function_write(FRAME(0), 1);
	check_equal(call(FRAME(0) + ACROSS), 9, "an instruction in two pages");
	check_equal(sum(FRAME(0)), own, "breakpoints in what was written");
}

static void with_paging(void)
{
	tables_write();
	cr3_set(DIRECTORY(0));
	sync();
	paging_set(true);
	check_equal(call(ALIAS + FUNCTION), 4, "not there any more");
	check_equal(trap_call(read, (void *)PAGE), VECTOR_PF, "not mapped");
	/* a fault alone, and nothing that says that something has changed */
	page_set(0, FRAME(0));
	check_equal(trap_call(read, (void *)OTHER), VECTOR_PF, "another page");
	check_equal(call(PAGE + FUNCTION), 1, "mapped");
	page_set(0, FRAME(1));
	__asm__ volatile("invlpg %0" : : "m"(*(const uint8_t *)PAGE) : "memory");
	check_equal(call(PAGE + FUNCTION), 2, "INVLPG");
	page_set(1, FRAME(2));
	cr3_set(DIRECTORY(1));
	check_equal(call(PAGE + FUNCTION), 3, "MOV to CR3");
	for (unsigned i = 0; i < 3; i++)
		check_equal(call(FRAME(i) + FUNCTION), i + 1, "by another address");
	check_sums("while paging is on");
	/* in one of two address spaces */
	sync();
	cr3_set(DIRECTORY(0));
	check_equal(call(PAGE + FUNCTION), 2, "the first address space");
	cr3_set(DIRECTORY(1));
	check_equal(call(PAGE + FUNCTION), 3, "the second address space");
	check_sums("at the end");
	paging_set(false);
}

void guest_main(void)
{
	for (unsigned i = 0; i < FRAMES; i++)
		frame_write(FRAME(i), i + 1);
	/* MOV EAX, 9; RET */
	memcpy((void *)(FRAME(0) + ACROSS), "\xb8\x09\0\0\0\xc3", 6);
	for (unsigned i = 0; i < FRAMES; i++)
		before[i] = sum(FRAME(i));
	without_paging();
	with_paging();
}
