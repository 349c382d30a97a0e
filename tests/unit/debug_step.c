/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/debug/step.c and core/single.c: stepping one instruction. The test is the CPU: it executes what it is told to,
 * with TF as it finds it, and traps.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <x86/cr.h>
#include <x86/dr.h>
#include <x86/msr.h>

#include "core/debug/debug.h"
#include "core/exit.h"
#include "tests/unit/spine.h"

#define TF	  X86_FLAGS_TF
#define DR6_RESET 0xffff0ff0u
#define HANDLER	  0x9000u
#define STACK	  0x7000u
#define TSS	  0x5000u
#define TSS_LIMIT 0xffu

/* The redirection bitmap is in front of it. */
#define TSS_IO_MAP 0x88u

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;
static struct vm *const vm = &spine.fake.vm;
static struct debug debug;

static unsigned stops, steps_left;
static uint64_t range_start, range_end;

/* Steps as often as it is to, then leaves the guest standing: an exit ends the fake's run. */
static void client_stopped(struct vcpu *v)
{
	stops++;
	/* what a debugger sees is the guest's own */
	assert_false(v->single.active);
	assert_false(v->step.active);
	assert_false(fake->stepping);
	assert_ptr_equal(fake->active_view, &vm->base);
	if (steps_left == 0)
		return;
	steps_left--;
	debug_step(v, range_start, range_end);
}

static struct control control = {.stopped = client_stopped};

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	debug_init(vcpu, &debug);
	vm->control = &control;
	fake->reg[REG_DR6] = DR6_RESET;
	fake->reg[REG_DR7] = 0x400;
	vcpu->gpr[GPR_RSP] = STACK;
	stops = 0;
	range_start = range_end = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_null(vcpu->fatal);
	assert_int_equal(stops, 2);
	assert_int_equal(debug_stop(vcpu)->kind, STOP_STEP);
	assert_int_equal(vcpu->work & WORK_LEAVE, 0);
	assert_true((fake->reg[REG_DR6] & ~DR6_BS) == DR6_RESET);
	spine_free(&spine);
	return 0;
}

/* The guest stops before the instruction in bytes and is told to execute it. */
static void step(const char *bytes, size_t length)
{
	const struct stop request = {.kind = STOP_REQUEST};

	spine_code(&spine, bytes, length);
	debug_stop_request(vcpu, &request);
	steps_left = 1;
	vcpu_work(vcpu);
}

#define STEP(bytes) step(bytes, sizeof(bytes) - 1)

static void exception(uint8_t vector)
{
	const struct exit_detail detail = {.exception = {.vector = vector}};

	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
}

/* The instruction has been executed. */
static void trap(void)
{
	assert_true(fake->stepping);
	fake->reg[REG_DR6] |= DR6_BS;
	exception(1);
}

/* The first fetch of a handler, which has to exit. */
static void arrive(uint64_t rip)
{
	const struct exit_detail detail = {.nested = {.gpa = rip, .access = ACCESS_EXEC, .present = true}};
	struct nested_entry entry;
	unsigned level;

	assert_false(fake->stepping);
	assert_int_equal(nested_lookup(vm, fake->active_view, rip, &entry, &level), 0);
	assert_int_equal(entry.access, ACCESS_READ | ACCESS_WRITE);
	vcpu->rip = rip;
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
}

static void test_plain(void **state)
{
	(void)state;
	STEP("\x90");
	assert_true(vcpu->rflags & TF);
	vcpu->rip++;
	trap();
	assert_true(vcpu->rip == SPINE_CODE + 1);
	assert_false(vcpu->rflags & TF);
	assert_null(spine_injected(&spine));
	assert_true(fake->reg[REG_DR6] == DR6_RESET);
}

/* Its own trap is not ours: it gets it once it goes on. */
static void test_guest_steps_itself(void **state)
{
	(void)state;
	vcpu->rflags |= TF;
	STEP("\x90");
	vcpu->rip++;
	trap();
	assert_true(vcpu->rflags & TF);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(fake->reg[REG_DR6] & DR6_BS);
}

static void pushf(void)
{
	uint16_t *top = fake_memory_at(&spine.fake.platform, STACK - 8, 2);

	STEP("\x9c");
	vcpu->gpr[GPR_RSP] = STACK - 8;
	*top = (uint16_t)vcpu->rflags;
	vcpu->rip++;
	trap();
}

static void test_pushf(void **state)
{
	const uint16_t *top = fake_memory_at(&spine.fake.platform, STACK - 8, 2);

	(void)state;
	vcpu->rflags |= X86_FLAGS_IF;
	pushf();
	assert_int_equal(*top, X86_FLAGS_IF | X86_FLAGS_FIXED);
}

/* MOV SS: the trap waits for what is behind it. */
static void test_pushf_behind_mov_ss(void **state)
{
	uint16_t *top = fake_memory_at(&spine.fake.platform, STACK - 8, 2);

	(void)state;
	STEP("\x8e\xd0\x9c");
	vcpu->gpr[GPR_RSP] = STACK - 8;
	*top = (uint16_t)vcpu->rflags;
	vcpu->rip += 3;
	trap();
	assert_int_equal(*top, X86_FLAGS_FIXED);
}

