/* SPDX-License-Identifier: BSD-2-Clause */
/* core/exit.c: the default of each kind, how exits end, and the work word in every combination. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <x86/cpuid.h>
#include <x86/cr.h>
#include <x86/dr.h>

#include "tests/unit/spine.h"

static struct spine spine;
static struct fake_vcpu *const fake = &spine.fake.vcpu;
static struct vcpu *const vcpu = &spine.fake.vcpu.vcpu;

static int setup(void **state)
{
	(void)state;
	spine_init(&spine);
	fake->reg[REG_CR0] = CR0_PE;
	return 0;
}

static enum verdict verdict;

static enum verdict handler(struct vcpu *v)
{
	assert_ptr_equal(v, vcpu);
	return verdict;
}

static bool leaves(void)
{
	return vcpu->work & WORK_LEAVE;
}

static void test_statistics(void **state)
{
	static const char *const names[EXIT_KIND_COUNT] = {
#define X(symbol, name) [EXIT_##symbol] = name,
		EXIT_KINDS(X)
#undef X
	};

	(void)state;
	assert_int_equal(vcpu->statistics.magic, EXIT_STATISTICS_MAGIC);
	assert_int_equal(vcpu->statistics.version, EXIT_STATISTICS_VERSION);
	assert_int_equal(vcpu->statistics.count, EXIT_KIND_COUNT + 1);
	verdict = VERDICT_RESUME;
	for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++) {
		assert_string_equal(vcpu->statistics.counter[kind].name, names[kind]);
		vcpu->slot[kind] = handler;
		for (unsigned i = 0; i <= kind; i++)
			spine_exit(&spine, (enum exit_kind)kind, 0, NULL, NULL);
	}
	for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++)
		assert_int_equal(vcpu->statistics.counter[kind].count, kind + 1);
	assert_string_equal(vcpu->statistics.counter[EXIT_STATISTICS_HIDDEN].name, "hidden");
}

static void test_every_kind_has_a_default(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++) {
		assert_non_null(exit_defaults[kind]);
		assert_ptr_equal(vcpu->slot[kind], exit_defaults[kind]);
	}
}

static void test_state_set(void **state)
{
	struct guest_state guest;
	struct segment segment;

	(void)state;
	memset(&guest, 0, sizeof(guest));
	for (unsigned i = 0; i < GPR_COUNT; i++)
		guest.gpr[i] = 0x100 + i;
	for (unsigned i = 0; i < REG_COUNT; i++)
		guest.reg[i] = 0x200 + i;
	for (unsigned i = 0; i < SEG_COUNT; i++)
		guest.seg[i] = (struct segment){.base = 0x300 + i,
						.limit = 0x400 + i,
						.selector = (uint16_t)i,
						.attributes = (uint16_t)(0x80 + i)};
	vcpu_state_set(vcpu, &guest);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		assert_int_equal(vcpu->gpr[i], 0x100 + i);
	for (unsigned i = 0; i < REG_COUNT; i++)
		assert_int_equal(fake_backend.reg_get(vcpu, (enum reg)i), 0x200 + i);
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		fake_backend.seg_get(vcpu, (enum seg)i, &segment);
		assert_memory_equal(&segment, &guest.seg[i], sizeof(segment));
	}
}

/* --- the defaults --- */

static void test_virt_insn(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_VIRT_INSN, 3, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 6);
	assert_false(spine_injected(&spine)->has_error);
	assert_int_equal(vcpu->rip, SPINE_CODE);
	assert_false(leaves());
}

static void test_shutdown(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_SHUTDOWN, 0, NULL, NULL);
	assert_int_equal(spine.fake.platform.resets, 1);
	assert_true(spine_logged(&spine, "triple fault) at 0000:8000"));
	/* if the machine is still there after that, something is wrong */
	assert_true(leaves());
	assert_non_null(vcpu->fatal);
}

