/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hidden memory by every kind of access of an instruction, in every mode: reads give all ones, nothing changes, nothing
 * is lost, and each access is counted once.
 */
#include "hiding.h"

#define CR0_PG	      0x80000000u
#define CR0_EM	      0x4u
#define CR0_MP	      0x2u
#define CR4_PSE	      0x10u
#define CR4_OSFXSR    0x200u
#define PTE_PRESENT   0x01u
#define PTE_WRITE     0x02u
#define PTE_LARGE     0x80u
#define PF_RESERVED   0x8u
#define DR6_BS	      0x4000u
#define VECTOR_UD     6
#define VECTOR_PF     14
#define MAPPED_LINEAR 0x40000000u
#define RESET_VECTOR  0xfffffff0u
static uint32_t page_directory[1024] __attribute__((aligned(4096)));

/* hiding_code.S */
extern const uint8_t hiding32_trap_next[];
extern const uint8_t hiding64_loads[], hiding64_stack[], hiding64_crossing[], hiding64_table[];
extern const uint8_t hiding16_access[], hiding16_access_end[];
uint32_t hiding_push_pop(uint32_t stack);
uint32_t hiding_call(uint32_t stack);
void hiding32_trap(void *address);

static void check_loads(void)
{
	uint32_t low, high;
	uint8_t sse[16];

	check_equal(*(volatile uint8_t *)(window + 1), 0xff, "a load of 1 byte");
	check_equal(*(volatile uint16_t *)(window + 2), 0xffff, "a load of 2 bytes");
	check_equal(*(volatile uint32_t *)(window + 4), 0xffffffff, "a load of 4 bytes");
	check_equal(*(volatile uint32_t *)(window + 0x7fd), 0xffffffff, "an unaligned load of 4 bytes");
	accesses += 4;
	low = high = 0;
	__asm__ volatile("fildll (%2)\n\tfistpll %0" : "=m"(*(uint64_t *)sse) : "m"(*(uint64_t *)sse), "r"(window + 8));
	accesses++;
	memcpy(&low, sse, 4);
	memcpy(&high, sse + 4, 4);
	check(low == 0xffffffff && high == 0xffffffff, "a load of 8 bytes");
	memset(sse, 0, sizeof(sse));
	__asm__ volatile("movdqu (%1), %%xmm0\n\tmovdqu %%xmm0, %0" : "=m"(sse) : "r"(window + 16));
	accesses++;
	check(!memcmp(sse, ones, 16), "a load of 16 bytes");
	check_equal(*(volatile uint32_t *)(window_end - 4), 0xffffffff, "the last load");
	accesses++;
}

static void check_stores(void)
{
	uint32_t value = 0x12345678;
	uint8_t sse[16] = {0};

	*(volatile uint8_t *)(window + 1) = 0;
	*(volatile uint16_t *)(window + 2) = 0;
	*(volatile uint32_t *)(window + 4) = 0;
	accesses += 3;
	__asm__ volatile("movdqu %0, %%xmm0\n\tmovdqu %%xmm0, (%1)" : : "m"(sse), "r"(window + 16) : "memory");
	accesses++;
	check_untouched(window, "stores change nothing");

	__asm__ volatile("xchgl %0, (%1)" : "+r"(value) : "r"(window) : "memory");
	accesses++;
	check_equal(value, 0xffffffff, "XCHG gets ones");
	__asm__ volatile("lock addl $1, (%0)" : : "r"(window) : "memory");
	accesses++;
	value = 1;
	__asm__ volatile("lock xaddl %0, (%1)" : "+r"(value) : "r"(window) : "memory");
	accesses++;
	check_equal(value, 0xffffffff, "LOCK XADD gets ones");
	check_untouched(window, "XCHG and LOCK change nothing");
}

