/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: the exceptions that software can raise, with their error codes, in every mode and in rings 0 and 3.
 */
#include "record.h"

#define FLAGS_IOPL 0x3000u

#define CR0_MP	   0x2u
#define CR0_EM	   0x4u
#define CR0_TS	   0x8u
#define CR0_NE	   0x20u
#define CR0_WP	   0x10000u
#define CR0_AM	   0x40000u
#define CR4_TSD	   0x4u
#define CR4_OSFXSR 0x200u
#define CR4_OSXMM  0x400u

#define MSR_EFER 0xc0000080u
#define EFER_NXE 0x800u

#define PTE_PS	     0x80u
#define PTE_NX	     (1ull << 63)
#define PDE_RESERVED (1u << 21)
#define PTE_RESERVED (1ull << 51)

/* clang-format off */
#define PLAIN(S) \
	S(divide) S(divide_byte) S(divide_signed) S(icebp) S(breakpoint) S(int_three) S(int_four) S(into) S(into_clear) S(ud2) \
	S(lock_register) S(lock_load) S(mov_to_cs) S(group_absent) S(aam_zero) S(too_long) S(longest)
#define NUMERIC_OFF(S) \
	S(x87) S(x87_wait) S(sse)
#define PRIVILEGED(S) \
	S(p_cli) S(p_sti) S(p_hlt) S(p_in) S(p_out) S(p_insb) S(p_clts) S(p_invd) S(p_wbinvd) S(p_rdmsr) S(p_wrmsr) \
	S(p_cr0) S(p_cr0_read) S(p_cr4) S(p_dr7) S(p_dr7_read) S(p_lmsw) S(p_lgdt) S(p_lidt) S(p_lldt) S(p_ltr) \
	S(p_invlpg) S(p_cpuid) S(p_smsw) S(p_rdtsc)
#define ALIGNMENT(S) \
	S(aligned) S(unaligned) S(unaligned_word)
#define NUMERIC(S) \
	S(mf) S(mf_no_wait) S(xm) S(x87_reset)
#define FAULTS(S) \
	S(pf_load) S(pf_store) S(pf_fetch)
#define OTHERS32(S) \
	S(bound_in) S(bound_out)
#define OTHERS64(S) \
	S(push_es) S(far_jump_direct) S(syscall_off) S(nc_invlpg) S(nc_load) S(nc_store) S(nc_rbp) S(nc_rsp)
#define OTHERS16(S) \
	S(bound16_out) S(limit_data) S(limit_stack)
/* clang-format on */

#define DECLARE(name)	   void name(void);
#define DECLARE16(name)	   extern const uint8_t name[], name##_end[];
#define DECLARE_TWO(name)  DECLARE(name##32) DECLARE(name##64)
#define DECLARE_EACH(name) DECLARE_TWO(name) DECLARE16(name##16)

/* conform_exceptions_code.S */
PLAIN(DECLARE_EACH)
NUMERIC_OFF(DECLARE_EACH)
PRIVILEGED(DECLARE_TWO)
ALIGNMENT(DECLARE_TWO)
NUMERIC(DECLARE_TWO)
FAULTS(DECLARE_TWO)
DECLARE_TWO(pf_add)
OTHERS32(DECLARE)
DECLARE(popf_all32)
OTHERS64(DECLARE)
OTHERS16(DECLARE16)
DECLARE(popf_all64)
DECLARE(nc_push)

static uint64_t window_pdpt[512] __attribute__((aligned(4096)));
static uint64_t window_directory[512] __attribute__((aligned(4096)));
static uint64_t window_table[512] __attribute__((aligned(4096)));

static void cr0_change(uint32_t set, uint32_t clear)
{
	__asm__ volatile("movl %%cr0, %%eax; orl %0, %%eax; andl %1, %%eax; movl %%eax, %%cr0"
			 :
			 : "r"(set), "r"(~clear)
			 : "eax", "memory");
}

#define RUN_USER64(code)      (run_user_long(code, 0, SELECTOR_USER_CODE64, 0), record_print(#code, (const void *)(code)))
#define RUN_USER_COMPAT(code) (run_user_long(code, 0, SELECTOR_USER_CODE, 0), record_print(#code, (const void *)(code)))