static void test_init(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_INIT, 0, NULL, NULL);
	assert_int_equal(spine.fake.platform.resets, 1);
	assert_true(spine_logged(&spine, "sent INIT"));
	assert_true(leaves());
}

/* NMIs that are ours: taken by the exit, delivered when the guest lets them. */
static void test_nmi(void **state)
{
	const struct event *event;

	(void)state;
	spine.fake.vm.caps |= BACKEND_CAP_NMI_EXITS;
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	event = spine_injected(&spine);
	assert_non_null(event);
	assert_int_equal(event->type, EVENT_NMI);
	spine.fake.vcpu.reg[REG_NMI_BLOCKED] = 1;
	spine_exit(&spine, EXIT_NMI, 0, NULL, NULL);
	assert_null(spine_injected(&spine));
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_null(spine_injected(&spine));
	assert_int_equal(vcpu->work, 0);
	spine.fake.vcpu.reg[REG_NMI_BLOCKED] = 0;
	spine_exit(&spine, EXIT_WINDOW, 0, NULL, NULL);
	assert_non_null(spine_injected(&spine));
	assert_int_equal(fake_intercepts_on(&spine.fake.vcpu), 0);
	assert_null(vcpu->fatal);
}

/* The window exits for what the host's handlers counted, too, whoever opened it. */
static void test_window_for_arrivals(void **state)
{
	(void)state;
	spine.fake.vm.caps |= BACKEND_CAP_NMI_EXITS;
	event_nmi_arrived(vcpu);
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_null(spine_injected(&spine));
	spine_exit(&spine, EXIT_WINDOW, 0, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->type, EVENT_NMI);
	assert_int_equal(fake_intercepts_on(&spine.fake.vcpu), 0);
	assert_null(vcpu->fatal);
}

static void test_machine_check(void **state)
{
	const struct event delivery = {.type = EVENT_INTR, .vector = 0x20};

	(void)state;
	spine.fake.vcpu.reg[REG_CR4] = CR4_MCE;
	spine_exit(&spine, EXIT_MACHINE_CHECK, 0, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 18);
	assert_true(spine_logged(&spine, "a machine check on the way into the guest"));
	/* what was to be delivered is delivered first */
	spine_exit(&spine, EXIT_MACHINE_CHECK, 0, NULL, &delivery);
	assert_int_equal(spine_injected(&spine)->vector, 0x20);
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 18);
	assert_null(vcpu->fatal);
	spine.fake.vcpu.reg[REG_CR4] = 0;
	spine_exit(&spine, EXIT_MACHINE_CHECK, 0, NULL, NULL);
	assert_true(spine_logged(&spine, "takes no machine checks (CR4.MCE)"));
	assert_int_equal(spine.fake.platform.resets, 1);
}

static void test_timer(void **state)
{
	uint64_t rip = vcpu->rip;

	(void)state;
	spine_exit(&spine, EXIT_TIMER, 0, NULL, NULL);
	assert_null(vcpu->fatal);
	assert_true(vcpu->rip == rip);
	assert_int_equal(vcpu->work, 0);
}

static void test_invalid(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_INVALID, 0, NULL, NULL);
	assert_true(leaves());
	assert_string_equal(vcpu->fatal, "the CPU refused the guest's state");
}

/* Nothing arms them: each ends the run, none loops. */
static void test_unexpected(void **state)
{
	static const enum exit_kind kinds[] = {EXIT_UNKNOWN, EXIT_INTR, EXIT_WINDOW};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		vcpu->work = 0;
		vcpu->fatal = NULL;
		spine_exit(&spine, kinds[i], 0, NULL, NULL);
		assert_true(leaves());
		assert_string_equal(vcpu->fatal, "an exit that nothing asked for");
	}
}

