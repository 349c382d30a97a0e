/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records every exception and interrupt that a snippet of assembly meets, in any mode, and prints them relative to the
 * snippet's start, so that the log is the same on every machine. Faults end the snippet, traps and interrupts return
 * to it.
 */
#ifndef TESTS_MACHINE_GUESTS_RECORD_H
#define TESTS_MACHINE_GUESTS_RECORD_H

#include "layout.h"

/* Vectors that have handlers; the last one ends a snippet without a record. */
#define RECORD_VECTORS 0x40
#define RECORD_END     0x3f
#define RECORD_MAX     64

/* Descriptors of record_init(), behind the library's */
#define SELECTOR_USER_CODE	0x33 /* flat */
#define SELECTOR_USER_DATA	0x3b
#define SELECTOR_TSS		0x40
#define SELECTOR_SNIPPET16	0x48 /* 16-bit code, base REAL_CODE */
#define SELECTOR_SNIPPET16_DATA 0x50 /* 64 KiB, base REAL_CODE */
#define SELECTOR_ABSENT_CODE	0x58
#define SELECTOR_ABSENT_DATA	0x60
#define SELECTOR_SMALL_DATA	0x68 /* base 0, limit FFFh */
#define SELECTOR_TASK		0x70 /* record_task */
#define SELECTOR_ABSENT_TSS	0x78
#define SELECTOR_CONFORMING	0x80 /* flat 32-bit code */
#define SELECTOR_TASK_GATE	0x88 /* to SELECTOR_TASK */
#define SELECTOR_READ_ONLY	0x90 /* flat data */
#define SELECTOR_BASED_DATA	0x98 /* base REAL_CODE, 4 GiB */
#define SELECTOR_TSS64		0xa0 /* two descriptors */
#define SELECTOR_USER_CODE64	0xb3
#define SELECTOR_SPARE		0xb8 /* the guest's */

/* 4 MiB of memory for page_set() */
#define PAGED 0x800000

/* Where 16-bit snippets lie in the segment at REAL_CODE, and the top of their stack. */
#define SNIPPET16_AT	0x1000
#define SNIPPET16_STACK 0xfff0

#ifndef __ASSEMBLER__
#include "guest.h"

struct record {
	uint32_t vector, error, ip, cs, flags, cr2, dr6, ecx, esi, edi;
};

extern struct record record[RECORD_MAX];
extern uint32_t record_count;

/* A bit for each vector below 32 whose handler returns; default: 1 to 4. */
extern uint32_t record_returns;

/* record_print() shows the string registers, too. */
extern bool record_strings;

/* What a handler of vector 1 does to the flags it returns to: or, then and not. Default: nothing. */
extern uint32_t record_debug_set, record_debug_clear;

/* The frame a 32-bit handler returns with. */
struct frame32 {
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp, esp_here, ebx, edx, ecx, eax;
	uint32_t vector, error, eip, cs, eflags, esp, ss; /* the last two: from ring 3 and v8086 mode */
	uint32_t v86_es, v86_ds, v86_fs, v86_gs;
};

/*
 * 32-bit only: called by each handler after the event was recorded. Returns true if the snippet ends here, false if the
 * handler returns. NULL: as record_returns says.
 */
extern bool (*record_hook)(struct frame32 *frame);

/* APM vol. 2, "32-Bit Task State Segment" (12.2.4), with both bitmaps. */
#define TSS_IO_BITMAP_SIZE 8193
struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, io_base;
	uint8_t redirection[32];
	uint8_t io_bitmap[TSS_IO_BITMAP_SIZE];
} __attribute__((packed, aligned(4096)));

/* The current task's, and one for task gates and task switches; both are filled anew by each record_tss_reset(). */
extern struct tss record_tss, record_task;
void record_tss_reset(void);

struct tss64 {
	uint32_t reserved;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, io_base;
} __attribute__((packed));
extern struct tss64 record_tss64;

/* Descriptors, IDTs, TSS. Once, first. */
void record_init(void);

/* The 64-bit IDT that snippets have; 32-bit ones have idt[]. */
struct gate64 {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, zero;
};
extern struct gate64 record_idt64[RECORD_VECTORS];

/*
 * Run a snippet. The general registers are free for it but for the stack pointer; edi is the argument. What it met is
 * in record[].
 */
void run32(void (*code)(void), uint32_t argument);			    /* returns by RET */
void run_user(void (*code)(void), uint32_t argument);			    /* ring 3, ends by INT RECORD_END */
void run_user_flags(void (*code)(void), uint32_t argument, uint32_t flags); /* RFLAGS to begin with */
void run64(void (*code)(void), uint32_t argument);			    /* 64 bit, returns by RET */
void run_compat(void (*code)(void), uint32_t argument); /* 32-bit code in long mode, returns by RET */
/* ring 3 in long mode, by an IRET frame; cs: SELECTOR_USER_CODE64 or, for compatibility mode, SELECTOR_USER_CODE */
void run_user_long(void (*code)(void), uint32_t argument, uint16_t cs, uint32_t flags);
/* 16-bit code, copied to SNIPPET16_AT in its segment; DS, ES and SS are that segment; returns by RET */
void run16(const void *code, const void *end); /* protected mode */
void run_real(const void *code, const void *end);
/* v8086 mode, ends by HLT, whose #GP is not recorded; flags: RFLAGS to begin with, VM is added */
void run_v86(const void *code, const void *end, uint32_t flags);

/* A snippet for run64(): IRETQ to the frame that is its argument, with RDI set. */
struct iret64 {
	uint64_t rip, cs, rflags, rsp, ss, argument;
};
void iret_frame64(void);

/* One line: name, then what was recorded since the run began; instruction addresses are relative to base. */
void record_print(const char *name, const void *base);
#define RUN32(code)	  (run32(code, 0), record_print(#code, (const void *)(code)))
#define RUN_USER(code)	  (run_user(code, 0), record_print(#code, (const void *)(code)))
#define RUN64(code)	  (run64(code, 0), record_print(#code, (const void *)(code)))
#define RUN_COMPAT(code)  (run_compat(code, 0), record_print(#code, (const void *)(code)))
#define RUN16(code)	  (run16(code, code##_end), record_print(#code, (const void *)SNIPPET16_AT))
#define RUN_REAL(code)	  (run_real(code, code##_end), record_print(#code, (const void *)SNIPPET16_AT))
#define RUN_V86(code, fl) (run_v86(code, code##_end, fl), record_print(#code, (const void *)SNIPPET16_AT))

/* 32-bit paging: all memory 1:1 and for every ring, 4 KiB pages in the 4 MiB at PAGED. */
#define PTE_P	   1u
#define PTE_W	   2u
#define PTE_U	   4u
#define PAGE_BYTES 4096u
void paging_on(void);
void paging_off(void);
void page_set(uint32_t linear, uint32_t flags);

#endif
#endif