/* What cannot be delivered instead, because MOV SS has to be executed, finds no IDT and is delivered afterwards. */
static void test_int_n_behind_mov_ss(void **state)
{
	const struct exit_detail detail = {.exception = {.vector = 13, .has_error = true, .error = 0x15 * 8 + 2}};
	const struct event delivery = {.type = EVENT_SOFT_INTR, .vector = 0x15, .length = 2};

	(void)state;
	fake->reg[REG_IDTR_LIMIT] = 0x3ff;
	STEP("\x8e\xd0\xcd\x15");
	assert_true(vcpu->rflags & TF);
	assert_int_equal(fake->reg[REG_IDTR_LIMIT], 0);
	vcpu->rip += 2;
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, &delivery);
	assert_int_equal(stops, 1);
	assert_int_equal(fake->reg[REG_IDTR_LIMIT], 0x3ff);
	assert_false(vcpu->rflags & TF);
	assert_int_equal(spine_injected(&spine)->type, EVENT_SOFT_INTR);
	assert_int_equal(spine_injected(&spine)->vector, 0x15);
	arrive(HANDLER);
}

/* SDM vol. 3, table 20-2: what becomes of INT 15h, by the extensions, IOPL and the bit in the bitmap */
static void v8086(bool extensions, bool privileged, bool bit)
{
	uint8_t *tss = fake_memory_at(&spine.fake.platform, TSS, TSS_LIMIT + 1);
	const uint16_t io_map = TSS_IO_MAP;

	fake->reg[REG_CR0] = CR0_PE;
	fake->reg[REG_CR4] = extensions ? CR4_VME : 0;
	fake->reg[REG_CPL] = 3;
	fake->seg[SEG_TR] = (struct segment){.base = TSS, .limit = TSS_LIMIT};
	memset(tss, bit ? 0 : 0xff, TSS_LIMIT + 1);
	memcpy(tss + 102, &io_map, sizeof(io_map));
	tss[TSS_IO_MAP - 32 + 0x15 / 8] ^= 1 << 0x15 % 8;
	vcpu->rflags |= X86_FLAGS_VM | (privileged ? X86_FLAGS_IOPL : 0);
}

/* Which redirection would lead past the IDT. */
static void test_int_n_behind_mov_ss_in_v8086(void **state)
{
	const struct exit_detail detail = {.exception = {.vector = 13, .has_error = true}};

	(void)state;
	v8086(true, false, false);
	STEP("\x8e\xd0\xcd\x15");
	assert_int_equal(fake->reg[REG_CR4], 0);
	vcpu->rip += 2;
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
	assert_int_equal(fake->reg[REG_CR4], CR4_VME);
	assert_int_equal(spine_injected(&spine)->type, EVENT_SOFT_INTR);
	arrive(HANDLER);
}

/* The CPU says that INT3 is one before it looks for a handler. */
static void test_int3_behind_mov_ss(void **state)
{
	const struct exit_detail detail = {.exception = {.vector = 3, .length = 1}};

	(void)state;
	fake->reg[REG_IDTR_LIMIT] = 0x3ff;
	STEP("\x8e\xd0\xcc");
	vcpu->rip += 2;
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
	assert_int_equal(fake->reg[REG_IDTR_LIMIT], 0x3ff);
	assert_false(vcpu->rflags & TF);
	assert_int_equal(spine_injected(&spine)->type, EVENT_SOFT_EXCEPT);
	assert_int_equal(spine_injected(&spine)->vector, 3);
	arrive(HANDLER);
}

static void test_into_behind_mov_ss_without_overflow(void **state)
{
	(void)state;
	fake->reg[REG_IDTR_LIMIT] = 0x3ff;
	STEP("\x8e\xd0\xce");
	vcpu->rip += 3;
	trap();
	assert_int_equal(fake->reg[REG_IDTR_LIMIT], 0x3ff);
	assert_null(spine_injected(&spine));
}

/* MOV SS itself faults. */
static void test_mov_ss_before_int_n_that_faults(void **state)
{
	(void)state;
	fake->reg[REG_IDTR_LIMIT] = 0x3ff;
	STEP("\x8e\xd0\xcd\x15");
	exception(13);
	assert_int_equal(fake->reg[REG_IDTR_LIMIT], 0x3ff);
	assert_false(vcpu->rflags & TF);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_int_equal(spine_injected(&spine)->type, EVENT_EXCEPTION);
	arrive(HANDLER);
}

/* BTF would let the trap wait for a branch: it is the guest's again behind the step. */
static void test_branches(void **state)
{
	(void)state;
	fake->debugctl = DEBUGCTL_LBR | DEBUGCTL_BTF;
	STEP("\x90");
	assert_int_equal(fake->debugctl, DEBUGCTL_LBR);
	vcpu->rip++;
	trap();
	assert_int_equal(fake->debugctl, DEBUGCTL_LBR | DEBUGCTL_BTF);
	assert_null(spine_injected(&spine));
}

static void test_branches_of_a_guest_that_steps_itself(void **state)
{
	(void)state;
	vcpu->rflags |= TF;
	fake->debugctl = DEBUGCTL_BTF;
	STEP("\x8e\xd0\x90");
	vcpu->rip += 3;
	trap();
	assert_null(spine_injected(&spine));
	assert_int_equal(fake->debugctl, DEBUGCTL_BTF);
}