/* An exception that somebody had intercepted goes on to the guest. */
static void test_exception(void **state)
{
	struct exit_detail detail = {.exception = {.vector = 14, .has_error = true, .error = 5, .address = 0x1234}};
	const struct event contributory = {.type = EVENT_EXCEPTION, .vector = 14};

	(void)state;
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->type, EVENT_EXCEPTION);
	assert_int_equal(spine_injected(&spine)->vector, 14);
	assert_true(spine_injected(&spine)->has_error);
	assert_int_equal(spine_injected(&spine)->error, 5);
	assert_int_equal(spine_injected(&spine)->address, 0x1234);
	/* raised while another was delivered, it is what the CPU makes of the two */
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, &contributory);
	assert_int_equal(spine_injected(&spine)->vector, 8);
	/* a #DB that no step asked for is the guest's */
	detail.exception.vector = 1;
	detail.exception.has_error = false;
	spine_exit(&spine, EXIT_EXCEPTION, 0, &detail, NULL);
	assert_int_equal(spine_injected(&spine)->vector, 1);
}

/* --- how an exit ends --- */

static void test_verdicts(void **state)
{
	static const struct {
		enum verdict verdict;
		uint64_t rip;
		bool leaves;
	} cases[] = {
		{VERDICT_SKIP_INSN, SPINE_CODE + 2, false}, {VERDICT_RESUME, SPINE_CODE, false},
		{VERDICT_PASS, SPINE_CODE, true},	    {VERDICT_FATAL, SPINE_CODE, true},
		{(enum verdict)99, SPINE_CODE, true},
	};

	(void)state;
	vcpu->slot[EXIT_CPUID] = handler;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		vcpu->rip = SPINE_CODE;
		vcpu->work = 0;
		verdict = cases[i].verdict;
		spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
		assert_int_equal(vcpu->rip, cases[i].rip);
		assert_int_equal(leaves(), cases[i].leaves);
		assert_int_equal(vcpu->fatal != NULL, cases[i].leaves);
	}
}

static void test_first_fatal_is_kept(void **state)
{
	(void)state;
	vcpu_fatal(vcpu, "first");
	vcpu_fatal(vcpu, "second");
	assert_string_equal(vcpu->fatal, "first");
	assert_true(leaves());
}

static void check_skip(uint64_t rip, unsigned length, uint64_t next)
{
	vcpu->slot[EXIT_CPUID] = handler;
	verdict = VERDICT_SKIP_INSN;
	vcpu->rip = rip;
	spine_exit(&spine, EXIT_CPUID, length, NULL, NULL);
	assert_true(vcpu->rip == next);
}

static void test_skip_wraps(void **state)
{
	uint16_t *attributes = &fake->seg[SEG_CS].attributes;

	(void)state;
	check_skip(0xfffe, 2, 0);
	check_skip(0xfffd, 2, 0xffff);
	check_skip(0xffff, 3, 2);
	check_skip(0x1ffff, 2, 0x20001);
	check_skip(0xfffffffe, 2, 0);
	*attributes |= SEG_ATTR_DB;
	check_skip(0xfffe, 2, 0x10000);
	check_skip(0xffffffff, 2, 1);
	*attributes = (uint16_t)((*attributes & ~SEG_ATTR_DB) | SEG_ATTR_L);
	/* legacy code with L set */
	check_skip(0xfffe, 2, 0);
	fake->reg[REG_EFER] = EFER_LME | EFER_LMA;
	check_skip(0xfffe, 2, 0x10000);
	check_skip(0xfffffffe, 2, 0x100000000);
	check_skip(0x7fffffffffff, 2, 0x800000000001);
	check_skip(0xffffffffffff8000, 2, 0xffffffffffff8002);
}

