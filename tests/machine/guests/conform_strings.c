/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: INS and OUTS on ports that Undercroft intercepts but does not change: 92h and 64h, which switch address
 * line 20, and the PM1 control register, which can put the machine to sleep.
 */
#include "record.h"

#define PORT_A20  0x92
#define PORT_DATA 0x60

/* The controller's self-test, which the OUTSB snippets ask for, and its answer. */
#define COMMAND_SELF_TEST 0xaa
#define ANSWER_SELF_TEST  0x55

/* ACPI, "PM1 Control Registers" (4.8.3.2.1): kept until SLP_EN is written, too */
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP	  0x1c00u
#define FADT_PM1A_CNT	  64

#define UNTOUCHED 0xee
#define VECTOR_PF 14

/* clang-format off */
#define INS(S) \
	S(insb_one) S(insb_rep) S(insb_repne) S(insb_none) S(insb_down) S(insw_one) S(insw_rep) \
	S(insw_down) S(insl_one) S(insl_rep) S(insl_down) S(insb_cross) S(insw_cross) S(insl_cross) \
	S(insl_cross_down) S(insb_prefixes)
#define OUTS_BYTE(S) \
	S(outsb_one) S(outsb_rep) S(outsb_none)
#define OUTS_WORD(S) \
	S(outsw_one) S(outsw_rep) S(outsw_down) S(outsl_rep) S(outsl_down)
#define SEGMENTS(S) \
	S(insb_16) S(insb_16_none) S(insb_16_down)
#define SEGMENTS_OUT(S) \
	S(outsb_fs) S(outsb_es_16)
#define LIMITS(S) \
	S(insb_limit) S(insw_limit) S(insb_limit_none) S(outsb_limit) S(insb_read_only) S(insb_null) \
	S(outsb_null) S(insb_null_none)
#define INS64(S) \
	S(insb64_rep) S(insb64_down) S(insw64_rep) S(insl64_rep) S(insl64_rex) S(insb64_32) S(insb64_high) \
	S(insb64_canonical) S(insb64_canonical_none)
#define FAULTS64(S) \
	S(insb64_fault) S(insw64_fault) S(outsb64_fault) S(outsb64_canonical)
#define OUTS64(S) \
	S(outsw64_rep) S(outsw64_32)
#define INS16(S) \
	S(insb16_rep) S(insb16_wrap) S(insb16_wrap_down) S(insb16_32) S(insb16_32_limit) S(insb16_32_none) \
	S(insw16_end)
#define OUTS16(S) \
	S(outsb16_rep) S(outsb16_ss)
/* clang-format on */

#define DECLARE(name)	void name(void);
#define DECLARE16(name) extern const uint8_t name[], name##_end[];

/* conform_strings_code.S */
INS(DECLARE)
OUTS_BYTE(DECLARE)
OUTS_WORD(DECLARE)
SEGMENTS(DECLARE)
SEGMENTS_OUT(DECLARE)
LIMITS(DECLARE)
INS64(DECLARE)
FAULTS64(DECLARE)
OUTS64(DECLARE)
INS16(DECLARE16)
OUTS16(DECLARE16)
DECLARE16(outsb16_unreal)
DECLARE(outsb64_fs)
extern uint32_t port_word;

/* where the snippets find it */
static struct {
	uint16_t words[2];
	uint32_t longs[2];
	uint8_t test;
} *const out = (void *)(PAGED + 0x4000);

static uint64_t high_pdpt[512] __attribute__((aligned(4096)));
static uint64_t high_directory[512] __attribute__((aligned(4096)));
static uint64_t high_table[512] __attribute__((aligned(4096)));
static uint32_t last_map;

static void buffer_clear(void)
{
	memset((void *)PAGED, UNTOUCHED, 0x3000);
	memset((void *)REAL_CODE, UNTOUCHED, 0x10);
	memset((void *)(REAL_CODE + 0x8000), UNTOUCHED, 0x10);
	memset((void *)(REAL_CODE + 0xfffe), UNTOUCHED, 4);
}

/* Each run of bytes that were stored, and whether they are what IN reads there; name: an INS of that size. */
static void stored_print(const char *name, uint32_t base, uint32_t from, uint32_t to)
{
	unsigned size = name[3] == 'b' ? 1 : name[3] == 'w' ? 2 : 4;
	uint32_t value = size == 1 ? in8(PORT_A20) : size == 2 ? in16((uint16_t)port_word) : in32((uint16_t)port_word);
	const uint8_t *bytes = (const uint8_t *)base;

	for (uint32_t at = from; at < to; at++) {
		uint32_t end = at;
		bool same = true;

		for (; end < to && bytes[end] != UNTOUCHED; end++)
			same &= bytes[end] == (uint8_t)(value >> (end - at) % size * 8);
		if (end != at)
			print("  stored %x to %x: %s\n", at, end - 1, same ? "right" : "wrong");
		at = end;
	}
}

static void paged_print(const char *name)
{
	stored_print(name, PAGED, 0, 0x3000);
}

static void segment_print(const char *name)
{
	print("  wrapped: %u\n", *(const uint8_t *)REAL_CODE == in8(PORT_A20));
	stored_print(name, REAL_CODE, 0x8000, 0x8010);
	stored_print(name, REAL_CODE, 0xfffe, 0x10002);
}