/* #DB clears BTF and LBR. */
static void test_branch_of_a_guest_that_steps_itself(void **state)
{
	(void)state;
	vcpu->rflags |= TF;
	fake->debugctl = DEBUGCTL_LBR | DEBUGCTL_BTF;
	STEP("\xeb\x10");
	vcpu->rip += 18;
	trap();
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_int_equal(fake->debugctl, 0);
}

static void test_branches_of_a_repeated_string(void **state)
{
	(void)state;
	vcpu->rflags |= TF;
	fake->debugctl = DEBUGCTL_BTF;
	STEP("\xf3\xa4");
	trap();
	assert_null(spine_injected(&spine));
}

static void test_branches_and_an_emulated_instruction(void **state)
{
	(void)state;
	vcpu->rflags |= TF;
	fake->debugctl = DEBUGCTL_BTF;
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_null(spine_injected(&spine));
	fake->debugctl = 0;
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	stops = 2;
	debug.stop.kind = STOP_STEP;
}

static void test_rdmsr_of_debugctl(void **state)
{
	(void)state;
	fake->debugctl = DEBUGCTL_BTF;
	vcpu->gpr[GPR_RCX] = MSR_DEBUGCTL;
	STEP("\x0f\x32");
	vcpu->gpr[GPR_RAX] = fake->debugctl;
	vcpu->rip += 2;
	trap();
	assert_int_equal(vcpu->gpr[GPR_RAX], DEBUGCTL_BTF);
}

static void test_wrmsr_of_debugctl(void **state)
{
	(void)state;
	vcpu->gpr[GPR_RCX] = MSR_DEBUGCTL;
	vcpu->gpr[GPR_RAX] = DEBUGCTL_LBR | DEBUGCTL_BTF;
	STEP("\x0f\x30");
	fake->debugctl = vcpu->gpr[GPR_RAX];
	assert_int_equal(fake->debugctl, DEBUGCTL_LBR);
	vcpu->rip += 2;
	trap();
	assert_int_equal(vcpu->gpr[GPR_RAX], DEBUGCTL_LBR | DEBUGCTL_BTF);
	assert_int_equal(fake->debugctl, DEBUGCTL_LBR | DEBUGCTL_BTF);
}

static void test_wrmsr_of_debugctl_that_faults(void **state)
{
	(void)state;
	fake->debugctl = DEBUGCTL_BTF;
	vcpu->gpr[GPR_RCX] = MSR_DEBUGCTL;
	vcpu->gpr[GPR_RAX] = 0x10000;
	STEP("\x0f\x30");
	exception(13);
	assert_int_equal(vcpu->gpr[GPR_RAX], 0x10000);
	assert_int_equal(fake->debugctl, DEBUGCTL_BTF);
	arrive(HANDLER);
}

static void test_wrmsr_of_something_else(void **state)
{
	(void)state;
	fake->debugctl = DEBUGCTL_BTF;
	vcpu->gpr[GPR_RCX] = MSR_PAT;
	vcpu->gpr[GPR_RAX] = 0x6;
	STEP("\x0f\x30");
	assert_int_equal(vcpu->gpr[GPR_RAX], 0x6);
	vcpu->rip += 2;
	trap();
	assert_int_equal(fake->debugctl, DEBUGCTL_BTF);
}

/* MOV to and from DR6; bits of ours are neither found in it nor left there. */
static void mov_dr6(const char *bytes, size_t length, uint64_t before, uint64_t after)
{
	fake->reg[REG_DR6] = before;
	step(bytes, length);
	assert_true(fake->reg[REG_DR6] == before);
	fake->reg[REG_DR6] = after;
	vcpu->rip += length;
	trap();
}

#define MOV_DR6(bytes, before, after) mov_dr6(bytes, sizeof(bytes) - 1, before, after)

static void test_mov_from_dr6(void **state)
{
	(void)state;
	MOV_DR6("\x0f\x21\xf0", DR6_RESET | DR6_BS, DR6_RESET | DR6_BS);
	assert_true(fake->reg[REG_DR6] == (DR6_RESET | DR6_BS));
	assert_null(spine_injected(&spine));
}

static void test_mov_from_another_dr(void **state)
{
	(void)state;
	MOV_DR6("\x0f\x23\xf8", DR6_RESET, DR6_RESET);
	assert_true(fake->reg[REG_DR6] == DR6_RESET);
}

static void test_mov_to_dr6(void **state)
{
	(void)state;
	MOV_DR6("\x0f\x23\xf0", DR6_RESET | DR6_BS, DR6_RESET);
	assert_true(fake->reg[REG_DR6] == DR6_RESET);
	assert_null(spine_injected(&spine));
}

static void test_mov_to_dr4(void **state)
{
	(void)state;
	vcpu->gpr[GPR_RCX] = 0xffffffff & ~(DR6_B | DR6_BD | DR6_BT);
	MOV_DR6("\x0f\x23\xe1", DR6_RESET, DR6_RESET | DR6_BS);
	assert_true(fake->reg[REG_DR6] == (DR6_RESET | DR6_BS));
}

static void test_mov_to_dr6_in_long_mode(void **state)
{
	(void)state;
	spine_long64(&spine);
	vcpu->gpr[GPR_RAX] = DR6_BS;
	MOV_DR6("\x41\x0f\x23\xf0", DR6_RESET | DR6_BS, DR6_RESET);
	assert_true(fake->reg[REG_DR6] == DR6_RESET);
}

