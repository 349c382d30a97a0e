/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conform_strings.c's snippets. Each ends with INT3, which records the registers.
 */
#include "snippet.inc"

/* What the OUTS snippets write; conform_strings.c fills it. */
#define OUT_WORDS (PAGED + 0x4000)
#define OUT_LONGS (PAGED + 0x4004)
#define OUT_TEST  (PAGED + 0x400c)

	/* port, edi or esi, ecx, then the instruction */
	.macro string name:req, port:req, at:req, count:req, insn:vararg
	snippet \name
	movl \port, %edx
	movl \at, %edi
	movl \at, %esi
	movl \count, %ecx
	\insn
	int3
	stop
	.endm

	.macro down insn:vararg
	std
	\insn
	cld
	.endm

	/* with another segment in ES, FS and GS */
	.macro string_segment name:req, selector:req, at:req, count:req, insn:vararg
	snippet \name
	movl \selector, %eax
	movl %eax, %es
	movl %eax, %fs
	movl $PORT_A20, %edx
	movl \at, %edi
	movl \at, %esi
	movl \count, %ecx
	\insn
	int3
	stop
	.endm

	.text
	.code32
	string insb_one, $PORT_A20, $PAGED + 0x10, $3, insb
	string insb_rep, $PORT_A20, $PAGED + 0x10, $3, rep insb
	string insb_repne, $PORT_A20, $PAGED + 0x10, $3, repne insb
	string insb_none, $PORT_A20, $PAGED + 0x10, $0, rep insb
	string insb_down, $PORT_A20, $PAGED + 0x10, $3, down rep insb
	string insw_one, port_word, $PAGED + 0x10, $3, insw
	string insw_rep, port_word, $PAGED + 0x11, $3, rep insw
	string insw_down, port_word, $PAGED + 0x10, $3, down rep insw
	string insl_one, port_word, $PAGED + 0x10, $3, insl
	string insl_rep, port_word, $PAGED + 0x11, $3, rep insl
	string insl_down, port_word, $PAGED + 0x10, $2, down rep insl
	string insb_cross, $PORT_A20, $PAGED + 0xffe, $4, rep insb
	string insw_cross, port_word, $PAGED + 0xfff, $2, rep insw
	string insl_cross, port_word, $PAGED + 0xffd, $2, rep insl
	string insl_cross_down, port_word, $PAGED + 0x1001, $3, down rep insl
	/* INS stores to ES whatever the prefix */
	string insb_prefixes, $PORT_A20, $PAGED + 0x10, $2, .byte 0x36, 0x64, 0xf3, 0x6c

	string outsb_one, $0x64, $OUT_TEST, $3, outsb
	string outsb_rep, $0x64, $OUT_TEST, $1, rep outsb
	string outsb_none, $0x64, $OUT_TEST, $0, rep outsb
	string outsw_one, port_word, $OUT_WORDS, $3, outsw
	string outsw_rep, port_word, $OUT_WORDS, $2, rep outsw
	string outsw_down, port_word, $OUT_WORDS + 2, $2, down rep outsw
	string outsl_rep, port_word, $OUT_LONGS, $2, rep outsl
	string outsl_down, port_word, $OUT_LONGS + 4, $2, down rep outsl

	/* 16-bit addresses: wrap at 64 KiB, the upper halves stay */
	string_segment insb_16, $SELECTOR_BASED_DATA, $0x1234ffff, $0x50003, .byte 0x67, 0xf3, 0x6c
	string_segment insb_16_none, $SELECTOR_BASED_DATA, $0x1234ffff, $0x50000, .byte 0x67, 0xf3, 0x6c
	string_segment insb_16_down, $SELECTOR_BASED_DATA, $0x12340001, $0x50003, down .byte 0x67, 0xf3, 0x6c
	string_segment outsb_fs, $SELECTOR_BASED_DATA, $0x5000, $1, .byte 0x64, 0x6e
	string_segment outsb_es_16, $SELECTOR_BASED_DATA, $0x12345000, $0x50001, .byte 0x26, 0x67, 0xf3, 0x6e

	/* limits and rights */
	string_segment insb_limit, $SELECTOR_SMALL_DATA, $0xffe, $4, rep insb
	string_segment insw_limit, $SELECTOR_SMALL_DATA, $0xfff, $4, rep insw
	string_segment insb_limit_none, $SELECTOR_SMALL_DATA, $0x1000, $0, rep insb
	string_segment outsb_limit, $SELECTOR_SMALL_DATA, $0x1000, $4, .byte 0x64, 0xf3, 0x6e
	string_segment insb_read_only, $SELECTOR_READ_ONLY, $PAGED, $4, rep insb
	string_segment insb_null, $0, $PAGED, $4, rep insb
	string_segment outsb_null, $0, $PAGED, $4, .byte 0x64, 0xf3, 0x6e
	string_segment insb_null_none, $0, $PAGED, $0, rep insb

	/* 64 bit; esi shows the upper half of rdi, or edi that of rsi */
	.code64
	.macro string64 name:req, port:req, at:req, count:req, insn:vararg
	snippet \name
	xorl %esi, %esi
	movl \port, %edx
	movabsq \at, %rdi
	movabsq \count, %rcx
	\insn
	movq %rdi, %rsi
	shrq $32, %rsi
	int3
	stop
	.endm
	.macro string64_out name:req, port:req, at:req, high:req, count:req, insn:vararg
	snippet \name
	movl \port, %edx
	movl \at, %esi
	movabsq \high, %rcx
	orq %rcx, %rsi
	movabsq \count, %rcx
	\insn
	movq %rsi, %rdi
	shrq $32, %rdi
	int3
	stop
	.endm

	string64 insb64_rep, $PORT_A20, $PAGED + 0x10, $3, rep insb
	string64 insb64_down, $PORT_A20, $PAGED + 0x10, $3, down rep insb
	string64 insw64_rep, port_word(%rip), $PAGED + 0x11, $3, rep insw
	string64 insl64_rep, port_word(%rip), $PAGED + 0x11, $3, rep insl
	/* REX.W changes nothing */
	string64 insl64_rex, port_word(%rip), $PAGED + 0x11, $2, .byte 0xf3, 0x48, 0x6d
	/* 32-bit addresses: what they do not use is cleared */
	string64 insb64_32, $PORT_A20, $0x700000000 + PAGED + 0x10, $0x900000002, .byte 0x67, 0xf3, 0x6c
	string64 insb64_high, $PORT_A20, $0x8000000010, $2, rep insb
	string64 insb64_fault, $PORT_A20, $0x8000001ffe, $4, rep insb
	string64 insw64_fault, port_word(%rip), $0x8000001fff, $2, rep insw
	string64 insb64_canonical, $PORT_A20, $0x800000000000, $2, rep insb
	string64 insb64_canonical_none, $PORT_A20, $0x800000000000, $0, rep insb
	string64_out outsw64_rep, port_word(%rip), $OUT_WORDS, $0, $2, rep outsw
	string64_out outsw64_32, port_word(%rip), $OUT_WORDS, $0x700000000, $2, .byte 0x67, 0xf3, 0x66, 0x6f
	string64_out outsb64_canonical, $PORT_A20, $0, $0x800000000000, $2, rep outsb
	string64_out outsb64_fault, $PORT_A20, $0x2000, $0x8000000000, $2, rep outsb

	/* FS has a base, DS' does not count */
	snippet outsb64_fs
	movl $0xc0000100, %ecx
	movl $REAL_CODE, %eax
	xorl %edx, %edx
	wrmsr
	movl $0x64, %edx
	movl $0x5000, %esi
	movl $1, %ecx
	.byte 0x3e, 0x64, 0xf3, 0x6e
	int3
	stop

	.macro string16 name:req, port:req, at:req, count:req, insn:vararg
	snippet16 \name
	movw \port, %dx
	movl \at, %edi
	movl \at, %esi
	movl \count, %ecx
	\insn
	int3
	stop
	snippet16_end \name
	.endm

	string16 insb16_rep, $PORT_A20, $0x12348000, $0x50003, rep insb
	string16 insb16_wrap, $PORT_A20, $0x1234ffff, $3, rep insb
	string16 insb16_wrap_down, $PORT_A20, $0x12340000, $2, down rep insb
	/* 91h is nobody's */
	string16 insw16_end, $0x91, $0xffff, $2, rep insw
	string16 insb16_32, $PORT_A20, $0x8000, $2, .byte 0x67, 0xf3, 0x6c
	string16 insb16_32_limit, $PORT_A20, $0x10000, $2, .byte 0x67, 0xf3, 0x6c
	string16 insb16_32_none, $PORT_A20, $0x10000, $0, .byte 0x67, 0xf3, 0x6c
	string16 outsb16_rep, $0x64, $0x5000, $1, rep outsb
	string16 outsb16_ss, $0x64, $0x5000, $1, .byte 0x36, 0x6e
	/* real mode's FS is flat */
	string16 outsb16_unreal, $0x64, $REAL_CODE + 0x5000, $1, .byte 0x64, 0x67, 0xf3, 0x6e

	.section .data
	.balign 4
	.globl port_word
port_word:
	.long 0

	.section .note.GNU-stack, "", @progbits
