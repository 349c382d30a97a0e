/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by both halves of the bench program.
 */
#ifndef BENCH_ROUNDTRIP_H
#define BENCH_ROUNDTRIP_H

#define ROUNDS 8

/* Low memory that is free once the boot loader has gone: results, the real-mode code and its stack. */
#define RESULTS	  0x5000
#define LOW_STACK 0x7c00
#define LOW_CODE  0x8000

#define MODE_REAL      0
#define MODE_PROTECTED 1
#define MODE_LONG_2M   2
#define MODE_LONG_4K   3
#define MODE_COUNT     4

#define ROW_NOTHING	   0
#define ROW_CPUID	   1
#define ROW_CPUID_FILTERED 2
#define ROW_RDMSR_EFER	   3
#define ROW_WRMSR_EFER	   4
#define ROW_RDMSR_FAR	   5
#define ROW_PORT	   6
#define ROW_MEMORY	   7
#define ROW_EOI		   8
#define ROW_COUNT	   9

#define SLOT(mode, row) ((mode)*ROW_COUNT + (row))

#define MSR_EFER       0xc0000080
#define MSR_OUT_OF_MAP 0x4b564d00
#define HIDDEN_PORT    0x2fd /* COM2's line status */
#define APIC_EOI       0xfee000b0

#endif