static void test_mov_to_dr6_behind_mov_ss(void **state)
{
	(void)state;
	MOV_DR6("\x8e\xd0\x0f\x23\xf0", DR6_RESET | DR6_BS, DR6_RESET);
	assert_true(fake->reg[REG_DR6] == DR6_RESET);
}

static void test_mov_to_dr6_of_a_guest_that_steps_itself(void **state)
{
	(void)state;
	vcpu->rflags |= TF;
	MOV_DR6("\x0f\x23\xf0", DR6_RESET, DR6_RESET);
	assert_true(fake->reg[REG_DR6] == (DR6_RESET | DR6_BS));
	assert_int_equal(spine_injected(&spine)->vector, 1);
}

static void test_mov_to_dr6_that_faults(void **state)
{
	(void)state;
	fake->reg[REG_DR6] = DR6_RESET | DR6_BS;
	STEP("\x0f\x23\xf0");
	exception(13);
	assert_true(fake->reg[REG_DR6] == (DR6_RESET | DR6_BS));
	arrive(HANDLER);
}

/* #DB in front of MOV DR, whatever DR6 says of earlier ones */
static void mov_dr_is_refused(uint64_t why)
{
	fake->reg[REG_DR6] = DR6_RESET | DR6_BS;
	STEP("\x0f\x21\xf8");
	fake->reg[REG_DR6] |= why;
	exception(1);
	assert_int_equal(stops, 1);
	assert_true(vcpu->rip == SPINE_CODE);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(fake->reg[REG_DR6] == (DR6_RESET | DR6_BS | why));
	arrive(HANDLER);
	fake->reg[REG_DR6] = DR6_RESET;
}

static void test_general_detection(void **state)
{
	(void)state;
	fake->reg[REG_DR7] |= DR7_GD;
	mov_dr_is_refused(DR6_BD);
	assert_int_equal(fake->reg[REG_DR7] & DR7_GD, 0);
}

/* What #DB clears stays for the guest: it was ours. */
static void test_general_detection_behind_a_step(void **state)
{
	(void)state;
	fake->reg[REG_DR7] |= DR7_GD;
	STEP("\x90");
	vcpu->rip++;
	fake->reg[REG_DR7] &= ~(uint64_t)DR7_GD;
	trap();
	assert_int_equal(fake->reg[REG_DR7], 0x400 | DR7_GD);
}

static void test_general_detection_begins(void **state)
{
	(void)state;
	vcpu->gpr[GPR_RAX] = 0x400 | DR7_GD;
	STEP("\x0f\x23\xf8");
	vcpu->rip += 3;
	trap();
	assert_int_equal(fake->reg[REG_DR7], 0x400 | DR7_GD);
}

/* The guest's own trap is one for it, too. */
static void test_general_detection_of_a_guest_that_steps_itself(void **state)
{
	(void)state;
	vcpu->rflags |= TF;
	fake->reg[REG_DR7] |= DR7_GD;
	STEP("\x90");
	vcpu->rip++;
	trap();
	assert_int_equal(fake->reg[REG_DR7], 0x400);
	assert_int_equal(spine_injected(&spine)->vector, 1);
}

/* DR6 may tell of a breakpoint at the next instruction behind this one. */
static void test_guest_breakpoint_at_the_next_instruction(void **state)
{
	(void)state;
	fake->reg[REG_DR7] |= 1;
	STEP("\x90");
	vcpu->rip++;
	fake->reg[REG_DR6] |= 1;
	trap();
	assert_null(spine_injected(&spine));
	assert_true(fake->reg[REG_DR6] == DR6_RESET);
}

static void test_guest_breakpoint_at_mov_dr(void **state)
{
	(void)state;
	fake->reg[REG_DR7] |= 1;
	mov_dr_is_refused(1);
}

static void test_pushf_of_the_guests_own(void **state)
{
	const uint16_t *top = fake_memory_at(&spine.fake.platform, STACK - 8, 2);

	(void)state;
	vcpu->rflags |= TF;
	pushf();
	assert_int_equal(*top, TF | X86_FLAGS_FIXED);
}

/* The upper half of SP does not count on a 16-bit stack. */
static void test_pushf_on_a_short_stack(void **state)
{
	const uint16_t *top = fake_memory_at(&spine.fake.platform, STACK - 8, 2);

	(void)state;
	STEP("\x9c");
	vcpu->gpr[GPR_RSP] = 0xabcd0000 | (STACK - 8);
	memcpy(fake_memory_at(&spine.fake.platform, STACK - 8, 2), &vcpu->rflags, 2);
	trap();
	assert_int_equal(*top, X86_FLAGS_FIXED);
}

static void test_pushf_long64(void **state)
{
	const uint16_t *top = fake_memory_at(&spine.fake.platform, STACK - 8, 2);

	(void)state;
	spine_long64(&spine);
	pushf();
	assert_int_equal(*top, X86_FLAGS_FIXED);
}

