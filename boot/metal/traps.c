/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions in our own code. Must not know what the tier was doing.
 */
#include "boot/layout.h"
#include "boot/metal/traps.h"

#define VECTOR_GP 13

/* traps_entry.S: one stub per vector, of equal size */
extern const uint8_t trap_stubs[];
#define TRAP_STUB_SIZE 16

/* Places that may raise #GP, and where to go on then: offsets from the fields themselves. */
struct fixup {
	int32_t instruction, resume;
};

extern const struct fixup fixups_start[], fixups_end[];

void traps_init(struct trap_gate idt[TRAP_COUNT])
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = {.limit = sizeof(*idt) * TRAP_COUNT - 1, .base = (uintptr_t)idt};

	for (unsigned i = 0; i < TRAP_COUNT; i++) {
		uint64_t stub = (uintptr_t)trap_stubs + i * TRAP_STUB_SIZE;

		idt[i] = (struct trap_gate){
			.offset_low = (uint16_t)stub,
			.selector = SELECTOR_CODE64,
			.flags = TRAP_GATE_INTERRUPT,
			.offset_middle = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
		};
	}
	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

void trap_handle(struct trap_frame *frame)
{
	for (const struct fixup *fixup = fixups_start; frame->vector == VECTOR_GP && fixup < fixups_end; fixup++) {
		if ((uintptr_t)&fixup->instruction + (uint64_t)(int64_t)fixup->instruction != frame->rip)
			continue;
		frame->rip = (uintptr_t)&fixup->resume + (uint64_t)(int64_t)fixup->resume;
		return;
	}
	if (trap_take(frame))
		return;
	trap_report(frame);
}