static void test_skip_flags(void **state)
{
	(void)state;
	vcpu->rflags = X86_FLAGS_FIXED | X86_FLAGS_RF | X86_FLAGS_IF;
	check_skip(SPINE_CODE, 2, SPINE_CODE + 2);
	assert_int_equal(vcpu->rflags, X86_FLAGS_FIXED | X86_FLAGS_IF);
	assert_null(spine_injected(&spine));

	fake->reg[REG_DR7] = 0x400 | DR7_GD;
	vcpu->rflags = X86_FLAGS_FIXED | X86_FLAGS_TF | X86_FLAGS_RF;
	check_skip(SPINE_CODE, 2, SPINE_CODE + 2);
	assert_int_equal(vcpu->rflags, X86_FLAGS_FIXED | X86_FLAGS_TF);
	assert_int_equal(spine_injected(&spine)->vector, 1);
	assert_int_equal(fake->reg[REG_DR6], DR6_BS);
	assert_int_equal(fake->reg[REG_DR7], 0x400);
	assert_int_equal(vcpu->work, 0);

	/* entered again where it is: no instruction has completed */
	verdict = VERDICT_RESUME;
	spine_exit(&spine, EXIT_CPUID, 2, NULL, NULL);
	assert_null(spine_injected(&spine));
}

/* --- the work word --- */

enum pending { NOTHING, EXCEPTION, DELIVERY, NMI, BLOCKED_NMI, PENDING_COUNT };

static void queue(enum pending pending)
{
	vcpu->events = (struct event_queue){0};
	fake->reg[REG_INTERRUPT_SHADOW] = pending == BLOCKED_NMI;
	switch (pending) {
	case EXCEPTION:
		event_queue_gp(vcpu);
		break;
	case DELIVERY:
		vcpu->events.delivery = (struct event){.type = EVENT_INTR, .vector = 0x77};
		vcpu->work |= WORK_DELIVERY;
		break;
	case NMI:
	case BLOCKED_NMI:
		event_queue_nmi(vcpu);
		break;
	case NOTHING:
	case PENDING_COUNT:
	default:
		break;
	}
}

/* What the guest gets of a trap and what was pending; -1: nothing. */
static int expected_vector(enum pending pending, bool trap)
{
	switch (pending) {
	case EXCEPTION:
		return trap ? 1 : 13;
	case DELIVERY:
		return trap ? 1 : 0x77;
	case NMI:
		return trap ? 1 : 2;
	case NOTHING:
	case BLOCKED_NMI:
	case PENDING_COUNT:
	default:
		return trap ? 1 : -1;
	}
}

static void test_work_combinations(void **state)
{
	static const uint32_t bits[] = {WORK_TRAP, WORK_VIEW, WORK_LEAVE};

	(void)state;
	vcpu->slot[EXIT_CPUID] = handler;
	verdict = VERDICT_RESUME;
	for (unsigned mask = 0; mask < 1u << ARRAY_SIZE(bits); mask++) {
		for (enum pending pending = NOTHING; pending < PENDING_COUNT; pending++) {
			const struct fake_exit script[] = {{.kind = EXIT_CPUID, .length = 2},
							   {.kind = EXIT_CPUID, .length = 2}};
			bool trap = mask & 1, view = mask & 2, leave = mask & 4, waits;
			unsigned activations = fake->activations;
			int vector = expected_vector(pending, trap);

			vcpu->work = 0;
			vcpu->rflags = trap ? X86_FLAGS_TF : 0;
			fake->reg[REG_DR6] = 0;
			for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
				vcpu->work |= mask & 1u << i ? bits[i] : 0;
			queue(pending);
			fake->injected_count = 0;
			fake->script = script;
			/* the run goes on exactly if nobody asked it to end */
			assert_int_equal(fake_vcpu_run(fake, script, 2), leave ? 1 : 2);
			assert_int_equal(fake->activations - activations, view);
			assert_int_equal(fake->reg[REG_DR6], trap ? DR6_BS : 0);
			/* a trap puts an NMI off until the next exit */
			waits = pending == BLOCKED_NMI || (pending == NMI && trap && leave);
			assert_int_equal(fake->injected_count, (vector >= 0) + (pending == NMI && trap && !leave));
			if (vector >= 0)
				assert_int_equal(fake->injected[0].vector, vector);
			if (fake->injected_count == 2)
				assert_int_equal(fake->injected[1].type, EVENT_NMI);
			assert_int_equal(vcpu->work, (leave ? WORK_LEAVE : 0) | (waits ? WORK_EVENT : 0));
			assert_int_equal(vcpu->events.nmi, waits);
		}
	}
}