/* POPF and IRET load TF: it stays as loaded, and the trap behind them goes by the old one. */
static void test_popf_sets_tf(void **state)
{
	(void)state;
	STEP("\x9d");
	vcpu->rflags = TF | X86_FLAGS_FIXED;
	trap();
	assert_true(vcpu->rflags & TF);
	assert_null(spine_injected(&spine));
}

static void test_iret_clears_tf(void **state)
{
	(void)state;
	vcpu->rflags |= TF;
	STEP("\xcf");
	vcpu->rflags = X86_FLAGS_FIXED;
	trap();
	assert_false(vcpu->rflags & TF);
	assert_int_equal(spine_injected(&spine)->vector, 1);
}

static void test_popf_that_faults(void **state)
{
	(void)state;
	STEP("\x9d");
	exception(12);
	assert_false(vcpu->rflags & TF);
	assert_int_equal(spine_injected(&spine)->vector, 12);
	arrive(HANDLER);
}

static void syscall_execute(void)
{
	STEP("\x0f\x05");
	vcpu->gpr[GPR_R11] = vcpu->rflags;
	vcpu->rflags &= ~fake->reg[REG_FMASK];
	vcpu->rip = HANDLER;
	assert_true(vcpu->rflags & TF); /* or there would be no trap */
	trap();
	assert_true(vcpu->rip == HANDLER);
}

static void test_syscall(void **state)
{
	(void)state;
	spine_long64(&spine);
	vcpu->rflags |= X86_FLAGS_IF;
	fake->reg[REG_FMASK] = TF | X86_FLAGS_IF;
	syscall_execute();
	assert_int_equal(fake->reg[REG_FMASK], TF | X86_FLAGS_IF);
	assert_int_equal(vcpu->gpr[GPR_R11], X86_FLAGS_IF | X86_FLAGS_FIXED);
	assert_int_equal(vcpu->rflags, X86_FLAGS_FIXED);
	assert_null(spine_injected(&spine));
}

/* A guest that steps itself over SYSCALL gets its trap if FMASK keeps TF, and not before SYSRET otherwise. */
static void test_syscall_masks_the_guests_tf(void **state)
{
	(void)state;
	spine_long64(&spine);
	vcpu->rflags |= TF;
	fake->reg[REG_FMASK] = TF;
	syscall_execute();
	assert_int_equal(vcpu->gpr[GPR_R11], TF | X86_FLAGS_FIXED);
	assert_false(vcpu->rflags & TF);
	assert_null(spine_injected(&spine));
}

static void test_syscall_keeps_the_guests_tf(void **state)
{
	(void)state;
	spine_long64(&spine);
	vcpu->rflags |= TF;
	syscall_execute();
	assert_true(vcpu->rflags & TF);
	assert_int_equal(spine_injected(&spine)->vector, 1);
}

static void test_syscall_that_is_none(void **state)
{
	(void)state;
	spine_long64(&spine);
	fake->reg[REG_FMASK] = TF;
	STEP("\x0f\x05");
	exception(6);
	assert_int_equal(fake->reg[REG_FMASK], TF);
	arrive(HANDLER);
}

static void sysret_execute(uint64_t r11)
{
	spine_long64(&spine);
	vcpu->gpr[GPR_R11] = r11;
	STEP("\x48\x0f\x07");
	vcpu->rflags = vcpu->gpr[GPR_R11];
	vcpu->rip = HANDLER;
	assert_true(vcpu->rflags & TF);
	trap();
	assert_true(vcpu->gpr[GPR_R11] == r11);
	assert_true(vcpu->rflags == r11);
}

/* Outside of long mode, where AMD's CPUs have both, no flags are kept: not on the stack, either. */
static void legacy_call(const char *bytes)
{
	uint16_t *top = fake_memory_at(&spine.fake.platform, STACK, 2);

	spine_prot32(&spine);
	vcpu->rflags |= X86_FLAGS_IF;
	*top = 0xffff;
	vcpu->gpr[GPR_R11] = 0x1234;
	step(bytes, 2);
	vcpu->rip = HANDLER;
	vcpu->rflags ^= X86_FLAGS_IF;
	trap();
	assert_int_equal(vcpu->rflags, X86_FLAGS_FIXED);
	assert_int_equal(*top, 0xffff);
	assert_int_equal(vcpu->gpr[GPR_R11], 0x1234);
}

static void test_syscall_outside_of_long_mode(void **state)
{
	(void)state;
	legacy_call("\x0f\x05");
}

static void test_sysret_outside_of_long_mode(void **state)
{
	(void)state;
	legacy_call("\x0f\x07");
}

static void test_sysret(void **state)
{
	(void)state;
	sysret_execute(X86_FLAGS_IF | X86_FLAGS_FIXED);
	assert_null(spine_injected(&spine));
}

static void test_sysret_to_a_stepped_program(void **state)
{
	(void)state;
	sysret_execute(TF | X86_FLAGS_FIXED);
	assert_int_equal(spine_injected(&spine)->vector, 1);
}

/* What clears TF is delivered instead of executed: no frame ever has our TF. */
static void interrupt(const char *bytes, size_t length, enum event_type type, uint8_t vector)
{
	/* the entry comes behind the work word here, not behind an exit */
	fake->injected_count = 0;
	fake->inject_pending = false;
	step(bytes, length);
	assert_int_equal(spine_injected(&spine)->type, type);
	assert_int_equal(spine_injected(&spine)->vector, vector);
	assert_int_equal(spine_injected(&spine)->length, length);
	assert_false(vcpu->rflags & TF);
	arrive(HANDLER);
	assert_true(vcpu->rip == HANDLER);
}