#define ONE(name)	      RUN32(name##32);
#define ONE_USER(name)	      RUN_USER(name##32);
#define ONE64(name)	      RUN64(name##64);
#define ONE_USER64(name)      RUN_USER64(name##64);
#define ONE_COMPAT(name)      print("compatibility mode "), RUN_COMPAT(name##32);
#define ONE_USER_COMPAT(name) print("compatibility mode "), RUN_USER_COMPAT(name##32);
#define ONE_REAL(name)	      RUN_REAL(name##16);
#define ONE16(name)	      RUN16(name##16);
#define ONE_OTHER64(name)     RUN64(name);
#define EACH_WIDE(name)	      ONE(name) ONE_USER(name) ONE64(name) ONE_USER64(name) ONE_COMPAT(name) ONE_USER_COMPAT(name)
#define EACH(name)	      ONE16(name) ONE_REAL(name) EACH_WIDE(name)

static void plain(void)
{
	mark("exceptions in every mode");
	PLAIN(EACH)
	mark("exceptions in some modes");
	RUN32(bound_in);
	RUN32(bound_out);
	RUN_USER(bound_out);
	RUN16(bound16_out);
	RUN_REAL(bound16_out);
	RUN16(limit_data);
	RUN16(limit_stack);
	RUN_REAL(limit_data);
	RUN_REAL(limit_stack);
	OTHERS64(ONE_OTHER64)
	RUN_USER64(nc_load);
	RUN_USER64(nc_rbp);
	RUN_USER64(nc_push);
}

#define GATES(S)	  S(breakpoint) S(int_three) S(int_four) S(into) S(into_clear)
#define THREE_RINGS(name) ONE_USER(name) ONE_USER64(name) ONE_USER_COMPAT(name)

/* What software may not call from ring 3 */
static void gates(void)
{
	static const uint8_t vectors[] = {3, 4};

	mark("gates of ring 0");
	for (unsigned i = 0; i < sizeof(vectors); i++)
		idt[vectors[i]].type = record_idt64[vectors[i]].type = 0x8e;
	GATES(THREE_RINGS)
	for (unsigned i = 0; i < sizeof(vectors); i++)
		idt[vectors[i]].type = record_idt64[vectors[i]].type = 0xee;
}

/* CR0 with bits that make x87, MMX and SSE fault */
static void numeric_off(uint32_t bits, const char *name)
{
	print("CR0.%s:\n", name);
	cr0_change(bits, 0);
	NUMERIC_OFF(ONE)
	NUMERIC_OFF(ONE_USER)
	NUMERIC_OFF(ONE64)
	NUMERIC_OFF(ONE_REAL)
	cr0_change(0, bits);
}

static void numeric(void)
{
	uint32_t cr4 = cr4_get();

	mark("x87 and SSE");
	cr0_change(CR0_NE, CR0_MP | CR0_EM | CR0_TS);
	cr4_set(cr4 | CR4_OSFXSR | CR4_OSXMM);
	numeric_off(CR0_TS, "TS");
	numeric_off(CR0_MP, "MP");
	numeric_off(CR0_TS | CR0_MP, "TS and MP");
	numeric_off(CR0_EM, "EM");
	NUMERIC(EACH_WIDE)
	cr4_set(cr4 | CR4_OSFXSR);
	print("without CR4.OSXMMEXCPT ");
	RUN32(xm32);
	RUN32(x87_reset32);
	cr4_set(cr4);
	print("without CR4.OSFXSR ");
	RUN32(sse32);
}

static void alignment(void)
{
	mark("alignment");
	ALIGNMENT(ONE_USER)
	print("CR0.AM:\n");
	cr0_change(CR0_AM, 0);
	ALIGNMENT(EACH_WIDE)
	cr0_change(0, CR0_AM);
}

static void privileged(void)
{
	mark("privileged instructions");
	cr4_set(cr4_get() | CR4_TSD);
	PRIVILEGED(ONE_USER)
	PRIVILEGED(ONE_USER64)
	PRIVILEGED(ONE_USER_COMPAT)
	cr4_set(cr4_get() & ~CR4_TSD);
	RUN_USER(popf_all32);
	RUN_USER64(popf_all64);
	mark("I/O permission");
	run_user_flags(p_cli32, 0, FLAGS_IOPL);
	record_print("IOPL 3: p_cli32", (const void *)p_cli32);
	run_user_flags(popf_all32, 0, FLAGS_IOPL);
	record_print("IOPL 3: popf_all32", (const void *)popf_all32);
	run_user_flags(p_in32, 0, FLAGS_IOPL);
	record_print("IOPL 3: p_in32", (const void *)p_in32);
	run_user_long(p_in64, 0, SELECTOR_USER_CODE64, FLAGS_IOPL);
	record_print("IOPL 3: p_in64", (const void *)p_in64);
	record_tss.io_bitmap[0x92 / 8] &= (uint8_t) ~(1 << 0x92 % 8);
	RUN_USER(p_in32);
	RUN_USER(p_out32);
	RUN_USER(p_insb32);
	record_tss.io_bitmap[0x92 / 8] = 0xff;
}