/* A fault while a double fault is delivered is a shutdown, and ends as one. */
static void test_work_shutdown(void **state)
{
	const struct event double_fault = {.type = EVENT_EXCEPTION, .vector = 8};

	(void)state;
	spine_exit(&spine, EXIT_VIRT_INSN, 3, NULL, &double_fault);
	assert_int_equal(spine.fake.platform.resets, 1);
	assert_int_equal(vcpu->exit.kind, EXIT_SHUTDOWN);
	assert_true(leaves());
	assert_null(spine_injected(&spine));
}

/* Caches are written back, not thrown away: they hold our memory, too. */
static void test_invd(void **state)
{
	(void)state;
	spine_exit(&spine, EXIT_INVD, 2, NULL, NULL);
	assert_int_equal(spine.fake.platform.cache_flushes, 1);
	assert_int_equal(vcpu->rip, SPINE_CODE + 2);
}

static void test_xsetbv(void **state)
{
	static const struct {
		uint64_t rcx, value, cpl;
		bool is_taken;
	} tries[] = {
		{0, 7, 0, true},
		{0, 1, 0, true},
		{0xffffffff00000000, 3, 0, true},
		{0, 0, 0, false},
		{0, 2, 0, false},
		{0, 5, 0, false},
		{0, 1u << 3 | 1, 0, false},
		{1, 1, 0, false},
		{0, 1ull << 63 | 1, 0, false},
		{0, 7, 3, false},
		{0, 7, 1, false},
	};

	(void)state;
	fake_cpuid_set(&spine.fake.platform, CPUID_XSAVE, 0, (struct cpuid_regs){.eax = 7});
	for (unsigned i = 0; i < ARRAY_SIZE(tries); i++) {
		spine.fake.platform.xcr0 = 0;
		fake->reg[REG_CPL] = tries[i].cpl;
		vcpu->rip = SPINE_CODE;
		vcpu->gpr[GPR_RCX] = tries[i].rcx;
		vcpu->gpr[GPR_RAX] = 0xffffffff00000000 | (uint32_t)tries[i].value;
		vcpu->gpr[GPR_RDX] = 0xffffffff00000000 | tries[i].value >> 32;
		spine_exit(&spine, EXIT_XSETBV, 3, NULL, NULL);
		assert_int_equal(spine.fake.platform.xcr0, tries[i].is_taken ? tries[i].value : 0);
		assert_int_equal(vcpu->rip, SPINE_CODE + (tries[i].is_taken ? 3 : 0));
		if (tries[i].is_taken)
			assert_null(spine_injected(&spine));
		else
			assert_int_equal(spine_injected(&spine)->vector, 13);
	}
}

static void test_fatal_keeps_work(void **state)
{
	(void)state;
	vcpu->work = WORK_VIEW;
	vcpu_fatal(vcpu, "why");
	assert_int_equal(vcpu->work, WORK_VIEW | WORK_LEAVE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup, spine_teardown, &spine)
	const struct CMUnitTest tests[] = {
		TEST(test_statistics),
		TEST(test_every_kind_has_a_default),
		TEST(test_state_set),
		TEST(test_virt_insn),
		TEST(test_shutdown),
		TEST(test_invalid),
		TEST(test_init),
		TEST(test_nmi),
		TEST(test_window_for_arrivals),
		TEST(test_machine_check),
		TEST(test_timer),
		TEST(test_unexpected),
		TEST(test_exception),
		TEST(test_verdicts),
		TEST(test_first_fatal_is_kept),
		TEST(test_skip_wraps),
		TEST(test_skip_flags),
		TEST(test_work_combinations),
		TEST(test_work_shutdown),
		TEST(test_invd),
		TEST(test_xsetbv),
		TEST(test_fatal_keeps_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