#define INTERRUPT(bytes, type, vector) interrupt(bytes, sizeof(bytes) - 1, type, vector)

static void test_int_n(void **state)
{
	(void)state;
	INTERRUPT("\xcd\x15", EVENT_SOFT_INTR, 0x15);
}

static void test_int_n_of_an_odd_vector(void **state)
{
	(void)state;
	INTERRUPT("\xcd\xcc", EVENT_SOFT_INTR, 0xcc);
}

static void test_int3(void **state)
{
	(void)state;
	INTERRUPT("\xcc", EVENT_SOFT_EXCEPT, 3);
}

static void test_int1(void **state)
{
	(void)state;
	INTERRUPT("\xf1", EVENT_SOFT_EXCEPT, 1);
}

static void test_into(void **state)
{
	(void)state;
	vcpu->rflags |= X86_FLAGS_OF;
	INTERRUPT("\xce", EVENT_SOFT_EXCEPT, 4);
}

static void test_into_without_overflow(void **state)
{
	(void)state;
	STEP("\xce");
	trap();
	assert_null(spine_injected(&spine));
}

/* The CPU says #GP, before it pushes anything. */
static void int_n_is_refused(void)
{
	STEP("\xcd\x15");
	assert_true(fake->stepping);
	exception(13);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_int_equal(spine_injected(&spine)->type, EVENT_EXCEPTION);
	assert_false(vcpu->rflags & TF);
	arrive(HANDLER);
}

static void test_int_n_in_v8086(void **state)
{
	(void)state;
	v8086(false, false, false);
	int_n_is_refused();
}

static void test_int_n_in_v8086_for_the_monitor(void **state)
{
	(void)state;
	v8086(true, false, true);
	int_n_is_refused();
}

/* No frame of the 8086 program's has our TF. */
static void test_int_n_in_v8086_for_the_program(void **state)
{
	(void)state;
	v8086(true, false, false);
	INTERRUPT("\xcd\x15", EVENT_SOFT_INTR, 0x15);
}

static void test_int_n_in_v8086_with_iopl_3(void **state)
{
	(void)state;
	v8086(false, true, false);
	INTERRUPT("\xcd\x15", EVENT_SOFT_INTR, 0x15);
}

static void test_int3_in_v8086(void **state)
{
	(void)state;
	v8086(true, false, true);
	INTERRUPT("\xcc", EVENT_SOFT_EXCEPT, 3);
}

static void test_int_n_in_v8086_without_a_bitmap(void **state)
{
	uint8_t *tss = fake_memory_at(&spine.fake.platform, TSS, TSS_LIMIT + 1);

	(void)state;
	v8086(true, false, false);
	/* what would be there lies in front of the limit */
	tss[102] = 0x50;
	tss[0x50 - 32 + 0x15 / 8] = 0;
	fake->seg[SEG_TR].limit = 102;
	int_n_is_refused();
}

static void test_int_n_in_v8086_behind_the_limit(void **state)
{
	(void)state;
	v8086(true, false, false);
	fake->seg[SEG_TR].limit = TSS_IO_MAP - 32 + 0x15 / 8 - 1;
	int_n_is_refused();
}

static void test_int_n_in_v8086_in_front_of_the_tss(void **state)
{
	uint8_t *tss = fake_memory_at(&spine.fake.platform, TSS, TSS_LIMIT + 1);

	(void)state;
	v8086(true, false, false);
	memset(tss + 102, 0, 2);
	int_n_is_refused();
}

/* The tables lead to no bitmap: #PF */
static void test_int_n_in_v8086_with_a_bitmap_that_is_not_there(void **state)
{
	(void)state;
	v8086(true, false, false);
	fake->reg[REG_CR0] |= CR0_PG;
	fake->reg[REG_CR3] = SPINE_TABLES;
	fake->reg[REG_CR4] |= CR4_PSE;
	/* 4 MiB, where code and TSS are, and the TSS moves where nothing is */
	memcpy(fake_memory_at(&spine.fake.platform, SPINE_TABLES, 4), &(uint32_t){0x87}, 4);
	fake->seg[SEG_TR].base += MIB(4);
	STEP("\xcd\x15");
	assert_true(fake->stepping);
	exception(14);
	assert_int_equal(spine_injected(&spine)->vector, 14);
	arrive(HANDLER);
}

static void test_fault(void **state)
{
	(void)state;
	STEP("\x0f\x0b");
	exception(6);
	assert_int_equal(stops, 1);
	assert_int_equal(spine_injected(&spine)->vector, 6);
	assert_false(vcpu->rflags & TF);
	arrive(HANDLER);
}

/* The delivery exits on its way, and has to begin again. */
static void test_delivery_that_exits(void **state)
{
	const struct exit_detail detail = {.nested = {.gpa = SPINE_HIDDEN, .access = ACCESS_WRITE}};
	const struct event delivery = {.type = EVENT_EXCEPTION, .vector = 6};

	(void)state;
	STEP("\x0f\x0b");
	exception(6);
	spine_exit(&spine, EXIT_NESTED, 0, &detail, &delivery);
	assert_int_equal(stops, 1);
	assert_int_equal(spine_injected(&spine)->vector, 6);
	arrive(HANDLER);
}