static void check_strings(void)
{
	uint32_t buffer[5] = {0}, count, value;
	void *to, *from;

	to = buffer, from = (void *)window, count = 4;
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	accesses += 4;
	check(!memcmp(buffer, ones, 16) && !buffer[4] && !count && from == (void *)(window + 16), "REP MOVS from it");
	memset(buffer, 0, sizeof(buffer));
	to = (void *)(window + 0x100), from = buffer, count = 4;
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	accesses += 4;
	check(!count && to == (void *)(window + 0x110), "REP MOVS to it");
	to = (void *)(window + PAGE), from = (void *)(window + 5 * PAGE), count = 3;
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	accesses += 3;
	check(!count && to == (void *)(window + PAGE + 12), "REP MOVS from one page of it to another");
	to = (void *)(window + 0x200), count = 5;
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0) : "memory");
	accesses += 5;
	check(!count && to == (void *)(window + 0x205), "REP STOS");
	from = (void *)(window + 0x300), count = 3, value = 0;
	__asm__ volatile("rep lodsl" : "+S"(from), "+c"(count), "+a"(value) : : "memory");
	accesses += 3;
	check(!count && value == 0xffffffff, "REP LODS");
	to = (void *)(window + 0x400), count = 6;
	__asm__ volatile("repe scasb" : "+D"(to), "+c"(count) : "a"(0xff) : "cc", "memory");
	accesses += 6;
	check(!count && to == (void *)(window + 0x406), "REPE SCAS finds ones");
	to = (void *)(window + 0x500), from = (void *)(window + 0x600), count = 2;
	__asm__ volatile("repe cmpsl" : "+D"(to), "+S"(from), "+c"(count) : : "cc", "memory");
	accesses += 2;
	check(!count, "REPE CMPS of two places in it");
	check_untouched(window, "string instructions change nothing");
	check_untouched(window + PAGE, "nor in the next page");
}

static void check_crossings(void)
{
	volatile uint16_t *below = (volatile uint16_t *)(window - 2);
	uint16_t saved = *below;
	uint32_t value;
	uint8_t sse[16];

	check_equal(*(volatile uint32_t *)(window + PAGE - 2), 0xffffffff, "a load across two of its pages");
	*(volatile uint32_t *)(window + PAGE - 2) = 0;
	accesses += 2;
	check_untouched(window, "a store across two of its pages changes nothing in the first");
	check_untouched(window + PAGE, "and nothing in the second");

	*below = 0x1234;
	check_equal(*(volatile uint32_t *)(window - 2), 0xffff1234, "a load across its beginning");
	*(volatile uint32_t *)(window - 2) = 0x55667788;
	accesses += 2;
	check_equal(*below, 0x7788, "a store across its beginning stores what lies below");
	check_untouched(window, "and nothing else");
	*below = saved;
	value = *(volatile uint32_t *)window_end;
	check_equal(*(volatile uint32_t *)(window_end - 2), value << 16 | 0xffff, "a load across its end");
	__asm__ volatile("movdqu (%1), %%xmm0\n\tmovdqu %%xmm0, %0" : "=m"(sse) : "r"(window + 3 * PAGE - 5));
	accesses += 2;
	check(!memcmp(sse, ones, 16), "a load of 16 bytes across two of its pages");
}

static void do_jump(void *address)
{
	((void (*)(void))address)();
}

static void check_fetch(void)
{
	uint8_t *edge = (uint8_t *)window - 3, saved[3];

	check_equal(trap_call(do_jump, (void *)(window + 0x100)), VECTOR_UD, "a jump there is #UD");
	check_equal(trap.ip, window + 0x100, "at its target");
	accesses++;
	/* an instruction across the edge, then one beyond it */
	memcpy(saved, edge, sizeof(saved));
	memcpy(edge, "\xb8\x11\x22", sizeof(saved));
	check_equal(trap_call(do_jump, edge), VECTOR_UD, "an instruction across its beginning, and #UD after it");
	check_equal(trap.ip, window + 2, "behind that instruction");
	accesses += 2;
	memcpy(edge, saved, sizeof(saved));
}

static void check_stack(void)
{
	check_equal(hiding_push_pop(window + 0x800), 0xffffffff, "PUSH there, POP gets ones");
	accesses += 2;
	check_equal(hiding_call(window + 0x800), 1, "CALL with the stack there");
	accesses++;
	check_untouched(window, "stacks there change nothing");
}

static void check_gdt(void)
{
	struct descriptor_table there = {.limit = 0xff, .base = window};
	uint32_t rights = 0, limit = 0;
	uint16_t fs;

	__asm__ volatile("lgdt %0" : : "m"(there));
	__asm__ volatile("larl %1, %0" : "+r"(rights) : "r"(0x18) : "cc");
	__asm__ volatile("lsll %1, %0" : "+r"(limit) : "r"(0x18) : "cc");
	__asm__ volatile("movw %1, %%fs\n\tmovw %%fs, %0" : "=r"(fs) : "r"((uint16_t)0x28));
	__asm__ volatile("lgdt %0" : : "m"(gdt_pointer));
	__asm__ volatile("movw %0, %%fs" : : "r"((uint16_t)SELECTOR_DATA));
	accesses += 3;
	check_equal(rights & 0x00f0ff00, 0x00f0ff00, "LAR of a descriptor there");
	check_equal(limit, 0xffffffff, "LSL of a descriptor there");
	check_equal(fs, 0x28, "a segment register loaded with a descriptor there");
	check_untouched(window, "descriptors there are not marked as accessed");
}