static void answer_print(void)
{
	/* nothing else makes the controller answer */
	print("  answer: %s\n", in8(0x64) & 1 && in8(PORT_DATA) == ANSWER_SELF_TEST ? "passed" : "none");
}

/* The words to write: like now, but with sleep types 1 and 2, which nothing acts on. */
static void words_prepare(void)
{
	uint16_t now = in16((uint16_t)port_word) & (uint16_t)~PM1_SLP_TYP;

	for (unsigned i = 0; i < 2; i++) {
		out->words[i] = (uint16_t)(now | (i + 1) << PM1_SLP_TYP_SHIFT);
		out->longs[i] = out->words[i] | in32((uint16_t)port_word) >> 16 << 16;
	}
	out16((uint16_t)port_word, now);
}

static void word_print(void)
{
	uint16_t now = in16((uint16_t)port_word);

	print("  sleep type %u\n", (now & PM1_SLP_TYP) >> PM1_SLP_TYP_SHIFT);
}

static bool page_in(struct frame32 *frame)
{
	if (frame->vector != VECTOR_PF)
		return false;
	page_set(last_map, PTE_P | PTE_W | PTE_U);
	return record_count > 8;
}

#define ONE_IN(name)	   buffer_clear(), RUN32(name), paged_print(#name);
#define ONE_SEGMENT(name)  buffer_clear(), RUN32(name), segment_print(#name);
#define ONE_BYTE(name)	   RUN32(name), answer_print();
#define ONE_WORD(name)	   words_prepare(), RUN32(name), word_print();
#define ONE(name)	   RUN32(name);
#define ONE_IN64(name)	   buffer_clear(), RUN64(name), paged_print(#name);
#define ONE_OUT64(name)	   words_prepare(), RUN64(name), word_print();
#define ONE64(name)	   RUN64(name);
#define ONE_REAL(name)	   buffer_clear(), RUN_REAL(name), segment_print(#name);
#define ONE_REAL_OUT(name) RUN_REAL(name), answer_print();
#define ONE16(name)	   buffer_clear(), RUN16(name), segment_print(#name);
#define ONE16_OUT(name)	   RUN16(name), answer_print();

static void faults(void)
{
	record_hook = page_in;
	last_map = PAGED + 0x1000;
	paging_on();
#define ABSENT(name) page_set(last_map, 0), RUN32(name);
	ABSENT(insb_cross)
	ABSENT(insw_cross)
	ABSENT(insl_cross)
	ABSENT(insl_cross_down)
	page_set(last_map, PTE_P | PTE_W | PTE_U);
	__asm__ volatile("movl %%cr0, %%eax; orl $0x10000, %%eax; movl %%eax, %%cr0" : : : "eax");
	page_set(last_map, PTE_P);
	RUN32(insb_cross);
	__asm__ volatile("movl %%cr0, %%eax; andl $~0x10000, %%eax; movl %%eax, %%cr0" : : : "eax");
	page_set(last_map, PTE_P);
	RUN32(insb_cross);
	record_hook = NULL;
	/* ring 3: the port permitted or not, then the page */
	page_set(last_map, PTE_P | PTE_W);
	RUN_USER(insb_cross);
	record_tss.io_bitmap[PORT_A20 / 8] &= (uint8_t) ~(1 << PORT_A20 % 8);
	RUN_USER(insb_cross);
	page_set(last_map, PTE_P | PTE_W | PTE_U);
	RUN_USER(insb_cross);
	record_tss_reset();
	paging_off();
}

static void high_map(void)
{
	long_pml4[1] = (uint32_t)high_pdpt | PTE_P | PTE_W;
	high_pdpt[0] = (uint32_t)high_directory | PTE_P | PTE_W;
	high_directory[0] = (uint32_t)high_table | PTE_P | PTE_W;
	high_table[0] = PAGED | PTE_P | PTE_W;
	high_table[1] = (PAGED + PAGE_BYTES) | PTE_P | PTE_W;
}

void guest_main(void)
{
	const uint8_t *fadt = fadt_find();

	mark("ports");
	record_init();
	record_strings = true;
	if (!check(fadt != NULL, "the FADT"))
		return;
	port_word = *(const uint32_t *)(fadt + FADT_PM1A_CNT);
	print("machine: PM1 control at %x, %x\n", port_word, in16((uint16_t)port_word));
	print("machine: port 92h %x\n", in8(PORT_A20));
	while (in8(0x64) & 1)
		in8(PORT_DATA);
	out->test = COMMAND_SELF_TEST;
	mark("INS");
	INS(ONE_IN)
	mark("OUTS");
	OUTS_BYTE(ONE_BYTE)
	OUTS_WORD(ONE_WORD)
	mark("segments");
	SEGMENTS(ONE_SEGMENT)
	*(uint8_t *)(REAL_CODE + 0x5000) = in8(PORT_A20);
	SEGMENTS_OUT(ONE)
	LIMITS(ONE)
	mark("page faults");
	faults();
	mark("64 bit");
	high_map();
	INS64(ONE_IN64)
	FAULTS64(ONE64)
	OUTS64(ONE_OUT64)
	*(uint8_t *)(REAL_CODE + 0x5000) = COMMAND_SELF_TEST;
	RUN64(outsb64_fs);
	answer_print();
	mark("16 bit");
	INS16(ONE_REAL)
	INS16(ONE16)
	OUTS16(ONE_REAL_OUT)
	RUN_REAL(outsb16_unreal);
	answer_print();
	OUTS16(ONE16_OUT)
}