/* A breakpoint of the guest itself, before the instruction: its handler comes first. */
static void test_guest_breakpoint_at_the_instruction(void **state)
{
	(void)state;
	fake->reg[REG_DR7] |= 1;
	STEP("\x90");
	fake->reg[REG_DR6] |= 1;
	exception(1);
	assert_int_equal(stops, 1);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_true(fake->reg[REG_DR6] == (DR6_RESET | 1));
	arrive(HANDLER);
	fake->reg[REG_DR6] = DR6_RESET;
}

/* TF wakes a CPU. */
static void test_hlt(void **state)
{
	(void)state;
	STEP("\xf4");
	assert_int_equal(stops, 2);
	assert_true(vcpu->rip == SPINE_CODE + 1);
	assert_int_equal(fake->steps_on, 0);
}

static void test_hlt_of_a_guest_that_steps_itself(void **state)
{
	(void)state;
	fake->injected_count = 0;
	vcpu->rflags |= TF;
	STEP("\xf4");
	assert_true(vcpu->rip == SPINE_CODE + 1);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_int_equal(vcpu->work & ~WORK_STOP, 0);
}

static void test_hlt_of_a_program(void **state)
{
	(void)state;
	fake->reg[REG_CPL] = 3;
	STEP("\xf4");
	exception(13);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	arrive(HANDLER);
}

/* Nothing but HLT, and a range without end. */
static void test_hlt_in_a_range(void **state)
{
	(void)state;
	range_end = ~0ull;
	STEP("\xf4\xf4\xf4");
	assert_true(vcpu->rip == SPINE_CODE + 1);
}

/* A stop before and one behind the same emulated instruction, then on: it happens once. */
static void test_emulated(void **state)
{
	(void)state;
	vcpu->gpr[GPR_RAX] = 0;
	fake_cpuid_set(&spine.fake.platform, 0, FAKE_CPUID_ANY_SUBLEAF, (struct cpuid_regs){.eax = 13});
	STEP("\x0f\xa2");
	assert_int_equal(stops, 1);
	assert_true(vcpu->rip == SPINE_CODE);
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(stops, 2);
	assert_true(vcpu->rip == SPINE_CODE + 2);
	assert_int_equal(vcpu->gpr[GPR_RAX], 13);
	assert_false(vcpu->rflags & TF);
	assert_null(spine_injected(&spine));
	debug_resume(vcpu);
	vcpu_work(vcpu);
	assert_int_equal(vcpu->work, 0);
	assert_true(vcpu->rip == SPINE_CODE + 2);
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(stops, 2);
}

/* What is emulated may fault, too. */
static void test_emulated_that_faults(void **state)
{
	const struct exit_detail detail = {.msr = {.index = 0xc0010117}};

	(void)state;
	STEP("\x0f\x32");
	spine_exit(&spine, EXIT_MSR, 2, &detail, NULL);
	assert_int_equal(stops, 1);
	assert_int_equal(spine_injected(&spine)->vector, 13);
	assert_false(vcpu->rflags & TF);
	arrive(HANDLER);
}

/* An access that is itself stepped is part of the instruction. */
static void test_hidden_memory(void **state)
{
	const struct exit_detail detail = {.nested = {.gpa = SPINE_HIDDEN, .access = ACCESS_READ}};

	(void)state;
	STEP("\x66\x8b\x07");
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_true(vcpu->step.active);
	assert_int_equal(fake->steps_on, 1);
	vcpu->rip += 3;
	trap();
	assert_int_equal(fake->steps_off, 1);
	assert_false(vcpu->rflags & TF);
}

/* An exit that has nothing to do with it. */
static void test_other_exit(void **state)
{
	const struct exit_detail detail = {.nested = {.gpa = GIB(8), .access = ACCESS_READ}};

	(void)state;
	STEP("\x66\x8b\x07");
	spine_exit(&spine, EXIT_NESTED, 0, &detail, NULL);
	assert_true(fake->stepping);
	assert_int_equal(stops, 1);
	trap();
}

/* One that the CPU delivers itself. */
static void test_nmi(void **state)
{
	(void)state;
	STEP("\x90");
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_int_equal(stops, 1);
	assert_false(vcpu->rflags & TF);
	arrive(HANDLER);
}

static void test_our_nmi(void **state)
{
	(void)state;
	vm->caps |= BACKEND_CAP_NMI_EXITS;
	STEP("\x90");
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_int_equal(stops, 1);
	assert_int_equal(spine_injected(&spine)->type, EVENT_NMI);
	arrive(HANDLER);
}

/* One that has to wait does not keep the instruction from being stepped. */
static void test_blocked_nmi(void **state)
{
	(void)state;
	vm->caps |= BACKEND_CAP_NMI_EXITS;
	fake->reg[REG_NMI_BLOCKED] = 1;
	STEP("\x90");
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_true(fake->stepping);
	vcpu->rip++;
	trap();
	assert_true(vcpu->events.nmi);
}