/* A fault of a fetch is at the page itself. */
static void fault_print(const char *name, void (*code)(void))
{
	for (uint32_t i = 0; i < record_count; i++) {
		if (record[i].ip - (uint32_t)code >= 64)
			record[i].ip += (uint32_t)code;
	}
	record_print(name, (const void *)code);
}

#define FAULT(name)	 print("PTE %x ", flags), run32(name##32, PAGED), fault_print(#name "32", name##32);
#define FAULT_USER(name) print("PTE %x ", flags), run_user(name##32, PAGED), fault_print(#name "32 ring 3", name##32);
#define FAULT64(name)	 print("PTE %q ", flags), run64(name##64, 0), fault_print(#name "64", name##64);
#define FAULT_USER64(name)                                                            \
	print("PTE %q ", flags), run_user_long(name##64, 0, SELECTOR_USER_CODE64, 0), \
		fault_print(#name "64 ring 3", name##64);

static void page_fault(uint32_t flags)
{
	page_set(PAGED, flags);
	FAULTS(FAULT)
	FAULTS(FAULT_USER)
}

static void page_faults(void)
{
	static const uint8_t tried[] = {0, PTE_P, PTE_P | PTE_W, PTE_P | PTE_U, PTE_P | PTE_U | PTE_W, PTE_U | PTE_W};
	uint32_t *directory;

	mark("page faults");
	/* RET, for fetches */
	memset((void *)PAGED, 0xc3, PAGE_BYTES);
	paging_on();
	for (unsigned i = 0; i < sizeof(tried); i++)
		page_fault(tried[i]);
	print("CR0.WP:\n");
	cr0_change(CR0_WP, 0);
	for (unsigned i = 0; i < sizeof(tried); i++)
		page_fault(tried[i]);
	cr0_change(0, CR0_WP);
	print("read and write:\n");
	for (unsigned i = 0; i < sizeof(tried); i++) {
		uint32_t flags = tried[i];

		page_set(PAGED, flags);
		FAULT(pf_add)
		FAULT_USER(pf_add)
	}
	print("PDE without U:\n");
	__asm__ volatile("movl %%cr3, %0" : "=r"(directory));
	directory[PAGED >> 22] ^= PTE_U;
	page_fault(PTE_P | PTE_U | PTE_W);
	directory[PAGED >> 22] ^= PTE_U;
	directory[(PAGED >> 22) + 1] |= PDE_RESERVED;
	print("4 MiB page with a reserved bit:\n");
	run32(pf_load32, PAGED + 0x400000);
	fault_print("pf_load32", pf_load32);
	run_user(pf_store32, PAGED + 0x400000);
	fault_print("pf_store32 ring 3", pf_store32);
	directory[(PAGED >> 22) + 1] &= ~PDE_RESERVED;
	paging_off();
}

static void window_set(uint64_t flags)
{
	for (unsigned i = 0; i < 512; i++)
		window_table[i] = PAGED | flags;
}

static void page_faults64(void)
{
	static const uint64_t tried[] = {
		0,
		PTE_P,
		PTE_P | PTE_W,
		PTE_P | PTE_U,
		PTE_P | PTE_U | PTE_W,
		PTE_P | PTE_U | PTE_W | PTE_NX,
		PTE_P | PTE_NX,
		PTE_U | PTE_RESERVED,
		PTE_P | PTE_U | PTE_W | PTE_RESERVED,
	};

	mark("page faults, 64 bit");
	long_pml4[1] = (uint32_t)window_pdpt | PTE_P | PTE_U | PTE_W;
	window_pdpt[0] = (uint32_t)window_directory | PTE_P | PTE_U | PTE_W;
	window_directory[0] = (uint32_t)window_table | PTE_P | PTE_U | PTE_W;
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE);
	for (unsigned i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		uint64_t flags = tried[i];

		window_set(flags);
		FAULTS(FAULT64)
		FAULTS(FAULT_USER64)
	}
	print("read and write:\n");
	for (unsigned i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		uint64_t flags = tried[i];

		window_set(flags);
		FAULT64(pf_add)
		FAULT_USER64(pf_add)
	}
	msr_write(MSR_EFER, msr_read(MSR_EFER) & ~(uint64_t)EFER_NXE);
}

void guest_main(void)
{
	record_init();
	plain();
	gates();
	numeric();
	alignment();
	privileged();
	page_faults();
	page_faults64();
}
