/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The snippets in virtual-8086 mode, and how the guests that have them run them.
 */
#ifndef TESTS_MACHINE_GUESTS_CONFORM_V8086_H
#define TESTS_MACHINE_GUESTS_CONFORM_V8086_H

/* The port that snippets use, in their data segment. */
#define PORT_AT 0x3ff0

#ifndef __ASSEMBLER__
#include "interrupts.h"
#include "record.h"

#define FLAGS_TF   0x100u
#define FLAGS_IF   0x200u
#define FLAGS_IOPL 0x3000u
#define FLAGS_AC   0x40000u
#define FLAGS_VIF  0x80000u
#define FLAGS_VIP  0x100000u

#define VECTOR_TRIED 0x33

#define DECLARE(name)	void name(void);
#define DECLARE16(name) extern const uint8_t name[], name##_end[];
#define ONE(name)	print("flags %x ", flags), RUN_V86(name, flags);

/* clang-format off */
#define PORTS(S) \
	S(v_in) S(v_in_word) S(v_out) S(v_insb) S(v_insw) S(v_rep_insb) S(v_insb_32) S(v_insb_limit) S(v_outsb) \
	S(v_outsb_limit)
/* clang-format on */

/* conform_v8086_code.S */
PORTS(DECLARE16)

/* The port that snippets use; what they write to it is 2. */
void port_set(uint16_t port);
void port_permit(uint16_t port, bool is_permitted);

/* Each instruction with a port: without the right to it, with it, with the right to the next one, without a bitmap. */
void v8086_ports(uint16_t port, uint32_t flags);

/* Paging with 4 KiB pages for the snippets' memory; the flags are those of the page they touch at offset 4000h. */
void v8086_paging_on(void);
void v8086_page_set(uint32_t flags);
void v8086_paging_off(void);

#endif
#endif