/* What was pending when the guest stopped is delivered first. */
static void test_event_that_was_pending(void **state)
{
	const struct stop request = {.kind = STOP_REQUEST};

	(void)state;
	steps_left = 1;
	debug_stop_request(vcpu, &request);
	spine_exit(&spine, EXIT_VIRT_INSN, 3, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 6);
	assert_int_equal(stops, 1);
	arrive(HANDLER);
}

static void test_range(void **state)
{
	(void)state;
	range_start = SPINE_CODE;
	range_end = SPINE_CODE + 3;
	STEP("\x90\x90\x90");
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(stops, 1);
		vcpu->rip = SPINE_CODE + i;
		trap();
	}
}

/* A request ends a range, whichever instruction is under way. */
static void test_request_in_a_range(void **state)
{
	const struct stop request = {.kind = STOP_REQUEST};

	(void)state;
	range_end = ~0ull;
	STEP("\x90\x90\x90");
	trap();
	assert_true(fake->stepping);
	debug_stop_request(vcpu, &request);
	trap();
	assert_int_equal(debug_stop(vcpu)->kind, STOP_REQUEST);
	debug.stop.kind = STOP_STEP;
}

/* Nobody is there any more: the step ends by itself and the guest runs on. */
static void test_release_in_a_step(void **state)
{
	(void)state;
	STEP("\x90");
	debug_release(vcpu);
	trap();
	assert_int_equal(stops, 1);
	assert_int_equal(vcpu->work, 0);
	assert_false(fake->stepping);
	assert_false(vcpu->rflags & TF);
	stops = 2;
	debug.stop.kind = STOP_STEP;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_plain),
		TEST(test_guest_steps_itself),
		TEST(test_pushf),
		TEST(test_pushf_behind_mov_ss),
		TEST(test_int_n_behind_mov_ss),
		TEST(test_int_n_behind_mov_ss_in_v8086),
		TEST(test_int3_behind_mov_ss),
		TEST(test_into_behind_mov_ss_without_overflow),
		TEST(test_mov_ss_before_int_n_that_faults),
		TEST(test_branches),
		TEST(test_branches_of_a_guest_that_steps_itself),
		TEST(test_branch_of_a_guest_that_steps_itself),
		TEST(test_branches_of_a_repeated_string),
		TEST(test_branches_and_an_emulated_instruction),
		TEST(test_rdmsr_of_debugctl),
		TEST(test_wrmsr_of_debugctl),
		TEST(test_wrmsr_of_debugctl_that_faults),
		TEST(test_wrmsr_of_something_else),
		TEST(test_mov_from_dr6),
		TEST(test_mov_from_another_dr),
		TEST(test_mov_to_dr6),
		TEST(test_mov_to_dr4),
		TEST(test_mov_to_dr6_in_long_mode),
		TEST(test_mov_to_dr6_behind_mov_ss),
		TEST(test_mov_to_dr6_of_a_guest_that_steps_itself),
		TEST(test_mov_to_dr6_that_faults),
		TEST(test_general_detection),
		TEST(test_general_detection_behind_a_step),
		TEST(test_general_detection_begins),
		TEST(test_general_detection_of_a_guest_that_steps_itself),
		TEST(test_guest_breakpoint_at_the_next_instruction),
		TEST(test_guest_breakpoint_at_mov_dr),
		TEST(test_pushf_of_the_guests_own),
		TEST(test_pushf_on_a_short_stack),
		TEST(test_pushf_long64),
		TEST(test_popf_sets_tf),
		TEST(test_iret_clears_tf),
		TEST(test_popf_that_faults),
		TEST(test_syscall),
		TEST(test_syscall_masks_the_guests_tf),
		TEST(test_syscall_keeps_the_guests_tf),
		TEST(test_syscall_that_is_none),
		TEST(test_syscall_outside_of_long_mode),
		TEST(test_sysret_outside_of_long_mode),
		TEST(test_sysret),
		TEST(test_sysret_to_a_stepped_program),
		TEST(test_int_n),
		TEST(test_int_n_of_an_odd_vector),
		TEST(test_int3),
		TEST(test_int1),
		TEST(test_into),
		TEST(test_into_without_overflow),
		TEST(test_int_n_in_v8086),
		TEST(test_int_n_in_v8086_for_the_monitor),
		TEST(test_int_n_in_v8086_for_the_program),
		TEST(test_int_n_in_v8086_with_iopl_3),
		TEST(test_int3_in_v8086),
		TEST(test_int_n_in_v8086_without_a_bitmap),
		TEST(test_int_n_in_v8086_behind_the_limit),
		TEST(test_int_n_in_v8086_in_front_of_the_tss),
		TEST(test_int_n_in_v8086_with_a_bitmap_that_is_not_there),
		TEST(test_fault),
		TEST(test_delivery_that_exits),
		TEST(test_guest_breakpoint_at_the_instruction),
		TEST(test_hlt),
		TEST(test_hlt_of_a_guest_that_steps_itself),
		TEST(test_hlt_of_a_program),
		TEST(test_hlt_in_a_range),
		TEST(test_emulated),
		TEST(test_emulated_that_faults),
		TEST(test_hidden_memory),
		TEST(test_other_exit),
		TEST(test_nmi),
		TEST(test_our_nmi),
		TEST(test_blocked_nmi),
		TEST(test_event_that_was_pending),
		TEST(test_range),
		TEST(test_request_in_a_range),
		TEST(test_release_in_a_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
