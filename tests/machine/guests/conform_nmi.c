/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Conformance: NMIs, which the local APIC sends to itself, their blocking, and what ends it. When the first one comes
 * is not architectural, so that its address is not shown; one that was blocked comes at a certain instruction. The
 * ports 61h and 70h can mask NMIs on a PC, but on no emulator raise one.
 */
#include "interrupts.h"
#include "record.h"

#define VECTOR_NMI 2
#define FLAGS_IF   0x200u
#define FLAGS_TF   0x100u

/* clang-format off */
#define SENDS(S) \
	S(nmi_nop) S(nmi_cpuid) S(nmi_in) S(nmi_invd)
#define BLOCKED(S) \
	S(blocked) S(blocked_int) S(blocked_others) S(blocked_shadow)
/* clang-format on */

#define DECLARE(name)	   void name(void);
#define DECLARE_SEND(name) DECLARE(name) extern const uint8_t name##_target[];

/* conform_nmi_code.S */
SENDS(DECLARE_SEND)
BLOCKED(DECLARE)
DECLARE(blocked64)
extern const uint8_t blocked16[], blocked16_end[];
void nmi_exits(void);
void nmi_send(void);

/* What the handler of the first NMI does. */
static struct {
	const uint8_t *target; /* returns to it */
	unsigned sends;	       /* more NMIs, while they are blocked */
	uint32_t flags;	       /* with these flags */
	bool raises_irq, nests, leaves;
	uint32_t held; /* how many had come before it returned */
} plan;

void nmi_send(void)
{
	apic_send(ICR_NMI);
}

static bool on_event(struct frame32 *frame)
{
	if (record_count != 1)
		return false;
	for (unsigned i = 0; i < plan.sends; i++)
		apic_send(ICR_NMI);
	if (plan.raises_irq)
		irq0_raise();
	nmi_exits();
	plan.held = record_count;
	if (plan.nests) {
		__asm__ volatile("int $0x30");
		nmi_exits();
	}
	frame->eip = (uint32_t)plan.target;
	frame->eflags |= plan.flags;
	return plan.leaves;
}

static void send(void (*code)(void), const uint8_t *target, const char *name)
{
	plan.target = target;
	record_hook = on_event;
	run32(code, 0);
	record_hook = NULL;
	/* the first one's address, and those inside the handler, depend on the machine */
	for (uint32_t i = 0; i < record_count; i++) {
		bool in_target = record[i].ip - (uint32_t)target < 16;

		if (!in_target)
			record[i].ip = (uint32_t)target - 1;
	}
	print("%u before IRET; ", plan.held);
	record_print(name, target);
}

#define ONE(name)	  send(name, name##_target, #name);
#define ONE_BLOCKED(name) block(), RUN32(name);

/* Takes one NMI and leaves its handler without IRET. */
static void block(void)
{
	plan.sends = 0;
	plan.leaves = true;
	record_hook = on_event;
	run32(nmi_nop, 0);
	record_hook = NULL;
	plan.leaves = false;
	if (record_count != 1 || record[0].vector != VECTOR_NMI)
		check(false, "one NMI");
}

void guest_main(void)
{
	record_init();
	interrupts_init();
	mark("one");
	SENDS(ONE)
	mark("one more while it is handled");
	plan.sends = 1;
	SENDS(ONE)
	mark("two more are one");
	plan.sends = 2;
	ONE(nmi_cpuid)
	mark("with others");
	plan.sends = 1;
	plan.flags = FLAGS_TF;
	ONE(nmi_cpuid)
	ONE(nmi_in)
	plan.raises_irq = true;
	plan.flags = FLAGS_IF;
	ONE(nmi_cpuid)
	plan.sends = 0;
	ONE(nmi_cpuid)
	irq0_forget();
	plan.raises_irq = false;
	plan.flags = 0;
	mark("an exception in the handler");
	plan.sends = 1;
	plan.nests = true;
	ONE(nmi_cpuid)
	plan.nests = false;
	mark("blocked for long");
	BLOCKED(ONE_BLOCKED)
	block();
	RUN64(blocked64);
	block();
	RUN_REAL(blocked16);
}