/* A page table there: every entry is ones, so that all of its pages are the last one below 4 GiB. */
static void check_page_table(void)
{
	uint32_t expected = *(volatile uint32_t *)RESET_VECTOR, value, cr4 = cr4_get();

	for (uint32_t i = 0; i < 1024; i++)
		page_directory[i] = i << 22 | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	page_directory[MAPPED_LINEAR >> 22] = (window + 2 * PAGE) | PTE_PRESENT | PTE_WRITE;
	cr4_set(cr4 | CR4_PSE);
	__asm__ volatile("movl %0, %%cr3\n\tmovl %%cr0, %%eax\n\torl %1, %%eax\n\tmovl %%eax, %%cr0"
			 :
			 : "r"(page_directory), "i"(CR0_PG)
			 : "eax", "memory");
	value = *(volatile uint32_t *)(MAPPED_LINEAR + (RESET_VECTOR & (PAGE - 1)));
	accesses++;
	__asm__ volatile("movl %%cr0, %%eax\n\tandl %0, %%eax\n\tmovl %%eax, %%cr0" : : "i"(~CR0_PG) : "eax", "memory");
	cr4_set(cr4);
	check_equal(value, expected, "a page table there maps the last page below 4 GiB");

	long_pml4[1] = (window + 2 * PAGE) | PTE_PRESENT | PTE_WRITE;
	check_equal(long_call(hiding64_table, NULL), VECTOR_PF, "64 bit: a page directory pointer table there is #PF");
	/* bit 0, P, should be set, too; QEMU's TCG sets RSVD alone */
	check_equal(trap.error & ~1u, PF_RESERVED, "64 bit: for its reserved bits");
	check_equal(trap.cr2, 0x123000, "64 bit: with CR2");
	accesses++;
	long_pml4[1] = 0;
	check_untouched(window + 2 * PAGE, "page tables there are not marked as accessed");
}

static void check_trap_flag(void)
{
	check(trap_call(hiding32_trap, (void *)window) == TRAP_NONE, "an access with TF");
	accesses++;
	check(trap.debug_count == 1 && trap.debug_dr6 & DR6_BS, "is one debug trap");
	check_equal(trap.debug_ip, (uint32_t)hiding32_trap_next, "behind the access");
}

struct hiding64_result {
	uint64_t address, load, stack;
	uint8_t sse[16];
	uint64_t crossing, called;
};

static void check_long_mode(void)
{
	struct hiding64_result result = {.address = window};

	check(long_call(hiding64_loads, &result) == TRAP_NONE, "64 bit: accesses");
	accesses += 4;
	check(result.load == ~0ull, "64 bit: a load of 8 bytes");
	check(!memcmp(result.sse, ones, 16), "64 bit: a load of 16 bytes");
	check(long_call(hiding64_stack, &result) == TRAP_NONE, "64 bit: the stack there");
	accesses += 3;
	check(result.stack == ~0ull && result.called == 1, "64 bit: PUSH, POP and CALL");
	check(long_call(hiding64_crossing, &result) == TRAP_NONE && result.crossing == ~0ull,
	      "64 bit: a load across two pages");
	accesses++;
	check_untouched(window, "64 bit: nothing changed");
}

static void check_real_mode(void)
{
	check(real_call(hiding16_access, hiding16_access_end, window) == TRAP_NONE, "16 bit: accesses");
	accesses += 5;
	check_equal(*(uint32_t *)(REAL_CODE + 0x100), 0xffffffff, "16 bit: a load of 4 bytes");
	check_equal(*(uint8_t *)(REAL_CODE + 0x200), 0xff, "16 bit: MOVS from there");
	check_untouched(window, "16 bit: nothing changed");
}

static void sse_enable(void)
{
	__asm__ volatile("movl %%cr0, %%eax\n\tandl %0, %%eax\n\torl %1, %%eax\n\tmovl %%eax, %%cr0\n\tfninit"
			 :
			 : "i"(~CR0_EM), "i"(CR0_MP)
			 : "eax");
	cr4_set(cr4_get() | CR4_OSFXSR);
}

void guest_main(void)
{
	if (!hiding_start())
		return;
	sse_enable();
	check_loads();
	check_stores();
	check_strings();
	check_crossings();
	check_fetch();
	check_stack();
	check_gdt();
	check_page_table();
	check_trap_flag();
	check_long_mode();
	check_real_mode();
	print("guest: %u accesses to hidden memory\n", accesses);
}
